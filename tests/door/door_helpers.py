"""Wheels made on the spot, and the interpreter and pip settings of a new user without a network."""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import zipfile
from pathlib import Path


def make_wheel(folder: Path, name: str, version: str) -> Path:
    """A wheel with one module ``name`` in it, as pip installs it."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    members = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in members.items():
        code = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={code},{len(text)}\n"
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**members, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(path, text)
    return wheel


def base_python() -> str:
    """The interpreter below any environment: what a new user starts the launcher with."""
    return str(getattr(sys, "_base_executable", sys.executable))


def pip_environment(folder: Path) -> dict[str, str]:
    """Settings with which pip sees the wheels of ``folder`` and no index."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
    links = (folder / "wheels").as_uri()
    return {**clean, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": links}


def child_seconds() -> float:
    """Processor time of all children that have ended: unlike time on the clock, it does not grow with others' work."""
    times = os.times()
    return times.children_user + times.children_system
