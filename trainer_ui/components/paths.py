"""A path that is typed or looked for, in folders that the studio may look into; nothing is uploaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from trainer_ui import errors
from trainer_ui.components.words import literal
from trainer_ui.services import places

LIST_HEIGHT = 280


def folder_field(label: str, key: str, *, help: str = "", optional: bool = False) -> Path | None:
    """A folder; None until a usable one is named. Says what is wrong with what was typed."""
    return _field(label, key, (), True, help, optional)


def file_field(label: str, key: str, suffixes: Sequence[str], *, help: str = "", optional: bool = False) -> Path | None:
    """A file of one of these kinds; None until a usable one is named. Says what is wrong with what was typed."""
    return _field(label, key, suffixes, False, help, optional)


def _field(label: str, key: str, suffixes: Sequence[str], folder: bool, help: str, optional: bool) -> Path | None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            f"{label} (optional)" if optional else label,
            key=key,
            placeholder="/data/… the whole path",
            help=help or None,
            autocomplete="off",
        )
        with st.popover("Browse", key=f"{key}-browse"):
            _browse(key, suffixes, folder)
    if not text.strip():
        return None
    try:
        return places.folder(text) if folder else places.file(text, suffixes)
    except places.Outside as outside:
        _offer(outside, key)
    except Exception as error:
        errors.show(error)
    return None


def _offer(outside: places.Outside, key: str) -> None:
    with st.container(border=True):
        st.markdown(literal(str(outside)))
        if st.button("Allow it", key=f"{key}-allow"):
            with errors.shown():
                places.allow(str(outside.folder))
                st.rerun()


def _browse(key: str, suffixes: Sequence[str], folder: bool) -> None:
    """Walk the folders; whatever is chosen is put into the field."""
    with errors.shown():
        here = f"{key}-here"
        roots = places.roots()
        names = {str(root.path): f"{root.name}: {root.path}" for root in roots}
        chosen = st.selectbox("Look in", list(names), format_func=lambda path: names[path], key=f"{key}-root")
        if st.session_state.get(f"{key}-from") != chosen:
            st.session_state[f"{key}-from"] = st.session_state[here] = chosen
        listing = places.listing(Path(st.session_state[here]), suffixes)
        st.caption(literal(str(listing.folder)))
        if folder:
            st.button("Take this folder", key=f"{key}-take", on_click=_put, args=(key, str(listing.folder)))
        with st.container(height=LIST_HEIGHT, gap=None):
            if listing.parent is not None:
                _row("↑ one up", here, str(listing.parent))
            for name in listing.folders:
                _row(f"{literal(name)}/", here, str(listing.folder / name))
            for name in listing.files if not folder else ():
                _row(literal(name), key, str(listing.folder / name))
            if not listing.folders and (folder or not listing.files):
                st.caption("Nothing to choose from here.")
        if listing.more:
            st.caption(f"{listing.more} more are not listed: type the path.")


def _row(label: str, key: str, value: str) -> None:
    st.button(label, key=f"{key}={value}", type="tertiary", on_click=_put, args=(key, value))


def _put(key: str, value: str) -> None:
    st.session_state[key] = value
