"""Qwen2-VL and Qwen2.5-VL: what plain transformers computes, from every layout, with and without an adapter."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_multimodal
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_multimodal import Plain, factory_resize

from engine.decoding.choosing import Outcome, Settings
from engine.decoding.generate import generate
from engine.decoding.session import Session
from engine.errors import ModelError
from engine.models import configs, qwen2vl
from engine.models.checkpoint import load_model
from engine.models.preprocessing import Bounds
from engine.models.qwen2vl import LoadedQwen2VL, last_size, resized
from engine.models.recognition import examine
from engine.models.splicing import expand

KINDS = ("qwen2_vl", "qwen2_5_vl")
TARGETS = ("q_proj", "v_proj", "down_proj")
QUESTION = "What has changed?"
SMALL = {"image_max_pixels": 20_000}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny Qwen2-VL in the hub's layout."""
    return tiny_multimodal.qwen2vl(tmp_path / "models" / "tiny")


@pytest.fixture
def adapter(folder: Path) -> Path:
    """An adapter beside it, which names it."""
    return tiny_multimodal.adapter(folder, folder.parent / "adapter", TARGETS)


@pytest.fixture(scope="module")
def pictures() -> tuple[Image.Image, Image.Image]:
    """A current and a prior picture of different shapes."""
    stream = np.random.default_rng(3)
    sizes = ((230, 310), (180, 140))
    coarse = [Image.fromarray(stream.integers(0, 256, (9, 7)).astype(np.uint8)) for _ in sizes]
    first, second = (picture.resize(size) for picture, size in zip(coarse, sizes, strict=True))
    return first, second


@pytest.fixture(scope="module")
def reference(shared: Path) -> Path:
    """Folder of a tiny Qwen2-VL, an adapter and what transformers computes from them."""
    folder = shared / "reference" / "qwen2vl"
    if not folder.is_dir():
        pytest.skip("Qwen2-VL's reference outputs are not beside the project")
    return folder


def load(path: Path, **options: Any) -> LoadedQwen2VL:
    loaded = load_model(path, dtype="float32", device="cpu", **options)
    assert isinstance(loaded, LoadedQwen2VL)
    return loaded


def answer(loaded: LoadedQwen2VL, pictures: list[Image.Image], beams: int = 1) -> list[int]:
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


WINDOW = {"use_sliding_window": True, "sliding_window": 24, "max_window_layers": 1}


@pytest.mark.parametrize(
    ("kind", "layout", "text"),
    [*((kind, layout, {}) for kind in KINDS for layout in ("hub", "export")), ("qwen2_vl", "hub", WINDOW)],
    ids=lambda value: "window" if value == WINDOW else str(value or ""),
)
@pytest.mark.parametrize("shown", [2, 1])
def test_computes_what_transformers_computes(
    kind: str,
    layout: str,
    text: dict[str, Any],
    shown: int,
    tmp_path: Path,
    pictures: tuple[Image.Image, Image.Image],
) -> None:
    folder = tiny_multimodal.qwen2vl(tmp_path / "tiny", kind, layout, **text)
    tiny_multimodal.write_json(folder / "interval.json", SMALL)
    loaded = load(folder)
    given_ones = list(pictures[:shown])
    prompt, ids = loaded.ask(QUESTION, has_prior=shown == 2)
    put = loaded.embed(ids, *(loaded.see(picture) for picture in given_ones), *[None] * (2 - shown))

    plain = Plain.qwen2vl(folder, prompt, given_ones[::-1], SMALL["image_max_pixels"])
    with torch.inference_mode():
        ours = loaded.language_model(inputs_embeds=put.embeddings, position_ids=put.positions).logits[0]
    torch.testing.assert_close(ours, plain.logits(), atol=1e-4, rtol=1e-4)
    greedy = plain.answer()
    assert answer(loaded, given_ones) == greedy
    assert answer(loaded, given_ones, 3) == plain.answer(num_beams=3)
    assert len(set(greedy)) > 4
    assert loaded.positions(ids, [picture.size for picture in given_ones]) == put.embeddings.shape[1]


