"""What the reader has chosen to draft with: a model folder and a precision; and how the engine is asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

AUTOMATIC = "auto"

PRECISIONS = {
    AUTOMATIC: "Automatic: the best that fits",
    "float32": "float32: full precision",
    "bfloat16": "bfloat16: half the size",
    "int8": "int8: a quarter of the size",
    "nf4": "nf4: smallest and coarsest",
}
"""Every precision that can be chosen, in plain words, the default first."""

# int8 and nf4 keep the layers' weights; what is computed with is 16 bits wide, as in the engine's own ladder and plan.
OPTIONS: Mapping[str, Mapping[str, str]] = {
    AUTOMATIC: {"quantization": "auto"},
    "float32": {"dtype": "float32", "quantization": "none"},
    "bfloat16": {"dtype": "bfloat16", "quantization": "none"},
    "int8": {"dtype": "bfloat16", "quantization": "int8"},
    "nf4": {"dtype": "bfloat16", "quantization": "nf4"},
}
"""The arguments of ``Engine.load`` for each."""


@dataclass(frozen=True)
class Chosen:
    """A folder as text and one of PRECISIONS; the empty path stands for the default model, or for none."""

    path: str = ""
    precision: str = AUTOMATIC

    @property
    def options(self) -> Mapping[str, str]:
        """The arguments of ``Engine.load`` beside the folder."""
        return OPTIONS[self.precision]

    def at(self, path: str) -> Chosen:
        """The same precision of another model."""
        return replace(self, path=path)


def chosen(path: object, precision: object) -> Chosen:
    """What a page has sent; anything that is no choice counts as none made."""
    return Chosen(
        path if isinstance(path, str) else "",
        precision if isinstance(precision, str) and precision in PRECISIONS else AUTOMATIC,
    )
