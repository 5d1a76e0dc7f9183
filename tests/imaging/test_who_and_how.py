"""What a file says of patient, date, view, side and pixel size, with fallbacks and contradictions."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import dataset, file_bytes, simple
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes

from engine.imaging import Image, View
from engine.imaging.parsing import parse_bytes
from engine.imaging.text import tidy

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, about the values that are wrong on purpose


def image(**changes: Any) -> Image:
    """An ordinary radiograph with some elements changed."""
    return parse_bytes(simple(**changes), "a")


def code(value: str, scheme: str, meaning: str = "") -> Sequence:
    """A code sequence of one item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return Sequence([item])


@pytest.mark.parametrize(
    ("changes", "expected", "basis"),
    [
        ({"ViewPosition": "PA"}, View.PA, "view position"),
        ({"ViewPosition": "AP"}, View.AP, "view position"),
        ({"ViewPosition": "LL"}, View.LATERAL, "view position"),
        ({"ViewPosition": "RL"}, View.LATERAL, "view position"),
        ({"ViewPosition": "LATERAL"}, View.LATERAL, "view position"),
        ({"ViewPosition": "LLD"}, View.UNKNOWN, "view position LLD is no frontal or lateral view"),
        ({"ViewPosition": None, "SeriesDescription": "W033 Thorax p.a."}, View.PA, "series description"),
        ({"ViewPosition": None, "SeriesDescription": "CHEST_AP_PORTABLE"}, View.AP, "series description"),
        ({"ViewPosition": None, "SeriesDescription": "Thorax lateral"}, View.LATERAL, "series description"),
        ({"ViewPosition": None, "SeriesDescription": "CHEST PA AND LAT"}, View.UNKNOWN, "not stated"),
        ({"ViewPosition": None, "SeriesDescription": "PARIS APNEA PLATE"}, View.UNKNOWN, "not stated"),
        ({"ViewPosition": None, "ProtocolName": "Chest,PA"}, View.PA, "protocol name"),
        ({"ViewPosition": None, "StudyDescription": "Chest PA"}, View.UNKNOWN, "not stated"),
        ({"ViewPosition": None}, View.UNKNOWN, "not stated"),
        ({"ViewPosition": None, "ViewCodeSequence": code("R-10214", "SRT")}, View.PA, "view code"),
        ({"ViewPosition": None, "ViewCodeSequence": code("R-10206", "SNM3")}, View.AP, "view code"),
        ({"ViewPosition": "", "ViewCodeSequence": code("399067008", "SCT")}, View.LATERAL, "view code"),
        ({"ViewPosition": None, "ViewCodeSequence": code("399352003", "SCT")}, View.UNKNOWN, "not stated"),
    ],
)
def test_the_view_and_its_basis(changes: dict[str, Any], expected: View, basis: str) -> None:
    found = image(**changes)
    assert (found.view, found.view_basis) == (expected, basis)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("PosteroAnterior", View.PA),
        ("AnteroPosterior", View.AP),
        ("LateralProjection", View.LATERAL),
        ("LeftLateral", View.LATERAL),
        ("RightLateral", View.LATERAL),
        ("LateralMedial", View.UNKNOWN),
        ("Frontal", View.UNKNOWN),
    ],
)
def test_view_codes_are_those_of_the_standards_context_group(name: str, expected: View) -> None:
    entry = getattr(codes.cid4010, name)
    assert image(ViewPosition=None, ViewCodeSequence=code(entry.value, entry.scheme_designator)).view is expected


def test_contradicting_views_are_noted() -> None:
    found = image(ViewPosition="AP", ViewCodeSequence=code("272479007", "SCT"))
    assert found.view is View.AP and any("view code says PA" in note for note in found.notes)


