"""Drawing patients, films and findings: the only place of chance in a case.

A case is a function of its seed, site and split alone. The patient's body and the lesions' shapes come from seeds that
both films share; pose, exposure and noise are drawn for each film. ``split="test"`` draws patients, parameter ranges
and phrases that training never sees.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np

from engine.datasets.phantoms.model import (
    DEVICES,
    FINDINGS,
    SAME_SIZE,
    VISIBLE_STEP,
    Anatomy,
    Case,
    Exposure,
    Film,
    FindingTruth,
    Lesion,
    Person,
    Pose,
    Site,
    band_of,
)
from engine.datasets.phantoms.report import compose
from engine.datasets.phantoms.sites import SITE_A
from engine.errors import UsageError

SPLITS = ("train", "test")
BAND_RANGES = ((0.12, 0.36), (0.43, 0.65), (0.73, 1.0))
ZONES = ("upper", "mid", "lower")
GIVEN = {
    "F": ("Ada", "Berta", "Clara", "Dora", "Edith", "Flora", "Greta", "Hilda", "Ida", "Joan", "Karin", "Lena"),
    "M": ("Anton", "Bruno", "Carl", "David", "Emil", "Felix", "Georg", "Hugo", "Ivan", "Jonas", "Kurt", "Leo"),
}

Generator = np.random.Generator


def sample_case(seed: int, *, site: Site = SITE_A, split: str = "train") -> Case:
    """The case of a seed.

    Args:
        seed: 0 or more; each seed is another patient.
        site: where the films are made and read.
        split: "train", or "test" for other patients, wider parameter ranges and held-out phrases.

    Raises:
        UsageError: an unknown split or a negative seed.
    """
    if split not in SPLITS:
        raise UsageError(f"The split must be one of {', '.join(SPLITS)}.")
    if seed < 0:
        raise UsageError("The seed of a phantom must not be negative.")
    rng = np.random.default_rng([seed, SPLITS.index(split), *site.name.encode()])
    wide = _wide(split)
    person, now = _person(rng, seed, site, split)
    anatomy = _anatomy(rng, person.sex, wide)
    has_prior = bool(rng.random() < site.prior)
    truth, lesions, prior_lesions = _findings(rng, site, has_prior)
    current = _film(rng, site, anatomy, lesions, wide)
    prior = _film(rng, site, anatomy, prior_lesions, wide) if has_prior else None
    # At least a day: the published preparation looks for priors on earlier dates.
    prior_time = now - timedelta(minutes=float(rng.integers(24 * 60, 200 * 24 * 60))) if has_prior else None
    text = compose(truth, has_prior=has_prior, site=site, split=split, rng=rng, age=age_at(person, now), sex=person.sex)
    return Case(
        id=person.id.lower(),
        seed=seed,
        site=site.name,
        split=split,
        person=person,
        current=current,
        prior=prior,
        current_time=now,
        prior_time=prior_time,
        indication=text.indication,
        findings_text=text.findings,
        impression_text=text.impression,
        truth=truth,
        transform=None if prior is None else transform_between(current, prior),
    )


def sample_film(rng: Generator, site: Site, anatomy: Anatomy, lesions: tuple[Lesion, ...], split: str) -> Film:
    """One more film of a body: its pose, exposure and noise are drawn from ``rng``."""
    return _film(rng, site, anatomy, lesions, _wide(split))


def transform_between(current: Film, prior: Film) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """The 2x3 affine from film coordinates of ``current`` to those of ``prior``; it maps bones onto bones."""
    here, there = np.vstack([current.affine(), [0, 0, 1]]), np.vstack([prior.affine(), [0, 0, 1]])
    both = there @ np.linalg.inv(here)
    first, second = ((float(row[0]), float(row[1]), float(row[2])) for row in both[:2])
    return first, second


def inverted(film: Film, site: Site) -> bool:
    """Whether the site's system stores this film as MONOCHROME1."""
    return bool(np.random.default_rng([film.seed, 61]).random() < site.inverted)


def _wide(split: str) -> float:
    """How far beyond the training range values are drawn."""
    return 1.35 if split == "test" else 1.0


def _person(rng: Generator, seed: int, site: Site, split: str) -> tuple[Person, datetime]:
    sex = "F" if rng.random() < 0.48 else "M"
    now = datetime(2021, 1, 1) + timedelta(minutes=float(rng.integers(0, 60 * 24 * 700)))
    age = float(rng.uniform(24, 88))
    born = date(now.year, 1, 1) - timedelta(days=int(age * 365.25))
    given = GIVEN[sex][int(rng.integers(len(GIVEN[sex])))]
    part = "T" if split == "test" else ""
    person = Person(f"PHANTOM-{site.name.upper()}{part}{seed:06d}", f"Phantom^{given}", sex, born)
    return person, now


