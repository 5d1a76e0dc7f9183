"""The studies of one phantom patient over time: what came before a case, and how each of them was read.

A case holds a current film, mostly a prior one, and the report of the current one. Here each film gets a study with a
report of its own. Some patients also have a normal film long before the prior one, and some were already filmed on the
morning of the current study, with nothing changed since the prior one. What is true of each study is told against the
study before it. Nothing here draws or writes files.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from engine.datasets.phantoms.model import Case, Film, FindingTruth, Lesion, Site, band_of
from engine.datasets.phantoms.report import Text, compose
from engine.datasets.phantoms.sampling import SPLITS, age_at, sample_film

BASELINE, SAME_DAY = 0.4, 0.2
"""How many of the patients with a prior film have a normal one before it; a second one on the day of the current."""


@dataclass(frozen=True)
class Visit:
    """One study: when, the film, what is true of it compared with the visit before, and its report."""

    time: datetime
    film: Film
    truth: tuple[FindingTruth, ...]
    text: Text
    has_prior: bool


def visits(case: Case, site: Site) -> tuple[Visit, ...]:
    """The studies of the patient of a case in the order of time; the last one is the case itself."""
    rng = np.random.default_rng([case.seed, 81, SPLITS.index(case.split)])
    own = Text(case.indication, case.findings_text, case.impression_text)
    current = Visit(case.current_time, case.current, case.truth, own, case.prior is not None)
    if case.prior is None or case.prior_time is None:
        return (current,)
    out: list[Visit] = []
    normal_before = rng.random() < BASELINE
    if normal_before:
        time = case.prior_time - timedelta(days=float(rng.integers(20, 700)), minutes=float(rng.integers(24 * 60)))
        film = sample_film(rng, site, case.current.anatomy, (), case.split)
        out.append(_visit(rng, case, site, time, film, (), has_prior=False))
    change = "new" if normal_before else "not compared"
    truth = _all(case.prior.lesions, change, normal_before)
    out.append(_visit(rng, case, site, case.prior_time, case.prior, truth, has_prior=normal_before))
    midnight = case.current_time.replace(hour=0, minute=0, second=0, microsecond=0)
    minutes = (case.current_time - midnight).seconds // 60
    if rng.random() < SAME_DAY and minutes > 60 and case.prior_time < midnight:
        time = midnight + timedelta(minutes=float(rng.integers(minutes - 30)))
        film = sample_film(rng, site, case.current.anatomy, case.prior.lesions, case.split)
        truth = _all(case.prior.lesions, "unchanged", True)
        out.append(_visit(rng, case, site, time, film, truth, has_prior=True))
    return (*out, current)


def _visit(
    rng: np.random.Generator,
    case: Case,
    site: Site,
    time: datetime,
    film: Film,
    truth: tuple[FindingTruth, ...],
    *,
    has_prior: bool,
) -> Visit:
    person = case.person
    text = compose(
        truth, has_prior=has_prior, site=site, split=case.split, rng=rng, age=age_at(person, time), sex=person.sex
    )
    return Visit(time, film, truth, text, has_prior)


def _all(lesions: tuple[Lesion, ...], change: str, has_prior: bool) -> tuple[FindingTruth, ...]:
    """The truth of a film whose lesions all changed alike: new, unchanged, or not compared."""
    before = {"new": 0.0, "unchanged": 1.0}.get(change, 0.0)
    return tuple(
        FindingTruth(
            finding=lesion.finding,
            side=lesion.side,
            size=lesion.size,
            band=band_of(lesion.size),
            zone=lesion.zone,
            change=change,
            prior_size=lesion.size * before if has_prior else None,
            prior_side=lesion.side if before else "",
        )
        for lesion in lesions
    )
