"""Files: Libra's formats as published, DICOM that others read, and the same bytes from the same arguments."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from engine.cli import data
from engine.datasets.phantoms import (
    SITE_B,
    render,
    sample_case,
    show,
    write_case,
    write_studies,
    write_training,
)
from engine.datasets.phantoms.model import DEVICES, FINDINGS
from engine.errors import UsageError
from engine.imaging import read_image
from engine.imaging import render as display_pipeline


def digest(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training") / "set"
    write_training(folder, 60, seed=4, size=64, workers=1)
    return folder


def test_training_files_are_libras(training: Path) -> None:
    samples = json.loads((training / "train.json").read_text())
    questions = [json.loads(line) for line in (training / "eval.jsonl").read_text().splitlines()]
    assert len(samples) == len(questions) == 60
    assert len({sample["id"] for sample in samples}) == 60
    for sample, question in zip(samples, questions, strict=True):
        human, gpt = sample["conversations"]
        assert human["from"] == "human" and gpt["from"] == "gpt"
        assert human["value"] == f"<image>\n{question['text']}"
        assert question["text"].startswith("Provide a detailed description of the findings in the radiology image.")
        assert (question["question_id"], question["reference"]) == (sample["id"], gpt["value"])
        assert question["image"] == sample["image"]
        images = [sample["image"]] if isinstance(sample["image"], str) else sample["image"]
        assert 1 <= len(images) <= 2
        for name in images:
            with Image.open(training / name) as picture:
                assert picture.mode == "L" and max(picture.size) == 64
    with_context = [" Following clinical context: " in question["text"] for question in questions]
    assert any(with_context) and not all(with_context)


def test_truth_lines_say_what_the_pictures_show(training: Path) -> None:
    samples = json.loads((training / "train.json").read_text())
    lines = [json.loads(line) for line in (training / "truth.jsonl").read_text().splitlines()]
    for sample, line in zip(samples, lines, strict=True):
        assert line["id"] == sample["id"] and line["patient"].startswith("PHANTOM-")
        assert line["has_prior"] == isinstance(sample["image"], list) == ("prior" in line["masks"])
        present = {entry["finding"] for entry in line["findings"] if entry["size"] > 0}
        assert present == line["masks"]["current"].keys() <= {*FINDINGS, *DEVICES}
        before = {entry["finding"] for entry in line["findings"] if entry["prior_size"]}
        assert before == line["masks"].get("prior", {}).keys()
        for masks in line["masks"].values():
            assert all(len(cells) == 64 and 0 <= min(cells) <= max(cells) <= 1 for cells in masks.values())


def test_the_same_arguments_give_the_same_bytes_whatever_the_workers(training: Path, tmp_path: Path) -> None:
    write_training(tmp_path / "again", 60, seed=4, size=64, workers=2)
    assert digest(tmp_path / "again") == digest(training)


def test_a_folder_is_not_written_over(training: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write_training(training, 1)
    write_studies(tmp_path, 1, size=64, workers=1)
    with pytest.raises(UsageError):
        write_studies(tmp_path, 1, size=64, workers=1)


@pytest.mark.parametrize("wrong", [{"count": 0}, {"seed": -1}, {"size": 8}, {"workers": 0}])
def test_impossible_requests_are_refused(wrong: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write_training(tmp_path, **({"count": 1} | wrong))


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies")
    write_studies(folder, 4, seed=2, site=SITE_B, size=128, workers=1)
    return folder


def test_dicom_is_a_digital_x_ray_for_presentation(studies: Path) -> None:
    paths = sorted((studies / "studies").rglob("*.dcm"))
    kinds = set()
    identifiers = []
    for path in paths:
        data_set = pydicom.dcmread(path)
        kinds.add(data_set.PhotometricInterpretation)
        identifiers += [data_set.StudyInstanceUID, data_set.SeriesInstanceUID, data_set.SOPInstanceUID]
        assert data_set.SOPClassUID == "1.2.840.10008.5.1.4.1.1.1.1" and data_set.Modality == "DX"
        assert data_set.BitsStored == 12 and data_set.HighBit == 11 and data_set.pixel_array.max() <= 4095
        assert data_set.ViewPosition in ("PA", "AP") and list(data_set.PatientOrientation) == ["L", "F"]
        assert "PixelSpacing" not in data_set and 0.5 < float(data_set.ImagerPixelSpacing[0]) < 5
        assert data_set.BurnedInAnnotation == "NO" and data_set.Manufacturer == "PHANTOM"
        assert str(data_set.PatientID).startswith("PHANTOM-") and data_set.PatientName.family_name == "Phantom"
        assert path.parent.parent.name == data_set.PatientID
        for element in data_set.iterall():
            if element.VR == "UI" and element.keyword != "SOPClassUID":
                assert str(element.value).startswith("2.25.") and len(str(element.value)) <= 64
    assert kinds == {"MONOCHROME1", "MONOCHROME2"}, "both kinds of storage are met"
    assert len(set(identifiers)) == len(identifiers)


def test_the_viewers_pipeline_shows_the_film_as_it_was_made(tmp_path: Path) -> None:
    seen = set()
    for seed in range(8):
        case = sample_case(seed, site=SITE_B)
        path = write_case(tmp_path / str(seed), case, 160).current
        image = read_image(path)
        seen.add(image.inverted)
        expected = show(render(case.current, 160)).astype(int)
        assert np.abs(display_pipeline(image).astype(int) - expected).max() <= 1
        assert image.patient.id == case.person.id and image.patient.birth_date == case.person.birth_date
        assert image.acquired == case.current_time.replace(second=0) and image.date_reliable
        assert image.view.value == case.current.view and image.spacing is not None
        if seen == {True, False}:
            break
    assert seen == {True, False}


def test_compressed_studies_hold_the_same_pixels(tmp_path: Path) -> None:
    case = sample_case(5)
    plain = pydicom.dcmread(write_case(tmp_path / "plain", case, 64).current)
    packed = pydicom.dcmread(write_case(tmp_path / "packed", case, 64, compressed=True).current)
    assert packed.file_meta.TransferSyntaxUID.name == "RLE Lossless"
    assert packed.SOPInstanceUID == plain.SOPInstanceUID
    assert np.array_equal(plain.pixel_array, packed.pixel_array)


def test_the_truth_file_names_films_and_masks(studies: Path) -> None:
    for path in sorted((studies / "truth").glob("*.json")):
        truth = json.loads(path.read_text())
        assert truth["report"]["findings"]
        for role in ("current", "prior") if truth["has_prior"] else ("current",):
            film = truth[role]
            data_set = pydicom.dcmread(studies / film["file"])
            assert data_set.SOPInstanceUID == film["sop_uid"]
            size = "size" if role == "current" else "prior_size"
            assert film["masks"].keys() == {entry["finding"] for entry in truth["findings"] if entry[size]}
            for name in film["masks"].values():
                with Image.open(studies / "truth" / name) as mask:
                    assert mask.mode == "1" and mask.size == (data_set.Columns, data_set.Rows)
                    assert np.asarray(mask).any()


def test_studies_are_the_same_bytes_again(studies: Path, tmp_path: Path) -> None:
    write_studies(tmp_path, 4, seed=2, site=SITE_B, size=128, workers=1)
    assert digest(tmp_path) == digest(studies)


def test_the_command_writes_either_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    data.register(parser)
    common = ["--count", "2", "--seed", "9", "--size", "64", "--workers", "1"]
    for form, made in (("training", "train.json"), ("studies", "truth")):
        output = tmp_path / form
        assert data.run(parser.parse_args(["phantoms", "--output", str(output), "--format", form, *common])) == 0
        assert (output / made).exists()
    words = capsys.readouterr()
    assert words.out == "" and "2 cases are in" in words.err
