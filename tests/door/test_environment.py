"""launch.py and its environment: made, reused, repaired, brought up to date. Real environments and pip, no network."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from door_helpers import base_python, child_seconds, make_wheel, pip_environment

MARKER = ".venv/.interval-requirements"
UP_TO_DATE = "Bringing the environment"


def seen(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What the echoing command saw; it ran exactly when its exit status came through."""
    assert done.returncode == 7, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def installed(folder: Path) -> str:
    code = "import ghost; print(ghost.version)"
    python = folder / ".venv" / "bin" / "python"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True).stdout.strip()


def slow_pip(made: Path, seconds: float) -> tuple[Path, Path]:
    """Make the environment's pip wait before it installs; returns the file that does it and one with pip's id."""
    site = next((made / ".venv" / "lib").glob("python*")) / "site-packages"
    slow, pid = site / "sitecustomize.py", made / "pip.pid"
    slow.write_text(
        "import os, pathlib, sys, time\n"
        "if 'install' in sys.orig_argv:\n"
        f"    pathlib.Path({str(pid)!r}).write_text(str(os.getpid()))\n"
        f"    time.sleep({seconds})\n"
    )
    return slow, pid


def wait_for(file: Path) -> None:
    """Wait until ``file`` has content."""
    deadline = time.monotonic() + 120
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_first_start_makes_the_environment_and_later_ones_use_it(copy: Path, start: Any) -> None:
    first = start(copy, "train", "two words", "--", "-x")
    told = seen(first)
    assert Path(told["prefix"]) == copy / ".venv"
    assert told["words"] == ["two words", "-x"]
    assert "First start" in first.stderr and "Installed in" in first.stderr
    assert installed(copy) == "1.0"
    assert not (copy / ".venv" / ".downloads").exists()

    log = (copy / ".venv" / "install.log").stat().st_mtime_ns
    begin = child_seconds()
    later = start(copy, "train", PIP_FIND_LINKS="")
    assert child_seconds() - begin < 1.0  # two interpreters, one after the other
    assert Path(seen(later)["prefix"]) == copy / ".venv"
    assert later.stderr == ""
    assert (copy / ".venv" / "install.log").stat().st_mtime_ns == log


def test_children_inherit_an_offline_private_environment(made: Path, start: Any) -> None:
    told = seen(start(made, "train", HF_HUB_OFFLINE="0"))
    environment = told["environment"]
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "DO_NOT_TRACK", "PYTHONUTF8"):
        assert environment[name] == "1"
    assert environment["GRADIO_ANALYTICS_ENABLED"] == "False"
    assert environment["TOKENIZERS_PARALLELISM"] == "false"
    assert told["umask"] == 0o077
    assert told["core"] == 0


def test_an_interrupted_installation_is_taken_up(made: Path, start: Any) -> None:
    """Cut off while unpacking: the package is half there and claims to be installed; nothing is marked complete."""
    site = next((made / ".venv" / "lib").glob("python*")) / "site-packages"
    info = site / "ghost-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ghost\nVersion: 1.0\n")
    done = start(made, "train")
    seen(done)
    assert UP_TO_DATE in done.stderr
    assert installed(made) == "1.0"


@pytest.mark.parametrize("damage", ["no pip", "not an environment", "dangling interpreter"])
def test_a_half_made_environment_is_made_anew(made: Path, start: Any, damage: str) -> None:
    venv = made / ".venv"
    site = next((venv / "lib").glob("python*")) / "site-packages"
    if damage == "no pip":
        shutil.rmtree(site / "pip" / "_internal" / "cli")
    elif damage == "not an environment":
        (venv / "pyvenv.cfg").unlink()
    else:
        for link in (venv / "bin").glob("python*"):
            link.unlink()
        (venv / "bin" / "python").symlink_to(made / "gone")
    done = start(made, "train")
    assert Path(seen(done)["prefix"]) == venv
    assert "First start" in done.stderr
    assert installed(made) == "1.0"


def test_changed_requirements_are_installed_once(made: Path, start: Any) -> None:
    seen(start(made, "train"))
    (made / "requirements.txt").write_text("# a comment is no change\nghost==1.0  # still haunts\n")
    assert seen(start(made, "train")) and start(made, "train").stderr == ""
    make_wheel(made / "wheels", "ghost", "2.0")
    (made / "requirements.txt").write_text("ghost==2.0  # haunts\n")
    changed = start(made, "train")
    seen(changed)
    assert UP_TO_DATE in changed.stderr
    assert installed(made) == "2.0"
    assert start(made, "train").stderr == ""


