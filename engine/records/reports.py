"""One report from its beginning to its signature: the rows and the event of each step.

Functions work inside the caller's transaction and take what is already checked to be unsigned. Drafts and revisions are
only ever added; the newest revision is the report. Nothing here opens a database or decides who may write.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from sqlite_utils import Database

from engine.errors import PatientMismatch, UsageError
from engine.records import fulltext, rows, signing
from engine.records import log as event_log
from engine.records.canonical import LONGEST_NAME, canonical, field, parsed, sha256, tidy
from engine.records.files import FileStore
from engine.records.ids import stamp
from engine.records.log import Author
from engine.records.types import (
    FINISHED,
    MEANING,
    AnswerRow,
    DraftRow,
    Event,
    NewDraft,
    Report,
    ReportDetail,
    Revision,
    Scalar,
    Sentence,
    Signature,
    StoredImage,
    StoredPatient,
)

MOST_SENTENCES = 1_000

Kept = TypeVar("Kept", str, Sentence)


def begin(
    db: Database, author: Author, current_sha256: str, prior_sha256: str | None, indication: str, section: str
) -> Report:
    """Add a report in state "draft". Raises NotFound, PatientMismatch, UsageError."""
    current_study, patient_key = rows.filing(db, current_sha256, None)
    patient = rows.patient_by_key(db, patient_key)
    prior_study = None
    if prior_sha256 is not None:
        prior_study, _ = rows.filing(db, prior_sha256, patient_key)
        _refuse_two_patients(patient, rows.patient_of_study(db, prior_study))
    report_id = author.new_id()
    words = {
        "patient_name": patient.name,
        "patient_id": patient.id,
        "accession": rows.accession(db, current_study),
        "indication": field(indication, "indication"),
        "text": "",
    }
    event = author.append(db, "C", "report-created", report_id, {"current": current_sha256, "prior": prior_sha256})
    made = db.table("report").insert(
        {
            "id": report_id,
            "state": "draft",
            "patient": patient_key,
            "current": current_sha256,
            "current_study": current_study,
            "prior": prior_sha256,
            "prior_study": prior_study,
            "section": field(section, "section", LONGEST_NAME),
            "revision": 0,
            "demonstration": 0,
            "created_at": stamp(event.at),
            "updated_at": stamp(event.at),
            "changed": event.seq,
            "signed_at": None,
        }
    )
    fulltext.add(db, int(made.last_rowid or 0), words)
    return rows.report(db, report_id)


def keep_draft(
    db: Database,
    author: Author,
    report: Report,
    draft: NewDraft,
    sentences: Sequence[str],
    before: tuple[Sentence, ...] = (),
) -> DraftRow:
    """Add ``draft`` and a revision of its ``sentences``, all by the model and unreviewed, behind those ``before`` them.

    Raises UsageError.
    """
    if draft.finished not in FINISHED:
        raise UsageError(f"A draft ends with one of {', '.join(FINISHED)}.")
    written = tuple(Sentence(author.new_id(), field(text, "sentence"), "ai", "unreviewed") for text in _few(sentences))
    prompt = field(draft.prompt, "prompt")
    number = report.revision + 1
    told: dict[str, Scalar] = {"model": draft.made_by, "finished": draft.finished, "revision": number}
    event = author.append(db, "C", "draft-saved", report.id, told)
    draft_id = author.new_id()
    db.table("draft").insert(
        {
            "id": draft_id,
            "report": report.id,
            "number": 1 + db.execute("SELECT count(*) FROM draft WHERE report = ?", [report.id]).fetchone()[0],
            "created_at": stamp(event.at),
            "text": field(draft.text, "draft"),
            "token_ids": canonical([int(token) for token in draft.token_ids]),
            "sentences": rows.sentences_json(written),
            "model_name": field(draft.model_name, "model's name", LONGEST_NAME),
            "model_sha256": draft.model_sha256,
            "prompt": prompt,
            "prompt_sha256": sha256(prompt),
            "settings": tidy(canonical(dict(draft.settings))),
            "checks": tidy(canonical([dict(check) for check in draft.checks])),
            "timings": tidy(canonical(dict(draft.timings))),
            "finished": draft.finished,
            "demonstration": int(draft.demonstration),
            "revision": number,
        }
    )
    if draft.demonstration:
        db.execute("UPDATE report SET demonstration = 1 WHERE id = ?", [report.id])
    _add_revision(db, author, report, (*before, *written), report.indication, event, draft_id)
    return rows.drafts(db, report.id)[-1]


def insert_answer(
    db: Database, author: Author, report: Report, answer: AnswerRow, sentences: Sequence[str], based_on: int
) -> DraftRow:
    """Add the ``sentences`` of an answer behind those of the report, as a draft of their own: the model's, unreviewed.

    Raises Conflict, and UsageError for an answer that was cut short, is about another comparison, or is in already.
    """
    signing.refuse_stale(report, based_on)
    if (answer.patient_key, answer.current_sha256, answer.prior_sha256) != (
        report.patient_key,
        report.current_sha256,
        report.prior_sha256,
    ):
        raise UsageError("This answer is about another comparison than the report.")
    if not answer.whole or not sentences:
        raise UsageError("An answer that was stopped cannot be put into a report. Ask again.")
    before = rows.revision(db, report.id, report.revision).sentences if report.revision else ()
    present = {sentence.id for sentence in before}
    inserted = (s.id for draft in rows.drafts(db, report.id) if draft.answer == answer.id for s in draft.sentences)
    if present & set(inserted):
        raise UsageError("This answer is in the report already.")
    draft = NewDraft(
        text=answer.text,
        token_ids=answer.token_ids,
        model_name=answer.model_name,
        model_sha256=answer.model_sha256,
        settings={**answer.settings, "answer": answer.id},
        checks=answer.checks,
        prompt=answer.prompt,
        finished=answer.finished,
        demonstration=answer.demonstration,
        timings=answer.timings,
    )
    return keep_draft(db, author, report, draft, sentences, before)


def revise(
    db: Database,
    author: Author,
    report: Report,
    sentences: Sequence[Sentence],
    based_on: int,
    indication: str | None,
) -> Revision:
    """Add a revision, or return the newest if it says the same. Raises Conflict, UsageError."""
    signing.refuse_stale(report, based_on)
    kept = tuple(_tidied(sentence) for sentence in _few(sentences))
    if len({sentence.id for sentence in kept}) < len(kept):
        raise UsageError("Two sentences of the report have the same id. Reload the report.")
    described = report.indication if indication is None else field(indication, "indication")
    if report.revision:
        newest = rows.revision(db, report.id, report.revision)
        if newest.sentences == kept and newest.indication == described:
            return newest
    signing.refuse_mislabelled(kept, rows.drafts(db, report.id))
    event = author.append(db, "U", "revision-saved", report.id, {"revision": report.revision + 1})
    return _add_revision(db, author, report, kept, described, event, None)


def sign(db: Database, author: Author, files: FileStore, report: Report, name: str, based_on: int) -> Signature:
    """Add the signature and freeze the report. Raises UsageError, NotReviewed, Conflict, PatientMismatch."""
    name = " ".join(field(name, "name", 200).split())
    if not name:
        raise UsageError("Type your name to sign.")
    signing.refuse_stale(report, based_on)
    detailed = detail(db, files, report.id)
    signing.refuse_unready(detailed)
    if report.prior_study is not None:  # a picture may have been named after the report was begun
        _refuse_two_patients(detailed.patient, rows.patient_of_study(db, report.prior_study))
    at = author.clock()
    content = signing.content(detailed, name=name, who=author.who, signed_at=at, application=author.source)
    row = {
        "report": report.id,
        "revision": report.revision,
        "name": name,
        "meaning": MEANING,
        "signed_at": stamp(at),
        "sha256": sha256(content),
        "content": content,
    }
    db.table("signature").insert(row)
    event = author.append(db, "E", "signed", report.id, {"revision": report.revision, "sha256": sha256(content)})
    db.execute(
        "UPDATE report SET state = 'signed', signed_at = ?, updated_at = ?, changed = ? WHERE id = ?",
        [stamp(at), stamp(event.at), event.seq, report.id],
    )
    return rows.signature(row)


def detail(db: Database, files: FileStore, report_id: str) -> ReportDetail:
    """The report with all that belongs to it; a signed one with patient and images as signed. Raises NotFound."""
    report = rows.report(db, report_id)
    row = rows.one(db, "SELECT * FROM signature WHERE report = ?", [report_id])
    prior: StoredImage | None = None
    if row is None:
        patient = rows.patient_by_key(db, report.patient_key)
        accession = rows.accession(db, report.current_study)
        current = rows.image_of(db, report.current_sha256, report.current_study, files)
        if report.prior_sha256 is not None:
            prior = rows.image_of(db, report.prior_sha256, report.prior_study, files)
    else:
        signed = parsed(row["content"])
        images = {facts["role"]: rows.image(facts, files) for facts in signed["images"]}
        patient, accession = rows.patient(signed["patient"]), str(signed["accession"])
        current, prior = images["current"], images.get("prior")
    return ReportDetail(
        report=report,
        patient=patient,
        current=current,
        prior=prior,
        accession=accession,
        drafts=rows.drafts(db, report_id),
        revisions=rows.revisions(db, report_id),
        signature=None if row is None else rows.signature(row),
        events=event_log.of_subject(db, report_id),
    )


def _refuse_two_patients(current: StoredPatient, prior: StoredPatient) -> None:
    """Raise PatientMismatch if both are known and not the same."""
    if current.known and prior.known and current.key != prior.key:
        raise PatientMismatch("The current and the prior image are of different patients.")


def _add_revision(
    db: Database,
    author: Author,
    report: Report,
    sentences: tuple[Sentence, ...],
    indication: str,
    event: Event,
    draft_id: str | None,
) -> Revision:
    number = report.revision + 1
    db.table("revision").insert(
        {
            "report": report.id,
            "number": number,
            "created_at": stamp(event.at),
            "who": author.who,
            "draft": draft_id,
            "indication": indication,
            "sentences": rows.sentences_json(sentences),
        }
    )
    revision = rows.revision(db, report.id, number)
    state = "reviewed" if revision.text and not revision.unreviewed else "draft"
    db.execute(
        "UPDATE report SET state = ?, revision = ?, updated_at = ?, changed = ? WHERE id = ?",
        [state, number, stamp(event.at), event.seq, report.id],
    )
    # Undecided sentences can be searched for as well; rejected ones never.
    text = " ".join(sentence.text for sentence in sentences if sentence.status != "rejected")
    row = db.execute("SELECT row FROM report WHERE id = ?", [report.id]).fetchone()[0]
    fulltext.change(db, row, {"indication": indication, "text": text})
    return revision


def _tidied(sentence: Sentence) -> Sentence:
    """``sentence`` as SQLite can keep it."""
    return Sentence(
        field(sentence.id, "id of a sentence", 100),
        field(sentence.text, "sentence"),
        sentence.origin,
        sentence.status,
        None if sentence.original is None else field(sentence.original, "sentence"),
    )


def _few(sentences: Sequence[Kept]) -> Sequence[Kept]:
    if len(sentences) > MOST_SENTENCES:
        raise UsageError(f"A report has at most {MOST_SENTENCES} sentences.")
    return sentences
