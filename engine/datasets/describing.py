"""A data set in figures: who and what is in it, how long its reports are, what they say and what they compare.

What reports say is read by rules (``engine.reports.findings``), not by CheXbert, and only in English.
Everything is plain values, fit for JSON and for a page. Knows rows, opens no image.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from engine.datasets.rules import Case, answers, plain
from engine.reports.findings import Change, Finding, FindingState, Status, compares, summary
from engine.reports.language import BILINGUAL, CHINESE, LANGUAGES, in_english, tokens, written_in

WORD_EDGES = (0, 10, 20, 30, 40, 50, 60, 80, 100, 150, 200, 300)
AGE_EDGES = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90)
"""Lower edges of the bins of a histogram; the last one is open."""

REPEATED_SHOWN = 5
REPEATED_PATIENTS = 3
"""Answers that so many patients share may be shown as text: they cannot be about one person."""

_LONGEST_SHOWN = 120
_FUNCTION_WORDS = {
    "English": "the is are of and with there has been without from this which",
    "German": "der die das ist und mit kein keine nicht von im eine des zur",
    "French": "le la les est et avec pas des du une dans sans au",
    "Spanish": "el los las es y con sin se del una en por al",
    "Italian": "il gli è e con non si della del una nel di alla",
    "Portuguese": "o os as é e com sem não da do uma em ao",
    "Dutch": "de het een is en met geen van niet er wordt",
}
_WORDS = {language: frozenset(words.split()) for language, words in _FUNCTION_WORDS.items()}


@dataclass(frozen=True)
class Spread:
    """How values are spread. ``quantiles``: 5, 25, 50, 75, 95 %; ``counts`` belong to the bins begun by ``edges``."""

    count: int
    mean: float
    least: float
    most: float
    quantiles: tuple[float, ...]
    edges: tuple[int, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class FindingCount:
    """In how many answers a finding is present, uncertain or denied, and how often which change is stated of it."""

    finding: str
    present: int
    uncertain: int
    absent: int
    changes: Mapping[str, int]


@dataclass(frozen=True)
class Repeated:
    """An answer that several rows share: its first words, and how many rows."""

    text: str
    rows: int


@dataclass(frozen=True)
class Description:
    """A data set in figures.

    Attributes:
        rows, answers: an answer is a turn of a conversation, or the reference of a question.
        patients, studies: distinct ones; ``rows_without_patient`` name none.
        images: distinct paths.
        with_prior: rows with two different images.
        words: of the answers, of Chinese its characters; ages: in years; None where there is none.
        views, sexes, question_types: rows by value, "" where it is not said.
        findings: those named at all; ``changes`` summed over them.
        comparing_without_prior: ids of rows whose answers compare although there is no prior.
        silent_with_prior: rows with a prior whose answers are in English and compare nothing.
        repeated_rows: rows whose answer another row has as well; ``repeated`` the commonest.
        languages, scripts: answers by what they are written in, as far as that can be told.
    """

    rows: int
    answers: int
    patients: int
    rows_without_patient: int
    studies: int
    images: int
    with_prior: int
    words: Spread | None
    ages: Spread | None
    views: Mapping[str, int]
    sexes: Mapping[str, int]
    question_types: Mapping[str, int]
    findings: tuple[FindingCount, ...]
    changes: Mapping[str, int]
    comparing_without_prior: tuple[str, ...]
    silent_with_prior: int
    repeated_rows: int
    repeated: tuple[Repeated, ...]
    languages: Mapping[str, int]
    scripts: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def describe(cases: Sequence[Case], *, progress: Callable[[int, int], None] | None = None) -> Description:
    """Describe samples or questions; ``progress`` is called with the rows read and their total."""
    texts = [answers(case) for case in cases]
    comparing: list[bool] = []
    readable: list[bool] = []
    seen: dict[str, tuple[Mapping[Finding, FindingState], bool]] = {}
    states: list[Mapping[Finding, FindingState]] = []
    for done, said in enumerate(texts, 1):
        for text in said:
            if text not in seen:
                seen[text] = summary(text), bool(compares(text))
        states += [seen[text][0] for text in said]
        comparing.append(any(seen[text][1] for text in said))
        readable.append(all(map(in_english, said)))
        if progress is not None:
            progress(done, len(texts))
    priors = [has_prior(case) for case in cases]
    flat = [text for said in texts for text in said]
    shared = Counter(plain(text) for said in texts for text in set(said))
    repeated = {text for text, rows in shared.items() if rows > 1}
    abouts = [case.about for case in cases]
    return Description(
        rows=len(cases),
        answers=len(flat),
        patients=len({about.patient for about in abouts if about.patient}),
        rows_without_patient=sum(not about.patient for about in abouts),
        studies=len({(about.patient, about.study) for about in abouts if about.study}),
        images=len({image for case in cases for image in case.images}),
        with_prior=sum(priors),
        words=spread([_length(text) for text in flat], WORD_EDGES),
        ages=spread([about.age for about in abouts if about.age is not None], AGE_EDGES),
        views=_counted(about.view for about in abouts),
        sexes=_counted(about.sex for about in abouts),
        question_types=_counted(case.kind for case in cases),
        findings=_findings(states),
        changes=_counted(
            str(state.change) for each in states for state in each.values() if state.change is not Change.NOT_COMPARED
        ),
        comparing_without_prior=tuple(
            case.id for case, compared, prior in zip(cases, comparing, priors, strict=True) if compared and not prior
        ),
        silent_with_prior=sum(
            prior and not compared and english and bool(said)
            for said, compared, english, prior in zip(texts, comparing, readable, priors, strict=True)
        ),
        repeated_rows=sum(any(plain(text) in repeated for text in said) for said in texts),
        repeated=_commonest(cases, texts, shared),
        languages=_counted(map(language, flat)),
        scripts=_counted(map(script, flat)),
    )


def has_prior(case: Case) -> bool:
    """Whether there is an earlier image to compare with: Libra's dummy prior, the current one again, is none."""
    return len(case.images) == 2 and case.images[0] != case.images[1]


