"""What a finished run, or an adapter from elsewhere, can become: merged, left as it is, or merged in fewer bits."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from trainer_ui import addresses, errors, navigation
from trainer_ui.components import jobs_panel, model_parts, paths
from trainer_ui.components.words import literal
from trainer_ui.pages import export_promote
from trainer_ui.services import answering_models, exports, model_folders, runs
from trainer_ui.services.answering_models import AnsweringModel

RUN, MODEL = "run", "model"
OTHER = "Another folder"
WAYS = {"merged": "Merged model", "adapter": "Adapter only", "quantised": "Quantised"}
DTYPES = {
    "auto": "as in the base",
    "float32": "float32: exact",
    "bfloat16": "bfloat16: half the size",
    "float16": "float16: half the size, for older GPUs",
}
QUANTISATIONS = {"nf4": "nf4: 4 bits, about a quarter of 16", "int8": "int8: 8 bits, about half of 16"}


def show() -> None:
    """The choice, what was chosen, and what can be made of it."""
    source = _chosen()
    if source is None:
        return
    with st.container(border=True, key="export-source"):
        _about(source)
    if not source.adapter:
        st.info("It is a whole model already: there is nothing to merge. It can go to the viewer as it is.")
        export_promote.show(source.path)
        model_parts.show(source.path)
        return
    way = st.segmented_control(
        "What to make of it",
        list(WAYS),
        format_func=WAYS.__getitem__,
        default="merged",
        required=True,
        key="export-way",
    )
    with st.container(key=f"export-{way}"), errors.shown():
        {"merged": _merged, "adapter": _adapter, "quantised": _quantised}[way](source)


def _chosen() -> AnsweringModel | None:
    """The run or the folder that is chosen; that of the address at first."""
    made = {one.path.parent.name: one for one in answering_models.found() if one.source == "run"}
    if not made:
        st.info("No run has finished yet. An export begins with one, or with an adapter you have from elsewhere.")
        st.page_link(navigation.page(addresses.TRAIN), label="Train a model")
    names = [*made, OTHER]
    wanted = st.query_params.get(RUN, "")
    if wanted and wanted not in made:
        st.warning(f"The run {literal(wanted)} has no finished model, or is gone.")
    index = names.index(wanted) if wanted in names else 0
    known = {run.name: f"{run.title}, {runs.when(run)}" for run in runs.overview()}
    name = st.selectbox(
        "What to export",
        names,
        index=index,
        format_func=lambda name: known.get(name, name),
        key=f"export-run-{wanted}",
        help="The finished runs, the newest first, or an adapter you have from elsewhere.",
    )
    if name != OTHER:
        return made[name]
    folder = paths.folder_field("Folder of an adapter or a model", "export-folder")
    if folder is None:
        return None
    with errors.shown():
        return answering_models.at(folder)
    return None


def _about(source: AnsweringModel) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{literal(model_folders.called(source.path))}**", width="content")
        if source.demonstration:
            st.badge("demonstration: knows nothing of patients", color="yellow")
    if not source.adapter:
        st.markdown(f"A whole model{literal(f', made from {source.base}') if source.base else ''}.")
        return
    st.markdown(
        f"An adapter: what was learnt, to be put on its base {literal(source.base or 'which it does not name')}. "
        "Apart from it, it can do nothing."
    )
    if source.lacks:
        st.error(literal(source.lacks))


def _merged(source: AnsweringModel) -> None:
    st.markdown(
        "Base and adapter in one folder that needs neither. Afterwards it is compared with the two, case by case, "
        "and a certificate says whether it is the same model."
    )
    first, second = st.columns(2)
    name = first.text_input(
        "Name", exports.suggested(model_folders.called(source.path)), max_chars=64, key=f"merge-name-{source.path}"
    )
    dtype = second.selectbox("Numbers in the file", list(DTYPES), format_func=DTYPES.__getitem__, key="merge-dtype")
    questions, images = _cases("merge")
    if st.button("Merge and certify", type="primary", disabled=bool(source.lacks)):
        _begin(exports.Wanted(source.path, name, dtype=dtype, questions=questions, images=images))


def _quantised(source: AnsweringModel) -> None:
    st.markdown(
        "As merged, and the language model's layers stored in fewer bits: for a machine with little memory, where it "
        "loads at once and takes no more than it needs. It is then **another model**, near to the one that was "
        "trained: the comparison says how near, and it needs an evaluation of its own. The viewer can also load the "
        "merged model in fewer bits; this file saves the disk and the loading."
    )
    first, second = st.columns(2)
    method = second.selectbox("Stored in", list(QUANTISATIONS), format_func=QUANTISATIONS.__getitem__, key="bits")
    suggested = exports.suggested(f"{model_folders.called(source.path)}-{method}")
    name = first.text_input("Name", suggested, max_chars=64, key=f"quantise-name-{method}-{source.path}")
    questions, images = _cases("quantise")
    if st.button("Merge, quantise and compare", type="primary", disabled=bool(source.lacks)):
        _begin(exports.Wanted(source.path, name, quantization=method, questions=questions, images=images))


def _cases(key: str) -> tuple[Path | None, Path | None]:
    """Questions to compare on, and the folder of their images; None for the usual ones."""
    with st.expander("Cases to compare on", key=f"{key}-cases"):
        st.caption("The questions the run was validated with where there are any, else synthetic cases. Or your own:")
        questions = paths.file_field("Questions", f"{key}-questions", (".jsonl",), optional=True)
        images = paths.folder_field("Folder of their images", f"{key}-images", optional=True)
    return questions, images


def _begin(wanted: exports.Wanted) -> None:
    with errors.shown():
        jobs_panel.open_job(exports.begin(wanted).id)
        st.query_params["view"], st.query_params[MODEL] = "models", wanted.name.strip()
        st.query_params.pop(RUN, None)
        st.rerun()


def _adapter(source: AnsweringModel) -> None:
    st.markdown(
        "The adapter's own folder, a small part of a model. Whoever gets it needs the base as well, exactly the one "
        "below, and Interval, Libra, or another program that reads peft's adapters."
    )
    needs = f"{source.base or 'a base it does not name'}"
    there = str(source.base_path) if source.base_path is not None else "not on this machine"
    st.markdown(f"It needs **{literal(needs)}** ({literal(there)}).")
    model_parts.show_needed(source.path)
    if not source.lacks:
        export_promote.show(source.path)
    model_parts.show(source.path)
