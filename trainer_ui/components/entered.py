"""What a field holds, for the callback of its change."""

from __future__ import annotations

from typing import Any

import streamlit as st


def value(key: str) -> Any:
    """What the user has entered into the widget ``key``.

    Streamlit breaks a callback off when the page is left meanwhile, at the next look into ``st.session_state`` and for
    good: what was entered would be lost. It does not at this one, so a callback that reads by it and then keeps what it
    read in a file is never broken off.

    Raises:
        KeyError: there is no such widget.
    """
    return st.session_state.to_dict()[key]
