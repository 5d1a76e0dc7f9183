"""What is learnt of a conversation: every answer and what ends it, and nothing else.

The ids are those of one pass of the tokenizer over the whole conversation, split at the image as at inference. Labels
are found by character offsets: a token that holds a character of an answer or of its end is learnt, all else is not,
whatever the template and however many turns there are. Libra's own code counts tokens of separately tokenised pieces
instead, and where the sum does not fit it learns nothing of the conversation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import DatasetError, ModelError
from engine.models.composite import IGNORED
from engine.models.conversation import QUESTION, Template, Turns
from engine.models.tokens import IMAGE_TEXT, IMAGE_TOKEN, encode_with_spans


@dataclass(frozen=True)
class Labelled:
    """A conversation as ids with one IMAGE_TOKEN, and the label of each: itself, or IGNORED."""

    ids: tuple[int, ...]
    labels: tuple[int, ...]


def label(tokenizer: Any, template: Template, turns: Turns, marks: tuple[str, str] = ("", "")) -> Labelled:
    """The ids of a conversation about the images and their labels.

    Args:
        turns: questions, without the image's place, and their answers; the images stand before the first question.
        marks: text around the image's place.

    Raises:
        DatasetError: an answer is empty, a text holds the image's place, the template knows one question only, or
            the tokenizer gives no character offsets.
    """
    if any(not answer.strip() for _, answer in turns):
        raise DatasetError("Nothing of an answer would be learnt: it is empty.")
    if any(IMAGE_TEXT in text for turn in turns for text in turn):
        raise DatasetError(f"A question or an answer holds {IMAGE_TEXT}, which stands for the image.")
    ids: list[int] = []
    labels: list[int] = []
    for number, chunk in enumerate(_chunks(list(_pieces(template, turns, marks)))):
        text = "".join(piece for piece, _ in chunk)
        try:
            found, spans = encode_with_spans(tokenizer, text)
        except ModelError as error:
            raise DatasetError(str(error)) from error
        wanted = _ranges(chunk)
        learnt = [any(begin < last and end > first for first, last in wanted) for begin, end in spans]
        if number:
            ids.append(IMAGE_TOKEN)
            labels.append(IGNORED)
            if found and found[0] == tokenizer.bos_token_id:
                found, learnt = found[1:], learnt[1:]
        ids += found
        labels += [token if keep else IGNORED for token, keep in zip(found, learnt, strict=True)]
    return Labelled(tuple(ids), tuple(labels))


def learnt_text(tokenizer: Any, labelled: Labelled) -> list[tuple[str, bool]]:
    """A conversation as pieces of text with whether they are learnt, for a person to look at; "<image>" is the image.

    Neighbouring tokens of one kind are one piece.
    """
    pieces: list[tuple[list[int], bool]] = []
    for token, wanted in zip(labelled.ids, labelled.labels, strict=True):
        learns = wanted != IGNORED
        if token == IMAGE_TOKEN or not pieces or pieces[-1][0][-1] == IMAGE_TOKEN or pieces[-1][1] != learns:
            pieces.append(([], learns))
        pieces[-1][0].append(token)
    return [
        (IMAGE_TEXT if ids[0] == IMAGE_TOKEN else tokenizer.decode(ids, skip_special_tokens=False), learns)
        for ids, learns in pieces
    ]


def _pieces(template: Template, turns: Turns, marks: tuple[str, str]) -> Iterator[tuple[str, bool]]:
    """The conversation as texts and whether each is learnt; the same text as ``conversation.dialogue`` makes."""
    before, after = template.answer
    for number, (question, answer) in enumerate(turns):
        layout = template.again if number else template.layout
        if not layout:
            raise DatasetError(f"The template {template.name} knows one question only; this sample has several turns.")
        image = "" if number else f"{marks[0]}{IMAGE_TEXT}{marks[1]}\n"
        yield layout.replace(QUESTION, image + question) + before, False
        yield answer + after, True


def _chunks(pieces: Sequence[tuple[str, bool]]) -> Iterator[list[tuple[str, bool]]]:
    """The pieces before and after the image's place."""
    chunk: list[tuple[str, bool]] = []
    for text, learns in pieces:
        first, *rest = text.split(IMAGE_TEXT)
        chunk.append((first, learns))
        for part in rest:
            yield chunk
            chunk = [(part, learns)]
    yield chunk


def _ranges(chunk: Sequence[tuple[str, bool]]) -> list[tuple[int, int]]:
    """First character and the one after the last of every piece that is learnt."""
    ranges, at = [], 0
    for text, learns in chunk:
        if learns:
            ranges.append((at, at + len(text)))
        at += len(text)
    return ranges
