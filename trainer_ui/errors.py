"""The one place where an exception becomes words on the studio's screen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from serving import faults


def sentence(error: Exception) -> str:
    """What the reader is told: a few plain sentences, never a trace or a class name."""
    return faults.sentence(error, "studio")


@contextmanager
def shown() -> Iterator[None]:
    """Show what goes wrong in the block, where the block is; whatever follows it on the page goes on."""
    try:
        yield
    except Exception as error:
        show(error)


def show(error: Exception) -> None:
    """Show an error in words."""
    st.error(_literal(sentence(error)))


def on_script_error(error: Exception) -> bool:
    """Whatever nobody else has shown."""
    show(error)
    return True


def _literal(text: str) -> str:
    """Text that Streamlit's Markdown shows as it is: names of files and models may hold its signs."""
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]()#+-.!|<>~$:&" else sign for sign in text)
