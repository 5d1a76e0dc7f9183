"""Server-sent events: the same whatever pieces they arrive in."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.remote.events import Events

LINES = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=8)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


def heard(pieces: list[bytes]) -> list[str]:
    events = Events()
    found = [data for piece in pieces for data in events.feed(piece)]
    return found + list(events.end())


@given(st.lists(st.lists(LINES, min_size=1, max_size=3), max_size=4), ENDS, st.lists(st.integers(0, 200), max_size=6))
def test_events_come_whole_in_whatever_pieces(texts: list[list[str]], end: str, cuts: list[int]) -> None:
    written = "".join(
        "".join(f"data: {line}{end}" for line in lines) + f": a comment{end}id: 3{end}{end}" for lines in texts
    )
    raw = written.encode()
    places = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    pieces = [raw[begin:stop] for begin, stop in pairwise(places)]
    assert heard(pieces) == ["\n".join(lines) for lines in texts]


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (b"data:one\n\ndata: two", ["one", "two"]),
        (b"data: a\xe2\x80\xa8b\n\n", ["a\u2028b"]),
        (b"event: x\nretry: 3\n\n", []),
        (b"data: \xff\n\n", ["\ufffd"]),
        (b"\n\n\ndata\ndata: x\r\n\r\n", ["x"]),
    ],
)
def test_what_servers_write_otherwise(written: bytes, found: list[str]) -> None:
    assert heard([written]) == found
