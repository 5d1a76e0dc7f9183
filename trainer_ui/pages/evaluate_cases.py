"""The cases of an evaluation: filters, the list, the worst first; one that is chosen is shown in its place.

The view stands in the address, so that it is the same after a reload and in a link; the words that are looked for stay
out of it, since they may be a patient's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from trainer_ui.components.words import literal
from trainer_ui.pages import evaluate_case
from trainer_ui.services import case_browser, case_view, evaluations, grading, score_sheet
from trainer_ui.services.case_browser import FAULTS, VERDICTS, Browser, StudyCases
from trainer_ui.services.case_view import DIFFER, GRADED, ORDERS, View
from trainer_ui.services.evaluations import Evaluation
from trainer_ui.services.grading import Grades
from trainer_ui.services.score_sheet import Sheet

CASE, TEXT = "case", "cases-text"
ROW_HEIGHT = 33
MOST_ROWS = 16


def opened() -> bool:
    """Whether the address names a case."""
    return CASE in st.query_params


def show(one: Evaluation, sheet: Sheet) -> None:
    """The list, or the case that stands in the address."""
    browser = case_browser.read(one.path, evaluations.document(one.path))
    if not browser.studies:
        st.info("No question was answered, so there is no case to look at.")
        return
    usual = case_view.usual(browser, sheet.tuned.name if sheet.tuned else "", sheet.against)
    view = _view(browser, usual)
    titles = case_browser.titles(browser)
    grades = grading.grades(one.path) if browser.short else {}
    if opened():
        evaluate_case.show(one, sheet, browser, view, st.query_params[CASE], grades)
        return
    if browser.why:
        st.warning(literal(browser.why))
    _filters(browser, view, usual, titles)
    found = case_view.chosen(browser, view, grades)
    what = sheet.item[len(browser.studies) != 1]
    many = f"{len(found):,} of {len(browser.studies):,} {what}" if view.filtered else f"{len(found):,} {what}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{many}**", width="content")
        st.caption(literal(case_view.in_words(view, titles)), width="content")
        if view.filtered:
            st.button("Show all", key="cases-all", on_click=_clear, type="tertiary")
    if not found:
        st.info("No case is like that. *Show all* takes the filters away.")
        return
    _table(found, browser, view, titles, grades)


def _view(browser: Browser, usual: View) -> View:
    view = case_view.from_address(st.query_params.to_dict(), browser, usual)
    return replace(view, text=str(st.session_state.get(TEXT, "")))


def _filters(browser: Browser, view: View, usual: View, titles: Mapping[str, str]) -> None:
    def chosen(name: str, take: Callable[[Any], Any] = lambda value: value) -> dict[str, Any]:
        """A widget's key, holding what the view says, and its callback, which changes the view in the address."""
        key = f"cases-{name}"
        value = getattr(view, name)
        st.session_state[key] = list(value) if isinstance(value, tuple) else value

        def change() -> None:
            _put(replace(view, **{name: take(st.session_state[key])}), usual)

        return {"key": key, "on_change": change}

    faults = browser.faults(view.of)
    others = [name for name in browser.systems if name != view.of]
    first, second, third, fourth, fifth = st.columns(5)
    first.selectbox(
        "Cases of", browser.systems, format_func=lambda name: titles[name], **chosen("of"), help="Whose faults count."
    )
    second.selectbox("By", (*browser.scores, FAULTS), format_func=_by, **chosen("by"))
    orders = [order for order in ORDERS if others or order not in ("lost", "gained")]
    third.selectbox("Order", orders, format_func=lambda order: _capital(ORDERS[order]), **chosen("order"))
    fourth.selectbox(
        "The other", others or [""], format_func=lambda name: titles.get(name, "–"), disabled=not view.relative,
        **chosen("against"), help="For loss and gain.",
    )  # fmt: skip
    first.multiselect(
        "Faults", list(browser.faults_known), format_func=lambda fault: f"{fault} ({faults[fault]:,})",
        placeholder="Any", **chosen("faults", tuple),
    )  # fmt: skip
    if browser.short:
        said = browser.verdicts(view.of)
        second.multiselect(
            "The judge said", list(VERDICTS), format_func=lambda one: f"{grading.WORDS.get(one, one)} ({said[one]:,})",
            placeholder="Anything", **chosen("verdicts", tuple), disabled=not browser.judged,
            help=None if browser.judged else "No judge has been asked: Scores says how.",
        )  # fmt: skip
        fifth.selectbox("People's grades", list(GRADED), format_func=GRADED.__getitem__, **chosen("graded"))
    else:
        second.selectbox(
            "Finding", ["", *browser.findings], format_func=lambda name: name or "Any", **chosen("finding")
        )
    third.multiselect(
        "Questions" if browser.short else "Studies", list(browser.parts), placeholder="All",
        **chosen("parts", tuple), disabled=not browser.parts,
    )  # fmt: skip
    differ = [name for name in DIFFER if browser.judged or name != "verdicts"]
    fourth.selectbox("Models", differ, format_func=DIFFER.__getitem__, **chosen("differ"))
    fifth.text_input(
        "Look for words", key=TEXT, placeholder="in question, reference, answers", autocomplete="off",
        help="All of them must be there, in any order.",
    )  # fmt: skip


