"""What a report says: findings with status, side, size and change, by rules.

    extract(text)  -> every mention          summary(text) -> one state per finding
    compares(text) -> comparison wording

14 CheXpert classes and the devices (``vocabulary``). Always to be labelled "rule-based, not CheXbert". The text is
English; nothing is known of images, priors or models: whether a comparison is allowed is the caller's question.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.reports import lexicon, reading
from engine.reports.clauses import Anchor
from engine.reports.comparison import compares
from engine.reports.scanning import ChangeCue, Kind
from engine.reports.sentences import spans
from engine.reports.vocabulary import (
    CHEXPERT,
    DEVICES,
    Change,
    Finding,
    FindingState,
    Mention,
    Side,
    Span,
    Status,
)

__all__ = [
    "CHEXPERT",
    "DEVICES",
    "Change",
    "Finding",
    "FindingState",
    "Mention",
    "Side",
    "Span",
    "Status",
    "compares",
    "extract",
    "summary",
]


def extract(text: str) -> tuple[Mention, ...]:
    """Every mention of a finding in ``text``, in order of appearance.

    A finding whose sides are treated apart gives one mention a side. Structures give a finding only where their state
    is said: "the heart is enlarged" is cardiomegaly, "the heart is unchanged" is nothing.
    """
    mentions: list[Mention] = []
    previous: list[int] = []
    for number, (start, end) in enumerate(spans(text)):
        sentence = text[start:end]
        found = [mention for anchor in reading.read(sentence) for mention in _mentions(anchor, number, start, text)]
        if found:
            previous = list(range(len(mentions), len(mentions) + len(found)))
            mentions.extend(found)
        elif previous and (changes := reading.continues(sentence)):
            for index in previous:
                mentions[index] = _continued(mentions[index], changes)
    return tuple(mentions)


def _continued(mention: Mention, changes: Sequence[ChangeCue]) -> Mention:
    """A mention with the change the next sentence states of it."""
    if mention.change is not Change.NOT_COMPARED or mention.status is Status.ABSENT:
        return mention
    change = reading.strongest(changes)
    status = Status.ABSENT if change is Change.RESOLVED else mention.status
    return Mention(
        mention.finding,
        status,
        mention.side,
        mention.size,
        change,
        mention.sentence,
        mention.start,
        mention.end,
        mention.text,
    )


def _mentions(anchor: Anchor, sentence: int, offset: int, text: str) -> Iterator[Mention]:
    start, end = offset + anchor.item.start, offset + anchor.item.end
    for finding, status in _said(anchor):
        for side, size, changes in _views(anchor, finding):
            change = reading.strongest(changes)
            if status is Status.ABSENT and change not in (Change.RESOLVED, Change.NOT_COMPARED):
                change = Change.RESOLVED if _became_normal(anchor, change) else Change.NOT_COMPARED
            final = Status.ABSENT if change is Change.RESOLVED else status
            yield Mention(finding, final, side, size, change, sentence, start, end, text[start:end])


def _views(anchor: Anchor, finding: Finding) -> Iterator[tuple[Side, str | None, list[ChangeCue]]]:
    """The anchor itself and the sides treated apart; a whole that was split gives way to its parts."""
    own = reading.sided(finding, anchor.sides)
    named = {part.side for part in anchor.parts}
    if not anchor.parts or own not in (Side.BILATERAL, Side.UNSPECIFIED):
        yield own, anchor.size, anchor.changes
    for side in sorted(named):
        part = next(part for part in anchor.parts if part.side is side)
        if side is not own or own is Side.BILATERAL:
            yield side, part.size or anchor.size, part.changes or anchor.changes


def _became_normal(anchor: Anchor, change: Change) -> bool:
    return anchor.item.kind is Kind.STRUCTURE and change is Change.IMPROVED


def _said(anchor: Anchor) -> Iterator[tuple[Finding, Status]]:
    """Which findings an anchor amounts to."""
    if anchor.item.kind is Kind.FINDING:
        finding = Finding(str(anchor.item.value))
        if finding is Finding.NO_FINDING:
            yield finding, Status.PRESENT
        else:
            yield finding, _status(anchor, Status.PRESENT)
        return
    abnormal, state = _structure_state(anchor)
    if state is None:
        return
    yield abnormal, _status(anchor, state)
    if anchor.item.value == lexicon.CARDIOMEDIASTINUM and state is Status.ABSENT:
        yield Finding.CARDIOMEGALY, Status.ABSENT


def _status(anchor: Anchor, unmarked: Status) -> Status:
    if anchor.negated:
        return Status.ABSENT
    if anchor.doubted and unmarked is Status.PRESENT:
        return Status.UNCERTAIN
    return unmarked


_ABNORMAL = {
    lexicon.HEART: Finding.CARDIOMEGALY,
    lexicon.CARDIOMEDIASTINUM: Finding.MEDIASTINUM,
    lexicon.MEDIASTINUM: Finding.MEDIASTINUM,
    lexicon.LUNGS: Finding.OPACITY,
    lexicon.ANGLES: Finding.EFFUSION,
    lexicon.PLEURA: Finding.EFFUSION,
    lexicon.VESSELS: Finding.EDEMA,
}
_DEVIANT = {
    lexicon.HEART: {lexicon.LARGE},
    lexicon.CARDIOMEDIASTINUM: {lexicon.LARGE, lexicon.WIDE},
    lexicon.MEDIASTINUM: {lexicon.WIDE},
    lexicon.ANGLES: {lexicon.BLUNT},
    lexicon.VESSELS: {lexicon.CONGESTED, lexicon.LARGE},
}


def _structure_state(anchor: Anchor) -> tuple[Finding, Status | None]:
    """The finding a structure stands for, and what its states and changes say of it (None: nothing)."""
    structure = str(anchor.item.value)
    states = set(anchor.states)
    finding = _ABNORMAL[structure]
    if states & _DEVIANT.get(structure, set()):
        return finding, Status.PRESENT
    if lexicon.BORDERLINE in states and structure in (lexicon.HEART, lexicon.CARDIOMEDIASTINUM):
        return finding, Status.UNCERTAIN
    if lexicon.NORMAL in states:
        return finding, Status.ABSENT
    if structure == lexicon.HEART and reading.strongest(anchor.changes) in (Change.WORSE, Change.IMPROVED):
        return finding, Status.PRESENT
    return finding, None


def summary(text: str) -> dict[Finding, FindingState]:
    """One state per finding named in ``text``, in the order of ``Finding``."""
    grouped: dict[Finding, list[Mention]] = {}
    for mention in extract(text):
        grouped.setdefault(mention.finding, []).append(mention)
    return {finding: _state(finding, grouped[finding]) for finding in Finding if finding in grouped}


def _state(finding: Finding, mentions: Sequence[Mention]) -> FindingState:
    strength = (Status.PRESENT, Status.UNCERTAIN, Status.ABSENT)
    status = next(status for status in strength if any(mention.status is status for mention in mentions))
    telling = [mention for mention in mentions if mention.status is status]
    named: set[Side] = {mention.side for mention in telling if mention.side is not Side.UNSPECIFIED}
    stated = [mention.change for mention in telling if mention.change is not Change.NOT_COMPARED]
    sides: dict[Side, Change] = {}
    for mention in mentions:
        for side in (Side.LEFT, Side.RIGHT) if mention.side is Side.BILATERAL else (mention.side,):
            gone = mention.status is Status.ABSENT and mention.change is not Change.RESOLVED
            if (
                side is not Side.UNSPECIFIED
                and not gone
                and sides.get(side, Change.NOT_COMPARED) is Change.NOT_COMPARED
            ):
                sides[side] = mention.change
    return FindingState(
        finding=finding,
        status=status,
        side=reading.merge(named),
        size=next((mention.size for mention in telling if mention.size), None),
        change=stated[0] if stated else Change.NOT_COMPARED,
        sides=sides,
    )
