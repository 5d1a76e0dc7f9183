"""Training through LLaMA-Factory itself, by commands: a run, its end at any moment, what comes of it.

These tests need its environment (`launch.py setup llamafactory`) and are a step of their own (`test --llamafactory`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import factory_runs
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

from engine.cli import main
from engine.datasets.libra import read_answers
from engine.training.run_folder import DONE, STOPPED, RunFolder

pytestmark = pytest.mark.llamafactory


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return factory_runs.slices(tmp_path_factory.mktemp("ct"))


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return factory_runs.qwen2vl(tmp_path_factory.mktemp("models") / "tiny-qwen2-vl")


@pytest.fixture(scope="module")
def whole(qwen: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that nothing has interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERVAL_HOME", str(folder / "home"))
        file = factory_runs.write(folder, factory_runs.recipe(qwen, data))
        assert main(["train", str(file), "--output", str(folder / "run")]) == 0
        assert not list((folder / "home" / "tmp").iterdir())  # no copy of the data is left behind
    return RunFolder(folder / "run")


def start(arguments: list[str], home: Path) -> subprocess.Popen[str]:
    """The command as a process of its own."""
    code = "import sys; from engine.cli import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=factory_runs.TESTS.parent,
        env=os.environ | {"INTERVAL_HOME": str(home)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait(true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for something while the process runs."""
    deadline = time.monotonic() + 300
    while not true():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)


def weights(run: RunFolder) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(run.model / "adapter_model.safetensors")
    return found


def same(one: RunFolder, other: RunFolder) -> bool:
    """Whether two runs ended with the same weights, to the last bit."""
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_leaves_what_every_run_leaves(whole: RunFolder, qwen: Path) -> None:
    state = whole.state()
    assert state is not None and state.state == DONE and state.best is not None and state.best.metric == "ROUGE-L"
    figures = whole.figures()
    losses = [line["loss"] for line in figures if "evaluation" not in line]
    evaluations = [line for line in figures if "evaluation" in line]
    assert losses[-1] < losses[0] and len(evaluations) >= 2
    assert {"loss", "ROUGE-L"} <= set(evaluations[0]["evaluation"]) and any(line["best"] for line in evaluations)
    assert {line["step"] for line in whole.generated()} == {line["step"] for line in evaluations}
    planned = whole.document("forecast.json")["stages"]["adapter"]
    assert {"planned_bytes", "probe_bytes", "peak_bytes"} <= set(planned)
    settings = yaml.safe_load((whole.path / "llamafactory.yaml").read_text())
    assert settings["lora_rank"] == 8 and settings["trust_remote_code"] is False
    about = json.loads((whole.model / "interval.json").read_text())
    assert about["image_max_pixels"] == 589824 and about["image_min_pixels"] == 1024
    made = json.loads((whole.model / "training.json").read_text())
    assert made["versions"]["llamafactory"] == "0.9.5" and made["base"]["name"] == str(qwen)
    assert "by LLaMA-Factory, started by Interval" in (whole.model / "README.md").read_text()
    assert whole.curves.is_file()


def test_what_it_wrote_while_it_was_trained_is_what_it_writes_for_us(
    whole: RunFolder, data: Path, tmp_path: Path
) -> None:
    """Of base and adapter in our engine and of transformers' own generate in LLaMA-Factory's process."""
    state = whole.state()
    assert state is not None and state.best is not None
    lines = (whole.validation / f"adapter-{state.best.step}.jsonl").read_text().splitlines()
    theirs = {line["question_id"]: line["text"] for line in map(json.loads, lines)}
    few = tmp_path / "few.jsonl"
    few.write_text("".join((data / "validation.jsonl").read_text().splitlines(keepends=True)[: len(theirs)]))
    answers = tmp_path / "answers.jsonl"
    command = ["evaluate", "--model", str(whole.model), "--questions", str(few), "--images", str(data)]
    assert main([*command, "--output", str(answers), "--max-new-tokens", "24"]) == 0
    ours = {key: answer.text for key, answer in read_answers(answers).items()}
    assert ours == theirs and all(ours.values())


