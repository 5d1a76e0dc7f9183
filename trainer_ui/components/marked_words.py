"""A text with what it says otherwise than its reference: words of its own underlined, words it leaves out struck.

Marked by lines as well as colour, and by HTML's own elements for inserted and deleted text, which screen readers say.
Words are compared, not their meaning. All text is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from serving.palette import DIM, TEXT

_STYLE = f"""<style>
.studio-words {{ color: {TEXT}; line-height: 1.6; white-space: pre-wrap; overflow-wrap: anywhere; font-size: 0.95rem; }}
.studio-words ins {{ background: rgba(230, 159, 0, 0.18); color: #ffd18a; text-decoration: none;
  border-bottom: 2px solid #e69f00; border-radius: 2px; }}
.studio-words del {{ color: #86bdff; text-decoration: line-through; text-decoration-thickness: 1px; }}
.studio-words .none {{ color: {DIM}; font-style: italic; }}
</style>"""


def show(text: str, diff: Sequence[tuple[str, str, str]] = ()) -> None:
    """A text; with ``diff`` (as cases have it) what differs from the reference is marked."""
    st.html(_STYLE + html(text, diff))


def key() -> None:
    """What the marks mean."""
    st.html(
        f'{_STYLE}<div class="studio-words" style="font-size: 0.8rem; color: {DIM}">'
        "<ins>underlined</ins>: not in the reference. <del>struck</del>: in the reference, and not written here. "
        "Words are compared, not their meaning.</div>"
    )


def html(text: str, diff: Sequence[tuple[str, str, str]] = ()) -> str:
    """The text in HTML."""
    if not text.strip() and not diff:
        return '<div class="studio-words"><span class="none">nothing</span></div>'
    if not diff:
        return f'<div class="studio-words">{escape(text)}</div>'
    pieces = []
    for tag, before, after in diff:
        if tag == "equal":
            pieces.append(escape(after))
            continue
        if before:
            pieces.append(f"<del>{escape(before)}</del>")
        if after:
            pieces.append(f"<ins>{escape(after)}</ins>")
    return f'<div class="studio-words">{" ".join(pieces)}</div>'
