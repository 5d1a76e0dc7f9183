"""A data set in figures: who and what is in it, how long its reports are, what they say, what they compare."""

from __future__ import annotations

import streamlit as st

from engine.reports import labels
from trainer_ui.components import bars, checked, set_link
from trainer_ui.components.numbers import counted
from trainer_ui.components.words import literal
from trainer_ui.services import set_figures
from trainer_ui.services.opened_set import Opened
from trainer_ui.services.set_figures import Figures

LISTED = 100
"""Rows that are listed by their ids."""


def show(one: Opened) -> None:
    """The part of the page; the figures come from the check."""
    found = checked.result(one)
    if found is None:
        return
    if not found.readable:
        st.info("No row of this file can be used. *Check* says why.")
        return
    told = set_figures.figures(found.description, form=one.file.form)
    _totals(told)
    if not told.answers:
        st.info("These are questions alone, without reference reports: nothing is said in them.")
    _people(told)
    if told.answers:
        _said(told)
        _compared(told, one)
        _repeated(told)


def _totals(told: Figures) -> None:
    for column, (name, figure, help) in zip(st.columns(len(told.totals)), told.totals, strict=True):
        column.metric(name, figure, help=help)


def _people(told: Figures) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Views of the current image", anchor=False)
        bars.across(told.views, of="view", count="rows", key="bars-views")
        st.subheader("Sex", anchor=False)
        bars.across(told.sexes, of="sex", count="rows", key="bars-sexes")
    with right:
        st.subheader("Age", anchor=False)
        if told.ages:
            bars.upright(told.ages, of="age in years", count="rows", key="bars-ages")
            st.caption(told.age_words)
        else:
            st.caption("No row says how old the patient was.")
    if told.questions:
        st.subheader("Kinds of question", anchor=False)
        bars.across(told.questions, of="kind of question", count="rows", key="bars-questions")


def _said(told: Figures) -> None:
    st.subheader("Length of the answers", anchor=False)
    bars.upright(told.lengths, of="words of an answer", count="answers", key="bars-lengths")
    st.caption(told.length_words)
    foreign = [bar for bar in told.languages if bar.name not in ("English", "not told")]
    if foreign:
        most = ", ".join(f"{bar.name} {bar.count:,}" for bar in told.languages)
        st.warning(f"Findings are read in English only. By their words, answers are: {literal(most)}.")
    st.subheader("Findings", anchor=False)
    st.caption(
        f"In how many answers a finding is present, uncertain or denied, as read by rules "
        f"({literal(labels.EXTRACTOR_LINE)})."
    )
    bars.across(told.findings, of="finding", count="answers", key="bars-findings", parts=set_figures.STATUSES)


def _compared(told: Figures, one: Opened) -> None:
    st.subheader("Change since the prior", anchor=False)
    st.caption("Which change is stated of a finding that the answer compares.")
    bars.across(told.changes, of="finding", count="answers", key="bars-changes", parts=set_figures.CHANGES)
    silent, prior = told.silent_with_prior, told.with_prior
    if prior:
        rows = counted(prior, "row")
        st.markdown(f"Of {rows} with a prior, {silent:,} compare nothing ({100 * silent / prior:.0f} %).")
    comparing = told.comparing_without_prior
    if not comparing:
        st.markdown("No row without a prior compares with one.")
        return
    st.warning(
        f"{counted(len(comparing), 'row has', 'rows have')} no prior and yet compare (“unchanged”, “increased”): "
        "a model learns from that to invent a comparison. Leave them out, or take the words out."
    )
    with st.expander(f"Which {counted(len(comparing), 'row')}"):
        st.dataframe({"Id": list(comparing[:LISTED])}, hide_index=True, key="rows-comparing")
        if len(comparing) > LISTED:
            st.caption(f"The first {LISTED} of them.")
        set_link.show("Look at rows without a prior", one.data.name, one.file.path.name, "Look", prior="Without")


def _repeated(told: Figures) -> None:
    st.subheader("Repeated answers", anchor=False)
    share = 100 * told.repeated_rows / told.rows if told.rows else 0
    st.markdown(
        f"{told.repeated_rows:,} of {counted(told.rows, 'row')} ({share:.0f} %) have an answer that another row "
        "has word for word. What is repeated often is learnt as a habit."
    )
    if told.repeated:
        st.dataframe(
            {
                "Rows": [rows for _, rows in told.repeated],
                "Answers that several patients share": [t for t, _ in told.repeated],
            },
            hide_index=True,
            column_config={"Rows": st.column_config.NumberColumn(width=70)},
            key="rows-repeated",
        )
