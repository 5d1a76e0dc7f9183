"""A sample's text as a model gets it: what is learnt is underlined on a ground of its own, not told by colour alone."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from serving.palette import ACCENT, DIM, FIELD, LINE, TEXT
from trainer_ui.services.learnt import Piece

_BOX = (
    f"color: {TEXT}; background: {FIELD}; border: 1px solid {LINE}; border-radius: 4px; padding: 0.6rem 0.8rem; "
    "line-height: 1.75; white-space: pre-wrap; overflow-wrap: anywhere;"
)
LEARNT = f"color: {TEXT}; background: rgba(76, 194, 176, 0.20); border-bottom: 2px solid {ACCENT};"
GIVEN = f"color: {DIM};"
_IMAGES = f"color: {TEXT}; border: 1px dashed {DIM}; border-radius: 4px; padding: 0 0.4rem;"


def show(pieces: Sequence[Piece], images: str) -> None:
    """The text and what its marks mean; ``images`` stands where the images are, for instance "both images"."""
    st.html(f'<div style="{_BOX}">{marked(pieces, images)}</div>')


def key() -> None:
    """What the marks mean."""
    st.html(
        f'<span style="{LEARNT}">underlined, on a ground</span>: what the model learns to write. '
        f'<span style="{GIVEN}">dim</span>: what it is given; nothing is learnt from it. '
        f'<span style="{_IMAGES}">dashed box</span>: where the images stand.'
    )


def marked(pieces: Sequence[Piece], images: str) -> str:
    """HTML of the pieces; all of their text is escaped."""
    return "".join(
        f'<span style="{_IMAGES}">{escape(images)}</span>'
        if piece.images
        else f'<span style="{LEARNT if piece.learnt else GIVEN}">{escape(piece.text)}</span>'
        for piece in pieces
    )
