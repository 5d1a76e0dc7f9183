"""The answer that fits most questions, given without a look at the images: the least a model of VQA must beat.

For each question it is the most frequent answer to the same question in the training file; where that is not known, to
questions of its form (yes or no, a choice, free words). Where there is no training file the references themselves say
what is frequent, which is as good as an answer that never changes can be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from engine.datasets.libra import IMAGE_TEXT, Answer, Reference
from engine.evaluation.naive import Naive
from engine.evaluation.vqa import by_yes_or_no, form_of, words

USUAL = "usual-answer"

Turns = Sequence[tuple[str, str]]
"""Questions and their answers."""


def usual_answer(references: Mapping[str, Reference], training: Turns = ()) -> Naive:
    """The usual answer to every question.

    Args:
        references: question id -> its reference, with the question.
        training: what a model was trained on.
    """
    known = training or [(one.question, one.text) for one in references.values()]
    asked = _usual((_asked(question), answer) for question, answer in training)
    by_form = _usual((_form(Reference(answer, question=question)), answer) for question, answer in known)
    whatever = _usual(((), answer) for _, answer in known).get((), "")
    said = {
        identity: asked.get(_asked(reference.question)) or by_form.get(_form(reference)) or whatever
        for identity, reference in references.items()
    }
    exact = sum(_asked(reference.question) in asked for reference in references.values())
    answers = {name: Answer(name, references[name].question, text, "", USUAL) for name, text in said.items() if text}
    if not answers:
        return Naive(USUAL, {}, "n/a, because neither the training file nor the references hold an answer")
    if not training:
        note = "Taken from the references themselves; --training FILE of 'evaluate' takes it from what was learnt."
    else:
        note = f"Of the training file: {exact} of {len(references)} questions were asked there in the same words."
    return Naive(USUAL, answers, note)


def _asked(question: str) -> tuple[str, ...]:
    return words(question.replace(IMAGE_TEXT, " "))


def _form(reference: Reference) -> tuple[object, ...]:
    """Free words, a choice, or yes and no."""
    return form_of(replace(reference, form="")), by_yes_or_no(reference.text)


def _usual(answers: Iterable[tuple[tuple[object, ...], str]]) -> dict[tuple[object, ...], str]:
    """Group -> its most frequent answer, up to case and marks; of equally frequent ones the first."""
    counts: dict[tuple[object, ...], Counter[tuple[str, ...]]] = {}
    texts: dict[tuple[str, ...], str] = {}
    for group, answer in answers:
        if said := words(answer):
            counts.setdefault(group, Counter())[said] += 1
            texts.setdefault(said, answer.strip())
    return {group: texts[counted.most_common(1)[0][0]] for group, counted in counts.items()}
