"""The golden answers: Libra's own, and those transformers' generate gave for the tiny checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.decoding.choosing import Outcome, Settings
from engine.decoding.generate import generate
from engine.decoding.session import Session
from engine.models.checkpoint import load_model
from engine.models.libra import LoadedLibra


def never(_ids: object) -> bool:
    return False


MODELS = ("libra-v1.0-7b-tiny", "libra-v1.0-7b-tiny-lora", "libra-v1.0-7b-tiny-pretrain", "libra-Med-CXRGen-F-tiny",
          "libra-qwen3-tiny")  # fmt: skip


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_libra(name: str, merge: bool, libra: Path) -> None:
    described = json.loads((libra / "golden" / "manifest.json").read_text())["checkpoints"][name]
    base = None if described["model_base"] is None else libra / described["model_base"]
    options = {"dtype": "float32", "device": "cpu", "template": described["conv_mode"], "merge": merge}
    loaded = load_model(libra / described["path"], base=base, **options)
    assert isinstance(loaded, LoadedLibra)
    for case in described["cases"].values():
        _check(loaded, np.load(libra / "golden" / case["file"]))


def _check(loaded: LoadedLibra, expected: Any) -> None:
    model, ids, stop = loaded.model, expected["prompt_ids"].tolist(), loaded.stop_ids
    with torch.inference_mode():
        features = [model.encode(torch.from_numpy(expected[k])[None]) for k in ("pixels_cur", "pixels_prior")]
        prompt = model.embed(torch.tensor([ids]), model.connect(*features))

    def decode(settings: Settings) -> Outcome:
        *_, outcome = generate(Session(model.language_model, prompt), ids, settings, never)
        return outcome

    greedy = decode(Settings(32, stop))
    assert list(greedy.sequences[0].token_ids) == expected["greedy_ids"].tolist()
    best = decode(Settings(32, stop, 3, 2.0, 3))
    assert list(best.sequences[0].token_ids) == expected["beam3_ids"].tolist()
    three = decode(Settings(32, stop, 3, 2.0, 3, num_return_sequences=3))
    for answer, theirs in zip(three.sequences, expected["beam3x3_ids"].tolist(), strict=True):
        assert list(answer.token_ids) == theirs[: len(answer.token_ids)]  # theirs is padded
    np.testing.assert_allclose([answer.score for answer in three.sequences], expected["beam3x3_scores"], atol=1e-5)

    # Each step's logits, with Libra's own tokens fed back.
    if "greedy_step_logits" in expected:
        session = Session(model.language_model, prompt)
        for step, token in enumerate(expected["greedy_ids"]):
            np.testing.assert_allclose(session.logits[0], expected["greedy_step_logits"][step], atol=1e-4)
            session.step(torch.tensor([token]))


@pytest.mark.parametrize("case", ["pair", "single"])
@pytest.mark.parametrize(("answer", "beams", "penalty", "ngram"), [("beams3", 3, 2.0, 3), ("beams4", 4, 1.0, 0)])
def test_tiny(case: str, answer: str, beams: int, penalty: float, ngram: int, tiny: Path) -> None:
    import tiny_checkpoint

    vectors = np.load(Path(tiny_checkpoint.__file__).parent / "vectors.npz")
    model = load_model(tiny, dtype="float32", device="cpu").model
    ids = vectors["prompt_ids"]
    with torch.inference_mode():
        image_tokens = torch.from_numpy(vectors[f"{case}.image_tokens"])[None]
        prompt = model.embed(torch.from_numpy(ids)[None], image_tokens)
    *_, greedy = generate(Session(model.language_model, prompt), [], Settings(24, (2,)), never)
    assert list(greedy.sequences[0].token_ids) == vectors[f"{case}.greedy"].tolist()
    settings = Settings(24, (2,), beams, penalty, ngram, num_return_sequences=beams)
    *_, outcome = generate(Session(model.language_model, prompt), [], settings, never)
    assert [list(found.token_ids) for found in outcome.sequences] == vectors[f"{case}.{answer}.ids"].tolist()
    np.testing.assert_allclose(
        [found.score for found in outcome.sequences], vectors[f"{case}.{answer}.scores"], rtol=1e-4
    )