@pytest.mark.parametrize(
    ("kind", "vision", "parameters"),
    [
        (
            "qwen2_vl",
            {"depth": 32, "embed_dim": 1280, "mlp_ratio": 4, "num_heads": 16, "in_chans": 3, "hidden_size": 3584},
            8_291_375_616,
        ),
        (
            "qwen2_5_vl",
            {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584},
            8_292_166_656,
        ),
    ],
)
def test_the_published_7b_has_its_size(kind: str, vision: dict[str, int], parameters: int) -> None:
    config = {
        "model_type": kind, "vision_config": vision | {"patch_size": 14}, "vocab_size": 152064, "hidden_size": 3584,
        "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4,
        "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}, "tie_word_embeddings": False,
    }  # fmt: skip
    shapes = configs.outline(qwen2vl.KINDS[kind].model, qwen2vl.configuration(config), *qwen2vl.STACKS)
    assert sum(math.prod(shape) for shape in shapes.values()) == parameters


def test_the_prompt_says_which_image_is_which(folder: Path) -> None:
    loaded = load(folder)
    place = "<|vision_start|><|image_pad|><|vision_end|>"
    start = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
    end = "<|im_end|>\n<|im_start|>assistant\n"
    both, ids = loaded.ask("Any change?", has_prior=True)
    assert both == (
        f"{start}Prior image:\n{place}\nCurrent image:\n{place}\n"
        f"The question is about the current image, compared with the prior image.\nAny change?{end}"
    )
    assert ids.count(-200) == 2
    assert loaded.tokenizer.decode([261 if i == -200 else i for i in ids]) == both
    alone, ids = loaded.ask("What is it?", has_prior=False)
    assert (alone, ids.count(-200)) == (f"{start}{place}What is it?{end}", 1)


def test_the_order_of_the_images_counts(folder: Path, pictures: tuple[Image.Image, Image.Image]) -> None:
    loaded = load(folder)
    assert answer(loaded, list(pictures)) != answer(loaded, list(pictures[::-1]))


class TestPictures:
    @settings(deadline=None)
    @given(width=st.integers(1, 3000), height=st.integers(1, 3000), most=st.sampled_from([20_000, 589_824]))
    def test_sizes_are_known_before_the_pictures(self, width: int, height: int, most: int) -> None:
        bounds = Bounds(most=most)
        assert resized(Image.new("L", (width, height)), bounds).size == last_size((width, height), bounds)

    @pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
    @pytest.mark.parametrize("size", [(1300, 900), (20, 30), (500, 20), (28, 6000), (6100, 28), (300, 200)])
    def test_equal_to_llama_factory(self, size: tuple[int, int], mode: str) -> None:
        stream = np.random.default_rng(1)
        coarse = Image.fromarray(stream.integers(0, 256, (40, 40, 3)).astype(np.uint8))
        picture = coarse.resize(size).convert(mode)
        np.testing.assert_array_equal(resized(picture, Bounds()), factory_resize(picture))

    def test_a_film_costs_750_positions(self, folder: Path) -> None:
        loaded = load(folder)
        film = (2544, 3056)
        _, ids = loaded.ask("?", has_prior=True)
        assert loaded.positions(ids, [film, film]) == len(ids) - 2 + 1500
        assert loaded.positions(ids, [(3000, 2500), (60_000, 9)]) < len(ids) + 1500

    def test_the_nearest_folder_that_says_so_bounds_them(self, folder: Path, adapter: Path) -> None:
        tiny_multimodal.write_json(folder / "interval.json", {"image_max_pixels": 50_000, "image_min_pixels": 40_000})
        assert load(adapter).bounds == Bounds(40_000, 50_000)
        tiny_multimodal.write_json(adapter / "interval.json", {"image_max_pixels": 45_000})
        assert load(adapter).bounds == Bounds(40_000, 45_000)
        assert load(folder).bounds == Bounds(40_000, 50_000)

    def test_one_bound_moves_the_default_of_the_other(self) -> None:
        assert Bounds.stated(None, 400) == Bounds(400, 400)
        assert Bounds.stated(700_000, None) == Bounds(700_000, 700_000)
        assert Bounds.stated(None, None) == Bounds(1024, 589_824)


