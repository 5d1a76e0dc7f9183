"""Several systems against one of them: differences over the studies both answered, tested, corrected after Holm.

What every study says right or wrong of is also compared by McNemar's test, which stands beside the others uncorrected.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import nan

from engine.evaluation.agreement import Discordance, mcnemar
from engine.evaluation.keys import JUDGED
from engine.evaluation.scoring import Evaluation, Tally
from engine.evaluation.statistics import Difference, holm
from engine.evaluation.vqa import ACCURACIES


@dataclass(frozen=True)
class Comparison:
    """A system against the chosen one: its score minus that one's, over the ``studies`` and ``patients`` both have.

    ``discordances`` are of the scores of which every question says right or wrong, the chosen system first.
    """

    differences: Mapping[str, Difference] = field(default_factory=dict)
    studies: int = 0
    patients: int = 0
    discordances: Mapping[str, Discordance] = field(default_factory=dict)


@dataclass(frozen=True)
class Compared:
    """All comparisons with one system.

    Attributes:
        found: name of the system -> its comparison; without the chosen one and those that have no study in common.
        keys: that were tested; ``tests``: how many tests the correction is over.
    """

    found: Mapping[str, Comparison]
    keys: tuple[str, ...]
    tests: int


def compared(
    evaluation: Evaluation,
    tallies: Mapping[str, Tally],
    against: str,
    keys: Sequence[str],
    *,
    untested: Collection[str] = (),
) -> Compared:
    """Compare.

    Args:
        evaluation: that the tallies are of.
        tallies: of every system by its name.
        against: the chosen one.
        keys: the scores that are compared.
        untested: names of those that get intervals and no test.
    """
    found: dict[str, Comparison] = {}
    chosen = _only(tallies[against], keys)
    for name, tally in tallies.items():
        both = set(tally.ids).intersection(chosen.ids)
        if name != against and both:
            found[name] = _pair(evaluation, chosen, _only(tally, keys), both, tested=name not in untested)
    tests = [(name, key) for name in found if name not in untested for key in found[name].differences]
    corrected = holm([found[name].differences[key].p for name, key in tests])
    for (name, key), p_holm in zip(tests, corrected, strict=True):
        old = found[name].differences
        found[name] = replace(found[name], differences=dict(old) | {key: replace(old[key], p_holm=p_holm)})
    return Compared(found, tuple(dict.fromkeys(key for _, key in tests)), len(tests))


def _pair(evaluation: Evaluation, chosen: Tally, tally: Tally, both: set[str], *, tested: bool) -> Comparison:
    patients = len({owner for identity, owner in zip(tally.ids, tally.owners, strict=True) if identity in both})
    differences = evaluation.difference(chosen, tally)
    if not tested:
        untested = {key: replace(gain, p=nan, p_holm=nan) for key, gain in differences.items()}
        return Comparison(untested, len(both), patients)
    first, second = chosen.of(both).measures, tally.of(both).measures
    by_study = {key: mcnemar(first[key], second[key]) for key in differences if key in (*ACCURACIES, *JUDGED)}
    return Comparison(differences, len(both), patients, by_study)


def _only(tally: Tally, keys: Sequence[str]) -> Tally:
    return Tally(tally.ids, tally.owners, {key: tally.measures[key] for key in keys if key in tally.measures})
