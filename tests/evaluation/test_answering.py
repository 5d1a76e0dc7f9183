"""Answering a question file: line by line, resumable, honest about the prior it showed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from engine.datasets.libra import Question, read_answers
from engine.drafting import Asking, Check, Comparison, Decoding, Draft, ImageUse, ModelInfo, Timings
from engine.drafting.batches import BatchSize, Item, Result
from engine.errors import ModelError, UsageError
from engine.evaluation import answering
from engine.evaluation.answering import answer


class Parrot:
    """Drafts the question it was asked, the last item first, and notes the hashes it was shown."""

    def __init__(self, info: ModelInfo, fail_after: int | None = None) -> None:
        self.info = info
        self.seen: list[tuple[str, str | None]] = []
        self.asked: list[tuple[str | None, str]] = []
        self.sizes: list[tuple[int, BatchSize]] = []
        self._fail_after = fail_after

    def draft_many(
        self, items: Sequence[Item], *, decoding: Decoding | None, batch_size: BatchSize
    ) -> Iterator[Result]:
        self.sizes.append((len(items), batch_size))
        for place in reversed(range(len(items))):
            if self._fail_after is not None and len(self.seen) >= self._fail_after:
                yield place, ModelError("The model computed NaN.")
            else:
                yield place, self._draft(*items[place], decoding)

    def _draft(self, comparison: Comparison, asking: Asking, decoding: Decoding | None) -> Draft:
        prior = comparison.prior.sha256 if comparison.prior else None
        self.seen.append((comparison.current.sha256, prior))
        prompt = asking.prompt
        self.asked.append((prompt, asking.context))
        return Draft(
            text=f"Zweite\nZeile {prompt}",
            token_ids=(1, 2),
            prompt_token_ids=(),
            sequences=(),
            model=self.info,
            decoding=decoding or Decoding(),
            prompt=prompt or "",
            images=(ImageUse(comparison.current.sha256, "current", "PA"),),
            checks=(Check("repeated", "A sentence comes twice."),),
            timings=Timings(0, 0, 0, 0, 0, 0, 2, 0),
            has_prior=prior is not None,
            finished="stop",
        )


@pytest.fixture
def info() -> Iterator[ModelInfo]:
    values = dict.fromkeys(ModelInfo.__dataclass_fields__, "x")
    yield ModelInfo(**values | {"sha256": "ab" * 32, "name": "parrot", "parameters": 1, "demonstration": True})


@pytest.fixture
def questions(tmp_path: Path) -> list[Question]:
    paths = []
    for index in range(4):
        path = tmp_path / f"{index}.png"
        Picture.fromarray(np.random.default_rng(index).integers(0, 255, (32, 32), np.uint8)).save(path)
        paths.append(path)
    return [
        Question("pair", (paths[0], paths[1]), "<image>\nDescribe. Following clinical context: Cough."),
        Question("single", (paths[2],), "Describe."),
        Question("other", (paths[3], paths[0]), "Describe."),
    ]


def test_answers_have_libras_form(tmp_path: Path, info: ModelInfo, questions: list[Question]) -> None:
    output = tmp_path / "out" / "answers.jsonl"
    engine = Parrot(info)
    outcome = answer(engine, questions, output, decoding=Decoding())
    assert (outcome.written, outcome.kept, outcome.failed) == (3, 0, ())
    rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    rows.reverse()
    assert [row["question_id"] for row in rows] == ["pair", "single", "other"]
    assert list(rows[0]) == ["question_id", "prompt", "text", "answer_id", "model_id", "metadata"]
    assert rows[0]["prompt"] == questions[0].text
    assert rows[0]["model_id"] == "parrot"
    assert len({row["answer_id"] for row in rows}) == 3
    assert rows[0]["metadata"]["checks"] == ["repeated"]
    assert [row["metadata"]["prior"] for row in rows] == ["true", "none", "true"]
    assert {(row["metadata"]["dtype"], row["metadata"]["quantization"]) for row in rows} == {("x", "x")}
    assert engine.asked[::-1] == [("Describe.", "Cough."), ("Describe.", ""), ("Describe.", "")]
    assert [prior is not None for _, prior in engine.seen[::-1]] == [True, False, True]


@pytest.mark.parametrize(("prior", "shown"), [("dummy", "dummy"), ("none", "none")])
def test_the_prior_can_be_replaced_or_left_out(
    tmp_path: Path, info: ModelInfo, questions: list[Question], prior: str, shown: str
) -> None:
    engine = Parrot(info)
    answer(engine, questions, tmp_path / "a.jsonl", decoding=Decoding(), prior=prior)  # type: ignore[arg-type]
    read = read_answers(tmp_path / "a.jsonl")
    assert [entry.metadata["prior"] for entry in read.values()] == [shown, "none", shown]
    current, second = engine.seen[0]
    assert second == (current if prior == "dummy" else None)


def test_an_interrupted_run_goes_on(tmp_path: Path, info: ModelInfo, questions: list[Question]) -> None:
    output = tmp_path / "a.jsonl"
    with pytest.raises(ModelError):
        answer(Parrot(info, fail_after=2), questions, output, decoding=Decoding())
    before = output.read_text(encoding="utf-8")
    assert before.count("\n") == 2
    with output.open("a", encoding="utf-8") as stream:
        stream.write('{"question_id": "oth')  # the power went
    engine = Parrot(info)
    outcome = answer(engine, questions, output, decoding=Decoding(), resume=True)
    assert (outcome.written, outcome.kept) == (1, 2)
    assert output.read_text(encoding="utf-8").startswith(before)
    assert list(read_answers(output)) == ["other", "single", "pair"]
    assert len(engine.seen) == 1


def test_only_so_many_images_are_open_at_once(
    tmp_path: Path, info: ModelInfo, questions: list[Question], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "OPEN", 2)
    engine, reports = Parrot(info), []
    answer(engine, questions, tmp_path / "a.jsonl", decoding=Decoding(), report=lambda *said: reports.append(said))
    assert engine.sizes == [(2, "auto"), (1, "auto")]
    assert reports == [(1, 3), (2, 3), (3, 3)]
    engine = Parrot(info)
    answer(engine, questions, tmp_path / "b.jsonl", decoding=Decoding(), batch_size=1)
    assert engine.sizes == [(1, 1)] * 3
    assert list(read_answers(tmp_path / "b.jsonl")) == ["pair", "single", "other"]


def test_answers_of_different_runs_are_not_mixed(tmp_path: Path, info: ModelInfo, questions: list[Question]) -> None:
    output = tmp_path / "a.jsonl"
    answer(Parrot(info), questions, output, decoding=Decoding())
    with pytest.raises(UsageError, match="--resume"):
        answer(Parrot(info), questions, output, decoding=Decoding())
    with pytest.raises(UsageError, match="decoding"):
        answer(Parrot(info), questions, output, decoding=Decoding(num_beams=3), resume=True)
    with pytest.raises(UsageError, match="another prior"):
        answer(Parrot(info), questions, output, decoding=Decoding(), prior="dummy", resume=True)
    assert answer(Parrot(info), questions, output, decoding=Decoding(), resume=True).kept == 3


def test_a_bad_image_is_left_out_and_named(tmp_path: Path, info: ModelInfo, questions: list[Question]) -> None:
    questions[1].images[0].write_bytes(b"not a picture")
    outcome = answer(Parrot(info), questions, tmp_path / "a.jsonl", decoding=Decoding())
    assert outcome.written == 2
    assert [identity for identity, _ in outcome.failed] == ["single"]
    assert "2.png" in outcome.failed[0][1]
