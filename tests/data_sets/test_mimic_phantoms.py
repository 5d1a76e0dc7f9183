"""Phantoms laid out as MIMIC-CXR-JPG, and the whole way from there to Libra's files."""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from engine.cli import data
from engine.datasets.libra import Question, TrainingSample, read_questions, read_training
from engine.datasets.mimic.tables import read_day, view_of
from engine.datasets.phantoms import write_mimic
from engine.errors import UsageError
from engine.evaluation.truth import read_truth

METADATA, SPLITS = "mimic-cxr-2.0.0-metadata.csv.gz", "mimic-cxr-2.0.0-split.csv.gz"
PROMPT = "Provide a detailed description of the findings in the radiology image."


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    data.register(parser)
    return data.run(parser.parse_args(list(words)))


def rows(file: Path) -> list[dict[str, str]]:
    with gzip.open(file, "rt", newline="") as stream:
        return list(csv.DictReader(stream))


def digest(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mimic") / "tree"
    run("phantoms", "--format", "mimic", "--output", str(folder), "--count", "60", "--size", "32", "--workers", "1")
    return folder


@pytest.fixture(scope="module")
def films(tree: Path) -> dict[str, dict[str, str]]:
    return {row["dicom_id"]: row for row in rows(tree / METADATA)}


@pytest.fixture(scope="module")
def truth(tree: Path) -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in (tree / "truth.jsonl").read_text().splitlines()]
    return {line["id"]: line for line in lines}


def view(row: dict[str, str]) -> str:
    return view_of(row["ViewPosition"], row["ViewCodeSequence_CodeMeaning"])


def test_every_row_has_its_film_and_its_report(tree: Path, films: dict[str, dict[str, str]]) -> None:
    for dicom, row in films.items():
        place = tree / f"files/p{row['subject_id'][:2]}/p{row['subject_id']}/s{row['study_id']}"
        with Image.open(place / f"{dicom}.jpg") as picture:
            assert picture.mode == "L" and (str(picture.height), str(picture.width)) == (row["Rows"], row["Columns"])
        report = (tree / "reports" / place.relative_to(tree)).with_suffix(".txt").read_text()
        assert "FINAL REPORT" in report and not any(character.isdigit() for character in report)
        assert max(map(len, report.splitlines())) <= 79
    assert len(list((tree / "files").rglob("*.jpg"))) == len(films)


def test_the_table_has_the_traps_of_the_real_one(films: dict[str, dict[str, str]]) -> None:
    assert any(len(row["StudyTime"].split(".")[0]) < 6 for row in films.values())
    assert any(not row["ViewPosition"] and row["ViewCodeSequence_CodeMeaning"] for row in films.values())
    assert {"PA", "AP", "LATERAL"} <= {row["ViewPosition"] for row in films.values()}
    studies: dict[str, set[str]] = {}
    days: dict[tuple[str, str], set[str]] = {}
    for row in films.values():
        studies.setdefault(row["subject_id"], set()).add(row["study_id"])
        days.setdefault((row["subject_id"], row["StudyDate"]), set()).add(row["study_id"])
    assert {len(of_patient) for of_patient in studies.values()} >= {1, 2, 3}
    assert any(len(of_day) > 1 for of_day in days.values())


def test_truth_holds_one_line_a_frontal_film_and_is_read_by_evaluation(
    tree: Path, films: dict[str, dict[str, str]], truth: dict[str, dict[str, Any]]
) -> None:
    assert {line["study"] for line in truth.values()} == {row["study_id"] for row in films.values()}
    read = read_truth(tree / "truth.jsonl")
    for dicom, line in truth.items():
        assert read[dicom].patient == films[dicom]["subject_id"] and view(films[dicom]) != "LATERAL"
        assert line["has_prior"] == (line["prior"] is not None) == ("prior" in line["masks"])
        if line["prior"]:
            assert films[line["prior"]]["StudyDate"] <= films[dicom]["StudyDate"]
            before = {entry["finding"] for entry in line["findings"] if entry["prior_size"]}
            assert before == line["masks"]["prior"].keys()
        else:
            assert all(entry["change"] == "not compared" for entry in line["findings"])


def test_the_same_arguments_give_the_same_bytes_whatever_the_workers(tree: Path, tmp_path: Path) -> None:
    write_mimic(tmp_path / "again", 60, size=32, workers=2)
    assert digest(tmp_path / "again") == digest(tree)
    with pytest.raises(UsageError):
        write_mimic(tree, 1)


def test_one_split_on_request(tmp_path: Path) -> None:
    write_mimic(tmp_path / "held-out", 4, size=32, split="test", workers=1)
    assert {row["split"] for row in rows(tmp_path / "held-out" / SPLITS)} == {"test"}


Row = TrainingSample | Question


def written(output: Path, tree: Path) -> dict[str, list[Row]]:
    return {
        "train": list(read_training(output / "train.json", tree)),
        "validate": list(read_training(output / "validate.json", tree)),
        "test": list(read_questions(output / "test.jsonl", tree)),
    }


def prepare(tree: Path, output: Path, *words: str) -> dict[str, list[Row]]:
    assert run("mimic", str(tree), "--output", str(output), *words) == 0
    return written(output, tree)


