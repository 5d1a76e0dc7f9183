"""LLaVA: what plain transformers computes, from every layout, with and without an adapter."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_multimodal
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_multimodal import Plain

from engine.decoding.choosing import Outcome, Settings
from engine.decoding.generate import generate
from engine.decoding.session import Session
from engine.errors import ModelError
from engine.models import configs, llava
from engine.models.checkpoint import load_model
from engine.models.llava import LoadedLlava
from engine.models.preprocessing import Bounds, Padding, prepare
from engine.models.recognition import examine

QUESTION = "What has changed?"
TARGETS = ("q_proj", "v_proj", "down_proj")
SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions. "
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny LLaVA in the hub's layout."""
    return tiny_multimodal.llava(tmp_path / "models" / "tiny")


@pytest.fixture
def adapter(folder: Path) -> Path:
    """An adapter beside it, which names it."""
    return tiny_multimodal.adapter(folder, folder.parent / "adapter", TARGETS)


@pytest.fixture(scope="module")
def pictures() -> tuple[Image.Image, Image.Image]:
    """A current and a prior picture of different shapes."""
    stream = np.random.default_rng(3)
    sizes = ((100, 80), (60, 90))
    coarse = [Image.fromarray(stream.integers(0, 256, (9, 7)).astype(np.uint8)) for _ in sizes]
    first, second = (picture.resize(size) for picture, size in zip(coarse, sizes, strict=True))
    return first, second


def load(path: Path, **options: Any) -> LoadedLlava:
    loaded = load_model(path, dtype="float32", device="cpu", **options)
    assert isinstance(loaded, LoadedLlava)
    return loaded


def answer(loaded: LoadedLlava, pictures: list[Image.Image], beams: int = 1) -> list[int]:
    """The ids the engine's decoding gives for one picture, or for a current one and its prior."""
    _, ids = loaded.ask(QUESTION, has_prior=len(pictures) == 2)
    put = loaded.embed(ids, *(loaded.see(picture) for picture in pictures), *[None] * (2 - len(pictures)))
    session = Session(loaded.language_model, put.embeddings, put.positions, put.next_position)
    *_, outcome = generate(session, ids, Settings(16, loaded.stop_ids, beams), lambda found: False)
    assert isinstance(outcome, Outcome)
    return list(outcome.sequences[0].token_ids)


def problems(path: Path, **options: Any) -> str:
    return " | ".join(examine(path, **options).problems)


def edit(file: Path, **changes: Any) -> None:
    content = json.loads(file.read_text()) | changes
    tiny_multimodal.write_json(file, {key: value for key, value in content.items() if value is not ...})


@pytest.mark.parametrize("shown", [2, 1])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"layout": "export"},
        {"text": "mistral", "vision_feature_layer": -1, "vision_feature_select_strategy": "full"},
        {"vision_feature_layer": [1, -2]},
    ],
    ids=["hub", "export", "mistral, with the class token", "two layers"],
)
def test_computes_what_transformers_computes(
    options: dict[str, Any], shown: int, tmp_path: Path, pictures: tuple[Image.Image, Image.Image]
) -> None:
    folder = tiny_multimodal.llava(tmp_path / "tiny", **options)
    loaded = load(folder)
    given_ones = list(pictures[:shown])
    prompt, ids = loaded.ask(QUESTION, has_prior=shown == 2)
    put = loaded.embed(ids, *(loaded.see(picture) for picture in given_ones), *[None] * (2 - shown))

    plain = Plain.llava(folder, prompt, given_ones[::-1])
    with torch.inference_mode():
        ours = loaded.language_model(inputs_embeds=put.embeddings).logits[0]
    torch.testing.assert_close(ours, plain.logits(), atol=1e-4, rtol=1e-4)
    greedy = plain.answer()
    assert answer(loaded, given_ones) == greedy
    assert answer(loaded, given_ones, 3) == plain.answer(num_beams=3)
    assert len(set(greedy)) > 4
    assert loaded.positions(ids, [picture.size for picture in given_ones]) == put.embeddings.shape[1]


def test_the_prompt_says_which_image_is_which(folder: Path) -> None:
    loaded = load(folder)
    both, ids = loaded.ask("Any change?", has_prior=True)
    assert both == (
        f"{SYSTEM}USER: Prior image:\n<image>\nCurrent image:\n<image>\n"
        "The question is about the current image, compared with the prior image.\nAny change? ASSISTANT:"
    )
    assert ids.count(-200) == 2
    alone, ids = loaded.ask("What is it?", has_prior=False)
    assert (alone, ids.count(-200)) == (f"{SYSTEM}USER: <image>\nWhat is it? ASSISTANT:", 1)
    assert loaded.stop_text == "</s>"


def test_the_order_of_the_images_counts(folder: Path, pictures: tuple[Image.Image, Image.Image]) -> None:
    loaded = load(folder)
    assert answer(loaded, list(pictures)) != answer(loaded, list(pictures[::-1]))


@pytest.mark.parametrize("padded", [False, True])
def test_pixels_are_transformers(folder: Path, padded: bool, pictures: tuple[Image.Image, Image.Image]) -> None:
    name = "LlavaImageProcessor" if padded else "CLIPImageProcessor"
    edit(folder / "preprocessor_config.json", image_processor_type=name, do_pad=padded)
    processor = getattr(transformers, f"{name}Pil").from_pretrained(folder)
    loaded = load(folder)
    assert loaded.processor.padding is (Padding.MEAN if padded else Padding.NONE)
    for picture in pictures:
        expected = processor(images=[picture.convert("RGB")], return_tensors="np")["pixel_values"][0]
        np.testing.assert_allclose(prepare(picture, loaded.processor), expected, atol=1e-6)


