"""The form that sends a model or an adapter to the viewer, with the evaluation that is shown beside it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from trainer_ui import addresses, errors, navigation
from trainer_ui.components import jobs_panel
from trainer_ui.components.words import literal
from trainer_ui.services import promoting
from trainer_ui.services.promoting import Evaluation


def show(source: Path) -> None:
    """The form, or why there is none."""
    st.markdown("**To the viewer**")
    hindrance = promoting.hindrance(source)
    if hindrance:
        st.error(literal(f"It cannot be promoted. {hindrance}"))
        return
    first, second = st.columns(2)
    name = first.text_input("Its name in the viewer", promoting.suggested(source), max_chars=64, key=f"name-{source}")
    known = promoting.known(source)
    fitting = [one for one in known if one.fits]
    chosen = second.selectbox(
        "Evaluation to show beside it",
        [*known, None],
        index=0 if fitting else len(known),
        format_func=_label,
        key=f"evaluation-{source}",
    )
    usable = _told(chosen, bool(fitting))
    if st.button("Promote", type="primary", disabled=not usable, key=f"promote-{source}"):
        with errors.shown():
            job = promoting.promote(source, name, chosen.path if chosen is not None else None)
            jobs_panel.open_job(job.id)
            st.rerun()
    st.caption("It is copied to the installed models; the viewer lists it at once. It can be taken back at any time.")


def _label(one: Evaluation | None) -> str:
    return one.words if one is not None else "none"


def _told(chosen: Evaluation | None, any_fits: bool) -> bool:
    """Say what there is to say of the choice; whether the model can be promoted with it."""
    if chosen is None:
        words = "One that is of this model is in the list." if any_fits else "Evaluate it first, if you can."
        st.warning(
            f"Without an evaluation nobody who chooses it in the viewer can see how good it is. {words}",
        )
        if not any_fits:
            st.page_link(navigation.page(addresses.EVALUATE), label="Evaluate a model")
        return True
    if chosen.fit == "other":
        holds = literal(", ".join(chosen.models)) or "no model"
        st.error(
            f"This evaluation is of other weights: it holds {holds}. Figures of another model must not stand beside "
            "this one."
        )
        return False
    if chosen.fit == "folder":
        st.caption("It names this folder. Whether these are still the same weights is compared when it is promoted.")
    if chosen.fit == "adapter":
        st.caption("It was made with base and adapter apart. The certificate says that this is the same model.")
    return True
