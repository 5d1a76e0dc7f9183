"""Requirement files: pinned, reasoned, and exactly what the code imports."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import pins

FILES = ("requirements.txt", "requirements-dev.txt")
DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml"}
INDIRECT = {  # used without an import of ours, and by whom
    "accelerate": "transformers' Trainer",
    "protobuf": "transformers, for tokenizer.model files",
    "tokenizers": "transformers' fast tokenizers",
    "sentencepiece": "transformers, for tokenizer.model files",
}
OWN = ("engine", "app", "trainer_ui", "serving")
TOOLS = {"ruff", "mypy", "types-pyyaml", "import-linter", "pytest", "pytest-xdist"}
FACTORY = "requirements-llamafactory.txt"
ELSEWHERE = {"radeval": "requirements-radeval.txt", "llamafactory": FACTORY, "datasets": FACTORY}
"""Imported in an environment of its own."""


def imported(*folders: Path) -> dict[str, Path]:
    """Top-level packages that the Python files below ``folders`` import, each with one file that does."""
    found: dict[str, Path] = {}
    for file in _python_files(*folders):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("import_module", "importorskip"):
                names = [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)]
            found.update({name.split(".")[0]: file for name in names})
    return {name: file for name, file in found.items() if name not in sys.stdlib_module_names}


def _python_files(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        yield from folder.rglob("*.py") if folder.is_dir() else [folder]


def distribution(package: str) -> str:
    return DISTRIBUTIONS.get(package, package.replace("_", "-")).lower()


@pytest.mark.parametrize("name", FILES)
def test_every_line_is_pinned_and_says_why(project: Path, name: str) -> None:
    lines = (project / name).read_text(encoding="utf-8").splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    for line in pinned:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9A-Za-z.]+ +# \S.{8,}", line), line
    assert len(pins.read(project / name)) == len(pinned)
    names = [pin.name.lower() for pin in pins.read(project / name)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", FILES)
def test_no_line_names_a_host_or_an_option(project: Path, name: str) -> None:
    text = (project / name).read_text(encoding="utf-8")
    assert "://" not in text and "@" not in text
    assert not [line for line in text.splitlines() if line.startswith("-")]


def test_what_is_imported_is_listed_and_what_is_listed_is_imported(project: Path) -> None:
    used = imported(*(project / package for package in OWN), project / "launch.py")
    used = {distribution(name): file for name, file in used.items() if name not in (*OWN, "launch")}
    listed = {pin.name.lower() for pin in pins.read(project / "requirements.txt")}
    for name, other in ELSEWHERE.items():
        assert name in {pin.name.lower() for pin in pins.read(project / other)}
    assert {name: str(file) for name, file in used.items() if name not in listed | set(ELSEWHERE)} == {}
    assert listed - set(used) - set(INDIRECT) == set()


def test_what_the_tests_import_is_listed(project: Path) -> None:
    helpers = {file.stem for file in (project / "tests").rglob("*.py")} | {*OWN, "launch"}
    used = {distribution(name) for name in imported(project / "tests") if name not in helpers}
    listed = {pin.name.lower(): file for file in FILES for pin in pins.read(project / file)}
    assert used - set(listed) == set()
    development = {name for name, file in listed.items() if file == "requirements-dev.txt"}
    assert development - used - TOOLS == set()


def test_the_versions_that_run_are_the_pinned_ones(project: Path) -> None:
    """What passes here is what a user gets."""
    assert [pin for file in FILES for pin in pins.unmet(pins.read(project / file))] == []


def test_a_digest_follows_pins_and_not_comments(tmp_path: Path) -> None:
    def digest(text: str) -> str:
        file = tmp_path / "requirements.txt"
        file.write_text(text)
        return pins.digest(pins.read(file))

    assert digest("a==1 # x\nb==2\n") == digest("# new\nb==2\n\na==1 # y\n")
    assert digest("a==1\n") != digest("a==1.0\n") != digest("a==1.0\nb==2\n")


def test_a_local_version_part_satisfies_its_pin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pins.metadata, "version", lambda name: "2.13.0+cpu")
    assert pins.unmet([pins.Pin("torch", "2.13.0")]) == ()
    assert pins.unmet([pins.Pin("torch", "2.13")]) == (pins.Pin("torch", "2.13"),)


@pytest.mark.parametrize("line", ["torch>=2", "torch", "-r other.txt", "git+ssh://x", "a==1; python_version>'3'"])
def test_a_line_that_is_no_pin_is_refused_by_number(tmp_path: Path, line: str) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(f"a==1\n{line}\n")
    with pytest.raises(ValueError, match=r"requirements\.txt, line 2"):
        pins.read(file)
