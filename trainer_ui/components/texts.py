"""Texts of models and reports beside each other, with their differences marked by more than colour."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from serving.palette import TEXT
from trainer_ui.services.differences import Piece, compared

_BOX = f"color: {TEXT}; line-height: 1.65; white-space: pre-wrap; overflow-wrap: anywhere;"
LEFT_OUT = "background: none; color: #86bdff; border-bottom: 2px dotted #86bdff;"
ADDED = "background: rgba(230, 159, 0, 0.22); color: #ffd18a; border-bottom: 2px solid #e69f00; border-radius: 2px;"


def beside(reference: str, written: str) -> None:
    """The reference and what was written, side by side."""
    left, right = compared(reference, written)
    first, second = st.columns(2, gap="medium")
    with first:
        st.caption("Reference")
        st.html(marked(left, LEFT_OUT))
    with second:
        st.caption("What the model wrote")
        st.html(marked(right, ADDED) if right else "<i>nothing</i>")


def key() -> None:
    """What the marks mean."""
    st.html(
        f'<span style="{LEFT_OUT}">dotted</span>: words of the reference that the model did not write. '
        f'<span style="{ADDED}">underlined</span>: words of the model that are not in the reference. '
        "Words are compared, not their meaning."
    )


def marked(pieces: Sequence[Piece], style: str) -> str:
    """HTML of a text; all of the text is escaped."""
    spans = (escape(p.text) if p.same else f'<span style="{style}">{escape(p.text)}</span>' for p in pieces)
    return f'<div style="{_BOX}">{" ".join(spans)}</div>'
