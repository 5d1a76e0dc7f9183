"""LoRA on the demonstration model: what is written, what is chosen, what goes wrong, and what a resumed run gives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from adaptation_runs import PROJECT, lora_recipe, make_phantoms, read_lines, write_recipe
from safetensors.torch import load_file

from engine import Comparison, Decoding, Engine
from engine.datasets.libra import read_questions, read_training
from engine.errors import Cancelled, DatasetError, ModelError, UsageError
from engine.jobs import files
from engine.training.presets import presets
from engine.training.preview import Reader, forecast
from engine.training.recipe import parse_recipe, read_recipe
from engine.training.run import resume, run
from engine.training.run_folder import FAILED, RunFolder


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_phantoms(tmp_path_factory.mktemp("site-b"))


@pytest.fixture(scope="module")
def whole(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, float]]]:
    """The folder of a run that nobody interrupted, and what it reported."""
    place = tmp_path_factory.mktemp("whole")
    shown: list[dict[str, float]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERVAL_HOME", str(place / "home"))
        model = run(
            write_recipe(place, lora_recipe(phantoms)), place / "run", lambda stage, figures: shown.append(figures)
        )
    assert model == place / "run" / "model"
    return place / "run", shown


def tensors(model: Path) -> dict[str, torch.Tensor]:
    return load_file(model / "adapter_model.safetensors") | torch.load(
        model / "non_lora_trainables.bin", weights_only=True
    )


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_a_run_leaves_an_adapter_its_best_weights_and_its_records(
    phantoms: Path, whole: tuple[Path, list[dict[str, float]]]
) -> None:
    path, shown = whole
    folder, model = RunFolder(path), path / "model"
    lines = read_lines(folder.log)
    evaluations = [line for line in lines if "evaluation" in line]
    assert [line["step"] for line in evaluations] == [4, 8, 10]
    best = max(evaluations, key=lambda line: line["evaluation"]["ROUGE-L"])
    state = folder.state()
    assert state is not None and state.best is not None
    assert (state.state, state.best.step, state.best.value) == ("done", best["step"], best["evaluation"]["ROUGE-L"])
    kept = load_file(folder.stage("adapt") / "best" / "trainable.safetensors")
    written = tensors(model)
    for name, tensor in kept.items():
        if "lora_A" in name:
            file_name = name.replace("model.language_model.", "base_model.model.").replace(".default.", ".")
            assert torch.equal(written[file_name], tensor)

    assert {line["step"] for line in read_lines(folder.samples)} == {4, 8, 10}
    assert all(line["reference"] and isinstance(line["text"], str) for line in read_lines(folder.samples))
    assert folder.curves.read_text().startswith("<?xml")
    assert "ROUGE-L" in (model / "README.md").read_text()
    assert json.loads((model / "training.json").read_text())["base"]["name"] == "demo-tac"
    assert shown[-1]["steps"] == 10

    questions = read_questions(phantoms / "held-out" / "eval.jsonl")
    pair = next(question for question in questions if len(question.images) == 2)
    engine = Engine.load(model)
    assert (engine.info.adapter, engine.info.demonstration) == ("model", True)
    assert engine.draft(Comparison.open(*pair.images), decoding=Decoding(max_new_tokens=4)).token_ids


def test_a_killed_run_that_is_resumed_gives_the_weights_of_one_that_was_not(
    phantoms: Path, tmp_path: Path, whole: tuple[Path, list[dict[str, float]]]
) -> None:
    recipe = write_recipe(tmp_path / "killed", lora_recipe(phantoms))
    folder = RunFolder(tmp_path / "killed" / "run")
    command = [
        sys.executable,
        str(PROJECT / "launch.py"),
        "--no-venv",
        "train",
        str(recipe),
        "--output",
        str(folder.path),
    ]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
    deadline = time.monotonic() + 240
    while not (folder.stage("adapt") / "checkpoint-4").is_dir():
        assert child.poll() is None and time.monotonic() < deadline, "the run ended before its first checkpoint"
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    state = folder.state()
    assert state is not None and state.state == "running", "nobody could say more"
    assert not folder.model.exists()
    assert resume(folder.path) == folder.model
    assert same(tensors(whole[0] / "model"), tensors(folder.model))
    with pytest.raises(UsageError, match="finished"):
        resume(folder.path)


def test_a_run_that_was_asked_to_stop_goes_on_as_if_it_had_not_been(phantoms: Path, tmp_path: Path) -> None:
    document = lora_recipe(phantoms, validation=None, stage={"optimiser": "muon", "checkpoint_every": 100})
    unstopped = run(write_recipe(tmp_path / "whole", document), tmp_path / "whole" / "run")
    folder = RunFolder(tmp_path / "stopped" / "run")

    def stop(stage: str, figures: dict[str, float]) -> None:
        if stage == "adapt":
            folder.ask_to_stop()

    with pytest.raises(Cancelled):
        run(write_recipe(tmp_path / "stopped", document), folder.path, stop)
    state = folder.state()
    assert state is not None and state.state == "stopped"
    assert [file.name for file in folder.stage("adapt").glob("checkpoint-*")] == ["checkpoint-2"]
    assert not list(folder.path.rglob("*.partial"))
    assert same(tensors(unstopped), tensors(resume(folder.path)))


def test_a_run_of_which_only_the_file_says_that_it_is_to_stop_stops(
    phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the interrupt that goes with it was lost."""
    job = tmp_path / "job"
    job.mkdir()
    monkeypatch.setenv(files.VARIABLE, str(job))
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(Cancelled):
        run(
            write_recipe(tmp_path, lora_recipe(phantoms, validation=None)),
            folder.path,
            lambda stage, figures: (job / files.STOP).touch(),
        )
    state = folder.state()
    assert state is not None and state.state == "stopped" and 0 < state.step < state.steps
    (job / files.STOP).unlink()
    assert resume(folder.path) == folder.model