class TestAdapters:
    @pytest.mark.parametrize("beams", [1, 3])
    def test_merged_beside_and_peft_agree(
        self, folder: Path, adapter: Path, beams: int, pictures: tuple[Image.Image, Image.Image]
    ) -> None:
        shown = list(pictures)
        merged = load(adapter)
        prompt, _ = merged.ask(QUESTION, has_prior=True)
        plain = Plain.qwen2vl(folder, prompt, shown[::-1])
        plain.model = tiny_multimodal.peft.PeftModel.from_pretrained(plain.model, adapter)
        expected = plain.answer(num_beams=beams)
        assert answer(merged, shown, beams) == expected
        assert answer(load(adapter, merge=False), shown, beams) == expected
        assert answer(load(folder, adapter=adapter), shown, beams) == expected
        assert answer(load(folder), shown, beams) != expected

    def test_names_of_older_versions(
        self, folder: Path, adapter: Path, pictures: tuple[Image.Image, Image.Image]
    ) -> None:
        expected = answer(load(adapter), list(pictures))
        described = json.loads((adapter / "adapter_config.json").read_text())
        older = [name.replace("model.language_model.", "model.") for name in described["target_modules"]]
        edit(adapter / "adapter_config.json", target_modules=older, rank_pattern={older[0]: 4})
        factors = load_file(adapter / "adapter_model.safetensors")
        factors = {name.replace(".language_model.", "."): value for name, value in factors.items()}
        save_file(factors, adapter / "adapter_model.safetensors")
        for base in (folder, tiny_multimodal.qwen2vl(folder.parent / "export", layout="export")):
            assert not problems(adapter, base=base)
            assert answer(load(adapter, base=base), list(pictures)) == expected

    def test_another_base_is_told_by_the_headers(self, adapter: Path, tmp_path: Path) -> None:
        small = tiny_multimodal.qwen2vl(tmp_path / "small", num_hidden_layers=2, intermediate_size=80)
        edit(adapter / "adapter_config.json", base_model_name_or_path=str(small))
        (small / "merges.txt").write_text("")
        for name in ("tokenizer.json", "preprocessor_config.json"):
            (small / name).unlink()
        found = problems(adapter)
        for part in (
            "adapter: model.language_model.layers.0.mlp.down_proj.lora_A.weight is 96 wide, the base 80",
            "adapter: the base has no model.language_model.layers.2.self_attn.q_proj",
            "preprocessor_config.json is missing",
            "no tokenizer",
        ):
            assert part in found
        with pytest.raises(ModelError, match="problems"):
            load(adapter)


