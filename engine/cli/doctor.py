"""Check this machine: what Interval needs, what is there, and what to do about the rest.

Exit status 0 if everything that must work does, else 3. A line marked "note" is worth knowing and hinders nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.util import find_spec

import engine
from engine import browsers, errors, paths, pins

GIGABYTE = 1e9
LITTLE_DISK = 5 * GIGABYTE
NO_DISK = 0.5 * GIGABYTE
LITTLE_MEMORY = 6 * GIGABYTE

# The decoders behind DICOM's compressed transfer syntaxes, by imagecodecs' names.
CODECS = {"JPEG8": "JPEG", "JPEGSOF3": "JPEG Lossless", "JPEGLS": "JPEG-LS", "JPEG2K": "JPEG 2000", "HTJ2K": "HTJ2K"}


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True)
class Check:
    """One line of the result; ``detail`` says what was found and, unless all is well, what to do."""

    name: str
    status: Status
    detail: str


def register(parser: argparse.ArgumentParser) -> None:
    """The options of ``doctor``."""
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print every check; 3 if one of them is bad."""
    checks = tuple(examine())
    healthy = all(check.status is not Status.BAD for check in checks)
    if args.json:
        result = {"version": engine.__version__, "ok": healthy, "checks": [asdict(check) for check in checks]}
        print(json.dumps(result, indent=2))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            print(f"{check.status:4}  {check.name:{width}}  {check.detail}")
    return 0 if healthy else errors.InputError.exit_status


def examine() -> Iterator[Check]:
    """All checks in the order of the table. None of them writes anything but a short-lived file in the data folder."""
    yield _python()
    yield _requirements()
    yield _codecs()
    yield _memory()
    yield _accelerator()
    yield _browser()
    yield _folder()
    yield _disk()
    yield _history()
    yield _models()
    yield _wordnet()
    yield _typeface()


def _python() -> Check:
    system = f"{platform.system()} {platform.machine()}"
    return Check("python", Status.OK, f"{platform.python_version()} on {system}, in {sys.prefix}")


def _requirements() -> Check:
    wanted = pins.read(paths.PROJECT / "requirements.txt")
    missing = pins.unmet(wanted)
    if not missing:
        return Check("requirements", Status.OK, f"all {len(wanted)} packages have the versions of requirements.txt")
    found = ", ".join(f"{pin.name} {pin.installed or 'absent'} (needs {pin.version})" for pin in missing)
    return Check("requirements", Status.BAD, f"{found}. 'python launch.py viewer' installs them.")


def _codecs() -> Check:
    if find_spec("imagecodecs") is None:
        return Check("codecs", Status.BAD, "imagecodecs is absent, so that compressed DICOM files cannot be read.")
    import imagecodecs

    missing = [words for name, words in CODECS.items() if not getattr(getattr(imagecodecs, name, None), "available", 0)]
    if missing:
        return Check("codecs", Status.BAD, f"this build of imagecodecs cannot decode {', '.join(missing)}.")
    return Check("codecs", Status.OK, f"{', '.join(CODECS.values())} and RLE")


def _memory() -> Check:
    if find_spec("psutil") is None:
        return Check("memory", Status.NOTE, "unknown, because psutil is absent")
    import psutil

    memory = psutil.virtual_memory()
    detail = f"{memory.available / GIGABYTE:.1f} of {memory.total / GIGABYTE:.1f} GB free"
    if memory.available < LITTLE_MEMORY:
        return Check("memory", Status.NOTE, f"{detail}; enough for the viewer and small models only")
    return Check("memory", Status.OK, detail)


def _accelerator() -> Check:
    if find_spec("torch") is None:
        return Check("accelerator", Status.NOTE, "unknown, because torch is absent")
    import torch

    if not torch.cuda.is_available():
        from engine.models.checkpoint import computes_in_bfloat16

        words = f"no CUDA GPU: models run on {os.cpu_count() or 1} CPU cores, large ones slowly"
        quicker = "; '--dtype fastest' is bfloat16 on this processor" if computes_in_bfloat16() else ""
        return Check("accelerator", Status.NOTE, words + quicker)
    card = torch.cuda.get_device_properties(0)
    return Check(
        "accelerator", Status.OK, f"{card.name}, {card.total_memory / GIGABYTE:.0f} GB, CUDA {torch.version.cuda}"
    )


def _browser() -> Check:
    found = browsers.find()
    if found is None:
        return Check("browser", Status.NOTE, "no Edge, Chrome or Chromium: the viewer opens in the default browser")
    return Check("browser", Status.OK, f"{found} for the app window")


def _folder() -> Check:
    home = paths.home()
    try:
        with paths.scratch("doctor") as folder:
            (folder / "probe").write_bytes(b"written")
        open_to_others = os.name == "posix" and home.stat().st_mode & 0o077
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        return Check("data folder", Status.BAD, f"{home} cannot be written: {reason}. INTERVAL_HOME names another.")
    if open_to_others:
        return Check("data folder", Status.NOTE, f"{home} can be entered by other users; 'chmod 700' closes it")
    return Check("data folder", Status.OK, str(home))


def _disk() -> Check:
    folder = next(place for place in (paths.home(), *paths.home().parents) if place.exists())
    free = shutil.disk_usage(folder).free
    detail = f"{free / GIGABYTE:.1f} GB free for the data folder"
    if free < NO_DISK:
        return Check("disk", Status.BAD, f"{detail}. Free some space before working.")
    return Check("disk", Status.NOTE if free < LITTLE_DISK else Status.OK, detail)


def _history() -> Check:
    if find_spec("sqlite_utils") is None:
        return Check("history", Status.NOTE, "unknown, because sqlite-utils is absent")
    from engine.records import Records

    try:
        with Records.open(paths.home(), read_only=True) as records:
            faults = records.doctor()
    except errors.NotFound:
        return Check("history", Status.OK, "empty: nothing has been saved yet")
    except errors.IntervalError as error:
        return Check("history", Status.BAD, str(error))
    if not faults:
        return Check("history", Status.OK, "the database, its log, the signatures and the stored images are whole")
    harmless = all(fault.check == "orphans" for fault in faults)
    shown = " ".join(fault.message for fault in faults[:3]) + (
        f" And {len(faults) - 3} more." if len(faults) > 3 else ""
    )
    return Check("history", Status.NOTE if harmless else Status.BAD, shown)


def _models() -> Check:
    found = sorted(folder.parent.name for folder in paths.models().glob("*/config.json"))
    if not found:
        return Check("models", Status.NOTE, f"none in {paths.models()}: everything but drafting works")
    return Check("models", Status.OK, ", ".join(found))


def _wordnet() -> Check:
    from engine.evaluation import wordnet

    found = wordnet.find()
    if found is None:
        return Check("wordnet", Status.NOTE, f"not installed, so there is no METEOR among the scores: {wordnet.GET}")
    return Check("wordnet", Status.OK, f"{found} for METEOR")


def _typeface() -> Check:
    if find_spec("reportlab") is None:
        return Check("chinese", Status.NOTE, "unknown, because reportlab is absent")
    from engine.reports import typeface

    found = typeface.east_asian()
    if found is None:
        return Check(
            "chinese", Status.NOTE, f"no typeface, so that reports in Chinese cannot be printed: {typeface.GET}"
        )
    return Check("chinese", Status.OK, f"{found} for the PDF of reports in Chinese")
