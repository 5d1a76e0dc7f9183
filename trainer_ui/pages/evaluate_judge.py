"""What a judge says of short answers: its table with both denominators, its tests, people's grades, and asking one."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.evaluation import report_figures as figures
from engine.evaluation.judge.summary import KEYS
from engine.evaluation.judge.verdict import RULINGS
from engine.evaluation.keys import describe
from trainer_ui import errors
from trainer_ui.components import judge_fields, paths, score_cells, tables
from trainer_ui.components.tables import Cell, Group, Line, Row
from trainer_ui.components.words import literal
from trainer_ui.services import case_browser, evaluation_words, evaluations, grading, score_words
from trainer_ui.services.evaluations import Evaluation
from trainer_ui.services.grading import Grades
from trainer_ui.services.judge_sheet import Judge, Judged
from trainer_ui.services.score_sheet import Sheet, System

HOW_TO_READ = (
    "The two ways of counting part where the judge fails on some answers more than on others: go by both. Beside each "
    "figure its 95 % interval over patients and the count; under it the difference, p by exchanging the texts of both "
    "patient by patient, before and after Holm's correction over {tests}, and McNemar's test, question by question."
)


def show(one: Evaluation, sheet: Sheet) -> None:
    """What was said, where a judge was asked; then how to ask one, and people's grades."""
    st.subheader("What a judge says", anchor=False)
    judge = sheet.judge
    if judge is None:
        st.caption("Nobody has judged these answers. The scores above compare words alone.")
    else:
        _said(sheet, judge)
    with errors.shown():
        _grades(one, sheet)
    if not one.live:
        _ask(one, sheet)


def _said(sheet: Sheet, judge: Judge) -> None:
    (st.info if judge.headline else st.warning)(literal(judge.caution))
    for sentence in judge.sentences:
        st.markdown(literal(sentence))
    shown = sheet.by_judge()
    if not shown:
        return
    heads = [score_cells.column(one, sheet) for one in shown]
    tables.show(["By the judge", *heads], _rows(judge, shown))
    st.caption(HOW_TO_READ.format(tests=figures.count(judge.tests, "test")))
    left = {one.title: judge.systems[one.name].not_judged for one in shown if judge.systems[one.name].not_judged}
    if left:
        said = ", ".join(f"{name} {count:,}" for name, count in left.items())
        st.warning(literal(f"Not judged, and in none of these figures: {said} answers."))
    st.caption(literal(f"Judge: {judge.name}; its instructions have the sha256 {judge.prompt[:12]}."))


def _rows(judge: Judge, shown: Sequence[System]) -> Sequence[Row | Group]:
    """The published table, rates of verdicts over the readable replies and over all answers."""
    said = [judge.systems[one.name] for one in shown]
    rulings = [f"judge_{ruling}_rate" for ruling in RULINGS]
    return [
        Row("Answers judged", [[Line(f"{one.total:,}", "strong")] for one in said], says="total_responses"),
        Row("Replies that can be read", [[Line(f"{one.valid:,}", "strong")] for one in said], says="valid_responses"),
        Group("Over the replies that can be read, as the published table for VQA-RAD counts"),
        *(_row(key, shown, [(one, one.valid) for one in said]) for key in (*rulings, "judge_contradiction_rate")),
        Group("Over all answers judged: a reply that cannot be read counts as none of the three"),
        *(_row(f"{key}_total", shown, [(one, one.total) for one in said]) for key in rulings),
        _row("judge_invalid_format_rate", shown, [(one, one.total) for one in said]),
        Group("The judge's confidence in itself, from 1 to 5"),
        _row("judge_average_confidence", shown, [(one, None) for one in said]),
        _row("judge_confidence_completeness", shown, [(one, one.valid) for one in said]),
    ]


def _row(key: str, shown: Sequence[System], said: Sequence[tuple[Judged, int | None]]) -> Row:
    """A rate of every system, with the table it is from and the number it is over; None for a mean."""
    name, about = KEYS[key], describe(key)
    cells: list[Cell] = []
    for one, (table, of) in zip(shown, said, strict=True):
        score = one.scores.get(key)
        if score is None or score.value is None:
            cells.append([Line("n/a", "small")])
            continue
        counted = f"; {table.count(name, of):,} of {of:,}" if of is not None else ""
        between = Line(f"{score_words.interval(key, score)}{counted}", "small")
        cells.append([(Line(score_words.value(key, score), "strong"), between), *score_cells.difference(key, one)])
    title = about.title.removesuffix(", of all").removesuffix(", by the judge")
    way = score_cells.way(about)
    return Row(f"{title}{', %' if about.unit else ''}", cells, note=way, says=f"{name}: {about.says}")


def _grades(one: Evaluation, sheet: Sheet) -> None:
    """People's grades: how many, how far judge and people agree, a file of them."""
    browser = case_browser.read(one.path, evaluations.document(one.path))
    found = grading.grades(one.path)
    with st.expander(f"Grades of people ({len(found):,})", key="grades", expanded=bool(found)):
        standing = grading.standing(found, browser)
        agrees = standing.agreement is None or standing.agreement.enough
        (st.markdown if agrees else st.warning)(literal(standing.words))
        if sheet.judge is not None and sheet.judge.graded != standing.graded:
            st.caption("The scores do not know all of these grades yet: *Score again with the grades* takes them in.")
        st.caption(
            "Open *Cases*, choose one and turn *Grade the answers* on: the judge's verdict stays hidden until you have "
            "graded. Or name a file with the columns question_id, model and verdict (correct, incorrect, neutral), as "
            "CSV or JSON Lines."
        )
        file = paths.file_field("File of grades", f"grades-{one.name}", (".csv", ".jsonl"))
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button("Take these grades", key="take-grades", disabled=file is None) and file is not None:
                with errors.shown():
                    count = grading.load(one.path, file, browser)
                    st.toast(f"{count:,} grades were taken.")
                    st.rerun()
            if found:
                _taken(one, sheet, found)


def _taken(one: Evaluation, sheet: Sheet, found: Grades) -> None:
    st.download_button(
        "Download the grades", grading.as_file(found), file_name=f"{one.name}-grades.jsonl",
        mime="application/jsonl", key="download-grades", on_click="ignore",
    )  # fmt: skip
    if sheet.judge is not None and not one.live and st.button("Score again with the grades", key="score-with-grades"):
        with errors.shown():
            evaluations.score(one.name, sheet.against, evaluation_words.remembered())
            st.rerun()


def _ask(one: Evaluation, sheet: Sheet) -> None:
    """Ask a judge about what has been answered."""
    title = "Ask a judge" if sheet.judge is None else "Ask a judge again, or another one"
    with st.expander(title, key="ask-judge"):
        judge, missing = judge_fields.choose(f"ask-{one.name}", nobody=False)
        if missing:
            st.caption(missing)
        st.caption("An answer that this judge has graded before is not put to it again.")
        if st.button("Ask the judge", key="ask-the-judge", disabled=judge is None) and judge is not None:
            with errors.shown():
                evaluations.score(one.name, sheet.against, evaluation_words.remembered(), judge)
                st.rerun()