@pytest.mark.parametrize("prior", ["published", "matched", "none"])
def test_from_the_tree_to_libras_files(
    prior: str,
    tree: Path,
    films: dict[str, dict[str, str]],
    truth: dict[str, dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    by_split = prepare(tree, tmp_path / "out", "--prior", prior, "--json")
    counts = json.loads(capsys.readouterr().out)["counts"]
    split_of = {row["dicom_id"]: row["split"] for row in rows(tree / SPLITS)}
    seen = set()
    for split, samples in by_split.items():
        for sample in samples:
            line, row = truth[sample.id], films[sample.id]
            asked, answer = sample.turns[0] if isinstance(sample, TrainingSample) else (sample.text, sample.reference)
            assert answer == " ".join(line["report"]["findings"].split())
            assert asked.removeprefix("<image>\n").startswith(PROMPT)
            assert split == split_of[sample.id] == line["split"] and line["layout"] in ("full", "views")
            assert (sample.about.patient, sample.about.study, sample.about.view) == (
                row["subject_id"],
                row["study_id"],
                view(row),
            )
            assert sample.about.sex in ("F", "M") and 20 <= (sample.about.age or 0) <= 91
            assert all(image.is_file() for image in sample.images) and sample.images[0].stem == sample.id
            check_prior(prior, sample, films, truth)
            seen.add(sample.id)
    frontal = {dicom for dicom, row in films.items() if view(row) in ("PA", "AP")}
    assert seen == {dicom for dicom in frontal if truth[dicom]["layout"] in ("full", "views")}
    left_out = sum(count["all"] for name, count in counts.items() if name.startswith("left out"))
    assert counts["images in the metadata"]["all"] == len(films) == left_out + counts["written"]["all"]
    assert counts["written"]["all"] == len(seen)


def check_prior(rule: str, sample: Row, films: dict[str, dict[str, str]], truth: dict[str, dict[str, Any]]) -> None:
    """The second image is the one that the rule asks for."""
    shown = films[sample.images[1].stem] if len(sample.images) > 1 else None
    true_prior = truth[sample.id]["prior"]
    if rule == "none":
        assert shown is None
    elif rule == "matched" and (true_prior is None or view(films[true_prior])):
        assert (shown or {}).get("dicom_id") == true_prior
    elif rule == "published":
        own = films[sample.id]
        earlier = [
            row["StudyDate"]
            for row in films.values()
            if row["subject_id"] == own["subject_id"] and row["StudyDate"] < own["StudyDate"]
        ]
        assert (shown["StudyDate"] if shown else None) == max(earlier, default=None)


def test_both_sections_are_two_samples_of_a_film(tree: Path, tmp_path: Path) -> None:
    samples = [sample for split in prepare(tree, tmp_path / "out", "--section", "both").values() for sample in split]
    kinds = {sample.kind for sample in samples}
    assert kinds == {"findings", "impression"}
    assert all(sample.id.endswith(f"-{sample.kind}") for sample in samples)
    asked = {sample.kind: sample.turns[0][0] for sample in samples if isinstance(sample, TrainingSample)}
    assert "of the impression in" in asked["impression"] and "of the findings in" in asked["findings"]
    impressions = [sample for sample in samples if sample.kind == "impression"]
    alone = prepare(tree, tmp_path / "impression", "--section", "impression")
    assert len(impressions) == sum(map(len, alone.values())) > len(samples) - len(impressions)


def test_context_and_views_are_chosen(tree: Path, films: dict[str, dict[str, str]], tmp_path: Path) -> None:
    plain = prepare(tree, tmp_path / "plain", "--context", "none")
    assert {sample.turns[0][0] for sample in plain["train"] if isinstance(sample, TrainingSample)} == {
        f"<image>\n{PROMPT}"
    }
    some = prepare(
        tree, tmp_path / "some", "--context", "history,indication", "--views", "lateral", "--prior", "matched"
    )
    for sample in some["train"]:
        assert isinstance(sample, TrainingSample)
        _, context = sample.turns[0][0].split(" Following clinical context: ")
        assert context.startswith(("Indication: ", "History: ")) and "Technique" not in context
        assert {view(films[image.stem]) for image in sample.images} == {"LATERAL"}
    everything = prepare(tree, tmp_path / "all", "--views", "all")
    assert sum(map(len, everything.values())) == sum(map(len, plain.values())) + sum(map(len, some.values()))
    for wrong in (["--context", "weather"], ["--views", ","]):
        with pytest.raises(UsageError):
            run("mimic", str(tree), "--output", str(tmp_path / "wrong"), *wrong)


def test_ages_follow_from_the_year_of_the_film(
    tree: Path, films: dict[str, dict[str, str]], truth: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    patients = {row["subject_id"]: row for row in rows(tree / "patients.csv.gz")}
    for samples in prepare(tree, tmp_path / "out").values():
        for sample in samples:
            patient, day = patients[sample.about.patient], read_day(films[sample.id]["StudyDate"])
            assert isinstance(day, date)
            assert sample.about.age == int(patient["anchor_age"]) + day.year - int(patient["anchor_year"])
            assert sample.about.sex == patient["gender"]


def test_the_tables_of_sections_on_request(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(tree, tmp_path / "out", "--sectioned")
    printed = capsys.readouterr().out
    assert "reports" in printed and "left out: another view" in printed
    with (tmp_path / "out/mimic_cxr_sectioned.csv").open(newline="") as stream:
        sectioned = {row["study"]: row for row in csv.DictReader(stream)}
    assert len(sectioned) == len(list((tree / "reports").rglob("s*.txt")))
    for sample in written(tmp_path / "out", tree)["train"]:
        assert isinstance(sample, TrainingSample)
        assert sample.turns[0][1] == " ".join(sectioned[f"s{sample.about.study}"]["findings"].split())
