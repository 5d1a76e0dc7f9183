"""Recipes as texts that a form and a person edit: what stands in them stays, and both say the same."""

from __future__ import annotations

import argparse
import copy
import dataclasses
import shlex
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import tiny_runs
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cli import main
from engine.cli import train as train_command
from engine.errors import UsageError
from engine.training import recipe as format_of
from engine.training.recipe import Factory, Lora, Recipe, Stage, Validation
from trainer_ui.services import places, recipe_settings, recipes, runs
from trainer_ui.services.recipe_settings import ADVANCED, ADVANCED_STAGE, ELSEWHERE, STAGE, WHAT

PRESETS = [preset.text for preset in recipes.presets()]
COMMENTED = """# Of the night shift
name: night   # the name
start: models/demo-tac

# what it learns from
samples: [a.json]
validation: {questions: q.jsonl, metric: loss}
stages:
  - name: one   # the only one
    train: [language_model]
    lora: {rank: 16}
    epochs: 3
    # few at once
    batch_size: 1
    learning_rate: 2e-4
"""
PLACES = [
    *[setting.place for setting in (*WHAT, *ADVANCED)],
    *[("stages", 0, *setting.place) for setting in (*STAGE, *ADVANCED_STAGE) if setting.place[0] != "lora"],
    *[("stages", 0, "lora", key) for key in ("rank", "alpha", "dropout")],
    ("images",),
    ("validation", "images"),
]
VALUES = st.one_of(
    st.none(),
    st.integers(-5, 10**6),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.text("aZ ß肺0.:#'\"[]{}-,&*!|>%@`\\~=", max_size=12),
    st.lists(st.sampled_from(["connector", "language_model", "a: b", "#"]), max_size=3),
    st.fixed_dictionaries({"rank": st.integers(1, 128), "alpha": st.integers(1, 256)}),
)


def expected(content: dict[str, Any], place: recipes.Place, value: Any) -> Any:
    """What a change means for the settings themselves."""
    content = copy.deepcopy(content)
    *way, last = place
    inner, outer = content, None
    for step in way:
        if isinstance(inner, dict) and step not in inner:
            if value is None:
                return content
            inner[step] = {}
        outer, inner = inner, inner[step]
    if value is not None:
        inner[last] = value
        return content
    inner.pop(last, None)
    if not inner and way and isinstance(way[-1], str) and way[-1] != "llamafactory":
        outer.pop(way[-1])
    return content


@settings(deadline=None, max_examples=50)
@given(
    text=st.sampled_from([*PRESETS, COMMENTED]),
    edits=st.lists(st.tuples(st.sampled_from(PLACES), VALUES), min_size=1, max_size=6),
)
def test_a_setting_is_changed_and_nothing_else_is(text: str, edits: list[tuple[recipes.Place, Any]]) -> None:
    for place, value in edits:
        content = recipes.document(text)
        assert content is not None
        try:
            wanted = expected(content, place, value)
        except (TypeError, KeyError, AttributeError):  # an earlier edit has put something else in the way
            continue
        text = recipes.changed(text, place, value)
        assert recipes.document(text) == wanted
        assert recipes.value(recipes.document(text), place) == value


@pytest.mark.parametrize(
    ("place", "value", "line"),
    [
        (("name",), "day", "name: day   # the name"),
        (("stages", 0, "epochs"), 5, "    epochs: 5"),
        (("stages", 0, "lora", "alpha"), 32, "    lora: {rank: 16, alpha: 32}"),
        (("stages", 0, "warmup"), 0.1, "    warmup: 0.1"),
        (("validation", "every"), 50, "validation: {questions: q.jsonl, metric: loss, every: 50}"),
        (("seed",), 7, "seed: 7"),
    ],
)
def test_a_change_leaves_comments_and_order_as_they_are(place: recipes.Place, value: Any, line: str) -> None:
    changed = recipes.changed(COMMENTED, place, value).splitlines()
    assert line in changed
    assert [kept for kept in COMMENTED.splitlines() if kept not in changed] in ([], [old(line)])


