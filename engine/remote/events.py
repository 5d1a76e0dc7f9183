"""Server-sent events: the bytes of a ``text/event-stream`` as they arrive -> the data of each event.

As WHATWG's HTML standard defines them (section "Server-sent events"): lines end with LF, CR or both, an event with an
empty line; several data lines make one text; comments, names and ids say nothing to us.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

_END = re.compile(r"\r\n|\n|\r(?!\Z)")
"""The end of a line; a CR that is the last of what has arrived may be half of one."""


class Events:
    """Takes bytes in pieces of any size. ``feed`` and ``end`` give the events that are complete."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> Iterator[str]:
        """The data of the events that end within this piece."""
        *lines, self._rest = _END.split(self._rest + self._decoder.decode(piece))
        for line in lines:
            yield from self._line(line)

    def end(self) -> Iterator[str]:
        """What was begun, where the stream ends without an empty line: some servers do not write the last one."""
        yield from self.feed(b"\n\n")

    def _line(self, line: str) -> Iterator[str]:
        if not line:
            if self._data:
                yield "\n".join(self._data)
            self._data = []
        elif line.startswith("data:"):
            self._data.append(line.removeprefix("data:").removeprefix(" "))
