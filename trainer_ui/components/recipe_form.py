"""A recipe as a form: every field shows what stands in the recipe's text, and a change of it changes the text.

The text is the one truth: every field is bound to it, so that form and text never say two things.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from trainer_ui.components import bound, paths
from trainer_ui.components.words import literal
from trainer_ui.services import datasets, recipe_settings, recipes, start_models
from trainer_ui.services.recipe_settings import ADVANCED, ADVANCED_STAGE, STAGE, WHAT, Setting
from trainer_ui.services.recipes import Place

Change = Callable[[Callable[[str], str]], None]
"""Takes a function from the recipe's text to the new one, and keeps what comes of it."""

WIDE = ("model", "training", "questions", "parts", "switch")
OTHER = "\0other"
NONE = "\0none"
LORA = {"rank": 16, "alpha": 32}


def show(content: Mapping[str, Any], change: Change) -> None:
    """The fields of a recipe."""
    stages = content.get("stages")
    stages = [stage for stage in stages if isinstance(stage, dict)] if isinstance(stages, list) else []
    validated = isinstance(content.get("validation"), dict)
    if content.get("new") is not None:
        st.info("This recipe makes a model from random weights. Its shapes are in the YAML.")
    what = [setting for setting in WHAT if content.get("new") is None or setting.place != ("start",)]
    if content.get("llamafactory") is not None:
        st.info("LLaMA-Factory trains this model, in an environment of its own. What is learnt is prepared here.")
    _fields(what, content, None, (), False, validated, change)
    for number, stage in enumerate(stages):
        learns, lora = stage.get("train"), isinstance(stage.get("lora"), dict)
        title = "How it learns" if len(stages) == 1 else f"Stage {number + 1}: {stage.get('name', '')}"
        with st.container(border=True, key=f"stage-{number}"):
            st.markdown(f"**{literal(title)}**")
            _fields(STAGE, content, number, learns, lora, validated, change)
    with st.expander("More settings, right as they are for nearly everybody"):
        _fields(ADVANCED, content, None, (), False, validated, change)
        for number, stage in enumerate(stages):
            if len(stages) > 1:
                st.markdown(f"**Stage {number + 1}: {literal(str(stage.get('name', '')))}**")
            lora = isinstance(stage.get("lora"), dict)
            _fields(ADVANCED_STAGE, content, number, stage.get("train"), lora, validated, change)


def _fields(
    settings: Sequence[Setting],
    content: Mapping[str, Any],
    stage: int | None,
    learns: object,
    lora: bool,
    validated: bool,
    change: Change,
) -> None:
    """Fields in two columns; what is long takes both."""
    factory = content.get("llamafactory") is not None
    shown = [
        recipe_settings.worded(one, factory)
        for one in settings
        if recipe_settings.shown(one, learns, lora, validated, factory)
    ]
    columns: list[Any] = []
    for setting in shown:
        place = recipe_settings.at(setting, stage)
        if setting.kind in ("model", "training", "questions", "parts", "switch") and setting.place != (
            "lora",
            "rslora",
        ):
            columns = []
            _FIELDS[setting.kind](setting, place, content, change)
            continue
        if not columns:
            columns = list(st.columns(2))
        with columns.pop(0):
            _FIELDS[setting.kind](setting, place, content, change)


def _key(place: Place) -> str:
    return f"set-{'.'.join(map(str, place))}"


def _now(setting: Setting, place: Place, content: Mapping[str, Any]) -> Any:
    found = recipes.value(content, place)
    return setting.default if found is None else found


def _bind(place: Place, value: Any, change: Change, meant: Callable[[Any], Any] = lambda now: now) -> str:
    """Bind the field that is drawn next to its place in the text; the field's key."""
    bound.show(_key(place), value, lambda now: change(lambda text: recipes.changed(text, place, meant(now))))
    return _key(place)


def _text(setting: Setting, place: Place, content: Mapping[str, Any], change: Change) -> None:
    now = _now(setting, place, content)
    st.text_input(
        setting.label,
        key=_bind(place, "" if now is None else str(now), change, lambda text: text.strip() or None),
        help=setting.help,
        placeholder=setting.empty or None,
        autocomplete="off",
    )


def _rate(setting: Setting, place: Place, content: Mapping[str, Any], change: Change) -> None:
    now = _number(_now(setting, place, content))
    written = str(_now(setting, place, content) or "")
    st.text_input(
        setting.label,
        key=_bind(place, written if now is None else recipe_settings.plainly(now), change, _rate_meant),
        help=setting.help,
        placeholder=setting.empty or None,
        autocomplete="off",
    )


def _rate_meant(typed: str) -> Any:
    """A number where it is one; else what was typed, which the recipe then calls wrong."""
    number = _number(typed.strip().replace(",", "."))
    return number if number is not None else (typed.strip() or None)


def _count(setting: Setting, place: Place, content: Mapping[str, Any], change: Change) -> None:
    now = _number(_now(setting, place, content))
    st.number_input(
        setting.label,
        value=None if setting.empty or now is None else 0,
        step=1,
        key=_bind(place, None if now is None else int(now), change),
        help=setting.help,
        placeholder=setting.empty or None,
    )


def _float(setting: Setting, place: Place, content: Mapping[str, Any], change: Change) -> None:
    now = _number(_now(setting, place, content))
    st.number_input(
        setting.label,
        value=None if now is None else 0.0,
        step=0.01 if now is not None and abs(now) < 1 else 1.0,
        format="%g",
        key=_bind(place, now, change, _float_meant),
        help=setting.help,
    )


def _float_meant(number: float | None) -> Any:
    return int(number) if number is not None and number == int(number) else number


