"""What MIMIC-CXR's tables and files may have wrong with them: counted, or refused with every row."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from engine.datasets.libra import read_questions, read_training
from engine.datasets.mimic.prepare import (
    BY_HAND,
    EMPTY,
    MARKED,
    NO_DAY,
    NO_IMAGE,
    NO_PATIENT,
    NO_REPORT,
    NO_SPLIT,
    NO_TIME,
    NO_VIEW,
    NOT_TEXT,
    OTHER_VIEW,
    READ,
    WRITTEN,
    Choice,
    Source,
    prepare,
)
from engine.datasets.mimic.sections import RULES
from engine.datasets.mimic.tables import Patient
from engine.errors import DatasetError, InputError, UsageError

HEADER = [
    "dicom_id",
    "subject_id",
    "study_id",
    "ViewPosition",
    "StudyDate",
    "StudyTime",
    "ViewCodeSequence_CodeMeaning",
]
REPORT = "                FINAL REPORT\n INDICATION:  Cough.\n \n FINDINGS: \n \n The lungs\n are clear.\n"
BY_HAND_STUDY = next(iter(RULES.spans))[1:]


def metadata(*rows: list[str]) -> str:
    return "\n".join([",".join(HEADER), *(",".join(row) for row in rows)]) + "\n"


class Tree:
    """A MIMIC-CXR-JPG of a few films, written by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[list[str]] = []
        self.splits: dict[str, str] = {}

    def add(
        self,
        dicom: str,
        study: str = "50000001",
        patient: str = "10000032",
        view: str = "PA",
        day: str = "21800506",
        time: str = "93014.5",
        report: str | bytes | None = REPORT,
        split: str | None = "train",
        code: str = "",
        image: bool = True,
    ) -> None:
        self.rows.append([dicom, patient, study, view, day, time, code])
        place = self.folder / f"files/p{patient[:2]}/p{patient}/s{study}"
        place.mkdir(parents=True, exist_ok=True)
        if image:
            (place / f"{dicom}.jpg").write_bytes(b"never opened")
        if report is not None:
            place.with_suffix(".txt").write_bytes(report.encode() if isinstance(report, str) else report)
        if split:
            self.splits[dicom] = split

    def write(self, packed: bool = False) -> Source:
        lines = "dicom_id,split\n" + "".join(f"{dicom},{split}\n" for dicom, split in self.splits.items())
        for name, text in (("metadata", metadata(*self.rows)), ("split", lines)):
            file = self.folder / f"mimic-cxr-2.0.0-{name}.csv"
            if packed:
                file.with_suffix(".csv.gz").write_bytes(gzip.compress(text.encode("utf-8-sig")))
            else:
                file.write_text(text, encoding="utf-8")
        return Source.find(self.folder)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "mimic").mkdir()
    return Tree(tmp_path / "mimic")


def test_all_that_is_left_out_is_counted_by_its_reason(tree: Tree, tmp_path: Path) -> None:
    tree.add("d-good")
    tree.add("d-coded", "50000002", view="", code="antero-posterior", day="21800507")
    tree.add("d-lateral", view="LL")
    tree.add("d-unknown", view="")
    tree.add("d-nosplit", split=None)
    tree.add("d-noimage", image=False)
    tree.add("d-noreport", "50000003", report=None)
    tree.add("d-latin", "50000004", report=b"\n FINDINGS:  \xe9\n")
    tree.add("d-empty", "50000005", report="  \n")
    tree.add("d-hand", BY_HAND_STUDY)
    tree.add("d-short", "50000006", report="\n IMPRESSION:  Normal.\n")
    tree.add("d-marker", "50000007", report="\n FINDINGS:  See <image>.\n")
    tree.add("d-noday", "50000008", day="2180-05-06", time="")
    prepared = prepare(tree.write(), Choice(), tmp_path / "out")
    once = (NO_SPLIT, OTHER_VIEW, NO_VIEW, NO_IMAGE, NO_REPORT, NOT_TEXT, EMPTY, BY_HAND, MARKED, NO_DAY, NO_TIME)
    assert {what: prepared.tally.of(what) for what in once} == dict.fromkeys(once, 1)
    assert prepared.tally.of("left out: no findings section") == 1
    assert (prepared.tally.of(READ), prepared.tally.of(WRITTEN)) == (13, 3)
    samples = {sample.id: sample for sample in read_training(tmp_path / "out/train.json", tree.folder)}
    assert samples.keys() == {"d-good", "d-coded", "d-noday"}
    assert samples["d-good"].turns == (
        (
            "<image>\nProvide a detailed description of the findings in the radiology image. "
            "Following clinical context: Indication: Cough.",
            "The lungs are clear.",
        ),
    )
    assert [image.name for image in samples["d-coded"].images] == ["d-coded.jpg", "d-marker.jpg"]
    assert len(samples["d-noday"].images) == 1 and samples["d-coded"].about.view == "AP"
    document = json.loads((tmp_path / "out/preparation.json").read_text())
    assert document["counts"] == prepared.tally.document()
    assert set(document["made_from"]) == {"mimic-cxr-2.0.0-metadata.csv", "mimic-cxr-2.0.0-split.csv"}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["preparation.json", "train.json"]


def test_missing_films_are_no_priors(tree: Tree, tmp_path: Path) -> None:
    tree.add("d1", "50000001", day="21800501")
    tree.add("d2", "50000002", day="21800502", image=False)
    tree.add("d3", "50000003", day="21800503", split="test")
    tree.splits |= {"d1": "test", "d2": "test"}
    prepare(tree.write(), Choice(), tmp_path / "out")
    questions = {question.id: question for question in read_questions(tmp_path / "out/test.jsonl", tree.folder)}
    assert [image.name for image in questions["d3"].images] == ["d3.jpg", "d1.jpg"]
    assert questions["d3"].reference == "The lungs are clear."


