"""A recipe is valid or refused, with every fault named at once."""

import pytest
import yaml

from engine.errors import UsageError
from engine.training.recipe import read_recipe

STAGE = {"name": "whole", "train": ["connector"], "epochs": 1, "batch_size": 2, "learning_rate": 0.001}


@pytest.fixture
def document(tmp_path):
    for name in ("train.json", "truth.jsonl"):
        (tmp_path / name).write_text("[]")
    return {
        "name": "tiny",
        "output": str(tmp_path / "run"),
        "samples": str(tmp_path / "train.json"),
        "truth": [str(tmp_path / "truth.jsonl")],
        "conversation": "libra_v1",
        "new": {"vision_tower": {"hidden_size": 8}, "language_model": {"hidden_size": 8}},
        "stages": [dict(STAGE)],
    }


def read(tmp_path, document):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(document))
    return read_recipe(path)


def test_a_valid_recipe_is_read(tmp_path, document):
    recipe = read(tmp_path, document)
    assert recipe.stages[0].train == ("connector",)
    assert recipe.lora is None
    assert recipe.stages[0].text
    assert not recipe.stages[0].auxiliary.any
    assert recipe.samples == (tmp_path / "train.json",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"speed": 1}, "unknown setting 'speed'"),
        ({"samples": "nowhere.json"}, "no file nowhere.json"),
        ({"start": "somewhere"}, "exactly one of 'start'"),
        ({"stages": []}, "'stages' is empty"),
        ({"seed": "x"}, "'seed': input should be a valid integer"),
        ({"demonstration": "yes please"}, "'demonstration': input should be a valid boolean"),
        ({"stages": [{**STAGE, "train": ["eyes"]}]}, "stage 1, train: '0': input should be 'vision_tower'"),
        ({"stages": [{**STAGE, "learning_rate": 0}]}, "stage 1: 'learning_rate': input should be greater than 0"),
        ({"stages": [{**STAGE, "learning_rate": "fast"}]}, "'learning_rate': input should be a valid number"),
        ({"stages": [{**STAGE, "warmup": 3}]}, "'warmup': input should be less than 1"),
        ({"stages": [{**STAGE, "optimiser": "magic"}]}, "'optimiser': input should be 'adamw'"),
        ({"stages": [{**STAGE, "lora": {"rank": 4}}]}, "'lora' belongs to the language_model"),
        ({"languages": ["Simplified Chinese"]}, "'Simplified Chinese' is no language; 'en' and 'zh' are"),
        ({"languages": "Chinese"}, "'Chinese' is no language"),
        ({"modalities": "computed tomography"}, "'computed tomography' is no DICOM modality; 'CT' and 'DX' are"),
        ({"stages": [STAGE, STAGE]}, "two stages have the same name"),
        ({"quantization": "nf4", "stages": [{**STAGE, "train": ["language_model"]}]}, "quantised weights cannot learn"),
        ({"validation": {"questions": "none.jsonl"}}, "validation: no file none.jsonl"),
        ({"stages": [{**STAGE, "text": False}]}, "nothing to learn from"),
        ({"stages": [{**STAGE, "auxiliary": {"luck": 1}}]}, "unknown setting 'luck'"),
        ({"stages": [{**STAGE, "auxiliary": {"findings": 1}}], "truth": []}, "need 'truth' files"),
    ],
)
def test_a_fault_is_named(tmp_path, document, change, said):
    with pytest.raises(UsageError, match=said):
        read(tmp_path, {**document, **change})


def test_all_faults_are_named_at_once(tmp_path, document):
    with pytest.raises(UsageError) as caught:
        read(tmp_path, {**document, "speed": 1, "samples": "nowhere.json", "seed": "x"})
    assert all(said in str(caught.value) for said in ("speed", "nowhere.json", "seed"))


@pytest.mark.parametrize("text", ["- 1\n", "a: [\n", "\x00"])
def test_what_is_no_recipe_is_refused(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(UsageError):
        read_recipe(path)
