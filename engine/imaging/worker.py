"""The process that opens hostile files: ``python -m engine.imaging.worker LIMITS``.

It reads one JSON request a line from its input and answers with one JSON line; arrays go into the folder that the
request names. Its memory, the size of what it writes and its open files are limited where the system can do that
(POSIX); time is kept by the parent, which kills it. It writes nothing to a log: what it meets may name a patient.
Requests: {"do": "read", "path", "source", "folder"} and {"do": "unpack", "path", "source", "folder"}.
Answers: {"image": ...}, {"members": [[source, file]], "problems": [[source, sentence]]} or {"refused": sentence}.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.errors import UnreadableFile
from engine.imaging.archives import unpack
from engine.imaging.limits import Limits
from engine.imaging.parsing import parse_file
from engine.imaging.refusal import Refusal
from engine.imaging.wire import to_wire

__all__ = ["answer", "main"]


def answer(request: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """The reply to one request; a file that cannot be used is a reply, too."""
    path, source, folder = Path(request["path"]), str(request["source"]), Path(request["folder"])
    try:
        if request["do"] == "unpack":
            unpacked = unpack(path, source, folder, limits)
            return {
                "members": [[member.source, member.path.name] for member in unpacked.members],
                "problems": [list(problem) for problem in unpacked.problems],
            }
        return {"image": to_wire(parse_file(path, source, limits), folder)}
    except UnreadableFile as error:
        return {"refused": str(error)}
    except Refusal as refusal:
        return {"refused": refusal.sentence(source)}
    except MemoryError:
        return {"refused": Refusal("needs more memory than one file may use.").sentence(source)}
    except OSError:
        return {"refused": Refusal("could not be opened: no room for its pixels on the disk.").sentence(source)}


def main(arguments: list[str]) -> int:
    """Answer requests until the input ends."""
    limits = Limits(**json.loads(arguments[0]))
    # libraries may print; only answers may reach the parent
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program, which ends this process itself
    _confine(limits)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), limits)), file=answers, flush=True)
    return 0


def _confine(limits: Limits) -> None:
    """Limit this process for good. Without resource limits (Windows) the checks before decoding are what there is."""
    try:
        import resource
    except ImportError:
        return
    largest = max(limits.file_bytes, 8 * limits.pixels)
    for kind, amount in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, largest),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        hard = resource.getrlimit(kind)[1]
        amount = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        with suppress(ValueError, OSError):  # macOS knows some of the names and refuses them
            resource.setrlimit(kind, (amount, amount))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing too much becomes an OSError


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
