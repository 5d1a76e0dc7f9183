"""The training page as Streamlit runs it: the form and its YAML, the runs, one run, runs compared."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_runs
from streamlit.testing.v1 import AppTest

from engine.jobs import queue
from engine.jobs.job import Job, State
from trainer_ui import addresses
from trainer_ui.components import charts
from trainer_ui.components.charts import Line
from trainer_ui.services import places, recipe_checks, recipes, run_figures, runs

Open = Callable[..., AppTest]


@pytest.fixture
def made(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Path:
    """A finished run in the data folder."""
    return tiny_runs.run(tmp_path_factory, home)


@pytest.fixture
def sets(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Path:
    """Data sets ``train`` and ``held-out`` in the data folder."""
    shutil.copytree(tiny_runs.phantoms(tmp_path_factory), home / "data")
    return home / "data"


@pytest.fixture
def ready(sets: Path) -> str:
    """A recipe over them that can be started; it is being written."""
    recipes.write(lambda old: tiny_runs.text(sets))
    return recipes.draft()


def text(page: AppTest) -> str:
    """All that stands on a page, as the reader sees it."""
    return "\n".join(str(getattr(element, "value", "")) for element in page.main).replace("\\", "")


def press(page: AppTest, label: str) -> AppTest:
    """Press the first button of this name."""
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception
    return page


def labels(page: AppTest) -> list[str]:
    return [button.label for button in page.button]


def links(page: AppTest) -> dict[str, str]:
    """The links to other pages: their words, and what they take along."""
    return {link.proto.label: link.proto.query_string for link in page.get("page_link")}


def draft() -> Any:
    """The settings in the recipe that is being written, as they are there again after a reload."""
    return recipes.document(recipes.draft())


def turn(page: AppTest, way: str) -> AppTest:
    """Turn to the form or to the YAML."""
    next(group for group in page.button_group if group.key == "recipe-as").set_value(way).run()
    assert not page.exception
    return page


def typed(page: AppTest, text: str) -> AppTest:
    """Type this into the YAML and go back to the form."""
    turn(page, "YAML").text_area(key="train-yaml").set_value(text).run()
    return turn(page, "Form")


def drawn(page: AppTest) -> list[dict[str, Any]]:
    """The charts of a page."""
    return [json.loads(chart.proto.spec) for chart in page.get("vega_lite_chart")]


def test_an_empty_page_has_the_form_of_a_preset(open_page: Open) -> None:
    page = open_page(addresses.TRAIN)
    assert "needs samples to learn from" in text(page)
    first = recipes.presets()[0]
    assert page.text_input(key="set-name").value == recipes.value(recipes.document(first.text), ("name",))
    assert "It cannot be started yet" in text(page) and "Start training" not in labels(page)


def test_a_preset_is_explained_and_fills_in_the_form(open_page: Open, ready: str) -> None:
    page = open_page(addresses.TRAIN, view="new")
    preset = recipes.presets()[1]
    page.selectbox(key="train-preset").set_value(preset.key).run()
    assert preset.help.splitlines()[0][:40] in text(page)
    assert draft()["name"] == "tiny", "nothing is replaced before it is asked for"
    press(page, "Fill in the form")
    assert draft()["name"] == preset.key == page.text_input(key="set-name").value


ENTERED: list[tuple[str, str, Any, recipes.Place, Any]] = [
    ("text_input", "name", " other ", ("name",), "other"),
    ("number_input", "stages.0.epochs", 1.5, ("stages", 0, "epochs"), 1.5),
    ("number_input", "stages.0.epochs", 7.0, ("stages", 0, "epochs"), 7),
    ("number_input", "stages.0.batch_size", 3, ("stages", 0, "batch_size"), 3),
    ("text_input", "stages.0.learning_rate", "2e-5", ("stages", 0, "learning_rate"), 2e-5),
    ("text_input", "stages.0.learning_rate", "0,001", ("stages", 0, "learning_rate"), 0.001),
    ("text_input", "stages.0.connector_learning_rate", "0.1", ("stages", 0, "connector_learning_rate"), 0.1),
    ("text_input", "stages.0.connector_learning_rate", "", ("stages", 0, "connector_learning_rate"), None),
    ("selectbox", "validation.metric", "BLEU4", ("validation", "metric"), "BLEU4"),
    ("selectbox", "quantization", "nf4", ("quantization",), "nf4"),
    ("number_input", "validation.patience", 2, ("validation", "patience"), 2),
    ("number_input", "validation.patience", None, ("validation", "patience"), None),
    ("toggle", "stages.0.lora.rslora", True, ("stages", 0, "lora", "rslora"), True),
    ("number_input", "stages.0.lora.rank", 64, ("stages", 0, "lora", "rank"), 64),
    ("toggle", "stages.0.lora", False, ("stages", 0, "lora"), None),
    ("selectbox", "validation.questions", "\0none", ("validation",), None),
]


def test_what_is_entered_in_the_form_stands_in_the_yaml(open_page: Open, ready: str) -> None:
    page = open_page(addresses.TRAIN, view="new")
    for kind, key, entered, place, value in ENTERED:
        getattr(page, kind)(key=f"set-{key}").set_value(entered).run()
        assert not page.exception
        found = recipes.value(draft(), place)
        assert found == value and type(found) is type(value), key
    assert turn(page, "YAML").text_area(key="train-yaml").value == recipes.draft()


def test_what_learns_is_chosen_by_its_name(open_page: Open, ready: str) -> None:
    page = open_page(addresses.TRAIN, view="new")
    parts = next(group for group in page.button_group if group.key == "set-stages.0.train")
    parts.set_value(["vision_tower", "connector"]).run()
    assert draft()["stages"][0]["train"] == ["connector", "vision_tower"]
    assert not [field for field in page.toggle if field.key == "set-stages.0.lora"]
    assert "'lora' belongs to the language_model" in text(page)


def test_what_is_typed_into_the_yaml_stands_in_the_form(open_page: Open, ready: str) -> None:
    page = open_page(addresses.TRAIN, view="new")
    for place, value in ((("stages", 0, "lora", "rank"), 32), (("stages", 0, "learning_rate"), 3e-4), (("seed",), 9)):
        ready = recipes.changed(ready, place, value)
    typed(page, f"# mine\n{ready}")
    assert page.number_input(key="set-stages.0.lora.rank").value == 32
    assert page.text_input(key="set-stages.0.learning_rate").value == "0.0003"
    assert page.number_input(key="set-seed").value == 9
    page.number_input(key="set-seed").set_value(10).run()
    assert turn(page, "YAML").text_area(key="train-yaml").value.startswith("# mine\n"), "comments stay"
    assert not page.exception and not page.error


def test_faults_are_a_list_and_a_yaml_that_cannot_be_read_has_no_form(open_page: Open, ready: str) -> None:
    page = open_page(addresses.TRAIN, view="new")
    typed(page, recipes.changed(recipes.changed(ready, ("speed",), 3), ("seed",), "x"))
    assert "- Unknown setting 'speed'." in text(page) and "- 'seed'" in text(page)
    assert "Start training" not in labels(page)
    typed(page, "name: [")
    assert "so there is no form of it" in page.warning[0].value and "is not valid YAML" in text(page)
    assert not page.exception and not [field for field in page.text_input if field.key == "set-name"]
    typed(page, ready)
    assert page.text_input(key="set-name").value == "tiny"


@pytest.mark.parametrize(
    "broken",
    [
        "stages: 3",
        "stages: [1, 2]",
        "stages: [{train: x, lora: 4, epochs: [], learning_rate: {}}]",
        "validation: []",
        "validation: {questions: 7, every: many, metric: {}}",
        "samples: [a.json, b.json]",
        "name: {}",
        "quantization: 12",
    ],
)
def test_a_form_of_settings_of_the_wrong_kind_breaks_nothing(open_page: Open, broken: str) -> None:
    recipes.write(lambda old: broken)
    page = open_page(addresses.TRAIN, view="new")
    assert not page.exception and "It cannot be started yet" in text(page)


def test_files_are_chosen_from_the_data_sets_or_elsewhere(open_page: Open, sets: Path, tmp_path: Path) -> None:
    page = open_page(addresses.TRAIN, view="new")
    chooser = page.selectbox(key="set-samples")
    assert any("train/train.json: 8 samples" in option for option in chooser.options)
    chooser.set_value(recipes.spoken(sets / "train" / "train.json")).run()
    assert draft()["samples"] == str(sets / "train" / "train.json") and "images" not in draft()
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(sets / "train", elsewhere)
    page.selectbox(key="set-samples").set_value("\0other").run()
    page.text_input(key="set-samples-path").set_value(str(elsewhere / "train.json")).run()
    assert "has not been allowed" in text(page)
    press(page, "Allow it")
    assert draft()["samples"] == str(elsewhere / "train.json") and places.inside(elsewhere)
    assert not [field for field in page.text_input if field.key == "set-samples-path"]


def test_it_is_started_when_it_has_been_checked(
    open_page: Open, ready: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"state": recipe_checks.Check("none")}
    monkeypatch.setattr(recipe_checks, "look", lambda text: found["state"])
    monkeypatch.setattr(recipe_checks, "begin", lambda text: found.update(state=recipe_checks.Check("running")))
    page = open_page(addresses.TRAIN, view="new")
    assert "adapt: 8 samples, 4 a step, 4 steps, 2 validations." in text(page)
    assert any("python launch.py train" in code.value for code in page.code)
    assert next(button for button in page.button if button.label == "Start training").disabled
    press(page, "Check")
    assert "The first look takes some seconds" in str(page.get("progress")[0].proto)
    assert "Stop checking" in labels(page)
    rows = tuple((number, "its patient is held out as well") for number in range(1, 4))
    finding = recipe_checks.Finding("patients", "error", "3 rows are of patients …", rows, more=2)
    found["state"] = recipe_checks.Check("done", (finding,))
    page.run()
    assert "Patients:" in text(page) and next(b for b in page.button if b.label == "Start training").disabled
    assert list(page.dataframe[0].value["Row"]) == [1, 2, 3]
    found["state"] = recipe_checks.Check("done", (recipe_checks.Finding("memory", "ok", "Enough."),))
    page.run()
    press(page, "Start training")
    (job,) = queue.jobs()
    assert (job.kind, job.state, job.words[0]) == ("train", State.QUEUED, "train")
    assert page.query_params["run"] == job.result.name and page.query_params["view"] == "runs"
    assert "It is next." in text(page) and "Take out of the queue" in labels(page)


def test_the_table_names_every_run_as_it_is(open_page: Open, made: Path, make_job: Callable[..., Job]) -> None:
    make_job("queued", "train", result=made.parent / "next-20260103-120000")
    page = open_page(addresses.TRAIN)
    table = page.dataframe[0].value
    assert list(table["Run"]) == ["next", "tiny"] and list(table["State"]) == ["waiting", "done"]
    assert table["Step"][1] == "adapt: 4 of 4" and table["Best"][1].startswith("ROUGE-L")


def test_a_run_is_shown_by_its_address(open_page: Open, made: Path) -> None:
    page = open_page(addresses.TRAIN, run=made.name)
    assert not page.error and ":green-badge[done]" in text(page)
    assert [metric.label for metric in page.metric] == ["Best ROUGE-L", "Loss", "Samples a second", "Memory, most"]
    loss, scores, rate = drawn(page)
    assert {value["curve"] for value in loss["layer"][0]["data"]["values"]} == {"training", "validation"}
    assert [layer["mark"].get("shape") for layer in scores["layer"]].count(charts.STAR) == 1
    assert rate["layer"][0]["encoding"]["y"]["title"] == "learning rate"
    written = run_figures.evaluations(made)[-1].written
    assert written[0].study in text(page) and "What the model wrote" in text(page)
    sha = run_figures.data(made)["files"]["train.json"]
    assert any(sha in list(table.value.get("SHA-256", ())) for table in page.dataframe)
    assert any(code.value.strip() == (made / "recipe.yaml").read_text().strip() for code in page.code)
    assert {"Clone", "Delete it for good"} <= set(labels(page)) and "Resume" not in labels(page)
    assert links(page) == {"Next: evaluate it": f"run={made.name}", "Next: export it": f"run={made.name}"}


def test_a_run_through_llama_factory_shows_its_settings_and_words(open_page: Open, made: Path) -> None:
    before = open_page(addresses.TRAIN, run=made.name)
    assert "LLaMA-Factory" not in text(before)
    (made / "llamafactory.yaml").write_text("lora_rank: 8\n")
    (made / "llamafactory.log").write_text("\n".join(f"line {number}" for number in range(1000)))
    page = open_page(addresses.TRAIN, run=made.name)
    assert "LLaMA-Factory's settings that come of it." in text(page) and "What LLaMA-Factory prints" in text(page)
    assert any(code.value.strip() == "lora_rank: 8" for code in page.code)
    (words,) = [code.value for code in page.code if code.value.endswith("line 999")]
    assert "line 1\n" not in words, "the end of it"
    listed = next(table.value for table in page.dataframe if "What" in table.value)
    assert {"llamafactory.yaml", "llamafactory.log"} <= set(listed["Name"])


def test_another_validation_is_chosen_and_read(open_page: Open, made: Path) -> None:
    page = open_page(addresses.TRAIN, run=made.name)
    chooser = page.selectbox(key=f"validation-{made.name}")
    assert len(chooser.options) == 2
    chooser.set_value(0).run()
    assert not page.exception and page.selectbox(key=f"validation-{made.name}").value == 0


def test_what_a_model_writes_is_shown_as_it_is(open_page: Open, made: Path) -> None:
    line = json.loads((made / "samples.jsonl").read_text().splitlines()[-1])
    line |= {"text": "<img src=x onerror=alert(1)> **bold** $x$", "id": "![x](http://evil.example)"}
    with (made / "samples.jsonl").open("a") as samples:
        samples.write(json.dumps(line) + "\n")
    page = open_page(addresses.TRAIN, run=made.name)
    shown = "\n".join(str(element.proto) for element in page.get("html"))
    assert "&lt;img src=x onerror" in shown and "<img" not in shown


def test_an_interrupted_run_is_resumed_from_its_page(open_page: Open, made: Path) -> None:
    state = made / "state.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | {"state": "running", "updated": 1.0}))
    page = open_page(addresses.TRAIN, run=made.name)
    assert "It was ended from outside" in text(page) and links(page) == {}
    press(page, "Resume")
    assert queue.jobs()[0].words == ("train", "--resume", str(made))
    assert "Resume" not in labels(page) and "Delete it for good" not in labels(page)
    press(page, "Take out of the queue")
    assert queue.jobs()[0].state is State.STOPPED and "Resume" in labels(page)


def test_a_clone_fills_in_the_form(open_page: Open, made: Path) -> None:
    page = open_page(addresses.TRAIN, run=made.name)
    press(page, "Clone")
    assert page.query_params["view"] == "new" and "run" not in page.query_params
    assert page.text_input(key="set-name").value == "tiny"
    assert turn(page, "YAML").text_area(key="train-yaml").value == (made / "recipe.yaml").read_text()


def test_a_run_is_deleted_after_it_was_asked(open_page: Open, made: Path) -> None:
    page = open_page(addresses.TRAIN, run=made.name)
    press(page, "Delete it for good")
    assert not made.exists() and "run" not in page.query_params and runs.overview() == ()


def test_an_address_of_a_run_that_is_gone_says_so(open_page: Open, made: Path) -> None:
    page = open_page(addresses.TRAIN, run="../../etc")
    assert "it may have been deleted" in page.error[0].value.replace("\\", "")
    press(page, "← All runs")
    assert list(page.dataframe[0].value["Run"]) == ["tiny"]


def test_runs_are_compared_by_their_address(
    open_page: Open, made: Path, tmp_path_factory: pytest.TempPathFactory, home: Path
) -> None:
    assert "Two runs are needed" in text(open_page(addresses.TRAIN, view="compare"))
    other = tiny_runs.run(tmp_path_factory, home, "other-20260102-120000")
    (other / "recipe.yaml").write_text(recipes.changed((other / "recipe.yaml").read_text(), ("seed",), 12))
    page = open_page(addresses.TRAIN, view="compare")
    assert "Choose two runs or more" in text(page)
    page.multiselect(key="compared-runs").set_value([made.name, other.name]).run()
    assert page.query_params["compare"] == f"{made.name},{other.name}"
    page = open_page(addresses.TRAIN, view="compare", compare=f"{made.name},{other.name},gone")
    best, differ = (table.value for table in page.dataframe)
    assert next(iter(best.iloc[:, 0])) == "ROUGE-L" and len(best.columns) == 3
    assert differ.values.tolist() == [["Seed", "3", "12"]]
    assert [spec["layer"][0]["encoding"]["y"]["title"] for spec in drawn(page)] == [
        "training loss",
        "validation loss",
        "ROUGE-L, %",
    ]
    next(group for group in page.button_group if group.key == "compare-along").set_value("samples").run()
    assert drawn(page)[0]["layer"][0]["encoding"]["x"]["title"] == "samples seen"


def test_a_chart_has_its_axes_and_no_more_points_than_can_be_seen() -> None:
    many = [Line(f"run {number}", [(step, step % 7) for step in range(20_000)]) for number in range(3)]
    spec = charts.described(many, x="step", y="loss", height=200, stages=[("a", 0, 5), ("b", 5, 9)], best=(3, 4.0))
    line = spec["layer"][0]
    assert len(line["data"]["values"]) <= run_figures.MOST_POINTS
    assert (line["encoding"]["x"]["title"], line["encoding"]["y"]["title"]) == ("step", "loss")
    colours, dashes = (line["encoding"][channel]["scale"]["range"] for channel in ("color", "strokeDash"))
    assert len(set(colours)) == 3 and len({str(dash) for dash in dashes}) == 3
    assert "a" in str(spec["layer"][-1]["data"]) and spec["layer"][-3]["mark"]["shape"] == charts.STAR


def test_the_page_waits_for_no_torch(project: Path) -> None:
    """It takes seconds to import: what needs it is a process of its own."""
    script = (
        "import sys; from trainer_ui.pages import train; "
        "from trainer_ui.services import recipe_settings, recipes, runs, start_models; "
        "recipes.faults(recipes.draft()); recipe_settings.metrics(); start_models.found(); runs.overview(); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'nltk')))"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=project, check=False).returncode == 0
