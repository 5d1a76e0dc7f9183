"""A training file parted into training, validation and test, patient by patient."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from engine.datasets.splitting import Unnamed
from trainer_ui import errors
from trainer_ui.components import job_note, jobs_panel, set_link
from trainer_ui.components.numbers import counted
from trainer_ui.components.words import literal
from trainer_ui.services import datasets, split_sets
from trainer_ui.services.opened_set import Opened
from trainer_ui.services.split_sets import Split, Wanted

UNNAMED: dict[Unnamed, str] = {
    "refuse": "Do not split: a patient could come into two parts",
    "image": "Go by their current image",
    "id": "Go by themselves: only if no patient has two rows",
}


def show(one: Opened) -> None:
    """The part of the page."""
    st.markdown(
        "A model must not be judged by patients it has learnt from. Every patient goes into one part, with all rows "
        "and images; the same seed gives the same parts again, and patients who come later move nobody."
    )
    for split in split_sets.made(one):
        _table(split)
    job = split_sets.unfinished(one)
    if job is not None:
        job_note.show(job)
    if one.file.form != "training":
        st.info("Samples to train on are split. This file holds questions, which are one part already.")
        return
    _form(one)


def _table(split: Split) -> None:
    with st.container(border=True):
        st.markdown(f"**{literal(split.name)}**: {literal(split.how)}")
        rows, patients = (sum(getattr(part, name) for part in split.parts) for name in ("rows", "patients"))
        st.dataframe(
            {
                "Part": [part.name for part in split.parts] + ["All"],
                "Patients": [part.patients for part in split.parts] + [patients],
                "Rows": [part.rows for part in split.parts] + [rows],
                "File": [part.file or "none: nobody fell into it" for part in split.parts] + [""],
                "What it is for": [part.purpose for part in split.parts] + [""],
            },
            hide_index=True,
            height="content",
            key=f"split-{split.name}",
            alt="; ".join(f"{part.name}: {part.patients} patients, {part.rows} rows" for part in split.parts),
        )
        if split.linked:
            groups = counted(split.linked, "group of patients shares", "groups of patients share")
            st.warning(f"{groups} image files and were kept together. Are these really different patients?")
        set_link.show("Open this set", split.name)


def _form(one: Opened) -> None:
    nameless = split_sets.nameless(one)
    if nameless:
        st.warning(
            f"{nameless:,} of {counted(one.file.rows, 'row')} name no patient. Choose below what such rows go by."
        )
    with st.form("split", border=True):
        first, second = st.columns(2)
        base = one.data.name if one.data.own else Path(one.data.name).stem
        name = first.text_input("Name of the new set", datasets.suggested(f"{base}-split"), max_chars=64)
        seed = second.number_input("Seed", 0, 1_000_000, 0, help="Another seed, another split.")
        validation = first.number_input("Patients for validation, per cent", 0, 90, 10)
        test = second.number_input("Patients for the test, per cent", 0, 90, 10)
        unnamed = st.selectbox("Rows without a patient", list(UNNAMED), format_func=UNNAMED.__getitem__)
        if st.form_submit_button("Split", type="primary"):
            with errors.shown():
                wanted = Wanted(name, test / 100, validation / 100, int(seed), unnamed)
                jobs_panel.open_job(split_sets.begin(one, wanted).id)
                st.rerun()
