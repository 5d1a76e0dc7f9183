"""Questions about a comparison and what a model answered: a conversation, kept beside the reports and no part of them.

A conversation is all answers about the same two images of the same patient, oldest first. Answers are only ever added.
Functions work inside the caller's transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlite_utils import Database

from engine.errors import NotFound, PatientMismatch, UsageError
from engine.records import catalogue, rows
from engine.records.canonical import LONGEST_NAME, canonical, field, sha256, tidy
from engine.records.ids import stamp
from engine.records.log import Author
from engine.records.types import FINISHED, AnswerRow, NewDraft, Scalar

if TYPE_CHECKING:
    from engine.imaging.types import Patient

OF_PATIENT = "SELECT 1 FROM image i JOIN study y ON y.key = i.study WHERE i.sha256 = ? AND y.patient = ?"
NAMELESS = (
    "SELECT y.patient FROM image i JOIN study y ON y.key = i.study JOIN patient p ON p.key = y.patient"
    " WHERE i.sha256 = ? AND p.patient_id = '' ORDER BY i.stated DESC LIMIT 1"
)


def conversation(db: Database, patient: Patient, current: str, prior: str | None) -> tuple[AnswerRow, ...]:
    """The answers about this comparison as a screen of ``patient`` may show them; none of anybody else, ever."""
    key = _whose(db, patient, current)
    return () if key is None else rows.answers(db, key, current, prior)


def keep(
    db: Database, author: Author, patient: Patient, current: str, prior: str | None, question: str, answer: NewDraft
) -> AnswerRow:
    """Add an answer. Raises NotFound, PatientMismatch, UsageError.

    A picture without a patient may have been named since the question was asked: then it is that patient's answer.
    """
    key = _whose(db, patient, current)
    if key is None:
        if patient.id:
            raise NotFound("The image is not in this history under this patient. Open its file again.")
        _, key = rows.filing(db, current, None)
    if prior is not None:
        owner, other = rows.patient_by_key(db, key), rows.patient_by_key(db, rows.filing(db, prior, key)[1])
        if owner.known and other.known and owner.key != other.key:
            raise PatientMismatch("The current and the prior image are of different patients.")
    if answer.finished not in FINISHED:
        raise UsageError(f"An answer ends with one of {', '.join(FINISHED)}.")
    if not question.strip():
        raise UsageError("An answer needs its question.")
    prompt, answer_id = field(answer.prompt, "prompt"), author.new_id()
    told: dict[str, Scalar] = {
        "current": current,
        "prior": prior,
        "model": answer.made_by,
        "finished": answer.finished,
    }
    event = author.append(db, "C", "answer-saved", answer_id, told)
    db.table("answer").insert(
        {
            "id": answer_id,
            "patient": key,
            "current": current,
            "prior": prior,
            "created_at": stamp(event.at),
            "question": field(question, "question"),
            "text": field(answer.text, "answer"),
            "token_ids": canonical([int(token) for token in answer.token_ids]),
            "model_name": field(answer.model_name, "model's name", LONGEST_NAME),
            "model_sha256": answer.model_sha256,
            "prompt": prompt,
            "prompt_sha256": sha256(prompt),
            "settings": tidy(canonical(dict(answer.settings))),
            "checks": tidy(canonical([dict(check) for check in answer.checks])),
            "timings": tidy(canonical(dict(answer.timings))),
            "finished": answer.finished,
            "demonstration": int(answer.demonstration),
        }
    )
    return rows.answer(db, answer_id)


def _whose(db: Database, patient: Patient, current: str) -> str | None:
    """Key of ``patient`` if the image is filed as one of theirs; of the image's nameless one for an unknown patient."""
    if not patient.id:
        nameless = rows.one(db, NAMELESS, [current])
        return None if nameless is None else str(nameless["patient"])
    key = catalogue.find_patient(db, patient.issuer, patient.id)
    return key if key is not None and rows.one(db, OF_PATIENT, [current, key]) is not None else None
