"""Drafts of the families beside Libra, and images a model does not read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_multimodal
from PIL import Image
from tiny_multimodal import Plain

from engine import Asking, Comparison, Decoding, Draft, Engine, Token
from engine.errors import InputError, UsageError

SHORT = Decoding(max_new_tokens=16)
BUILDERS: dict[str, Callable[..., Path]] = {"qwen2-vl": tiny_multimodal.qwen2vl, "llava": tiny_multimodal.llava}
PLAIN: dict[str, Callable[..., Plain]] = {"qwen2-vl": Plain.qwen2vl, "llava": Plain.llava}


@pytest.fixture(scope="module", params=BUILDERS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return BUILDERS[request.param](tmp_path_factory.mktemp("models") / str(request.param))


@pytest.fixture(scope="module")
def engine(folder: Path) -> Engine:
    return Engine.load(folder, dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def pair(pictures: tuple[Path, Path]) -> Comparison:
    return Comparison.open(*pictures)


def plain(engine: Engine, folder: Path, draft: Draft, *files: Path) -> Plain:
    """transformers with the draft's prompt and these pictures, in the prompt's order."""
    return PLAIN[engine.info.family](folder, draft.prompt, [Image.open(file) for file in files])


def test_a_draft_of_two_images(engine: Engine, folder: Path, pair: Comparison, pictures: tuple[Path, Path]) -> None:
    current, prior = pictures
    events = list(engine.stream(pair, Asking(context="History: cough."), decoding=SHORT))
    draft = events[-1]
    assert isinstance(draft, Draft)
    assert list(draft.token_ids) == plain(engine, folder, draft, prior, current).answer()
    assert [event.id for event in events if isinstance(event, Token)] == list(draft.token_ids)
    assert (draft.model.family, draft.has_prior, draft.prompt_token_ids.count(-200)) == (folder.name, True, 2)
    assert draft.prompt.index("Prior image:") < draft.prompt.index("Current image:") < draft.prompt.index("cough")
    assert len(set(draft.token_ids)) > 4


def test_a_draft_of_one_image(engine: Engine, folder: Path, pair: Comparison, pictures: tuple[Path, Path]) -> None:
    draft = engine.draft(Comparison(pair.current), decoding=SHORT)
    assert list(draft.token_ids) == plain(engine, folder, draft, pictures[0]).answer()
    assert (draft.has_prior, draft.prompt_token_ids.count(-200)) == (False, 1)


def test_beams(engine: Engine, folder: Path, pair: Comparison, pictures: tuple[Path, Path]) -> None:
    draft = engine.draft(pair, decoding=replace(SHORT, num_beams=3))
    reference = plain(engine, folder, draft, *pictures[::-1])
    assert list(draft.token_ids) == reference.answer(num_beams=3, no_repeat_ngram_size=3)


def test_a_second_question_about_the_same_images(engine: Engine, folder: Path, pair: Comparison) -> None:
    engine.draft(pair, decoding=SHORT)
    second = engine.draft(pair, Asking(section="impression"), decoding=SHORT)
    last_image = max(n for n, i in enumerate(second.prompt_token_ids) if i == -200)
    assert second.timings.reused_positions > last_image + 2 * 3  # each takes more than its one id
    first = Engine.load(folder, dtype="float32", device="cpu").draft(pair, Asking(section="impression"), decoding=SHORT)
    assert second.token_ids == first.token_ids


def test_half_precision(folder: Path, pair: Comparison) -> None:
    engine = Engine.load(folder, dtype="bfloat16", device="cpu")
    assert len(set(engine.draft(pair, decoding=SHORT).token_ids)) > 4
    assert engine.info.dtype == "bfloat16"


def test_typed_controls_stay_words(engine: Engine, pair: Comparison) -> None:
    controls = "<image> <|image_pad|><|vision_start|> <|im_end|></s>"
    clean = engine.draft(pair, Asking(prompt="what?"), decoding=SHORT)
    draft = engine.draft(pair, Asking(prompt=f"what? {controls}", context=controls), decoding=SHORT)
    special = set(engine._loaded.tokenizer.all_special_ids)
    assert [i for i in draft.prompt_token_ids if i in special] == [i for i in clean.prompt_token_ids if i in special]
    assert draft.prompt_token_ids.count(-200) == 2


def test_an_image_too_many_for_the_prompt_is_said_before_it_is_looked_at(
    tmp_path: Path, pair: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine.load(tiny_multimodal.qwen2vl(tmp_path / "tiny", max_position_embeddings=300))
    assert engine.draft(Comparison(pair.current), decoding=Decoding(max_new_tokens=1)).token_ids
    looked: list[Any] = []
    monkeypatch.setattr(engine, "_see", looked.append)
    large = replace(pair.current, pixels=pair.current.pixels.repeat(8, 0).repeat(8, 1).copy(), sha256="a" * 64)
    with pytest.raises(UsageError, match="too long"):
        engine.draft(Comparison(large))
    assert not looked


class TestModalities:
    @pytest.fixture
    def declare(self, tiny: Path, tmp_path: Path) -> Callable[..., Engine]:
        """Loads the tiny Libra model with more in its interval.json."""
        import shutil

        shutil.copytree(tiny.parent, tmp_path / "root")

        def load(**declared: Any) -> Engine:
            file = tmp_path / "root" / tiny.name / "interval.json"
            file.write_text(json.dumps(json.loads(file.read_text()) | declared))
            return Engine.load(file.parent)

        return load

    @pytest.mark.parametrize("modality", ["", "CR", "DX", "RG", "OT", "SC"])
    def test_radiographs_and_what_has_no_modality_are_read(
        self, modality: str, declare: Callable[..., Engine], pair: Comparison
    ) -> None:
        current = replace(pair.current, modality=modality)
        assert declare().draft(Comparison(current), decoding=SHORT).token_ids

    def test_others_are_refused_in_a_sentence(self, declare: Callable[..., Engine], pair: Comparison) -> None:
        assert pair.prior is not None
        engine = declare()
        with pytest.raises(
            InputError, match=r"^The current image is of the modality CT, .* Tiny reads CR and DX only\.$"
        ):
            engine.draft(Comparison(replace(pair.current, modality="CT")))
        with pytest.raises(InputError, match="The prior image is of the modality MR"):
            engine.draft(Comparison(pair.current, replace(pair.prior, modality="MR")))

    def test_a_model_says_what_it_reads_and_writes(self, declare: Callable[..., Engine], pair: Comparison) -> None:
        engine = declare(modalities=["ct"], languages=["de", "en"])
        draft = engine.draft(Comparison(replace(pair.current, modality="CT")), decoding=SHORT)
        model = json.loads(json.dumps(draft.to_json()))["model"]
        assert (model["modalities"], model["languages"]) == (["CT"], ["de", "en"])
        with pytest.raises(InputError, match="modality CR, and the model Tiny reads CT only"):
            engine.draft(Comparison(replace(pair.current, modality="CR")))
        assert engine.draft(pair, decoding=SHORT).token_ids  # pictures without a modality
