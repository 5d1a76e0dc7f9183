"""Every transfer syntax of the decision: decoded exactly, by the decoder that is recorded, and refused when damaged."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from makers import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    compressed,
    dataset,
    file_bytes,
    radiograph,
)
from pydicom.data import get_testdata_file
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import get_frame
from pydicom.uid import RLELossless

from engine.errors import UnreadableFile
from engine.imaging.codecs import decode
from engine.imaging.codestream import read_jpeg, read_jpeg2000
from engine.imaging.header import MODALITIES, read_header
from engine.imaging.limits import Limits
from engine.imaging.parsing import parse_bytes
from engine.imaging.refusal import Refusal

SYNTAX = "1.2.840.10008.1.2."
Encoder = Callable[[np.ndarray[Any, Any]], bytes]

LOSSLESS: list[tuple[str, str, Encoder, str]] = [
    ("JPEG Lossless, process 14", "4.57", imagecodecs.ljpeg_encode, "jpegsof3_decode"),
    ("JPEG Lossless SV1", "4.70", imagecodecs.ljpeg_encode, "jpegsof3_decode"),
    ("JPEG-LS", "4.80", imagecodecs.jpegls_encode, "jpegls_decode"),
    (
        "JPEG 2000 lossless",
        "4.90",
        lambda a: imagecodecs.jpeg2k_encode(a, level=0, reversible=True, codecformat="J2K"),
        "jpeg2k_decode",
    ),
    ("HTJ2K lossless", "4.201", lambda a: imagecodecs.htj2k_encode(a, reversible=True), "htj2k_decode"),
    ("HTJ2K lossless RPCL", "4.202", lambda a: imagecodecs.htj2k_encode(a, reversible=True), "htj2k_decode"),
]
LOSSY: list[tuple[str, str, Encoder, str, int, int]] = [
    ("JPEG baseline", "4.50", lambda a: imagecodecs.jpeg8_encode(a, level=95), "jpeg_decode", 8, 6),
    (
        "JPEG Extended 12 bit",
        "4.51",
        lambda a: imagecodecs.jpeg8_encode(a, level=95, bitspersample=12),
        "jpeg_decode",
        12,
        100,
    ),
    ("JPEG-LS near lossless", "4.81", lambda a: imagecodecs.jpegls_encode(a, level=3), "jpegls_decode", 12, 3),
    (
        "JPEG 2000",
        "4.91",
        lambda a: imagecodecs.jpeg2k_encode(a, level=85, reversible=False, codecformat="J2K"),
        "jpeg2k_decode",
        12,
        60,
    ),
    ("HTJ2K", "4.203", lambda a: imagecodecs.htj2k_encode(a, level=0.0002, reversible=False), "htj2k_decode", 12, 60),
]


@pytest.mark.parametrize(("name", "syntax", "encode", "decoder"), LOSSLESS, ids=[row[0] for row in LOSSLESS])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_lossless_syntaxes_give_the_stored_values(
    name: str, syntax: str, encode: Encoder, decoder: str, bits: int
) -> None:
    values = radiograph(64, 48, bits)
    image = parse_bytes(compressed(dataset(values, bits=bits), SYNTAX + syntax, encode(values)), "a")
    assert (image.pixels == values).all()
    assert image.decoder == f"imagecodecs {imagecodecs.__version__} {decoder}"


@pytest.mark.parametrize(("name", "syntax", "encode", "decoder", "bits", "error"), LOSSY, ids=[row[0] for row in LOSSY])
def test_lossy_syntaxes_come_close(
    name: str, syntax: str, encode: Encoder, decoder: str, bits: int, error: int
) -> None:
    values = radiograph(64, 48, bits)
    image = parse_bytes(compressed(dataset(values, bits=bits), SYNTAX + syntax, encode(values)), "a")
    assert abs(image.pixels.astype(int) - values).max() <= error
    assert image.decoder.endswith(decoder)


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian],
    ids=["implicit", "explicit", "deflated", "big endian"],
)
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_native_syntaxes_give_the_stored_values(syntax: str, bits: int) -> None:
    values = radiograph(64, 48, bits)
    image = parse_bytes(file_bytes(dataset(values, bits=bits), syntax), "a")
    assert (image.pixels == values).all() and image.decoder == "pydicom"


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_files_without_preamble_and_meta_information(syntax: str) -> None:
    values = radiograph(64, 48)
    image = parse_bytes(file_bytes(dataset(values), syntax, preamble=False), "a")
    assert (image.pixels == values).all()
    assert any("Transfer syntax" in note for note in image.notes)


@pytest.mark.parametrize(("name", "syntax", "encode", "decoder"), LOSSLESS[1:5], ids=[row[0] for row in LOSSLESS[1:5]])
def test_compressed_files_without_meta_information(name: str, syntax: str, encode: Encoder, decoder: str) -> None:
    values = radiograph(64, 48)
    whole = compressed(dataset(values), SYNTAX + syntax, encode(values))
    bare = whole[whole.index(b"\x08\x00\x05\x00CS") :]
    image = parse_bytes(bare, "a")
    assert (image.pixels == values).all()


def test_rle_is_pydicoms() -> None:
    values = radiograph(64, 48)
    ds = dataset(values)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.compress(RLELossless)
    image = parse_bytes(file_bytes(ds, RLELossless), "a")
    assert (image.pixels == values).all() and image.decoder == "pydicom"


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        ("4.50", lambda a: imagecodecs.jpeg8_encode(a, level=98)),
        ("4.80", imagecodecs.jpegls_encode),
        ("4.90", lambda a: imagecodecs.jpeg2k_encode(a, level=0, reversible=True, codecformat="J2K")),
    ],
)
def test_colour_becomes_luminance_with_a_note(syntax: str, encode: Encoder) -> None:
    colours = np.zeros((32, 32, 3), np.uint8)
    colours[:, :16] = (200, 40, 40)
    colours[:, 16:] = (30, 90, 160)
    ds = dataset(colours, bits=8, Modality="OT", PhotometricInterpretation="YBR_FULL" if syntax == "4.50" else "RGB")
    image = parse_bytes(compressed(ds, SYNTAX + syntax, encode(colours)), "a")
    expected = np.round(colours @ np.array([0.299, 0.587, 0.114]))
    assert abs(image.pixels - expected).max() <= 3
    assert any("Colour picture" in note for note in image.notes)


def test_native_colour_in_every_arrangement() -> None:
    colours = np.zeros((32, 32, 3), np.uint8)
    colours[:, :16] = (200, 40, 40)
    colours[:, 16:] = (30, 90, 160)
    expected = np.round(colours @ np.array([0.299, 0.587, 0.114]))
    planar = dataset(colours, bits=8, PlanarConfiguration=1, PixelData=np.moveaxis(colours, 2, 0).tobytes())
    ybr = pydicom.pixels.convert_color_space(colours, "RGB", "YBR_FULL")
    full = dataset(colours, bits=8, PhotometricInterpretation="YBR_FULL", PixelData=ybr.tobytes())
    for ds in (dataset(colours, bits=8), planar, full):
        assert abs(parse_bytes(file_bytes(ds), "a").pixels - expected).max() <= 2


def test_the_first_of_several_frames_is_shown() -> None:
    frames = [radiograph(64, 48, seed=seed) for seed in range(3)]
    for data in (
        compressed(
            dataset(frames[0], NumberOfFrames=3), SYNTAX + "4.80", *[imagecodecs.jpegls_encode(each) for each in frames]
        ),
        file_bytes(dataset(frames[0], NumberOfFrames=3, PixelData=b"".join(each.tobytes() for each in frames))),
    ):
        image = parse_bytes(data, "a")
        assert (image.pixels == frames[0]).all()
        assert "Holds 3 frames; frame 1 is shown." in image.notes


def test_a_signed_jpeg_2000() -> None:
    values = radiograph(64, 48, 11).astype(np.int16) - 700
    frame = imagecodecs.jpeg2k_encode(values, level=0, reversible=True, codecformat="J2K")
    image = parse_bytes(compressed(dataset(values, bits=16), SYNTAX + "4.90", frame), "a")
    assert (image.pixels * image.slope + image.intercept == values).all()


def test_bits_stored_that_contradict_the_stream_give_way() -> None:
    values = radiograph(64, 48, 14)
    frame = imagecodecs.jpegls_encode(values)
    image = parse_bytes(compressed(dataset(values, bits=12), SYNTAX + "4.80", frame), "a")
    assert (image.pixels == values).all() and any("Bits stored" in note for note in image.notes)


ALL = [(row[0], row[1], row[2], 12) for row in LOSSLESS] + [(row[0], row[1], row[2], row[4]) for row in LOSSY]


@pytest.mark.parametrize(("name", "syntax", "encode", "bits"), ALL, ids=[row[0] for row in ALL])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.97])
def test_a_stream_cut_short_is_refused(name: str, syntax: str, encode: Encoder, bits: int, share: float) -> None:
    values = radiograph(128, 96, bits)
    frame = encode(values)
    data = compressed(dataset(values, bits=bits), SYNTAX + syntax, frame[: int(len(frame) * share)])
    with pytest.raises(UnreadableFile, match=r"^a\.dcm is damaged"):
        parse_bytes(data, "a.dcm")


@pytest.mark.parametrize(("name", "syntax", "encode", "bits"), ALL, ids=[row[0] for row in ALL])
def test_a_stream_of_another_size_is_refused(name: str, syntax: str, encode: Encoder, bits: int) -> None:
    values = radiograph(64, 48, bits)
    data = compressed(dataset(radiograph(64, 64, bits), bits=bits), SYNTAX + syntax, encode(values))
    with pytest.raises(UnreadableFile, match="another size"):
        parse_bytes(data, "a.dcm")


def test_a_lying_jpeg_2000_header_allocates_nothing() -> None:
    frame = bytearray(imagecodecs.jpeg2k_encode(radiograph(64, 48), level=0, reversible=True, codecformat="J2K"))
    frame[8:16] = frame[24:32] = (60000).to_bytes(4, "big") * 2
    stream = read_jpeg2000(bytes(frame))
    assert (stream.rows, stream.columns) == (60000, 60000)
    with pytest.raises(UnreadableFile, match="another size"):
        parse_bytes(compressed(dataset(radiograph(64, 48)), SYNTAX + "4.90", bytes(frame)), "a")
    frame[24:32] = (1).to_bytes(4, "big") * 2  # tiles of one pixel
    with pytest.raises(Refusal, match="tiles"):
        read_jpeg2000(bytes(frame))


def test_streams_without_a_header_are_refused() -> None:
    for read in (read_jpeg, read_jpeg2000):
        for data in (b"", b"\xff\xd8\xff", b"\xff\xd8\xff\xd9", b"\xff\x4f\xff\x51" + b"\0" * 60):
            with pytest.raises(Refusal):
                read(data)


def _test_files() -> list[str]:
    names = """693_J2KI J2K_pixelrep_mismatch JPEG-lossy JPGExtended JPEG2000 JPEGLSNearLossless_08
        JPEGLSNearLossless_16 MR_small_jp2klossless MR_small_jpeg_ls_lossless MR_small_RLE MR_small_bigendian image_dfl
        SC_rgb_jpeg_gdcm SC_rgb_jpeg_dcmtk SC_rgb_jls_lossy_line SC_rgb_jls_lossy_sample SC_rgb_rle SC_rgb_gdcm_KY
        SC_jpeg_no_color_transform SC_ybr_full_422_uncompressed
        examples_jpeg2k examples_rgb_color examples_ybr_color"""
    return names.split()


@pytest.mark.parametrize("name", _test_files())
def test_pydicoms_own_files_decode(name: str) -> None:
    path = get_testdata_file(f"{name}.dcm", download=False)
    if path is None:
        pytest.skip("not in this installation of pydicom")
    data = Path(str(path)).read_bytes()
    ds = pydicom.dcmread(str(path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        any_modality = MODALITIES | {str(ds.get("Modality", ""))}
        header = read_header(data, Limits(), any_modality)
        frame = decode(header.dataset, header.syntax, header.frames)
        assert frame.samples.shape[:2] == (ds.Rows, ds.Columns)
        try:
            expected = pydicom.pixels.pixel_array(ds, index=0)
        except (RuntimeError, NotImplementedError):
            return  # no decoder of pydicom's own for this one
    samples = frame.samples.astype(np.int64)
    if expected.ndim == 2:
        mask = (1 << int(ds.BitsStored)) - 1
        assert ((samples & mask) == (expected.astype(np.int64) & mask)).mean() > 0.95
    else:
        assert abs(samples - expected.astype(np.int64)).mean() < 2.5


def test_frames_are_found_with_an_extended_offset_table() -> None:
    values = radiograph(64, 48)
    frame = imagecodecs.jpegls_encode(values)
    ds = dataset(values)
    data, offsets, lengths = pydicom.encaps.encapsulate_extended([frame])
    ds.PixelData, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = data, offsets, lengths
    ds["PixelData"].VR = "OB"
    image = parse_bytes(file_bytes(ds, SYNTAX + "4.80"), "a")
    assert (image.pixels == values).all()
    assert get_frame(data, 0, extended_offsets=(offsets, lengths), number_of_frames=1)[: len(frame)] == frame
