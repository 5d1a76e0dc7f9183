"""The rows of a data file looked at one by one: the images side by side, and the text as a model gets it."""

from __future__ import annotations

import streamlit as st

from engine.datasets.libra import TrainingSample
from trainer_ui import errors
from trainer_ui.components import learnt_text, set_link
from trainer_ui.components.numbers import counted
from trainer_ui.components.set_link import PRIOR, ROW
from trainer_ui.components.words import literal
from trainer_ui.services import learnt, pictures, samples
from trainer_ui.services.opened_set import Opened
from trainer_ui.services.pictures import Picture
from trainer_ui.services.samples import Page, Sample, Wanted

PAGE, _PRIOR = "look-page", "look-prior"
PRIORS = {"All": None, "With": True, "Without": False}
COLOURS = {"Current": "orange", "Prior": "blue"}
"""Of the roles: those of the viewer."""

PLAIN = "No model: the text alone"
_LIST_WORDS = 60
_STYLE = """<style>
.st-key-films img { height: min(55vh, 40vw); width: 100%; object-fit: contain; background: #000; }
.st-key-rows button { min-height: 0; padding: 0.1rem 0.3rem; }
.st-key-rows button, .st-key-rows button div { text-align: left; justify-content: flex-start; }
.st-key-rows button p { font-size: 0.85rem; }
</style>"""


def show(one: Opened) -> None:
    """The part of the page."""
    st.html(_STYLE)
    side, main = st.columns([1, 3.3], gap="medium")
    with side:
        wanted = _wanted(one)
        opened = samples.sample(one, wanted, _number())
        _list(one, wanted, opened)
    with main:
        if opened is None:
            st.info("No row fits. Take away what is searched for.")
            return
        _steps(opened, wanted, one)
        if opened.row.case is None:
            st.error("This row cannot be used: " + literal("; ".join(opened.row.faults)) + ".")
            return
        with errors.shown():
            _films(opened)
        _text(opened)
        if opened.row.case.prior_report:
            with st.expander("What was reported of the prior"):
                st.markdown(literal(opened.row.case.prior_report))


def _number() -> int | None:
    named = st.query_params.get(ROW, "")
    return int(named) if named.isascii() and named.isdigit() else None


def _wanted(one: Opened) -> Wanted:
    text = st.text_input(
        "Search text and ids", key="look-text", type="search", autocomplete="off", on_change=_first_page
    )
    set_link.chosen(PRIOR, list(PRIORS), _PRIOR)
    prior = st.segmented_control("Prior", list(PRIORS), required=True, key=_PRIOR, on_change=_other_prior)
    views = samples.views(one)
    view = ""
    if len(views) > 1:
        view = st.selectbox(
            "View", ["", *views], format_func=lambda name: name or "All views", key="look-view", on_change=_first_page
        )
    return Wanted(text, PRIORS[prior or "All"], view)


def _other_prior() -> None:
    set_link.changed(PRIOR, _PRIOR)
    _first_page()


def _first_page() -> None:
    st.session_state[PAGE] = 1
    st.query_params.pop(ROW, None)


def _open(number: int) -> None:
    st.query_params[ROW] = str(number)


def _list(one: Opened, wanted: Wanted, opened: Sample | None) -> None:
    pages = samples.page(one, wanted).pages
    if st.session_state.get(PAGE, 1) > pages:
        st.session_state[PAGE] = 1
    shown = samples.page(one, wanted, st.session_state.get(PAGE, 1))
    st.caption(_counted(shown))
    if shown.broken:
        st.warning(shown.broken)
    chosen = opened.row.number if opened is not None else None
    with st.container(key="rows", gap=None):
        for row in shown.listed:
            words = row.words if len(row.words) <= _LIST_WORDS else row.words[:_LIST_WORDS].rsplit(" ", 1)[0] + " …"
            mark = "▸ " if row.number == chosen else ""
            label = (
                f"{mark}**{row.number}** {literal(words)}"
                if row.usable
                else f"{mark}**{row.number}** :red[cannot be used]"
            )
            st.button(
                label,
                key=f"row-{row.number}",
                type="tertiary",
                width="stretch",
                help=literal(row.id) or None,
                on_click=_open,
                args=(row.number,),
            )
    if pages > 1:
        st.pagination(pages, key=PAGE, max_visible_pages=5)


