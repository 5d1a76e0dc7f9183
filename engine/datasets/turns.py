"""Several questions about one image as one conversation, and each question of a conversation by itself.

An image takes hundreds of positions and a short question ten: asked one after another in one conversation, the
questions about an image cost the image once. Every answer is learnt as before, but with the earlier ones in view. The
same question is never asked twice in a conversation, where its answer could be read off.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import replace

from engine.datasets.libra import IMAGE_TEXT, MARKER, TrainingSample

MIXED = "mixed"
"""The kind of a conversation whose questions are of several kinds."""

MOST = 100
"""Questions of a conversation at most."""


def join_questions(samples: Iterable[TrainingSample], most: int = 20) -> list[TrainingSample]:
    """Samples about the same images of the same study joined, at most ``most`` questions each, in order of appearance.

    A joined sample has the id of its first; its kind is `MIXED` where theirs differ, and its form is kept where all
    agree. Only what says the same of patient, study and prior report is joined.
    """
    made: list[list[TrainingSample]] = []
    open_: dict[Hashable, list[list[TrainingSample]]] = {}
    for sample in samples:
        key = sample.images, sample.about, sample.prior_report
        asked = _questions(sample)
        for group in open_.setdefault(key, []):
            there = [question for other in group for question in _questions(other)]
            if len(there) + len(asked) <= most and not set(asked) & set(there):
                group.append(sample)
                break
        else:
            made.append([sample])
            open_[key].append(made[-1])
    return [_joined(group) for group in made]


def one_question_each(samples: Iterable[TrainingSample]) -> list[TrainingSample]:
    """Every question with its answer as a sample of its own; the second turn of "a" is "a#2"."""
    return [
        replace(
            sample,
            id=sample.id if number == 1 else f"{sample.id}#{number}",
            turns=((MARKER + asked.replace(IMAGE_TEXT, "").strip(), answer),),
        )
        for sample in samples
        for number, (asked, answer) in enumerate(sample.turns, 1)
    ]


def _questions(sample: TrainingSample) -> list[str]:
    """What is asked, in words that tell whether it is the same question."""
    return [" ".join(asked.replace(IMAGE_TEXT, "").casefold().split()) for asked, _ in sample.turns]


def _joined(group: list[TrainingSample]) -> TrainingSample:
    first, *others = group
    if not others:
        return first
    further = tuple((asked.replace(IMAGE_TEXT, "").strip(), said) for other in others for asked, said in other.turns)
    kinds, forms = {one.kind for one in group}, {one.form for one in group}
    kind, form = first.kind if len(kinds) == 1 else MIXED, first.form if len(forms) == 1 else ""
    return replace(first, turns=first.turns + further, kind=kind, form=form)