def test_a_package_that_nobody_has_is_named(made: Path, start: Any) -> None:
    (made / "requirements.txt").write_text("ghost==9.9  # haunts\n")
    done = start(made, "train")
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("The package index has no ghost of this version")
    assert "Traceback" not in done.stderr
    assert not (made / MARKER).exists()


def test_without_a_network_one_sentence_says_so(made: Path, start: Any) -> None:
    done = start(
        made, "train", PIP_NO_INDEX="0", PIP_FIND_LINKS="", PIP_INDEX_URL="http://127.0.0.1:9/", PIP_RETRIES="1"
    )
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("The package index cannot be reached.")
    assert not (made / MARKER).exists()
    seen(start(made, "train"))  # and with the network back, it goes on


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_stops_pip_and_leaves_nothing_marked(made: Path, start: Any) -> None:
    slow, pid = slow_pip(made, seconds=60)
    command = [base_python(), str(made / "launch.py"), "train"]
    # A shell that runs the tests in the background leaves SIGINT ignored; at a terminal it is not.
    child = subprocess.Popen(
        command,
        env=pip_environment(made),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for(pid)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=120)
    assert child.returncode == 130
    assert said.splitlines()[-1] == "Stopped. The next start goes on where this one ended."
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert not (made / MARKER).exists()
    slow.unlink()
    seen(start(made, "train"))


def test_two_starts_at_once_do_not_install_twice(made: Path, start: Any) -> None:
    fcntl = pytest.importorskip("fcntl")
    with (made / "requirements.txt").open("rb") as door:  # what is installed is what is locked
        fcntl.flock(door, fcntl.LOCK_EX)
        command = [base_python(), str(made / "launch.py"), "train"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        second = subprocess.Popen(command, env=pip_environment(made), text=True, **pipes)
        assert second.stderr is not None
        assert "waiting" in second.stderr.readline()
    out, _ = second.communicate(timeout=300)
    assert second.returncode == 7 and json.loads(out)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_launcher_that_was_killed_does_not_unlock_what_its_pip_still_does(made: Path, start: Any) -> None:
    _, pid = slow_pip(made, seconds=3)
    first = subprocess.Popen([base_python(), str(made / "launch.py"), "train"], env=pip_environment(made))
    wait_for(pid)
    first.kill()
    first.wait()
    second = start(made, "train")
    seen(second)
    assert second.stderr.startswith("Another start is installing right now; waiting for it.")
    assert installed(made) == "1.0"


def test_no_venv_uses_this_python_or_says_what_it_lacks(copy: Path, start: Any) -> None:
    lacking = start(copy, "train", "--no-venv", python=sys.executable)
    assert lacking.returncode == 3
    assert lacking.stderr == "--no-venv: this Python lacks ghost==1.0. Install them or leave --no-venv out.\n"
    (copy / "requirements.txt").write_text(f"pytest=={pytest.__version__}  # is here\n")
    for arguments in (("--no-venv", "train"), ("train", "--no-venv")):
        assert seen(start(copy, *arguments, python=sys.executable))["prefix"] == sys.prefix
    assert not (copy / ".venv").exists()


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="the tests run outside any environment")
def test_an_activated_environment_that_satisfies_is_used(copy: Path, start: Any) -> None:
    (copy / "requirements.txt").write_text(f"pytest=={pytest.__version__}  # is here\n")
    assert seen(start(copy, "train", python=sys.executable))["prefix"] == sys.prefix
    assert not (copy / ".venv").exists()


def test_a_place_that_cannot_be_written_is_one_sentence(copy: Path, start: Any) -> None:
    (copy / ".venv").write_text("a file where the environment should be")
    done = start(copy, "train")
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("The environment .venv cannot be made:")
    assert "Traceback" not in done.stderr


def test_help_and_doctor_never_install(copy: Path, start: Any) -> None:
    done = start(copy, "train", "--help")
    assert done.returncode == 0 and "Print what a command sees." in done.stdout
    assert not (copy / ".venv").exists()
