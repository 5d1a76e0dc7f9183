"""The most memory a stage of training takes: what is planned, and what is seen.

The plan counts weights, gradients, the optimiser's state and the activations of one batch; the first three are exact.
The first step takes the longest batch there is (samples.ByLength), so what has been seen after three steps is the
forecast for the rest of the stage.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

import torch
from torch import nn

from engine.models.memory import held
from engine.training.recipe import Stage

PROBE = 3
"""Steps after which what was seen is the forecast."""

SPARE = 0.9
"""Share of the free memory that a plan may take before activations are computed twice instead."""

PROCESS = {"cpu": 480_000_000, "cuda": 0}
"""Bytes the libraries take; on a GPU PyTorch's allocator does not count its own."""

FACTORYS_PROCESS = {"cpu": 590_000_000, "cuda": 0}
"""The same of LLaMA-Factory's."""

KEPT = {"cpu": 2.1, "cuda": 1.15}
"""Times the activations' bytes: what the allocator keeps of tensors that are gone. Measured on the CPU with batches of
4, 16 and 48; on a GPU an estimate."""

_INTERVAL_S = 0.02
STATES = {"adamw": 8.0, "muon": 8.0, "adamw_8bit": 2.1, "paged_adamw_8bit": 0.0}
"""Bytes of an optimiser's state for a value that learns; paged ones give way where memory is short."""


@dataclass(frozen=True)
class Sizes:
    """What the activations of a batch follow from.

    Attributes:
        batch: conversations.
        positions: of the longest, image included.
        learnt: positions of the batch that are learnt, at most.
        layers, width, inner, vocabulary: of the language model.
        value: bytes of a value that is computed with.
        device: "cpu" or "cuda".
    """

    batch: int
    positions: int
    learnt: int
    layers: int
    width: int
    inner: int
    vocabulary: int
    value: int
    device: str


@dataclass(frozen=True)
class Counts:
    """What a model takes before anything is computed.

    Attributes:
        weights: bytes of all its tensors, as they are held while it is trained.
        learning: how many values learn.
    """

    weights: int
    learning: int

    @classmethod
    def of(cls, module: nn.Module) -> Counts:
        """Of a model in memory whose stage has begun."""
        tensors = (*module.parameters(), *module.buffers())
        return cls(
            sum(tensor.numel() * tensor.element_size() for tensor in tensors),
            sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad),
        )


def planned(
    counts: Counts, stage: Stage, sizes: Sizes, *, checkpointing: bool, process: Mapping[str, int] = PROCESS
) -> int:
    """Bytes a step takes at most, before any was made; ``process``: what the libraries take by themselves.

    A llama layer keeps about 14 vectors of its width and 4 of its inner width a position for the way back; with
    checkpointing its input alone, and one layer's activations at a time. Logits are computed where something is learnt,
    in the dtype of the weights and in float32, and their gradient beside them.
    """
    layer = sizes.batch * sizes.positions * (14 * sizes.width + 4 * sizes.inner) * sizes.value if stage.text else 0
    inputs = sizes.batch * sizes.positions * sizes.width * sizes.value
    activations = layer + sizes.layers * inputs if checkpointing else sizes.layers * layer
    logits = sizes.learnt * sizes.vocabulary * (sizes.value + 3 * 4) if stage.text else 0
    worked_with = KEPT[sizes.device] * (activations + logits)
    return int(process[sizes.device] + counts.weights + counts.learning * (4 + STATES[stage.optimiser]) + worked_with)


class Watch:
    """The most memory held within the block, in bytes: of the GPU, or of this process."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._peak = 0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def peak(self) -> int:
        """So far."""
        self._peak = max(self._peak, held(self._device))
        return self._peak

    def __enter__(self) -> Watch:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        else:  # the processor's allocator counts nothing, so somebody has to look
            self._thread = threading.Thread(target=self._look, daemon=True)
            self._thread.start()
        return self

    def _look(self) -> None:
        while not self._over.wait(_INTERVAL_S):
            self._peak = max(self._peak, held(self._device))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
