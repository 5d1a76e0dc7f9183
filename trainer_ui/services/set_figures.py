"""A data set in figures for the screen: bars with their names, in an order and in words that a reader expects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.datasets.describing import AGE_EDGES, WORD_EDGES

UNSAID = "not said"
VIEWS = {"": UNSAID, "LL": "LATERAL"}
SEXES = {"F": "female", "M": "male", "O": "other", "": UNSAID}
STATUSES = ("present", "uncertain", "denied")
CHANGES = ("new", "worse", "unchanged", "improved", "resolved")
MOST_BARS = 12
"""Bars of one chart; what is rarer is summed up."""


@dataclass(frozen=True)
class Bar:
    """How many; ``part`` is what is stacked or coloured, "" where nothing is."""

    name: str
    count: int
    part: str = ""


@dataclass(frozen=True)
class Figures:
    """A set in figures. A chart without bars has nothing to show.

    Attributes:
        totals: name, figure and what it means, for the head of the page.
        length_words: the median and the middle 90 % of an answer's length, in a sentence.
        comparing_without_prior: ids of rows that compare although there is nothing to compare with.
        silent_with_prior: rows with a prior that compare nothing.
        repeated: text and rows of the answers most rows share; ``repeated_rows`` have one that another has.
    """

    totals: tuple[tuple[str, str, str], ...]
    lengths: tuple[Bar, ...]
    length_words: str
    ages: tuple[Bar, ...]
    age_words: str
    views: tuple[Bar, ...]
    sexes: tuple[Bar, ...]
    questions: tuple[Bar, ...]
    findings: tuple[Bar, ...]
    changes: tuple[Bar, ...]
    comparing_without_prior: tuple[str, ...]
    silent_with_prior: int
    with_prior: int
    rows: int
    answers: int
    repeated_rows: int
    repeated: tuple[tuple[str, int], ...]
    languages: tuple[Bar, ...]
    scripts: tuple[Bar, ...]


def figures(told: Mapping[str, Any], *, form: str) -> Figures:
    """The figures of a description, as ``describing.Description.to_json`` writes it; ``form`` as of a data file."""
    rows, prior = int(told["rows"]), int(told["with_prior"])
    nameless = int(told["rows_without_patient"])
    row = "Samples" if form == "training" else "Questions"
    totals = (
        ("Patients", f"{told['patients']:,}", f"{nameless:,} rows name none" if nameless else "every row names one"),
        ("Studies", f"{told['studies']:,}", "distinct ones that rows name"),
        (row, f"{rows:,}", "rows that can be used"),
        ("Images", f"{told['images']:,}", "distinct files"),
        ("With a prior", _share(prior, rows), f"{prior:,} rows have an earlier image to compare with"),
    )
    return Figures(
        totals=totals,
        lengths=_histogram(told["words"], WORD_EDGES),
        length_words=_spread(told["words"], "words"),
        ages=_histogram(told["ages"], AGE_EDGES),
        age_words=_spread(told["ages"], "years"),
        views=_counted(told["views"], VIEWS),
        sexes=_counted(told["sexes"], SEXES),
        questions=_counted(told["question_types"], {"": UNSAID}) if any(told["question_types"]) else (),
        findings=_findings(told["findings"]),
        changes=_changes(told["findings"]),
        comparing_without_prior=tuple(told["comparing_without_prior"]),
        silent_with_prior=int(told["silent_with_prior"]),
        with_prior=prior,
        rows=rows,
        answers=int(told["answers"]),
        repeated_rows=int(told["repeated_rows"]),
        repeated=tuple((each["text"], int(each["rows"])) for each in told["repeated"]),
        languages=_counted(told["languages"], {}),
        scripts=_counted(told["scripts"], {}),
    )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "0 %"


def _histogram(spread: Mapping[str, Any] | None, edges: tuple[int, ...]) -> tuple[Bar, ...]:
    """One bar a bin, from the first to the last that holds something."""
    if spread is None:
        return ()
    counts = [int(count) for count in spread["counts"]]
    ends = [*edges[1:], None]
    names = [f"{edge}–{end - 1}" if end is not None else f"{edge}+" for edge, end in zip(edges, ends, strict=True)]
    filled = [place for place, count in enumerate(counts) if count]
    first, last = filled[0], filled[-1]
    return tuple(Bar(name, count) for name, count in list(zip(names, counts, strict=True))[first : last + 1])


def _spread(spread: Mapping[str, Any] | None, unit: str) -> str:
    if spread is None:
        return ""
    low, _, middle, _, high = spread["quantiles"]
    least, most = spread["least"], spread["most"]
    if least == most:
        return f"All have {least:.0f} {unit}."
    return f"Median {middle:.0f} {unit}; 90 % have {low:.0f} to {high:.0f}, all of them {least:.0f} to {most:.0f}."


def _counted(values: Mapping[str, int], names: Mapping[str, str]) -> tuple[Bar, ...]:
    """The commonest first, what is not said last; what is rare in one bar."""
    counts: dict[str, int] = {}
    for value, count in values.items():
        name = names.get(value, value)
        counts[name] = counts.get(name, 0) + int(count)
    ranked = sorted(counts, key=lambda name: (name == UNSAID, -counts[name], name))
    bars = [Bar(name, counts[name]) for name in ranked[:MOST_BARS]]
    rest = sum(counts[name] for name in ranked[MOST_BARS:])
    return (*bars, Bar(f"{len(ranked) - MOST_BARS} others", rest)) if rest else tuple(bars)


def _findings(found: list[Mapping[str, Any]]) -> tuple[Bar, ...]:
    """Each finding by what is said of it, those present most often first."""
    ranked = sorted(found, key=lambda each: (-each["present"], -each["uncertain"], -each["absent"]))
    return tuple(
        Bar(each["finding"], int(count), part)
        for each in ranked
        for part, count in zip(STATUSES, (each["present"], each["uncertain"], each["absent"]), strict=True)
        if count
    )


def _changes(found: list[Mapping[str, Any]]) -> tuple[Bar, ...]:
    """Each finding by the change that is stated of it, those compared most often first."""
    compared = [each for each in found if each["changes"]]
    ranked = sorted(compared, key=lambda each: -sum(each["changes"].values()))
    return tuple(
        Bar(each["finding"], int(each["changes"][part]), part)
        for each in ranked
        for part in (*CHANGES, *(name for name in each["changes"] if name not in CHANGES))
        if each["changes"].get(part)
    )
