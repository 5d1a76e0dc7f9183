"""A data file held against another one: whether the same patients, studies, images or reports are in both."""

from __future__ import annotations

import streamlit as st

from trainer_ui import errors
from trainer_ui.components import job_note, jobs_panel, set_link
from trainer_ui.components.words import literal
from trainer_ui.services import opened_set, samples, shared_rows
from trainer_ui.services.opened_set import Opened
from trainer_ui.services.shared_rows import Found, Shared

MOST_LISTED = 1000
"""Shared things that are sent to the browser at once."""

ROWS_NAMED = 4


def show(one: Opened) -> None:
    """The part of the page."""
    st.markdown(
        "A model that is judged on patients it has learnt from is judged too kindly, and nobody sees it in the "
        "figures. Hold what is learnt from against what is held out."
    )
    others = {opened_set.name_of(other.data, other.file): other for other in opened_set.others(one)}
    if not others:
        st.info("There is no other file to hold this one against. Split this set, or add another one.")
        set_link.show("Make or add a data set")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Against", list(others), key="against")
        pixels = st.toggle(
            "Compare pixels",
            value=True,
            key="against-pixels",
            help="Finds copies of an image that were saved anew, for instance a DICOM file as PNG. Takes longer.",
        )
    other = others[name]
    with errors.shown():
        _held(one, other, pixels)


def _held(one: Opened, other: Opened, pixels: bool) -> None:
    found = shared_rows.known(one, other, pixels=pixels)
    job = shared_rows.under_way(one, other, pixels=pixels)
    if found is None and job is not None:
        job_note.show(job)
    if found is not None:
        _shown(one, other, found)
    elif not (job is not None and job.active) and st.button("Compare", type="primary"):
        if shared_rows.small(one, other, pixels=pixels):
            with st.spinner("Comparing"):
                shared_rows.now(one, other, pixels=pixels)
        else:
            jobs_panel.open_job(shared_rows.begin(one, other, pixels=pixels).id)
        st.rerun()


def _shown(one: Opened, other: Opened, found: Found) -> None:
    if found.people:
        st.error("Somebody is in both files: do not train on one and judge by the other. Split the two by patient.")
    elif found.shared:
        st.warning("Nobody is in both files, but some reports are nearly the same. Look at them.")
    else:
        st.success("The two files share nothing: no patient, study or image, and no report that is nearly the same.")
    if found.errors_there:
        st.warning("Some rows of the other file cannot be used and were not compared. Check it by itself.")
    st.dataframe(
        {
            "In both": [words for kind, words, _ in found.counts if kind != "pixels" or found.pixels],
            "How many": [count for kind, _, count in found.counts if kind != "pixels" or found.pixels],
        },
        hide_index=True,
        height="content",
        key="against-counts",
    )
    if any(found.common):
        here, there = found.common
        st.caption(
            f"{here:,} rows here and {there:,} there have wording that many patients have (“no acute cardiopulmonary "
            "process”). That is no leakage by itself and is not listed."
        )
    if found.shared:
        _table(one, other, found.shared)


def _table(one: Opened, other: Opened, shared: tuple[Shared, ...]) -> None:
    some = shared[:MOST_LISTED]
    here = {row.number: row for row in samples.rows_of(one, sorted({each.here[0] for each in some}))}
    there = {row.number: row for row in samples.rows_of(other, sorted({each.there[0] for each in some}))}
    chosen = st.dataframe(
        {
            "Shared": [each.words for each in some],
            "Rows here": [_numbers(each.here) for each in some],
            "Rows there": [_numbers(each.there) for each in some],
            "Alike": [each.similarity for each in some],
            "First one here": [
                samples.first_words(here[each.here[0]]) if each.here[0] in here else "" for each in some
            ],
            "First one there": [
                samples.first_words(there[each.there[0]]) if each.there[0] in there else "" for each in some
            ],
        },
        hide_index=True,
        height=360 if len(some) > 9 else "content",
        column_config={"Alike": st.column_config.NumberColumn(format="%.2f", width=70, help="1: the same words.")},
        placeholder="–",
        on_select="rerun",
        selection_mode="single-row",
        key=f"against-table-{hash(some)}",
    )
    if len(shared) > len(some):
        st.caption(f"The first {len(some):,} of {len(shared):,}.")
    picked = [some[place] for place in chosen["selection"]["rows"] if place < len(some)]
    for each in picked:
        _both(one, other, each)
    if not picked:
        st.caption("Choose a line to see the two rows.")


def _both(one: Opened, other: Opened, each: Shared) -> None:
    for column, opened, number in zip(st.columns(2), (one, other), (each.here[0], each.there[0]), strict=True):
        with column, st.container(border=True):
            for row in samples.rows_of(opened, [number]):
                st.markdown(f"**{literal(opened.name)}, row {row.number}** · {literal(row.id)}")
                st.caption(" · ".join(f"{name} {literal(value)}" for name, value in samples.about(row.case)))
                for asked, said in samples.turns(row.case):
                    st.caption(literal(asked))
                    st.markdown(literal(said))
            set_link.show("Look at it", opened.data.name, opened.file.path.name, "Look", row=str(number))


def _numbers(rows: tuple[int, ...]) -> str:
    more = f" and {len(rows) - ROWS_NAMED} more" if len(rows) > ROWS_NAMED else ""
    return ", ".join(map(str, rows[:ROWS_NAMED])) + more
