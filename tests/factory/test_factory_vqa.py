"""LLaVA through LLaMA-Factory on short questions: trained, asked before and after, judged by two judges."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import factory_runs
import pytest

sys.path.insert(0, str(factory_runs.TESTS / "evaluation"))

import judge_server
import tiny_judges

from engine.cli import main
from engine.training.run_folder import RunFolder

pytestmark = pytest.mark.llamafactory


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Slices whose questions to learn from stand in one conversation each."""
    folder = factory_runs.slices(tmp_path_factory.mktemp("ct"), 12)
    joined = folder / "joined.json"
    source = str(folder / "questions-train.json")
    assert main(["data", "convert", source, str(joined), "--to", "libra", "--join-questions", "4"]) == 0
    return folder


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return factory_runs.llava(tmp_path_factory.mktemp("models") / "tiny-llava")


@pytest.fixture(scope="module")
def run(data: Path, llava: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("vqa")
    document = factory_runs.recipe(
        llava, data, "questions-", name="tiny-llava-ct", samples=str(data / "joined.json"),
        validation={"metric": "vqa_score", "limit": 8, "max_new_tokens": 16},
        stage={"learning_rate": 0.01}, quantization="nf4",
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERVAL_HOME", str(folder / "home"))
        file = factory_runs.write(folder, document)
        assert main(["train", str(file), "--output", str(folder / "run")]) == 0
    return RunFolder(folder / "run")


@pytest.fixture
def server() -> Iterator[judge_server.Server]:
    with judge_server.running() as found:
        yield found


def test_it_learns_and_is_chosen_by_what_it_answers(run: RunFolder) -> None:
    figures = run.figures()
    losses = [line["loss"] for line in figures if "evaluation" not in line]
    assert losses[-1] < losses[0]
    assert all("vqa_score" in line["evaluation"] for line in figures if "evaluation" in line)
    assert "quantization_bit: 4" in (run.path / "llamafactory.yaml").read_text()


def test_before_and_after_are_compared_and_judged(
    run: RunFolder, llava: Path, data: Path, tmp_path: Path, server: judge_server.Server
) -> None:
    questions = tmp_path / "test.jsonl"
    lines = (data / "questions-test.jsonl").read_text().splitlines(keepends=True)
    questions.write_text("".join(lines[:12]))
    folder = tmp_path / "evaluation"
    command = ["evaluate", "--model", str(run.model), "--questions", str(questions), "--images", str(data)]
    assert main([*command, "--output", str(folder), "--max-new-tokens", "16", "--judge", server.url]) == 0
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["task"] == "vqa" and "vqa_closed_accuracy" in scores["headline"]
    for name in ("pretrained", "finetuned"):
        found = json.loads((folder / f"evaluation_{name}.json").read_text())
        assert found["total_responses"] == 12
    assert len(server.bodies) >= 12 and all(body["temperature"] == 0 for body in server.bodies)

    # The same answers by another judge: a tiny model of this machine, which says nothing that can be read.
    judge = tiny_judges.chat_template(tiny_judges.plain(tmp_path / "judge"))
    assert main(["score", str(folder), "--judge", str(judge)]) == 0
    found = json.loads((folder / "evaluation_finetuned.json").read_text())
    assert found["total_responses"] == 12 and found["invalid_format_rate"] == 1.0


def test_merged_it_answers_the_same(run: RunFolder, data: Path, tmp_path: Path) -> None:
    merged = tmp_path / "merged"
    questions = ["--questions", str(data / "questions-test.jsonl"), "--images", str(data)]
    assert main(["merge", "--adapter", str(run.model), "--output", str(merged), *questions]) == 0
    certificate = json.loads((merged / "certificate.json").read_text())
    assert certificate["passed"] and certificate["same_texts"] == certificate["cases"]


def test_all_weights_can_learn_as_well(data: Path, llava: Path, tmp_path: Path) -> None:
    """The result is a whole model in the layout of the hub, which needs no base."""
    joined = str(data / "joined.json")
    document = factory_runs.recipe(llava, data, "questions-", samples=joined, validation={"metric": "loss"})
    del document["stages"][0]["lora"]
    document["stages"][0] |= {"learning_rate": 0.0005, "train": ["language_model", "connector"]}
    file = factory_runs.write(tmp_path, document)
    run = RunFolder(tmp_path / "run")
    assert main(["train", str(file), "--output", str(run.path)]) == 0
    assert not (run.model / "adapter_config.json").exists() and (run.model / "tokenizer.json").is_file()
    assert json.loads((run.model / "interval.json").read_text())["modalities"] == ["CT"]
    image = next((data / "images").iterdir())
    assert main(["draft", "--model", str(run.model), "--current", str(image), "--max-new-tokens", "4"]) == 0
