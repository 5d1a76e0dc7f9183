"""The certificate of a merged model: the verdict loud, the figures beside what they mean."""

from __future__ import annotations

import streamlit as st

from trainer_ui.components.words import literal
from trainer_ui.services.certificates import Certificate

VERDICTS = {
    "same": "This is the model that was trained: base and adapter in one.",
    "other": "This is NOT the model that was trained. Do not use it.",
    "quantised": "This is another model: near to the one that was trained, smaller, and not the same.",
    "broken": "This model is BROKEN. Do not use it.",
}


def show(certificate: Certificate) -> None:
    """All of it."""
    box = {"same": st.success, "quantised": st.warning}.get(certificate.verdict, st.error)
    box(VERDICTS[certificate.verdict])
    for column, figure in zip(st.columns(len(certificate.figures)), certificate.figures, strict=True):
        column.metric(figure.label, literal(figure.value), help=literal(figure.means))
    for sentence in certificate.explained:
        st.markdown(literal(sentence))
