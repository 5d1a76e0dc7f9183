"""LLaMA-Factory's environment: whether it is there, and the job that makes it."""

from __future__ import annotations

from engine import environment
from engine.jobs import queue
from engine.jobs.job import Job

KIND = "setup"
NAME = "llamafactory"
WORDS = (
    "Qwen2-VL and LLaVA are trained by LLaMA-Factory, which cannot live beside this program and gets an environment of "
    f"its own. That is done once, takes some minutes and about {environment.BESIDE[NAME][1]} GB, and needs the "
    "network. Nothing of it is started but the training itself."
)


def ready() -> bool:
    """Whether LLaMA-Factory can be used."""
    return environment.beside(NAME).complete()


def under_way() -> bool:
    """Whether a job that sets it up waits or runs."""
    return any(job.kind == KIND and job.active for job in queue.jobs())


def begin() -> Job:
    """Queue the job that sets it up. Raises OSError."""
    return queue.add(KIND, "Set up LLaMA-Factory", ["setup", NAME])
