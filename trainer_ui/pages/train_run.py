"""One run: how far it is, its curves, what it writes, its memory and speed, its recipe, what can be done with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import streamlit as st

from trainer_ui import addresses, errors, navigation
from trainer_ui.components import charts, texts
from trainer_ui.components.charts import Line
from trainer_ui.components.words import literal
from trainer_ui.services import jobs, recipe_settings, recipes, run_figures, runs
from trainer_ui.services.runs import Run

EVERY_S = 2.0
GB = 1e9
DRAWN = 4
"""Scores that are drawn unless others are chosen."""

CONSOLE_HEIGHT = 320


def show(name: str) -> None:
    """The run of this name, live while it runs."""
    st.button("← All runs", key="all-runs", on_click=lambda: st.query_params.pop("run", None), type="tertiary")
    run = runs.find(name)
    st.fragment(_live, run_every=EVERY_S if run.live else None)(name, run.where)


def _live(name: str, drawn: runs.Where) -> None:
    with errors.shown():
        run = runs.find(name)
        if run.where != drawn:
            st.rerun()
        _head(run)
        _buttons(run)  # above whatever comes and goes: a button that moves while it is pressed hears nothing
        _progress(run)
        names = ["Curves", "What it writes", "Memory and data", "Recipe", "Console"]
        curves, written, memory, recipe, console = st.tabs(names, key=f"parts-{name}")
        with curves, errors.shown():
            _curves(run)
        with written, errors.shown():
            _written(run)
        with memory, errors.shown():
            _memory(run)
        with recipe, errors.shown():
            _recipe(run)
        with console, errors.shown():
            _console(run)


def _head(run: Run) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(literal(run.title), anchor=False, width="content")
        st.caption(runs.when(run), width="content")
        st.badge(run.words, color=run.colour)


def _progress(run: Run) -> None:
    if run.why:
        (st.error if run.where == "failed" else st.caption)(literal(run.why))
    if run.where == "starting" and run.job and (told := _told(run.job)) is not None:
        st.progress(told.share or 0.0, text=literal(told.progress))
    elif run.steps:
        words = f"{run.stage}: step {run.step:,} of {run.steps:,}"
        st.progress(run.share, text=literal(", ".join(filter(None, (words, _left(run))))))
    figures = _figures(run)
    if figures:
        for column, (label, figure, help) in zip(st.columns(len(figures)), figures, strict=True):
            column.metric(label, figure, help=help or None)


def _told(identity: str) -> jobs.View | None:
    return next((job for job in jobs.overview(everything=True).jobs if job.id == identity and job.share), None)


def _left(run: Run) -> str:
    left = runs.left(run)
    stages = len(run_figures.settings(run.path).get("stages") or ())
    return f"{left} left in this stage" if left and stages > 1 else f"{left} left" if left else ""


def _figures(run: Run) -> list[tuple[str, str, str]]:
    found = []
    if run.best is not None:
        key = recipe_settings.about(run.best.metric)
        figure = f"{run.best.value:.1f} %" if key.unit == "%" else f"{run.best.value:.4g}"
        found.append((f"Best {key.title}", figure, f"At step {run.best.step:,} of {run.best.stage}. {key.says}"))
    loss = next((line["loss"] for line in reversed(run_figures.lines(run.path)) if "loss" in line), None)
    if loss is not None:
        found.append(("Loss", f"{loss:.3f}", "Of the latest steps. It falls while the model learns."))
    pace = run_figures.speed(run.path)
    if pace is not None:
        steps = f"{pace.steps:.2g} steps/s" if pace.steps >= 0.1 else f"{1 / pace.steps:.3g} s a step"
        found.append(("Samples a second", f"{pace.samples:.3g}", steps))
    peaks = [one.peak for one in run_figures.memory(run.path) if one.peak is not None]
    if peaks:
        found.append(("Memory, most", f"{max(peaks) / GB:.1f} GB", "The most it has taken so far."))
    return found


def _buttons(run: Run) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if run.where == "waiting":
            st.button("Take out of the queue", key="stop", on_click=_do, args=(lambda: runs.stop(run.name),))
        elif run.stoppable:
            st.button(
                "Stop with checkpoint",
                key="stop",
                on_click=_do,
                args=(lambda: runs.stop(run.name),),
                help="It finishes its step, writes a checkpoint and ends. Resumed, it goes on as if never stopped.",
            )
        if run.resumable:
            st.button("Resume", key="resume", type="primary", on_click=_do, args=(lambda: runs.resume(run.name),))
        if run.begun:
            st.button("Clone", key="clone", on_click=_clone, args=(run,), help="Its recipe, into a new form.")
        if not run.live:
            with st.popover("Delete", key="delete"):
                _delete(run)
        if run.trained:
            for address, label in ((addresses.EVALUATE, "Next: evaluate it"), (addresses.EXPORT, "Next: export it")):
                st.page_link(navigation.page(address), label=label, query_params={"run": run.name})


def _do(change: Callable[[], object]) -> None:
    """Do something to a run before the page is drawn again; what cannot be done is said."""
    try:
        change()
    except Exception as error:
        st.toast(literal(errors.sentence(error)))


def _clone(run: Run) -> None:
    _do(lambda: recipes.write(lambda old: recipes.from_run(run.path / "recipe.yaml")))
    st.query_params["view"] = "new"
    st.query_params.pop("run", None)


def _delete(run: Run) -> None:
    st.markdown("The run is deleted with its checkpoints, its figures and its model, for good.")
    others = runs.dependents(run.name)
    if others:
        st.warning(f"Started from its model: {literal(', '.join(others))}. They cannot be resumed then.")
    if st.button("Delete it for good", key="delete-now"):
        with errors.shown():
            runs.delete(run.name)
            st.query_params.pop("run", None)
            st.rerun()


def _curves(run: Run) -> None:
    drawn = run_figures.along(run.path)
    if drawn.empty:
        st.caption("No figures yet. The first come after its first step.")
        return
    held_out_best = drawn.best if drawn.metric == recipe_settings.LOSS else None
    lines = [Line("training", drawn.loss), Line("validation", drawn.held_out, dots=True)]
    lines += [Line(f"training: {run_figures.PARTS[name]}", points) for name, points in drawn.parts.items()]
    charts.show(lines, x="step", y="loss", key="chart-loss", stages=drawn.stages, best=held_out_best)
    if drawn.scores:
        names = list(drawn.scores)
        first = [name for name in (drawn.metric, *names) if name in drawn.scores]
        chosen = st.multiselect(
            "Scores of the validations",
            names,
            default=list(dict.fromkeys(first))[:DRAWN],
            format_func=score_title,
            key=f"scores-{run.name}",
            help="Of reports the model wrote about patients it does not learn from. The star is the best one so far.",
        )
        shown = [Line(score_title(name), drawn.scores[name], dots=True) for name in chosen]
        if shown:
            best = drawn.best if drawn.metric in chosen else None
            charts.show(shown, x="step", y="score, %", key="chart-scores", stages=drawn.stages, best=best)
    elif drawn.metric and not drawn.held_out:
        st.caption("No validation yet.")
    if drawn.rate:
        rate = [Line("learning rate", drawn.rate)]
        charts.show(rate, x="step", y="learning rate", key="chart-rate", height=190, stages=drawn.stages)


def score_title(name: str) -> str:
    """A score with the way that is better, where that is down."""
    key = recipe_settings.about(name)
    return key.title if key.higher_is_better is not False else f"{key.title} (lower is better)"


def _written(run: Run) -> None:
    found = [one for one in run_figures.evaluations(run.path) if one.written]
    if not found:
        st.caption("Nothing yet. At each validation the model writes reports about patients it does not learn from.")
        return
    labels = [f"{one.stage}, step {one.step:,}{', the best so far' if one.best else ''}" for one in found]
    latest = st.toggle("Always the latest", value=True, key=f"latest-{run.name}") if run.live else False
    if latest:
        chosen = len(found) - 1
        st.caption(literal(labels[chosen]))
    else:
        best = max((number for number, one in enumerate(found) if one.best), default=len(found) - 1)
        chosen = st.selectbox(
            "Validation", range(len(found)), index=best, format_func=labels.__getitem__, key=f"validation-{run.name}"
        )
    texts.key()
    for one in found[chosen].written:
        with st.container(border=True):
            st.caption(literal(one.study))
            texts.beside(one.reference, one.text)


def _memory(run: Run) -> None:
    stages = run_figures.memory(run.path)
    if stages:
        st.markdown("**Memory, GB**")
        st.dataframe(
            {
                "Stage": [one.stage for one in stages],
                "Planned": [_gb(one.planned) for one in stages],
                "After three steps": [_gb(one.probe) for one in stages],
                "Most so far": [_gb(one.peak) for one in stages],
                "Free when it began": [_gb(one.room) for one in stages],
                "Activations twice": ["yes" if one.checkpointing else "no" for one in stages],
            },
            hide_index=True,
            key="memory",
            placeholder="–",
        )
    known = run_figures.data(run.path)
    if known:
        st.markdown("**What it learns from**")
        left_out = f", {known['left_out']:,} longer ones left out" if known.get("left_out") else ""
        st.markdown(
            f"{known.get('samples', 0):,} samples of {known.get('patients') or 'an unknown number of'} patients"
            f"{left_out}; {known.get('validation', 0):,} validation questions."
        )
        files = known.get("files", {})
        st.dataframe({"File": list(files), "SHA-256": list(files.values())}, hide_index=True, key="hashes")
    found = run_figures.contents(run.path)
    if found:
        st.markdown("**What lies in its folder**")
        st.dataframe(
            {
                "Name": [one.name for one in found],
                "What": [one.what for one in found],
                "Size": [_size(one.size) for one in found],
            },
            hide_index=True,
            key="contents",
        )
        st.code(str(run.path), language=None, wrap_lines=True)
    if not stages and not known and not found:
        st.caption("Nothing yet.")


def _size(size: int) -> str:
    return f"{size / GB:.1f} GB" if size >= GB else f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


def _gb(size: int | None) -> float | None:
    return round(size / GB, 2) if size is not None else None


def _recipe(run: Run) -> None:
    text = run_figures.recipe_text(run.path)
    if text:
        st.code(text, language="yaml")
    else:
        st.caption("Its recipe is here as soon as it begins.")
    settings = run_figures.factory_settings(run.path)
    if settings:
        st.caption("LLaMA-Factory's settings that come of it. The data they name is prepared for the run and not kept.")
        st.code(settings, language="yaml")


def _console(run: Run) -> None:
    _printed(run)
    words = run_figures.factory_words(run.path)
    if words:
        st.caption("What LLaMA-Factory prints")
        _words(words)


def _words(printed: str) -> None:
    """What a program has printed, at its end."""
    with st.container(height=CONSOLE_HEIGHT, border=False, autoscroll=True):
        st.code(printed, language=None, wrap_lines=True)


def _printed(run: Run) -> None:
    if not run.job:
        st.caption("It was started outside the studio: what it prints is where it was started.")
        return
    details = jobs.details(run.job)
    if details.why and run.where != "interrupted":
        st.markdown(details.why)
    _words(details.tail or "It has printed nothing yet.")
    st.caption("The command")
    st.code(details.command, language=None, wrap_lines=True)
    if run.begun:
        st.caption(f"Begun {datetime.fromtimestamp(run.when):%Y-%m-%d %H:%M}")
