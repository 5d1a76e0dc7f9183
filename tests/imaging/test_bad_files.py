"""Broken and hostile files, each through the worker: a plain sentence or an image with a note, and life goes on."""

from __future__ import annotations

import logging
import pickle
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from makers import (
    PLANTED,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    compressed,
    dataset,
    file_bytes,
    radiograph,
    simple,
)
from PIL import Image as PillowImage
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from engine.errors import UnreadableFile
from engine.imaging import Image, Limits, Reader

SYNTAX = "1.2.840.10008.1.2."
Maker = Callable[[], bytes]


def element(group: int, number: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """One explicit little-endian element; ``length`` may lie."""
    size = len(value) if length is None else length
    if vr in (b"OB", b"OW", b"SQ", b"UN", b"UT"):
        return struct.pack("<HH2sHI", group, number, vr, 0, size) + value
    return struct.pack("<HH2sH", group, number, vr, size & 0xFFFF) + value


def header(syntax: str = "1.2.840.10008.1.2.1") -> bytes:
    """Preamble and file meta information."""
    body = element(2, 0x10, b"UI", syntax.encode() + b"\0" * (len(syntax) % 2))
    return b"\0" * 128 + b"DICM" + element(2, 0, b"UL", struct.pack("<I", len(body))) + body


def nested(depth: int) -> bytes:
    """A file whose first sequence is ``depth`` deep, each of undefined length."""
    opening = element(0x0008, 0x1140, b"SQ", b"", 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    closing = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return header() + element(8, 0x60, b"CS", b"CR") + opening * depth + closing * depth


def patched(data: bytes, old: bytes, new: bytes) -> bytes:
    """``data`` with the one occurrence of ``old`` replaced."""
    assert data.count(old) >= 1
    return data.replace(old, new, 1)


def us(group: int, number: int, value: int) -> bytes:
    """An unsigned short element."""
    return element(group, number, b"US", struct.pack("<H", value))


def sized(rows: int, columns: int) -> bytes:
    """An ordinary file that claims another size."""
    data = patched(simple(), us(0x28, 0x10, 40), us(0x28, 0x10, rows))
    return patched(data, us(0x28, 0x11, 32), us(0x28, 0x11, columns))


def lying_length(missing: int = 0) -> bytes:
    """Pixel data that claim 4 GB."""
    data = simple()
    at = data.rindex(b"\xe0\x7f\x10\x00OW\0\0")
    return data[: at + 8] + struct.pack("<I", 0xFFFFFFF0) + data[at + 12 : len(data) - missing]


def not_image(kind: str, **changes: Any) -> bytes:
    """A DICOM object of class ``kind`` without pixels."""
    ds = dataset(SOPClassUID=kind, PixelData=None, Rows=None, Columns=None, **changes)
    return file_bytes(ds)


def chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(columns: int, rows: int, depth: int, colour: int, body: bytes, *extra: bytes) -> bytes:
    """A PNG whose header may lie about ``body``."""
    size = struct.pack(">IIBBBBB", columns, rows, depth, colour, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size)
    return start + b"".join(extra) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def picture(kind: str = "JPEG", **options: Any) -> bytes:
    """An ordinary plain picture."""
    out = BytesIO()
    PillowImage.fromarray(radiograph(bits=8)).save(out, kind, **options)
    return out.getvalue()


def jpeg_claiming(rows: int, columns: int) -> bytes:
    """A JPEG whose frame header lies."""
    return patched(picture(), struct.pack(">HH", 40, 32), struct.pack(">HH", rows, columns))


def deflated(body: bytes) -> bytes:
    """A deflated data set of ``body``."""
    machine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return header(DeflatedExplicitVRLittleEndian) + machine.compress(body) + machine.flush()


def deflate_bomb() -> bytes:
    """A deflated data set that would unpack to 120 MB."""
    machine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = bytes(10_000_000)
    return header(DeflatedExplicitVRLittleEndian) + b"".join(machine.compress(zeros) for _ in range(12))


def wrong_syntax(syntax: str) -> bytes:
    """Native pixel data under a transfer syntax that they do not have."""
    return patched(
        file_bytes(dataset(), ExplicitVRLittleEndian),
        element(2, 0x10, b"UI", b"1.2.840.10008.1.2.1\0"),
        element(2, 0x10, b"UI", (syntax + "\0" * (len(syntax) % 2)).encode()),
    )


def rle_lies() -> bytes:
    """RLE frames whose segment table points nowhere."""
    frame = struct.pack("<16I", 2, 64, 60000, *[0] * 13) + b"\x81\x00" * 20
    return compressed(dataset(), SYNTAX + "5", frame)


def without(*keywords: str) -> bytes:
    """An ordinary file that lacks some elements."""
    return simple(**dict.fromkeys(keywords))


def pickled() -> bytes:
    """A pickle that would run a program."""

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (print, ("never",))

    return pickle.dumps(Evil())


def directory() -> bytes:
    """A DICOMDIR that points outside of its folder."""
    ds = Dataset()
    record = Dataset()
    record.DirectoryRecordType, record.ReferencedFileID = "IMAGE", ["..", "..", "ETC", "PASSWD"]
    ds.SOPClassUID = "1.2.840.10008.1.3.10"
    ds.SOPInstanceUID = "1.2.3"
    ds.DirectoryRecordSequence = Sequence([record])
    return file_bytes(ds)


# name -> (the file, words of the sentence)
REFUSED: dict[str, tuple[Maker, str]] = {
    # wrong type
    "zero bytes": (lambda: b"", "is empty"),
    "one byte": (lambda: b"\0", "not a DICOM, PNG or JPEG"),
    "random bytes": (lambda: np.random.default_rng(0).bytes(5000), "not a DICOM, PNG or JPEG"),
    "zeros": (lambda: bytes(5000), "not a DICOM, PNG or JPEG"),
    "a text": (lambda: b"Chest PA\n" * 50, "a text file"),
    "a web page": (lambda: b"<html><script>alert(1)</script></html>", "a web page"),
    "a PDF": (lambda: b"%PDF-1.7\n" + bytes(300), "a PDF document"),
    "a TIFF": (lambda: b"II*\0" + bytes(300), "a TIFF picture"),
    "a GIF": (lambda: picture("GIF"), "a GIF picture"),
    "a BMP": (lambda: picture("BMP"), "a BMP picture"),
    "a WebP": (lambda: picture("WEBP"), "a WebP picture"),
    "a HEIC": (lambda: b"\0\0\0\x18ftypheic" + bytes(300), "HEIC"),
    "a 7z": (lambda: b"7z\xbc\xaf\x27\x1c" + bytes(300), "a 7z archive"),
    "a RAR": (lambda: b"Rar!\x1a\x07\0" + bytes(300), "a RAR archive"),
    "a gzip": (lambda: b"\x1f\x8b\x08" + bytes(300), "a gzip archive"),
    "a program": (lambda: b"MZ" + bytes(300), "a Windows program"),
    "a NIfTI": (lambda: b"\x5c\x01\0\0" + bytes(340) + b"n+1\0", "a NIfTI volume"),
    "a NumPy array": (lambda: b"\x93NUMPY" + bytes(300), "a NumPy array"),
    "a pickle that executes": (pickled, "not a DICOM, PNG or JPEG"),
    "an archive read as a file": (lambda: b"PK\x03\x04" + bytes(300), "archive"),
    # truncated
    "DICOM of 133 bytes": (lambda: simple()[:133], "damaged"),
    "DICOM cut in the meta information": (lambda: simple()[:180], "damaged"),
    "DICOM cut in the header": (lambda: simple()[:600], "no picture|damaged"),
    "DICOM without its last pixels": (lambda: simple()[:-50], "damaged: only 98% of the pixels"),
    "DICOM without half of its pixels": (lambda: simple()[:-1300], "damaged: only 49% of the pixels"),
    "bare DICOM cut": (lambda: file_bytes(dataset(), preamble=False)[:-900], "damaged: only"),
    "deflated DICOM cut": (lambda: file_bytes(dataset(), DeflatedExplicitVRLittleEndian)[:-400], "cut short"),
    "deflated DICOM overwritten": (lambda: header(DeflatedExplicitVRLittleEndian) + b"\xff" * 999, "unpacked"),
    "deflated nothing": (lambda: deflated(b""), "damaged"),
    "JPEG cut": (lambda: picture()[:300], "damaged"),
    "PNG cut": (lambda: picture("PNG")[:300], "damaged"),
    "only a PNG signature": (lambda: b"\x89PNG\r\n\x1a\n", "damaged"),
    "only a JPEG signature": (lambda: b"\xff\xd8\xff\xe0", "damaged"),
    # hostile sizes
    "65535 x 65535 pixels": (lambda: sized(65535, 65535), "too large: 65535 x 65535"),
    "0 rows": (lambda: sized(0, 32), "how large"),
    "1 x 1280 pixels": (lambda: sized(1, 1280), "too small"),
    "more pixels than there are": (lambda: sized(4000, 4000), "damaged: only 0%"),
    "a 4 GB element": (lambda: lying_length(900), "damaged: only"),
    "an early 4 GB element": (
        lambda: header() + element(8, 8, b"UT", b"x", 0xFFFFFF00) + simple()[len(header()) :],
        "damaged",
    ),
    "2 000 000 000 frames": (lambda: simple(NumberOfFrames="2000000000"), "damaged: only"),
    "-1 frames": (lambda: simple(NumberOfFrames="-1"), "number of frames"),
    "frames in words": (
        lambda: patched(simple(NumberOfFrames="1234"), b"IS\x04\x001234", b"IS\x04\x00many"),
        "frames|damaged",
    ),
    "7 bits allocated": (lambda: simple(BitsAllocated=7), "how many bits"),
    "no bits allocated": (lambda: without("BitsAllocated"), "how many bits"),
    "4 samples a pixel": (lambda: simple(SamplesPerPixel=4), "4 colours"),
    "65535 samples a pixel": (lambda: simple(SamplesPerPixel=65535), "65535 colours"),
    "no rows": (lambda: without("Rows"), "how large"),
    "no columns": (lambda: without("Columns"), "how large"),
    "no pixel data": (lambda: without("PixelData"), "no picture"),
    "empty pixel data": (lambda: simple(PixelData=b""), "empty"),
    "PNG of 60000 x 60000": (lambda: png(60000, 60000, 8, 0, zlib.compress(bytes(9))), "too large"),
    "PNG of 0 x 0": (lambda: png(0, 0, 8, 0, zlib.compress(bytes(9))), "too small|damaged"),
    "PNG shorter than it says": (lambda: png(4000, 4000, 8, 0, zlib.compress(bytes(9999))), "damaged"),
    "deep PNG shorter than it says": (lambda: png(4000, 4000, 16, 0, zlib.compress(bytes(9999))), "damaged|same value"),
    "deep PNG of 60000 x 60000": (lambda: png(60000, 60000, 16, 0, zlib.compress(bytes(9))), "too large"),
    "JPEG of 65500 x 65500": (lambda: jpeg_claiming(65500, 65500), "too large"),
    "JPEG of 5000 x 5000": (lambda: jpeg_claiming(5000, 5000), "damaged"),
    "JPEG 2000 header lies": (
        lambda: compressed(
            dataset(),
            SYNTAX + "4.90",
            patched(
                imagecodecs.jpeg2k_encode(radiograph(), codecformat="J2K"),
                struct.pack(">II", 32, 40),
                struct.pack(">II", 50000, 50000),
            ),
        ),
        "another size|tiles",
    ),
    "RLE segments lie": (rle_lies, "damaged"),
    # bombs
    "deflate bomb": (deflate_bomb, "unpacks to more"),
    "PNG text bomb": (
        lambda: png(
            32, 40, 8, 0, zlib.compress(bytes(40 * 33)), chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(90_000_000)))
        ),
        "damaged|same value",
    ),
    "PNG profile bomb": (
        lambda: png(
            32, 40, 8, 0, zlib.compress(bytes(40 * 33)), chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(90_000_000)))
        ),
        "damaged|same value",
    ),
    # nesting
    "sequences 300 deep": (lambda: nested(300), "nested too deeply|no picture|damaged"),
    "sequences 20000 deep": (lambda: nested(20000), "nested too deeply|damaged"),
    # not an image
    "a DICOMDIR": (directory, "DICOMDIR"),
    "a structured report": (lambda: not_image("1.2.840.10008.5.1.4.1.1.88.11"), "structured report, not an image"),
    "a key object": (lambda: not_image("1.2.840.10008.5.1.4.1.1.88.59"), "not an image"),
    "a presentation state": (lambda: not_image("1.2.840.10008.5.1.4.1.1.11.1"), "presentation state, not an image"),
    "an encapsulated PDF": (lambda: not_image("1.2.840.10008.5.1.4.1.1.104.1"), "PDF document, not an image"),
    "a waveform": (lambda: not_image("1.2.840.10008.5.1.4.1.1.9.1.1"), "waveform, not an image"),
    "a segmentation": (lambda: not_image("1.2.840.10008.5.1.4.1.1.66.4"), "not an image"),
    "a dose plan": (lambda: not_image("1.2.840.10008.5.1.4.1.1.481.5"), "radiotherapy object, not an image"),
    "an MR": (lambda: simple(Modality="MR"), "of the modality MR"),
    "a mammogram": (lambda: simple(Modality="MG"), "of the modality MG"),
    "an MR by its class alone": (
        lambda: simple(Modality=None, SOPClassUID="1.2.840.10008.5.1.4.1.1.4"),
        "of the modality MR",
    ),
    "a film": (lambda: wrong_syntax(SYNTAX + "4.102"), "a film"),
    "an unknown compression": (lambda: wrong_syntax(SYNTAX + "4.95"), "cannot be read here"),
    # contradictions
    "native pixels called JPEG": (lambda: wrong_syntax(SYNTAX + "4.50"), "damaged"),
    "native pixels called JPEG 2000": (lambda: wrong_syntax(SYNTAX + "4.90"), "damaged"),
    "native pixels called RLE": (lambda: wrong_syntax(SYNTAX + "5"), "damaged"),
    "JPEG pixels called native": (
        lambda: patched(
            compressed(
                dataset(radiograph(bits=8), bits=8), SYNTAX + "4.50", imagecodecs.jpeg8_encode(radiograph(bits=8))
            ),
            element(2, 0x10, b"UI", (SYNTAX + "4.50").encode()),
            element(2, 0x10, b"UI", b"1.2.840.10008.1.2.1\0\0\0"),
        ),
        "damaged",
    ),
    "a compressed frame of rubbish": (
        lambda: compressed(dataset(), SYNTAX + "4.70", b"\xff\xd8" + bytes(500) + b"\xff\xd9"),
        "damaged",
    ),
    "a JPEG picture of one value": (
        lambda: compressed(
            dataset(radiograph(bits=8), bits=8), SYNTAX + "4.50", imagecodecs.jpeg8_encode(np.zeros((40, 32), np.uint8))
        ),
        "same value",
    ),
    "pixels of one value": (lambda: simple(pixels=np.full((40, 32), 700, np.uint16)), "same value"),
    "a black PNG": (lambda: png(32, 40, 8, 0, zlib.compress(bytes(40 * 33))), "same value"),
    "floating-point pixels": (
        lambda: simple(PixelData=None, FloatPixelData=radiograph().astype(np.float32).tobytes()),
        "no picture",
    ),
    "a palette without a palette": (lambda: simple(PhotometricInterpretation="PALETTE COLOR"), "palette"),
    "text between two elements": (lambda: patched(simple(), b"\x28\x00\x10\x00US", b"rubbish!"), "damaged|no picture"),
}

