"""Which patient is on the screen and which two images are compared.

Pure functions from one case to the next, over ``imaging.matching``. The rules: a patient appears on the screen only
because the reader said so; two images are never compared in silence when they are not known to be of one patient;
nothing is guessed about a plain picture. Knows no session, no record and no page.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from app.services import wording
from app.services.state import Case
from engine.errors import InputError, PatientMismatch, UsageError
from engine.imaging import matching
from engine.imaging.types import Image, Patient, Study

NO_CURRENT = "Say which picture is the current one."
CHOSEN = "Prior: {title}, chosen by you."
NONE_CHOSEN = "No prior: you took it away."
CONFIRMED = "You have said that both images are of the same patient."


def group(studies: Iterable[Study]) -> tuple[tuple[Study, ...], ...]:
    """The studies by patient, in the order dropped. Studies that name no patient form one group, the last."""
    known: list[list[Study]] = []
    unknown: list[Study] = []
    for study in studies:
        if not study.patient.id:
            unknown.append(study)
            continue
        mine = next((group for group in known if all(same_patient(one.patient, study.patient) for one in group)), None)
        if mine is None:
            known.append([study])
        else:
            mine.append(study)
    return tuple(tuple(group) for group in (*known, unknown) if group)


def same_patient(one: Patient, other: Patient) -> bool:
    """Whether both are the same known patient; who issued the id counts only where both say it."""
    ids = {patient.id.strip().casefold() for patient in (one, other)}
    issuers = {patient.issuer.strip().casefold() for patient in (one, other)} - {""}
    return len(ids) == 1 and "" not in ids and len(issuers) < 2


def merge(old: Iterable[Study], new: Iterable[Study]) -> tuple[Study, ...]:
    """Both, study by study; an image (by hash) that is there twice counts once, the newer description wins."""
    merged: dict[str, Study] = {}
    for study in (*old, *new):
        known = merged.get(study.uid)
        if known is None:
            merged[study.uid] = study
        else:
            images = {image.sha256: image for image in (*known.images, *study.images)}
            merged[study.uid] = replace(study, images=tuple(images.values()))
    return tuple(merged.values())


def begin(studies: tuple[Study, ...]) -> Case:
    """A case of one patient, with its current image and its prior chosen where that needs no guess."""
    case = Case(studies)
    current = matching.current_of(studies)
    if current is None and len(case.images) == 1:
        current = case.images[0]  # a lateral alone
    return with_current(case, current)


def with_current(case: Case, current: Image | None) -> Case:
    """The case with this current image and the prior that belongs to it."""
    if current is None:
        return replace(case, current=None, prior=None, reason=NO_CURRENT, older=(), warnings=())
    choice = matching.choose_prior(current, case.studies)
    reason = f"Prior: {choice.reason[0].lower()}{choice.reason[1:]}" if choice.image is not None else choice.reason
    return _compared(replace(case, current=current, reason=reason, older=choice.older), choice.image)


def with_prior(case: Case, prior: Image | None) -> Case:
    """The case with a prior that the reader chose. Raises PatientMismatch or NeedsConfirmation."""
    if case.current is None:
        raise UsageError(NO_CURRENT)
    if prior is None:
        return replace(case, prior=None, reason=NONE_CHOSEN, warnings=(), older=older_than(case, case.current))
    if prior.sha256 == case.current.sha256:
        raise UsageError("This image is the current one. Choose another as the prior.")
    changed = _compared(replace(case, reason=CHOSEN.format(title=wording.title(prior))), prior)
    return replace(changed, older=older_than(changed, prior))


def step_older(case: Case) -> Case:
    """The case with the next older prior. Raises UsageError at the oldest."""
    if not case.older:
        raise UsageError("There is no older prior.")
    step, *rest = case.older
    reason = f"Prior: {wording.title(step)}, the next older one."
    return replace(_compared(replace(case, reason=reason), step), older=tuple(rest))


def swap(case: Case) -> Case:
    """Current and prior change places; labels, dates and the order in the draft follow."""
    if case.current is None or case.prior is None:
        raise UsageError("There are no two images to swap.")
    current, prior = case.prior, case.current
    reason = f"Swapped by you. Prior: {wording.title(prior)}."
    return replace(_compared(replace(case, current=current, reason=reason), prior), older=())


def confirm(case: Case, prior: Image) -> Case:
    """The reader has said that the current image and ``prior`` are of one person."""
    if case.current is None:
        raise UsageError(NO_CURRENT)
    pair = frozenset({case.current.sha256, prior.sha256})
    return with_prior(replace(case, confirmed=case.confirmed | {pair}), prior)


class NeedsConfirmation(InputError):
    """It is not certain that two images are of one patient: only the reader can say so. ``doubts`` are sentences."""

    def __init__(self, prior: Image, doubts: tuple[str, ...]) -> None:
        super().__init__("It is not known whether the two images are of the same patient.")
        self.prior = prior
        self.doubts = doubts


def _compared(case: Case, prior: Image | None) -> Case:
    """The case with this pair, if it may be compared at all.

    Raises PatientMismatch for two known patients, NeedsConfirmation where there is a doubt nobody has settled yet.
    """
    if prior is None or case.current is None:
        return replace(case, prior=None, warnings=())
    doubts = matching.check_same_patient(case.current, prior)
    warnings = matching.check_pair(case.current, prior)
    if doubts:
        if frozenset({case.current.sha256, prior.sha256}) not in case.confirmed:
            raise NeedsConfirmation(prior, doubts)
        settled = tuple(words for words in doubts if "confirm" in words)
        warnings = (CONFIRMED, *(words for words in warnings if words not in settled))
    return replace(case, prior=prior, warnings=warnings)


def older_than(case: Case, image: Image) -> tuple[Image, ...]:
    """The frontal images of the case's patient that are older than ``image``, newest first."""
    if case.current is None or image.acquired is None:
        return ()
    choice = matching.choose_prior(case.current, case.studies)
    candidates = (*((choice.image,) if choice.image is not None else ()), *choice.older)
    older = [other for other in candidates if other.acquired is not None and other.acquired < image.acquired]
    return tuple(sorted(older, key=lambda other: other.acquired or datetime.min, reverse=True))


def mismatch(patient: Patient) -> PatientMismatch:
    """The refusal to mix patients."""
    return PatientMismatch(f"These images are not of {wording.patient(patient)}; they are not compared.")
