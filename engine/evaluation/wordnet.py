"""Where WordNet 3.0 is installed: the synonyms that METEOR needs. Needs nothing but the standard library itself.

Debian's ``wordnet-base`` has all that is read. Another version gives other scores and counts as none.
"""

from __future__ import annotations

import os
from pathlib import Path

from engine import paths

PACKAGE = "wordnet-base"
DEBIAN = Path("/usr/share/wordnet")
GET = (
    f"'apt install {PACKAGE}' on Debian and Ubuntu; elsewhere put the files of WordNet 3.0's folder 'dict' into "
    "saves/wordnet"
)

_PARTS = ("noun", "verb", "adj", "adv")
_FILES = tuple(f"{kind}.{part}" for part in _PARTS for kind in ("index", "data")) + tuple(f"{p}.exc" for p in _PARTS)
_VERSION = b"WordNet 3.0 Copyright"
_HEADER = 2000
"""Bytes of a data file in which its licence names the version."""


def find() -> Path | None:
    """The folder of WordNet 3.0's files, or None.

    Looked for where WordNet's own variables say (WNSEARCHDIR, WNHOME), in the data folder, and where Debian has it.
    """
    places = [paths.home() / "wordnet", DEBIAN]
    if home := os.environ.get("WNHOME"):
        places.insert(0, Path(home) / "dict")
    if folder := os.environ.get("WNSEARCHDIR"):
        places.insert(0, Path(folder))
    return next((place for place in places if _whole(place)), None)


def missing() -> str:
    """Why there is no METEOR here, as it stands in place of the figure; "" where there is."""
    return "" if find() is not None else f"n/a, because WordNet 3.0 is not installed: {GET}"


def _whole(folder: Path) -> bool:
    try:
        with (folder / "data.adj").open("rb") as stream:
            right = _VERSION in stream.read(_HEADER)
    except OSError:
        return False
    return right and all((folder / name).is_file() for name in _FILES)
