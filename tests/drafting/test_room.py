"""More text than a model has room for is an error of its own: who asks may leave out what came before."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import Asking, Comparison, Engine, Turn
from engine.errors import TooLong


@pytest.fixture(scope="module")
def engine(tiny: Path) -> Engine:
    return Engine.load(tiny)


@pytest.mark.parametrize(
    "asking",
    [
        Asking(earlier=tuple(Turn("And now?", "No change. " * 20) for _ in range(40))),
        Asking(earlier=(Turn("", "x" * 20_001),)),
        Asking(context="\U0001f600" * 900),
        Asking(prompt="x" * 2001),
    ],
    ids=["conversation", "turn", "context", "prompt"],
)
def test_too_long(engine: Engine, pictures: tuple[Path, Path], asking: Asking) -> None:
    with pytest.raises(TooLong):
        engine.draft(Comparison.open(*pictures), asking)