# name -> (the file, words of a note, or nothing)
READ: dict[str, tuple[Maker, str]] = {
    "a Windows program in the preamble": (lambda: b"MZ\x90\0" + simple()[4:], ""),
    "markup in tags": (
        lambda: simple(PatientName="<img src=x onerror=alert(1)>^</td>", StudyDescription="<script>1</script>"),
        "",
    ),
    "a formula in tags": (lambda: simple(PatientID="=HYPERLINK(1)", AccessionNumber="@SUM(1)"), ""),
    "an unknown character set": (lambda: simple(SpecificCharacterSet="ISO 2022 IR 999"), ""),
    "text that is not in its character set": (
        lambda: patched(simple(SpecificCharacterSet="ISO_IR 192"), b"Phantom^Test", b"\xff\xfe\xfd\xc3^Test   "),
        "",
    ),
    "escape sequences without an end": (
        lambda: patched(simple(SpecificCharacterSet=["", "ISO 2022 IR 87"]), b"Phantom^Test", b"\x1b$B\x1b$B\x1b$(^^^"),
        "",
    ),
    "no patient": (lambda: without("PatientID", "PatientName", "PatientBirthDate", "PatientSex"), ""),
    "no dates": (lambda: without("StudyDate", "StudyTime"), ""),
    "no modality": (lambda: simple(Modality=None, SOPClassUID="1.2.3.4"), "Modality not stated"),
    "no photometric interpretation": (lambda: without("PhotometricInterpretation"), "Photometric"),
    "grey called RGB": (lambda: simple(PhotometricInterpretation="RGB"), "Photometric"),
    "no samples per pixel": (lambda: without("SamplesPerPixel"), ""),
    "no bits stored": (lambda: without("BitsStored"), ""),
    "99 bits stored": (lambda: simple(BitsStored=99), ""),
    "high bit 200": (lambda: simple(HighBit=200), "High bit"),
    "pixel representation 7": (lambda: simple(PixelRepresentation=7), ""),
    "a slope of 0": (lambda: simple(RescaleSlope="0", RescaleIntercept="0"), "Rescale"),
    "a spacing of 0": (lambda: simple(PixelSpacing=["0", "0"]), "Pixel spacing"),
    "a date before X-rays": (lambda: simple(StudyDate="18000101"), "Date not reliable"),
    "a sequence 20 deep": (
        lambda: patched(simple(), b"\x10\x00\x10\x00PN", nested(20)[len(header()) + 10 :] + b"\x10\x00\x10\x00PN"),
        "",
    ),
    "several frames": (lambda: simple(NumberOfFrames=2, PixelData=radiograph().tobytes() * 2), "frame 1 is shown"),
    "colour": (
        lambda: simple(pixels=np.random.default_rng(1).integers(0, 255, (40, 32, 3), dtype=np.uint8), bits=8),
        "Colour picture",
    ),
    "a length of 4 GB around all of the pixels": (lying_length, ""),
    "more pixel data than needed": (lambda: simple(PixelData=radiograph().tobytes() + bytes(1000)), ""),
    "implicit called explicit": (
        lambda: header() + file_bytes(dataset(), ImplicitVRLittleEndian, preamble=False),
        "",
    ),
    "a 16-bit PNG": (lambda: imagecodecs.png_encode(radiograph(bits=16)), "16-bit picture"),
    "a picture with rubbish behind it": (lambda: picture() + b"PK\x03\x04" * 500, ""),
}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """One worker for all of these files, with half the usual memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERVAL_HOME", str(tmp_path_factory.mktemp("home")))
        with Reader(Limits(memory_bytes=1 << 30, file_bytes=60_000_000)) as opened:
            yield opened


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ordinary radiograph."""
    path = tmp_path_factory.mktemp("good") / "good"
    path.write_bytes(simple())
    return path


