"""Every language model, tower and projector of Libra's format computes what its plain parts compute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zoo
from PIL import Image

from engine.decoding.choosing import Outcome, Settings
from engine.decoding.generate import generate
from engine.decoding.session import Session
from engine.models.checkpoint import load_model
from engine.models.libra import LoadedLibra
from engine.models.packing import pack
from engine.models.preprocessing import prepare

CASES: dict[str, dict[str, Any]] = {
    "llama, CLIP, two layers": {},
    "mistral, linear": {"language": "mistral", "projector": "linear"},
    "mistral that sees 16 positions": {"language": "mistral", "text": {"sliding_window": 16}},
    "qwen2, SigLIP": {"language": "qwen2", "tower": "siglip"},
    "qwen3, tied": {"language": "qwen3", "text": {"tie_word_embeddings": True}},
    "gemma": {"language": "gemma", "text": {"tie_word_embeddings": True}},
    "phi3, half of each head rotates": {
        "language": "phi3",
        "text": {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}},
    },
    "DINOv2, one layer": {"tower": "dinov2", "mm_vision_select_layer": 3},
    "MAIRA-2": {"tower": "dinov2", "projector": "mlp4x_gelu", "mm_vision_select_layer": "-1",
                "use_maira_feature_norm": True},
    "with the class token": {"mm_vision_select_feature": "cls_patch", "projector": "mlp3x_gelu"},
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_logits_and_answers(case: str, packed: bool, tmp_path: Path) -> None:
    expected = zoo.build(tmp_path, **CASES[case])
    loaded = load_model(expected.folder, dtype="float32", device="cpu")
    assert isinstance(loaded, LoadedLibra)
    if packed:
        pack(loaded.model)
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 255, (70, 56), np.uint8))
    _, ids = loaded.ask("Any change?", has_prior=True)
    features = loaded.see(picture)
    other = loaded.see(picture.rotate(180))
    put = loaded.embed(ids, features, other)
    assert put.embeddings.shape[1] == loaded.positions(ids, [picture.size] * 2)

    with torch.inference_mode():
        given = expected.input(ids, torch.from_numpy(prepare(picture, loaded.processor))[None])
        torch.testing.assert_close(put.embeddings, given, atol=1e-4, rtol=1e-4)
        logits = expected.text(inputs_embeds=given).logits[0]
        ours = loaded.language_model(inputs_embeds=put.embeddings).logits[0]
        torch.testing.assert_close(ours, logits, atol=1e-4, rtol=1e-4)
        options = {"inputs_embeds": given, "max_new_tokens": 24, "do_sample": False, "pad_token_id": 0}
        greedy = expected.text.generate(**options)[0].tolist()
        beams = expected.text.generate(**options, num_beams=3)[0].tolist()
    assert answer(loaded, put.embeddings, Settings(24, (2,))) == greedy
    assert answer(loaded, put.embeddings, Settings(24, (2,), 3)) == beams
    assert len(set(greedy)) > 3


def answer(loaded: LoadedLibra, prompt: torch.Tensor, settings: Settings) -> list[int]:
    *_, outcome = generate(Session(loaded.language_model, prompt), [], settings, lambda ids: False)
    assert isinstance(outcome, Outcome)
    return list(outcome.sequences[0].token_ids)