@pytest.mark.parametrize(
    ("changes", "expected", "basis", "reliable"),
    [
        ({}, datetime(2024, 3, 1, 10, 15), "study date", True),
        ({"StudyTime": "1015"}, datetime(2024, 3, 1, 10, 15), "study date", True),
        ({"StudyTime": "101530.123456"}, datetime(2024, 3, 1, 10, 15, 30), "study date", True),
        ({"StudyTime": "10:15:30"}, datetime(2024, 3, 1, 10, 15, 30), "study date", True),
        ({"StudyTime": "99"}, datetime(2024, 3, 1), "study date, no time", True),
        ({"StudyTime": None}, datetime(2024, 3, 1), "study date, no time", True),
        ({"StudyDate": "2024.03.01"}, datetime(2024, 3, 1, 10, 15), "study date", True),
        ({"StudyDate": "19010101"}, datetime(1901, 1, 1, 10, 15), "study date", False),
        ({"StudyDate": "19000101"}, datetime(1900, 1, 1, 10, 15), "study date", False),
        (
            {"StudyDate": None, "AcquisitionDate": "20240228", "AcquisitionTime": "08"},
            datetime(2024, 2, 28, 8),
            "acquisition date",
            True,
        ),
        ({"StudyDate": "20241301", "ContentDate": "20240227"}, datetime(2024, 2, 27), "content date, no time", True),
        ({"StudyDate": "", "SeriesDate": "20240226"}, datetime(2024, 2, 26), "series date, no time", True),
        (
            {"StudyDate": None, "AcquisitionDateTime": "20240225113000.5+0200"},
            datetime(2024, 2, 25, 11, 30),
            "acquisition date and time",
            True,
        ),
        ({"StudyDate": None}, None, "no date in the file", False),
    ],
)
def test_the_date_and_its_fallbacks(
    changes: dict[str, Any], expected: datetime | None, basis: str, reliable: bool
) -> None:
    found = image(**changes)
    assert (found.acquired, found.acquired_basis, found.date_reliable) == (expected, basis, reliable)


