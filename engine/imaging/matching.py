"""Which earlier image a new one is compared with, and whether the two may be compared at all; each in words.

Rules: same patient (id, and issuer where both name one), strictly earlier, and the same kind of view, where PA and AP
are both frontal. The newest such study is taken even if its projection is the other one and an older study has the
same: interval change is judged against the latest state, and radiologists compare AP with PA daily; the reason says
that heart size is not comparable, and the older image is offered. Nothing is matched on a guess: an unknown view, an
unreliable date, a placeholder id or an order that cannot be told gives no prior, only candidates to choose from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time

from engine.errors import PatientMismatch
from engine.imaging.types import Image, Patient, Study, View

__all__ = ["PriorChoice", "check_pair", "check_same_patient", "choose_prior", "current_of"]


CT = "CT"


@dataclass(frozen=True)
class PriorChoice:
    """The prior, why it is this one (or why there is none), and the other images to choose from, newest first."""

    image: Image | None
    reason: str
    older: tuple[Image, ...]


def current_of(studies: Iterable[Study]) -> Image | None:
    """The image to open first: the best frontal image of the newest study, else its best image of unknown view.

    None if there is no such image, if the studies are of several patients, or if none of several has a reliable date:
    then it is the user's say which one is opened.
    """
    known = list(studies)
    if len({_key(study.patient) for study in known if study.patient.id}) > 1:
        return None
    dated = [study for study in known if study.acquired is not None and study.date_reliable]
    if not dated and len(known) != 1:
        return None
    newest = max(dated or known, key=lambda study: study.acquired or datetime.min)
    candidates = [image for image in newest.images if image.view is not View.LATERAL]
    frontal = [image for image in candidates if image.view.frontal]
    return max(frontal or candidates, key=lambda image: _quality(image, None), default=None)


def choose_prior(current: Image, studies: Iterable[Study]) -> PriorChoice:
    """The prior for ``current`` among ``studies`` (its own study may be among them)."""
    others = [image for study in studies for image in study.images if image.sha256 != current.sha256]
    if not current.patient.id:
        return PriorChoice(None, "The current image names no patient; choose the prior yourself.", ())
    same = [image for image in others if image.patient.id and not _different(current.patient, image.patient)]
    earlier = [image for image in same if _is_earlier(image, current)]
    candidates = tuple(sorted(earlier, key=lambda image: (image.acquired, _quality(image, current.view)), reverse=True))
    if _is_placeholder(current.patient.id):
        undecided = candidates or tuple(same)
        return PriorChoice(
            None, "The patient ID is a placeholder; choose the prior and confirm the patient.", undecided
        )
    if current.acquired is None or not current.date_reliable:
        return PriorChoice(None, "The date of the current image is not known; choose the prior yourself.", tuple(same))
    if current.modality == CT:
        slices = tuple(image for image in candidates if image.modality == CT)
        return PriorChoice(None, "Slices of CT are not matched by themselves; choose the prior yourself.", slices)
    if current.view is View.UNKNOWN:
        return PriorChoice(
            None, "The view of the current image is not known; state it or choose the prior.", candidates
        )
    matching = [each for each in candidates if _same_kind(each.view, current.view) and _same_part(each, current)]
    if not matching:
        return PriorChoice(None, _why_none(current, same, candidates), candidates)
    newest_date = matching[0].acquired
    newest = [image for image in matching if _same_study(image, matching[0]) or image.acquired == newest_date]
    chosen = max(newest, key=lambda image: _quality(image, current.view))
    older = tuple(image for image in candidates if image is not chosen)
    return PriorChoice(chosen, _why(current, chosen, matching), older)


def check_same_patient(current: Image, prior: Image) -> tuple[str, ...]:
    """Warnings to confirm before two images are compared as one patient's. Raises PatientMismatch if they are not."""
    one, other = current.patient, prior.patient
    if one.id and other.id and _different(one, other):
        raise PatientMismatch(f"{current.source} and {prior.source} have different patient IDs and cannot be compared.")
    warnings: list[str] = []
    if not one.id or not other.id:
        which = "Neither image names" if not one.id and not other.id else "One of the two images does not name"
        warnings.append(f"{which} the patient; confirm that both are of the same person.")
    elif _is_placeholder(one.id):
        warnings.append("The patient ID is a placeholder that many patients may share; confirm the person.")
    if one.name and other.name and _plain(one.name) != _plain(other.name):
        warnings.append("The patient names differ.")
    if one.birth_date and other.birth_date and one.birth_date != other.birth_date:
        warnings.append("The birth dates differ.")
    if one.sex in ("M", "F") and other.sex in ("M", "F") and one.sex != other.sex:
        warnings.append("The sexes differ.")
    return tuple(warnings)


