"""The scores of an evaluation: what came of it in words, the tested ones, all others, what is published elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from engine.evaluation import report_figures as figures
from engine.evaluation.published import published
from trainer_ui import errors
from trainer_ui.components import differences_chart, paths, score_cells, tables
from trainer_ui.components.differences_chart import Gain
from trainer_ui.components.score_cells import column, figure, way
from trainer_ui.components.tables import Cell, Group, Row
from trainer_ui.components.words import literal
from trainer_ui.pages import evaluate_judge
from trainer_ui.services import evaluation_words, evaluations, score_sheet, score_words
from trainer_ui.services.evaluation_words import Checkpoints
from trainer_ui.services.evaluations import Evaluation
from trainer_ui.services.score_sheet import VERDICTS, Sheet, System

BESIDE = 5
"""Systems side by side unless others are chosen."""

FLATTERS = (
    "Only for comparison with figures that were computed so. They flatter: wrong answers with a yes or a no leave the "
    "count, parts of words are taken for words, and repetition is rewarded."
)
HOW_TO_READ = (
    "Behind each score its 95 % interval over patients; under it the difference to {base} with its interval, what that "
    "allows to be said, and p by exchanging the texts of both patient by patient, before and after Holm's correction "
    "over {tests}. Baselines have seen no image and are not tested. No interval: the same in every draw. A click on a "
    "score's name says what it measures."
)


def show(one: Evaluation, sheet: Sheet) -> None:
    """Words first, then figures."""
    if not sheet.scored:
        st.info("Nobody's answers could be scored.")
        return
    _in_short(sheet)
    shown = systems_shown(sheet)
    _headline(sheet, shown)
    _against(one, sheet)
    _chart(sheet)
    if sheet.short:
        _types(sheet, shown)
        evaluate_judge.show(one, sheet)
    _absent(one, sheet)
    rest = sheet.rest()
    if rest:
        with st.expander(f"All other scores ({len(rest)})", key="all-scores"):
            _table(rest, shown, sheet)
    if sheet.as_llava_med():
        with st.expander("As LLaVA-Med's own code counts", key="llava-med"):
            st.warning(FLATTERS)
            _table(sheet.as_llava_med(), shown, sheet)
    with st.expander("What others have published", key="published"):
        _published(sheet.task)


def systems_shown(sheet: Sheet) -> tuple[System, ...]:
    """The systems side by side: all of a few, those that are chosen of many."""
    scored = {one.name: one for one in sheet.scored}
    if len(scored) <= BESIDE:
        return sheet.scored
    base, tuned = sheet.chosen, sheet.tuned
    first = [one.name for one in (base, tuned) if one is not None]
    usual = list(dict.fromkeys([*first, *scored]))[:BESIDE]
    chosen = st.multiselect(
        "Side by side",
        list(scored),
        default=[name for name in scored if name in usual],
        format_func=lambda name: scored[name].title,
        key="systems-shown",
    )
    return tuple(one for name, one in scored.items() if name in chosen)


def score_again(name: str, against: str = "", checkpoints: Checkpoints | None = None) -> None:
    """Queue the scoring of an evaluation, with what checkpoints there are."""
    evaluations.score(name, against, checkpoints or evaluation_words.remembered())


def _in_short(sheet: Sheet) -> None:
    told = list(score_words.warnings(sheet))
    if told:
        st.warning("\n\n".join(map(literal, told)))
    with st.container(border=True, key="in-short"):
        st.subheader("In short", anchor=False)
        for sentence in score_words.summary(sheet):
            st.markdown(literal(sentence))
        st.caption(
            "Whether a difference matters to a patient no score says: look at the cases. It holds for patients like "
            "these, not for another hospital."
        )


def _headline(sheet: Sheet, shown: Sequence[System]) -> None:
    st.subheader("Tested scores", anchor=False)
    judged = {one.name: one for one in sheet.by_judge()}
    head: list[str | Cell] = ["Score", *(column(one, sheet) for one in shown)]
    rows = [
        _row(key, [judged.get(one.name, one) if key in sheet.judged() else one for one in shown], True, sheet)
        for key in sheet.headline()
    ]
    tables.show(head, rows)
    chosen = sheet.chosen
    if chosen is not None:
        tests = figures.count(sheet.tests, "test")
        st.caption(literal(HOW_TO_READ.format(base=chosen.title, tests=tests)))


def _table(keys: Sequence[str], shown: Sequence[System], sheet: Sheet) -> None:
    tables.show(["Score", *(one.title for one in shown)], [_row(key, shown, False, sheet) for key in keys])


def _row(key: str, shown: Sequence[System], differences: bool, sheet: Sheet) -> Row:
    about = score_sheet.about(key)
    counts = {score_cells.over(one.scores.get(key), sheet) for one in shown} - {""}
    unit = ", %" if about.unit == "%" else ""
    same = counts.pop() if len(counts) == 1 else ""
    cells = [
        _cell(key, one, differences, "" if same else score_cells.over(one.scores.get(key), sheet)) for one in shown
    ]
    return Row(f"{about.title}{unit}", cells, note=", ".join(filter(None, (way(about), same))), says=about.says)


def _cell(key: str, one: System, differences: bool, count: str) -> Cell:
    lines = figure(key, one.scores.get(key), count=count)
    return lines + score_cells.difference(key, one) if differences else lines


def _types(sheet: Sheet, shown: Sequence[System]) -> None:
    """Short answers by the type of their question."""
    types = sheet.types()
    if not types:
        return
    with st.expander(f"By type of question ({len(types)})", key="by-type"):
        rows: list[Row | Group] = []
        for kind in types:
            rows.append(Group(kind))
            rows += [replace(_row(key, shown, False, sheet), name=_stem(key), says="") for key in sheet.of_type(kind)]
        tables.show(["Type of question", *(column(one, sheet) for one in shown)], rows)
        st.caption("Nothing is tested here. Scores of few questions say little: look at the intervals.")


def _stem(key: str) -> str:
    """The name of a score without the type of question it is of."""
    about = score_sheet.about(key.partition("[")[0])
    return f"{about.title}, %"


def _against(one: Evaluation, sheet: Sheet) -> None:
    names = {system.name: system.title for system in sheet.scored}
    if len(names) < 2 or one.live:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            "Compared with",
            list(names),
            index=list(names).index(sheet.against) if sheet.against in names else 0,
            format_func=names.__getitem__,
            key=f"against-{one.name}",
            width=320,
        )
        if chosen != sheet.against and st.button("Compare with it", key="compare-with", help="Scores again, as a job."):
            with errors.shown():
                score_again(one.name, chosen)
                st.rerun()


def _chart(sheet: Sheet) -> None:
    others = {one.name: one for one in sheet.scored if one.differences}
    chosen = sheet.chosen
    if not others or chosen is None:
        return
    st.subheader("Differences", anchor=False)
    first = sheet.tuned.name if sheet.tuned is not None and sheet.tuned.name in others else next(iter(others))
    name = first
    if len(others) > 1:
        name = st.segmented_control(
            "Of",
            list(others),
            default=first,
            required=True,
            format_func=lambda one: literal(others[one].title),
            key="difference-of",
            label_visibility="collapsed",
        )
    one = others[name]
    gains = [
        Gain(
            score_sheet.about(key).title,
            *figures.turned(key, gain),
            verdict=verdict,
            says=VERDICTS[verdict],
            clear=verdict in ("better", "worse"),
        )
        for key, gain in one.differences.items()
        if score_sheet.about(key).unit == "%" and (verdict := one.verdict(key)) is not None
    ]
    if gains:
        differences_chart.show(gains, of=one.title, against=chosen.title, key="differences")
        st.caption(
            literal(
                f"{one.title} minus {chosen.title}, over {figures.of_patients(*one.compared, sheet.task)}; turned so "
                "that right is better, also for scores of which less is better. Filled: below p = 0.05 after the "
                "correction. Intervals are 95 %, not corrected for the number of scores."
            )
        )
    else:
        st.caption("No difference to draw.")


def _absent(one: Evaluation, sheet: Sheet) -> None:
    absent = sheet.absent()
    lacking = [system for system in sheet.systems if system.baseline and not system.scores and system.note]
    count = len(absent) + len(lacking)
    title = f"Not computed ({count}), and scoring again" if count else "Scoring again, with checkpoints"
    with st.expander(title, key="absent"):
        for note in sorted(set(absent.values())):
            titles = ", ".join(score_sheet.about(key).title for key, reason in absent.items() if reason == note)
            st.markdown(literal(f"{titles}: {figures.sentence(note)}"))
        for system in lacking:
            st.markdown(literal(f"{system.title}: {figures.sentence(system.note)}"))
        st.markdown("With checkpoints that lie on this machine more can be computed; answers are not made again.")
        given = checkpoint_fields("again")
        if st.button("Score again", key="score-again", disabled=one.live):
            with errors.shown():
                score_again(one.name, sheet.against, given)
                st.rerun()


def checkpoint_fields(place: str) -> Checkpoints:
    """Fields for what scores need that are not computed by rules; what was named last stands in them."""
    known = evaluation_words.remembered()
    fields = {
        "bertscore": ("BERTScore: folder of distilbert-base-uncased", "Its configuration, tokenizer and weights."),
        "chexbert": ("CheXbert F1: folder of CheXbert", "chexbert.pth with bert-base-uncased's config and tokenizer."),
        "radeval": (
            "RadGraph F1, RadCliQ, RaTEScore: environment with RadEval",
            "A virtual environment made from requirements-radeval.txt; weights from this machine's cache.",
        ),
    }
    found = {}
    for name, (label, help) in fields.items():
        key = f"{place}-{name}"
        before = getattr(known, name)
        if key not in st.session_state and before is not None:
            st.session_state[key] = str(before)
        found[name] = paths.folder_field(label, key, optional=True, help=help)
    return Checkpoints(**found)


def _published(task: str) -> None:
    known = published()
    st.warning(literal(known.note))
    for table in known.of(task):
        rows = [Row(row[0], [tables.text(cell or "–") for cell in row[1:]]) for row in table.rows]
        tables.show(["Model", *table.columns], rows, caption=table.title)
        st.caption(literal(f"Source: {table.source}."))
