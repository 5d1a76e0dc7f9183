"""The pages and the way between them."""

from __future__ import annotations

import streamlit as st

from trainer_ui import addresses


def pages() -> list[st.Page]:
    """All pages in their order, made for one run of the script."""
    made = {address: _made(address) for address in addresses.PAGES}
    st.session_state["pages"] = made
    return list(made.values())


def page(address: str) -> st.Page:
    """The page of an address, for a link."""
    found: st.Page = st.session_state["pages"][address]
    return found


def _made(address: str) -> st.Page:
    from trainer_ui.pages import data, evaluate, export, home, train  # they link to each other through this module

    shown = {
        addresses.HOME: home.show,
        addresses.DATA: data.show,
        addresses.TRAIN: train.show,
        addresses.EVALUATE: evaluate.show,
        addresses.EXPORT: export.show,
    }[address]
    return st.Page(shown, title=addresses.PAGES[address], url_path=address, default=address == addresses.HOME)
