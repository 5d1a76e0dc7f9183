"""What a judge said of an answer, and a person's own grade of it, on the page of a case.

Whoever grades must not see what the judge said, or both would agree for the wrong reason: its verdict is shown only
once the answer has been graded.
"""

from __future__ import annotations

import streamlit as st

from engine.evaluation.cases import UNREADABLE, Judgement
from trainer_ui import errors
from trainer_ui.components import bound
from trainer_ui.components.words import literal
from trainer_ui.services import grading
from trainer_ui.services.case_browser import Browser, StudyCases
from trainer_ui.services.evaluations import Evaluation
from trainer_ui.services.grading import RULINGS, WORDS, Grades, Ruling

SWITCH, KEPT = "case-grading", "case-grading-kept"
COLOURS = {"correct": "green", "incorrect": "red", "neutral": "orange", UNREADABLE: "gray"}


def switch() -> bool:
    """Whether the answers are being graded; stays from case to case."""
    st.session_state[SWITCH] = st.session_state.get(KEPT, False)  # a widget that was not drawn forgets
    return st.toggle(
        "Grade the answers",
        key=SWITCH,
        on_change=lambda: st.session_state.update({KEPT: st.session_state[SWITCH]}),
        help="The judge's verdict on an answer is hidden until you have graded it.",
    )


def standing(browser: Browser, grades: Grades) -> None:
    """How far the grading has come, and how far people and judge agree."""
    st.caption(literal(grading.standing(grades, browser).words))


def of(one: Evaluation, study: StudyCases, browser: Browser, name: str, grades: Grades, *, by_hand: bool) -> None:
    """The verdict on the answer of a model, and the grade of it."""
    given = grades.get((name, study.id))
    said = study.cases[name].judged
    if said is not None and (not by_hand or given is not None):
        _verdict(said)
    elif said is not None:
        st.caption("What the judge said is shown once you have graded.")
    if by_hand:
        _grade(one, study, browser, name, given)
    elif given is not None:
        st.caption(literal(f"Graded by people: {WORDS[given]}."))


def _verdict(said: Judgement) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(f"Judge: {WORDS[said.verdict]}", color=COLOURS[said.verdict])  # type: ignore[arg-type]
        if said.confidence is not None:
            st.caption(f"confidence {said.confidence} of 5", width="content")
        if said.contradiction:
            st.badge("contradicts itself", color="orange")
    if said.verdict == UNREADABLE:
        st.caption(literal(f"The judge's reply cannot be read: {said.reason}. That is the judge's failing."))
    elif said.reason:
        st.caption(literal(f"Its reason: {said.reason}"))


def _grade(one: Evaluation, study: StudyCases, browser: Browser, name: str, given: Ruling | None) -> None:
    key = f"grade-{one.name}-{name}-{study.id}"

    def take(ruling: Ruling | None) -> None:
        try:
            grading.grade(one.path, study, browser.models, name, ruling)
        except Exception as error:
            st.toast(literal(errors.sentence(error)))

    bound.show(key, given, take)
    st.segmented_control("Against the reference it is", list(RULINGS), format_func=lambda one: WORDS[one], key=key)