def check_pair(current: Image, prior: Image) -> tuple[str, ...]:
    """``check_same_patient`` and what else makes a comparison doubtful: same image, order, view, invented dates."""
    warnings = list(check_same_patient(current, prior))
    if current.sha256 == prior.sha256:
        warnings.append("Current and prior are the same image.")
    elif current.acquired is None or prior.acquired is None:
        warnings.append("A date is missing; whether the prior is the earlier image is not known.")
    elif not (current.date_reliable and prior.date_reliable):
        warnings.append("A date is not reliable; whether the prior is the earlier image is not known.")
    elif prior.acquired > current.acquired:
        warnings.append("The prior is newer than the current image.")
    if View.UNKNOWN not in (current.view, prior.view) and not _same_kind(current.view, prior.view):
        warnings.append(f"The views differ: {current.view} and {prior.view}.")
    if CT in (current.modality, prior.modality) and current.modality != prior.modality:
        warnings.append("One of the two is a slice of CT, the other is not.")
    if not _same_part(current, prior):
        warnings.append("The body parts differ.")
    return tuple(warnings)


def _key(patient: Patient) -> tuple[str, str]:
    return patient.id.strip().casefold(), patient.issuer.strip().casefold()


def _different(one: Patient, other: Patient) -> bool:
    """Whether two known ids name different patients; an issuer counts only where both state one."""
    (one_id, one_issuer), (other_id, other_issuer) = _key(one), _key(other)
    return one_id != other_id or bool(one_issuer and other_issuer and one_issuer != other_issuer)


def _is_placeholder(patient_id: str) -> bool:
    """Whether an id is one that de-identification or a test gives to everybody."""
    words = (
        r"anon\w*|anonymous|anonymized|none|null|unknown|unk|test\w*|patient|patientid|noid|no id|deidentified|x+|0+|1"
    )
    return re.fullmatch(words, patient_id.strip().casefold().replace("_", "")) is not None


def _plain(name: str) -> str:
    return " ".join(sorted(re.findall(r"\w+", name.casefold())))


def _same_kind(one: View, other: View) -> bool:
    return one is other or (one.frontal and other.frontal)


def _same_part(one: Image, other: Image) -> bool:
    return not one.body_part or not other.body_part or one.body_part == other.body_part


def _same_study(one: Image, other: Image) -> bool:
    return bool(one.study_uid) and one.study_uid == other.study_uid


def _is_earlier(image: Image, current: Image) -> bool:
    """Strictly earlier, of another study, on reliable dates; a day without a time is earlier than later days only."""
    if image.acquired is None or not image.date_reliable or _same_study(image, current):
        return False
    if current.acquired is None or not current.date_reliable:
        return False
    if image.acquired.date() == current.acquired.date():
        untimed = time.min in (image.acquired.time(), current.acquired.time())
        return not untimed and image.acquired < current.acquired
    return image.acquired < current.acquired


def _quality(image: Image, view: View | None) -> tuple[bool, bool, int]:
    """Order of preference within a study: the same projection, a real radiograph, more pixels."""
    return image.view is view, image.rgb is None and image.modality not in ("OT", "SC"), image.pixels.size


def _why(current: Image, chosen: Image, matching: list[Image]) -> str:
    when = f"{chosen.acquired:%Y-%m-%d}" if chosen.acquired else ""
    if chosen.view is current.view:
        return f"Newest earlier {chosen.view} image of this patient, {when}."
    reason = f"Newest earlier frontal image of this patient, {when}; it is {chosen.view}, the current is {current.view}"
    same = next((image for image in matching if image.view is current.view), None)
    if same is not None and same.acquired is not None:
        return f"{reason}. Heart size is not comparable; an older {same.view} image is of {same.acquired:%Y-%m-%d}."
    return f"{reason}, so heart size is not comparable."


def _why_none(current: Image, same: list[Image], earlier: tuple[Image, ...]) -> str:
    kind = "frontal" if current.view.frontal else "lateral"
    if earlier:
        return f"No earlier image of this patient is known to be {kind} and of the same body part."
    if same:
        return "No image of this patient is known to be earlier."
    return "No other image of this patient was found."
