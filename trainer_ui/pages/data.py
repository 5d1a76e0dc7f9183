"""The data page: what there is to learn from and to be examined on, and where more of it comes from.

``?set=NAME`` opens one data set instead (``pages.data_set``).
"""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from trainer_ui import addresses, errors
from trainer_ui.components import frame, jobs_panel, paths, set_link
from trainer_ui.components.words import literal
from trainer_ui.pages import data_image_texts, data_set, data_signed
from trainer_ui.services import datasets, preparing

FORMS = {"training": ("sample to train on", "samples to train on"), "questions": ("question", "questions")}
SITES: dict[preparing.Site, str] = {
    "a": "Site A: what the demonstration model has learnt from",
    "b": "Site B: other exposure, wording and frequencies",
    "c": "Site C: an old film system, and reports in a style of the house",
}
SPLITS: dict[preparing.Split, str] = {"train": "to train on", "test": "to be examined on: unseen sizes and phrases"}
SECTIONS: dict[preparing.Section, str] = {
    "findings": "Findings",
    "impression": "Impression",
    "both": "Findings and impression",
}
VIEWS: dict[preparing.Views, str] = {"frontal": "Frontal (PA, AP)", "lateral": "Lateral", "all": "All views"}
PRIORS: dict[preparing.Prior, str] = {
    "published": "the last image of an earlier date, as published",
    "matched": "of the latest earlier study, in the same projection",
    "none": "none: current images alone",
}
ENDINGS: tuple[preparing.Ending, ...] = (".jpg", ".png", ".dcm")


def show() -> None:
    """The page."""
    set_link.begin()
    chosen = st.query_params.get(set_link.SET)
    if chosen:
        data_set.show(chosen)
        return
    frame.head(
        "Data",
        "A data set is a file of samples (current image, prior image, question, report) with its images, or a file of "
        "questions that models are examined on.",
    )
    with frame.beside_jobs(addresses.DATA):
        with st.container(), errors.shown():  # one block, so that what stands below keeps its place when sets come
            _sets()
        st.subheader("Where data comes from", anchor=False)
        source = st.pills(
            "Source",
            list(SOURCES),
            default=next(iter(SOURCES)),
            required=True,
            label_visibility="collapsed",
            key="source",
            wrap=True,  # nine of them: none may hide behind an edge
        )
        with st.container(), errors.shown():
            SOURCES[source]()


def _sets() -> None:
    found = datasets.found()
    if not found:
        st.info(
            "No data set yet. The quickest way to see how everything works is a demonstration set of synthetic "
            "radiographs: choose *Make the set* below. It takes a minute and holds no patient."
        )
    for data in found:
        with st.container(border=True, key=f"set-{data.name}"):
            _set(data)


def _set(data: datasets.DataSet) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"**{literal(data.name)}**")
        if data.state == "being made":
            st.badge("is being made", color="blue")
        elif data.state == "unfinished":
            st.badge("unfinished", color="orange")
            st.caption("Whatever made it was stopped.")
        else:
            st.caption(datetime.fromtimestamp(data.made).strftime("%Y-%m-%d %H:%M"))
    if data.state == "being made":
        return
    if data.own and data.state == "unfinished" and st.button("Delete what there is", key=f"discard-{data.name}"):
        datasets.discard(data.name)
        st.rerun()
    for file in data.files:
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            one, many = FORMS[file.form]
            st.markdown(f"{literal(file.path.name)}: {file.rows:,} {one if file.rows == 1 else many}")
            set_link.show("Open", data.name, file.path.name, help="Check it, look at it, split it.")
    for path in data.missing:
        st.warning(f"{literal(path)} is gone or can no longer be read.")
    st.caption(f"Images relative to {literal(str(data.images))}")
    if not data.own and st.button("Take off the list", key=f"forget-{data.name}", help="The file stays where it is."):
        datasets.forget(data.name)
        st.rerun()


