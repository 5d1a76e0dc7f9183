"""One data set of the data page: ``?set=NAME``, its file ``&file=`` and part ``&tab=``, found again by the address."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from trainer_ui import addresses, errors
from trainer_ui.components import jobs_panel, set_link
from trainer_ui.components.set_link import FILE, ROW, TAB
from trainer_ui.components.words import literal
from trainer_ui.pages import (
    data_against,
    data_check,
    data_corrections,
    data_figures,
    data_look,
    data_split,
)
from trainer_ui.services import opened_set, signed_sets
from trainer_ui.services.datasets import DataSet
from trainer_ui.services.opened_set import Opened

_FILE, _TAB = "data-file", "data-tab"
FORMS = {"training": "samples to train on", "questions": "questions"}

TABS: dict[str, Callable[[Opened], None]] = {
    "Check": data_check.show,
    "Statistics": data_figures.show,
    "Look": data_look.show,
    "Split": data_split.show,
    "Against": data_against.show,
}
CORRECTIONS = "Corrections"
WIDE = ("Look",)
"""Parts that need the whole width: pictures."""


def show(name: str) -> None:
    """The data set, or why there is none of this name and the way back."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        set_link.show("← All data sets")
        try:
            data = opened_set.data_set(name)
        except Exception as error:
            st.title("Data", anchor=False, width="content")
            errors.show(error)
            return
        st.title(literal(data.name), anchor=False, width="content")
        one = _file(data)
        st.caption(f"{one.file.rows:,} {FORMS[one.file.form]}", width="content")
    if data.state == "unfinished":
        st.warning("This set was not finished: whatever made it was stopped. Some of it may be missing.")
    shown = dict(TABS)
    if signed_sets.made(data.folder) is not None:
        shown = {CORRECTIONS: data_corrections.show, **shown}
    set_link.chosen(TAB, list(shown), _TAB)
    tabs = st.tabs(list(shown), key=_TAB, on_change=set_link.changed, args=(TAB, _TAB))
    for tab, (title, part) in zip(tabs, shown.items(), strict=True):
        if tab.open:
            with tab, st.container() if title in WIDE else _beside_jobs(), errors.shown():
                part(one)


def _file(data: DataSet) -> Opened:
    """The file that is chosen, of a set that has several."""
    names = [file.path.name for file in data.files]
    if len(names) == 1:
        st.markdown(literal(names[0]), width="content")
        return Opened(data, data.files[0])
    set_link.chosen(FILE, names, _FILE)
    st.selectbox(
        "File",
        names,
        key=_FILE,
        width=240,
        label_visibility="collapsed",
        on_change=_other_file,
    )
    return opened_set.opened(data.name, st.session_state[_FILE])


def _other_file() -> None:
    set_link.changed(FILE, _FILE)
    st.query_params.pop(ROW, None)


def _beside_jobs() -> st.delta_generator.DeltaGenerator:
    """The place for a part of the page: tables and charts need more room than the jobs beside them."""
    main, side = st.columns([8, 3], gap="large")
    with side:
        jobs_panel.show(addresses.DATA)
    return main
