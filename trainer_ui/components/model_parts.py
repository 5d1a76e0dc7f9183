"""What lies in a model's folder and under which terms, as tables."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from trainer_ui.components import model_card, tables
from trainer_ui.components.words import literal
from trainer_ui.services import model_folders

KB, MB, GB = 1e3, 1e6, 1e9
UNKNOWN = "not recorded"


def show(folder: Path) -> None:
    """Files, licences and card, in parts of which one is open."""
    files, terms, card = st.tabs(["Files", "Licences", "Card"], key=f"parts-{folder}")
    with files:
        show_files(folder)
    with terms:
        show_licences(folder)
    with card:
        text = model_folders.card(folder)
        if text:
            model_card.show(text)
        else:
            st.caption("There is no card (README.md) in its folder.")


def show_files(folder: Path) -> None:
    """Where it lies, and its files with their sizes and hashes."""
    st.code(str(folder), language=None, wrap_lines=True)
    found = model_folders.files(folder)
    rows = [tables.Row(one.name, [tables.text(size(one.size)), _hash(one.sha256)]) for one in found]
    tables.show(["File", "Size", "SHA-256"], rows)
    st.caption(
        f"{size(sum(one.size for one in found))} in all. With the hashes anybody can tell that it is these files."
    )


def show_needed(folder: Path) -> None:
    """The files of the base that an adapter was made for."""
    found = model_folders.made_for(folder)
    if found:
        tables.show(["File of the base", "SHA-256"], [tables.Row(one.name, [_hash(one.sha256)]) for one in found])


def show_licences(folder: Path) -> None:
    """The terms of everything inside."""
    found = model_folders.licences(folder)
    rows = [
        tables.Row(one.part, [tables.text(one.name), tables.text(one.terms), [tables.Line(one.said, "small")]])
        for one in found
        if one.part != "note"
    ]
    tables.show(["Part", "Name", "Licence", "Said by"], rows, wide=(2,))
    for one in found:
        if one.part == "note":
            st.caption(literal(f"{one.name}: {one.terms}"))
    st.caption(
        "All of them bind whoever uses or passes on the model, and so do the terms of the data it learnt from. What is "
        "not stated here its card may say."
    )


def size(count: int) -> str:
    """Bytes for a person."""
    for unit, name in ((GB, "GB"), (MB, "MB"), (KB, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} bytes"


def _hash(sha256: str) -> tables.Cell:
    return [tables.Line(sha256 or UNKNOWN, "small")]
