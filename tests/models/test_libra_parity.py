"""The same numbers as Libra's own code, stage by stage, on its tiny checkpoint in float32."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from engine.models.checkpoint import LoadedModel, load_model
from engine.models.conversation import TEMPLATES, render
from engine.models.preprocessing import prepare
from engine.models.tokens import encode_with_image, load_tokenizer

NAME = "libra-v1.0-7b-tiny"
CASES = ("pair", "single", "swapped")
STAGES = {
    "tac_LFE_cur": None,
    "tac_LFE_prior": None,
    "tac_cur_self_attention": "cur_self_attention",
    "tac_prior_self_attention": "prior_self_attention",
    "tac_cros_attention": "cros_attention",
    "tac_norm1": "norm1",
    "tac_norm2": "norm2",
    "tac_norm3": "norm3",
    "tac_mlp_attn": "mlp_attn",
    "tac_norm4": "norm4",
    "tac_mlp_final": "mlp_final",
}


@pytest.fixture(scope="module")
def loaded(libra: Path) -> LoadedModel:
    return load_model(libra / "ckpts" / NAME, dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def manifest(libra: Path) -> dict[str, Any]:
    content = json.loads((libra / "golden" / "manifest.json").read_text())
    return content["checkpoints"][NAME]


def golden(libra: Path, case: str) -> Any:
    return np.load(libra / "golden" / f"{NAME}.{case}.npz")


def files(manifest: dict[str, Any], shared: Path, case: str) -> tuple[Path, Path]:
    named = [shared / image for image in manifest["cases"][case]["images"]]
    return named[0], named[-1]


@pytest.mark.parametrize("case", CASES)
def test_pixels_are_equal(case: str, loaded: LoadedModel, manifest: dict[str, Any], libra: Path, shared: Path) -> None:
    expected = golden(libra, case)
    for file, name in zip(files(manifest, shared, case), ("pixels_cur", "pixels_prior"), strict=True):
        with Image.open(file) as image:
            np.testing.assert_array_equal(prepare(image, loaded.processor), expected[name])


@pytest.mark.parametrize("case", CASES)
def test_features_connector_and_logits(case: str, loaded: LoadedModel, libra: Path) -> None:
    expected = golden(libra, case)
    seen: dict[str, torch.Tensor] = {}
    connector = loaded.model.connector
    hooks = [
        getattr(connector, part).register_forward_hook(_keep(seen, stage)) for stage, part in STAGES.items() if part
    ]
    with torch.inference_mode():
        features = [loaded.model.encode(torch.from_numpy(expected[k])[None]) for k in ("pixels_cur", "pixels_prior")]
        image_tokens = loaded.model.connect(*features)
        ids = torch.from_numpy(expected["prompt_ids"])[None]
        logits = loaded.model.language_model(inputs_embeds=loaded.model.embed(ids, image_tokens)).logits[0]
        extracts = [connector.extract(f) for f in features]
        seen["tac_LFE_cur"], seen["tac_LFE_prior"] = (e[:, None] for e in extracts)
        seen["tac_cos_pow8"] = connector.likeness(*extracts)
    for hook in hooks:
        hook.remove()
    if "vision_features" in expected:
        for ours, theirs in zip(features, expected["vision_features"], strict=True):
            np.testing.assert_allclose(ours, theirs, atol=2e-5)
        for stage, value in seen.items():
            np.testing.assert_allclose(value, expected[stage], atol=2e-5, err_msg=stage)
        assert seen.keys() == STAGES.keys() | {"tac_cos_pow8"}
    np.testing.assert_allclose(image_tokens, expected["projector_out"], atol=2e-5)
    assert logits.shape == expected["logits"].shape
    np.testing.assert_allclose(logits, expected["logits"], atol=1e-4)


def _keep(seen: dict[str, torch.Tensor], stage: str) -> Any:
    def hook(module: torch.nn.Module, inputs: Any, output: Any) -> None:
        seen[stage] = output[0] if isinstance(output, tuple) else output

    return hook


def test_prompt_and_its_ids(loaded: LoadedModel, manifest: dict[str, Any]) -> None:
    prompt = render(loaded.template, manifest["query"])
    assert prompt == manifest["prompt"]
    assert encode_with_image(loaded.tokenizer, prompt) == manifest["prompt_ids"]


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_templates_render_as_published(name: str, libra: Path) -> None:
    published = json.loads((libra / "golden" / "prompts.json").read_text())
    theirs = published["templates"][name]
    assert render(TEMPLATES[name], published["query"]) == theirs["prompt"]
    assert TEMPLATES[name].stop == theirs["stop_str"]


@pytest.mark.parametrize("name", ["llama2-legacy", "llama2-nonlegacy", "llama3", "qwen2", "gemma", "phi3"])
def test_ids_of_every_prompt_and_edge_case(name: str, libra: Path) -> None:
    published = json.loads((libra / "golden" / "prompts.json").read_text())
    tokenizer = load_tokenizer(libra / "ckpts" / "tokenizers" / name)
    compared = 0
    for template in published["templates"].values():
        if name in template["ids"]:
            assert encode_with_image(tokenizer, template["prompt"]) == template["ids"][name]
            compared += 1
    for text, ids in published["splice_edge"].get(name, {}).items():
        assert encode_with_image(tokenizer, text) == ids, text
    assert compared


def test_prior_matters(manifest: dict[str, Any], libra: Path) -> None:
    """The three reference cases differ, so agreeing with all of them proves that the prior is used as prior."""
    logits = [golden(libra, case)["logits"][-1] for case in CASES]
    assert np.abs(logits[0] - logits[1]).max() > 0.1
    assert np.abs(logits[0] - logits[2]).max() > 0.1
