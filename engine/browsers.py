"""Where this machine keeps a browser of the Chromium family: Edge, Chrome or Chromium. Starts none."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

NAMES = (
    "microsoft-edge",
    "microsoft-edge-stable",
    "google-chrome",
    "google-chrome-stable",
    "chromium",
    "chromium-browser",
    "msedge",
    "chrome",
)


def find() -> Path | None:
    """The first one on the path or, on Windows and macOS, where its installer puts it; None without one."""
    on_path = (shutil.which(name) for name in NAMES)
    return next((Path(found) for found in on_path if found), None) or next(filter(Path.is_file, _installed()), None)


def _installed() -> list[Path]:
    if sys.platform == "darwin":
        folders = (Path("/Applications"), Path.home() / "Applications")
        names = ("Microsoft Edge", "Google Chrome", "Chromium")
        return [folder / f"{name}.app" / "Contents" / "MacOS" / name for folder in folders for name in names]
    if sys.platform == "win32":
        roots = [os.environ.get(name) for name in ("ProgramFiles(x86)", "ProgramFiles", "LocalAppData")]
        parts = (r"Microsoft\Edge\Application\msedge.exe", r"Google\Chrome\Application\chrome.exe")
        return [Path(root) / part for root in roots if root for part in parts]
    return []
