"""The end of what a command has printed, as a screen can show it: plain lines, however long the file has become."""

from __future__ import annotations

import re
from pathlib import Path

MOST_BYTES = 64 << 10

# Colours, movements of the cursor and window titles; then everything else that is no printable character.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def tail(path: Path, lines: int = 200) -> str:
    """The last ``lines`` lines of ``path``, of at most its last 64 KiB; empty where there is no such file.

    A line that was rewritten in place (progress bars) is shown as it was left.
    """
    try:
        with path.open("rb") as file:
            length = file.seek(0, 2)
            file.seek(max(0, length - MOST_BYTES))
            text = file.read(MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    if length > MOST_BYTES:
        text = text.partition("\n")[2] or text
    shown = [_left(_ESCAPES.sub("", line)) for line in text.rstrip().split("\n")]
    return "\n".join(shown[-lines:])


def _left(line: str) -> str:
    """What a terminal shows of ``line`` in the end."""
    parts = [part for part in line.split("\r") if part]
    return _CONTROLS.sub("", parts[-1]).rstrip() if parts else ""
