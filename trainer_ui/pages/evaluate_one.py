"""One evaluation: what it is doing, what can be done with it, and its parts, from the scores to the details."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import streamlit as st

from engine.training import run_folder
from trainer_ui import addresses, errors, navigation
from trainer_ui.components import jobs_panel
from trainer_ui.components.words import literal
from trainer_ui.pages import evaluate_cases, evaluate_details, evaluate_divided, evaluate_scores
from trainer_ui.services import evaluations, score_sheet
from trainer_ui.services.evaluations import Evaluation
from trainer_ui.services.score_sheet import Sheet

EVALUATION, PART = "evaluation", "part"
EVERY_S = 2.0
PARTS = {
    "scores": "Scores",
    "studies": "By sex, age, view, prior",
    "findings": "By finding and fault",
    "cases": "Cases",
    "details": "Details",
}
_KEY = "evaluation-part"

DOWNLOADS = (
    ("CSV", "scores.csv", "text/csv", "All scores, differences and parts as a table."),
    ("HTML", "report.html", "text/html", "The report for a browser, without a patient's text."),
    ("PDF", "report.pdf", "application/pdf", "The report to be printed, without a patient's text."),
)


def show(name: str) -> None:
    """The evaluation of this name; at its foot the jobs of the page."""
    one = evaluations.find(name)
    part = _part(one)
    case = part == "cases" and evaluate_cases.opened()
    if case:
        evaluate_cases.show(one, score_sheet.read(one.path))
        return
    st.button("← All evaluations", key="all-evaluations", on_click=_leave, type="tertiary")
    st.fragment(_head, run_every=EVERY_S if one.live else None)(name, one.words)
    if one.scored:
        with errors.shown():
            sheet = score_sheet.read(one.path)
            _turn_to(part, PARTS | {"findings": "By type of question and fault"} if sheet.short else PARTS)
            with st.container(key=f"evaluation-{part}"), errors.shown():
                _show_part(part, one, sheet)
    elif one.begun:
        evaluate_details.asked(one)
    with st.expander("Jobs", expanded=one.live or one.where in ("failed", "answered"), key="evaluation-jobs"):
        jobs_panel.show(addresses.EVALUATE)


def progress(one: Evaluation) -> None:
    """What it is doing: a sentence, and how far each model is."""
    if one.why:
        (st.error if one.where == "failed" else st.caption)(literal(one.why))
    if one.where == "judging":
        st.caption("All have answered. A judge reads the answers.")
    elif one.where == "scoring":
        st.caption("All have answered. The scores are being computed.")
    elif one.live:
        for answers in one.models:
            st.progress(answers.share, text=literal(f"{answers.words} answers"))
    elif one.where != "scored" and one.models:
        st.caption(literal(f"Answers of {'; '.join(answers.words for answers in one.models)}."))


def act_buttons(one: Evaluation, *, where: str) -> None:
    """What can be done with one that is not done. ``where`` tells buttons of different places apart."""
    if one.stoppable:
        label = "Take out of the queue" if one.where == "waiting" else "Stop"
        st.button(
            label,
            key=f"stop-{where}-{one.name}",
            on_click=_do,
            args=(lambda: evaluations.stop(one.name),),
            help="What was answered is kept; it can be resumed.",
        )
    if one.resumable:
        st.button(
            "Resume",
            key=f"resume-{where}-{one.name}",
            type="primary",
            on_click=_do,
            args=(lambda: evaluations.resume(one.name),),
            help="Answers what is missing, then scores.",
        )
    if one.where == "answered" or (one.where == "scored" and one.outdated):
        st.button(
            "Score",
            key=f"score-{where}-{one.name}",
            type="primary",
            on_click=_do,
            args=(lambda: evaluate_scores.score_again(one.name),),
        )


def _head(name: str, drawn: str) -> None:
    with errors.shown():
        one = evaluations.find(name)
        if one.words != drawn:
            st.rerun()
        with st.container(horizontal=True, vertical_alignment="center"):
            st.title(literal(one.name), anchor=False, width="content")
            st.badge(one.words, color=one.colour)
        sheet = score_sheet.read(one.path) if one.scored else None
        if sheet is not None:
            st.caption(literal(_about(one, sheet)))
        # Above whatever comes and goes: a button that moves while it is pressed hears nothing.
        with st.container(horizontal=True, vertical_alignment="center"):
            act_buttons(one, where="head")
            if one.scored:
                _downloads(one)
            if not one.live:
                with st.popover("Delete", key="delete-evaluation"):
                    _delete(one)
            if sheet is not None:
                st.page_link(
                    navigation.page(addresses.EXPORT),
                    label="Next: promote a model",
                    query_params=_to_export(one, sheet),
                )
        progress(one)


def _about(one: Evaluation, sheet: Sheet) -> str:
    prior = (
        ""
        if not sheet.with_prior and (sheet.short or sheet.with_prior is None)
        else f", {sheet.with_prior:,} of them with a prior"
    )
    studies = f"{sheet.studies:,} {sheet.item[sheet.studies != 1]}"
    patients = f"{sheet.patients:,} patient{'' if sheet.patients == 1 else 's'}"
    return (
        f"{studies} {'about' if sheet.short else 'of'} {patients}{prior}. Questions: {one.questions}. Begun {one.when}."
    )


def _downloads(one: Evaluation) -> None:
    for label, file, kind, help in DOWNLOADS:
        path = one.path / file
        if path.is_file():
            st.download_button(
                label,
                path.read_bytes(),
                file_name=f"{one.name}{path.suffix}",
                mime=kind,
                key=f"download-{file}",
                on_click="ignore",
                help=help,
            )


def _to_export(one: Evaluation, sheet: Sheet) -> dict[str, str]:
    """What the export page is to begin with: this evaluation and, where it is of a run, that run."""
    tuned = sheet.tuned
    folder = Path(str(tuned.about.get("model", ""))) if tuned is not None else Path()
    runs = run_folder.runs_folder().resolve()
    run = {"run": folder.parent.name} if folder.parent.parent == runs else {}
    return {"evaluation": one.name, **run}


def _delete(one: Evaluation) -> None:
    st.markdown("The evaluation is deleted with its answers and its scores, for good. A promoted model keeps its copy.")
    if st.button("Delete it for good", key="delete-evaluation-now", type="primary"):
        with errors.shown():
            evaluations.delete(one.name)
            _leave()
            st.rerun()


def _part(one: Evaluation) -> str:
    named = st.query_params.get(PART, "")
    return named if named in PARTS and one.scored else next(iter(PARTS))


def _turn_to(part: str, names: Mapping[str, str]) -> None:
    st.session_state[_KEY] = part
    st.segmented_control(
        "Part of the evaluation",
        list(names),
        format_func=names.__getitem__,
        required=True,
        key=_KEY,
        on_change=lambda: st.query_params.update({PART: st.session_state[_KEY]}),
        label_visibility="collapsed",
    )


def _show_part(part: str, one: Evaluation, sheet: Sheet) -> None:
    parts: Mapping[str, Callable[[Evaluation, Sheet], None]] = {
        "scores": evaluate_scores.show,
        "studies": evaluate_divided.studies,
        "findings": evaluate_divided.findings,
        "cases": evaluate_cases.show,
        "details": evaluate_details.show,
    }
    parts[part](one, sheet)


def _leave() -> None:
    for name in [name for name in st.query_params if name != jobs_panel.PARAMETER]:
        st.query_params.pop(name)


def _do(change: Callable[[], object]) -> None:
    """Do something before the page is drawn again; what cannot be done is said."""
    try:
        change()
    except Exception as error:
        st.toast(literal(errors.sentence(error)))
