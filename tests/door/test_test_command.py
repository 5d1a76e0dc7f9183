"""`launch.py test`: what it counts, and CI's rule that a skip for a missing tool is a failure."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.cli import test as command

JUNIT = """<testsuites>
<testsuite name="pytest" errors="1" failures="2" skipped="3" tests="20" time="1.0"/>
</testsuites>"""


def test_the_closing_line_counts_like_pytest(tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    junit.write_text(JUNIT)
    assert str(command.Counts.read(junit)) == "14 passed, 3 failed, 3 skipped"
    junit.write_text(JUNIT.replace('skipped="3"', 'skipped="0"'))
    assert str(command.Counts.read(junit)) == "17 passed, 3 failed"


@pytest.mark.parametrize("text", [None, "", "<testsuites>"])
def test_a_run_that_was_cut_off_counts_as_a_failure(tmp_path: Path, text: str | None) -> None:
    junit = tmp_path / "junit.xml"
    if text is not None:
        junit.write_text(text)
    assert str(command.Counts.read(junit)) == "0 passed, 1 failed"


@pytest.mark.parametrize(("failing", "status"), [(None, 0), ("lint", 1), ("tests", 1), ("browser", 1)])
def test_every_step_runs_and_any_failure_counts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path, failing: str | None, status: int
) -> None:
    called: list[list[str]] = []
    order = ("format", "lint", "types", "floors", "tests", "browser")

    def run(words: list[str], **options: Any) -> SimpleNamespace:
        called.append(words)
        for option in words:
            if option.startswith("--junitxml="):
                Path(option.split("=", 1)[1]).write_text(JUNIT)
        assert str(home) in options["env"]["MYPY_CACHE_DIR"]
        return SimpleNamespace(returncode=int(order[len(called) - 1] == failing))

    monkeypatch.setattr(command.subprocess, "run", run)
    monkeypatch.setattr(command, "install_programs", lambda: None)
    assert command.run(argparse.Namespace(all=True, llamafactory=False, pytest=["-k", "door"])) == status
    assert len(called) == 6
    assert called[-1][-4:] == ["-m", "browser and not llamafactory", "-k", "door"]
    assert called[-2][-2:] == ["-k", "door"] and "not browser and not llamafactory" in called[-2]
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "28 passed, 6 failed, 6 skipped"
    assert [line.split()[1] for line in lines[-7:-1]] == ["FAILED" if step == failing else "passed" for step in order]


def test_programs_are_installed_only_where_something_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []
    environments: list[dict[str, str]] = []

    def run(words: list[str], **options: Any) -> SimpleNamespace:
        called.append(words)
        environments.append(options["env"])
        return SimpleNamespace(returncode=0, stdout="")

    monkeypatch.setattr(command.subprocess, "run", run)
    monkeypatch.setattr(command, "DEBIAN_PACKAGES", {"coreutils": sys.executable})
    command.install_programs()
    assert called == []
    monkeypatch.setattr(command, "DEBIAN_PACKAGES", {"coreutils": sys.executable, "chromium": "/nowhere/chromium"})
    command.install_programs()
    if Path("/etc/debian_version").exists() and shutil.which("apt-get") and os.geteuid() == 0:
        assert [words[2] for words in called] == ["update", "install"]
        assert called[1][-1] == "chromium" and "coreutils" not in called[1]
        assert environments[0]["DEBIAN_FRONTEND"] == "noninteractive"
    else:
        assert called == []


@pytest.mark.parametrize("module", ["engine", "engine.imaging.intake", "app.server", "launch", "test_anything"])
def test_a_warning_that_our_own_module_causes_is_an_error(module: str) -> None:
    with pytest.raises(DeprecationWarning):
        warnings.warn_explicit("going away", DeprecationWarning, "file.py", 1, module=module)


@pytest.mark.parametrize("module", ["pydicom.values", "torch.engine", "engineer", "apprise", "gradio.app"])
def test_a_warning_that_a_library_causes_in_itself_is_not(module: str) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.warn_explicit("going away", DeprecationWarning, "file.py", 1, module=module)
    assert len(seen) == 1


@pytest.mark.parametrize(("ci", "closing"), [("true", "1 failed, 1 passed, 1 skipped"), ("", "1 passed, 2 skipped")])
def test_a_missing_tool_is_a_skip_here_and_a_failure_in_ci(
    tmp_path: Path, project: Path, ci: str, closing: str
) -> None:
    shutil.copy(project / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_tools.py").write_text(
        "import pytest\n"
        "def test_tool(): pytest.skip('missing tool: dcmtk is not installed')\n"
        "def test_folder(): pytest.skip('the folder of reference files is not beside the project')\n"
        "def test_fine(): pass\n"
    )
    environment = {**os.environ, "CI": ci, "PYTHONPATH": str(project)}
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", str(tmp_path)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert closing in done.stdout.splitlines()[-1]
    assert (done.returncode == 1) == bool(ci)


def test_what_trains_through_llama_factory_is_a_step_of_its_own(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Its environment is made first; nothing else is run."""
    done: list[Any] = []

    def run(words: list[str], **options: Any) -> SimpleNamespace:
        done.append(words)
        for option in words:
            if option.startswith("--junitxml="):
                Path(option.split("=", 1)[1]).write_text('<testsuite errors="0" failures="0" skipped="0" tests="2"/>')
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(command.subprocess, "run", run)
    monkeypatch.setattr(command, "install_programs", lambda: None)
    monkeypatch.setattr(command.environment.Environment, "make", lambda one: done.append(one.owner))
    assert command.run(argparse.Namespace(all=False, llamafactory=True, pytest=[])) == 0
    assert done[0] == "LLaMA-Factory" and len(done) == 2
    assert done[1][-2:] == ["-m", "llamafactory and not slow"]