def attempt(reader: Reader, path: Path, make: Maker, name: str) -> Image | str:
    """The image, or the sentence."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path.write_bytes(make())
    try:
        return reader.read(path, name)
    except UnreadableFile as error:
        return str(error)


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_one_sentence_and_the_next_file_is_read(
    name: str, reader: Reader, good: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make, words = REFUSED[name]
    with caplog.at_level(logging.DEBUG):
        result = attempt(reader, tmp_path / "file", make, name)
        assert isinstance(result, str), "it was read"
        assert_plain(result, name)
        assert any(each in result for each in words.split("|")), result
        assert reader.read(good).view == "PA"
    assert_silent(caplog)


@pytest.mark.parametrize("name", READ)
def test_it_is_read_with_a_note(name: str, reader: Reader, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make, words = READ[name]
    with caplog.at_level(logging.DEBUG):
        result = attempt(reader, tmp_path / "file", make, name)
        assert isinstance(result, Image), result
        assert not words or any(words in note for note in result.notes), result.notes
        for note in result.notes:
            assert note.endswith(".") and len(note) < 200 and "\n" not in note
    assert_silent(caplog)


def test_there_are_enough_of_them() -> None:
    assert len(REFUSED) + len(READ) >= 100


def assert_plain(sentence: str, name: str) -> None:
    """One or two sentences that name the file, and nothing that a clinician should not see."""
    assert sentence.startswith(name) and sentence.endswith(".")
    assert len(sentence) < 220 and "\n" not in sentence
    for word in ("Error", "Exception", "Traceback", "/tmp", "home", "None", "Phantom", "nan"):
        assert word not in sentence.removeprefix(name)


def assert_silent(caplog: pytest.LogCaptureFixture) -> None:
    """No patient in any log record."""
    assert PLANTED not in caplog.text and "Phantom" not in caplog.text