def age_at(person: Person, now: datetime) -> int:
    """Completed years."""
    return now.year - person.birth_date.year - ((now.month, now.day) < (person.birth_date.month, person.birth_date.day))


def _around(rng: Generator, middle: float, spread: float, wide: float) -> float:
    """Uniform within ``spread`` of the middle; for the test split beyond it on both sides as well."""
    return float(middle + rng.uniform(-1, 1) * spread * wide)


def _anatomy(rng: Generator, sex: str, wide: float) -> Anatomy:
    return Anatomy(
        seed=int(rng.integers(2**31)),
        width=_around(rng, 1.0, 0.07, wide),
        bend=float(rng.normal(0, 0.018)),
        habitus=_around(rng, 1.0, 0.14, wide),
        breasts=float(rng.uniform(0.35, 1.0)) if sex == "F" else 0.0,
        rib_spacing=float(rng.uniform(0.175, 0.2)),
        rib_drop=float(rng.uniform(0.62, 0.92)),
        rib_phase=float(rng.uniform(-0.05, 0.06)),
        rib_width=float(rng.uniform(0.9, 1.15)),
        bone=float(rng.uniform(0.75, 1.2)),
        heart_ratio=float(rng.uniform(0.39, 0.455)),
        heart_tilt=float(rng.uniform(0.25, 0.48)),
        heart_height=float(rng.uniform(0.38, 0.43)),
        knob=float(rng.uniform(0.10, 0.15)),
        mediastinum=float(rng.uniform(0.92, 1.12)),
        dome_right=float(rng.uniform(0.53, 0.62)),
        dome_left=float(rng.uniform(0.58, 0.67)),
        dome_height=float(rng.uniform(0.24, 0.32)),
        clavicle=float(rng.uniform(-0.05, 0.10)),
        shoulder=float(rng.uniform(-0.04, 0.05)),
        vessels=float(rng.uniform(0.8, 1.2)),
        bubble=float(rng.uniform(0.2, 1.0)) if rng.random() < 0.7 else 0.0,
        bubble_x=float(rng.uniform(0.34, 0.55)),
    )


def _film(rng: Generator, site: Site, anatomy: Anatomy, lesions: tuple[Lesion, ...], wide: float) -> Film:
    view = "AP" if rng.random() < site.portable else "PA"
    aspect = 1.0 if rng.random() < site.square else (5 / 6 if rng.random() < 0.55 else 6 / 5)
    fill = {1.0: 0.382, 5 / 6: 0.363, 6 / 5: 0.353}[aspect]
    pose = Pose(
        scale=_around(rng, fill, 0.028, wide),
        rotation=_around(rng, 0.0, 0.07, wide),
        shift_x=_around(rng, 0.0, 0.04, wide),
        shift_y=_around(rng, 0.025, 0.035, wide),
        inspiration=_around(rng, 0.0, 0.6, wide) - (0.25 if view == "AP" else 0.0),
        turn=_around(rng, 0.0, 0.02, wide),
        aspect=aspect,
        aeration=_around(rng, 0.94, 0.09, wide),
    )
    collimated = rng.random() < site.collimated
    margins = rng.uniform(-0.02, 0.045, 4).clip(0) if collimated else np.zeros(4)
    marker = "L" if rng.random() < (0.7 if site.marker == "corner" else 0.3) else "R"
    away = float(rng.uniform(0.055, 0.11))
    exposure = Exposure(
        brightness=site.brightness + _around(rng, 0.0, 0.09, wide),
        contrast=site.contrast * _around(rng, 1.0, 0.15, wide),
        gamma=site.gamma * _around(rng, 1.0, 0.2, wide),
        noise=site.noise * float(rng.uniform(0.009, 0.024)),
        scatter=site.scatter * _around(rng, 1.0, 0.3, wide),
        margins=(float(margins[0]), float(margins[1]), float(margins[2]), float(margins[3])),
        marker=marker,
        marker_x=1 - away if marker == "L" else away,
        marker_y=float(rng.uniform(0.06, 0.16)) if site.marker == "corner" else float(rng.uniform(0.3, 0.6)),
        marker_scale=float(rng.uniform(0.03, 0.045)),
        marker_rotation=_around(rng, 0.0, 0.15, wide),
    )
    return Film(int(rng.integers(2**31)), anatomy, pose, exposure, lesions, view)


