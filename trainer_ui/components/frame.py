"""What every page has: its look, its head, and at the foot what the studio is not."""

from __future__ import annotations

import streamlit as st

from serving.palette import ACCENT, DIM, FIELD, LINE, ON_ACCENT, TEXT
from trainer_ui.components import jobs_panel

RESEARCH = "Research use only. Not a medical device, not for diagnosis."

# Written by us, never with anything from a file in it. The foot is that of the viewer.
_STYLE = f"""<style>
.stMainBlockContainer {{ max-width: 1900px; padding: 4.5rem 2rem 3.5rem; }}
.stMainBlockContainer :is(h1, h2, h3) {{ padding-top: 0; }}
.stAppHeader {{ background: {FIELD}; border-bottom: 1px solid {LINE}; }}
.stAppHeader::before {{ content: "Interval studio"; align-self: center; padding-left: 2rem; color: {TEXT};
  font-weight: 600; letter-spacing: 0.02em; white-space: nowrap; }}
[data-testid="stPageLink-NavLink"] p {{ color: {ACCENT}; }}
[data-testid="stPageLink-NavLink"] {{ padding-left: 0; }}
button[kind^="primary"] p {{ color: {ON_ACCENT}; font-weight: 600; }}
button[kind^="primary"]:disabled p {{ color: {DIM}; }}
.studio-foot {{ position: fixed; inset: auto 0 0 0; height: 22px; z-index: 1000; display: flex; align-items: center;
  justify-content: center; background: {FIELD}; border-top: 1px solid {LINE}; color: {DIM}; font-size: 12px; }}
</style>"""
_FOOT = f'<div class="studio-foot">{RESEARCH}</div>'


def begin() -> None:
    """Before anything else of a page."""
    st.html(_STYLE)
    st.html(_FOOT)


def head(title: str, lead: str) -> None:
    """The page's name, and what it is for in one or two sentences of ours."""
    st.title(title, anchor=False)
    st.markdown(lead)


def beside_jobs(page: str) -> st.delta_generator.DeltaGenerator:
    """The place for what a page shows; its jobs stand beside it."""
    main, side = st.columns([5, 3], gap="large")
    with side:
        jobs_panel.show(page)
    return main
