"""Where a server is: the parts of an address such as http://127.0.0.1:8000/v1, and whether it is this machine.

An address may name one of the server's models behind a "#": http://127.0.0.1:8000/v1#qwen2-vl. Nothing is looked up
or sent here.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from engine.errors import UsageError

LONGEST_NAME = 200
"""Characters of a model's name."""


@dataclass(frozen=True)
class Address:
    """Where a server is: scheme, host and port, and the path before ``/chat/completions``."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def place(self) -> str:
        """Host and port, for people."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole, always written in the same way."""
        return f"{self.scheme}://{self.place}{self.path}"

    @property
    def encrypted(self) -> bool:
        """Whether nobody on the way can read along."""
        return self.scheme == "https"

    @property
    def local(self) -> bool:
        """Whether it is this machine, without asking anybody what a name means."""
        if self.host == "localhost":
            return True
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return bool((mapped or address).is_loopback)

    def leaving(self, what: str) -> str:
        """The sentence that must be said before ``what`` ("Images and questions") is sent there."""
        if self.local:
            return f"{what} are sent to the program that listens at {self.place} on this machine."
        open_to_all = "" if self.encrypted else " over a connection that is not encrypted"
        return f"{what} LEAVE THIS MACHINE: they are sent to {self.place}{open_to_all}."


def is_address(word: str) -> bool:
    """Whether a word names a server, and not a folder."""
    return word.lower().startswith(("http://", "https://"))


def parsed(url: str, what: str, key: str) -> Address:
    """The parts of an address.

    Args:
        url: with or without ``/v1`` and ``/chat/completions``.
        what: whose address it is, for the sentence: "a judge".
        key: the environment variable that holds the key for it.

    Raises:
        UsageError: it is none, or holds a user's name, a password or a query, which would be written into files.
    """
    wrong = f"That is no address of {what}; one is http://127.0.0.1:8000/v1."
    try:
        parts: SplitResult = urlsplit(url.strip())
        port = parts.port or (443 if parts.scheme == "https" else 80)
        host = (parts.hostname or "").rstrip(".")
        host.encode("idna")
    except ValueError as cause:
        raise UsageError(wrong) from cause
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(wrong)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError(f"The address of {what} holds no name, password or query; its key goes into {key}.")
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    return Address(parts.scheme, host, port, path or "/v1")


def named(word: str) -> tuple[str, str]:
    """An address, and the name of the model behind its "#"; "" where it names none.

    Raises UsageError for a name that cannot be one.
    """
    url, _, name = word.strip().partition("#")
    if name and not is_name(name):
        raise UsageError("What stands behind # in a server's address is no model's name.")
    return url, name


def provenance(word: str) -> str:
    """Where a draft of a served model comes from, in words. ``word`` is its address, with the model or without."""
    return f"served by {word.partition('#')[0]}, weights not known to this program"


def is_name(name: str) -> bool:
    """Whether a server's model can be called this: one line that can be printed."""
    return 0 < len(name) <= LONGEST_NAME and name.isprintable() and name == name.strip()
