"""What LLaMA-Factory is given: ids and labels as in drafting, pictures as the viewer shows them, settings."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import factory_runs
import numpy as np
import pytest
from PIL import Image

from engine.datasets.ct_phantoms import draw, sample_patient
from engine.datasets.libra import Question, TrainingSample, read_training
from engine.errors import DatasetError, ModelError, UsageError
from engine.imaging import Reader, to_pil
from engine.models.checkpoint import load_model
from engine.models.tokens import IMAGE_TOKEN
from engine.training.factory import material
from engine.training.factory.settings import settings
from engine.training.labels import label_whole, learnt_text
from engine.training.preview import Reader as Preview
from engine.training.preview import forecast, look_at
from engine.training.recipe import DECIDED, Factory, parse_recipe, read_recipe

MODELS = {"qwen2vl": factory_runs.qwen2vl, "llava": factory_runs.llava}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return factory_runs.slices(tmp_path_factory.mktemp("ct"), 6)


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return MODELS[request.param](tmp_path_factory.mktemp("model") / request.param)


@pytest.mark.parametrize("images", [1, 2])
def test_a_conversation_begins_with_the_ids_of_a_draft(model: Path, images: int) -> None:
    _, wording = look_at(model, Factory())
    loaded = load_model(model)
    sizes = [(90, 70), (60, 84)][:images]
    turns = [("Is there a <|im_end|> nodule?</s>", "No nodule."), ("And now?", "Still none.")]
    found = label_whole(wording, turns, sizes)
    earlier = [(wording_text(loaded, q), a) for q, a in turns]
    _, asked = loaded.ask(earlier[0][0], has_prior=images > 1)
    counts = iter([wording.positions(*size) for size in sizes])
    prompt = [i for token in asked for i in ([wording.image_id] * next(counts) if token == IMAGE_TOKEN else [token])]
    assert list(found.ids[: len(prompt)]) == prompt == wording.prompt(turns[0][0], sizes)
    assert all(label == -100 for label in found.labels[: len(prompt)])
    assert loaded.positions(asked, list(sizes)) == len(prompt)
    learnt = "".join(text for text, keep in learnt_text(wording.tokenizer, found, wording.image_id) if keep)
    assert learnt.replace(wording.template.stop, "|").replace(" ", "") == "Nonodule.|Stillnone.|"


def wording_text(loaded: Any, text: str) -> str:
    from engine.models.tokens import as_plain_text

    return as_plain_text(loaded.tokenizer, text)


def test_two_images_stand_prior_first(tmp_path: Path) -> None:
    _, wording = look_at(factory_runs.qwen2vl(tmp_path / "model"), Factory())
    current, prior = (Path(tmp_path / name) for name in ("current.png", "prior.png"))
    grey = draw(sample_patient(3).slices[0], 112)
    Image.fromarray(grey[:56]).save(current)
    Image.fromarray(grey[:56, :56]).save(prior)
    shown = material.pictures([current, prior], tmp_path / "written")
    sample = TrainingSample("a", (current, prior), (("<image>\nCompare.", "Unchanged."),))
    found, placed = material.labelled(wording, sample, shown)
    assert [one.file.name for one in placed] == ["prior.png", "current.png"]
    assert found.ids.count(wording.image_id) == 2 * 2 + 4 * 2
    again = TrainingSample("a", (current, current), (("<image>\nLook.", "Clear."),))  # how Libra says: no prior
    assert len(material.labelled(wording, again, shown)[1]) == 1


def test_pictures_are_what_the_viewer_shows(tmp_path: Path) -> None:
    """A plain file is taken as it is; 16 bits, transparency and a turned photograph are written as they are shown."""
    grey = draw(sample_patient(3).slices[0], 84)
    plain, deep, clear, turned = (tmp_path / name for name in ("plain.png", "deep.png", "clear.png", "turned.jpg"))
    Image.fromarray(grey).save(plain)
    Image.fromarray(grey.astype(np.uint16) * 40).save(deep)
    Image.fromarray(np.dstack([grey, grey, grey, 255 - grey // 4])).save(clear)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(grey[:60]).save(turned, exif=exif)
    files = [plain, deep, clear, turned]
    shown = material.pictures(files, tmp_path / "written")
    assert shown[plain].file == plain and all(shown[one].file.parent.name == "written" for one in files[1:])
    with Reader() as reader:
        for file in files:
            wanted = to_pil(reader.read(file)).convert("RGB")
            with Image.open(shown[file].file) as opened:
                assert np.array_equal(np.asarray(opened.convert("RGB")), np.asarray(wanted))
            assert shown[file].size == wanted.size
    with pytest.raises(DatasetError, match=r"training image cannot be used: .*gone\.png"):
        material.pictures([tmp_path / "gone.png"], tmp_path / "written")


def test_what_is_too_long_is_refused_or_left_out_by_name(model: Path, data: Path, tmp_path: Path) -> None:
    _, wording = look_at(model, Factory())
    samples = read_training(data / "train.json")[:4]
    samples[1] = TrainingSample("long", samples[1].images, ((samples[1].turns[0][0], "very " * 400),))
    shown = material.pictures(sorted({path for one in samples for path in one.images}), tmp_path / "written")
    file = tmp_path / "samples.jsonl"
    with pytest.raises(DatasetError, match="1 conversations are longer") as error:
        material.write_samples(file, wording, samples, shown, room=700, leave_out=False)
    assert error.value.rows[0][0] == 2 and "there is room for 700" in error.value.rows[0][1]
    written = material.write_samples(file, wording, samples, shown, room=700, leave_out=True)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert (written.count, written.left_out, len(rows)) == (3, ("long",), 3)
    assert max(len(row["input_ids"]) for row in rows) == written.longest <= 700
    assert all(len(row["labels"]) == len(row["input_ids"]) for row in rows)
    empty = TrainingSample("empty", samples[0].images, ((samples[0].turns[0][0], " "),))
    with pytest.raises(DatasetError, match="Sample empty cannot be learnt"):
        material.write_samples(file, wording, [empty], shown, room=700, leave_out=True)


def test_questions_are_the_prompts_of_drafts(model: Path, data: Path, tmp_path: Path) -> None:
    _, wording = look_at(model, Factory())
    image = next((data / "images").iterdir())
    shown = material.pictures([image], tmp_path / "written")
    material.write_questions(tmp_path / "q.jsonl", wording, [Question("a", (image,), "Is it the chest?")], shown)
    (row,) = [json.loads(line) for line in (tmp_path / "q.jsonl").read_text().splitlines()]
    assert row["input_ids"] == wording.prompt("Is it the chest?", [(84, 84)]) and row["images"] == [str(image)]


def test_the_limits_of_the_recipe_decide_how_much_a_picture_costs(tmp_path: Path) -> None:
    """A film of 2544 x 3056 pixels: 750 positions as LLaMA-Factory shrinks it, not 9,919."""
    model = factory_runs.qwen2vl(tmp_path / "model")
    assert look_at(model, Factory())[1].positions(2544, 3056) == 750
    assert look_at(model, Factory(image_max_pixels=262144))[1].positions(2544, 3056) < 350


SETTINGS = """
name: tiny
start: {model}
samples: {data}/train.json
quantization: nf4
gradient_checkpointing: "on"
llamafactory: {{flash_attn: sdpa, settings: {{use_dora: true}}}}
stages:
  - {{name: a, train: [language_model, vision_tower], lora: {{rank: 8, alpha: 16}}, epochs: 3, batch_size: 2,
     accumulate: 8, learning_rate: 0.00005, optimiser: paged_adamw_8bit, warmup: 0, schedule: linear}}
