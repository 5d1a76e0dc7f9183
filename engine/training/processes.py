"""This process among those of a run: alone, or one of several that torchrun has started on one machine or many."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class Process:
    """One process of a run.

    Attributes:
        rank: its number; 0 writes the run's folder.
        world: how many there are.
        device: where it computes.
    """

    rank: int
    world: int
    device: torch.device

    @classmethod
    def this(cls) -> Process:
        """As torchrun's environment says; joins the others, by NCCL on GPUs and by gloo without."""
        world = int(os.environ.get("WORLD_SIZE", "1"))
        cuda = torch.cuda.is_available()
        device = torch.device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if cuda else "cpu")
        if world > 1 and not dist.is_initialized():
            if cuda:
                torch.cuda.set_device(device)
            dist.init_process_group("nccl" if cuda else "gloo")
        return cls(dist.get_rank() if world > 1 else 0, world, device)

    @property
    def first(self) -> bool:
        """Whether it is the one that writes."""
        return self.rank == 0

    def wait(self) -> None:
        """Until all have come here."""
        if self.world > 1:
            dist.barrier()

    @contextmanager
    def first_ahead(self) -> Iterator[None]:
        """The block is run by the first process, and by the others after it."""
        if not self.first:
            self.wait()
        yield
        if self.first:
            self.wait()