class TestProblems:
    def test_all_at_once(self, folder: Path) -> None:
        file = folder / "model.safetensors"
        file.write_bytes(file.read_bytes()[:-100])
        for name in ("tokenizer.json", "preprocessor_config.json"):
            (folder / name).unlink()
        tiny_multimodal.write_json(folder / "interval.json", {"image_max_pixels": "many", "modalities": []})
        found = examine(folder)
        assert found.family == "qwen2-vl"
        assert len(found.problems) == 5, found.problems
        for part in (
            "cut off",
            "no tokenizer",
            "preprocessor_config.json is missing",
            "image_max_pixels",
            "modalities",
        ):
            assert part in " | ".join(found.problems)

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"vision_config": ...}, "vision_config"),
            ({"vision_config": {"depth": 2}}, "the vision_config of config.json lacks one of depth, embed_dim"),
            ({"hidden_size": 32}, "64 wide, the language model 32"),
            ({"hidden_size": 32}, "has the shape"),
            ({"num_hidden_layers": 4}, "model.language_model.layers.3.self_attn.q_proj.weight is missing"),
            ({"rope_scaling": None}, "mrope_section"),
            ({"rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 4]}}, "mrope_section"),
            ({"quantization_config": {"bits": 4}}, "quantised"),
            ({"image_token_id": "x"}, "image_token_id"),
        ],
    )
    def test_configuration(self, folder: Path, changes: dict[str, Any], reason: str) -> None:
        edit(folder / "config.json", **changes)
        assert reason in problems(folder)

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"patch_size": 16}, "[16, 2, 2], the vision tower takes [14, 2, 2]"),
            ({"min_pixels": 10**12}, "cannot be met"),
            ({"max_pixels": "many"}, "not one this program can follow"),
            ({"image_mean": [0.5]}, "not one this program can follow"),
            ({"do_normalize": False}, "not one this program can follow"),
            ({"size": 7, "min_pixels": ...}, "not one this program can follow"),
        ],
    )
    def test_preprocessing(self, folder: Path, changes: dict[str, Any], reason: str) -> None:
        edit(folder / "preprocessor_config.json", **changes)
        assert reason in problems(folder)

    def test_a_patch_that_is_none(self, folder: Path) -> None:
        vision = json.loads((folder / "config.json").read_text())["vision_config"]
        edit(folder / "config.json", vision_config=vision | {"spatial_merge_size": 0})
        edit(folder / "preprocessor_config.json", merge_size=0)
        assert "[14, 2, 0]" in problems(folder)

    def test_another_tower_cannot_be_named(self, folder: Path) -> None:
        assert "part of it" in problems(folder, tower=folder)

    def test_a_tokenizer_of_another_model(self, folder: Path, tmp_path: Path) -> None:
        other = tiny_multimodal.llava(tmp_path / "other")
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(other / name, folder)
        with pytest.raises(ModelError, match=r"tokens|image token"):
            load(folder)

    def test_the_configuration_names_no_code(self, folder: Path) -> None:
        edit(folder / "config.json", auto_map={"AutoModel": "evil.Evil"}, _attn_implementation_internal="evil/kernel")
        edit(folder / "preprocessor_config.json", auto_map={"AutoImageProcessor": "evil.Evil"})
        loaded = load(folder)
        assert "evil" not in str(loaded.model.config) + str(vars(loaded.model.config)) + str(vars(loaded.processor))


class TestReference:
    """What transformers 5.23 and LLaMA-Factory's environment computed for one picture."""

    @pytest.mark.parametrize(("name", "options"), [("base", {}), ("adapter", {}), ("adapter", {"merge": False})])
    def test_logits_and_text(self, name: str, options: dict[str, Any], reference: Path) -> None:
        expected = np.load(reference / f"golden_{name}.npz")
        if name == "adapter":
            options = options | {"adapter": reference / "adapter"}
        loaded = load(reference / "tiny-qwen2vl", **options)
        question = "Please describe this image in English and provide your diagnostic conclusion."
        prompt, ids = loaded.ask(question, has_prior=False)
        assert expand(ids, [25], 570) == expected["input_ids"][0].tolist()
        assert prompt == str(expected["text"]).replace("<|image_pad|>" * 25, "<|image_pad|>")
        with torch.inference_mode():
            pixels, grid = (torch.from_numpy(expected[key]) for key in ("pixel_values", "image_grid_thw"))
            seen = loaded.model.get_image_features(pixels, grid).pooler_output[0]
            np.testing.assert_allclose(seen, expected["vision"], atol=1e-5)
            put = loaded.embed(ids, seen.view(5, 5, -1), None)
            logits = loaded.language_model(inputs_embeds=put.embeddings, position_ids=put.positions).logits
        np.testing.assert_allclose(logits, expected["logits"], atol=1e-4)
        session = Session(loaded.language_model, put.embeddings, put.positions, put.next_position)
        *_, outcome = generate(session, ids, Settings(24, loaded.stop_ids), lambda found: False)
        assert isinstance(outcome, Outcome)
        assert list(outcome.sequences[0].token_ids) == expected["greedy_ids"].tolist()
