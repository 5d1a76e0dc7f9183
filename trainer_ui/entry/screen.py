"""What Streamlit runs for every event: the frame of the studio around one of its pages.

It lies in a folder of its own because Streamlit would take a folder ``pages`` beside it for scripts of its kind.
"""

from __future__ import annotations

import streamlit as st

from trainer_ui import errors, navigation
from trainer_ui.components import bound, frame

bound.take_over()
st.set_page_config(page_title="Interval studio", layout="wide")
frame.begin()
page = st.navigation(navigation.pages(), position="top")
with errors.shown():
    page.run()