def old(line: str) -> str:
    """The line of COMMENTED that a changed one stands for."""
    key = line.strip().partition(":")[0]
    return next((kept for kept in COMMENTED.splitlines() if kept.strip().startswith(f"{key}:")), "")


def test_a_setting_that_is_taken_out_takes_its_line_along_and_no_other() -> None:
    changed = recipes.changed(COMMENTED, ("stages", 0, "batch_size"), None)
    assert changed == COMMENTED.replace("    batch_size: 1\n", "")


@pytest.mark.parametrize("text", ["", "- a\n- b", "a: [", "just words", "x: 1\n---\ny: 2", "&a [*a"])
def test_what_is_no_recipe_is_said_and_has_no_form(text: str) -> None:
    assert recipes.document(text) is None
    assert recipes.faults(text)[0].says.startswith("The recipe the recipe")
    with pytest.raises(UsageError):
        recipes.changed(text, ("name",), "x")


def test_every_setting_of_the_format_has_a_field_or_a_reason() -> None:
    fields = {field.name for field in dataclasses.fields(Recipe)} - {"validation"}
    fields |= {f"validation.{field.name}" for field in dataclasses.fields(Validation)}
    fields = fields - {"llamafactory"} | {f"llamafactory.{field.name}" for field in dataclasses.fields(Factory)}
    stage = {field.name for field in dataclasses.fields(Stage)} | {f"lora.{f.name}" for f in dataclasses.fields(Lora)}
    own = {".".join(setting.place) for setting in (*WHAT, *ADVANCED)}
    of_stage = {".".join(setting.place) for setting in (*STAGE, *ADVANCED_STAGE)}
    apart = {name for name in ELSEWHERE if not name.startswith("stages.")}
    assert own | apart == fields and not own & apart
    apart = {name.removeprefix("stages.") for name in ELSEWHERE if name.startswith("stages.")}
    assert of_stage | apart == stage and not of_stage & apart


GROUPS = {"validation": Validation, "llamafactory": Factory}
OWNERS = [
    *((setting, GROUPS.get(setting.place[0], Recipe)) for setting in (*WHAT, *ADVANCED)),
    *((setting, Lora if len(setting.place) > 1 else Stage) for setting in (*STAGE, *ADVANCED_STAGE)),
]


@pytest.mark.parametrize(("setting", "owner"), OWNERS, ids=lambda one: getattr(one, "label", ""))
def test_a_field_shows_the_default_and_the_choices_of_the_format(setting: recipe_settings.Setting, owner: type) -> None:
    field = next(field for field in dataclasses.fields(owner) if field.name == setting.place[-1])
    if field.default is not dataclasses.MISSING:
        assert setting.default == field.default
    allowed = get_args(get_type_hints(owner, vars(format_of), include_extras=False)[field.name])
    if setting.kind == "choice" and setting.options:
        assert set(setting.options) == set(allowed)
    assert setting.help.endswith(".") and setting.label


def test_the_parts_are_those_of_the_format() -> None:
    assert set(recipe_settings.PARTS) == set(format_of.PARTS)


def test_the_scores_on_offer_are_those_that_can_choose_here() -> None:
    from engine.evaluation.validation import known, metric

    offered = set(recipe_settings.metrics()) - {recipe_settings.LOSS}
    usable = set()
    for name in known():
        try:
            metric(name)
        except UsageError:
            continue
        usable.add(name)
    assert offered == usable


@pytest.mark.parametrize("preset", recipes.presets(), ids=lambda preset: preset.key)
def test_a_preset_is_whole_but_for_its_files(preset: recipes.Preset, home: Path) -> None:
    text = recipes.from_preset(preset)
    content = recipes.document(text)
    assert content is not None and "output" not in content
    samples = recipes.value(content, ("samples",))
    assert samples.startswith(str(home)), "the data folder is where this machine has it"
    assert all("no file" in fault.says or "no model" in fault.says for fault in recipes.faults(text))