"""


def made(recipe_text: str, family: str = "qwen2-vl", **how: Any) -> dict[str, Any]:
    recipe = parse_recipe(recipe_text, "recipe")
    given = {"output": Path("/o"), "tokenized": Path("/t/x"), "room": 512, "cuda": True, "checkpointing": True} | how
    return settings(recipe, family, **given)


def test_a_recipe_is_llama_factorys_settings(data: Path, tmp_path: Path) -> None:
    text = SETTINGS.format(model=tmp_path, data=data)
    found = made(text)
    wanted = {
        "stage": "sft", "do_train": True, "finetuning_type": "lora", "lora_rank": 8, "lora_alpha": 16,
        "lora_target": "all", "freeze_vision_tower": False, "freeze_multi_modal_projector": True,
        "quantization_bit": 4, "quantization_method": "bnb", "double_quantization": True,
        "per_device_train_batch_size": 2, "gradient_accumulation_steps": 8, "learning_rate": 0.00005,
        "num_train_epochs": 3, "lr_scheduler_type": "linear", "warmup_steps": 0, "optim": "paged_adamw_8bit",
        "bf16": True, "use_cpu": False, "disable_gradient_checkpointing": False, "image_max_pixels": 589824,
        "use_fast_tokenizer": False, "flash_attn": "sdpa", "use_dora": True, "report_to": "none",
        "trust_remote_code": False, "template": "qwen2_vl", "eval_strategy": "no",
    }  # fmt: skip
    assert {key: found[key] for key in wanted} == wanted
    assert "val_size" not in found and "push_to_hub" not in found
    cpu = made(text, "llava", cuda=False, checkpointing=False)
    assert (cpu["bf16"], cpu["use_cpu"], cpu["disable_gradient_checkpointing"]) == (False, True, True)
    assert cpu["template"] == "llava"
    with pytest.raises(UsageError, match="not libra-tac"):
        made(text, "libra-tac")


def test_what_the_recipe_or_the_program_decides_cannot_be_set_past_them(data: Path, tmp_path: Path) -> None:
    text = SETTINGS.format(model=tmp_path, data=data)
    assert set(made(text)) - DECIDED <= {
        "use_dora",
        "dataloader_num_workers",
        "logging_first_step",
        "logging_nan_inf_filter",
    }
    for key in sorted(DECIDED):
        with pytest.raises(UsageError, match=f"'{key}' is not for its settings"):
            parse_recipe(text.replace("use_dora", key), "recipe")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("name: tiny", "name: tiny\nconversation: vicuna_v1"), "'conversation' means nothing to LLaMA-Factory"),
        (("vision_tower]", "connector]"), "puts no LoRA on the connector"),
        (("paged_adamw_8bit", "muon"), "Muon is another one"),
        (("warmup: 0", "connector_learning_rate: 1"), "one learning rate"),
        (("flash_attn: sdpa", "image_min_pixels: 600000"), "image_min_pixels is more than image_max_pixels"),
        (("flash_attn: sdpa", "flash_attn: fast"), "flash_attn"),
        (("flash_attn: sdpa", "lora: 3"), "unknown setting 'lora'"),
    ],
)
def test_what_llama_factory_cannot_do_is_refused_while_reading(
    change: tuple[str, str], words: str, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        parse_recipe(SETTINGS.format(model=tmp_path, data=data).replace(*change), "recipe")


def test_a_model_that_is_trained_by_the_other_is_said_so(model: Path, project: Path) -> None:
    with pytest.raises(ModelError, match="say 'llamafactory"):
        Preview(model)
    with pytest.raises(ModelError, match="Leave 'llamafactory' out"):
        Preview(project / "models" / "demo-tac", factory=Factory())


def test_the_preview_shows_what_is_learnt_and_the_memory_is_planned(model: Path, data: Path, tmp_path: Path) -> None:
    reader = Preview(model, factory=Factory())
    sample = read_training(data / "train.json")[0]
    shown = reader.show(sample)
    assert [text for text, _ in shown.pieces].count("<image>") == 1
    learnt = "".join(text for text, keep in shown.pieces if keep)
    assert sample.turns[0][1].split()[0] in learnt and "Describe" not in learnt
    assert 0 < shown.images < shown.positions and 0 < shown.learnt < shown.positions - shown.images
    document = factory_runs.recipe(model, data)
    plain = forecast(read_recipe(factory_runs.write(tmp_path / "a", document)))[0]
    wide = forecast(read_recipe(factory_runs.write(tmp_path / "b", document | {"stages": [
        document["stages"][0] | {"train": ["language_model", "vision_tower"]}]})))[0]  # fmt: skip
    whole = forecast(read_recipe(factory_runs.write(tmp_path / "c", document | {"stages": [
        {key: value for key, value in document["stages"][0].items() if key != "lora"}]})))[0]  # fmt: skip
    assert 0 < plain.learning < wide.learning < whole.learning and plain.needed < whole.needed and plain.fits


def test_the_check_says_that_the_environment_is_not_there(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from engine.cli import main

    monkeypatch.setenv("INTERVAL_ENVIRONMENTS", str(tmp_path / "nowhere"))
    model = factory_runs.qwen2vl(tmp_path / "model")
    file = factory_runs.write(tmp_path, factory_runs.recipe(model, data))
    assert main(["train", str(file), "--check"]) == 3
    said = capsys.readouterr().out
    assert "LLaMA-Factory is not set up. 'python launch.py setup llamafactory' does it" in said
    assert said.count("error ") == 1
    assert main(["train", str(file), "--output", str(tmp_path / "run")]) == 2
    assert main(["setup", "llamafactory", "--check"]) == 3


def test_the_worker_needs_nothing_of_this_program(project: Path) -> None:
    """It is run by another Python, in which this program's modules must not be looked for."""
    import subprocess

    worker = project / "engine" / "training" / "factory" / "worker.py"
    code = f"import runpy; runpy.run_path({str(worker)!r})"
    assert subprocess.run([sys.executable, "-P", "-S", "-c", code], check=False).returncode == 0
