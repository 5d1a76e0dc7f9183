"""A copy of the launcher with a tiny engine, so that real installations take seconds and need no network."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from door_helpers import base_python, make_wheel, pip_environment

Start = Callable[..., "subprocess.CompletedProcess[str]"]

ECHO = '''"""Print what a command sees."""
import json, os, sys

def register(parser):
    parser.add_argument("words", nargs="*")

def run(args):
    mask = os.umask(0)
    try:
        import resource
        core = resource.getrlimit(resource.RLIMIT_CORE)[0]
    except ImportError:
        core = 0
    told = {"prefix": sys.prefix, "words": args.words, "environment": dict(os.environ), "umask": mask, "core": core}
    print(json.dumps(told))
    return 7
'''
FLOOR = ("__init__", "browsers", "environment", "errors", "logs", "paths", "pins", "cli/__init__")


@pytest.fixture
def copy(tmp_path: Path, project: Path) -> Path:
    """A folder with launch.py, the floor of the engine, one echoing command, and the requirement ghost==1.0."""
    folder = tmp_path / "a folder with blanks"
    (folder / "engine" / "cli").mkdir(parents=True)
    shutil.copy(project / "launch.py", folder)
    for module in FLOOR:
        shutil.copy(project / "engine" / f"{module}.py", folder / "engine" / f"{module}.py")
    (folder / "engine" / "cli" / "train.py").write_text(ECHO)
    (folder / "requirements.txt").write_text("ghost==1.0  # haunts\n")
    make_wheel(folder / "wheels", "ghost", "1.0")
    return folder


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment with pip, made once because it takes seconds."""
    folder = tmp_path_factory.mktemp("made") / ".venv"
    subprocess.run([base_python(), "-m", "venv", str(folder)], check=True)
    return folder


@pytest.fixture
def made(copy: Path, made_once: Path) -> Path:
    """``copy`` with an environment in which nothing is installed and which is not marked complete."""
    shutil.copytree(made_once, copy / ".venv", symlinks=True)
    return copy


@pytest.fixture
def start() -> Start:
    """Run ``launch.py`` of a folder with a new user's interpreter and an offline pip."""

    def start(folder: Path, *arguments: str, python: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python or base_python(), str(folder / "launch.py"), *arguments],
            env={**pip_environment(folder), **environment},
            capture_output=True,
            text=True,
            timeout=300,
            cwd=folder.parent,
        )

    return start
