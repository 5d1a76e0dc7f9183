"""``score`` and ``evaluate`` as a user types them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from five_studies import REFERENCES, write_answers
from test_baseline import make

from engine.cli import main


@pytest.fixture
def answers_file(tmp_path: Path) -> Path:
    return write_answers(tmp_path / "answers.jsonl", REFERENCES)


def test_score_prints_one_object(
    capsys: pytest.CaptureFixture[str], truth_file: Path, reference_file: Path, answers_file: Path
) -> None:
    files = ["--references", str(reference_file), "--truth", str(truth_file), "--predictions", str(answers_file)]
    assert main(["score", *files, "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["studies"] == 5 and document["patients"] == 4
    assert document["scores"]["BLEU4"]["value"] == 100
    assert document["scores"]["finding_f1_micro"] == {
        "value": 100.0,
        "studies": 5,
        "note": "the same in every draw: no interval",
    }
    assert document["scores"]["missed_comparison_rate"]["interval"][0] == 0
    assert document["scores"]["Bert_score"] == {
        "value": None,
        "note": "n/a, because no BERT checkpoint was given: --bertscore DIR",
    }
    assert "not CheXbert" in err


def test_score_as_a_table_with_a_comparison_and_csv(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, truth_file: Path, answers_file: Path
) -> None:
    other = write_answers(tmp_path / "other.jsonl", dict.fromkeys(REFERENCES, "No pneumothorax."))
    sheet = tmp_path / "s.csv"
    options = ["--compare", str(other), "--csv", str(sheet), "--metrics", "finding_f1,progression"]
    assert main(["score", "--truth", str(truth_file), "--predictions", str(answers_file), *options]) == 0
    out = capsys.readouterr().out
    assert "finding_f1_micro" in out and "second minus first" in out and "duplicate_rate" not in out
    rows = list(csv.DictReader(sheet.read_text(encoding="utf-8").splitlines()))
    micro = next(row for row in rows if row["score"] == "finding_f1_micro")
    assert (float(micro["value"]), float(micro["gain"])) == (100.0, -100.0)
    assert all(not cell.startswith(("=", "+", "@")) for row in rows for cell in row.values())


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        ([], 2, "--references, --truth, or both"),
        (["--truth", "nowhere.jsonl"], 3, "nowhere.jsonl"),
        (["--truth", "{truth}", "--metrics", "beauty"], 2, "beauty"),
        (["--references", "{answers}", "--compare", "{broken}"], 3, "row 1"),
    ],
)
def test_score_refuses_in_one_sentence(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    truth_file: Path,
    answers_file: Path,
    options: list[str],
    status: int,
    words: str,
) -> None:
    (tmp_path / "broken.jsonl").write_text("{\n")
    names = {"truth": truth_file, "answers": answers_file, "broken": tmp_path / "broken.jsonl"}
    filled = [option.format(**names) for option in options]
    assert main(["score", "--predictions", str(answers_file), *filled]) == status
    assert words in capsys.readouterr().err


def test_the_thumbnail_baseline(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folders = [str(make(tmp_path / name, 60, seed)) for name, seed in (("train", 1), ("test", 2))]
    assert main(["evaluate", "--thumbnail-baseline", *folders, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["scores"]["finding_f1[pleural effusion]"]["value"] > 90
    assert (document["training_images"], document["studies"]) == (60, 60)


def test_evaluate_needs_its_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["evaluate", "--model", str(tmp_path)]) == 2
    assert "--questions and --output" in capsys.readouterr().err
    assert main(["evaluate", "--model", str(tmp_path), "--limit", "0"]) == 2


def test_evaluate_with_a_real_checkpoint(capsys: pytest.CaptureFixture[str], tmp_path: Path, shared: Path) -> None:
    model = shared / "reference" / "libra" / "ckpts" / "libra-v1.0-7b-tiny"
    if not model.is_dir():
        pytest.skip("the tiny checkpoint is not there")
    data = (shared / "data").resolve()
    rows = [
        {"question_id": 7, "image": ["pair_current.jpg", "pair_prior.jpg"], "text": "<image>\nDescribe the findings."},
        {"question_id": 8, "image": "cr_chest_j2k_15bit.dcm", "text": "Describe the findings."},
    ]
    questions, output = tmp_path / "q.jsonl", tmp_path / "a.jsonl"
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["evaluate", "--model", str(model), "--questions", str(questions), "--images", str(data)]
    command += ["--output", str(output), "--max-new-tokens", "4", "--dtype", "float32", "--json"]
    assert main([*command, "--limit", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["written"] == 1
    assert main([*command, "--resume"]) == 0
    assert json.loads(capsys.readouterr().out) | {"output": "", "model": {}} == {
        "output": "",
        "written": 1,
        "kept": 1,
        "failed": [],
        "model": {},
        "prior": "true",
    }
    written = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [row["question_id"] for row in written] == ["7", "8"]
    assert [row["metadata"]["prior"] for row in written] == ["true", "none"]
