"""What the sections of a report ask of an assessment: scores side by side, keys in their order, systems by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from engine.evaluation import report_figures as figures
from engine.evaluation.assessment import Assessment, System
from engine.evaluation.keys import KEYS, Key, describe
from engine.evaluation.report_blocks import Block, Table, Text
from engine.evaluation.statistics import Score


def scores(found: Assessment, names: Sequence[str]) -> Iterator[Block]:
    """A table of these scores of all systems, with notes on how to read it and on what could not be computed."""
    shown = [name for name in names if any(value(one, name) is not None for one in found.systems)]
    for some in chunks(scored(found)) if shown else ():
        head = ("Score", "Better", *(one.title for one in some))
        rows = tuple(
            (
                figures.named(name),
                figures.better(describe(name)),
                *(figures.cell(name, score(one, name)) for one in some),
            )
            for name in shown
        )
        yield Table(head, rows)
    if shown:
        others = [describe(name).title for name in shown if describe(name).unit != "%"]
        yield Text(
            "In brackets: 95 % interval over patients; none where every draw gives the same. "
            f"{'All but ' + ' and '.join(others) if others else 'All'} are in percent.",
            "note",
        )
    reasons = {}
    for one in scored(found):
        for name in names:
            entry = score(one, name)
            if name not in shown and entry is not None and entry.note:
                reasons[name] = entry.note
    yield from (Text(f"{figures.named(name)}: {figures.sentence(why)}", "note") for name, why in reasons.items())
    partial = [one for one in scored(found) if one.sheet is not None and one.sheet.studies < found.studies]
    if shown and partial:
        counts = ", ".join(f"{one.title} {one.sheet.studies}" for one in partial if one.sheet is not None)
        yield Text(
            f"Not all systems are scored over the same {figures.items(found.task)} (of {found.studies}: {counts}); the "
            "differences below are over those both answered.",
            "note",
        )


def keys(found: Assessment) -> list[str]:
    """Every key that any system has, in the order in which they are shown."""
    names = dict.fromkeys(name for one in found.systems if one.sheet is not None for name in one.sheet.scores)
    order = {name: place for place, name in enumerate(KEYS)}

    def place(name: str) -> int:
        return order.get(name, order.get(f"{name.partition('[')[0]}[...]", len(order)))

    return sorted(names, key=place)


def stems(found: Assessment) -> list[Key]:
    """The keys without those of a class, described."""
    return [describe(name) for name in keys(found) if "[" not in name]


def meaning(key: Key) -> tuple[str, str, str]:
    """A row that says what a score is."""
    return key.title, figures.better(key), key.says


def known(found: Assessment, name: str) -> bool:
    """Whether any system has this key, be it without a value."""
    return any(one.sheet is not None and name in one.sheet.scores for one in found.systems)


def scored(found: Assessment) -> list[System]:
    """The systems that have scores."""
    return [one for one in found.systems if one.sheet is not None]


def chunks(systems: Sequence[System], most: int = 5) -> Iterator[Sequence[System]]:
    """Systems side by side in a table, as many as fit on a page, and about as many in each table."""
    size = -(-len(systems) // -(-len(systems) // most))
    for begin in range(0, len(systems), size):
        yield systems[begin : begin + size]


def score(one: System, name: str) -> Score | None:
    """A score of a system."""
    found: Mapping[str, Score] = one.sheet.scores if one.sheet is not None else {}
    return found.get(name)


def value(one: System, name: str) -> float | None:
    """Its value."""
    entry = score(one, name)
    return None if entry is None else entry.value


def has(entry: Score | None) -> bool:
    """Whether it has a value."""
    return entry is not None and entry.value is not None


def title(found: Assessment, name: str) -> str:
    """What a system is called."""
    return next(one.title for one in found.systems if one.name == name)