def _table(
    found: tuple[StudyCases, ...], browser: Browser, view: View, titles: Mapping[str, str], grades: Grades
) -> None:
    shown = [view.of, *(name for name in browser.models if name != view.of)]
    if view.relative and view.against not in shown:
        shown.append(view.against)
    table: dict[str, list[Any]] = {"Question" if browser.short else "Study": [study.id for study in found]}
    if browser.short:
        table["Asked"] = [study.asked or None for study in found]
        table["Reference"] = [study.reference or None for study in found]
        table[f"Answer of {titles[view.of]}"] = [study.cases[view.of].prediction for study in found]
    for name in shown:
        table[f"{_by(view.by)}: {titles[name]}"] = [study.value(name, view.by) for study in found]
    if browser.judged:
        table[f"Judge: {titles[view.of]}"] = [_judged(study, view.of) for study in found]
    if grades:
        given = [grades.get((view.of, study.id)) for study in found]
        table[f"People: {titles[view.of]}"] = [None if one is None else grading.WORDS[one] for one in given]
    table["Faults"] = [_faults(study, view.of) or None for study in found]
    if not browser.short:
        table["Of whom"] = [study.whom or None for study in found]
    figures = {
        head: st.column_config.NumberColumn(format="%d" if view.by == FAULTS else "%.1f")
        for head in table
        if head.startswith(_by(view.by))
    }
    event = st.dataframe(
        table,
        hide_index=True,
        key="cases-table",
        on_select="rerun",
        selection_mode="single-cell",
        height=min(MOST_ROWS, len(found) + 1) * ROW_HEIGHT + 4,
        column_config={
            next(iter(table)): st.column_config.TextColumn(width="small" if browser.short else "medium", pinned=True),
            "Faults": st.column_config.TextColumn(width="medium" if browser.short else "large"),
            "Asked": st.column_config.TextColumn(width=260),
            "Reference": st.column_config.TextColumn(width=130),
            f"Answer of {titles[view.of]}": st.column_config.TextColumn(width=180),
            **figures,
        },
        placeholder="–",
        alt=f"Cases: {case_view.in_words(view, titles)}",
    )
    st.caption("Click a case to open it. Previous and next then go through the list in this order.")
    cells = event["selection"]["cells"]
    if cells and cells[0][0] < len(found):
        st.query_params[CASE] = found[cells[0][0]].id
        st.rerun()


def _faults(study: StudyCases, system: str) -> str:
    """What is wrong with a case, in a line."""
    case = study.cases.get(system)
    if case is None:
        return ""
    return "; ".join(f"{slip.fault}: {slip.finding}" if slip.finding else slip.fault for slip in case.slips)


def _judged(study: StudyCases, system: str) -> str | None:
    """What the judge said of a case and how sure it was, in a word."""
    said = study.cases[system].judged
    if said is None:
        return None
    sure = f", {said.confidence} of 5" if said.confidence is not None else ""
    return f"{grading.WORDS[said.verdict]}{sure}"


def _put(view: View, usual: View) -> None:
    """Another view from here on."""
    for name in case_view.ADDRESS:
        st.query_params.pop(name, None)
    st.query_params.update(view.params(usual))


def _clear() -> None:
    st.session_state[TEXT] = ""
    for name in ("fault", "finding", "in", "differ", "verdict", "graded"):
        st.query_params.pop(name, None)


def _by(name: str) -> str:
    return "Number of faults" if name == FAULTS else score_sheet.about(name).title


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