def _counted(shown: Page) -> str:
    rows = counted(shown.rows, "row")
    return rows if shown.found == shown.rows else f"{shown.found:,} of {rows}"


def _steps(opened: Sample, wanted: Wanted, one: Opened) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        for label, number in (("← Previous", opened.before), ("Next →", opened.after)):
            st.button(label, key=label, disabled=number is None, on_click=_turn, args=(one, wanted, number))
        name = f" · {literal(opened.row.id)}" if opened.row.id else ""
        st.markdown(f"**Row {opened.row.number}**{name}", width="content")
        about = " · ".join(f"{name} {literal(value)}" for name, value in opened.about)
        st.caption(about if opened.place else f"{about} (not one of those that fit)")


def _turn(one: Opened, wanted: Wanted, number: int | None) -> None:
    if number is not None:
        _open(number)
        st.session_state[PAGE] = samples.page_of(one, wanted, number)


def _films(opened: Sample) -> None:
    case = opened.row.case
    assert case is not None
    images = case.images[:1] if opened.prior == "the same" else case.images
    with st.container(key="films"):
        left, right = st.columns(2, gap="small")
        for column, picture in zip((left, right), pictures.pictures(images, case.about.view), strict=False):
            with column:
                _film(picture)
        if opened.prior != "real":
            with right:
                _role("Prior")
                why = " The current image stands in its place, as a dummy." if opened.prior == "the same" else ""
                st.info("There is no prior in this row." + why)


def _film(picture: Picture) -> None:
    _role(picture.role, picture.words)
    if picture.fault:
        st.error(literal(picture.fault))
        return
    st.image(picture.png, width="stretch", output_format="PNG", alt=f"{picture.role} image")
    for note in picture.notes:
        st.caption(literal(note))


def _role(role: str, words: str = "") -> None:
    st.markdown(f":{COLOURS[role]}[**{role}**]" + (f" :gray[:small[{literal(words)}]]" if words else ""))


def _text(opened: Sample) -> None:
    case = opened.row.case
    if not isinstance(case, TrainingSample):
        _plain(opened)
        st.caption("A question is put to models; the reference is what their answers are scored against.")
        return
    found = {str(model.path): model for model in learnt.models()}
    names = {PLAIN: PLAIN} | {path: model.words for path, model in found.items()}
    default = next(iter(found), PLAIN)
    chosen = st.selectbox(
        "As this model gets it",
        list(names),
        index=list(names).index(default),
        format_func=names.__getitem__,
        key="look-model",
        help="The words are the model's own template. Its weights are not loaded.",
    )
    if chosen == PLAIN:
        _plain(opened)
        return
    with errors.shown():
        with st.spinner("Reading the model's tokenizer: a few seconds the first time"):
            prompt = learnt.prompt(found[chosen].path, case)
        learnt_text.key()
        many = "current image, prior image" if opened.prior == "real" else "current image"
        learnt_text.show(prompt.pieces, many)
        st.progress(min(1.0, prompt.positions / prompt.room), text=literal(prompt.words))
        if not prompt.fits:
            st.error("This is longer than the model has room for: the end would be lost. Shorten it or leave it out.")


def _plain(opened: Sample) -> None:
    asked, said = ("Question", "Answer") if isinstance(opened.row.case, TrainingSample) else ("Question", "Reference")
    for question, answer in opened.turns:
        st.caption(asked)
        st.markdown(literal(question))
        st.caption(said)
        st.markdown(literal(answer) if answer else "*There is none.*")
