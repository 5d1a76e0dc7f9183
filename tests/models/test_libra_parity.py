"""The same numbers as Libra's own code, stage by stage, on its tiny checkpoint in float32."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from engine.models.checkpoint import load_model
from engine.models.conversation import TEMPLATES, render
from engine.models.libra import LoadedLibra
from engine.models.preprocessing import prepare
from engine.models.tokens import encode_with_image, load_tokenizer

MODELS = ("libra-v1.0-7b-tiny", "libra-v1.0-7b-tiny-lora", "libra-v1.0-7b-tiny-pretrain", "libra-Med-CXRGen-F-tiny",
          "libra-qwen3-tiny")  # fmt: skip
"""TAC over llama, LoRA with its connector, a projector alone, CLIP with a perceptron, qwen3 with tied embeddings."""
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


@pytest.fixture(scope="module", params=MODELS)
def manifest(request: pytest.FixtureRequest, libra: Path) -> dict[str, Any]:
    content = json.loads((libra / "golden" / "manifest.json").read_text())
    return {"name": request.param, **content["checkpoints"][request.param]}


@pytest.fixture(scope="module")
def loaded(libra: Path, manifest: dict[str, Any]) -> LoadedLibra:
    base = None if manifest["model_base"] is None else libra / manifest["model_base"]
    options = {"dtype": "float32", "device": "cpu", "template": manifest["conv_mode"]}
    loaded = load_model(libra / manifest["path"], base=base, **options)
    assert isinstance(loaded, LoadedLibra)
    return loaded


def golden(libra: Path, manifest: dict[str, Any], case: str) -> Any:
    return np.load(libra / "golden" / manifest["cases"][case]["file"])


def files(manifest: dict[str, Any], shared: Path, case: str) -> tuple[Path, Path]:
    named = [shared / image for image in manifest["cases"][case]["images"]]
    return named[0], named[-1]


@pytest.mark.parametrize("case", CASES)
def test_pixels_are_equal(case: str, loaded: LoadedLibra, manifest: dict[str, Any], libra: Path, shared: Path) -> None:
    expected = golden(libra, manifest, case)
    for file, name in zip(files(manifest, shared, case), ("pixels_cur", "pixels_prior"), strict=True):
        with Image.open(file) as image:
            np.testing.assert_array_equal(prepare(image, loaded.processor), expected[name])


@pytest.mark.parametrize("case", CASES)
def test_features_connector_and_logits(case: str, loaded: LoadedLibra, manifest: dict[str, Any], libra: Path) -> None:
    expected = golden(libra, manifest, case)
    seen: dict[str, torch.Tensor] = {}
    connector = loaded.model.connector
    tac = loaded.info.family == "libra-tac"
    hooks = [
        getattr(connector, part).register_forward_hook(_keep(seen, stage))
        for stage, part in STAGES.items()
        if tac and part
    ]
    with torch.inference_mode():
        features = [loaded.model.encode(torch.from_numpy(expected[k])[None]) for k in ("pixels_cur", "pixels_prior")]
        image_tokens = loaded.model.connect(*features)
        ids = torch.from_numpy(expected["prompt_ids"])[None]
        logits = loaded.model.language_model(inputs_embeds=loaded.model.embed(ids, image_tokens)).logits[0]
        if tac:
            extracts = [connector.extract(f) for f in features]
            seen["tac_LFE_cur"], seen["tac_LFE_prior"] = (e[:, None] for e in extracts)
            seen["tac_cos_pow8"] = connector.likeness(*extracts)
    for hook in hooks:
        hook.remove()
    if "vision_features" in expected:
        for ours, theirs in zip(features, expected["vision_features"], strict=True):
            np.testing.assert_allclose(ours, theirs, atol=2e-5)
        for stage, value in seen.items():
            if stage in expected:
                np.testing.assert_allclose(value, expected[stage], atol=2e-5, err_msg=stage)
        assert seen.keys() == ({*STAGES, "tac_cos_pow8"} if tac else set())
    np.testing.assert_allclose(image_tokens, expected["projector_out"], atol=2e-5)
    assert logits.shape == expected["logits"].shape
    np.testing.assert_allclose(logits, expected["logits"], atol=1e-4)


def _keep(seen: dict[str, torch.Tensor], stage: str) -> Any:
    def hook(module: torch.nn.Module, inputs: Any, output: Any) -> None:
        seen[stage] = output[0] if isinstance(output, tuple) else output

    return hook


def test_prompt_and_its_ids(loaded: LoadedLibra, manifest: dict[str, Any]) -> None:
    assert loaded.ask(manifest["query"], has_prior=True) == (manifest["prompt"], manifest["prompt_ids"])


def test_templates_render_as_published(libra: Path) -> None:
    published = json.loads((libra / "golden" / "prompts.json").read_text())
    theirs = published["templates"]
    ours = {name: template for name, template in TEMPLATES.items() if name != "qwen2_vl"}  # not Libra's
    assert ours.keys() == theirs.keys() - {"default", "libra_v1+im_start_end"}
    for name, template in ours.items():
        assert render(template, published["query"]) == theirs[name]["prompt"]
        assert template.stop == theirs[name]["stop_str"]
    marked = theirs["libra_v1+im_start_end"]["prompt"]
    assert render(TEMPLATES["libra_v1"], published["query"], ("<im_start>", "<im_end>")) == marked


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
    logits = [golden(libra, manifest, case)["logits"][-1] for case in CASES]
    if manifest["name"] != "libra-Med-CXRGen-F-tiny":  # its projector does not look at the prior
        assert np.abs(logits[0] - logits[1]).max() > 0.1
    assert np.abs(logits[0] - logits[2]).max() > 0.1
