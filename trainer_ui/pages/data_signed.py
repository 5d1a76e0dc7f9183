"""A data set from the viewer's signed reports: what is taken, what is taken away, and what to look at before."""

from __future__ import annotations

import streamlit as st

from trainer_ui import errors
from trainer_ui.components import jobs_panel
from trainer_ui.components.numbers import counted
from trainer_ui.services import datasets, signed_sets
from trainer_ui.services.signed_sets import Section, Wanted

SECTIONS: dict[Section, str] = {"findings": "Findings", "impression": "Impression"}

HOW = """
- **What a row is.** The question as it was put to the model, the text as it was signed, the current image and its
  prior as the models are shown them. Only reports whose signature still holds are taken; of several about the same
  comparison, the last one.
- **Who it is.** Patients, studies and images get new names that nobody can turn back without a secret, which stays in
  the data folder. Images are written as plain pictures: nothing of the DICOM header is in them.
- **Dates.** All dates of one patient are moved by the same number of days, so that intervals stay right. A date that
  cannot be read for certain is taken out.
- **Texts.** Names, numbers, places, telephone numbers and everything the history knows of the patient become `___`. A
  row in which something known of the patient is left is not written at all. Ages from 90 on become 90.
- **What this is not.** No proof that nobody can be recognised. Read the texts and look at the images before the set
  leaves this machine.
"""

BURNED_IN = (
    "A name may be written into the pixels themselves, and no program takes that away for certain. Reports with an "
    "image that may have text in it are therefore left out. The way out: open them in the viewer, look at each image, "
    "and make the set again with the box below ticked."
)


def show() -> None:
    """The form."""
    st.markdown(
        "What clinicians have corrected and signed in the viewer is the best there is to learn from. One click makes a "
        "de-identified training set of it; the history itself is only read."
    )
    signed = signed_sets.signed_reports()
    if not signed:
        st.info(
            "The history holds no signed report yet. Draft a report in the viewer, correct it and sign it; then it can "
            "be learnt from here."
        )
    else:
        st.markdown(f"**{counted(signed, 'signed report')}** in the history.")
    with st.expander("What is de-identified, and how"):
        st.markdown(HOW)
    with st.form("signed", border=False):
        first, second = st.columns(2)
        name = first.text_input("Name", datasets.suggested("signed-reports"), max_chars=64)
        section = second.selectbox("The answer", list(SECTIONS), format_func=SECTIONS.__getitem__)
        since = first.date_input("Signed since (optional)", None, format="YYYY-MM-DD")
        changes = second.number_input(
            "Sentences changed, at least", 0, 1000, 0, help="0: also reports that were signed as they were drafted."
        )
        st.warning(BURNED_IN)
        looked = st.checkbox("I have looked at every image of these reports: no name is written into one")
        if st.form_submit_button("Make the set", type="primary", disabled=not signed):
            with errors.shown():
                wanted = Wanted(name, section, since, int(changes), looked)
                jobs_panel.open_job(signed_sets.begin(wanted).id)
                st.rerun()
