"""Medical-Diff-VQA and MIMIC-CXR-VQA made into Libra's files, and what may be wrong with theirs."""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cli import data
from engine.datasets import json_list
from engine.datasets.json_list import read_list
from engine.datasets.libra import read_questions, read_references, read_training
from engine.datasets.tables import Faults
from engine.datasets.vqa import NO_ANSWER, NO_IMAGE, NO_REFERENCE, NO_STUDY, READ, WRITTEN, convert, read_studies
from engine.errors import DatasetError, InputError, UsageError

PAIRS = "study_id,subject_id,ref_id,question_type,question,answer,split\n"
METADATA = "dicom_id,subject_id,study_id,ViewPosition,StudyDate,StudyTime,ViewCodeSequence_CodeMeaning\n"
ROWS = [
    "11,10000032,10.0,difference,what has changed in the right lung?,the main image has an additional finding.,train",
    '11,10000032,10.0,abnormality,what abnormalities are seen in this image?,"pneumonia, atelectasis",train',
    "11,10000032,10.0,presence,is there evidence of edema in this image?,no,train",
    "10,10000032,,view,which view is this image taken?,pa view,val",
    "11,10000032,10.0,difference,what has changed compared to the reference image?,nothing has changed.,test",
    "12,10000032,,presence,is there edema?,yes,test",
]


@pytest.fixture
def mimic(tmp_path: Path) -> Path:
    """Two studies of a patient: the older of one film, the newer of a lateral and a frontal one."""
    folder = tmp_path / "mimic"
    lines = ["d10,10000032,10,PA,21800506,1.0,", "d11l,10000032,11,LATERAL,21800507,1.0,lateral"]
    lines += ["d11,10000032,11,,21800507,1.0,antero-posterior", "d12,10000032,12,LL,21800508,1.0,"]
    for name in ("s10/d10", "s11/d11", "s11/d11l"):
        image = folder / f"files/p10/p10000032/{name}.jpg"
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(b"never opened")
    (folder / "mimic-cxr-2.0.0-metadata.csv").write_text(METADATA + "\n".join(lines) + "\n")
    return folder


def pairs(folder: Path, *rows: str, name: str = "mimic_pair_questions.csv") -> Path:
    file = folder / name
    file.write_text(PAIRS + "\n".join(rows) + "\n")
    return file


def record(**changes: Any) -> dict[str, Any]:
    return {
        "split": "train",
        "idx": 7,
        "subject_id": "10000032",
        "study_id": "11",
        "image_id": "d11",
        "image_path": "p10/p10000032/s11/d11.jpg",
        "question": "Is there an effusion?",
        "semantic_type": "verify",
        "content_type": "presence",
        "template": "Is there ${attribute}?",
        "template_arguments": {"attribute": {"0": "effusion"}},
        "answer": ["yes"],
    } | changes


def answers(folder: Path, *records: dict[str, Any], name: str = "train.json") -> Path:
    file = folder / name
    file.write_text(json.dumps(records))
    return file


def test_difference_questions_have_two_images_and_all_others_one(mimic: Path, tmp_path: Path) -> None:
    converted = convert([pairs(tmp_path, *ROWS)], mimic, tmp_path / "out")
    difference, abnormality, presence = read_training(tmp_path / "out/train.json", mimic)
    assert [image.name for image in difference.images] == ["d11.jpg", "d10.jpg"]
    assert [image.name for image in abnormality.images] == ["d11.jpg"]
    assert [sample.kind for sample in (difference, abnormality, presence)] == ["difference", "abnormality", "presence"]
    assert abnormality.turns == (("<image>\nwhat abnormalities are seen in this image?", "pneumonia, atelectasis"),)
    assert (difference.about.patient, difference.about.study, difference.about.view) == ("10000032", "11", "AP")
    assert difference.id == "mimic_pair_questions-2"
    [view] = read_training(tmp_path / "out/validate.json", mimic)
    assert (view.kind, view.about.view) == ("view", "PA")
    [question] = read_questions(tmp_path / "out/test.jsonl", mimic)
    assert (question.text, question.reference) == (
        "what has changed compared to the reference image?",
        "nothing has changed.",
    )
    reference = read_references(tmp_path / "out/test.jsonl")[question.id]
    assert reference.has_prior and (reference.kind, reference.about.patient) == ("difference", "10000032")
    # The film of study 12 is in the table and not on the disk.
    assert (converted.tally.of(READ), converted.tally.of(WRITTEN), converted.tally.of(NO_IMAGE)) == (6, 5, 1)
    # The splits are the data set's own; that they share their one patient is said.
    assert converted.tally.of("note: patients in more than one split") == 1
    summary = json.loads((tmp_path / "out/preparation.json").read_text())
    assert summary["counts"]["    difference"] == {"train": 1, "validate": 0, "test": 1, "all": 2}
    assert set(summary["made_from"]) == {"mimic_pair_questions.csv", "mimic-cxr-2.0.0-metadata.csv"}


