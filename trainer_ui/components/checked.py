"""What a data file's check has found, for every part of the page that needs it; or what stands in its way."""

from __future__ import annotations

import streamlit as st

from trainer_ui import errors
from trainer_ui.components import job_note, jobs_panel
from trainer_ui.services import check_results
from trainer_ui.services.check_results import Result
from trainer_ui.services.opened_set import Opened


def result(one: Opened) -> Result | None:
    """What was found in a file, looked for now if that takes a moment only; else what stands in its way is said."""
    found = check_results.known(one)
    if found is not None:
        return found
    job = check_results.under_way(check_results.reports(one))
    if job is not None:
        job_note.show(job)
        if job.active:
            return None
    if check_results.small(one):
        with st.spinner("Checking every row and every image"):
            return check_results.now(one)
    st.info(f"{one.file.rows:,} rows have not been checked yet. That is a job: it goes on when this page is closed.")
    if st.button("Check all rows", type="primary", key="check-all"):
        with errors.shown():
            jobs_panel.open_job(check_results.begin(one).id)
            st.rerun()
    return None
