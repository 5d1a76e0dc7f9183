"""The parts of a page as a row of buttons; the chosen one stands in the address, so that a reload shows the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

VIEW = "view"


def choose(views: Mapping[str, str], first: Callable[[], str], *, page: str, dropped: Sequence[str]) -> str:
    """The chosen one of ``views`` (key -> title); draws the buttons.

    Args:
        first: what is shown to somebody who has not chosen.
        page: the page's own name, for the buttons' key.
        dropped: parameters of the address that mean something in one part only, and go when another is turned to.
    """
    key = f"{page}-view"

    def turn() -> None:
        st.query_params[VIEW] = st.session_state[key]
        for name in dropped:
            st.query_params.pop(name, None)

    named = st.query_params.get(VIEW, "")
    if named not in views:
        named = first()
    st.session_state[key] = named
    st.segmented_control(
        "Part of the page",
        list(views),
        format_func=views.__getitem__,
        required=True,
        key=key,
        on_change=turn,
        label_visibility="collapsed",
    )
    return named