def test_the_memory_that_was_forecast_after_three_steps_is_what_was_taken(phantoms: Path, tmp_path: Path) -> None:
    document = lora_recipe(phantoms, validation=None, stage={"epochs": 3, "batch_size": 10, "accumulate": 1})
    run(write_recipe(tmp_path, document), tmp_path / "run")
    seen = RunFolder(tmp_path / "run").document("forecast.json")["stages"]["adapt"]
    assert abs(seen["probe_bytes"] - seen["peak_bytes"]) <= 0.15 * seen["peak_bytes"]
    assert not seen["checkpointing"]
    [planned] = forecast(read_recipe(tmp_path / "recipe.yaml"))
    assert planned.fits and abs(planned.needed - seen["planned_bytes"]) < 0.05 * seen["planned_bytes"]


def test_activations_computed_twice_change_nothing(phantoms: Path, tmp_path: Path) -> None:
    # no dropout: recomputing draws the same numbers, but the order of the draws is not the same
    base = lora_recipe(phantoms, validation=None, stage={"epochs": 0.4, "lora": {"rank": 4, "alpha": 8}})
    results = [
        run(write_recipe(tmp_path / name, {**base, "gradient_checkpointing": name}), tmp_path / name / "run")
        for name in ("on", "off")
    ]
    one, two = map(tensors, results)
    assert all(torch.allclose(one[name], two[name], atol=1e-6) for name in one)


def test_a_patient_in_both_files_is_refused_with_the_list(phantoms: Path, tmp_path: Path) -> None:
    document = lora_recipe(phantoms)
    document["validation"]["questions"] = str(phantoms / "train" / "eval.jsonl")
    with pytest.raises(DatasetError) as caught:
        run(write_recipe(tmp_path, document), tmp_path / "run")
    assert len(caught.value.rows) >= 4
    state = RunFolder(tmp_path / "run").state()
    assert state is not None and state.state == "failed" and state.message == str(caught.value)


