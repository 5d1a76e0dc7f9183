"""The tiny checkpoint computes what golden/make_vectors.py computed from it by means of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.models.checkpoint import LoadedModel, load_model
from engine.models.conversation import render
from engine.models.preprocessing import prepare
from engine.models.tokens import encode_with_image


@pytest.fixture(scope="module")
def vectors() -> Any:
    return np.load(Path(__file__).parent / "golden" / "vectors.npz")


@pytest.fixture(scope="module")
def loaded(tiny: Path) -> LoadedModel:
    return load_model(tiny, dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def features(loaded: LoadedModel) -> dict[str, torch.Tensor]:
    from make_vectors import pictures

    with torch.inference_mode():
        return {
            name: loaded.model.encode(torch.from_numpy(prepare(image, loaded.processor))[None])
            for name, image in zip(("current", "prior"), pictures(), strict=True)
        }


def test_pixels_and_features(loaded: LoadedModel, features: dict[str, torch.Tensor], vectors: Any) -> None:
    from make_vectors import pictures

    np.testing.assert_allclose(prepare(pictures()[0], loaded.processor), vectors["pixels_current"], atol=1e-6)
    np.testing.assert_allclose(features["current"][0, :, :4], vectors["features_current"], atol=2e-5)


def test_prompt_ids(loaded: LoadedModel, vectors: Any) -> None:
    question = "Provide a detailed description of the findings in the radiology image."
    assert encode_with_image(loaded.tokenizer, render(loaded.template, question)) == vectors["prompt_ids"].tolist()


@pytest.mark.parametrize(("case", "other"), [("pair", "prior"), ("single", "current")])
def test_image_tokens_and_logits(
    case: str, other: str, loaded: LoadedModel, features: dict[str, torch.Tensor], vectors: Any
) -> None:
    with torch.inference_mode():
        image_tokens = loaded.model.connect(features["current"], features[other])
        ids = torch.from_numpy(vectors["prompt_ids"])[None]
        logits = loaded.model.language_model(inputs_embeds=loaded.model.embed(ids, image_tokens)).logits[0, -4:]
    np.testing.assert_allclose(image_tokens[0], vectors[f"{case}.image_tokens"], atol=5e-5)
    np.testing.assert_allclose(logits, vectors[f"{case}.logits"], atol=5e-4)
