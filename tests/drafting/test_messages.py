"""What travels between the program and the engine's process arrives as it was, and nothing else is a message."""

from __future__ import annotations

import io
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import errors
from engine.drafting.draft import Check, Draft, ModelInfo, Progress, Scored, Timings, Token
from engine.drafting.messages import (
    FROM_ENGINE,
    TO_ENGINE,
    Ask,
    Asked,
    Failed,
    Load,
    Loaded,
    Message,
    Picture,
    Stop,
    receive,
    send,
    unpack,
)
from engine.drafting.question import Asking, Turn
from engine.drafting.settings import Decoding

ASKING = Asking(context="<b>", earlier=(Turn("q", "a"),), stops=("s",), hints=("h",))
INFO = ModelInfo("/m", "m", "libra-tac", "0" * 64, "float32", "none", 3, True, "", "libra_v1", modalities=("CR",))
TIMINGS = Timings(0.1, 1e-9, 0.0, 3.5, 0.0, 1.0, 2, 1 << 40)
SCORED = (Scored("a", (1, 2), -0.5, (-1.5, -math.inf)), Scored("", (), None))
DRAFT = Draft(
    "a \u2028\x00\U0001f600", (1, 2), (1, -200), SCORED, INFO, Decoding(num_beams=2, seed=2**62), "p", (),
    (Check("empty", "x"),), TIMINGS, True, "cancelled",
)  # fmt: skip
MESSAGES: list[Message] = [
    Load("/m", {"base": None, "dtype": "auto", "threads": 2, "share": 0.5, "merge": True}),
    Ask(Picture({"shape": [1, 2]}, (("pixels", 4),)), None, ASKING, Decoding(temperature=0.5)),
    Stop(True),
    Loaded(INFO, ("careful",), ()),
    Asked("p", (1, -200, 3), Decoding()),
    Progress("images", 0.0, "Looking"),
    Progress("prompt", None, "Reading"),
    Token(5, "so far", "far"),
    DRAFT,
    Failed("ModelError", "No.", ("one",), ((1, "x"),)),
]


def carried(message: Message) -> object:
    pipe = io.BytesIO()
    send(pipe, 7, message)
    pipe.seek(0)
    packet = receive(pipe, (*TO_ENGINE, *FROM_ENGINE))
    assert packet is not None and packet.number == 7 and pipe.read() == b""
    assert repr(packet.message) == repr(message), "1 is not 1.0"
    return packet.message


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_arrives_as_it_was(message: Message) -> None:
    assert carried(message) == message


@given(st.text(), st.integers(min_value=-(2**40), max_value=2**40))
def test_any_text_arrives(text: str, number: int) -> None:
    assert carried(Token(number, text, text[:3])) == Token(number, text, text[:3])


def test_arrays_follow_their_message() -> None:
    pipe = io.BytesIO()
    one, two = np.arange(6, dtype="<u2").reshape(2, 3)[:, ::2], np.eye(3, dtype=bool)
    send(pipe, 1, Stop(False), (one, two))
    send(pipe, 2, Stop(True))
    pipe.seek(0)
    first = receive(pipe, TO_ENGINE, arrays=17)
    assert first is not None and bytes(first.arrays) == one.tobytes() + two.tobytes()
    second = receive(pipe, TO_ENGINE)
    assert second is not None and (second.number, second.message) == (2, Stop(True))
    assert receive(pipe, TO_ENGINE) is None


def framed(name: str, body: bytes, arrays: int = 0, number: object = 0) -> bytes:
    return f"{name} {number} {len(body)} {arrays}\n".encode() + body


@pytest.mark.parametrize(
    "sent",
    [
        pickle.dumps(print) + b"\n",
        b"\x00" * 200,
        b"Token\n",
        b"Token 1 2 3 4\n",
        b"Token one 2 0\n",
        b"Token 1 -2 0\n",
        b"Token 1 99999999999 0\n",
        framed("Stop", b'{"keep":true}'),
        framed("Reduce", b"{}"),
        framed("Token", b"{}"),
        framed("Token", b'{"id":"5","text_so_far":"","delta":""}'),
        framed("Token", b'{"id":5,"text_so_far":null,"delta":""}'),
        framed("Token", b"[" * 100_000),
        framed("Token", b"\xff\xfe"),
        framed("Token", b'{"id":5,"text_so_far":"","delta":""}', arrays=1) + b"x",
        framed("Draft", b'{"text":"x","finished":"signed"}'),
        framed("Asked", b'{"prompt":"","token_ids":[],"decoding":{"num_beams":-1}}'),
    ],
)
def test_anything_else_is_refused(sent: bytes) -> None:
    with pytest.raises((ValueError, errors.UsageError)):
        receive(io.BytesIO(sent), FROM_ENGINE)


def test_what_is_cut_off_is_the_end() -> None:
    pipe = io.BytesIO()
    send(pipe, 1, DRAFT)
    whole = pipe.getvalue()
    for length in (0, 3, len(whole) // 2, len(whole) - 1):
        assert receive(io.BytesIO(whole[:length]), FROM_ENGINE) is None


def test_pictures_that_contradict_themselves_are_refused() -> None:
    wrong = Picture({"shape": [2, 2]}, (("pixels", 4),))
    with pytest.raises((ValueError, KeyError)):
        unpack([wrong], bytearray(4))


def test_no_class_but_the_errors_of_the_tree_comes_out_of_a_failure() -> None:
    for kind in ("", "SystemExit", "ClassVar", "__all__", "annotations"):
        assert type(Failed(kind, "x").error()) is RuntimeError
    assert Failed.of(ZeroDivisionError("Phantom^Test")) == Failed(""), "what another error says stays where it was"
