"""One page of the studio by itself, as AppTest runs it: AppTest can turn to a page of a file only."""

from __future__ import annotations

from importlib import import_module

import streamlit as st

from trainer_ui import errors, navigation
from trainer_ui.components import bound

bound.take_over()
st.navigation(navigation.pages(), position="hidden")
with errors.shown():
    import_module(f"trainer_ui.pages.{st.session_state['page-under-test']}").show()