def spread(values: Sequence[float], edges: Sequence[int]) -> Spread | None:
    """How ``values`` are spread; None if there are none. Values below the first edge count in the first bin."""
    if not values:
        return None
    row = np.asarray(values, dtype=np.float64)
    bins = np.clip(np.searchsorted(edges, row, side="right") - 1, 0, len(edges) - 1)
    return Spread(
        count=len(values),
        mean=round(float(row.mean()), 2),
        least=float(row.min()),
        most=float(row.max()),
        quantiles=tuple(round(float(q), 2) for q in np.quantile(row, (0.05, 0.25, 0.5, 0.75, 0.95))),
        edges=tuple(edges),
        counts=tuple(int(n) for n in np.bincount(bins, minlength=len(edges))),
    )


def _findings(states: Sequence[Mapping[Finding, FindingState]]) -> tuple[FindingCount, ...]:
    found = []
    for finding in Finding:
        said = [state[finding] for state in states if finding in state]
        if said:
            by = Counter(state.status for state in said)
            changes = _counted(str(state.change) for state in said if state.change is not Change.NOT_COMPARED)
            found.append(
                FindingCount(str(finding), by[Status.PRESENT], by[Status.UNCERTAIN], by[Status.ABSENT], changes)
            )
    return tuple(found)


def _commonest(cases: Sequence[Case], texts: Sequence[Sequence[str]], shared: Counter[str]) -> tuple[Repeated, ...]:
    """The answers most rows share, those of several patients only."""
    ranked = dict(shared.most_common(10 * REPEATED_SHOWN))
    written: dict[str, str] = {}
    whose: dict[str, set[str]] = defaultdict(set)
    for case, said in zip(cases, texts, strict=True):
        for text in said:
            if (words := plain(text)) in ranked:
                written.setdefault(words, " ".join(text.split())[:_LONGEST_SHOWN])
                whose[words].add(case.about.patient or f"row {case.id}")
    several = [words for words in ranked if len(whose[words]) >= REPEATED_PATIENTS]
    return tuple(Repeated(written[words], ranked[words]) for words in several[:REPEATED_SHOWN])


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _length(text: str) -> int:
    return len(tokens(text)) if written_in(text) in (CHINESE, BILINGUAL) else len(text.split())


def language(text: str) -> str:
    """The language of a text by its script or its function words; "not told" where they do not decide."""
    written = written_in(text)
    if written in (CHINESE, BILINGUAL):
        return LANGUAGES[written]
    found = Counter(
        name for word in re.findall(r"\w+", text.casefold()) for name, words in _WORDS.items() if word in words
    )
    ranked = found.most_common(2)
    if not ranked or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        return "not told"
    return ranked[0][0]


def script(text: str) -> str:
    """The script most letters of a text are of, as Unicode names it ("Latin"); "none" without letters."""
    found = Counter(unicodedata.name(letter, "unknown").split()[0] for letter in text if letter.isalpha())
    return found.most_common(1)[0][0].capitalize() if found else "none"
