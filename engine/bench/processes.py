"""A function in a fresh process of its own: nothing of this process's memory, caches or threads is in it.

What the function returns comes back, what it raises is raised here. The process ends with the call, whatever happens:
an interruption here ends it at once, and so does the death of this process.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from engine import logs
from engine.errors import ResourceError

Result = TypeVar("Result")
HELD = (signal.SIGINT, signal.SIGTERM)


def fresh(function: Callable[..., Result], *args: Any, threads: int) -> Result:
    """``function(*args)`` in a new process with so many processor threads.

    The function and its arguments are picklable; the function lives in a module.

    Raises:
        ResourceError: the process was ended from outside, which is what a system without memory does.
        Whatever the function raises.
    """
    context = get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(sending, logs.level(), threads, function, args), daemon=True)
    try:
        with _uninterrupted():
            process.start()
        sending.close()
        good, value = receiving.recv()
    except EOFError:
        process.join()
        raise ResourceError(
            f"The process that measured it was ended by the system (status {process.exitcode}); "
            "probably there was not enough memory."
        ) from None
    finally:
        receiving.close()
        if process.pid is not None:
            process.kill()
            process.join()
    if not good:
        raise value
    return value  # type: ignore[no-any-return]


def _run(answer: Connection, log_level: int | None, threads: int, function: Callable[..., Any], args: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process itself
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if log_level is not None:
        logs.start(log_level)
    import torch

    torch.set_num_threads(threads)
    try:
        outcome = (True, function(*args))
    except Exception as error:
        outcome = (False, error)
    answer.send(outcome)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Signals that would end this process wait until the block is over: a half-started process would complain."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


@contextmanager
def terminable() -> Iterator[None]:
    """Within the block a SIGTERM is what Ctrl-C is: an exception, so that what is to be cleaned up is cleaned up."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
