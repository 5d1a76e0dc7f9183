"""The scores of an evaluation: what came of it in words, the tested ones, all others, what is published elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.evaluation import report_figures as figures
from engine.evaluation.keys import Key
from engine.evaluation.published import published
from engine.evaluation.statistics import Score
from trainer_ui import errors
from trainer_ui.components import differences_chart, paths, tables
from trainer_ui.components.differences_chart import Gain
from trainer_ui.components.tables import Cell, Line, Row, Tone
from trainer_ui.components.words import literal
from trainer_ui.services import evaluation_words, evaluations, score_sheet, score_words
from trainer_ui.services.evaluation_words import Checkpoints
from trainer_ui.services.evaluations import Evaluation
from trainer_ui.services.score_sheet import VERDICTS, Discordance, Sheet, System

BESIDE = 5
"""Systems side by side unless others are chosen."""

TONES: dict[str, Tone] = {"better": "good", "worse": "bad", "ahead": "bad"}
"""Of the verdicts that must not be overlooked; a baseline that is ahead is one of them."""

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
    _absent(one, sheet)
    _judge(sheet, shown)
    rest = sheet.rest()
    if rest:
        with st.expander(f"All other scores ({len(rest)})", key="all-scores"):
            _table(rest, shown, differences=False)
    if sheet.as_llava_med():
        with st.expander("As LLaVA-Med's own code counts", key="llava-med"):
            st.warning(FLATTERS)
            _table(sheet.as_llava_med(), shown, differences=False)
    with st.expander("What others have published", key="published"):
        _published()


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


def column(one: System, sheet: Sheet) -> Cell:
    """What stands above a system's column."""
    made = str(one.about.get("tuned_from") or "")
    if one.name == sheet.against:
        note = "the others are compared with it"
    elif one.baseline:
        note = "baseline, sees no image"
    else:
        note = f"made from {made}" if made else "model"
    return [Line(one.title), Line(note, "small")]


def score_again(name: str, against: str = "", checkpoints: Checkpoints | None = None) -> None:
    """Queue the scoring of an evaluation, with what checkpoints there are."""
    evaluations.score(name, against, checkpoints or evaluation_words.remembered())


def figure(key: str, score: Score | None, *, count: bool = False) -> list[Line | tuple[Line, ...]]:
    """A score with its interval; with ``count`` the studies it is over."""
    if score is None or score.value is None:
        return [Line("n/a", "small")]
    over = f", {figures.count(score.studies, 'study', 'studies')}" if count else ""
    value = Line(score_words.value(key, score), "strong")
    return [(value, Line(f"{score_words.interval(key, score)}{over}", "small"))]


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
    _table(sheet.headline(), shown, differences=True, sheet=sheet)
    chosen = sheet.chosen
    if chosen is not None:
        tests = figures.count(sheet.tests, "test")
        st.caption(literal(HOW_TO_READ.format(base=chosen.title, tests=tests)))


def _table(keys: Sequence[str], shown: Sequence[System], *, differences: bool, sheet: Sheet | None = None) -> None:
    head: list[str | Cell] = ["Score", *(column(one, sheet) if sheet is not None else one.title for one in shown)]
    tables.show(head, [_row(key, shown, differences) for key in keys])


def _row(key: str, shown: Sequence[System], differences: bool) -> Row:
    about = score_sheet.about(key)
    counts = {one.scores[key].studies for one in shown if key in one.scores and one.scores[key].value is not None}
    unit = ", %" if about.unit == "%" else ""
    same = figures.count(counts.pop(), "study", "studies") if len(counts) == 1 else ""
    cells = [_cell(key, one, differences, count=not same) for one in shown]
    return Row(f"{about.title}{unit}", cells, note=", ".join(filter(None, (way(about), same))), says=about.says)


def _cell(key: str, one: System, differences: bool, *, count: bool) -> Cell:
    lines = figure(key, one.scores.get(key), count=count)
    gain, verdict = one.differences.get(key), one.verdict(key)
    if differences and gain is not None and verdict is not None:
        said, tested = Line(VERDICTS[verdict], TONES.get(verdict, "small")), score_words.p_values(gain)
        change = Line(score_words.change(key, gain))
        lines += [(change, said), Line(tested, "small")] if tested else [change, said]
        apart = one.discordances.get(key)
        lines += [Line(_discordance(apart), "small")] if apart is not None and not one.baseline else []
    return lines


def way(about: Key) -> str:
    """Which way a score is better; "" for one of which neither is."""
    better = figures.better(about)
    return f"{better} is better" if about.higher_is_better is not None else f"best {better}" if better else ""


def _discordance(apart: Discordance) -> str:
    return (
        f"of {apart.items:,} questions right: only the other {apart.chosen_only:,}, only this {apart.this_only:,} "
        f"(McNemar p {figures.p(apart.p)})"
    )


def _judge(sheet: Sheet, shown: Sequence[System]) -> None:
    """What a judge said of short answers: apart from all else, with what must be said of it."""
    if sheet.judge is None:
        return
    st.subheader("What a judge says", anchor=False)
    st.warning(literal(sheet.judge.caution))
    for sentence in sheet.judge.sentences:
        st.markdown(literal(sentence))
    _table(sheet.judged(), shown, differences=False)
    st.caption(literal(f"The judge was {sheet.judge.name}: a language model that reads the answers and sees no image."))


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
                f"{one.title} minus {chosen.title}, over {figures.of_patients(*one.compared)}; turned so that right is "
                "better, also for scores of which less is better. Filled: below p = 0.05 after the correction. "
                "Intervals are 95 %, not corrected for the number of scores."
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


def _published() -> None:
    known = published()
    st.warning(literal(known.note))
    for table in known.tables:
        rows = [Row(row[0], [tables.text(cell or "–") for cell in row[1:]]) for row in table.rows]
        tables.show(["Model", *table.columns], rows, caption=table.title)
        st.caption(literal(f"Source: {table.source}."))
