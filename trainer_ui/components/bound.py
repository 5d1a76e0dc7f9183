"""Widgets that show what a file says and change it: the studio's own way to hear of a change.

Streamlit breaks a run off for the next input wherever it is, in the callback of a change too, and lets the run for that
input begin while the old one still ends. On a busy machine a change whose callback was broken off was lost, and one
whose callback came late was drawn over. Here nothing has to be heard in time: every run begins by holding what each
widget has against what it was last given, and hands on what differs. A run that is broken off leaves the difference for
the next one to find.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

_BOUND = "bound"


def show(key: str, value: Any, take: Callable[[Any], object]) -> None:
    """Let the widget ``key``, which is drawn next, show ``value``.

    Args:
        key: stands for one thing in one file; what is shown elsewhere has another key.
        take: is called with what the user has made of it, in a later run before anything is drawn. It must not look
            into ``st.session_state``, where it could be broken off, and shows errors itself.
    """
    bound = _bound()  # first: nothing may break the run off between the two lines that belong together
    # One that shows it already is left alone: the user may be typing, and what is sent once more would take that away.
    if key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value
    bound[key] = value, take


def take_over() -> None:
    """Hand on what the user has changed; the first thing of every run."""
    holds = st.session_state.to_dict()  # not broken off there, unlike every other look into it
    bound: dict[str, tuple[Any, Callable[[Any], object]]] = holds.get(_BOUND, {})
    for key, (shown, take) in list(bound.items()):
        if key in holds and holds[key] != shown:
            take(holds[key])
            bound[key] = holds[key], take  # only now: a run that begins meanwhile has to wait for it as well


def _bound() -> dict[str, tuple[Any, Callable[[Any], object]]]:
    found: dict[str, tuple[Any, Callable[[Any], object]]] = st.session_state.setdefault(_BOUND, {})
    return found
