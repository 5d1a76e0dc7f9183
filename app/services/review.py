"""The reader's hand on the sentences: what a page may change, what is flagged, how much was changed.

Pure functions. What the page sends is never trusted on authorship: whose words a sentence holds is worked out here from
the revision it is based on.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from engine.errors import Conflict, NotReviewed, UsageError
from engine.records import Revision, Sentence
from engine.reports.findings import compares
from engine.reports.sentences import split

LONGEST = 2000
MOST = 200
IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Marks that turn the direction of text could make a signed sentence read differently from what it holds.
BIDI = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Posted:
    """The sentences as a page has them now, the sheet they stand on, and the newest of the page's changes in them."""

    sheet: int
    number: int
    sentences: Sequence[object]


def posted(sent: object) -> Posted:
    """What a page has sent, in that form. Raises UsageError for anything else."""
    entry = sent if isinstance(sent, Mapping) else {}
    sheet, number, sentences = entry.get("sheet"), entry.get("number"), entry.get("sentences")
    if not isinstance(sheet, int) or not isinstance(number, int) or not isinstance(sentences, list):
        raise UsageError("The change arrived damaged; reload the page.")
    return Posted(sheet, number, sentences)


def plain(text: str) -> str:
    """One line of plain text: white space single, no control or direction characters."""
    visible = "".join(character if character.isprintable() else " " for character in BIDI.sub("", text))
    return " ".join(visible.split())


def drafted(text: str) -> tuple[str, ...]:
    """A model's text as the sentences that are reviewed; an endless one is cut, so that each can be edited."""
    return tuple(part for sentence in split(text) for part in textwrap.wrap(plain(sentence), LONGEST))


def clean(text: object) -> str:
    """A text of the page as one line of plain text. Raises UsageError for one that is too long."""
    if not isinstance(text, str):
        raise UsageError("A sentence of the report arrived damaged; reload the page.")
    words = plain(text)
    if len(words) > LONGEST:
        raise UsageError(f"A sentence may have {LONGEST} characters at most. Split it in two.")
    return words


def reviewed(before: Sequence[Sentence], posted: Iterable[object]) -> tuple[Sentence, ...]:
    """The sentences a page has sent, checked against the revision they are based on.

    Raises Conflict when a sentence of the model is missing (it can be rejected, not removed), UsageError for what no
    page of ours sends.
    """
    known = {sentence.id: sentence for sentence in before}
    result: dict[str, Sentence] = {}
    for entry in posted:
        if not isinstance(entry, Mapping):
            raise UsageError("The list of sentences arrived damaged; reload the page.")
        identifier, text = str(entry.get("id", "")), clean(entry.get("text"))
        status = entry.get("status")
        if (
            not IDENTIFIER.fullmatch(identifier)
            or identifier in result
            or status not in ("unreviewed", "accepted", "rejected")
        ):
            raise UsageError("The list of sentences arrived damaged; reload the page.")
        base = known.get(identifier)
        if not text:
            if base is not None and base.origin != "human":
                raise UsageError("A sentence of the model can be rejected, not emptied.")
            continue
        result[identifier] = _sentence(identifier, text, status, base)
    if len(result) > MOST:
        raise UsageError(f"A report may have {MOST} sentences at most.")
    if any(sentence.origin != "human" and sentence.id not in result for sentence in before):
        raise Conflict(
            "The report on this page is not the newest one. Nothing was overwritten; the newest is shown now."
        )
    return tuple(result.values())


def _sentence(identifier: str, text: str, status: str, base: Sentence | None) -> Sentence:
    if base is None or base.origin == "human":
        return Sentence(identifier, text, "human", "rejected" if status == "rejected" else "accepted")
    words = base.original if base.original is not None else base.text
    if text == plain(words):
        kept = "accepted" if status == "accepted" else "rejected" if status == "rejected" else "unreviewed"
        return Sentence(identifier, words, "ai", kept)  # type: ignore[arg-type]
    return Sentence(identifier, text, "edited", "rejected" if status == "rejected" else "accepted", words)


def refuse_undecided(revision: Revision | None) -> None:
    """Raise NotReviewed, naming the first sentence that nobody has decided on."""
    if revision is None:
        return
    left = [(n, sentence) for n, sentence in enumerate(revision.sentences, 1) if not sentence.decided]
    if left:
        number, first = left[0]
        words = first.text if len(first.text) <= 80 else f"{first.text[:77]}..."
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        raise NotReviewed(
            f'Not reviewed yet: sentence {number}, "{words}"{more}. Accept, edit or reject every sentence, then sign.'
        )


def flag(sentence: Sentence, *, has_prior: bool, cancelled: bool) -> str | None:
    """The short warning shown at a sentence, or None."""
    if cancelled and sentence.origin == "ai":
        return "From a stopped draft: write it yourself or reject it"
    if not has_prior and compares(sentence.text):
        return "Compares, but there is no prior"
    return None


def counts(revision: Revision) -> tuple[tuple[str, int], ...]:
    """How the sentences came about, for the export: only those in the report are counted as its own."""
    accepted = [sentence for sentence in revision.sentences if sentence.status == "accepted"]
    rows = (
        ("AI unchanged", sum(sentence.origin == "ai" for sentence in accepted)),
        ("AI edited", sum(sentence.origin == "edited" for sentence in accepted)),
        ("human", sum(sentence.origin == "human" for sentence in accepted)),
        ("AI rejected", sum(s.status == "rejected" and s.origin != "human" for s in revision.sentences)),
    )
    return tuple(row for row in rows if row[1])


def edit_distance(before: str, after: str) -> int:
    """Characters to insert, delete or replace to turn one text into the other (Levenshtein 1966)."""
    same = _shared(before, after)
    before, after = before[same:], after[same:]
    same = _shared(before[::-1], after[::-1])
    before, after = before[: len(before) - same], after[: len(after) - same]
    row = list(range(len(after) + 1))
    for i, character in enumerate(before, 1):
        diagonal, row[0] = row[0], i
        for j, target in enumerate(after, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (character != target))
    return row[-1]


def _shared(one: str, other: str) -> int:
    """Length of the common beginning."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
