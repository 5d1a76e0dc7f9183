"""Runs held against each other: their curves, the settings that differ, and what each was at its best."""

from __future__ import annotations

import streamlit as st

from trainer_ui.components import charts
from trainer_ui.components.charts import Line
from trainer_ui.pages.train_run import score_title
from trainer_ui.services import recipe_settings, run_compared, run_figures, runs
from trainer_ui.services.runs import Run

PARAMETER = "compare"
_KEY = "compared-runs"
ACROSS = {"step": "steps", "samples": "samples seen"}


def show() -> None:
    """Two runs or more, those that stand in the address."""
    found = {run.name: run for run in runs.overview() if run.begun}
    if len(found) < 2:
        st.info("Two runs are needed to compare them. *Clone* in a run makes another like it with one thing changed.")
        return
    named = [name for name in st.query_params.get(PARAMETER, "").split(",") if name in found]
    st.session_state[_KEY] = named
    names = runs.titles(list(found.values()))
    st.multiselect(
        "Runs",
        list(found),
        format_func=names.__getitem__,
        key=_KEY,
        placeholder="Choose two or more",
        on_change=_choose,
        max_selections=8,
    )
    if len(named) < 2:
        st.caption("Choose two runs or more.")
        return
    chosen = [found[name] for name in named]
    titles = runs.titles(chosen)
    _standings(chosen, titles)
    _settings(chosen, titles)
    _curves(chosen, titles)


def _choose() -> None:
    st.query_params[PARAMETER] = ",".join(st.session_state[_KEY])


def _standings(chosen: list[Run], titles: dict[str, str]) -> None:
    st.subheader("At its best", anchor=False)
    standings = run_compared.standings(chosen)
    metrics = run_compared.metrics(standings)
    if not metrics:
        st.caption("None of them has been validated yet.")
        return
    if not run_compared.same_questions(chosen):
        st.warning("They were not validated on the same questions: their scores cannot be held side by side.")
    wins = {metric: run_compared.winners(standings, metric) for metric in metrics}
    table: dict[str, list[str | None]] = {"": [score_title(metric) for metric in metrics]}
    for one in standings:
        head = f"{titles[one.run]}, step {one.step:,}" if one.step is not None else titles[one.run]
        table[head] = [
            f"{_figure(metric, one.scores[metric])}{'  ★' if one.run in wins[metric] else ''}"
            if metric in one.scores
            else None
            for metric in metrics
        ]
    st.dataframe(table, hide_index=True, key="standings", placeholder="–", height="content")
    few = "★ the better value. A difference of few questions may be chance: *Evaluate* tests it on a file of its own."
    st.caption(few)


def _figure(metric: str, value: float) -> str:
    return f"{value:.1f} %" if recipe_settings.about(metric).unit == "%" else f"{value:.4g}"


def _axis(metric: str) -> str:
    return f"{score_title(metric)}, %" if recipe_settings.about(metric).unit == "%" else score_title(metric)


def _settings(chosen: list[Run], titles: dict[str, str]) -> None:
    st.subheader("Settings that differ", anchor=False)
    differ = run_compared.differences(chosen)
    if not differ:
        st.caption("None: their recipes say the same.")
        return
    table = {"Setting": [one.setting for one in differ]}
    for number, run in enumerate(chosen):
        table[titles[run.name]] = [one.values[number] for one in differ]
    st.dataframe(table, hide_index=True, key="differences", height="content")


def _curves(chosen: list[Run], titles: dict[str, str]) -> None:
    st.subheader("Curves", anchor=False)
    across = st.segmented_control(
        "Along",
        list(ACROSS),
        default="step",
        required=True,
        format_func=ACROSS.__getitem__,
        key="compare-along",
        help="Where steps are of different size, the samples that were gone through are the fair measure.",
    )
    drawn = {titles[run.name]: run_figures.along(run.path, seen=across == "samples") for run in chosen}
    x = ACROSS[across]
    if all(one.empty for one in drawn.values()):
        st.caption("None of them has figures yet.")
        return
    charts.show([Line(name, one.loss) for name, one in drawn.items()], x=x, y="training loss", key="compare-loss")
    held_out = [Line(name, one.held_out, dots=True) for name, one in drawn.items()]
    if any(line.points for line in held_out):
        charts.show(held_out, x=x, y="validation loss", key="compare-held-out")
    names = list(
        dict.fromkeys(name for one in drawn.values() for name in (one.metric, *one.scores) if name in one.scores)
    )
    if names:
        metric = st.selectbox("Score", names, format_func=score_title, key="compare-score")
        lines = [Line(name, one.scores.get(metric, ()), dots=True) for name, one in drawn.items()]
        charts.show(lines, x=x, y=_axis(metric), key="compare-scores")
