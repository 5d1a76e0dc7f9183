"""One case: both images, the question, the reference, what each model wrote, its scores, its faults, a judge's verdict.

Images are read as the viewer reads them and stay in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

import streamlit as st

from engine.reports import labels
from engine.reports.language import in_english
from trainer_ui import errors
from trainer_ui.components import marked_words, tables
from trainer_ui.components.tables import Cell, Line, Row
from trainer_ui.components.words import literal
from trainer_ui.pages import evaluate_grades
from trainer_ui.services import case_browser, case_view, evaluations, pictures, question_files, score_sheet
from trainer_ui.services.case_browser import Browser, Case, StudyCases
from trainer_ui.services.case_view import View
from trainer_ui.services.evaluations import Evaluation
from trainer_ui.services.grading import Grades
from trainer_ui.services.score_sheet import Sheet

CASE = "case"
COLOURS = {"Current": "orange", "Prior": "blue"}
NOT_SHOWN = {
    "dummy": "The models were shown the current image in its place.",
    "none": "The models were not shown it.",
}


def show(
    one: Evaluation, sheet: Sheet, browser: Browser, view: View, identity: str, grades: Grades = MappingProxyType({})
) -> None:
    """The case of this study, and the way to the others of the view; ``grades`` are those of people."""
    found = case_view.chosen(browser, view, grades)
    titles = case_browser.titles(browser)
    here = next((place for place, study in enumerate(found) if study.id == identity), None)
    study = next((study for study in browser.studies if study.id == identity), None)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("← All cases", key="all-cases", on_click=_open, args=(None,), type="tertiary")
        _neighbours(found, here)
        st.caption(literal(f"{one.name}: {case_view.in_words(view, titles)}"))
    if study is None:
        st.info(f"This evaluation has no case of this {sheet.item[0]}.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(literal(study.id), anchor=False, width="content")
        st.markdown(literal(study.whom), width="content")
    left, right = st.columns([3, 2], gap="medium")
    with left, st.container(), errors.shown():
        _images(study, str(sheet.asked.get("prior", "true")))
    with right:
        with st.container(horizontal=True):
            marked = st.toggle("Mark differences from the reference", value=True, key="case-marks")
            systems = _systems(browser, study)
            by_hand = browser.short and evaluate_grades.switch()
        if by_hand:
            evaluate_grades.standing(browser, grades)
        _texts(one, study, systems, titles, sheet, browser, grades, marked=marked, by_hand=by_hand)
        _silent(one, browser, study)
    with left:
        if systems:
            shown = [key for key in browser.scores if not key.startswith("judge_")]  # its verdict stands at the text
            _figures(study, systems, titles, shown, short=browser.short)


def _neighbours(found: Sequence[StudyCases], here: int | None) -> None:
    before = found[here - 1].id if here else None
    after = found[here + 1].id if here is not None and here + 1 < len(found) else None
    ways = (("Previous", before, "left"), ("Next", after, "right"))
    for label, other, arrow in ways:
        st.button(label, key=label, on_click=_open, args=(other,), disabled=other is None, shortcut=arrow)
    st.markdown(f"**{here + 1:,} of {len(found):,}**" if here is not None else "not among those of this view")


def _open(identity: str | None) -> None:
    if identity is None:
        st.query_params.pop(CASE, None)
    else:
        st.query_params[CASE] = identity


def _images(study: StudyCases, prior: str) -> None:
    if study.question is None:
        st.info("The question file is gone: there are no images to show.")
        return
    paired = question_files.paired(study.question)
    images = study.question.images if paired else study.question.images[:1]
    shown = pictures.pictures(images, study.question.about.view)
    for column, picture in zip(st.columns(2, gap="small"), shown, strict=False):
        with column:
            st.markdown(f":{COLOURS[picture.role]}[**{picture.role}**]")
            if picture.fault:
                st.error(literal(picture.fault))
                continue
            st.image(picture.png, width="stretch", alt=f"{picture.role} image, {picture.words}")
            st.caption(literal(picture.words))
            if picture.role == "Prior" and prior in NOT_SHOWN:
                st.caption(NOT_SHOWN[prior])
            for note in picture.notes:
                st.caption(literal(note))
    if not paired:
        st.caption("There is no prior image.")


def _systems(browser: Browser, study: StudyCases) -> list[str]:
    baselines = [name for name in browser.baselines if name in study.cases]
    models = [name for name in browser.models if name in study.cases]
    if baselines and st.toggle("Baselines too", key="case-baselines"):
        return [*models, *baselines]
    return models


def _texts(
    one: Evaluation, study: StudyCases, systems: Sequence[str], titles: dict[str, str], sheet: Sheet, browser: Browser,
    grades: Grades, *, marked: bool, by_hand: bool,
) -> None:  # fmt: skip
    if browser.short and study.asked:
        st.markdown(f"**{literal(study.asked)}**")
    else:
        st.caption(literal(study.asked or "The question file is gone."))
    with st.container(border=True, key="case-reference"):
        st.markdown("**Reference**")
        marked_words.show(study.reference or "No reference text: scored against what is true of the study.")
    prompts = {system.name: system.prompt for system in sheet.systems}
    for name in systems:
        case = study.cases[name]
        with st.container(border=True, key=f"case-{name}"):
            st.markdown(f"**{literal(titles[name])}**")
            if prompts.get(name):
                st.caption(literal(f"Asked: {prompts[name]}"))
            marked_words.show(case.prediction, case.diff if marked else ())
            if browser.short and name in browser.models:
                evaluate_grades.of(one, study, browser, name, grades, by_hand=by_hand)
    if marked and study.reference:
        marked_words.key()


def _silent(one: Evaluation, browser: Browser, study: StudyCases) -> None:
    """Models that have not answered, and why."""
    reasons = evaluations.left_out(one.path)
    for name in browser.models:
        if name not in study.cases:
            why = reasons.get(name, {}).get(study.id, "")
            st.caption(literal(f"{name} has not answered. {why}"))


def _figures(
    study: StudyCases, systems: Sequence[str], titles: dict[str, str], scores: Sequence[str], *, short: bool
) -> None:
    cases = [study.cases[name] for name in systems]
    rows = [
        Row(
            f"{score_sheet.about(key).title}, %",
            [_score(case, key) for case in cases],
            says=score_sheet.about(key).says,
        )
        for key in scores
        if any(key in case.scores for case in cases)
    ]
    rows.append(Row("Faults", [_slips(case) for case in cases]))
    tables.show(["This case", *(titles[name] for name in systems)], rows, wide=range(1, len(systems) + 1))
    rules = "found by comparing words" if short else f"read from the texts by rules ({labels.EXTRACTOR_LINE})"
    st.caption(f"Faults are {rules}: what looks wrong may be a text that the rules misread.")


def _score(case: Case, key: str) -> Cell:
    value = case.scores.get(key)
    return [Line("n/a", "small")] if value is None else [Line(f"{value:.1f}", "strong")]


def _slips(case: Case) -> Cell:
    if not case.slips and not in_english(case.reference or case.prediction) and "vqa_score" not in case.scores:
        return [Line("n/a, because the rules that look for them are for English", "small")]
    if not case.slips:
        return [Line("none found")]
    lines = []
    for slip in case.slips:
        lines.append(Line(f"{slip.fault}: {slip.finding}" if slip.finding else slip.fault))
        if slip.true or slip.said:
            lines.append(Line(f"true: {slip.true or '–'}; said: {slip.said or '–'}", "small"))
    return lines