def _choice(setting: Setting, place: Place, content: Mapping[str, Any], change: Change) -> None:
    options = dict(setting.options) if setting.options else recipe_settings.metrics()
    now = _now(setting, place, content)
    now = now if isinstance(now, str) else str(now)
    options.setdefault(now, now)
    st.selectbox(
        setting.label,
        list(options),
        format_func=lambda name: options[name],
        key=_bind(place, now, change),
        help=setting.help,
    )


def _parts(setting: Setting, place: Place, content: Mapping[str, Any], change: Change) -> None:
    now = recipes.value(content, place)
    known = [part for part in setting.options if isinstance(now, list) and part in now]
    st.pills(
        setting.label,
        list(setting.options),
        selection_mode="multi",
        format_func=lambda part: setting.options[part],
        key=_bind(place, known, change, lambda now: [part for part in recipe_settings.PARTS if part in now]),
        help=setting.help,
    )


def _switch(setting: Setting, place: Place, content: Mapping[str, Any], change: Change) -> None:
    on = dict(LORA) if setting.place == ("lora",) else True
    st.toggle(
        setting.label,
        key=_bind(place, bool(recipes.value(content, place)), change, lambda now: on if now else None),
        help=setting.help,
    )


def _model(setting: Setting, place: Place, content: Mapping[str, Any], change: Change) -> None:
    options = {recipes.spoken(model.path): model.words for model in start_models.found()}
    other = "Another folder…"
    if _chosen(
        setting, place, content, options | {OTHER: other}, change, lambda t, name: recipes.with_start(t, Path(name))
    ):
        folder = paths.folder_field("Folder of the model", f"{_key(place)}-path")
        _take(place, folder, change, recipes.with_start)


def _training(setting: Setting, place: Place, content: Mapping[str, Any], change: Change) -> None:
    _file(setting, place, content, change, "training", recipes.with_training)


def _questions(setting: Setting, place: Place, content: Mapping[str, Any], change: Change) -> None:
    _file(setting, place, content, change, "questions", recipes.with_validation)


def _file(
    setting: Setting,
    place: Place,
    content: Mapping[str, Any],
    change: Change,
    form: datasets.Form,
    put: Callable[[str, Path, Path], str],
) -> None:
    several = recipes.value(content, place)
    if isinstance(several, list) and len(several) != 1:
        st.caption(f"{setting.label}: {len(several)} files, named in the YAML.")
        return
    known = _known_files(form)
    options = {name: _file_words(file) for name, (file, _) in known.items()}
    options |= {NONE: setting.empty} if setting.empty else {}

    def taken(text: str, name: str) -> str:
        if name == NONE:
            return recipes.with_validation(text, None)
        if name in known:
            file, images = known[name]
            return put(text, file.path, images)
        return recipes.changed(text, place, name)

    if _chosen(setting, place, content, options | {OTHER: "Another file…"}, change, taken):
        file = paths.file_field(setting.label, f"{_key(place)}-path", datasets.SUFFIXES)
        _take(place, file, change, lambda text, path: put(text, path, path.parent))


def _known_files(form: datasets.Form) -> dict[str, tuple[datasets.DataFile, Path]]:
    """Files of the listed data sets of this form, by how a recipe names them, with the folder of their images."""
    return {
        recipes.spoken(file.path): (file, data.images)
        for data in datasets.found()
        if data.state == "whole"
        for file in data.files
        if file.form == form
    }


def _file_words(file: datasets.DataFile) -> str:
    unit = "samples" if file.form == "training" else "questions"
    return f"{file.path.parent.name}/{file.path.name}: {file.rows:,} {unit}"


def _chosen(
    setting: Setting,
    place: Place,
    content: Mapping[str, Any],
    options: dict[str, str],
    change: Change,
    put: Callable[[str, str], str],
) -> bool:
    """A list of what is known, with what the recipe names; whether the user wants something that is not in it."""
    named = recipes.value(content, place)
    named = named[0] if isinstance(named, list) and named else named
    now = recipes.spoken(recipes.whole(named)) if isinstance(named, str) and named else None
    if now is not None and now not in options:
        options = {now: now if recipes.whole(now).exists() else f"{now} (is not there)"} | options
    elsewhere = _elsewhere()

    def take(name: str | None) -> None:
        if name == OTHER:
            elsewhere.add(place)
            return
        elsewhere.discard(place)
        if name is not None:
            change(lambda text: put(text, name))

    opened = place in elsewhere
    chosen = OTHER if opened else now or (NONE if NONE in options else None)
    bound.show(_key(place), chosen, take)
    st.selectbox(
        setting.label,
        list(options),
        index=None if chosen is None else 0,
        format_func=lambda name: options[name],
        key=_key(place),
        help=setting.help,
        placeholder="Choose",
    )
    return opened


def _elsewhere() -> set[Place]:
    """The places for which something is named that is in no list."""
    found: set[Place] = st.session_state.setdefault("recipe-elsewhere", set())
    return found


def _take(place: Place, path: Path | None, change: Change, put: Callable[[str, Path], str]) -> None:
    """Put what was typed or found into the text as soon as it can be used."""
    if path is not None:
        change(lambda text: put(text, path))
        _elsewhere().discard(place)
        st.rerun()


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


_FIELDS: dict[str, Callable[[Setting, Place, Mapping[str, Any], Change], None]] = {
    "text": _text,
    "rate": _rate,
    "count": _count,
    "number": _float,
    "choice": _choice,
    "parts": _parts,
    "switch": _switch,
    "model": _model,
    "training": _training,
    "questions": _questions,
}
