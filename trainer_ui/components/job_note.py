"""What is said of the job whose result a part of a page waits for, in the place of that result."""

from __future__ import annotations

import streamlit as st

from engine.jobs.job import Job
from trainer_ui.components.words import literal
from trainer_ui.services import jobs

LINES = 8
"""Last lines of what a command has printed that are shown."""


def show(job: Job) -> None:
    """That it waits or runs; of one that has ended otherwise than well, why, in its command's last words."""
    title = literal(job.title)
    if job.active:
        st.info(f"{title}: under way. How far it is stands with the jobs, and what comes of it will stand here.")
        return
    details = jobs.details(job.id)
    st.warning(f"{title}: {details.why or 'It has not come to an end.'}")
    if details.tail:
        st.code("\n".join(details.tail.splitlines()[-LINES:]), language=None, wrap_lines=True)
