"""Servers that may draft in place of a model of this machine: those the reader has added, and what he allows each.

They are kept in ``servers.json`` in the data folder: address, name of the model, how it is asked. No key is kept there;
one comes from an environment variable. A server that is not this machine is used only while its own switch says that
images may leave. Knows no widget.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.services import installed
from app.services.installed import ModelChoice, Stamp
from engine import paths
from engine.drafting import served
from engine.drafting.served import ServedEngine
from engine.drafting.served_question import MANNERS, manner
from engine.errors import ResourceError, UsageError
from engine.jobs import files
from engine.models import languages
from engine.remote.address import Address, is_address
from engine.reports.language import LANGUAGES

FILE = "servers.json"
MOST = 50
"""Servers at most."""


@dataclass(frozen=True)
class Server:
    """A model behind an address.

    Attributes:
        url, model: where it is, always written in the same way, and which of the server's models it is.
        conversation: how it is asked; "" as its name suggests.
        most: pixels that pictures are shrunk to; None for the usual.
        remote: whether images may leave this machine for it.
    """

    url: str
    model: str
    conversation: str = ""
    most: int | None = None
    remote: bool = False

    @property
    def path(self) -> str:
        """What stands for it where a model of this machine has a folder."""
        return f"{self.url}#{self.model}"

    @property
    def address(self) -> Address:
        """Where it is."""
        return served.where(self.path)[0]

    @property
    def allowed(self) -> bool:
        """Whether it may be asked."""
        return self.address.local or self.remote

    @property
    def label(self) -> str:
        """Its name among the models."""
        return f"{self.model}, served at {self.address.place}"

    @property
    def words(self) -> str:
        """Its name among the servers, with what it may do."""
        if self.address.local:
            return f"{self.label} (this machine)"
        return f"{self.label} ({'images may leave this machine' if self.remote else 'not allowed'})"

    @property
    def options(self) -> Mapping[str, Any]:
        """The arguments of ``ServedEngine.load`` beside its path."""
        return {
            "allow_remote": self.remote,
            "conversation": self.conversation or None,
            "image_max_pixels": self.most,
        }


class Servers:
    """The servers of this data folder, read each time: what is used is what is written."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def all(self) -> tuple[Server, ...]:
        """Every server that was added, in that order. What cannot be one is passed over."""
        content = files.read(paths.home() / FILE) or {}
        listed = content.get("servers")
        found = [_read(one) for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        return tuple(one for one in found[:MOST] if one is not None)

    def find(self, path: str) -> Server | None:
        """The server that a choice names."""
        return next((one for one in self.all() if one.path == path), None) if is_address(path) else None

    def choices(self) -> tuple[ModelChoice, ...]:
        """Those that may be asked, to be chosen like models."""
        return tuple(ModelChoice(one.label, one.path) for one in self.all() if one.allowed)

    def options(self, path: str) -> Mapping[str, Any]:
        """What the engine of a choice is asked with; nothing for a folder. Raises UsageError for one that may not."""
        if not is_address(path):
            return {}
        found = self.find(path)
        if found is None or not found.allowed:
            raise UsageError("This server may not be asked: add it in Settings, and allow it there if it is elsewhere.")
        return found.options

    def stamp(self, path: str) -> Stamp:
        """Differs where what was set of it differs; empty for what is not there, or may not be asked."""
        found = self.find(path)
        return ((repr(found), 0, 0),) if found is not None and found.allowed else ()

    def tried(self, word: str, name: str, conversation: str, most: int | None, remote: bool) -> tuple[Server, str]:
        """The server as it answers now, with a sentence on how it did. No patient's image is sent.

        Raises:
            UsageError, ModelError, ResourceError: it may not be asked, is not there, or does not answer as it should.
        """
        _permit(served.where(word.strip(), name.strip())[0], remote)
        engine = ServedEngine.load(
            word.strip(),
            served_as=name.strip(),
            allow_remote=remote,
            conversation=conversation or None,
            image_max_pixels=most,
        )
        seconds = engine.tried()
        server = Server(engine.info.served, engine.info.name, conversation, most, remote)
        asked = MANNERS[engine.info.conversation].family
        return server, (
            f"{server.model} answered a question about two test pictures in {seconds:.1f} s, asked as {asked} is. "
            f"{engine.warnings[0]}"
        )

    def named(self, word: str, name: str, conversation: str, most: int | None, remote: bool) -> Server:
        """The server as the reader has described it; it is asked for a name that was left out. Raises as ``tried``."""
        address, model = served.where(word.strip(), name.strip())
        if not model:
            _permit(address, remote)
            model = ServedEngine.load(word.strip(), allow_remote=remote).info.name
        return Server(address.url, model, conversation, most, remote)

    def add(self, server: Server) -> None:
        """Keep a server, in place of what was said of it before. Raises UsageError, and ResourceError for the disk."""
        if server.conversation and server.conversation not in MANNERS:
            raise UsageError("There is no such way of asking.")
        with self._lock:
            others = [one for one in self.all() if one.path != server.path]
            if len(others) >= MOST:
                raise UsageError(f"There may be {MOST} servers at most; remove one first.")
            self._write((*others, server))

    def remove(self, path: str) -> None:
        """Forget a server. Harmless where there is none."""
        with self._lock:
            self._write(tuple(one for one in self.all() if one.path != path))

    def _write(self, servers: tuple[Server, ...]) -> None:
        folder = paths.home()
        try:
            paths.ensure(folder)
            files.write(folder / FILE, {"servers": [asdict(one) for one in servers]})
        except OSError as cause:
            raise ResourceError("The servers could not be saved; is the disk full?") from cause


def name(path: str) -> str:
    """What a choice is called where its model is not there to say so: a folder's name, or the served model's."""
    return path.partition("#")[2] if is_address(path) else Path(path).name


def written(path: str) -> tuple[str, ...]:
    """The languages in which a choice writes reports, of LANGUAGES."""
    if not is_address(path):
        return installed.written(Path(path))
    found = Servers().find(path)
    how = manner(found.conversation if found is not None else None, name(path))
    return tuple(language for language in LANGUAGES if languages.writes(how.languages, language))


def _permit(address: Address, remote: bool) -> None:
    """Raise UsageError unless a server may be asked."""
    if not address.local and not remote:
        raise UsageError(
            f"The server at {address.place} is not on this machine: images and questions would be sent there. Tick the "
            "box above if that is allowed."
        )


def _read(said: Mapping[str, Any]) -> Server | None:
    """A server from its entry; None for what is none."""
    url, model, conversation, most = (said.get(key) for key in ("url", "model", "conversation", "most"))
    if not isinstance(url, str) or not isinstance(model, str) or not model:
        return None
    try:
        address, name = served.where(f"{url}#{model}")
    except UsageError:
        return None
    return Server(
        address.url,
        name,
        conversation if isinstance(conversation, str) and conversation in MANNERS else "",
        most if isinstance(most, int) and not isinstance(most, bool) else None,
        said.get("remote") is True,
    )