@pytest.mark.parametrize(
    ("changes", "expected", "note"),
    [
        ({}, None, ""),
        (
            {"PixelSpacing": ["0.14", "0.15"], "PixelSpacingCalibrationType": "FIDUCIAL"},
            (0.14, 0.15, "calibrated, fiducial"),
            "",
        ),
        (
            {
                "PixelSpacing": [0.1, 0.1],
                "PixelSpacingCalibrationType": "GEOMETRY",
                "ImagerPixelSpacing": [0.2, 0.2],
            },
            (0.1, 0.1, "calibrated, geometry"),
            "",
        ),
        ({"ImagerPixelSpacing": [0.2, 0.2]}, (0.2, 0.2, "at detector"), ""),
        ({"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [0.2, 0.2]}, (0.2, 0.2, "at detector"), ""),
        (
            {"ImagerPixelSpacing": [0.2, 0.2], "EstimatedRadiographicMagnificationFactor": "1.25"},
            (0.16, 0.16, "estimated, magnification 1.25"),
            "",
        ),
        (
            {"ImagerPixelSpacing": [0.2, 0.2], "EstimatedRadiographicMagnificationFactor": "0"},
            (0.2, 0.2, "at detector"),
            "Magnification",
        ),
        ({"PixelSpacing": [0.2, 0.2]}, (0.2, 0.2, "calibration not stated"), ""),
        ({"PixelSpacing": ["0.000", "0.000"]}, None, "Pixel spacing ignored"),
        ({"PixelSpacing": ["-1", "0.2"]}, None, "Pixel spacing ignored"),
        ({"PixelSpacing": ["0.2"]}, None, "Pixel spacing ignored"),
        (
            {"PixelSpacing": ["0", "0"], "ImagerPixelSpacing": [0.2, 0.2]},
            (0.2, 0.2, "at detector"),
            "Pixel spacing ignored",
        ),
        ({"NominalScannedPixelSpacing": [0.17, 0.17]}, (0.17, 0.17, "on the scanned film"), ""),
    ],
)
def test_spacing_and_its_basis(changes: dict[str, Any], expected: tuple[float, float, str] | None, note: str) -> None:
    found = image(**changes)
    if expected is None:
        assert found.spacing is None
    else:
        assert found.spacing is not None
        assert (found.spacing.row_mm, found.spacing.column_mm) == pytest.approx(expected[:2])
        assert found.spacing.basis == expected[2]
    assert bool(note) == any(note in each for each in found.notes) if note else True


@pytest.mark.parametrize(
    ("charset", "raw", "expected"),
    [
        ("ISO_IR 100", "Müller^Jürgen".encode("latin-1"), "Müller, Jürgen"),
        ("ISO_IR 192", "Łukasz^Ewa".encode(), "Łukasz, Ewa"),
        ("ISO_IR 144", "Люксембург".encode("iso8859-5"), "Люксембург"),
        (
            "\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
            "Yamada, Tarou (山田, 太郎)",
        ),
        ("\\ISO 2022 IR 149", b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=", "Hong, Gildong (洪, 吉洞)"),
        ("GB18030", "Wang^XiaoDong=王^小东".encode("gb18030"), "Wang, XiaoDong (王, 小东)"),
        ("NO SUCH SET", b"Smith^John", "Smith, John"),
        ("ISO_IR 192", b"Sm\xff\xfeith^John", "Sm\ufffd\ufffdith, John"),
        ("ISO_IR 100", b"Smith^John^Q^Dr^Jr", "Smith, Dr John Q Jr"),
        ("ISO_IR 100", b"<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("ISO_IR 192", "Smith\u202egpj.exe^J\u0007o".encode(), "Smithgpj.exe, J o"),
        ("ISO_IR 100", b"", ""),
    ],
)
def test_names_in_any_character_set(charset: str, raw: bytes, expected: str) -> None:
    ds = dataset(SpecificCharacterSet=None, PatientName="X" * (len(raw) + len(raw) % 2))
    ds.add_new(0x00080005, "CS", charset.split("\\") if "\\" in charset else charset)
    ds.PatientName = "Z" * (len(raw) + len(raw) % 2)
    data = file_bytes(ds).replace(b"Z" * (len(raw) + len(raw) % 2), raw + b" " * (len(raw) % 2))
    assert parse_bytes(data, "a").patient.name == expected


def test_the_patient() -> None:
    patient = image(IssuerOfPatientID="HOSP").patient
    assert (patient.id, patient.issuer, patient.sex) == ("P100", "HOSP", "F")
    assert patient.birth_date == date(1960, 1, 2)
    assert image(PatientBirthDate="UNKNOWN", PatientSex=None).patient.birth_date is None


def test_uids_that_are_none_are_left_out() -> None:
    assert image(StudyInstanceUID="../../etc/passwd").study_uid == ""
    assert image(StudyInstanceUID="1.2.3").study_uid == "1.2.3"


@pytest.mark.parametrize(
    ("cosines", "expected"),
    [
        ([1, 0, 0, 0, 1, 0], ("L", "P")),  # axial, as CT is stored
        ([1, 0, 0, 0, 0, -1], ("L", "F")),  # coronal
        ([0, 1, 0, 0, 0, -1], ("P", "F")),  # sagittal
        ([-1, 0, 0, 0, 1, 0], ("R", "P")),  # lying face down
        ([0.866, 0.5, 0, 0, 0, -1], ("LP", "F")),  # turned by 30 degrees
        ([1, 0, 0], ()),
        ([0, 0, 0, 0, 0, 0], ()),
        ([5, 0, 0, 0, 1, 0], ()),
    ],
)
def test_the_sides_follow_from_direction_cosines(cosines: list[float], expected: tuple[str, ...]) -> None:
    assert image(PatientOrientation=None, ImageOrientationPatient=cosines).orientation == expected


def test_side_orientation_and_burnt_in_text() -> None:
    found = image(PatientOrientation=["R", "F"], ImageLaterality="U", BurnedInAnnotation="YES")
    assert found.orientation == ("R", "F") and found.laterality == "U"
    assert any("mirrored" in note for note in found.notes) and any("burned into" in note for note in found.notes)
    assert not any("mirrored" in note for note in image(PatientOrientation=["L", "F"]).notes)
    assert not any("mirrored" in note for note in image(PatientOrientation=["R", "F"], ViewPosition="LL").notes)


def test_another_body_part_is_noted() -> None:
    assert image(BodyPartExamined="PORT CHEST").body_part == "CHEST"
    knee = image(BodyPartExamined="KNEE")
    assert knee.body_part == "KNEE" and any("not the chest" in note for note in knee.notes)


@settings(deadline=None)
@given(st.text())
def test_tidy_text_is_one_bounded_line_and_stays_itself(text: str) -> None:
    once = tidy(text, 40)
    assert len(once) <= 40 and once == tidy(once, 40)
    assert not any(ord(each) < 32 or "\u202a" <= each <= "\u202e" for each in once)
