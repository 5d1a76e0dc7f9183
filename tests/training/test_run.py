"""A whole run, small: phantoms in, a model folder out that the engine drafts with."""

import json

import pytest
import yaml

from engine import Comparison, Decoding, Engine
from engine.cli import main
from engine.datasets.phantoms import write_training
from engine.errors import DatasetError, UsageError
from engine.training.run import run

TOWER = {"hidden_size": 16, "num_hidden_layers": 12, "num_attention_heads": 2, "image_size": 112, "patch_size": 14}
LANGUAGE = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}
AUXILIARY = {"findings": 1.0, "regions": 1.0}
STAGES = [
    {"name": "tower", "train": ["vision_tower"], "text": False, "epochs": 1, "batch_size": 4, "learning_rate": 0.001,
     "auxiliary": AUXILIARY},
    {"name": "whole", "train": ["vision_tower", "connector", "language_model"], "epochs": 2, "batch_size": 4,
     "learning_rate": 0.001, "optimiser": "muon", "auxiliary": {**AUXILIARY, "change": 1.0}},
]  # fmt: skip


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms")
    write_training(folder / "set", 12, seed=3, size=96, workers=1)
    return folder / "set"


@pytest.fixture
def recipe(tmp_path, phantoms):
    def write(**changes):
        document = {
            "name": "tiny",
            "output": str(tmp_path / "run"),
            "seed": 7,
            "samples": str(phantoms / "train.json"),
            "truth": str(phantoms / "truth.jsonl"),
            "conversation": "libra_v1",
            "demonstration": True,
            "license": "apache-2.0",
            "new": {"vision_tower": TOWER, "language_model": LANGUAGE, "vocabulary": 420},
            "stages": STAGES,
            **changes,
        }
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(document))
        return path

    return write


def test_a_trained_model_drafts(recipe, phantoms, tmp_path, capsys):
    assert main(["train", str(recipe()), "--json"]) == 0
    folder = tmp_path / "run" / "model"
    assert json.loads(capsys.readouterr().out) == {"run": str(folder.parent), "model": str(folder)}
    stages = [json.loads(line)["stage"] for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert {"tower", "whole"} == set(stages)

    made = json.loads((folder / "training.json").read_text())
    assert made["recipe"]["seed"] == 7
    assert made["data"].keys() == {"train.json", "truth.jsonl"}
    assert made["stages"]["whole"]["step"] == 6
    assert made["stages"]["whole"]["text_loss"] > 0

    images = sorted((phantoms / "images").glob("*-prior.png"))
    current = images[0].with_name(images[0].name.replace("-prior", ""))
    engine = Engine.load(folder)
    assert engine.info.demonstration
    draft = engine.draft(Comparison.open(current, images[0]), decoding=Decoding(max_new_tokens=5))
    assert 0 < len(draft.token_ids) <= 5

    continued = recipe(new=None, start=str(folder), output=str(tmp_path / "again"), stages=STAGES[:1])
    assert run(continued) == tmp_path / "again" / "model"


def test_the_same_recipe_gives_the_same_weights(recipe, tmp_path):
    first = run(recipe(output=str(tmp_path / "one"), stages=STAGES[:1]))
    second = run(recipe(output=str(tmp_path / "two"), stages=STAGES[:1]))
    for name in ("model.safetensors", "dinov2/model.safetensors"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_a_run_never_writes_into_an_old_one(recipe, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "log.jsonl").write_text("kept")
    with pytest.raises(UsageError, match="already holds a run"):
        run(recipe())
    assert (tmp_path / "run" / "log.jsonl").read_text() == "kept"


def test_a_missing_image_is_named_before_training(recipe, phantoms, tmp_path):
    samples = json.loads((phantoms / "train.json").read_text())
    samples[0]["image"] = "images/gone.png"
    (phantoms / "broken.json").write_text(json.dumps(samples))
    with pytest.raises(DatasetError, match=r"gone\.png"):
        run(recipe(samples=str(phantoms / "broken.json")))
    assert not (tmp_path / "run" / "stages").exists()