def _size(rng: Generator) -> float:
    low, high = BAND_RANGES[int(rng.choice(3, p=(0.36, 0.34, 0.30)))]
    return float(rng.uniform(low, high))


def _sizes(rng: Generator, change: str) -> tuple[float, float]:
    """Current and prior size for a change."""
    if change == "new":
        return _size(rng), 0.0
    if change == "resolved":
        return 0.0, _size(rng)
    if change == "unchanged":
        size = _size(rng)
        return size, float(np.clip(size + rng.uniform(-SAME_SIZE, SAME_SIZE), 0.1, 1.0))
    while True:
        size, prior = _size(rng), _size(rng)
        if (size - prior if change == "worse" else prior - size) >= VISIBLE_STEP:
            return size, prior


def _findings(
    rng: Generator, site: Site, has_prior: bool
) -> tuple[tuple[FindingTruth, ...], tuple[Lesion, ...], tuple[Lesion, ...]]:
    """What both films show: the truth, the current lesions and the prior ones."""
    truth: list[FindingTruth] = []
    lesions: list[Lesion] = []
    prior_lesions: list[Lesion] = []
    for name, rate in zip(FINDINGS + DEVICES, site.rates, strict=True):
        device = name in DEVICES
        present = rng.random() < rate
        gone = has_prior and not present and rng.random() < (0.04 if device else 0.12)
        if not present and not gone:
            continue
        if not has_prior:
            change = "not compared"
        elif gone:
            change = "resolved"
        elif device:
            change = "new" if rng.random() < 0.35 else "unchanged"
        else:
            change = str(rng.choice(("new", "worse", "unchanged", "improved"), p=(0.22, 0.26, 0.26, 0.26)))
        if device:
            size, prior_size = (0.0 if gone else 1.0), (1.0 if change in ("unchanged", "resolved") else 0.0)
        else:
            size, prior_size = _sizes(rng, "new" if change == "not compared" else change)
        side, zone = _place(rng, name, truth)
        if side is None:
            continue
        seed = int(rng.integers(2**31))
        here = Lesion(name, side, size, zone, seed)
        if size > 0:
            lesions.append(here)
        if prior_size > 0:
            prior_lesions.append(replace(here, size=prior_size))
        truth.append(
            FindingTruth(
                finding=name,
                side=side,
                size=size,
                band=band_of(size) if size > 0 else "",
                zone=zone,
                change=change,
                prior_size=prior_size if has_prior else None,
                prior_side=side if prior_size > 0 else "",
            )
        )
    return tuple(truth), tuple(lesions), tuple(prior_lesions)


def _place(rng: Generator, name: str, before: list[FindingTruth]) -> tuple[str | None, str]:
    """Side and zone of a lesion, so that no other lesion hides it; side None where there is no such place."""
    if name in ("cardiomegaly", "endotracheal tube"):
        return "", ""
    if name == "pulmonary edema":
        return "bilateral", ""
    if name == "pleural effusion":
        return ("left", "right", "bilateral")[int(rng.choice(3, p=(0.37, 0.37, 0.26)))], ""
    if name == "central line":
        return ("right" if rng.random() < 0.65 else "left"), ""
    if name == "pacemaker":
        return ("left" if rng.random() < 0.7 else "right"), ""
    sides = ["left", "right"]
    by_name = {entry.finding: entry for entry in before}
    wet = by_name.get("pleural effusion")
    deep = wet is not None and max(wet.size, wet.prior_size or 0) > 0.25
    wet_sides = (
        ("left", "right")
        if deep and wet is not None and wet.side == "bilateral"
        else (wet.side,)
        if deep and wet
        else ()
    )
    if name == "atelectasis":
        free = [side for side in sides if side not in wet_sides]
        if not free:
            return None, ""
        if len(free) == 2 and rng.random() < 0.25:
            return "bilateral", ""
        return free[int(rng.integers(len(free)))], ""
    side = sides[int(rng.integers(2))]
    if name == "pneumothorax":
        return side, ""
    zones = list(ZONES)
    if side in wet_sides:
        zones = ["upper"] if wet is not None and max(wet.size, wet.prior_size or 0) > 0.6 else ["upper", "mid"]
    pleural = by_name.get("pneumothorax")
    if pleural is not None and pleural.side == side and "upper" in zones and len(zones) > 1:
        zones.remove("upper")
    other = by_name.get("consolidation")
    if name == "nodule" and other is not None and other.side == side:
        zones = [zone for zone in zones if zone != other.zone]
    if not zones:
        return ("right" if side == "left" else "left"), "mid"
    return side, zones[int(rng.integers(len(zones)))]
