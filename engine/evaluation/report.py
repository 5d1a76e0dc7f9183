"""The report of an evaluation, as a document of headings, sentences, tables and charts: what it says, not how it looks.

It says first who was compared on what and what came of it, then the figures, then what they mean and do not mean. Two
renderers print the same document (report_html, report_pdf). It holds no report text of a patient and no identifier.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.evaluation import report_figures as figures
from engine.evaluation import report_judge, report_vqa
from engine.evaluation import report_tables as tables
from engine.evaluation.assessment import Assessment, System
from engine.evaluation.cases import Fault, ShortFault
from engine.evaluation.keys import KEYS, headline
from engine.evaluation.meaning import STATED
from engine.evaluation.published import published
from engine.evaluation.report_blocks import Bar, Block, Chart, Document, Heading, Table, Text
from engine.evaluation.scoring import ScoreSheet
from engine.evaluation.statistics import RESAMPLES, Difference
from engine.evaluation.subgroups import FEWEST
from engine.remote.address import provenance
from engine.reports import labels

LEVEL = 0.05
"""Of p values after the correction."""

FEW = 30
"""Patients below which drawing them again says too little."""

_PRIORS = {
    "true": "each study's own prior, where it has one",
    "dummy": "the current image in place of the prior, still as a pair",
    "none": "the current image alone",
}
_SHOWN_OF_PARTS = ("ROUGE-L", "finding_f1_micro", "progression_recall", "missed_comparison_rate",
                   "prior_hallucination_rate")  # fmt: skip


def document(found: Assessment, name: str) -> Document:
    """The report of an evaluation that is called ``name``."""
    made = str(found.document.get("made", ""))[:10]
    return Document(
        title=f"Evaluation {name}",
        subtitle=f"{figures.of_patients(found.studies, found.patients, found.task)}, begun {made}",
        line=labels.RESEARCH_LINE,
        blocks=tuple(_blocks(found)),
    )


def _blocks(found: Assessment) -> Iterator[Block]:
    yield from _warnings(found)
    yield Heading("In short")
    yield from (Text(sentence) for sentence in _short(found))
    yield Heading("Who answered what")
    yield from _who(found)
    yield Heading("Scores")
    first = (*headline(found.task), *report_judge.headline(found))
    yield from tables.scores(found, [key for key in first if tables.known(found, key)])
    yield from _differences(found)
    short = found.task == "vqa"
    yield Heading(f"What went wrong, per 100 {figures.items(found.task)}")
    yield from _faults(found)
    if short:
        yield from report_vqa.by_type(found)
        yield from report_judge.judged(found)
    else:
        yield Heading("By finding and by change")
        yield from _findings(found)
    yield from _parts(found)
    yield Heading("All other scores")
    rest = [key for key in tables.keys(found) if key not in first and "[" not in key]
    apart = (report_vqa.EXTRAS, "judge_")
    yield from tables.scores(found, [key for key in rest if not key.startswith(apart)])
    yield from report_vqa.extras(found)
    yield Heading("What others have published")
    yield Text(published().note, "warning")
    for table in published().of(found.task):
        yield Heading(table.title, 2)
        yield Table(("Model", *table.columns), table.rows)
        yield Text(f"Source: {table.source}.", "note")
    yield Heading("What the scores mean")
    yield Table(("Score", "Better", "What it is"), tuple(tables.meaning(key) for key in tables.stems(found)))
    yield Heading("How this was computed")
    yield from (Text(sentence, "note") for sentence in _method(found))


def _warnings(found: Assessment) -> Iterator[Block]:
    demonstrations = [one.title for one in found.systems if one.about.get("demonstration")]
    if demonstrations:
        yield Text(f"{labels.DEMO_MARK}: {', '.join(demonstrations)}. {labels.DEMO_LINE}", "warning")
    if found.patients < FEW:
        yield Text(f"Fewer than {FEW} patients: all intervals are narrower than they should be.", "warning")
    for one in found.systems:
        if not one.baseline and one.sheet is not None and one.sheet.studies < found.studies:
            missing = found.studies - one.sheet.studies
            yield Text(
                f"{one.title} has no answer to {missing} of {found.studies} {figures.items(found.task)}; its scores "
                "are over the others.",
                "warning",
            )
        if len(one.precisions) > 1:
            yield Text(f"{one.title} wrote in more than one precision: {'; '.join(one.precisions)}.", "warning")
    yield from (Text(note, "warning") for note in found.notes)


def _short(found: Assessment) -> Iterator[str]:
    models = [one for one in found.systems if not one.baseline]
    known = found.with_prior or (found.with_prior is not None and found.task == "report")
    priors = f", {found.with_prior} of them with a prior study" if known else ""
    yield (
        f"{figures.count(len(models), 'system')} answered {figures.count(found.studies, 'question')} about "
        f"{figures.count(found.patients, 'patient')}{priors}."
    )
    others = [one for one in models if one.name != found.against and one.comparison.differences]
    for one in others:
        better, worse = _clear(one, True), _clear(one, False)
        words = [f"better in {', '.join(better)}"] if better else []
        words += [f"worse in {', '.join(worse)}"] if worse else []
        said = " and ".join(words) if words else "not distinguishable in any tested score"
        rest = len(one.comparison.differences) - len(better) - len(worse)
        tail = f"; the other {rest} tested scores do not tell them apart" if words and rest else ""
        yield f"{one.title} against {tables.title(found, found.against)}: {said}{tail} (p < {LEVEL} after Holm)."
    if others:
        yield "A score that does not tell two systems apart does not show that they are equal."
    chosen = next(one for one in found.systems if one.name == found.against)
    for one in found.systems:
        if one.baseline and one.comparison.differences and not chosen.baseline:
            beaten = [key for key, gain in one.comparison.differences.items() if _ahead(key, gain) is True]
            if beaten:
                titles = ", ".join(KEYS[key].title for key in beaten)
                yield (
                    f"{one.title}, without a look at the images, is ahead of {chosen.title} in {titles} (its interval "
                    "lies beyond 0)."
                )


def _clear(one: System, better: bool) -> list[str]:
    return [
        f"{KEYS[key].title} ({figures.signed(key, gain.value)}, {figures.interval(key, gain)})"
        for key, gain in one.comparison.differences.items()
        if gain.p_holm < LEVEL and gain.value and ((gain.value > 0) == bool(KEYS[key].higher_is_better)) is better
    ]


def _ahead(key: str, gain: Difference) -> bool | None:
    """Whether the interval says better (True) or worse (False); None where it holds 0."""
    if gain.low <= 0 <= gain.high:
        return None
    return (gain.low > 0) == bool(KEYS[key].higher_is_better)


def _who(found: Assessment) -> Iterator[Block]:
    rows = []
    for one in found.systems:
        answered = one.sheet.studies if one.sheet is not None else 0
        if one.baseline:
            rows.append((one.title, "no model", "", "", str(answered), "", "", ""))
            continue
        prompt = one.about.get("prompt") or {}
        rows.append(
            (
                one.title,
                str(one.about.get("tuned_from") or ""),
                "not known" if one.about.get("served") else str(one.about.get("sha256") or "")[:12],
                "; ".join(one.precisions).replace(", none", ""),
                str(answered),
                str(one.left_out),
                str(one.cut_off),
                "" if one.seconds is None else f"{one.seconds:.1f}",
            )
        )
        if prompt.get("text"):
            rows[-1] = (f"{one.title}: \u201c{prompt['text']}\u201d", *rows[-1][1:])
    head = ("System", "Made from", "Weights (sha256)", "Precision", "Answers scored", "Left out", "Cut off by length",
            "Seconds an answer (median)")  # fmt: skip
    yield Table(head, tuple(rows))
    for one in found.systems:
        if one.about.get("served"):
            yield Text(f"{one.title}: {provenance(str(one.about['served']))}.", "note")
        if one.note:
            yield Text(f"{one.title}: {figures.sentence(one.note)}", "note")
    asked = found.document["asked"]
    questions = asked["questions"]
    yield Text(
        f"Questions: {Path(questions['file']).name} (sha256 {questions['sha256'][:12]}). The models were shown "
        f"{_PRIORS.get(str(asked['prior']), 'what the answers say')}. {_chosen_words(asked['decoding'])}",
        "note",
    )


def _chosen_words(decoding: Mapping[str, Any]) -> str:
    """How words were chosen, as a sentence."""
    rest = dict(decoding)
    beams, temperature = int(rest.pop("num_beams", 1)), float(rest.pop("temperature", 0))
    how = "greedily" if beams == 1 else f"by a search with {beams} beams"
    if temperature:
        how = f"at random with temperature {temperature:g}"
    most = rest.pop("max_new_tokens", None)
    rest.pop("num_return_sequences", None)
    others = [f"{name.replace('_', ' ')} {value}" for name, value in rest.items()]
    said = [how, *([f"at most {most} tokens an answer"] if most else []), *others]
    return f"Words were chosen {', '.join(said)}."


def _differences(found: Assessment) -> Iterator[Block]:
    others = [one for one in found.systems if one.comparison.differences]
    if not others:
        return
    chosen = tables.title(found, found.against)
    yield Heading(f"Differences to {chosen}")
    for one in others:
        count = figures.of_patients(one.comparison.studies, one.comparison.patients, found.task)
        yield Heading(f"{one.title} minus {chosen}, over {count}", 2)
        gains = one.comparison.differences
        bars = [
            Bar(KEYS[key].title, *figures.turned(key, gain), clear=not one.baseline and gain.p_holm < LEVEL)
            for key, gain in gains.items()
            if KEYS[key].unit == "%"
        ]
        if bars:
            yield Chart(
                f"Gain in percentage points: right of the line {one.title} is better, left of it {chosen}.", tuple(bars)
            )
        yield Table(
            ("Score", "Difference", "95 % interval", "p", "p after Holm"),
            tuple(
                (
                    figures.named(key),
                    figures.signed(key, gain.value),
                    figures.interval(key, gain),
                    "not tested" if one.baseline else figures.p(gain.p),
                    "" if one.baseline else figures.p(gain.p_holm),
                )
                for key, gain in gains.items()
            ),
        )
        yield from report_vqa.discordances(one.title, chosen, one.comparison)
    yield Text(
        "The chart shows what is better to the right, also for scores of which less is better; a filled mark stays "
        f"below {LEVEL} after the correction. p: paired permutation by patient, two-sided, corrected after Holm over "
        f"{figures.count(found.tests, 'test')} (all models and tested scores). Baselines are not tested.",
        "note",
    )


def _faults(found: Assessment) -> Iterator[Block]:
    counted: dict[str, Counter[str]] = {}
    for case in found.cases:
        counted.setdefault(case.system, Counter()).update(slip.fault for slip in case.slips)
    for some in tables.chunks(tables.scored(found)):
        yield Table(
            ("Fault", *(one.title for one in some)),
            tuple(
                (
                    str(fault).capitalize(),
                    *(
                        _share(counted.get(one.name, Counter())[fault], _read(found, one.sheet))
                        for one in some
                        if one.sheet is not None
                    ),
                )
                for fault in (ShortFault if found.task == "vqa" else Fault)
            ),
        )
    if found.task == "vqa":
        yield Text("An answer is incomplete where it holds some but not all words of the reference.", "note")
        return
    yield Text(
        f"Read from the texts by rules ({labels.EXTRACTOR_LINE}); a study may have several of a kind. A finding "
        "that is not mentioned counts as missed where it is there. Studies that are not in English are not among them.",
        "note",
    )


def _read(found: Assessment, sheet: ScoreSheet) -> int:
    """How many studies faults were looked for in: of reports those in English."""
    return sheet.studies if found.task == "vqa" else sheet.scores["finding_f1_micro"].studies


def _share(count: int, studies: int) -> str:
    return f"{100 * count / studies:.1f}" if studies else "n/a"


def _findings(found: Assessment) -> Iterator[Block]:
    classes = [key for key in tables.keys(found) if key.startswith("finding_f1[")]
    changes = {f"progression_accuracy[{change}]" for change in STATED}
    progression = [key for key in tables.keys(found) if key.startswith("progression_accuracy[")]
    sizes = [key for key in tables.keys(found) if key.startswith("finding_recall[")]
    for title, keys, positives in (
        ("Finding F1", classes, True), ("Finding recall by size", sizes, False),
        ("Progression accuracy by finding", [key for key in progression if key not in changes], False),
        ("Progression accuracy by change", [key for key in progression if key in changes], False),
    ):  # fmt: skip
        shown = [key for key in keys if any(tables.value(one, key) is not None for one in found.systems)]
        if not shown:
            continue
        yield Heading(title, 2)
        for some in tables.chunks(tables.scored(found)):
            head = (title, *(("There in studies",) if positives else ()), *(one.title for one in some))
            rows = []
            for key in shown:
                inner = key[key.index("[") + 1 : -1]
                there = (str(found.positives.get(inner, "")),) if positives else ()
                rows.append((inner, *there, *(figures.cell(key, tables.score(one, key)) for one in some)))
            yield Table(head, tuple(rows))
    yield Text("Scores of findings that are there in few studies say little: look at the intervals.", "note")


def _parts(found: Assessment) -> Iterator[Block]:
    divided = [one for one in found.systems if one.parts and not one.baseline]
    if not divided:
        return
    yield Heading("By sex, age, view and prior")
    for one in divided:
        shown = report_vqa.SHOWN_OF_PARTS if found.task == "vqa" else _SHOWN_OF_PARTS
        keys = [key for key in shown if any(tables.has(part.scores.get(key)) for part in one.parts)]
        yield Heading(one.title, 2)
        yield Table(
            (figures.items(found.task).capitalize(), "Number", "Patients", *(KEYS[key].title for key in keys)),
            tuple(
                (
                    f"{part.division}: {part.name}",
                    str(part.studies),
                    str(part.patients),
                    *(figures.cell(key, part.scores.get(key)) for key in keys),
                )
                for part in one.parts
            ),
        )
    yield Text(
        f"Not tested: a difference between parts is a hint at most. No interval below {FEWEST} patients.", "note"
    )


def _method(found: Assessment) -> Iterator[str]:
    sheet = next(one.sheet for one in found.systems if one.sheet is not None)
    yield from sheet.notes[:1]
    yield (
        f"Intervals are percentiles of {RESAMPLES} draws of patients with replacement, all studies of a patient "
        "together; scores of the whole set (BLEU, F1) are computed anew in each draw. They say how sure a figure is "
        "for patients like these, not for another hospital."
    )
    yield (
        f"Differences are over the same draws for both systems; p from {RESAMPLES} exchanges of the two systems' texts "
        f"patient by patient, so the smallest p is {1 / (RESAMPLES + 1):.4f}. The intervals are not corrected for "
        "the number of comparisons."
    )
    yield from (note for note in sheet.notes if note.startswith("Patients are not known"))
    yield "No score of this report replaces reading the texts."
