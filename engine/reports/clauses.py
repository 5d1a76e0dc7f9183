"""The joints of a sentence: items to segments, and which findings a word reaches across them.

A segment is the stretch between two joints (comma, "and", "or", "with", a break such as "but" or ";"). Its anchors are
the findings and structures in it. The three walks below answer the questions every rule asks: what stands ahead of a
word, what is its subject, and how far a list runs. Knows items, not what they mean clinically.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from engine.reports.scanning import ChangeCue, Item, Kind
from engine.reports.vocabulary import Side

_SKIP_AHEAD = frozenset(
    {Kind.SIDE, Kind.SIZE, Kind.REFERENCE, Kind.DETERMINER, Kind.CHANGE, Kind.STATE, Kind.SIDE_COMPARISON}
)
_SINGULAR = ("has ", "is ", "was ", "appears ", "shows ")
_PLAIN_LIST = frozenset({Kind.PREPOSITION, Kind.SEEN, Kind.NEGATION_AFTER, Kind.REFERENCE, Kind.DOUBT_AFTER})


@dataclass
class Part:
    """One side of a finding that the sentence treats apart ("unchanged on the right")."""

    side: Side
    size: str | None
    changes: list[ChangeCue]


@dataclass
class Anchor:
    """A finding or structure in the making: what the rules have tied to it so far."""

    item: Item
    segment: int
    negated: bool = False
    doubted: bool = False
    sides: set[Side] = field(default_factory=set)
    size: str | None = None
    changes: list[ChangeCue] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)


@dataclass
class Segment:
    """Items between two joints. ``joint`` is what stands before: start, break, comma, and, or, with."""

    joint: str
    items: list[Item]
    anchors: list[Anchor] = field(default_factory=list)

    def has(self, *kinds: Kind) -> bool:
        """Whether any item is of one of ``kinds``."""
        return any(item.kind in kinds for item in self.items)

    def before(self, item: Item) -> list[Item]:
        """Items left of ``item``."""
        return [other for other in self.items if other.start < item.start]

    def after(self, item: Item) -> list[Item]:
        """Items right of ``item``."""
        return [other for other in self.items if other.start > item.start]


def segments(items: Iterable[Item]) -> list[Segment]:
    """Cut a row of items at its joints; an empty stretch gives its place to the stronger joint ("," + "or" is "or")."""
    result = [Segment("start", [])]
    for item in items:
        if item.kind is Kind.BREAK:
            _open(result, "break")
        elif item.kind is Kind.JOINT:
            _open(result, str(item.value))
        else:
            if item.kind is Kind.NEGATION_BEFORE and item.text.startswith("without"):
                _open(result, "with")
            result[-1].items.append(item)
    for index, segment in enumerate(result):
        segment.anchors = [Anchor(item, index) for item in segment.items if item.kind in (Kind.FINDING, Kind.STRUCTURE)]
    return result


def _open(result: list[Segment], joint: str) -> None:
    last = result[-1]
    if last.items:
        result.append(Segment(joint, []))
    elif last.joint != "break" and last.joint != "start":
        last.joint = joint


def ahead(row: Sequence[Segment], index: int, item: Item, *, through_prepositions: bool = False) -> list[Anchor]:
    """What ``item`` modifies as an adjective or noun: the first anchor after it and the bare list that follows."""
    segment = row[index]
    for other in segment.after(item):
        if other.kind in (Kind.FINDING, Kind.STRUCTURE):
            first = next(anchor for anchor in segment.anchors if anchor.item is other)
            return [first, *_bare_list(row, index, segment.anchors[-1] is first)]
        if other.kind in _SKIP_AHEAD or (through_prepositions and other.kind in (Kind.PREPOSITION, Kind.DOUBT_BEFORE)):
            continue
        if other.kind is Kind.DOUBT_BEFORE and other.text in ("possible", "probable", "likely"):
            continue
        return []
    return []


def _bare_list(row: Sequence[Segment], index: int, open_ended: bool) -> list[Anchor]:
    """Anchors of the segments after ``index`` that only continue a list ("... and atelectasis")."""
    found: list[Anchor] = []
    if not open_ended or (row[index].has(Kind.VERB, Kind.SEEN) and _verb_last(row[index])):
        return found
    pending: list[Anchor] = []
    for segment in row[index + 1 :]:
        if segment.joint not in ("and", "or", "comma") or not segment.anchors:
            break
        first = segment.anchors[0].item
        if segment.items[0] is not first or any(item.kind not in _PLAIN_LIST for item in segment.after(first)):
            break
        pending.extend(segment.anchors)
        if segment.joint != "comma":  # a comma alone is a list only once "and" or "or" closes it
            found.extend(pending)
            pending = []
    return found


def _verb_last(segment: Segment) -> bool:
    last = segment.anchors[-1].item
    return any(item.kind in (Kind.VERB, Kind.SEEN) for item in segment.after(last))


def subjects(row: Sequence[Segment], index: int, item: Item) -> list[Anchor]:
    """The subject of a predicate: anchors before it in its segment and the list they close ("A, B and C are ...")."""
    segment = row[index]
    own = [anchor for anchor in segment.anchors if anchor.item.start < item.start]
    if not own:
        return []
    singular = item.text.startswith(_SINGULAR)
    first = own[0].item
    opening = segment.before(first)
    if any(other.kind in (Kind.VERB, Kind.CHANGE, Kind.NEGATION_BEFORE) for other in opening):
        return own
    return own + _closed_list(row, index, singular, _determined(segment))


def _closed_list(row: Sequence[Segment], index: int, singular: bool, determined: bool) -> list[Anchor]:
    """Anchors of the segments before ``index`` that belong to the same subject."""
    found: list[Anchor] = []
    closed = False
    while index > 0:
        joint = row[index].joint
        if joint in ("break", "start") or (joint == "comma" and not closed) or (singular and joint in ("and", "or")):
            break
        closed = closed or joint in ("and", "or", "with")
        index -= 1
        segment = row[index]
        if not segment.anchors or segment.has(Kind.CHANGE, Kind.VERB, Kind.SEEN, Kind.NEGATION_BEFORE, Kind.STATE):
            break
        if determined and joint != "with" and not _determined(segment):
            break
        found.extend(segment.anchors)
    return found


def _determined(segment: Segment) -> bool:
    return bool(segment.items) and segment.items[0].kind is Kind.DETERMINER


def preceding(row: Sequence[Segment], index: int) -> list[Anchor]:
    """For a segment without anchors (", unchanged"): the nearest earlier findings and what is joined to them."""
    for earlier in range(index - 1, -1, -1):
        segment = row[earlier]
        anchors = [anchor for anchor in segment.anchors if anchor.item.kind is Kind.FINDING] or segment.anchors
        if anchors:
            return anchors + _closed_list(row, earlier, False, _determined(segment))
    return []


def following(row: Sequence[Segment], index: int) -> list[Anchor]:
    """The first anchors after segment ``index`` in the sentence."""
    for segment in row[index + 1 :]:
        if segment.anchors:
            return segment.anchors[:1]
    return []


def scope(row: Sequence[Segment], index: int, item: Item, *, doubt: bool = False) -> list[Anchor]:
    """Anchors under a negation or doubt that stands before them: to the end of the list it opens."""
    found = [anchor for anchor in row[index].anchors if anchor.item.start > item.start]
    if not found and row[index].has(Kind.CHANGE) and index + 1 < len(row) and row[index + 1].joint not in ("or", "and"):
        return found
    for later in range(index + 1, len(row)):
        segment = row[later]
        if segment.joint in ("break", "start") or (segment.joint == "with" and found):
            break
        if not _continues(segment, doubt=doubt, joined=found):
            break
        found.extend(segment.anchors)
    return found


def _continues(segment: Segment, *, doubt: bool, joined: Sequence[Anchor]) -> bool:
    """Whether a segment carries on the list of a negation ("no effusion, pneumothorax or consolidation")."""
    if segment.has(Kind.NEGATION_BEFORE) or not segment.anchors:
        return not segment.has(Kind.VERB, Kind.CHANGE, Kind.NEGATION_BEFORE) or not joined
    first = segment.anchors[0].item
    opening = segment.before(first)
    if any(item.kind in (Kind.VERB, Kind.SEEN) for item in opening):
        return False
    if segment.has(Kind.STATE) and not doubt and any(anchor.item.kind is Kind.STRUCTURE for anchor in segment.anchors):
        return False
    if segment.joint == "or":
        return not any(item.kind is Kind.DETERMINER and item.text == "the" for item in opening)
    if any(item.kind in (Kind.SIZE, Kind.DETERMINER, Kind.CHANGE) for item in opening):
        return False
    return not any(item.kind in (Kind.VERB, Kind.CHANGE) for item in segment.after(first))
