"""The DICOM display pipeline against pydicom's own, over many synthetic files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import dataset, file_bytes, lut_item, radiograph, simple
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi, apply_windowing
from pydicom.sequence import Sequence

from engine.imaging import Window, lut8, render, to_pil
from engine.imaging.parsing import parse_bytes


def stored_values(bits: int, signed: bool, seed: int) -> np.ndarray[Any, Any]:
    """Random stored values over the whole range of ``bits``: uint16 or int16 [16, 16]."""
    low = -(1 << (bits - 1)) if signed else 0
    values = np.random.default_rng(seed).integers(low, low + (1 << bits), (16, 16))
    values[0, 0], values[0, 1] = low, low + (1 << bits) - 1
    return values.astype(np.int16 if signed else np.uint16)


depths = st.tuples(st.integers(8, 16), st.booleans(), st.integers(0, 2**32 - 1))
slopes = st.sampled_from(["1", "0.5", "2.5", "-1", "0.001", "16"])
intercepts = st.sampled_from(["0", "-1024", "3.25", "100000"])


@settings(deadline=None)
@given(depths, slopes, intercepts)
def test_modality_values_are_pydicoms(depth: tuple[int, bool, int], slope: str, intercept: str) -> None:
    values = stored_values(*depth)
    ds = dataset(values, bits=depth[0], RescaleSlope=slope, RescaleIntercept=intercept)
    image = parse_bytes(file_bytes(ds), "a")
    expected = apply_modality_lut(values, ds)
    np.testing.assert_allclose(image.pixels * image.slope + image.intercept, expected, rtol=0, atol=1e-6)


@settings(deadline=None)
@given(
    depths,
    slopes,
    intercepts,
    st.floats(0, 1),
    st.floats(0.02, 2),
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID", None]),
    st.booleans(),
)
def test_windows_are_pydicoms(
    depth: tuple[int, bool, int],
    slope: str,
    intercept: str,
    center: float,
    width: float,
    function: str | None,
    inverse: bool,
) -> None:
    values = stored_values(*depth)
    ds = dataset(values, bits=depth[0], RescaleSlope=slope, RescaleIntercept=intercept)
    modality = apply_modality_lut(values, ds)
    low, high = float(modality.min()), float(modality.max())
    ds.WindowCenter = f"{low + center * (high - low):.6g}"
    ds.WindowWidth = f"{max(2.0, width * (high - low)):.6g}"
    if function:
        ds.VOILUTFunction = function
    ds.PhotometricInterpretation = "MONOCHROME1" if inverse else "MONOCHROME2"
    expected = apply_windowing(modality, ds)
    bounds = np.sort(apply_modality_lut(np.array([_range(depth)[0], _range(depth)[1]]), ds))
    grey = (expected - bounds[0]) / (bounds[1] - bounds[0])
    if float(slope) < 0:
        grey = 1 - grey  # pydicom turns its output range round with the slope; grey levels do not turn
    if np.ptp(grey) < 3 / 255:
        return  # a window that shows nothing is replaced, which has a test of its own
    image = parse_bytes(file_bytes(ds), "a")
    if image.windows[0].name == "1-99 %":
        return
    shown = render(image) / 255
    np.testing.assert_allclose(shown, 1 - grey if inverse else grey, atol=0.5 / 255 + 1e-6)


def _range(depth: tuple[int, bool, int]) -> tuple[int, int]:
    bits, signed, _ = depth
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


@settings(deadline=None)
@given(
    st.integers(9, 16),
    st.sampled_from([10, 12, 16]),
    st.integers(-200, 3000),
    st.integers(2, 600),
    st.integers(0, 2**32 - 1),
)
def test_voi_luts_are_pydicoms(depth: int, bits: int, first: int, count: int, seed: int) -> None:
    values = stored_values(depth, first < 0, seed)
    table = np.linspace(0, (1 << bits) - 1, count).astype(int).tolist()
    ds = dataset(values, bits=depth, VOILUTSequence=Sequence([lut_item(first, table, bits)]))
    expected = apply_voi(values, ds) / ((1 << bits) - 1)
    image = parse_bytes(file_bytes(ds), "a")
    if not image.luts:
        assert any("shows nothing" in note for note in image.notes) and np.ptp(expected) < 3 / 255
        return
    np.testing.assert_allclose(render(image) / 255, expected, atol=0.5 / 255 + 1e-9)


@settings(deadline=None)
@given(st.integers(10, 16), st.sampled_from([8, 16]), st.integers(0, 500), st.integers(3, 700), st.integers(0, 9999))
def test_modality_luts_are_pydicoms(depth: int, bits: int, first: int, count: int, seed: int) -> None:
    values = stored_values(depth, False, seed)
    values[1, :8] = first + np.arange(8) * count // 8
    table = np.random.default_rng(seed).integers(0, 1 << bits, count).tolist()
    ds = dataset(values, bits=depth, ModalityLUTSequence=Sequence([lut_item(first, table, bits)]))
    expected = apply_modality_lut(values & ((1 << depth) - 1), ds)
    image = parse_bytes(file_bytes(ds), "a")
    if expected.min() != expected.max():
        assert (image.pixels == expected).all() and (image.slope, image.intercept) == (1, 0)


def test_monochrome1_is_inverted_once_and_last() -> None:
    values = radiograph()
    plain = parse_bytes(simple(pixels=values, WindowCenter="2000", WindowWidth="3000"), "a")
    inverse = parse_bytes(
        simple(pixels=values, WindowCenter="2000", WindowWidth="3000", PhotometricInterpretation="MONOCHROME1"), "a"
    )
    assert inverse.inverted and not plain.inverted
    assert (lut8(inverse).astype(int) + lut8(plain) == 255).sum() > 65000  # exact halves round up in both
    assert abs(lut8(inverse).astype(int) + lut8(plain) - 255).max() <= 1
    assert (render(inverse, invert=True) == render(plain)).all()
    assert lut8(plain)[0] == 0 and lut8(inverse)[0] == 255


@pytest.mark.parametrize(
    ("photometric", "shape", "contradicts"),
    [
        ("MONOCHROME1", "INVERSE", False),
        ("MONOCHROME1", "IDENTITY", True),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME1", None, False),
    ],
)
def test_the_photometric_interpretation_decides(photometric: str, shape: str | None, contradicts: bool) -> None:
    image = parse_bytes(simple(PhotometricInterpretation=photometric, PresentationLUTShape=shape), "a")
    assert image.inverted == (photometric == "MONOCHROME1")
    assert any("contradicts" in note for note in image.notes) == contradicts


def test_the_first_voi_lut_is_the_default_and_windows_stay_available() -> None:
    table = [0, 0, 65535, 65535]
    image = parse_bytes(
        simple(
            VOILUTSequence=Sequence([lut_item(1000, table, 16, "BONE"), lut_item(0, list(range(4096)), 12)]),
            WindowCenter=["2048", "100"],
            WindowWidth=["4096", "50"],
            WindowCenterWidthExplanation=["WIDE", "LUNG"],
        ),
        "a",
    )
    assert [lut.name for lut in image.luts] == ["BONE", "VOI LUT 2"]
    assert [window.name for window in image.windows] == ["WIDE", "1-99 %"]  # 75..125 holds no pixel of this image
    assert lut8(image)[1001] == 0 and lut8(image)[1002] == 255
    assert lut8(image, image.windows[0])[2048] == 128


@pytest.mark.parametrize(
    "item",
    [
        lut_item(0, list(range(10)), 12, entries=4096),  # shorter than announced
        lut_item(0, [0, 70000 & 0xFFFF, 65535], 12),  # more than 12 bits in it
        lut_item(0, list(range(1000)), 16),  # 16 bits announced, 10 used: a black picture
        lut_item(0, [7, 7, 7], 8),  # one grey
        lut_item(0, list(range(256)), 40),
        Dataset(),
    ],
)
def test_a_bad_voi_lut_falls_back_to_the_window_with_a_note(item: Dataset) -> None:
    image = parse_bytes(simple(VOILUTSequence=Sequence([item]), WindowCenter="2048", WindowWidth="4096"), "a")
    assert not image.luts and image.windows[0].name == "Window 1"
    assert any(note.startswith("VOI LUT") for note in image.notes)


def test_luts_of_eight_bits_packed_in_words_and_as_bytes() -> None:
    table = bytes(range(0, 256, 2))
    packed = lut_item(500, [0], 8, entries=128)
    packed.LUTData = np.frombuffer(table, "<u2").tolist()
    as_bytes = lut_item(500, [0], 8, entries=128)
    as_bytes["LUTData"].VR = "OW"
    as_bytes.LUTData = table
    for item in (packed, as_bytes):
        image = parse_bytes(simple(VOILUTSequence=Sequence([item])), "a")
        np.testing.assert_allclose(image.luts[0].values * 255, np.arange(0, 256, 2))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"WindowCenter": "40", "WindowWidth": "0"}, "width is 0"),
        ({"WindowCenter": "40"}, "do not belong together"),
        ({"WindowCenter": ["40", "50"], "WindowWidth": "3000"}, "do not belong together"),
        ({"WindowCenter": "-90000", "WindowWidth": "10"}, "nothing but one grey"),
        ({"WindowCenter": "2000", "WindowWidth": "3000", "VOILUTFunction": "CUBIC"}, "function not known"),
        ({"RescaleSlope": "0", "RescaleIntercept": "1"}, "Rescale"),
        ({"RescaleSlope": "2"}, "Rescale"),
    ],
)
def test_impossible_display_values_are_notes(changes: dict[str, Any], words: str) -> None:
    image = parse_bytes(simple(**changes), "a")
    assert any(words in note for note in image.notes), image.notes
    assert np.ptp(render(image)) > 100


def test_padding_is_found_on_stored_values_and_left_out_of_the_percentiles() -> None:
    values = radiograph()
    values[:10] = 4000
    values[10, :5] = 3998
    ds = dataset(values, PixelPaddingValue=4000, PixelPaddingRangeLimit=3998, RescaleSlope="2", RescaleIntercept="-500")
    ds.PhotometricInterpretation = "MONOCHROME1"
    image = parse_bytes(file_bytes(ds), "a")
    assert image.padding is not None
    assert (image.padding == ((values >= 3998) & (values <= 4000))).all()
    spread = image.windows[-1]
    assert spread.center + spread.width / 2 < 2 * 3998 - 500
    assert (render(image)[image.padding] == 0).all() and (render(image, invert=True)[image.padding] == 0).all()


def test_padding_of_signed_images_in_either_sign_convention() -> None:
    values = radiograph().astype(np.int16) - 1000
    values[:8] = -2000
    for stated in (-2000, 63536):
        ds = dataset(values, bits=16, PixelPaddingValue=-2000)
        ds["PixelPaddingValue"].VR = "SS"
        if stated > 0:
            ds["PixelPaddingValue"].VR = "US"
            ds.PixelPaddingValue = stated
        image = parse_bytes(file_bytes(ds), "a")
        assert image.padding is not None and (image.padding == (values == -2000)).all(), stated


def test_padding_marked_above_the_stored_bits() -> None:
    values = radiograph()
    marked = values.copy()
    marked[:6] = 0x8000
    image = parse_bytes(file_bytes(dataset(marked, PixelPaddingValue=0x8000)), "a")
    assert image.padding is not None and (image.padding == (marked == 0x8000)).all()


def test_padding_that_covers_everything_is_ignored() -> None:
    image = parse_bytes(simple(PixelPaddingValue=0, PixelPaddingRangeLimit=4095), "a")
    assert image.padding is None and any("padding" in note for note in image.notes)


def test_bits_above_bits_stored_are_masked() -> None:
    values = radiograph(bits=10)
    image = parse_bytes(file_bytes(dataset(values | np.uint16(0xA000), bits=10)), "a")
    assert (image.pixels == values).all() and image.bits == 10


def test_a_high_bit_above_the_stored_bits_shifts() -> None:
    values = radiograph(bits=12)
    image = parse_bytes(file_bytes(dataset(values << 4, bits=12, HighBit=15)), "a")
    assert (image.pixels == values).all()


def test_signed_values_start_at_zero_and_keep_their_meaning() -> None:
    values = radiograph(bits=11).astype(np.int16) - 900
    image = parse_bytes(file_bytes(dataset(values, bits=12)), "a")
    assert (image.pixels * image.slope + image.intercept == values).all()
    assert image.pixels.dtype == np.uint16


def test_signed_values_with_rubbish_above_the_sign() -> None:
    values = (radiograph(bits=11).astype(np.int16) - 900) & 0x0FFF
    ds = dataset(values.astype(np.int16), bits=12)
    image = parse_bytes(file_bytes(ds), "a")
    expected = np.where(values >= 2048, values - 4096, values)
    assert (image.pixels * image.slope + image.intercept == expected).all()


def test_thirty_two_bits_are_reduced_with_a_note() -> None:
    values = radiograph(bits=12).astype(np.uint32) << 12
    image = parse_bytes(file_bytes(dataset(values, bits=24, BitsAllocated=32)), "a")
    assert any("24 to 16" in note for note in image.notes)
    assert (image.pixels * image.slope == (values >> 8 << 8)).all()


def test_every_image_has_a_last_window_of_percentiles() -> None:
    values = radiograph(200, 200, 14)
    image = parse_bytes(file_bytes(dataset(values, bits=14)), "a")
    spread = image.windows[-1]
    low, high = np.percentile(values, [1, 99])
    assert spread.name == "1-99 %"
    assert abs(spread.center - spread.width / 2 - low) < 20 and abs(spread.center + spread.width / 2 - high) < 20


def test_the_table_is_what_is_rendered_and_what_models_get() -> None:
    image = parse_bytes(simple(WindowCenter="2000", WindowWidth="3000"), "a")
    assert lut8(image).shape == (65536,) and lut8(image).dtype == np.uint8
    assert (lut8(image)[image.pixels] == render(image)).all()
    assert (np.asarray(to_pil(image)) == render(image)).all() and to_pil(image).mode == "L"
    assert not image.pixels.flags.writeable


@settings(deadline=None)
@given(st.floats(-5000, 70000), st.floats(1.5, 70000), st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]))
def test_tables_rise_and_inverting_turns_them_round(center: float, width: float, function: str) -> None:
    image = _IMAGE
    table = lut8(image, Window(center, width, "w", function)).astype(int)
    assert (np.diff(table) >= 0).all()
    turned = lut8(image, Window(center, width, "w", function), invert=True).astype(int)
    assert abs(table + turned - 255).max() <= 1


_IMAGE = parse_bytes(simple(), "a")
