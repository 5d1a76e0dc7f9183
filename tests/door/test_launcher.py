"""launch.py before any environment: what it lists, what it refuses, what it needs."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from door_helpers import child_seconds

import launch
from engine.environment import Environment, _Pip
from engine.errors import ResourceError

HEAVY = {"torch", "transformers", "gradio", "numpy", "scipy", "PIL", "pydicom", "fastapi", "sqlite_utils", "reportlab"}


def run(project: Path, *arguments: str, python: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *python, str(project / "launch.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_help_lists_every_command_and_needs_no_packages(project: Path) -> None:
    done = run(project, "--help", python=("-I", "-S"))
    assert done.returncode == 0 and not done.stderr
    listed = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    assert listed == list(launch.COMMANDS)


@pytest.mark.parametrize("name", launch.COMMANDS)
def test_every_listed_command_explains_itself_before_anything_is_installed(project: Path, name: str) -> None:
    """``-S``: no package can be imported, only the standard library and the project."""
    done = run(project, "--no-venv", name, "--help", python=("-S", "-X", "importtime"))
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout.startswith(f"usage: launch.py {name}")
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "engine" in imported
    assert not imported & HEAVY


def test_help_is_fast(project: Path) -> None:
    begin = child_seconds()
    run(project, "--no-venv", "doctor", "--help")
    assert child_seconds() - begin < 1.0


def test_without_a_command_the_overview_is_an_error(project: Path) -> None:
    done = run(project)
    assert done.returncode == 2 and not done.stdout and "viewer" in done.stderr


@pytest.mark.parametrize("words", [["studios"], ["--version"], ["../draft"], [""], ["Draft"]])
def test_an_unknown_command_is_wrong_usage(project: Path, words: list[str]) -> None:
    done = run(project, *words)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "There is no command" in done.stderr


def test_an_unknown_option_is_wrong_usage(project: Path) -> None:
    done = run(project, "--no-venv", "doctor", "--colour")
    assert done.returncode == 2 and "--colour" in done.stderr and "Traceback" not in done.stderr


def test_an_old_python_is_told_what_is_needed(project: Path) -> None:
    pretend = (
        "import runpy, sys; sys.version_info = (3, 9, 18, 'final', 0); sys.version = '3.9.18 (main)';"
        f"sys.argv = ['launch.py', 'viewer']; runpy.run_path({str(project / 'launch.py')!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", pretend], capture_output=True, text=True, timeout=300)
    assert done.returncode == 3
    assert done.stderr == "Interval needs Python 3.11 or newer, and this is 3.9.18.\n"


def test_an_old_python_can_read_the_file(project: Path) -> None:
    ast.parse((project / "launch.py").read_text(encoding="utf-8"), feature_version=(3, 7))


def test_the_launcher_imports_the_standard_library_and_the_engine_only(project: Path) -> None:
    source = (project / "launch.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names | {"engine"}
    assert {name for name in names if name.startswith("engine")} == {
        "engine.cli",
        "engine.environment",
        "engine.errors",
        "engine.pins",
    }
    assert len(source.splitlines()) <= 200


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path / ".venv", launch.APP, 3, "Interval")


def test_too_little_disk_is_refused_before_anything_is_made(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**9))
    with pytest.raises(ResourceError, match=r"needs about 3 GB .* 1\.0 GB are free") as refusal:
        environment.make()
    assert refusal.value.exit_status == 5
    assert not environment.folder.exists()


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            5,
            "disk became full",
        ),
        (
            "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...)'",
            3,
            "cannot be reached",
        ),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]')", 3, "cannot be reached"),
        ("ERROR: No matching distribution found for torch==2.13.0", 3, "has no torch of this version"),
        ("something nobody has seen before", 3, "install.log"),
    ],
)
def test_what_pip_says_becomes_one_sentence(environment: Environment, said: str, status: int, words: str) -> None:
    pip = _Pip(environment, lambda *_: None)
    environment.folder.mkdir()
    environment.log.write_text(said)
    refusal = pip.refusal()
    assert refusal.exit_status == status and words in str(refusal)


def test_the_progress_follows_pip(environment: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    environment.folder.mkdir()
    told: list[tuple[int, int, str]] = []
    printed = [
        b"WARNING: Location 'file:///nowhere/' is ignored: it is neither a file nor a directory.\n",
        b"Collecting torch==2.13.0 (from -r requirements.txt (line 4))\n",
        b"  Downloading torch-2.13.0-cp311-none-any.whl.metadata (24 kB)\n",
        b"  Downloading torch-2.13.0-cp311-none-any.whl (555.2 MB)\n",
    ]

    class Child:
        stdout = iter(printed)

    pip = _Pip(environment, lambda *words: told.append(words))
    pip.follow(Child())  # type: ignore[arg-type]
    pip.show()
    pip.show()
    Child.stdout = iter(
        [b"Requirement already satisfied: six\n", b"Installing collected packages: mpmath, sympy, torch\n"]
    )
    pip.follow(Child())  # type: ignore[arg-type]
    pip.show()
    assert capsys.readouterr().err.splitlines() == ["  package 1: torch, 555.2 MB", "  unpacking 3 packages"]
    assert told == [(0, 3, "packages unpacked")]