def test_the_image_of_a_study_is_its_first_frontal_one_or_what_the_data_set_says(mimic: Path, tmp_path: Path) -> None:
    found = read_studies(mimic / "mimic-cxr-2.0.0-metadata.csv").images
    assert {study: image.name.rsplit("/", 1)[1] for study, image in found.items()} == {
        "10": "d10",
        "11": "d11",
        "12": "d12",
    }
    (tmp_path / "mimic_all.csv").write_text(
        "subject_id,study_id,Atelectasis,dicom_id,view,split\n10000032,11,1.0,d11l,lateral,train\n"
    )
    convert([pairs(tmp_path, ROWS[2])], mimic, tmp_path / "out")
    [sample] = read_training(tmp_path / "out/train.json", mimic)
    assert (sample.images[0].name, sample.about.view) == ("d11l.jpg", "LATERAL")


def test_answers_that_are_lists_become_words(mimic: Path, tmp_path: Path) -> None:
    asked = [
        record(),
        record(answer=[]),
        record(answer=["edema", "left lung"], semantic_type="query", content_type="attribute"),
        record(answer=[], semantic_type="choose"),
        record(answer="m", semantic_type="query", content_type="gender"),
    ]
    convert([answers(tmp_path, *asked)], mimic, tmp_path / "out")
    samples = read_training(tmp_path / "out/train.json", mimic)
    assert [sample.turns[0][1] for sample in samples] == ["yes", "no", "edema, left lung", "none", "m"]
    assert [sample.kind for sample in samples][1:3] == ["verify/presence", "query/attribute"]
    assert {image.name for sample in samples for image in sample.images} == {"d11.jpg"}
    assert samples[0].about.view == "AP" and samples[0].id == "train-1"