def test_long_conversations_are_refused_or_left_out(phantoms: Path, tmp_path: Path) -> None:
    short = lora_recipe(phantoms, validation=None, max_length=150, stage={"epochs": 0.5})
    with pytest.raises(DatasetError) as caught:
        run(write_recipe(tmp_path, short), tmp_path / "run")
    assert "room for 150" in caught.value.rows[0][1]
    run(write_recipe(tmp_path, {**short, "too_long": "leave out"}), tmp_path / "again")
    counts = RunFolder(tmp_path / "again").document("data.json")
    assert counts["left_out"] == len(caught.value.rows) and counts["samples"] + counts["left_out"] == 20


def test_several_turns_are_learnt(phantoms: Path, tmp_path: Path) -> None:
    samples = json.loads((phantoms / "train" / "train.json").read_text())[:4]
    for sample in samples:
        sample["conversations"] += [{"from": "human", "value": "Any device?"}, {"from": "gpt", "value": "None."}]
    (phantoms / "train" / "turns.json").write_text(json.dumps(samples))
    document = lora_recipe(
        phantoms, validation=None, samples=str(phantoms / "train" / "turns.json"), stage={"epochs": 1}
    )
    assert run(write_recipe(tmp_path, document), tmp_path / "run").is_dir()


@pytest.mark.parametrize("change", [{"quantization": "nf4"}, {"dtype": "bfloat16"}])
def test_smaller_precisions_train(phantoms: Path, tmp_path: Path, change: dict[str, str]) -> None:
    document = lora_recipe(phantoms, stage={"epochs": 1, "learning_rate": 0.005}, **change)
    model = run(write_recipe(tmp_path, document), tmp_path / "run")
    losses = [line["loss"] for line in read_lines(tmp_path / "run" / "log.jsonl") if "loss" in line]
    assert all(loss == loss and loss < 20 for loss in losses)
    assert all(tensor.dtype == torch.float32 for tensor in tensors(model).values())


def test_a_sample_is_shown_as_the_model_gets_it(phantoms: Path) -> None:
    sample = read_training(phantoms / "train" / "train.json")[0]
    shown = Reader(PROJECT / "models" / "demo-tac").show(sample)
    assert [text for text, _ in shown.pieces].count("<image>") == 1
    learnt = "".join(text for text, learns in shown.pieces if learns)
    assert learnt == sample.turns[0][1] + "</s>"
    assert shown.learnt < shown.positions < shown.room


def test_the_recipes_to_begin_with_are_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    found = presets()
    assert {"demo-site-c", "libra-stage-1", "libra-stage-2", "small-data", "demo"} <= {one.key for one in found}
    monkeypatch.setattr(Path, "is_file", lambda path: True)  # the data sets they name are still to be made
    for preset in found:
        assert preset.title and preset.help
        assert parse_recipe(preset.text, preset.key).stages


def test_a_metric_of_ones_own_chooses_and_ends_a_stage_that_no_longer_gets_better(
    phantoms: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(
        "calls = []\ndef score(references, answers):\n    calls.append(len(answers))\n    return -len(calls)\n"
    )
    document = lora_recipe(phantoms, stage={"epochs": 6})
    document["validation"] |= {"metric": f"{tmp_path / 'mine.py'}:score", "patience": 2, "every": 2, "limit": 2}
    run(write_recipe(tmp_path, document), tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    state = folder.state()
    assert state is not None and state.best is not None
    assert (state.best.step, state.best.value) == (2, -1.0)
    evaluated = [line["step"] for line in read_lines(folder.log) if "evaluation" in line]
    assert evaluated == [2, 4, 6], "of 30 steps"


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    """Nothing of it is kept as a result, and what to do is said."""
    document = lora_recipe(make_phantoms(tmp_path / "phantoms", 8, 2), stage={"learning_rate": 1e30, "warmup": 0})
    document["stages"][0]["connector_learning_rate"] = 1e30
    del document["validation"]
    with pytest.raises(ModelError, match="no number any more at step"):
        run(write_recipe(tmp_path, document), tmp_path / "run")
    state = RunFolder(tmp_path / "run").state()
    assert state is not None and state.state == FAILED and "Lower the learning rate" in state.message
    assert not (tmp_path / "run" / "model").exists()
