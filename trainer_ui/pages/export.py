"""The export page."""

from __future__ import annotations

import streamlit as st

from trainer_ui import addresses, errors, navigation
from trainer_ui.components import frame
from trainer_ui.components.words import literal
from trainer_ui.services import loop


def show() -> None:
    """The page."""
    frame.head(
        "Export",
        "A model that has been evaluated is promoted: the viewer offers it with its scores beside it. A promotion can "
        "be taken back.",
    )
    with frame.beside_jobs(addresses.EXPORT), errors.shown():
        promoted = loop.promoted()
        if not promoted:
            st.info("No model has been promoted yet. It begins with an evaluation.")
            st.page_link(navigation.page(addresses.EVALUATE), label="Evaluate a model")
        for name in promoted:
            with st.container(border=True):
                st.markdown(f"**{literal(name)}**")