def test_several_files_of_both_data_sets_go_into_the_same_files(
    mimic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = tmp_path / "valid.json.gz"
    packed.write_bytes(gzip.compress(json.dumps([record(split="valid")]).encode()))
    words = ["vqa", str(pairs(tmp_path, *ROWS)), str(answers(tmp_path, record())), str(packed)]
    parser = argparse.ArgumentParser()
    data.register(parser)
    args = parser.parse_args([*words, "--images", str(mimic), "--output", str(tmp_path / "out"), "--json"])
    assert data.run(args) == 0
    counts = json.loads(capsys.readouterr().out)["counts"]
    assert counts["questions written"] == {"train": 4, "validate": 2, "test": 1, "all": 7}
    assert len(read_training(tmp_path / "out/validate.json", mimic)) == 2


def test_turns_gather_questions_about_the_same_images(mimic: Path, tmp_path: Path) -> None:
    asked = [record(question=f"Question {number}?") for number in range(5)] + [record(split="test")] * 2
    asked.insert(1, record(image_id="d11l", question="Lateral?"))
    convert([answers(tmp_path, *asked)], mimic, tmp_path / "out", turns=2)
    samples = read_training(tmp_path / "out/train.json", mimic)
    turns = {sample.id: [question for question, _ in sample.turns] for sample in samples}
    assert turns == {
        "train-1": ["<image>\nQuestion 0?", "Question 1?"],
        "train-4": ["<image>\nQuestion 2?", "Question 3?"],
        "train-6": ["<image>\nQuestion 4?"],
        "train-2": ["<image>\nLateral?"],
    }
    assert len(read_questions(tmp_path / "out/test.jsonl", mimic)) == 2
    convert([pairs(tmp_path, *ROWS)], mimic, tmp_path / "pairs", turns=10)
    difference, other = read_training(tmp_path / "pairs/train.json", mimic)
    assert (len(difference.turns), len(difference.images), difference.kind) == (1, 2, "difference")
    assert (len(other.turns), len(other.images), other.kind) == (2, 1, "mixed")
    for wrong in (0, 101):
        with pytest.raises(UsageError):
            convert([pairs(tmp_path, *ROWS)], mimic, tmp_path / "wrong", turns=wrong)


def refused(files: list[Path], images: Path, output: Path) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        convert(files, images, output)
    assert not list(output.glob("*"))
    return caught.value


def test_what_is_not_there_is_counted(mimic: Path, tmp_path: Path) -> None:
    rows = [
        ROWS[0],
        "99,10000032,10,presence,is there edema?,no,train",
        "11,10000032,99,difference,what has changed?,nothing has changed.,train",
        "11,10000032,,difference,what has changed?,nothing has changed.,test",
        "11,10000032,,presence,is there edema?,,train",
    ]
    converted = convert([pairs(tmp_path, *rows)], mimic, tmp_path / "out")
    found = {what: converted.tally.of(what) for what in (NO_STUDY, NO_REFERENCE, NO_ANSWER, WRITTEN)}
    assert found == {NO_STUDY: 1, NO_REFERENCE: 2, NO_ANSWER: 1, WRITTEN: 1}
    error = refused([pairs(tmp_path, rows[1], name="strangers.csv")], mimic, tmp_path / "none")
    assert NO_STUDY in str(error)


def test_rows_that_break_the_format_are_all_named(mimic: Path, tmp_path: Path) -> None:
    rows = [ROWS[0], "x,1,,presence,is it?,no,train", "11,1,,,is it?,no,train", "11,1,,presence,,no,dev", "11,2"]
    error = refused([pairs(tmp_path, *rows)], mimic, tmp_path / "out")
    assert [row for row, _ in error.rows] == [3, 4, 5, 6]
    records = [
        record(),
        record(answer=None),
        record(answer=[1]),
        record(image_id="../../x"),
        record(split="dev"),
        record(question=" "),
        record(semantic_type=["verify"]),
    ]
    error = refused([answers(tmp_path, *records)], mimic, tmp_path / "out")
    assert [row for row, _ in error.rows] == [2, 3, 4, 5, 6, 7]
    file = tmp_path / "numbers.json"
    file.write_text("[1, {}]")
    assert [row for row, _ in refused([file], mimic, tmp_path / "out").rows] == [1, 2]


def test_files_that_are_neither_are_refused(mimic: Path, tmp_path: Path) -> None:
    whole = json.dumps([record(), record()])
    broken = {"cut": whole[:-20], "comma": whole.replace("}, {", "} {"), "object": '{"a": 1}', "text": "what is this?"}
    for name, text in broken.items():
        file = tmp_path / f"{name}.json"
        file.write_text(text)
        refused([file], mimic, tmp_path / "out")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe[")
    refused([tmp_path / "bytes.json"], mimic, tmp_path / "out")
    (tmp_path / "packed.json.gz").write_bytes(gzip.compress(whole.encode())[:-9])
    refused([tmp_path / "packed.json.gz"], mimic, tmp_path / "out")


def test_the_table_of_studies_must_be_somewhere(mimic: Path, tmp_path: Path) -> None:
    (mimic / "mimic-cxr-2.0.0-metadata.csv").unlink()
    with pytest.raises(UsageError, match="--studies"):
        convert([pairs(tmp_path, *ROWS)], mimic, tmp_path / "out")
    convert([answers(tmp_path, record())], mimic, tmp_path / "out")
    with pytest.raises(InputError):
        convert([answers(tmp_path, record())], tmp_path, tmp_path / "nowhere")
    with pytest.raises(UsageError):
        convert([answers(tmp_path, record())] * 2, mimic, tmp_path / "twice")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.lists(st.dictionaries(st.text(max_size=4), values, max_size=3)), st.integers(1, 9), st.sampled_from([None, 2])
)
def test_a_list_read_in_pieces_is_the_list(
    tmp_path_factory: pytest.TempPathFactory, members: list[dict[str, Any]], chunk: int, indent: int | None
) -> None:
    file = tmp_path_factory.mktemp("list") / "list.json"
    file.write_text(json.dumps(members, indent=indent))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_list, "CHUNK", chunk)
        assert list(read_list(file, Faults(file))) == list(enumerate(members, 1))
