"""The rules: one sentence of a report to what it says of each finding.

In order: negation and doubt, the state of structures ("heart ... enlarged"), sides and sizes, changes, and the sides a
sentence treats apart. The rules see one sentence and, for a sentence without a finding of its own ("This has
increased."), the findings of the one before. They are rules of report language: no model, not CheXbert.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

from engine.reports import cues, lexicon
from engine.reports.clauses import Anchor, Part, Segment, ahead, following, preceding, scope, segments, subjects
from engine.reports.scanning import ChangeCue, Item, Kind, lower, scan, spaced
from engine.reports.vocabulary import UNSIDED, Change, Finding, Side

_JOINED = ("and", "or", "with", "comma")
_NEIGHBOURS = frozenset({Finding.EFFUSION, Finding.ATELECTASIS, Finding.CONSOLIDATION, Finding.OPACITY})
_OWN_OPENING = frozenset({Kind.DETERMINER, Kind.NEGATION_BEFORE, Kind.CHANGE, Kind.VERB})
_SIZED_STRUCTURES = frozenset({lexicon.HEART, lexicon.CARDIOMEDIASTINUM, lexicon.MEDIASTINUM})


def read(sentence: str) -> list[Anchor]:
    """The findings and structures of one sentence with everything said of them, in order of appearance."""
    row = segments(scan(sentence))
    for index, segment in enumerate(row):
        for item in segment.items:
            _negate(row, index, item)
            _doubt(row, index, item)
    for index, segment in enumerate(row):
        for item in segment.items:
            if item.kind is Kind.STATE:
                _state(row, index, item)
    orphans = _sides_and_sizes(row)
    for index, segment in enumerate(row):
        if index not in orphans:
            for item in segment.items:
                if item.kind is Kind.CHANGE:
                    _change(row, index, item)
    for index in sorted(orphans):
        _part(row, index)
    return [anchor for segment in row for anchor in segment.anchors]


def continues(sentence: str) -> list[ChangeCue]:
    """Changes a sentence without findings states of the one before ("This has increased.", "Unchanged from prior.")."""
    items = scan(sentence)
    if any(item.kind in (Kind.FINDING, Kind.STRUCTURE) for item in items):
        return []
    found = [item.value for item in items if isinstance(item.value, ChangeCue)]
    if not found:
        return []
    if _pronoun().match(lower(sentence)):
        return found
    rest = len(re.findall(r"[a-z]{2,}", lower(sentence))) - sum(
        len(re.findall(r"[a-z]{2,}", item.text)) for item in items
    )
    fragment = items[0].kind is Kind.CHANGE and not items[0].text.startswith(("no ", "there "))
    return found if fragment and rest <= 1 else []


@cache
def _pronoun() -> re.Pattern[str]:
    return re.compile(rf"\s*(?:{spaced('|'.join(cues.PRONOUNS))})\b")


def _negate(row: Sequence[Segment], index: int, item: Item) -> None:
    targets: list[Anchor] = []
    if item.kind is Kind.NEGATION_BEFORE:
        targets = scope(row, index, item)
    elif item.kind is Kind.NEGATION_AFTER:
        targets = subjects(row, index, item)
    for anchor in targets:
        anchor.negated = True


def _doubt(row: Sequence[Segment], index: int, item: Item) -> None:
    if item.kind is Kind.DOUBT_BEFORE:
        for anchor in scope(row, index, item, doubt=True):
            anchor.doubted = True
            anchor.negated = False if item.text.startswith(_EXCLUDE) else anchor.negated
        if item.text in ("versus", "vs", "vs.", "and/or"):
            _doubt_alternative(row, index, item)
    elif item.kind is Kind.DOUBT_AFTER:
        for anchor in subjects(row, index, item):
            anchor.doubted = True
        if item.text in ("versus", "vs", "vs."):
            for anchor in [*subjects(row, index, item)[-1:], *ahead(row, index, item)]:
                anchor.doubted = True


_EXCLUDE = ("cannot", "can not", "could not", "can't", "unable", "difficult", "impossible", "does not", "not")


def _doubt_alternative(row: Sequence[Segment], index: int, item: Item) -> None:
    before = [anchor for anchor in row[index].anchors if anchor.item.start < item.start]
    for anchor in before[-1:] or preceding(row, index)[:1]:
        anchor.doubted = True


def _state(row: Sequence[Segment], index: int, item: Item) -> None:
    """Tie "normal", "blunted", "prominent" to the structures they speak of."""
    targets = [anchor for anchor in ahead(row, index, item, through_prepositions=True) if _structure(anchor)]
    targets = targets or [anchor for anchor in subjects(row, index, item) if _structure(anchor)]
    if not targets and not row[index].anchors:
        targets = [anchor for anchor in preceding(row, index) if _structure(anchor)]
    for anchor in targets:
        anchor.states.append(str(item.value))


def _structure(anchor: Anchor) -> bool:
    return anchor.item.kind is Kind.STRUCTURE


def _sides_and_sizes(row: Sequence[Segment]) -> set[int]:
    """Give sides and sizes to the anchors; returns the segments that speak of one side of a finding elsewhere."""
    orphans: set[int] = set()
    for index, segment in enumerate(row):
        sides = [item for item in segment.items if item.kind is Kind.SIDE]
        if segment.anchors:
            _within(segment)
        elif sides and (segment.has(Kind.CHANGE, Kind.SIZE)):
            orphans.add(index)
    for index, segment in enumerate(row):
        sides = [item for item in segment.items if item.kind is Kind.SIDE]
        if not segment.anchors and sides and index not in orphans:
            _side_alone(row, index, {Side(str(item.value)) for item in sides})
        elif not segment.anchors and segment.has(Kind.SIZE) and not sides:
            _size_alone(row, index)
    _inherit(row)
    return orphans


def _within(segment: Segment) -> None:
    """Sides and sizes inside a segment: to the finding they stand before, or after a preposition to the one before."""
    previous: Item | None = None
    for item in segment.items:
        if item.kind in (Kind.SIDE, Kind.SIZE):
            right = next((anchor for anchor in segment.anchors if anchor.item.start > item.start), None)
            left = next((anchor for anchor in reversed(segment.anchors) if anchor.item.start < item.start), None)
            backward = left is not None and (right is None or _points_back(segment, item, left, right, previous))
            target = left if backward else right
            if target is not None:
                _give(target, item)
                if backward and item.kind is Kind.SIDE:
                    _share_back(segment, target, item)
                elif item.kind is Kind.SIDE and previous is not None and previous.kind is Kind.PREPOSITION:
                    for anchor in segment.anchors:
                        if not anchor.sides and anchor.item.start > item.start:
                            _give(anchor, item)
        previous = item


def _points_back(segment: Segment, item: Item, left: Anchor, right: Anchor, previous: Item | None) -> bool:
    """Between two findings: "effusion on the left ... atelectasis" points back, "and left atelectasis" forward."""
    between = [other for other in segment.items if left.item.start < other.start < item.start]
    return any(other.kind is Kind.PREPOSITION for other in between[-2:]) and right is not None


def _share_back(segment: Segment, target: Anchor, item: Item) -> None:
    for anchor in segment.anchors:
        if anchor is not target and not anchor.sides and anchor.item.start < item.start:
            _give(anchor, item)


def _give(anchor: Anchor, item: Item) -> None:
    if item.kind is Kind.SIDE:
        anchor.sides.add(Side(str(item.value)))
    elif anchor.size is None:
        anchor.size = item.text


def _side_alone(row: Sequence[Segment], index: int, sides: set[Side]) -> None:
    """A segment that is only a place: "left lower lobe and right basilar opacity", "On the right, ...", "..., left"."""
    later = row[index + 1] if index + 1 < len(row) else None
    earlier = preceding(row, index)
    if (
        later is not None
        and later.anchors
        and later.joint in ("and", "or", "comma")
        and (not earlier or later.joint != "comma")
    ):
        fronted = later.joint == "comma" or row[index].items[0].kind is Kind.PREPOSITION
        for anchor in later.anchors:
            if not fronted or not anchor.sides:
                anchor.sides |= sides
        if fronted:
            for segment in row[index + 2 :]:
                for anchor in segment.anchors:
                    anchor.sides = anchor.sides or set(sides)
    else:
        for anchor in earlier:
            if not anchor.sides or row[index].joint in ("and", "or"):
                anchor.sides |= sides


def _size_alone(row: Sequence[Segment], index: int) -> None:
    """A segment that is only a size: "pleural effusion, small"."""
    for anchor in preceding(row, index)[:1]:
        anchor.size = anchor.size or next(item.text for item in row[index].items if item.kind is Kind.SIZE)


def _inherit(row: Sequence[Segment]) -> None:
    """A bare finding joined to a sided one is on its side: "left effusion and atelectasis"."""
    for index, segment in enumerate(row):
        earlier = row[index - 1] if index else None
        if earlier is not None and earlier.anchors and segment.anchors and segment.joint in _JOINED:
            opening = {item.kind for item in segment.before(segment.anchors[0].item)}
            bare = not segment.has(Kind.SIDE, Kind.STATE) and not opening & _OWN_OPENING
            sized = Kind.SIZE in opening
            if bare and (segment.joint != "comma" or segment.has(Kind.DOUBT_BEFORE)):
                for anchor in segment.anchors:
                    if anchor.item.value in _NEIGHBOURS or not sized:
                        anchor.sides = anchor.sides or set(earlier.anchors[-1].sides)
        for left, right in pairwise(anchor for anchor in segment.anchors if anchor.item.kind is Kind.FINDING):
            right.sides = right.sides or set(left.sides)


def _change(row: Sequence[Segment], index: int, item: Item) -> None:
    """Tie one change cue to its findings."""
    cue = item.value
    if not isinstance(cue, ChangeCue):
        return
    targets = change_targets(row, index, item, cue)
    if large_by_nature(item):
        structures = [anchor for anchor in targets if anchor.item.value in _SIZED_STRUCTURES]
        for anchor in structures:
            anchor.states.append(lexicon.LARGE)
            anchor.size = anchor.size or _degree(item)
        targets = [anchor for anchor in targets if anchor not in structures]
    for anchor in targets:
        anchor.changes.append(cue)


def change_targets(row: Sequence[Segment], index: int, item: Item, cue: ChangeCue) -> list[Anchor]:
    """The anchors one change cue speaks of (see ``clauses`` for the three walks)."""
    segment = row[index]
    own = subjects(row, index, item)
    forward = ahead(row, index, item, through_prepositions=cue.place == "of")
    predicate = cue.place == "verb" or item.text.startswith(_PREDICATES)
    if own and (predicate or not forward):
        return own
    if forward:
        return forward
    if segment.anchors and cue.place == "of":
        later = [anchor for anchor in segment.anchors if anchor.item.start > item.start]
        return later[:1]
    if segment.anchors:
        return []
    return [anchor for anchor in preceding(row, index) if not anchor.negated] or following(row, index)


_PREDICATES = (
    "is ",
    "are ",
    "was ",
    "were ",
    "has ",
    "have ",
    "had ",
    "appear",
    "look",
    "do ",
    "does ",
    "did ",
    "no longer",
    "remain",
    "persists",
)


def large_by_nature(item: Item) -> bool:
    """Whether "enlarged" is how the heart is, not what it did: no "has enlarged", no "further", "interval", "than"."""
    if "enlarg" not in item.text or "enlarging" in item.text:
        return False
    return not re.search(
        r"\b(?:has|have|had|further|interval|than|no longer|not|no|without|progressively)\b", item.text
    )


@cache
def _sizes() -> re.Pattern[str]:
    return re.compile(spaced("|".join(rf"\b(?:{pattern})\b" for pattern in cues.SIZES)))


def _degree(item: Item) -> str | None:
    found = _sizes().search(item.text)
    return found.group() if found else None


def _part(row: Sequence[Segment], index: int) -> None:
    """A segment on one side of a finding named elsewhere: "unchanged on the right, increased on the left"."""
    segment = row[index]
    sides = {Side(str(item.value)) for item in segment.items if item.kind is Kind.SIDE}
    side = merge(sides)
    changes = [item.value for item in segment.items if isinstance(item.value, ChangeCue)]
    size = next((item.text for item in segment.items if item.kind is Kind.SIZE), None)
    earlier = [anchor for anchor in preceding(row, index) if anchor.item.kind is Kind.FINDING]
    targets = earlier[-1:] if len(earlier) == 1 else earlier[:1]
    targets = targets or [anchor for anchor in following(row, index) if anchor.item.kind is Kind.FINDING]
    for anchor in targets:
        alone = not anchor.sides and not anchor.changes and not anchor.parts
        if alone and not anchor.negated and earlier and not _more_parts(row, index):
            anchor.sides, anchor.changes = set(sides), list(changes)
            anchor.size = anchor.size or size
        elif not anchor.negated or size is not None:
            anchor.parts.append(Part(side, size, changes))


def _more_parts(row: Sequence[Segment], index: int) -> bool:
    later = row[index + 1] if index + 1 < len(row) else None
    return later is not None and not later.anchors and later.has(Kind.SIDE)


def merge(sides: set[Side]) -> Side:
    """Several side words to one side: left and right together are bilateral."""
    if Side.BILATERAL in sides or {Side.LEFT, Side.RIGHT} <= sides:
        return Side.BILATERAL
    return next(iter(sorted(sides)), Side.UNSPECIFIED)


def sided(finding: Finding, sides: set[Side]) -> Side:
    """The side of a finding; findings of the midline have none."""
    return Side.UNSPECIFIED if finding in UNSIDED else merge(sides)


def strongest(changes: Sequence[ChangeCue]) -> Change:
    """The first strong change, else the first weak one, else NOT_COMPARED."""
    for weak in (False, True):
        for cue in changes:
            if cue.weak is weak:
                return cue.change
    return Change.NOT_COMPARED
