"""The models that were merged here: each with its certificate, its files, its card and licences, and the way on."""

from __future__ import annotations

import streamlit as st

from trainer_ui import errors
from trainer_ui.components import certificate, model_parts
from trainer_ui.components.words import literal
from trainer_ui.pages import export_promote
from trainer_ui.services import exports
from trainer_ui.services.exports import Export

MODEL = "model"


def show() -> None:
    """The list, or the one that stands in the address."""
    name = st.query_params.get(MODEL, "")
    if name:
        st.button("← All exported models", key="all-exports", on_click=_open, args=("",), type="tertiary")
        one = exports.find(name)
        _head(one)
        if one.live:
            st.caption("How far it is stands with the jobs. What comes of it will stand here.")
        else:
            _details(one)
        return
    found = exports.overview()
    if not found:
        st.info("Nothing has been merged yet. *Make* begins it.")
    for one in found:
        with st.container(border=True, key=f"export-{one.name}"), errors.shown():
            _head(one, opens=True)


def _head(one: Export, *, opens: bool = False) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{literal(one.name)}**", width="content")
        st.badge(one.words, color=one.colour)
        if one.demonstration:
            st.badge("demonstration", color="yellow")
        st.caption(one.when, width="content")
        if opens:
            st.button("Open", key=f"open-export-{one.name}", on_click=_open, args=(one.name,))
    if one.base:
        st.caption(literal(f"{one.adapter or 'an adapter'} merged into {one.base}"))
    if opens and one.where in ("other", "broken", "not compared"):
        st.error("Do not use it: open it to see why.")


def _details(one: Export) -> None:
    if one.certificate is not None:
        certificate.show(one.certificate)
    else:
        st.error(
            "It was merged and never compared with base and adapter: the job was stopped in between. Nobody knows "
            "whether it is the same model. Delete it and merge again."
        )
    export_promote.show(one.path)
    model_parts.show(one.path)
    with st.popover("Delete", key=f"delete-{one.name}"):
        st.markdown(
            "The merged model is deleted for good. What it was made from stays, and so does a copy in the viewer."
        )
        if st.button("Delete it for good", key=f"delete-now-{one.name}", type="primary"):
            with errors.shown():
                exports.discard(one.name)
                st.query_params.pop(MODEL, None)
                st.rerun()


def _open(name: str) -> None:
    """Open an exported model; "" for the list."""
    if name:
        st.query_params[MODEL] = name
    else:
        st.query_params.pop(MODEL, None)
