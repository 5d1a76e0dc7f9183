"""Anything dropped: files, folders, archives; every file gives an image or one sentence, whatever it is."""

from __future__ import annotations

import logging
import os
import stat
import sys
import zipfile
from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from makers import dataset, file_bytes, lut_item, radiograph, simple
from PIL import Image as PillowImage
from pydicom.sequence import Sequence

from engine import paths
from engine.errors import ResourceError, UnreadableFile
from engine.imaging import (
    Found,
    Image,
    Intake,
    Limits,
    Patient,
    Problem,
    Reader,
    View,
    describe,
    group,
    read,
    read_image,
    stream,
    to_pil,
)
from engine.imaging.parsing import parse_bytes


def png(seed: int = 0) -> bytes:
    """A plain picture."""
    out = BytesIO()
    PillowImage.fromarray(radiograph(bits=8, seed=seed)).save(out, "PNG")
    return out.getvalue()


def archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """A ZIP of ``members``."""
    with zipfile.ZipFile(path, "w", method) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    return path


def sources(intake: Intake) -> list[str]:
    """The names of the images, sorted."""
    return sorted(image.source for study in intake.studies for image in study.images)


def sentence(intake: Intake) -> str:
    """The one problem's message."""
    (problem,) = intake.problems
    assert problem.message.startswith(problem.source)
    return problem.message


