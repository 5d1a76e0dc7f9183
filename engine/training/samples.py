"""Training samples made ready: conversations as ids with labels, batches in which every image stands once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from engine.datasets.libra import TrainingSample
from engine.errors import DatasetError
from engine.models.composite import IGNORED
from engine.models.conversation import Template
from engine.models.tokens import IMAGE_TEXT
from engine.training.auxiliary import TruthTable
from engine.training.labels import label
from engine.training.pixels import PixelStore

MEGABATCH = 50
"""Batches whose samples are sorted by length together: long ones meet long ones, and chance is still left."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One conversation about one or two images: ids with one IMAGE_TOKEN, labels, and rows of the pixel store."""

    id: str
    current: int
    prior: int
    input_ids: tuple[int, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True)
class Prepared:
    """Samples that can be trained on, and (number, reason) of those that were left out for their length."""

    samples: tuple[Sample, ...]
    left_out: tuple[tuple[int, str], ...]


def prepare(
    conversations: Sequence[TrainingSample],
    store: PixelStore,
    tokenizer: Any,
    template: Template,
    *,
    marks: tuple[str, str] = ("", ""),
    image_positions: int,
    room: int,
    leave_out: bool = False,
) -> Prepared:
    """Conversations as samples. One image is its own prior, as published.

    Args:
        marks: text around the image's place.
        image_positions: positions the image takes in place of its one token.
        room: positions a conversation may have.
        leave_out: pass over conversations that are longer instead of refusing them.

    Raises:
        DatasetError: conversations that cannot be learnt, all of them named.
    """
    samples: list[Sample] = []
    faults: list[tuple[int, str]] = []
    left_out: list[tuple[int, str]] = []
    for number, conversation in enumerate(conversations, 1):
        # Wherever the question says "<image>", the images come first, on a line of their own: so do Libra's.
        (question, answer), *further = conversation.turns
        turns = [(question.replace(IMAGE_TEXT, "").strip(), answer), *further]
        try:
            found = label(tokenizer, template, turns, marks)
        except DatasetError as error:
            faults.append((number, str(error)))
            continue
        length = len(found.ids) - 1 + image_positions
        if length > room:
            said = f"{conversation.id} has {length} positions, image included; there is room for {room}"
            (left_out if leave_out else faults).append((number, said))
            continue
        current, prior = store.rows[conversation.images[0]], store.rows[conversation.images[-1]]
        samples.append(Sample(conversation.id, current, prior, found.ids, found.labels))
    if faults:
        raise DatasetError(f"{len(faults)} conversations cannot be trained on.", tuple(faults))
    if not samples:
        raise DatasetError("No conversation is left to train on.", tuple(left_out))
    return Prepared(tuple(samples), tuple(left_out))


class Samples(Dataset[Sample]):
    """Samples as PyTorch's loaders take them."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]


class ByLength(Sampler[int]):
    """The order of an epoch: random, with conversations of about one length in a batch.

    It depends on the seed and the epoch alone, so that a run that is resumed goes on in the order it had. The longest
    batch of all comes first: what it takes is the most memory there will be.

    Args:
        lengths: of the samples; None for a random order.
        batch: samples a step takes on all devices.
    """

    def __init__(self, count: int, lengths: Sequence[int] | None, batch: int, seed: int) -> None:
        self._count, self._lengths, self._batch, self._seed = count, lengths, batch, seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + self._epoch)
        order: list[int] = torch.randperm(self._count, generator=generator).tolist()
        lengths = self._lengths
        if lengths is None:
            yield from order
            return
        size = self._batch * MEGABATCH
        groups = [sorted(order[at : at + size], key=lambda i: -lengths[i]) for at in range(0, self._count, size)]
        batches = [group[at : at + self._batch] for group in groups for at in range(0, len(group), self._batch)]
        whole = [batch for batch in batches if len(batch) == self._batch]
        rest = [index for batch in batches if len(batch) < self._batch for index in batch]
        whole += [rest[at : at + self._batch] for at in range(0, len(rest), self._batch)]
        longest = max(range(len(whole)), key=lambda number: max(lengths[i] for i in whole[number]))
        first = whole.pop(longest)
        if whole and len(first) < self._batch:  # a batch that is not full comes last, however long it is
            whole.append(first)
            first = whole.pop(0)
        last = [whole.pop()] if whole and len(whole[-1]) < self._batch else []
        shuffled = [whole[i] for i in torch.randperm(len(whole), generator=generator).tolist()]
        for batch in (first, *shuffled, *last):
            yield from batch


class Collator:
    """Samples -> the keyword arguments of ``Objective.forward``; every distinct image of the batch once."""

    def __init__(self, store: PixelStore, truth: TruthTable | None, pad: int) -> None:
        self.store = store
        self.truth = truth
        self.pad = pad

    def __call__(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        rows = sorted({row for sample in samples for row in (sample.current, sample.prior)})
        place = {row: index for index, row in enumerate(rows)}
        batch = {
            "pixels": self.store.pixels(rows),
            "current": torch.tensor([place[sample.current] for sample in samples]),
            "prior": torch.tensor([place[sample.prior] for sample in samples]),
            "input_ids": _padded([sample.input_ids for sample in samples], self.pad),
            "labels": _padded([sample.labels for sample in samples], IGNORED),
        }
        if self.truth is not None:
            batch |= self._targets(samples, rows, self.truth)
        return batch

    @staticmethod
    def _targets(samples: Sequence[Sample], rows: Sequence[int], truth: TruthTable) -> Mapping[str, Tensor]:
        images = {}
        for sample in samples:
            case = truth[sample.id]
            images[sample.current] = case.current
            if case.prior is not None:
                images[sample.prior] = case.prior
        return {
            "bands": torch.stack([images[row].bands for row in rows]),
            "regions": torch.stack([images[row].regions for row in rows]),
            "changes": torch.stack([truth[sample.id].changes for sample in samples]),
        }


def _padded(rows: Sequence[Sequence[int]], fill: int) -> Tensor:
    length = max(map(len, rows))
    return torch.tensor([[*row, *[fill] * (length - len(row))] for row in rows])
