"""What a report says of short answers to questions, beside what it says of all answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.evaluation import report_figures as figures
from engine.evaluation import report_tables as tables
from engine.evaluation.assessment import Assessment, System
from engine.evaluation.comparing import Comparison
from engine.evaluation.keys import KEYS
from engine.evaluation.report_blocks import Block, Heading, Table, Text

EXTRAS = "vqa_llava_med"
"""The beginning of keys that are shown apart from all others."""

SHOWN_OF_PARTS = ("vqa_closed_accuracy", "vqa_open_recall", "vqa_open_f1", "vqa_accuracy")

_BY_TYPE = ("vqa_closed_accuracy", "vqa_open_recall", "vqa_open_f1", "vqa_open_exact_match", "vqa_accuracy")


def by_type(found: Assessment) -> Iterator[Block]:
    """The scores of each type of question."""
    names = tables.keys(found)
    types = list(dict.fromkeys(name.partition("[")[2][:-1] for name in names if name.startswith("vqa_accuracy[")))
    if not types:
        return
    yield Heading("By type of question")
    for stem in _BY_TYPE:
        keys = {kind: f"{stem}[{kind}]" for kind in types if f"{stem}[{kind}]" in names}
        if not keys:
            continue
        yield Heading(KEYS[stem].title, 2)
        for some in tables.chunks(tables.scored(found)):
            rows = tuple(
                (kind, _asked(some, key), *(figures.cell(key, tables.score(one, key)) for one in some))
                for kind, key in keys.items()
            )
            yield Table(("Type", "Questions", *(one.title for one in some)), rows)
    yield Text("Types with few questions say little: look at the intervals.", "note")


def discordances(name: str, chosen: str, comparison: Comparison) -> Iterator[Block]:
    """On how many questions a system and the one it is compared with differ, with McNemar's test."""
    found = comparison.discordances
    if not found:
        return
    yield Table(
        ("McNemar", f"Only {chosen} right", f"Only {name} right", "Questions", "p, exact"),
        tuple(
            (figures.named(key), str(entry.first), str(entry.second), str(entry.items), figures.p(entry.p))
            for key, entry in found.items()
        ),
    )
    yield Text(
        "McNemar's test takes every question for itself and is not corrected; where several are about one patient, go "
        "by the p values above.",
        "note",
    )


def extras(found: Assessment) -> Iterator[Block]:
    """Figures that are there for comparison with what others have published."""
    names = [name for name in tables.keys(found) if name.startswith(EXTRAS)]
    if not any(tables.value(one, name) is not None for one in found.systems for name in names):
        return
    yield Heading("As LLaVA-Med's own code counts")
    yield Text(
        "Only for comparison with figures that were computed so. They flatter: wrong answers with a yes or a no leave "
        "the count, parts of words are taken for words, and repetition is rewarded.",
        "warning",
    )
    yield from tables.scores(found, names)


def _asked(systems: Sequence[System], key: str) -> str:
    """How many questions of a kind were answered, by whoever answered most."""
    entries = (tables.score(one, key) for one in systems)
    return str(max((entry.studies for entry in entries if entry is not None), default=0))
