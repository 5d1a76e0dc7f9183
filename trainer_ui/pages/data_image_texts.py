"""Sources of single images with captions or questions: CT phantoms, LLaMA-Factory's folders, captions, VQA-RAD."""

from __future__ import annotations

import streamlit as st

from trainer_ui import errors
from trainer_ui.components import jobs_panel, paths
from trainer_ui.services import datasets, image_texts
from trainer_ui.services.image_texts import HeldOut

LANGUAGES: dict[image_texts.Language, str] = {"en": "English", "zh": "Chinese", "en+zh": "Both, a row of each"}
SPLITS: dict[image_texts.By, str] = {
    "official": "the official one, to compare with published figures",
    "by-image": "by image: nobody is trained on and examined",
}
SYSTEM: dict[image_texts.System, str] = {
    "refuse": "Refuse rows that have one",
    "question": "Put it before the first question",
    "drop": "Drop it",
}
TURNS: dict[image_texts.Turns, str] = {
    "as they are": "As they are",
    "join": "Those about the same image as one conversation",
    "one each": "Each as a sample of its own",
}


def ct_phantoms() -> None:
    """The form for CT phantoms."""
    st.markdown(
        "Drawn axial slices of chest and abdomen with captions (organs, lesion, place, size) and short questions, "
        "parted by patient. They show the whole way of a Qwen2-VL or LLaVA without any download; a model that has "
        "learnt from them knows nothing of patients."
    )
    with st.form("ct-phantoms", border=False):
        first, second = st.columns(2)
        name = first.text_input("Name", datasets.suggested("ct-phantoms"), max_chars=64)
        patients = second.number_input("Patients, of two to four slices", 1, image_texts.MOST_PATIENTS, 100, step=50)
        language = first.selectbox("Language", list(LANGUAGES), format_func=LANGUAGES.__getitem__)
        size = second.number_input("Pixels along a side", image_texts.SMALLEST, image_texts.LARGEST, 168, step=28)
        held_out = _held_out(first, second, "Patients", HeldOut(20, 10))
        seed = first.number_input("Seed", 0, 1000, 0, help="Sets of other seeds share no patient.")
        if st.form_submit_button("Make the set", type="primary"):
            with errors.shown():
                wanted = image_texts.CtPhantoms(name, int(patients), int(seed), int(size), language, held_out)
                jobs_panel.open_job(image_texts.ct_phantoms(wanted).id)
                st.rerun()


def factory() -> None:
    """The form for a data folder of LLaMA-Factory's."""
    st.markdown(
        "A data folder of LLaMA-Factory's: its dataset_info.json says which files there are and under which names "
        "their rows say what. Every row that LLaMA-Factory would pass over or break off at is named with its reason. "
        "A single file in the sharegpt form can also be added as *A file you have*."
    )
    info = paths.file_field("dataset_info.json", "factory-info", (".json",))
    if info is None:
        st.button("Make the set", type="primary", disabled=True)
        return
    known = image_texts.entries(info)
    first, second = st.columns(2)
    entry = first.selectbox("Data set", known, key="factory-entry")
    name = second.text_input("Name", datasets.suggested("from-llama-factory"), max_chars=64)
    system = first.selectbox("A system message", list(SYSTEM), format_func=SYSTEM.__getitem__, key="factory-system")
    turns = second.selectbox("Questions", list(TURNS), format_func=TURNS.__getitem__, key="factory-turns")
    if st.button("Make the set", type="primary", disabled=entry is None):
        with errors.shown():
            wanted = image_texts.FromFactory(name, info, entry, system, turns)
            jobs_panel.open_job(image_texts.from_factory(wanted).id)
            st.rerun()


def captions() -> None:
    """The form for images with captions."""
    st.markdown(
        "Images with captions as MedTrinity-25M lists them: a JSON list, or one object a line, with caption, id and "
        "image. English and Chinese stay as they are."
    )
    file = paths.file_field("List of captions", "captions-file", datasets.SUFFIXES)
    images = paths.folder_field("Folder of the images", "captions-images")
    first, second = st.columns(2)
    name = first.text_input("Name", datasets.suggested("captions"), max_chars=64)
    instruction = second.text_input(
        "What is asked of every image (optional)",
        key="captions-instruction",
        help="Without it, one of a few instructions in the caption's own language, always the same one for a row.",
    )
    patient = first.text_input(
        "Expression that finds the patient (optional)",
        key="captions-patient",
        placeholder="^(p[0-9]+)_",
        help="In the image's name, else in the id. Without it every image counts as a patient of its own, which is "
        "wrong where a patient has several.",
    )
    held_out = _held_out(second, first, "Patients", HeldOut())
    ready = file is not None and images is not None
    if st.button("Make the set", type="primary", disabled=not ready) and file is not None and images is not None:
        with errors.shown():
            wanted = image_texts.Captions(name, file, images, instruction, patient, held_out)
            jobs_panel.open_job(image_texts.captions(wanted).id)
            st.rerun()


def vqa_rad() -> None:
    """The form for VQA-RAD."""
    st.markdown(
        "VQA-RAD as it is published. Its official test asks about images that are trained on as well: figures on it "
        "flatter, and only they can be compared with published ones. The job says how many."
    )
    file = paths.file_field("VQA_RAD Dataset Public.json", "vqa-rad-file", (".json",))
    images = paths.folder_field("Folder of the images", "vqa-rad-images")
    first, second = st.columns(2)
    name = first.text_input("Name", datasets.suggested("vqa-rad"), max_chars=64)
    by = second.selectbox("Test", list(SPLITS), format_func=SPLITS.__getitem__, key="vqa-rad-split")
    held_out = _held_out(first, second, "Cases", HeldOut(20, 10))
    ready = file is not None and images is not None
    if st.button("Make the set", type="primary", disabled=not ready) and file is not None and images is not None:
        with errors.shown():
            jobs_panel.open_job(image_texts.vqa_rad(image_texts.VqaRad(name, file, images, by, held_out)).id)
            st.rerun()


def _held_out(
    first: st.delta_generator.DeltaGenerator, second: st.delta_generator.DeltaGenerator, who: str, usual: HeldOut
) -> HeldOut:
    validation = first.number_input(f"{who} for validation, per cent", 0, 90, usual.validation)
    test = second.number_input(f"{who} for the test, per cent", 0, 90, usual.test)
    return HeldOut(int(test), int(validation))
