"""Who is called what in a set: keyed hashes, and for each patient a number of days by which dates move.

The key is a secret of the data folder and never leaves it. With it the same patient has the same name in every set of
this folder, so that sets can be joined and split; without it nobody can try identifiers until one fits (a plain hash
of a six-digit number is undone in a second). HMAC-SHA-256 (RFC 2104), cut to 64 bits.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from engine import paths
from engine.errors import ResourceError

FILE = "deidentification.key"
_BYTES = 32
_MOST_DAYS = 3650


@dataclass(frozen=True)
class Pseudonyms:
    """Names under one secret. Two kinds of things never share a name, whatever they are called."""

    secret: bytes = field(repr=False)

    def patient(self, issuer: str, identity: str) -> str:
        """The patient's name in the set."""
        return "p" + self._digest("patient", issuer, identity).hex()[:16]

    def study(self, key: str) -> str:
        """A study's, by its key in the history."""
        return "s" + self._digest("study", key).hex()[:16]

    def image(self, sha256: str) -> str:
        """An image's, by the hash of its file."""
        return "i" + self._digest("image", sha256).hex()[:16]

    def row(self, report: str) -> str:
        """A row's, by its report's id."""
        return "r" + self._digest("report", report).hex()[:16]

    def days(self, issuer: str, identity: str) -> int:
        """By how many days every date of this patient is moved: into the past, by 1 day to 10 years."""
        return -1 - int.from_bytes(self._digest("days", issuer, identity)[:8], "big") % _MOST_DAYS

    def _digest(self, *parts: str) -> bytes:
        message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
        return hmac.new(self.secret, message, hashlib.sha256).digest()


def load_secret(home: Path) -> bytes:
    """The secret of a data folder, made on first use; readable by this user alone.

    Raises:
        ResourceError: it can be neither read nor written, or the file holds something else.
    """
    file = paths.ensure(home) / FILE
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(file)
    except OSError as cause:
        raise ResourceError(f"The data folder cannot be written: '{FILE}' could not be made.") from cause
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(secrets.token_hex(_BYTES) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    return _read(file)


def _read(file: Path) -> bytes:
    try:
        if file.stat().st_mode & 0o077:
            file.chmod(0o600)
        secret = bytes.fromhex(file.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as cause:
        raise ResourceError(f"The file '{file.name}' in the data folder cannot be read.") from cause
    if len(secret) != _BYTES:
        raise ResourceError(
            f"The file '{file.name}' in the data folder is damaged. Put it back from a copy; with a new one patients "
            "would be called otherwise than in the sets made before."
        )
    return secret
