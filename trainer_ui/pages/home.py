"""The first page: what the studio is, where in the loop the user is, what the machine has."""

from __future__ import annotations

import streamlit as st

from trainer_ui import addresses, errors, navigation
from trainer_ui.components import frame
from trainer_ui.components.words import literal
from trainer_ui.services import loop, machine


def show() -> None:
    """The page."""
    frame.head(
        "Training studio",
        "Make a model better at describing chest radiographs, and prove it before anybody uses it. Everything stays on "
        "this machine.",
    )
    with frame.beside_jobs(addresses.HOME):
        with errors.shown():
            _steps()
        with errors.shown():
            _machine()


def _steps() -> None:
    steps = loop.steps()
    for row in (steps[:2], steps[2:]):
        for column, step in zip(st.columns(2), row, strict=True):
            with column, st.container(border=True, height="stretch", key=f"step-{step.page}"):
                st.subheader(f"{steps.index(step) + 1}  {step.name}", anchor=False)
                st.caption(step.purpose)
                st.markdown(f"**{literal(step.there)}**" if step.begun else literal(step.there))
                st.page_link(navigation.page(step.page), label=step.then)


def _machine() -> None:
    st.subheader("This machine", anchor=False)
    with st.container(border=True, key="machine"):
        for part in machine.parts():
            name, words = st.columns([1, 4])
            name.caption(part.name)
            words.markdown(f":orange[{literal(part.words)}]" if part.little else literal(part.words))