def test_packed_tables_and_numbers_with_a_decimal_point_are_read(tree: Tree, tmp_path: Path) -> None:
    tree.add("d1")
    tree.rows[0][1:3] = ["10000032.0", "50000001.0"]
    tree.rows[0][4] = "21800506.0"
    (tree.folder / "patients.csv").write_text(
        "subject_id,gender,anchor_age,anchor_year\n10000032,f,91,2170\n", encoding="utf-8"
    )
    prepared = prepare(tree.write(packed=True), Choice(), tmp_path / "out")
    [sample] = read_training(tmp_path / "out/train.json", tree.folder)
    assert (sample.about.patient, sample.about.sex, sample.about.age) == ("10000032", "F", 91.0)
    assert prepared.tally.of(NO_PATIENT) == 0


def test_patients_that_the_table_lacks_are_counted(tree: Tree, tmp_path: Path) -> None:
    tree.add("d1")
    patients = tmp_path / "iv.csv"
    patients.write_text("subject_id,gender,anchor_age,anchor_year\n10000001,M,50,2170\n", encoding="utf-8")
    tree.write()
    prepared = prepare(Source.find(tree.folder, patients=patients), Choice(), tmp_path / "out")
    assert prepared.tally.of(NO_PATIENT) == 1
    assert Patient("M", 50, 2170).age_in(2175) == 55 and Patient("M", 5, 2170).age_in(2160) is None


def refused(source: Source, output: Path) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        prepare(source, Choice(), output)
    assert not output.exists() or not list(output.iterdir())
    return caught.value


def test_rows_that_break_the_tables_are_all_named(tree: Tree, tmp_path: Path) -> None:
    for number in range(5):
        tree.add(f"d{number}")
    tree.rows[1][0] = "d0"
    tree.rows[2][1] = "../etc"
    tree.rows[3].append("one value too many")
    tree.rows[4][0] = "../../x"
    error = refused(tree.write(), tmp_path / "out")
    assert [row for row, _ in error.rows] == [3, 4, 5, 6]
    assert not any("etc" in reason for _, reason in error.rows)
    tree.rows = tree.rows[:1]
    tree.splits = {"d0": "training", "": "test"}
    error = refused(tree.write(), tmp_path / "out")
    assert [row for row, _ in error.rows] == [2, 3]
    tree.splits = {"d0": "train"}
    (tree.folder / "patients.csv").write_text("subject_id,gender,anchor_age,anchor_year\n1,F,old,2170\n")
    assert refused(tree.write(), tmp_path / "out").rows[0][0] == 2


def test_a_patient_in_two_splits_is_refused(tree: Tree, tmp_path: Path) -> None:
    tree.add("d1")
    tree.add("d2", "50000002", split="test")
    assert "more than one split" in str(refused(tree.write(), tmp_path / "out"))


def test_damaged_tables_are_refused_in_words(tree: Tree, tmp_path: Path) -> None:
    for number in range(50):
        tree.add(f"d{number}", f"500000{number:02d}")
    source = tree.write(packed=True)
    whole = source.metadata.read_bytes()
    for damage in (whole[: len(whole) // 2], whole[:40] + b"\0" * 60 + whole[100:]):
        source.metadata.write_bytes(damage)
        assert "Download it again" in str(refused(source, tmp_path / "out"))
    source.metadata.write_bytes(b"\xff\xfe\x00text")
    assert "UTF-8" in str(refused(source, tmp_path / "out"))
    source.metadata.write_text("dicom_id,subject_id\n1,2\n")
    assert "study_id" in str(refused(source, tmp_path / "out"))


def test_nothing_to_write_says_why(tree: Tree, tmp_path: Path) -> None:
    tree.add("d1", view="LATERAL")
    assert OTHER_VIEW in str(refused(tree.write(), tmp_path / "out"))


def test_files_are_not_written_over(tree: Tree, tmp_path: Path) -> None:
    tree.add("d1")
    source = tree.write()
    prepare(source, Choice(), tmp_path / "out")
    before = (tmp_path / "out/train.json").read_bytes()
    with pytest.raises(UsageError):
        prepare(source, Choice(), tmp_path / "out")
    assert (tmp_path / "out/train.json").read_bytes() == before


def test_a_training_file_is_a_list_libra_reads(tree: Tree, tmp_path: Path) -> None:
    tree.add("d1")
    tree.add("d2", "50000002", day="21800507")
    prepare(tree.write(), Choice(), tmp_path / "out")
    document = json.loads((tmp_path / "out/train.json").read_text())
    assert [row["id"] for row in document] == ["d1", "d2"]
    assert document[1]["image"] == [
        "files/p10/p10000032/s50000002/d2.jpg",
        "files/p10/p10000032/s50000001/d1.jpg",
    ]


def test_parts_are_found_where_physionet_puts_them(tree: Tree, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--metadata"):
        Source.find(tree.folder)
    with pytest.raises(InputError):
        Source.find(tmp_path / "nowhere")
    tree.add("d1")
    named = tree.write()
    assert Source.find(tree.folder / "files") == named and named.reports == tree.folder
    (tree.folder / "mimic-cxr-reports/files").mkdir(parents=True)
    assert Source.find(tree.folder).reports == tree.folder / "mimic-cxr-reports"
    assert Source.find(tree.folder, reports=tree.folder).reports == tree.folder
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="reports"):
        Source.find(tree.folder, reports=tmp_path / "empty")


def test_choices_that_do_not_exist_are_refused() -> None:
    for wrong in ({"section": "history"}, {"prior": "next"}, {"context": ("findings",)}):
        with pytest.raises(UsageError):
            Choice(**wrong)
