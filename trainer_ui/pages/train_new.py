"""A new run: a preset, the form, the YAML that both make, the check, the start."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent

import streamlit as st

from serving.palette import MONO
from trainer_ui import addresses, errors, navigation
from trainer_ui.components import bound, recipe_form
from trainer_ui.components.words import literal
from trainer_ui.services import datasets, places, recipe_checks, recipes, runs, setting_up
from trainer_ui.services.recipe_checks import Check, Finding

_YAML, _PRESET = "train-yaml", "train-preset"
WAYS = ("Form", YAML := "YAML")
YAML_HEIGHT = 460
EVERY_S = 1.0
SIGNS = {"error": ":red-badge[stops it]", "warning": ":orange-badge[to know]", "ok": ":green-badge[good]"}


def show() -> None:
    """The form, from a preset to the start."""
    if not any(data.training for data in datasets.found()):
        st.info("A run needs samples to learn from, and there are none yet.")
        st.page_link(navigation.page(addresses.DATA), label="Make or add a data set")
    _begin_with()
    text = recipes.draft()
    # One of them at a time: shown beside each other, what is typed into one could meet an older state of the other.
    way = st.segmented_control(
        "Written as", WAYS, default=WAYS[0], required=True, key="recipe-as", label_visibility="collapsed"
    )
    with st.container(key=f"recipe-{way}"), errors.shown():
        content = recipes.document(text)
        if way == YAML:
            _yaml(text)
        elif content is None:
            st.warning("The YAML cannot be read, so there is no form of it. It comes back when the YAML is set right.")
        else:
            recipe_form.show(content, change)
    with st.container(border=True), errors.shown():
        _start(text)


def change(edit: Callable[[str], str]) -> None:
    """Change the recipe that is being written; where it cannot be, that is said, and it stays as it was."""
    try:
        recipes.write(edit)
    except Exception as error:
        st.toast(literal(errors.sentence(error)))


def _begin_with() -> None:
    found = {preset.key: preset for preset in recipes.presets()}
    with st.container(border=True, key="presets"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            key = st.selectbox("Begin with", list(found), format_func=lambda one: found[one].title, key=_PRESET)
            st.button(
                "Fill in the form",
                key="take-preset",
                on_click=_take_preset,
                args=(found[key],),
                help="What stands in the form now is replaced.",
            )
        for paragraph in found[key].help.split("\n\n"):
            if paragraph.startswith("    "):
                st.code(dedent(paragraph), language=None, wrap_lines=True)
            else:
                st.markdown(literal(paragraph))


def _take_preset(preset: recipes.Preset) -> None:
    bound.take_over()  # what was entered before the click is replaced like the rest
    change(lambda old: recipes.from_preset(preset))


def _yaml(text: str) -> None:
    st.html(f"<style>.st-key-{_YAML} textarea {{ font-family: {', '.join(MONO)}; font-size: 0.8rem; }}</style>")
    bound.show(_YAML, text, lambda now: change(lambda old: now))
    st.text_area(
        "The recipe",
        key=_YAML,
        height=YAML_HEIGHT,
        help="The form says the same: change either. Ctrl+Enter, or a click elsewhere, takes over what was typed.",
    )


def _start(text: str) -> None:
    faults, lacks = recipes.faults(text), _through_factory(text) and not setting_up.ready()
    if lacks:
        _set_up()
    if faults:
        st.markdown("**It cannot be started yet**")
        st.markdown("\n".join(f"- {literal(fault.says)}" for fault in faults))
        for folder in {fault.folder for fault in faults if fault.folder is not None}:
            if st.button(f"Allow {literal(str(folder))}", key=f"allow-{folder}"):
                places.allow(str(folder))
                st.rerun()
    if faults or lacks:
        return
    for stage in recipes.amount(recipes.read(text)):
        st.markdown(literal(_amount(stage)))
        if stage.validations == 0 and recipes.read(text).validation is not None:
            st.warning("It ends before its first validation, so that nothing is chosen. Validate more often.")
    st.caption("The same in a terminal")
    st.code(runs.command(text), language=None, wrap_lines=True)
    check = recipe_checks.look(text)
    st.fragment(_check, run_every=EVERY_S if check.state == "running" else None)(text, check.state)


def _through_factory(text: str) -> bool:
    return recipes.value(recipes.document(text), ("llamafactory",)) is not None


def _set_up() -> None:
    st.markdown("**LLaMA-Factory has to be set up first**")
    st.markdown(literal(setting_up.WORDS))
    if setting_up.under_way():
        st.caption("It is being set up; the job below tells how far it is. Then this page goes on.")
        st.fragment(_await_set_up, run_every=EVERY_S)()
    elif st.button("Set up LLaMA-Factory", type="primary", key="set-up"):
        setting_up.begin()
        st.rerun()


def _await_set_up() -> None:
    if not setting_up.under_way():
        st.rerun()


def _amount(stage: recipes.Amount) -> str:
    words = f"{stage.stage}: {stage.samples:,} samples, {stage.per_step} a step, {stage.steps:,} steps"
    return f"{words}, {stage.validations:,} validations." if stage.validations else f"{words}."


def _check(text: str, drawn: recipe_checks.State) -> None:
    with errors.shown():
        check = recipe_checks.look(text)
        if check.state != drawn:
            st.rerun()
        _result(check)
        if check.state == "running" and st.button("Stop checking"):
            recipe_checks.stop(text)
            st.rerun()
        with st.container(horizontal=True, vertical_alignment="center"):
            if check.state != "running":
                label = "Check" if check.state == "none" else "Check again"
                first = "secondary" if check.passed else "primary"
                if st.button(
                    label, type=first, key="check", help="Files, images, patients, memory. Nothing is trained."
                ):
                    recipe_checks.begin(text)
                    st.rerun()
            if st.button("Start training", type="primary", key="start", disabled=not check.passed):
                _begin(text)
            if check.state == "none":
                st.caption("It is started when it has been checked.")
            elif check.state == "done" and not check.passed:
                st.caption("What stops it has to be set right first.")


def _result(check: Check) -> None:
    if check.state == "running":
        words = check.progress or "Reading the model and the files. The first look takes some seconds."
        st.progress(check.share or 0.0, text=literal(words))
    elif check.state == "failed":
        st.error(f"The check ended without a result. {literal(check.why)}")
    for number, found in enumerate(check.findings):
        _finding(number, found)


def _finding(number: int, found: Finding) -> None:
    subject = f"{found.subject[:1].upper()}{found.subject[1:]}"
    st.markdown(f"{SIGNS[found.severity]} &nbsp;**{literal(subject)}:** {literal(found.says)}")
    if found.rows:
        count = len(found.rows) + found.more
        with st.expander(f"{count:,} rows" if count > 1 else "The row"):
            table = {"Row": [row for row, _ in found.rows], "Reason": [reason for _, reason in found.rows]}
            st.dataframe(table, hide_index=True, key=f"finding-{number}", height=min(300, 38 + 35 * len(found.rows)))
            if found.more:
                st.caption(f"The first {len(found.rows)} of them.")


def _begin(text: str) -> None:
    run = runs.begin(text)
    st.query_params["view"] = "runs"
    st.query_params["run"] = run.name
    st.rerun()