def test_interval_json_decides_padding_and_pixels(folder: Path, pictures: tuple[Image.Image, Image.Image]) -> None:
    tiny_multimodal.write_json(folder / "interval.json", {"padding": "black", "image_max_pixels": 2000})
    loaded = load(folder)
    assert loaded.processor.padding is Padding.BLACK
    assert loaded.bounds == Bounds(1024, 2000)
    shrunk = loaded.bounds.apply(pictures[0])
    assert shrunk.width * shrunk.height <= 2000
    unbounded = tiny_multimodal.llava(folder.parent / "unbounded")
    assert load(unbounded).bounds is None
    edit(folder / "interval.json", padding="none")
    torch.testing.assert_close(load(folder).see(pictures[0]), load(unbounded).see(shrunk))


def test_the_published_7b_has_its_size() -> None:
    """Its files leave out the language model's sizes, which are transformers' own."""
    config = {
        "image_token_index": 32000, "tie_word_embeddings": False,
        "text_config": {"model_type": "llama", "vocab_size": 32064, "max_position_embeddings": 4096},
        "vision_config": {"model_type": "clip_vision_model", "hidden_size": 1024, "intermediate_size": 4096,
                          "num_hidden_layers": 24, "num_attention_heads": 16, "image_size": 336, "patch_size": 14},
    }  # fmt: skip
    shapes = configs.outline(llava.MODEL, llava.configuration(config), *llava.STACKS)
    assert sum(math.prod(shape) for shape in shapes.values()) == 7_063_427_072


@pytest.mark.parametrize(("text", "warned"), [("llama", False), ("mistral", True)])
def test_the_template_is_known_for_a_llama(text: str, warned: bool, tmp_path: Path) -> None:
    found = examine(tiny_multimodal.llava(tmp_path / "tiny", text))
    assert (found.family, found.template, bool(found.warnings)) == ("llava", "vicuna_v1", warned)


class TestAdapters:
    def test_merged_beside_and_peft_agree(
        self, folder: Path, adapter: Path, pictures: tuple[Image.Image, Image.Image]
    ) -> None:
        shown = list(pictures)
        merged = load(adapter)
        prompt, _ = merged.ask(QUESTION, has_prior=True)
        plain = Plain.llava(folder, prompt, shown[::-1])
        plain.model = tiny_multimodal.peft.PeftModel.from_pretrained(plain.model, adapter)
        expected = plain.answer()
        assert answer(merged, shown) == expected
        assert answer(load(adapter, merge=False), shown) == expected
        assert answer(load(folder), shown) != expected

    def test_names_of_older_versions(
        self, folder: Path, adapter: Path, pictures: tuple[Image.Image, Image.Image]
    ) -> None:
        expected = answer(load(adapter), list(pictures))
        described = json.loads((adapter / "adapter_config.json").read_text())
        older = [name.replace("model.language_model.", "language_model.model.") for name in described["target_modules"]]
        edit(adapter / "adapter_config.json", target_modules=older)
        factors = load_file(adapter / "adapter_model.safetensors")
        factors = {name.replace(".model.language_model.", ".language_model.model."): v for name, v in factors.items()}
        save_file(factors, adapter / "adapter_model.safetensors")
        assert answer(load(adapter), list(pictures)) == expected

    def test_another_family_is_told_by_the_headers(self, adapter: Path, tmp_path: Path) -> None:
        other = tiny_multimodal.qwen2vl(tmp_path / "other", num_hidden_layers=1)
        found = problems(adapter, base=other)
        assert "model.language_model.layers.0.self_attn.q_proj.lora_A.weight is 32 wide, the base 64" in found
        assert "the base has no model.language_model.layers.1.self_attn.q_proj" in found


class TestProblems:
    def test_all_at_once(self, folder: Path) -> None:
        file = folder / "model.safetensors"
        file.write_bytes(file.read_bytes()[:-100])
        for name in ("tokenizer.json", "preprocessor_config.json"):
            (folder / name).unlink()
        found = examine(folder)
        assert found.family == "llava"
        assert len(found.problems) == 3, found.problems
        for part in ("cut off", "no tokenizer", "preprocessor_config.json is missing"):
            assert part in " | ".join(found.problems)

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"text_config": ...}, "lacks text_config or vision_config"),
            ({"text_config": {"model_type": "opt"}}, "'opt' is not supported"),
            ({"vision_config": {"model_type": "pixtral"}}, "'pixtral' is not supported"),
            ({"vision_config": {"model_type": "clip_vision_model"}}, "vision_config of config.json lacks one of"),
            ({"vision_feature_layer": 9}, "there are 4 blocks"),
            ({"vision_feature_layer": [1, -2]}, "has the shape"),
            ({"vision_feature_select_strategy": "some"}, "vision_feature_select_strategy"),
            ({"projector_hidden_act": "none such"}, "contradicts itself"),
            ({"quantization_config": {"bits": 4}}, "quantised"),
            ({"architectures": ["LlavaLlamaForCausalLM"]}, "LlavaLlamaForCausalLM is not supported"),
        ],
    )
    def test_configuration(self, folder: Path, changes: dict[str, Any], reason: str) -> None:
        edit(folder / "config.json", **changes)
        assert reason in problems(folder)

    def test_pictures_of_another_size(self, folder: Path) -> None:
        edit(folder / "preprocessor_config.json", crop_size={"height": 42, "width": 42})
        assert "makes pictures of [42, 42], the vision tower takes 56" in problems(folder)

    def test_an_image_token_that_is_none(self, folder: Path) -> None:
        edit(folder / "config.json", image_token_index=5)
        with pytest.raises(ModelError, match="image token"):
            load(folder)
