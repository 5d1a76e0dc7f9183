"""A set of signed reports: where it comes from, what was left out, and what clinicians changed in the drafts."""

from __future__ import annotations

import streamlit as st

from trainer_ui import addresses, errors, navigation
from trainer_ui.components import bars, set_link
from trainer_ui.components.numbers import counted
from trainer_ui.components.words import literal
from trainer_ui.services import signed_sets
from trainer_ui.services.opened_set import Opened
from trainer_ui.services.set_figures import Bar
from trainer_ui.services.signed_sets import SENTENCES, Made, Tally

LISTED = 15


def show(one: Opened) -> None:
    """The part of the page."""
    made = signed_sets.made(one.data.folder)
    if made is None:
        st.info("What is known of this set can no longer be read: its manifest is gone.")
        return
    st.markdown(
        f"Made on {made.day} of {counted(made.signed, 'signed report')}, section {made.section}: "
        f"**{counted(made.rows, 'row')}** of {counted(made.patients, 'patient')} with "
        f"{counted(made.images, 'image')}; {made.with_prior:,} with a prior."
    )
    if made.demonstration:
        st.warning(
            f"{counted(made.demonstration, 'row was', 'rows were')} drafted by the demonstration model, which knows "
            "nothing of patients."
        )
    _burned_in(made, one)
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("What was left out", anchor=False)
        _counts(made.left_out, "Why", "Reports", "Nothing was left out.", "signed-left-out")
    with right:
        st.subheader("What was taken from the texts", anchor=False)
        _counts(made.taken_away, "What", "Places", "Nothing had to be taken out.", "signed-taken")
    with st.expander("How it was de-identified"):
        st.markdown(literal(made.method))
    st.subheader("What clinicians changed", anchor=False)
    _changed(made)
    _next(one)


def _burned_in(made: Made, one: Opened) -> None:
    if not made.may_hold_text:
        return
    if made.text_taken:
        reports = counted(made.may_hold_text, "report has an image", "reports have images")
        st.warning(f"{reports} in which there may be text; taken all the same, after somebody had looked at them.")
    else:
        reports = counted(made.may_hold_text, "report was", "reports were")
        st.warning(
            f"{reports} left out because there may be text in an image. Look at the images in the viewer; if no name "
            "is written into one, make the set again under another name with the box for that ticked."
        )
    with st.expander("Which reports"), errors.shown():
        suspects = signed_sets.may_hold_text(one.data.name)
        if not suspects:
            st.caption("The list of them is no longer in the data folder.")
            return
        st.caption("The viewer's history finds them by their accession number.")
        st.dataframe(
            {
                "Accession": [each.accession for each in suspects],
                "Study of": [each.day for each in suspects],
                "View": [each.view for each in suspects],
            },
            hide_index=True,
            key="signed-suspects",
        )


def _counts(counts: tuple[tuple[str, int], ...], what: str, many: str, nothing: str, key: str) -> None:
    if not counts:
        st.caption(nothing)
        return
    st.dataframe(
        {what: [name for name, _ in counts], many: [count for _, count in counts]},
        hide_index=True,
        height="content",
        column_config={many: st.column_config.NumberColumn(width=70)},
        key=key,
    )


def _changed(made: Made) -> None:
    models = [tally for tally in made.models if tally.reports]
    names = [f"{tally.model} ({counted(tally.reports, 'report')})" for tally in models]
    st.caption("Sentences of the drafts by what became of them; added ones are a person's own.")
    bars.across(
        [
            Bar(name, count, part)
            for name, each in zip(names, models, strict=True)
            for part, count in each.sentences
            if count
        ],
        of="model",
        count="sentences",
        parts=SENTENCES,
        key="bars-sentences",
    )
    if len(models) == 1:
        _tally(models[0])
        return
    choices = {"All models": made.everything} | dict(zip(names, models, strict=True))
    chosen = st.selectbox("Of", list(choices), key="signed-model")
    _tally(choices[chosen])


def _tally(tally: Tally) -> None:
    said = ", ".join(f"{count:,} {name}" for name, count in tally.sentences)
    st.markdown(f"{tally.untouched:,} of {counted(tally.reports, 'report')} signed as drafted. Sentences: {said}.")
    left, right = st.columns(2, gap="medium")
    with left:
        st.caption("Findings corrected")
        if not tally.findings:
            st.markdown("None.")
        else:
            some = tally.findings[:LISTED]
            st.dataframe(
                {
                    "Finding": [finding for finding, _, _ in some],
                    "Was": [done for _, done, _ in some],
                    "Reports": [count for *_, count in some],
                },
                hide_index=True,
                height="content",
                key="signed-findings",
            )
    with right:
        st.caption("Changes corrected")
        if not tally.changes:
            st.markdown("None.")
        else:
            rows = tally.changes[:LISTED]
            st.dataframe(
                {
                    "Finding": [finding for _, _, finding, _ in rows],
                    "Drafted": [before for before, *_ in rows],
                    "Signed": [after for _, after, _, _ in rows],
                    "Reports": [count for *_, count in rows],
                },
                hide_index=True,
                height="content",
                key="signed-changes",
            )


def _next(one: Opened) -> None:
    st.subheader("Next", anchor=False)
    st.markdown("Look at the rows, split the set by patient, and train on the training part.")
    with st.container(horizontal=True):
        for tab, label in (("Look", "Look at the rows"), ("Split", "Split it")):
            set_link.show(label, one.data.name, tab=tab)
        st.page_link(navigation.page(addresses.TRAIN), label="Train")
