"""What the address says of the data page: which set is open, its file, its part, its row; and the ways there.

A link of Streamlit's to the page one is on leaves the browser's address as it was. What is pressed here changes the
address itself, so that the way back, a reload and another window show the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from serving.palette import ACCENT

_STYLE = f"""<style>
[class*="st-key-to-"] button p {{ color: {ACCENT}; }}
[class*="st-key-to-"] button:hover p {{ text-decoration: underline; }}
</style>"""
SET, FILE, TAB, ROW, PRIOR = "set", "file", "tab", "row", "prior"
"""Names in the address."""


def begin() -> None:
    """Before the first of these on a page: they look like links."""
    st.html(_STYLE)


def show(label: str, data: str = "", file: str = "", tab: str = "", *, help: str = "", **more: str) -> None:
    """A way to a data set, to the list of all without one; ``more`` are further names in the address."""
    named = {SET: data, FILE: file, TAB: tab, **more}
    st.button(
        label,
        key=f"to-{label}-{'-'.join(named.values())}",
        type="tertiary",
        help=help or None,
        on_click=go,
        args=({name: value for name, value in named.items() if value},),
    )


def go(named: dict[str, str]) -> None:
    """Have the address say this and nothing else."""
    st.query_params.from_dict(named)


def chosen(name: str, options: Sequence[str], key: str) -> None:
    """Let the widget ``key`` show what the address says of ``name``: the first option where it says none of them."""
    said = st.query_params.get(name, "")
    st.session_state[key] = said if said in options else options[0]


def changed(name: str, key: str) -> None:
    """The widget ``key`` was changed: have the address say so."""
    st.query_params[name] = st.session_state[key]
