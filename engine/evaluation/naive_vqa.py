"""The answer that fits most questions, given without a look at the images: the least a model of VQA must beat.

For each question it is the most frequent answer to the same question in the training file; where that is not known,
to questions of its form (yes or no, or others). Where there is no training file the references themselves say what is
frequent, which is as good as an answer that never changes can be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from engine.datasets.libra import IMAGE_TEXT, Answer, Reference
from engine.evaluation.naive import Naive
from engine.evaluation.vqa import by_yes_or_no, words

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
    by_question: dict[tuple[str, ...], list[str]] = {}
    for question, answer in training:
        by_question.setdefault(_asked(question), []).append(answer)
    by_form = {yes_no: _most(text for _, text in known if by_yes_or_no(text) is yes_no) for yes_no in (True, False)}
    said: dict[str, str] = {}
    exact = 0
    for identity, reference in references.items():
        own = _most(by_question.get(_asked(reference.question), ()))
        exact += bool(own)
        said[identity] = own or by_form[by_yes_or_no(reference.text)] or by_form[not by_yes_or_no(reference.text)]
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


def _most(answers: Iterable[str]) -> str:
    """The most frequent of some answers, up to case and marks; of equally frequent ones the first; "" for none."""
    forms: dict[tuple[str, ...], str] = {}
    counts: Counter[tuple[str, ...]] = Counter()
    for answer in answers:
        if words(answer):
            counts[words(answer)] += 1
            forms.setdefault(words(answer), answer.strip())
    return forms[counts.most_common(1)[0][0]] if counts else ""
