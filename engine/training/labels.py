"""What is learnt of a conversation: every answer and what ends it, and nothing else.

The ids are those of one pass of the tokenizer over the whole conversation, split at the image as at inference (Libra's
models) or not split at all (``label_whole``, the models whose pictures are tokens). Labels
are found by character offsets: a token that holds a character of an answer or of its end is learnt, all else is not,
whatever the template and however many turns there are. Libra's own code counts tokens of separately tokenised pieces
instead, and where the sum does not fit it learns nothing of the conversation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.errors import DatasetError, ModelError
from engine.models.composite import IGNORED
from engine.models.conversation import QUESTION, Template, Turns
from engine.models.tokens import IMAGE_TEXT, IMAGE_TOKEN, as_plain_text, encode_with_spans

if TYPE_CHECKING:
    from engine.models.wording import Wording


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
    _check(turns, IMAGE_TEXT)
    image = f"{marks[0]}{IMAGE_TEXT}{marks[1]}\n"
    ids: list[int] = []
    labels: list[int] = []
    for number, chunk in enumerate(_chunks(list(_pieces(template, turns, image)))):
        found, learnt = _encoded(tokenizer, chunk)
        if number:
            ids.append(IMAGE_TOKEN)
            labels.append(IGNORED)
            if found and found[0] == tokenizer.bos_token_id:
                found, learnt = found[1:], learnt[1:]
        ids += found
        labels += [token if keep else IGNORED for token, keep in zip(found, learnt, strict=True)]
    return Labelled(tuple(ids), tuple(labels))


def label_whole(wording: Wording, turns: Turns, sizes: Sequence[tuple[int, int]]) -> Labelled:
    """The same for a model whose pictures are tokens: their ids are repeated for every position they take.

    Args:
        turns: as ``label``; control strings in them become ordinary words, as in a question that is drafted.
        sizes: width and height of the picture, or of the prior and the current one.

    Raises DatasetError as ``label``.
    """
    plain = [(as_plain_text(wording.tokenizer, q), as_plain_text(wording.tokenizer, a)) for q, a in turns]
    _check(plain, wording.image)
    ids, learnt = _encoded(
        wording.tokenizer, list(_pieces(wording.template, plain, wording.images(len(sizes) > 1))), spaced=False
    )
    counts = iter([wording.positions(*size) for size in sizes])
    filled: list[int] = []
    labels: list[int] = []
    for token, keep in zip(ids, learnt, strict=True):
        often = next(counts) if token == wording.image_id else 1
        filled += [token] * often
        labels += [token if keep else IGNORED] * often
    return Labelled(tuple(filled), tuple(labels))


def learnt_text(tokenizer: Any, labelled: Labelled, image: int = IMAGE_TOKEN) -> list[tuple[str, bool]]:
    """A conversation as pieces of text with whether they are learnt, for a person to look at; "<image>" is the image.

    Neighbouring tokens of one kind are one piece. ``image``: the id of an image's place, once or repeated.
    """
    pieces: list[tuple[list[int], bool]] = []
    for token, wanted in zip(labelled.ids, labelled.labels, strict=True):
        learns = wanted != IGNORED
        before = pieces[-1][0][-1] if pieces else None
        if token == image and before == image:
            continue
        if token == image or before in (None, image) or pieces[-1][1] != learns:
            pieces.append(([], learns))
        pieces[-1][0].append(token)
    return [
        (IMAGE_TEXT if ids[0] == image else tokenizer.decode(ids, skip_special_tokens=False), learns)
        for ids, learns in pieces
    ]


def _check(turns: Turns, place: str) -> None:
    if any(not answer.strip() for _, answer in turns):
        raise DatasetError("Nothing of an answer would be learnt: it is empty.")
    if any(place in text for turn in turns for text in turn):
        raise DatasetError(f"A question or an answer holds {place}, which stands for the image.")


def _encoded(tokenizer: Any, chunk: Sequence[tuple[str, bool]], *, spaced: bool = True) -> tuple[list[int], list[bool]]:
    """The ids of a stretch of text, and of each whether it is learnt; ``spaced`` as ``encode`` and ``encode_whole``."""
    text = "".join(piece for piece, _ in chunk)
    try:
        ids, spans = encode_with_spans(tokenizer, text, spaced=spaced)
    except ModelError as error:
        raise DatasetError(str(error)) from error
    wanted = _ranges(chunk)
    return ids, [any(begin < last and end > first for first, last in wanted) for begin, end in spans]


def _pieces(template: Template, turns: Turns, images: str) -> Iterator[tuple[str, bool]]:
    """The conversation as texts and whether each is learnt; the same text as ``conversation.dialogue`` makes.

    ``images``: what stands before the first question.
    """
    before, after = template.answer
    for number, (question, answer) in enumerate(turns):
        layout = template.again if number else template.layout
        if not layout:
            raise DatasetError(f"The template {template.name} knows one question only; this sample has several turns.")
        yield layout.replace(QUESTION, ("" if number else images) + question) + before, False
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
