"""The way to a data set, one of its files, and a part of what is shown of it: what stands in the address."""

from __future__ import annotations

import streamlit as st

from trainer_ui import addresses, navigation

SET, FILE, TAB, ROW, PRIOR = "set", "file", "tab", "row", "prior"
"""Names in the address."""


def show(label: str, data: str, file: str = "", tab: str = "", *, help: str = "", **more: str) -> None:
    """A link to a data set; ``more`` are further names in the address."""
    named = {SET: data, FILE: file, TAB: tab, **more}
    st.page_link(
        navigation.page(addresses.DATA),
        label=label,
        help=help or None,
        query_params={name: value for name, value in named.items() if value},
    )
