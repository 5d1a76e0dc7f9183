"""What travels between the program and the engine's process, and in which form.

    Ask 3 812 9437184\\n           the message, the number of its request (0: of none), bytes of JSON, bytes of arrays
    {"section": "findings", ...}  the message's dataclass as JSON
    ...                           the pixels of the images, as they lie in memory

Nothing executable crosses: pydantic makes the dataclass of that name from the JSON, strictly, or it is no message. So
a process that a hostile model file has taken over can say wrong words to the program and nothing else. What the engine
is told of an image is what models look at; whose image it is stays in the program.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from engine import errors
from engine.drafting.draft import Draft, ModelInfo, Progress, Token
from engine.drafting.files import Stamp
from engine.drafting.question import Asking
from engine.drafting.settings import Decoding
from engine.errors import DatasetError, IntervalError, ModelError
from engine.imaging import wire
from engine.imaging.limits import Limits
from engine.imaging.types import Image, Patient

__all__ = [
    "FROM_ENGINE",
    "TO_ENGINE",
    "Array",
    "Ask",
    "Asked",
    "Failed",
    "Load",
    "Loaded",
    "Message",
    "Packet",
    "Picture",
    "Stop",
    "pack",
    "receive",
    "send",
    "unpack",
]

Array = NDArray[Any]

LONGEST_HEAD = 100
LONGEST_JSON = 32_000_000


@dataclass(frozen=True)
class Load:
    """To the engine, once and first: the model, and the options of ``Engine.load``."""

    path: str
    options: dict[str, str | int | float | bool | None]


@dataclass(frozen=True)
class Loaded:
    """The model is there. ``files`` are those it was made of, as they were before they were read."""

    info: ModelInfo
    warnings: tuple[str, ...]
    files: tuple[Stamp, ...]


@dataclass(frozen=True)
class Picture:
    """An image but for its arrays: the name and the bytes of each, in the order in which they follow the message."""

    values: dict[str, Any]
    arrays: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Ask:
    """To the engine: draft this. The arguments are those of ``Engine.stream``."""

    current: Picture
    prior: Picture | None
    asking: Asking
    decoding: Decoding


@dataclass(frozen=True)
class Asked:
    """What is being put to the model, exactly; then come Progress and Token, and at the end Draft or Failed."""

    prompt: str
    token_ids: tuple[int, ...]
    decoding: Decoding


@dataclass(frozen=True)
class Stop:
    """To the engine: no more of this request. With ``keep`` what was written so far is still wanted, as a Draft."""

    keep: bool


@dataclass(frozen=True)
class Failed:
    """What was asked for cannot be done.

    Attributes:
        kind: a class of engine.errors; "" for a fault of the program, of which the log has the lines of code.
        sentence, problems, rows: what the error says.
    """

    kind: str
    sentence: str = ""
    problems: tuple[str, ...] = ()
    rows: tuple[tuple[int, str], ...] = ()

    @classmethod
    def of(cls, error: Exception) -> Failed:
        """``error``, as it travels."""
        if not isinstance(error, IntervalError):
            return cls("")
        problems = error.problems if isinstance(error, ModelError) else ()
        rows = error.rows if isinstance(error, DatasetError) else ()
        return cls(type(error).__name__, str(error), problems, rows)

    def error(self) -> Exception:
        """The error again, for raising."""
        if self.kind not in errors.__all__:
            return RuntimeError("a fault in the engine's process")
        kind: type[IntervalError] = getattr(errors, self.kind)
        if issubclass(kind, ModelError):
            return kind(self.sentence, self.problems)
        if issubclass(kind, DatasetError):
            return kind(self.sentence, self.rows)
        return kind(self.sentence)


Message = Load | Ask | Stop | Loaded | Asked | Progress | Token | Draft | Failed

TO_ENGINE = (Load, Ask, Stop)
FROM_ENGINE = (Loaded, Asked, Progress, Token, Draft, Failed)


@dataclass(frozen=True, eq=False)
class Packet:
    """A message as it arrived, with the number of its request and the arrays behind it."""

    number: int
    message: Message
    arrays: bytearray


def send(stream: IO[bytes], number: int, message: Message, arrays: Sequence[Array] = ()) -> None:
    """Write one message. Raises OSError when nobody reads any more."""
    body = json.dumps(asdict(message)).encode("ascii")
    raw = [np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in arrays]
    size = sum(each.nbytes for each in raw)
    stream.write(f"{type(message).__name__} {number} {len(body)} {size}\n".encode("ascii"))
    stream.write(body)
    for each in raw:
        stream.write(each.data)
    stream.flush()


def receive(stream: IO[bytes], kinds: Collection[type], *, arrays: int = 0) -> Packet | None:
    """The next message, one of ``kinds`` with at most so many bytes of ``arrays``; None where the stream has ended.

    Raises ValueError, or what a dataclass raises, for anything else.
    """
    head = stream.readline(LONGEST_HEAD)
    if not head.endswith(b"\n"):
        if len(head) < LONGEST_HEAD:
            return None  # the other side ended, perhaps in the middle of a word
        raise ValueError("not the head of a message")
    name, *figures = head.decode("ascii").split()
    number, length, size = (int(figure) for figure in figures)
    kind = next((kind for kind in kinds if kind.__name__ == name), None)
    if kind is None or not 0 <= length <= LONGEST_JSON or not 0 <= size <= arrays:
        raise ValueError("a message that is not expected here")
    body = stream.read(length)
    raw = bytearray(size)
    if len(body) < length or _fill(stream, raw) < size:
        return None
    return Packet(number, _adapter(kind).validate_json(body, strict=True), raw)


def pack(image: Image) -> tuple[Picture, list[Array]]:
    """An image for the engine, without what says whose it is or where it came from."""
    nobody = replace(
        image, source="", patient=Patient(), study_uid="", sop_uid="", accession="", acquired=None, acquired_basis=""
    )
    values, arrays = wire.describe(nobody)
    return Picture(values, tuple((name, array.nbytes) for name, array in arrays.items())), list(arrays.values())


def unpack(pictures: Sequence[Picture], arrays: bytearray) -> list[Image]:
    """The images again, their arrays in ``arrays`` one behind the other. Raises ValueError, TypeError or KeyError."""
    images, begin, whole = [], 0, memoryview(arrays)
    for picture in pictures:
        parts: dict[str, memoryview] = {}
        for name, size in picture.arrays:
            parts[name] = whole[begin : begin + size]
            begin += size

        def take(name: str, dtype: str, count: int, parts: dict[str, memoryview] = parts) -> Array:
            values = np.frombuffer(parts[name], np.dtype(dtype))
            if values.size != count:
                raise ValueError("array of another size than announced")
            return values

        images.append(wire.restore(picture.values, take, Limits().pixels))
    return images


def largest_arrays() -> int:
    """Bytes that the arrays of two images may have: pixels, padding and colours, and some look-up tables."""
    return 2 * (Limits().pixels * (2 + 1 + 3) + 32 * 65536 * 8)


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _fill(stream: IO[bytes], raw: bytearray) -> int:
    """Read until ``raw`` is full; how much of it is."""
    done, view = 0, memoryview(raw)
    while done < len(raw):
        got = stream.readinto(view[done:])  # type: ignore[attr-defined]
        if not got:
            break
        done += got
    return done
