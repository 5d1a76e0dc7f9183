"""What a new draft of a report is likely to repeat: signed reports, the prior's report, the drafts made before.

Few and short enough to be looked up before every draft. Nothing here knows what is done with the texts.
"""

from __future__ import annotations

from sqlite_utils import Database

from engine.records.types import Report

SIGNED = 100
"""Signed reports, the latest."""

DRAFTS = 3

LONGEST = 60_000
"""Characters of all texts together."""


def phrases(db: Database, report: Report) -> tuple[str, ...]:
    """Texts without blank ones, the most specific last: what the last draft of this comparison said comes at the end.

    Whose words they are is not looked at but for the prior's report, which is one of this patient.
    """
    signed = db.execute(
        "SELECT s.text FROM report r JOIN report_search s ON s.row = r.row"
        " WHERE r.state = 'signed' ORDER BY r.changed DESC LIMIT ?",
        [SIGNED],
    )
    prior = db.execute(
        "SELECT s.text FROM report r JOIN report_search s ON s.row = r.row"
        " WHERE r.state = 'signed' AND r.patient = ? AND r.current_study = ? ORDER BY r.changed DESC LIMIT 1",
        [report.patient_key, report.prior_study],
    )
    drafts = db.execute(
        "SELECT d.text FROM draft d JOIN report r ON r.id = d.report"
        " WHERE r.patient = ? AND r.current = ? AND r.prior IS ? ORDER BY d.rowid DESC LIMIT ?",
        [report.patient_key, report.current_sha256, report.prior_sha256, DRAFTS],
    )
    left, found = LONGEST, dict[str, None]()
    for (text,) in (*drafts, *prior, *signed):
        if text.strip() and len(text) <= left and text not in found:
            found[text] = None
            left -= len(text)
    return tuple(reversed(found))
