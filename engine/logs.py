"""The log: what a maintainer needs to find a fault, without anything about a patient.

One file a day under ``home()/logs``. Three rules keep patients out of it:

* our own messages (loggers ``engine``, ``app``, ``trainer_ui``, ``serving``) name ids and hashes only; a person name
  in DICOM's form that slips in all the same is masked;
* a message of another library is not written at all, because it may quote the file it complains about: only the
  library, the level and the line of code are;
* of an exception the classes and the lines of code are written, never its text and never the value of a variable.

Knows nothing of commands or screens. Only standard output and this file exist: nothing is sent anywhere.
"""

from __future__ import annotations

import logging
import re
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from engine import paths

KEPT_FILES = 30
_OWN = ("engine", "app", "launch", "serving", "trainer_ui")
_PERSON_NAME = re.compile(r"[^\s\"'=,;:()\[\]]+\^[^\s\"',;()\[\]]*")


class PrivateFormatter(logging.Formatter):
    """Formats a record by the three rules of this module; times are UTC."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        where = f"{record.name} {record.module}:{record.lineno}"
        text = (
            _PERSON_NAME.sub("[name]", record.getMessage())
            if _is_ours(record)
            else "(text of another library withheld)"
        )
        line = f"{when} {record.levelname} {record.process} {where} {text}"
        if record.exc_info and record.exc_info[1] is not None:
            line += "\n" + "\n".join(_outline(record.exc_info[1]))
        return line


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.split(".", 1)[0] in _OWN


def _worth_keeping(record: logging.LogRecord) -> bool:
    """Another library's records carry no text here, so that only its warnings and errors are worth a line."""
    return _is_ours(record) or record.levelno >= logging.WARNING


def _outline(error: BaseException) -> list[str]:
    """The chain of an exception, cause first, as classes and code lines."""
    lines: list[str] = []
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    for member in reversed(chain):
        lines.append(f"  {type(member).__module__}.{type(member).__qualname__}")
        lines.extend(_frames(member.__traceback__))
    return lines


def _frames(trace: TracebackType | None) -> list[str]:
    return [f"    {_short(frame.filename)}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(trace)]


def _short(filename: str) -> str:
    """A code file relative to the project or to its library, so that no user's folder is named."""
    path = Path(filename)
    if path.is_relative_to(paths.PROJECT):
        path = path.relative_to(paths.PROJECT)
    parts = path.parts
    return "/".join(parts[parts.index("site-packages") + 1 :] if "site-packages" in parts else parts[-4:])


def log_file() -> Path:
    """Today's log file; it exists only once something was logged."""
    return paths.home() / "logs" / f"interval-{datetime.now(UTC):%Y-%m-%d}.log"


def level() -> int | None:
    """The level of the log this process keeps, for a process that it starts to keep the same; None if it keeps none."""
    root = logging.getLogger()
    kept = any(isinstance(handler.formatter, PrivateFormatter) for handler in root.handlers)
    return root.level if kept else None


def start(level: int = logging.INFO) -> None:
    """Send every log record and every Python warning of this process to the log file, and to nothing else.

    May be called again, e.g. in a worker process or after the data folder changed; the newest call counts. Where the
    data folder cannot be written the program works without a log.
    """
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler.formatter, PrivateFormatter)]:
        root.removeHandler(old)
        old.close()
    root.setLevel(level)
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # a full disk must not print a trace at every record
    file = log_file()
    try:
        paths.ensure(file.parent)
        _prune(file.parent)
        handler: logging.Handler = logging.FileHandler(file, encoding="utf-8", delay=True)
    except OSError:
        handler = logging.NullHandler()
    handler.setFormatter(PrivateFormatter())
    handler.addFilter(_worth_keeping)
    root.addHandler(handler)


def _prune(folder: Path) -> None:
    for old in sorted(folder.glob("interval-*.log"))[:-KEPT_FILES]:
        old.unlink(missing_ok=True)
