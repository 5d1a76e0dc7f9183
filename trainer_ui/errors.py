"""The one place where an exception becomes words on the studio's screen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from serving import faults
from trainer_ui.components.words import literal


def sentence(error: Exception) -> str:
    """What the reader is told: a few plain sentences, never a trace or a class name."""
    return faults.sentence(error, "studio")


@contextmanager
def shown() -> Iterator[None]:
    """Show what goes wrong in the block, where the block is; what follows it on the page goes on."""
    try:
        yield
    except Exception as error:
        show(error)


def show(error: Exception) -> None:
    """Show an error in words."""
    st.error(literal(sentence(error)))


def on_script_error(error: Exception) -> bool:
    """What went wrong where nobody else has shown it."""
    show(error)
    return True