@pytest.mark.parametrize("how", ["STOP", "SIGTERM", "SIGKILL"])
def test_ended_and_resumed_it_gives_the_same_weights(
    how: str, whole: RunFolder, qwen: Path, data: Path, tmp_path: Path
) -> None:
    file = factory_runs.write(tmp_path, factory_runs.recipe(qwen, data))
    run = RunFolder(tmp_path / "run")
    process = start(["train", str(file), "--output", str(run.path)], tmp_path / "home")
    checkpoint = run.stage("adapter") / "checkpoint-3" / "whole"
    wait(checkpoint.exists, process)
    if how == "STOP":
        run.ask_to_stop()
    else:
        os.kill(process.pid, getattr(signal, how))
    status = process.wait(120)
    state = run.state()
    assert state is not None
    if how == "SIGKILL":
        time.sleep(3)  # its worker notices that nobody listens, and ends
        assert status == -9 and state.state == "running"
    else:
        assert (status, state.state) == (130, STOPPED)
        assert "'train --resume' goes on" in process.communicate()[1]
    assert not run.model.exists()
    assert main(["train", "--resume", str(run.path)]) == 0
    assert same(run, whole)
    steps = [(line["step"], "evaluation" in line) for line in run.figures()]
    assert steps == [(line["step"], "evaluation" in line) for line in whole.figures()]


def test_merged_certified_promoted_drafted_and_taken_back(
    whole: RunFolder, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from engine import paths

    models = tmp_path / "models"
    models.mkdir()
    monkeypatch.setattr(paths, "models", lambda: models)
    merged = tmp_path / "merged"
    questions = ["--questions", str(data / "test.jsonl"), "--images", str(data)]
    assert main(["merge", "--adapter", str(whole.model), "--output", str(merged), *questions]) == 0
    certificate = json.loads((merged / "certificate.json").read_text())
    assert certificate["passed"] and certificate["same_texts"] == certificate["cases"] > 0
    about = json.loads((merged / "interval.json").read_text())
    assert about["image_max_pixels"] == 589824 and "CT" in about["modalities"]
    assert main(["promote", str(merged), "--name", "slice-writer"]) == 0
    capsys.readouterr()
    image = next((data / "images").iterdir())
    assert main(["draft", "--model", str(models / "slice-writer"), "--current", str(image), "--json",
                 "--max-new-tokens", "24"]) == 0  # fmt: skip
    assert json.loads(capsys.readouterr().out)["text"]
    assert main(["promote", "--undo", "slice-writer"]) == 0 and not (models / "slice-writer").exists()


def test_a_film_in_sixteen_bits_and_two_processes(qwen: Path, tmp_path: Path) -> None:
    """What LLaMA-Factory would read as white is learnt as it is shown; two processes agree when to stop."""
    import numpy as np

    from engine.datasets.ct_phantoms import draw, sample_patient

    rows: list[dict[str, Any]] = []
    for number in range(8):
        grey = draw(sample_patient(number).slices[0], 84).astype(np.uint16)
        Image.fromarray(grey * 17 + 900).save(tmp_path / f"{number}.png")
        talk = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A slice of a chest."}]
        rows.append({"id": f"n{number}", "image": f"{number}.png", "patient": f"p{number}", "conversations": talk})
    (tmp_path / "train.json").write_text(json.dumps(rows))
    document = factory_runs.recipe(qwen, tmp_path, llamafactory={"processes": 2}, stage={"accumulate": 1, "epochs": 6})
    document |= {"validation": None}
    file = factory_runs.write(tmp_path, document)
    run = RunFolder(tmp_path / "run")
    process = start(["train", str(file), "--output", str(run.path)], tmp_path / "home")
    wait((run.stage("adapter") / "checkpoint-3" / "whole").exists, process)
    run.ask_to_stop()
    assert process.wait(120) == 130
    assert main(["train", "--resume", str(run.path)]) == 0
    losses = [line["loss"] for line in run.figures()]
    assert losses[-1] < losses[0] and run.figures()[-1]["step"] == 12  # two processes, two samples each


def test_what_it_says_of_settings_it_does_not_know_is_told(
    qwen: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = factory_runs.recipe(qwen, data, llamafactory={"settings": {"use_magic": True}})
    file = factory_runs.write(tmp_path, document)
    assert main(["train", str(file), "--output", str(tmp_path / "run")]) == 3
    said = capsys.readouterr().err
    assert "LLaMA-Factory cannot train this (ValueError" in said and "llamafactory.log" in said
    assert "use_magic" in (tmp_path / "run" / "llamafactory.log").read_text()
