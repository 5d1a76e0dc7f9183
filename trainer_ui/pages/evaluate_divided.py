"""The scores of an evaluation divided: by parts of the studies, by finding, by change; what went wrong how often."""

from __future__ import annotations

import streamlit as st

from engine.evaluation import report_figures as figures
from engine.evaluation.subgroups import FEWEST, Part
from engine.reports import labels
from trainer_ui import errors
from trainer_ui.components import tables
from trainer_ui.components.score_cells import column, figure, over, way
from trainer_ui.components.tables import Cell, Group, Line, Row
from trainer_ui.components.words import literal
from trainer_ui.pages.evaluate_scores import systems_shown
from trainer_ui.services import case_browser, evaluations, score_sheet
from trainer_ui.services.evaluations import Evaluation
from trainer_ui.services.score_sheet import GROUPS, Sheet

DIVISIONS = {"sex": "Sex", "age": "Age, years", "view": "View", "prior": "Prior"}


def studies(one: Evaluation, sheet: Sheet) -> None:
    """One score at a time for every part of the studies."""
    divided = [system for system in sheet.scored if system.parts]
    if not divided:
        st.info(
            "The rows of the questions say nothing of sex, age or view, and nothing tells studies with a prior from "
            "those without. With these keys in the question file, scores are divided by them."
        )
        return
    keys = [key for key in sheet.headline() if any(_has(part, key) for system in divided for part in system.parts)]
    usual = "vqa_accuracy" if sheet.short else "finding_f1_micro"
    first = keys.index(usual) if usual in keys else 0
    key = st.selectbox(
        "Score", keys, index=first, format_func=lambda name: score_sheet.about(name).title, key="part-score", width=420
    )
    about = score_sheet.about(key)
    st.caption(literal(f"{about.says} {way(about).capitalize()}."))
    shown = [system for system in systems_shown(sheet) if system.parts]
    rows: list[Row | Group] = []
    for division, title in DIVISIONS.items():
        names = dict.fromkeys(part.name for system in shown for part in system.parts if part.division == division)
        if names:
            rows.append(Group(title))
        for name in names:
            parts = {
                system.name: part
                for system in shown
                for part in system.parts
                if (part.division, part.name) == (division, name)
            }
            rows.append(
                Row(name, [_part(key, parts.get(system.name)) for system in shown], note=_numbers(parts, sheet))
            )
    tables.show([sheet.item[1].capitalize(), *(column(system, sheet) for system in shown)], rows)
    st.caption(
        "Nothing is tested here: parts are small and many, and a difference between two of them is a hint at most. No "
        f"interval is given below {FEWEST} patients, or where every draw gives the same."
    )


def findings(one: Evaluation, sheet: Sheet) -> None:
    """By finding, size and change; then the faults."""
    there = [group for group in GROUPS if sheet.inner(group)]
    if not there:
        st.info("There is nothing to show by finding, change or type of question.")
    else:
        chosen = st.segmented_control(
            "What",
            there,
            default=there[0],
            required=True,
            format_func=lambda group: GROUPS[group][1],
            key="finding-what",
            label_visibility="collapsed",
        )
        _by_finding(chosen, sheet)
    st.subheader(f"What went wrong, per 100 {sheet.item[1]}", anchor=False)
    with errors.shown():
        _faults(one, sheet)


def _by_finding(group: str, sheet: Sheet) -> None:
    shown = systems_shown(sheet)
    keys = sheet.inner(group)
    counted = group == "findings" and bool(sheet.positives)
    rows: list[Row | Group] = []
    for key in keys:
        there = f"there in {sheet.positives.get(score_sheet.inside(key), 0):,} of {sheet.studies:,}" if counted else ""
        scores = [system.scores.get(key) for system in shown]
        cells = [figure(key, score, count="" if group == "findings" else over(score, sheet)) for score in scores]
        rows.append(Row(score_sheet.inside(key), cells, note=there))
    title = score_sheet.about(keys[0]).title.partition(":")[0]
    tables.show([f"{title}, %", *(column(system, sheet) for system in shown)], rows)
    read = "" if sheet.task == "vqa" else f" Read from the texts by rules ({labels.EXTRACTOR_LINE})."
    st.caption(
        f"{score_sheet.says(group, keys[0])}{read} Scores of few {sheet.item[1]} say little: look at the intervals. "
        "Nothing is tested here."
    )


def _faults(one: Evaluation, sheet: Sheet) -> None:
    browser = case_browser.read(one.path, evaluations.document(one.path))
    titles = {system.name: system for system in sheet.scored}
    shown = [name for name in titles if name in browser.systems]
    counts = {name: browser.faults(name) for name in shown}
    answered = {name: sum(name in study.cases for study in browser.studies) for name in shown}
    rows = [
        Row(
            str(fault).capitalize(),
            [_share(counts[name][str(fault)], answered[name]) for name in shown],
        )
        for fault in browser.faults_known
    ]
    tables.show([f"{sheet.item[1].capitalize()} with a", *(column(titles[name], sheet) for name in shown)], rows)
    kind = (
        "An answer is incomplete where it holds some but not all words of the reference."
        if sheet.task == "vqa"
        else f"Read by rules ({labels.EXTRACTOR_LINE}). A finding that is there and not mentioned counts as missed."
    )
    st.caption(
        f"{sheet.item[1].capitalize()} with at least one fault of the kind. {kind} *Cases* shows them one by one."
    )


def _share(count: int, of: int) -> Cell:
    if not of:
        return [Line("n/a", "small")]
    return [Line(f"{100 * count / of:.1f}", "strong"), Line(f"{count:,} of {of:,}", "small")]


def _part(key: str, part: Part | None) -> Cell:
    if part is None:
        return [Line("n/a", "small")]
    return figure(key, part.scores.get(key))


def _numbers(parts: dict[str, Part], sheet: Sheet) -> str:
    told = {(part.studies, part.patients) for part in parts.values()}
    if len(told) != 1:
        most = max(told, default=(0, 0))
        return f"up to {most[0]:,} {sheet.item[1]}, {most[1]:,} patients"
    studies, patients = told.pop()
    return f"{figures.count(studies, *sheet.item)}, {figures.count(patients, 'patient')}"


def _has(part: Part, key: str) -> bool:
    score = part.scores.get(key)
    return score is not None and score.value is not None