def test_a_preset_finds_the_images_of_the_set_it_names(home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A set that was split from another one says where its images are; they are not beside it."""
    films = tiny_runs.phantoms(tmp_path_factory) / "train"
    shares = ["--validation", "0.3", "--test", "0.2"]
    assert main(["data", "split", str(films / "train.json"), "--output", str(home / "data" / "site-c"), *shares]) == 0
    (preset,) = [one for one in recipes.presets() if one.key == "demo-site-c"]
    recipe = recipes.read(recipes.from_preset(preset))
    assert recipe.images == films and recipe.validation is not None and recipe.validation.images == films


def test_every_fault_is_told_by_itself(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    text = tiny_runs.text(tiny_runs.phantoms(tmp_path_factory), stage={"epochs": 0, "speed": 3}, seed="x")
    says = [fault.says for fault in recipes.faults(text)]
    assert all(one.endswith(".") for one in says)
    for fault in ("Stage 1: 'epochs'", "Stage 1: unknown setting 'speed'.", "'seed'"):
        assert sum(one.startswith(fault) for one in says) == 1
    text = recipes.changed(tiny_runs.text(tiny_runs.phantoms(tmp_path_factory)), ("start",), "models/none")
    assert "There is no model models/none" in recipes.faults(text)[0].says


def test_files_outside_have_to_be_allowed_first(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tiny_runs.phantoms(tmp_path_factory)
    text = tiny_runs.text(folder)
    asked = {fault.folder for fault in recipes.faults(text)}
    assert asked == {folder / "train", folder / "held-out"}
    places.allow(str(folder))
    assert recipes.faults(text) == ()


def test_a_path_is_relative_to_the_project_wherever_the_studio_was_started(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    text = recipes.changed(tiny_runs.text(tiny_runs.phantoms(tmp_path_factory)), ("start",), "models/demo-tac")
    assert recipes.read(text).start == project / "models" / "demo-tac"
    assert recipes.spoken(project / "models" / "demo-tac") == "models/demo-tac"
    assert recipes.spoken(tmp_path) == str(tmp_path)


def test_a_file_brings_the_folder_of_its_images(tmp_path: Path) -> None:
    text = recipes.with_training(COMMENTED, tmp_path / "a" / "train.json", tmp_path / "a")
    assert recipes.value(recipes.document(text), ("images",)) is None
    text = recipes.with_training(text, tmp_path / "b" / "train.json", tmp_path / "images")
    assert recipes.value(recipes.document(text), ("images",)) == str(tmp_path / "images")
    text = recipes.with_validation(text, tmp_path / "b" / "q.jsonl", tmp_path / "elsewhere")
    assert recipes.value(recipes.document(text), ("validation",)) == {
        "questions": str(tmp_path / "b" / "q.jsonl"),
        "metric": "loss",
        "images": str(tmp_path / "elsewhere"),
    }
    assert "validation" not in (recipes.document(recipes.with_validation(text, None)) or {})


def test_what_is_being_written_is_there_again() -> None:
    first = recipes.draft()
    assert recipes.document(first) is not None
    recipes.write(lambda old: "name: mine\n")
    assert recipes.draft() == "name: mine\n"


def test_a_recipe_is_never_written_over_another(home: Path) -> None:
    first, second = recipes.save("a: 1", "x"), recipes.save("a: 2\n", "x")
    assert (first.name, second.name) == ("x.yaml", "x-2.yaml")
    assert (first.read_text(), second.read_text()) == ("a: 1\n", "a: 2\n")


def test_the_command_that_is_shown_is_one(tmp_path_factory: pytest.TempPathFactory, home: Path) -> None:
    words = shlex.split(runs.command(tiny_runs.text(tiny_runs.phantoms(tmp_path_factory))))
    assert words[:3] == ["python", "launch.py", "train"]
    parser = argparse.ArgumentParser()
    train_command.register(parser)
    read = parser.parse_args(words[3:])
    assert (read.recipe, read.output.parent) == (home / "recipes" / "tiny.yaml", home / "runs")


@pytest.mark.parametrize(
    ("number", "words"),
    [(2e-5, "0.00002"), (0.0001, "0.0001"), (32.0, "32"), (1e-7, "0.0000001"), (100, "100"), (0.5, "0.5")],
)
def test_numbers_are_written_as_people_do(number: float, words: str) -> None:
    assert recipe_settings.plainly(number) == words
