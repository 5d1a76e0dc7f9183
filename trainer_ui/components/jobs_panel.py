"""The jobs of a page: what runs, waits and has ended; one of them opened, with what its command prints.

The panel looks again every second while anything runs or waits, by itself and without the page around it. When a job
begins or ends it has the whole page drawn anew once, because what the page shows may come from that job. The opened job
stands in the address (``?job=ID``): it is found again after a reload, in another window, by another studio.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from engine.jobs import queue
from trainer_ui import errors
from trainer_ui.components.words import literal
from trainer_ui.services import jobs

EVERY_S = 1.0
CONSOLE_HEIGHT, SHORT_LINES = 240, 8
PARAMETER = "job"


def show(page: str) -> None:
    """The panel of a page; of the home page, all jobs."""
    seen = jobs.overview(page)
    every = EVERY_S if seen.active else None
    st.fragment(_panel, run_every=every)(page, seen.signature)


def open_job(identity: str) -> None:
    """Open a job in the panel from the next run on."""
    st.query_params[PARAMETER] = identity


def _panel(page: str, drawn: jobs.Signature) -> None:
    with errors.shown():
        everything = bool(st.session_state.get(f"{page}-all-jobs"))
        seen = jobs.overview(page, everything=everything)
        if seen.signature != drawn:
            st.rerun()
        st.subheader("Jobs", anchor=False)
        if not seen.jobs:
            st.caption(
                "Nothing here yet. What takes longer than a moment runs as a job: one after another, also while this "
                "page is closed."
            )
        for job in seen.jobs:
            with st.container(border=True, key=f"job-{job.id}"):
                _job(job)
        if seen.more or everything:
            st.toggle(f"Show {seen.more} older ones" if seen.more else "Show older ones", key=f"{page}-all-jobs")
        if seen.elsewhere:
            st.caption(f"{seen.elsewhere} more on other pages. *Home* shows all of them.")


def _job(job: jobs.View) -> None:
    opened = st.query_params.get(PARAMETER) == job.id
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(job.state, color=job.colour)
        st.caption(job.when)
    st.markdown(f"**{literal(job.title)}**")
    if job.share is not None:
        st.progress(job.share, text=literal(job.progress))
    elif job.progress:
        st.caption(literal(job.progress))
    with st.container(horizontal=True):
        if st.button("Close" if opened else "Open", key=f"open-{job.id}"):
            _toggle(job.id, opened)
        if job.waiting:
            _order(job)
        if job.active and not job.stopping:
            label, why = ("Take out", None) if job.waiting else ("Stop", "What can be taken up again is saved first.")
            if st.button(label, key=f"stop-{job.id}", help=why):
                _act(lambda: queue.request_stop(job.id))
        elif job.stopping:
            with st.popover("End now"):
                st.markdown("It is saving. Ended now, it loses what has not been saved.")
                if st.button("End it all the same", key=f"kill-{job.id}"):
                    _act(lambda: queue.kill(job.id))
        elif st.button("Remove", key=f"remove-{job.id}", help="From this list. What it has made stays."):
            _act(lambda: _remove(job.id))
    if opened:
        _details(job.id)


def _order(job: jobs.View) -> None:
    if st.button("Up", key=f"up-{job.id}", disabled=job.first):
        _act(lambda: queue.move(job.id, -1))
    if st.button("Down", key=f"down-{job.id}", disabled=job.last):
        _act(lambda: queue.move(job.id, 1))


def _details(identity: str) -> None:
    with errors.shown():
        details = jobs.details(identity)
        if details.why:
            st.markdown(details.why)
        if details.tail:
            st.caption("What the command prints")
            long = details.tail.count("\n") >= SHORT_LINES
            st.code(details.tail, language=None, wrap_lines=True, height=CONSOLE_HEIGHT if long else "content")
        else:
            st.caption("The command has printed nothing yet.")
        if details.result:
            st.caption("Where the result goes")
            st.code(details.result, language=None, wrap_lines=True)
        st.caption("The command")
        st.code(details.command, language=None, wrap_lines=True)


def _remove(identity: str) -> None:
    queue.remove(identity)
    if st.query_params.get(PARAMETER) == identity:
        st.query_params.pop(PARAMETER)


def _toggle(identity: str, opened: bool) -> None:
    if opened:
        st.query_params.pop(PARAMETER, None)
    else:
        open_job(identity)
    st.rerun(scope="fragment")


def _act(change: Callable[[], object]) -> None:
    """Change the queue and look again; what cannot be done is said where the next look does not wipe it away."""
    try:
        change()
    except Exception as error:
        st.toast(literal(errors.sentence(error)))
        return
    st.rerun()