def test_a_folder_of_everything(tmp_path: Path) -> None:
    folder = tmp_path / "CD"
    (folder / "DICOM" / "A").mkdir(parents=True)
    (folder / "DICOM" / "A" / "IM0001").write_bytes(simple())
    (folder / "DICOM" / "IM0002.txt").write_bytes(simple(StudyInstanceUID="1.2.3", StudyDate="20230101"))
    (folder / "DICOM" / "bare").write_bytes(file_bytes(dataset(StudyInstanceUID="1.2.4"), preamble=False))
    (folder / "picture.dcm").write_bytes(png())
    (folder / "readme.dcm").write_bytes(b"Read me\n")
    (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    archive(folder / "old.dat", {"x/IM9": simple(StudyInstanceUID="1.2.5"), "x/": b"", "__MACOSX/._IM9": b"junk"})
    intake = read([folder])
    assert sources(intake) == [
        "CD/DICOM/A/IM0001",
        "CD/DICOM/IM0002.txt",
        "CD/DICOM/bare",
        "CD/old.dat/x/IM9",
        "CD/picture.dcm",
    ]
    assert [problem.message for problem in intake.problems] == [
        "CD/readme.dcm is a text file, not a DICOM, PNG or JPEG image."
    ]
    assert len(intake.files) == 4  # the archive's member is gone with the archive
    assert not list((paths.home() / "tmp").iterdir())


def test_members_of_archives_can_be_kept(tmp_path: Path) -> None:
    keep = tmp_path / "keep"
    keep.mkdir()
    intake = read([archive(tmp_path / "a.zip", {"1": simple(), "2": b"text"})], keep=keep)
    (image,) = intake.studies[0].images
    assert intake.files == {image.sha256: keep / image.sha256}
    assert [path.read_bytes() for path in keep.iterdir()] == [simple()]


def test_the_same_file_twice_is_read_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(simple())
    intake = read([tmp_path / "a", tmp_path / "b"])
    assert sources(intake) == ["a"] and sentence(intake) == "b is the same file as a and was read once."


@pytest.mark.parametrize(
    "name", ["../../../evil", "/etc/evil", "C:\\evil", "..\\..\\evil", "a/../../evil", "a\u202efdp.exe"]
)
def test_names_in_archives_never_become_paths(name: str, tmp_path: Path) -> None:
    keep = tmp_path / "in" / "deep" / "keep"
    keep.mkdir(parents=True)
    intake = read([archive(tmp_path / "a.zip", {name: simple()})], keep=keep)
    assert len(intake.files) == 1
    outside = [path for path in tmp_path.rglob("*") if "evil" in path.name]
    assert not outside and not Path("/etc/evil").exists()


def test_links_in_archives_and_folders_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(simple())
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr(link, str(secret))
    assert "links are not followed" in sentence(read([tmp_path / "a.zip"]))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(secret)
    (folder / "loop").symlink_to(folder)
    assert [problem.source for problem in read([folder]).problems] == ["folder/link", "folder/loop"]


def test_pipes_and_missing_files_are_problems(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert sentence(read([tmp_path / "pipe"])) == "pipe is not a file that can be read."
    assert sentence(read([tmp_path / "gone"])) == "gone cannot be found or opened."
    (tmp_path / "in").mkdir()
    os.mkfifo(tmp_path / "in" / "pipe")
    assert "not a file" in sentence(read([tmp_path / "in"]))


def test_archives_in_archives_are_not_opened(tmp_path: Path) -> None:
    inner = archive(tmp_path / "inner.zip", {"1": simple()}).read_bytes()
    message = sentence(read([archive(tmp_path / "a.zip", {"inner.zip": inner})]))
    assert message == "a.zip/inner.zip is an archive inside an archive, which is not opened."


def test_archive_bombs(tmp_path: Path) -> None:
    bomb = archive(tmp_path / "bomb.zip", {"1": bytes(30_000_000), "2": simple()})
    intake = read([bomb])
    assert sources(intake) == ["bomb.zip/2"] and "100 times its size" in sentence(intake)
    small = Limits(files=20, total_bytes=5_000_000)
    many = archive(tmp_path / "many.zip", {f"{n}": simple(InstanceNumber=n) for n in range(25)})
    intake = read([many], small)
    assert len(sources(intake)) == 20 and "first 20 files" in intake.problems[-1].message
    noise = np.random.default_rng(0).bytes(2_000_000)
    large = archive(
        tmp_path / "large.zip", {"1": simple(), "2": noise, "3": noise[::-1], "4": noise[1:], "5": simple()}
    )
    assert "unpacks to more than 5 MB" in read([large], small).problems[-1].message


def test_a_directory_of_an_archive_that_lies(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"1": bytes(3_000_000)})
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = (10).to_bytes(4, "little")  # its unpacked size
    path.write_bytes(bytes(data))
    assert read([path]).problems


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_packing_is_a_problem(method: int, tmp_path: Path) -> None:
    assert "packed in a way" in sentence(read([archive(tmp_path / "a.zip", {"1": simple()}, method)]))


def test_damaged_encrypted_and_empty_archives(tmp_path: Path) -> None:
    whole = archive(tmp_path / "a.zip", {"1": simple()})
    data = whole.read_bytes()
    (tmp_path / "cut.zip").write_bytes(data[: len(data) // 2])
    assert sentence(read([tmp_path / "cut.zip"])) == "cut.zip is a damaged archive and cannot be opened."
    locked = bytearray(data)
    locked[6] |= 1
    locked[data.rindex(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(bytes(locked))
    assert "password" in sentence(read([tmp_path / "locked.zip"]))
    flipped = bytearray(data)
    flipped[60] ^= 0xFF
    (tmp_path / "flipped.zip").write_bytes(bytes(flipped))
    assert "damaged in the archive" in sentence(read([tmp_path / "flipped.zip"]))
    archive(tmp_path / "empty.zip", {})
    assert sentence(read([tmp_path / "empty.zip"])) == "empty.zip is an archive without files."


def test_too_many_files_and_pixels(tmp_path: Path) -> None:
    for n in range(6):
        (tmp_path / f"{n}").write_bytes(simple(InstanceNumber=n))
    intake = read([tmp_path], Limits(files=4))
    assert len(sources(intake)) == 4 and "first 4 files" in intake.problems[-1].message
    intake = read([tmp_path], Limits(total_pixels=3 * 40 * 32))
    assert len(sources(intake)) == 3 and "held at once" in intake.problems[-1].message


def test_reading_can_be_stopped_and_leaves_nothing(tmp_path: Path) -> None:
    for n in range(3):
        (tmp_path / f"{n}").write_bytes(simple(InstanceNumber=n))
    for each in stream([tmp_path / "0", tmp_path / "1"]):
        assert isinstance(each, Found) and each.image.source == "0"
        break
    assert not list((paths.home() / "tmp").iterdir())


def test_one_image_through_the_worker_is_the_image_parsed_here(tmp_path: Path) -> None:
    path = tmp_path / "IM1"
    path.write_bytes(
        simple(PixelPaddingValue=300, WindowCenter="2000", WindowWidth="3000", PixelSpacing=["0.2", "0.2"])
    )
    there, here = read_image(path), parse_bytes(path.read_bytes(), "IM1")
    for name in Image.__dataclass_fields__:
        if name not in ("pixels", "padding", "luts"):
            assert getattr(there, name) == getattr(here, name), name
    assert (there.pixels == here.pixels).all() and not there.pixels.flags.writeable
    assert (np.asarray(to_pil(there)) == np.asarray(to_pil(here))).all()


def test_colour_and_luts_come_through_the_worker(tmp_path: Path) -> None:
    (tmp_path / "lut").write_bytes(simple(VOILUTSequence=Sequence([lut_item(1000, [0, 5, 255], 8, "A")])))
    out = BytesIO()
    PillowImage.fromarray(np.random.default_rng(0).integers(0, 255, (30, 20, 3), dtype=np.uint8)).save(out, "PNG")
    (tmp_path / "colour").write_bytes(out.getvalue())
    with Reader() as reader:
        (lut,) = read_image(tmp_path / "lut", reader).luts
        colour = read_image(tmp_path / "colour", reader)
    assert (lut.first, lut.name, lut.values.tolist()) == (1000, "A", [0.0, 5 / 255, 1.0])
    assert colour.rgb is not None and colour.rgb.shape == (30, 20, 3)


def test_the_deadline_ends_the_worker_and_the_next_file_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkfifo(tmp_path / "slow")  # opening it waits for ever
    (tmp_path / "good").write_bytes(simple())
    with caplog.at_level(logging.DEBUG), Reader() as reader:
        reader.read(tmp_path / "good")
        reader.limits = Limits(seconds=2)
        with pytest.raises(UnreadableFile, match=r"^slow took longer than 2 seconds"):
            reader.read(tmp_path / "slow")
        reader.limits = Limits()
        assert reader.read(tmp_path / "good").view is View.PA
    assert "Phantom" not in caplog.text and "slow" not in caplog.text


def test_a_killed_worker_is_started_again(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(simple())
    with Reader() as reader:
        reader.read(tmp_path / "good")
        process = reader._process
        assert process is not None
        process.kill()
        process.wait()
        assert reader.read(tmp_path / "good").view is View.PA
    assert reader._process is None


def test_a_worker_that_cannot_start_is_a_resource_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    (tmp_path / "good").write_bytes(simple())
    with Reader() as reader, pytest.raises(ResourceError):
        reader.read(tmp_path / "good")


def test_a_worker_that_dies_at_once_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(simple())
    with Reader(Limits(memory_bytes=1_000_000)) as reader, pytest.raises(UnreadableFile, match=r"^good "):
        reader.read(tmp_path / "good")


@pytest.mark.skipif(sys.platform == "win32", reason="resource limits are POSIX")
def test_the_worker_lives_within_its_memory(tmp_path: Path) -> None:
    values = np.tile(radiograph(100, 100), (40, 40))
    (tmp_path / "large").write_bytes(file_bytes(dataset(values)))
    (tmp_path / "good").write_bytes(simple())
    with Reader(Limits(memory_bytes=200_000_000, seconds=300)) as reader:
        reader.read(tmp_path / "good")
        with pytest.raises(UnreadableFile, match="memory"):
            reader.read(tmp_path / "large")
        assert reader.read(tmp_path / "good").view is View.PA
    with Reader(Limits(seconds=300)) as reader:
        assert read_image(tmp_path / "large", reader).rows == 4000


def test_studies_are_grouped_by_patient_and_study_newest_first(tmp_path: Path) -> None:
    files = {
        "a": simple(),
        "b": simple(ViewPosition="LL", InstanceNumber=2),
        "c": simple(StudyInstanceUID="1.9", StudyDate="20250101"),
        "d": simple(PatientID="OTHER"),
        "e": png(),
        "f": simple(StudyInstanceUID=None),
        "g": simple(StudyInstanceUID="1.8", StudyDate="19010101"),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    studies = read([tmp_path]).studies
    assert [tuple(image.source[-1] for image in study.images) for study in studies] == [
        ("c",),
        ("a", "b"),
        ("d",),
        ("f",),
        ("g",),
        ("e",),
    ]
    assert len({study.uid for study in studies}) == len(studies)
    assert studies[1].acquired == datetime(2024, 3, 1, 10, 15) and studies[1].accession == "A1"
    assert studies[3].uid.startswith("sha256:")


def test_describing_a_plain_picture() -> None:
    picture = parse_bytes(png(), "chest.png")
    patient = Patient(id="P1", name="Doe, Jane")
    told = describe(picture, patient=patient, acquired=datetime(2024, 1, 2), view=View.AP)
    assert told.patient == patient and told.date_reliable and told.view is View.AP
    assert told.view_basis == told.acquired_basis == "stated by the user"
    assert told.sha256 == picture.sha256 and picture.patient.id == ""
    silent = describe(picture, patient=Patient(), acquired=None, view=View.UNKNOWN)
    assert not silent.date_reliable and silent.acquired_basis == "not stated"
    (study,) = group([told])
    assert study.patient == patient and study.acquired == told.acquired


SEEDS = (simple(), file_bytes(dataset(), preamble=False), png())


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=6)), max_size=6),
    st.floats(0, 1),
)
def test_any_change_to_a_file_gives_an_image_or_a_sentence(
    data: bytes, changes: list[tuple[float, bytes]], cut: float
) -> None:
    changed = bytearray(data)
    for place, new in changes:
        at = int(place * (len(changed) - 1))
        changed[at : at + len(new)] = new
    if cut < 0.3:
        changed = changed[: int(len(changed) * cut / 0.3)]
    _image_or_sentence(bytes(changed))


@settings(deadline=None)
@given(st.binary(max_size=600))
def test_any_bytes_give_an_image_or_a_sentence(data: bytes) -> None:
    _image_or_sentence(data)
    _image_or_sentence(b"\0" * 128 + b"DICM" + data)
    _image_or_sentence(b"\x89PNG\r\n\x1a\n" + data)
    _image_or_sentence(b"\xff\xd8\xff" + data)


def _image_or_sentence(data: bytes) -> None:
    try:
        image = parse_bytes(data, "a file")
    except UnreadableFile as error:
        message = str(error)
        assert message.startswith("a file ") and message.endswith(".") and "\n" not in message and len(message) < 220
    else:
        assert image.pixels.shape == (image.rows, image.columns) and np.asarray(to_pil(image)).any()


def test_problems_say_the_name_without_tricks(tmp_path: Path) -> None:
    path = tmp_path / "a\u202egpj.exe\n<b>"
    path.write_bytes(b"")
    (problem,) = read([path]).problems
    assert isinstance(problem, Problem) and problem.message == "agpj.exe <b> is empty."