def _phantoms() -> None:
    st.markdown(
        "Synthetic radiographs with reports and the truth about every finding. A model that has learnt from them knows "
        "nothing of patients: they are for learning the way and for testing the program."
    )
    with st.form("phantoms", border=False):
        first, second = st.columns(2)
        name = first.text_input("Name", datasets.suggested("phantoms"), max_chars=64)
        cases = second.number_input("Cases (patients)", 1, preparing.MOST_CASES, 200, step=100)
        split = first.selectbox("For", list(SPLITS), format_func=SPLITS.__getitem__)
        site = second.selectbox("Made at", list(SITES), format_func=SITES.__getitem__)
        size = first.number_input(
            "Longer side of an image, pixels", preparing.SMALLEST, preparing.LARGEST, 224, step=32
        )
        seed = second.number_input("Seed", 0, 1000, 0, help="Sets of other seeds share no patient.")
        if st.form_submit_button("Make the set", type="primary"):
            with errors.shown():
                wanted = preparing.Phantoms(name, int(cases), int(seed), site, split, int(size))
                jobs_panel.open_job(preparing.phantoms(wanted).id)
                st.rerun()


def _file() -> None:
    st.markdown(
        "A file in Libra's format or LLaMA-Factory's sharegpt on this machine. It stays where it is; nothing is copied."
    )
    path = paths.file_field("Samples or questions", "file-path", datasets.SUFFIXES)
    images = paths.folder_field(
        "Folder of the images", "file-images", optional=True, help="Without one, the folder of the file itself."
    )
    if st.button("Add to the list", type="primary", disabled=path is None) and path is not None:
        with errors.shown():
            added = datasets.add(path, images)
            st.toast(f"{literal(added.name)} is in the list.")
            st.rerun()


def _mimic() -> None:
    st.markdown(
        "MIMIC-CXR-JPG as PhysioNet gives it, for users who have access to it. Reports are cut into sections by the "
        "published rules, each image gets its prior, and the official split is kept: training, validation, test."
    )
    folder = paths.folder_field(
        "Folder of MIMIC-CXR-JPG", "mimic-folder", help="It holds mimic-cxr-2.0.0-metadata.csv.gz and files/p10/…"
    )
    reports = paths.folder_field(
        "Folder of the reports", "mimic-reports", optional=True, help="Where they do not lie in the folder above."
    )
    first, second = st.columns(2)
    name = first.text_input("Name", datasets.suggested("mimic-cxr"), max_chars=64)
    section = second.selectbox("The answer", list(SECTIONS), format_func=SECTIONS.__getitem__)
    views = first.selectbox("Current images", list(VIEWS), format_func=VIEWS.__getitem__)
    prior = second.selectbox("Prior image", list(PRIORS), format_func=PRIORS.__getitem__)
    context = first.multiselect("Put with the question", preparing.CONTEXTS, preparing.CONTEXTS)
    ending = second.selectbox("Image files", ENDINGS)
    if st.button("Make the set", type="primary", key="mimic-make", disabled=folder is None) and folder is not None:
        with errors.shown():
            wanted = preparing.Mimic(name, folder, reports, section, tuple(context), views, prior, ending)
            jobs_panel.open_job(preparing.mimic(wanted).id)
            st.rerun()


def _questions() -> None:
    st.markdown(
        "Medical-Diff-VQA or MIMIC-CXR-VQA as PhysioNet gives them: questions about one study, or about what changed "
        "since the prior one. The images are those of MIMIC-CXR-JPG."
    )
    folder = paths.folder_field(
        "Folder of the questions", "vqa-folder", help=f"It holds {' or '.join(preparing.QUESTION_FILES[:2])}."
    )
    images = paths.folder_field("Folder of MIMIC-CXR-JPG", "vqa-images", help="It holds files/p10/…")
    first, second = st.columns(2)
    name = first.text_input("Name", datasets.suggested("mimic-questions"), max_chars=64)
    turns = second.number_input(
        "Questions in a conversation", 1, preparing.MOST_TURNS, 1, help="About the same images, in training."
    )
    ending = first.selectbox("Image files", ENDINGS)
    ready = folder is not None and images is not None
    if st.button("Make the set", type="primary", disabled=not ready) and folder is not None and images is not None:
        with errors.shown():
            wanted = preparing.Questions(name, folder, images, int(turns), ending)
            jobs_panel.open_job(preparing.questions(wanted).id)
            st.rerun()


SOURCES = {
    "Demonstration set": _phantoms,
    "CT demonstration set": data_image_texts.ct_phantoms,
    "Signed reports": data_signed.show,
    "A file you have": _file,
    "LLaMA-Factory folder": data_image_texts.factory,
    "Captions (MedTrinity)": data_image_texts.captions,
    "VQA-RAD": data_image_texts.vqa_rad,
    "MIMIC-CXR": _mimic,
    "Questions about MIMIC-CXR": _questions,
}
"""Name of a source to its form."""
