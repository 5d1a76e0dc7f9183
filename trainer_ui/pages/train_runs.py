"""The table of all runs; one that is chosen is shown in its place."""

from __future__ import annotations

import streamlit as st

from trainer_ui import errors
from trainer_ui.pages import train_run
from trainer_ui.services import recipe_settings, runs
from trainer_ui.services.runs import Run

RUN = "run"
EVERY_S = 2.0


def show() -> None:
    """The table, or the run that stands in the address."""
    if RUN in st.query_params:
        train_run.show(st.query_params[RUN])
        return
    found = runs.overview()
    if not found:
        st.info("No run has been begun yet. *New run* begins one, from a preset or from your own settings.")
        return
    live = any(run.live for run in found)
    st.fragment(_table, run_every=EVERY_S if live else None)(runs.signature(found))


def _table(drawn: runs.Signature) -> None:
    with errors.shown():
        found = runs.overview()
        if runs.signature(found) != drawn:
            st.rerun()
        event = st.dataframe(
            {
                "Run": [run.title for run in found],
                "Begun": [runs.when(run) for run in found],
                "State": [run.words for run in found],
                "Step": [steps(run) or None for run in found],
                "Left": [runs.left(run) or None for run in found],
                "Best": [best(run) or None for run in found],
            },
            hide_index=True,
            key="runs-table",
            on_select="rerun",
            selection_mode="single-cell",
            placeholder="–",
            alt="All runs, the live ones first",
        )
        st.caption("Click a run to open it.")
        cells = event["selection"]["cells"]
        if cells and cells[0][0] < len(found):
            st.query_params[RUN] = found[cells[0][0]].name
            st.rerun()


def steps(run: Run) -> str:
    """How far a run is, in words."""
    return f"{run.stage}: {run.step:,} of {run.steps:,}" if run.steps else ""


def best(run: Run) -> str:
    """The best validation of a run so far, in words."""
    if run.best is None:
        return ""
    key = recipe_settings.about(run.best.metric)
    figure = f"{run.best.value:.1f} %" if key.unit == "%" else f"{run.best.value:.4g}"
    return f"{key.title} {figure}"
