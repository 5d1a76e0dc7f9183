"""CheXbert F1 on a tiny random checkpoint: labels as transformers gives them, published rules of counting, refusals."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score
from tiny_encoders import chexbert
from transformers import AutoTokenizer, BertConfig, BertModel

from engine.cli import main
from engine.errors import ModelError
from engine.evaluation.chexbert import CLASSES, FILE, CheXbert, measures
from engine.evaluation.meaning import FIVE
from engine.evaluation.statistics import Patients

TEXTS = ["The heart is normal.", "New  left\npleural effusion.", "", "Edema and a large nodule. " * 20, "stable"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chexbert(tmp_path_factory.mktemp("chexbert"))


def by_hand(folder: Path, text: str) -> list[int]:
    """One text through transformers' BERT and the heads."""
    state = torch.load(folder / FILE, weights_only=True)["model_state_dict"]
    bert = BertModel(BertConfig.from_pretrained(folder)).eval()
    own = {name.removeprefix("module.bert."): tensor for name, tensor in state.items() if ".bert." in name}
    bert.load_state_dict({name: tensor for name, tensor in own.items() if "position_ids" not in name})
    ids = AutoTokenizer.from_pretrained(folder)(text, truncation=True, max_length=32, return_tensors="pt")
    with torch.no_grad():
        first = bert(**ids).last_hidden_state[0, 0]
    heads = [(state[f"module.linear_heads.{n}.weight"], state[f"module.linear_heads.{n}.bias"]) for n in range(14)]
    return [int((weight @ first + bias).argmax()) for weight, bias in heads]


def test_labels_are_those_of_the_checkpoint(folder: Path) -> None:
    labels = CheXbert(folder).labels(TEXTS)
    assert labels.tolist() == [by_hand(folder, text) for text in TEXTS]
    assert len({tuple(row) for row in labels.tolist()}) > 2 and labels[:, 13].max() <= 1
    assert CheXbert(folder).labels([]).shape == (0, 14)


@pytest.mark.parametrize("options", [{"wrapped": False}, {"legacy": True}])
def test_the_file_may_be_bare_or_of_an_older_pytorch(tmp_path: Path, folder: Path, options: dict[str, bool]) -> None:
    other = chexbert(tmp_path / "other", **options)
    assert CheXbert(other).labels(TEXTS).tolist() == CheXbert(folder).labels(TEXTS).tolist()


labels = arrays(np.int64, st.tuples(st.integers(1, 6), st.just(14)), elements=st.integers(0, 3))


@given(st.integers(1, 6).flatmap(lambda n: st.tuples(*[arrays(np.int64, (n, 14), elements=st.integers(0, 3))] * 2)))
def test_scores_are_scikit_learns_on_present_and_uncertain(pair: tuple[np.ndarray, np.ndarray]) -> None:
    gold, said = ((labels == 1) | (labels == 3) for labels in pair)
    patients = Patients([str(number) for number in range(len(gold))])
    scores = patients.scores(measures(*pair), intervals=False)
    five = [CLASSES.index(name) for name in FIVE]
    for suffix, columns in (("14", list(range(14))), ("5", five)):
        for average in ("micro", "macro"):
            expected = 100 * f1_score(gold[:, columns], said[:, columns], average=average, zero_division=0)
            found = scores[f"chexbert_f1_{average}_{suffix}"].value
            assert (found or 0) == pytest.approx(expected)


def test_uncertain_counts_as_present_and_negative_as_absent() -> None:
    def one(label: int) -> np.ndarray:
        row = np.zeros((1, 14), np.int64)
        row[0, CLASSES.index("Edema")] = label
        return row

    def f1(gold: int, said: int) -> float | None:
        return Patients(["a"]).score(measures(one(gold), one(said))["chexbert_f1[Edema]"], intervals=False).value

    assert f1(1, 1) == f1(1, 3) == f1(3, 1) == 100
    assert f1(1, 2) == f1(1, 0) == f1(2, 1) == 0
    assert f1(2, 0) is f1(0, 0) is None


class Harmful:
    """A pickle that would write a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.file,))


def test_folders_that_cannot_be_used(tmp_path: Path, folder: Path) -> None:
    other = chexbert(tmp_path / "other")
    file, proof = other / FILE, tmp_path / "proof"
    whole = torch.load(file, weights_only=True)
    torch.save(whole | {"extra": Harmful(proof)}, file)
    with pytest.raises(ModelError, match="more than weights"):
        CheXbert(other)
    assert not proof.exists()
    file.write_bytes(pickle.dumps(Harmful(proof), protocol=2))
    with pytest.raises(ModelError):
        CheXbert(other)
    assert not proof.exists()
    file.write_bytes(b"no weights")
    with pytest.raises(ModelError, match="damaged"):
        CheXbert(other)
    state = dict(whole["model_state_dict"])
    del state["module.linear_heads.3.bias"]
    torch.save({"model_state_dict": state}, file)
    with pytest.raises(ModelError, match=r"linear_heads\.3\.bias"):
        CheXbert(other)
    state["module.linear_heads.3.bias"] = torch.full((4,), float("nan"))
    torch.save({"model_state_dict": state}, file)
    with pytest.raises(ModelError, match="not numbers"):
        CheXbert(other)
    torch.save([1, 2], file)
    with pytest.raises(ModelError, match="table of weights"):
        CheXbert(other)
    file.unlink()
    with pytest.raises(ModelError, match=r"no chexbert\.pth"):
        CheXbert(other)


def test_score_takes_the_folder(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str], reference_file: Path
) -> None:
    answers = tmp_path / "answers.jsonl"
    answers.write_text(json.dumps({"question_id": "s1", "text": ""}) + "\n")
    command = ["score", "--references", str(reference_file), "--predictions", str(answers), "--json"]
    assert main([*command, "--chexbert", str(folder), "--metrics", "chexbert_f1"]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert {"chexbert_f1_micro_14", "chexbert_f1_macro_5", "chexbert_f1[Edema]"} <= set(scores)
