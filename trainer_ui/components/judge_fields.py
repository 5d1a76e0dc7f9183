"""Fields that say who judges short answers: nobody, a model on this machine, or one behind an address.

Nobody is chosen at first. An address is named together with what is sent there, and counts once its box is ticked.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from engine.errors import UsageError
from engine.evaluation.judge import endpoint
from trainer_ui import errors
from trainer_ui.components import paths
from trainer_ui.components.words import literal
from trainer_ui.services import judges
from trainer_ui.services.judges import KINDS, Judge

OTHER = "another folder"
SAYS = (
    "A language model reads question, reference and answer, and says whether the answer is correct. It sees neither "
    "the image nor which model answered. What it says is an opinion: hold it against grades of your own."
)


def choose(key: str, *, nobody: bool = True) -> tuple[Judge | None, str]:
    """The judge, None for nobody; and what is still missing before it can be asked, "" where nothing is."""
    st.caption(SAYS)
    kinds = [kind for kind in KINDS if nobody or kind != "none"]
    kind = st.radio("Judge", kinds, format_func=KINDS.__getitem__, key=f"{key}-kind", horizontal=True)
    if kind == "folder":
        return _folder(key)
    return _address(key) if kind == "address" else (None, "")


def _folder(key: str) -> tuple[Judge | None, str]:
    known = {str(place): words for place, words in judges.found().items()}
    before = judges.remembered()
    last = before.place if before is not None and before.kind == "folder" else ""
    words = known | {OTHER: "Another folder…"}
    if f"{key}-model" not in st.session_state and last:
        listed = next((place for place in known if judges.at(Path(place)).place == last), OTHER)
        st.session_state[f"{key}-model"] = listed
        if listed == OTHER:
            st.session_state[f"{key}-folder"] = last
    chosen = st.selectbox("Model that judges", list(words), format_func=words.__getitem__, key=f"{key}-model")
    folder = paths.folder_field("Folder of the model", f"{key}-folder") if chosen == OTHER else Path(str(chosen))
    st.caption(f"{judges.NOT_SENT} It is read into memory after the models that answer.")
    if folder is None:
        return None, "Name the folder of the model that judges."
    with errors.shown():
        return judges.at(folder), ""
    return None, "Choose a folder with a model."


def _address(key: str) -> tuple[Judge | None, str]:
    before = judges.remembered()
    if f"{key}-url" not in st.session_state and before is not None and before.kind == "address":
        st.session_state[f"{key}-url"], st.session_state[f"{key}-name"] = before.place, before.model
    first, second = st.columns(2)
    url = first.text_input(
        "Address", key=f"{key}-url", placeholder="http://127.0.0.1:8000/v1", autocomplete="off",
        help="Of a server that speaks OpenAI's chat completions, such as vLLM, llama.cpp or Ollama.",
    ).strip()  # fmt: skip
    name = second.text_input(
        "Its model (where it has several)", key=f"{key}-name", autocomplete="off",
        help=f"A key that the server wants goes into the environment variable {endpoint.KEY} before the studio starts.",
    ).strip()  # fmt: skip
    if not url:
        return None, "Name the address of the judge."
    try:
        told = judges.address(url)
    except UsageError as error:
        errors.show(error)
        return None, "Name the address of the judge."
    (st.info if told.local else st.error)(literal(told.sentence))
    who = "to this program" if told.local else "to this address, outside of this machine"
    agreed = st.checkbox(f"These texts may be sent {who}", key=f"{key}-agreed-{url}")
    if not agreed:
        return None, "Tick the box if texts may be sent there, or choose another judge."
    return Judge(url, name, anywhere=not told.local), ""
