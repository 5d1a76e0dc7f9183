"""The display table of the browser against engine.imaging and pydicom: all 65 536 entries, every function."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page
from pydicom.dataset import Dataset
from pydicom.pixels import apply_voi_lut

from engine.imaging import display
from engine.imaging.types import VoiLut, Window

TABLES = """async (cases) => {
    const { displayLut } = await import("/static/display_lut.mjs");
    return cases.map(([meta, voi, invert]) => {
        const table = displayLut(meta, voi, invert);
        let text = "";
        for (let n = 0; n < table.length; n += 32768) text += String.fromCharCode(...table.subarray(n, n + 32768));
        return btoa(text);
    });
}"""


def browser_tables(page: Page, cases: list[tuple[dict[str, Any], dict[str, Any], bool]]) -> list[NDArray[np.uint8]]:
    return [
        np.frombuffer(base64.b64decode(text), np.uint8)
        for text in page.evaluate(TABLES, [list(case) for case in cases])
    ]


class _Described:
    """As much of an Image as lut8 reads."""

    def __init__(self, slope: float, intercept: float, inverted: bool, luts: tuple[VoiLut, ...] = ()) -> None:
        self.slope, self.intercept, self.inverted, self.luts = slope, intercept, inverted, luts
        self.windows = (Window(0.0, 1.0, "none"),)


def meta(slope: float, intercept: float, inverted: bool) -> dict[str, Any]:
    return {"slope": slope, "intercept": intercept, "inverted": inverted}


def window_cases() -> list[tuple[float, float, bool, Window, bool]]:
    fixed = [
        (1.0, 0.0, False, Window(128.0, 256.0, "8 bit", "LINEAR"), False),
        (1.0, 0.0, False, Window(2048.0, 4096.0, "12 bit", "LINEAR"), False),
        (1.0, 0.0, True, Window(2048.0, 4096.0, "12 bit", "LINEAR"), True),
        (3.77, -1024.0, False, Window(40.0, 400.0, "slope", "LINEAR"), False),
        (1.0, 0.0, False, Window(100.0, 1.0, "threshold", "LINEAR"), False),
        (1.0, -32768.0, True, Window(-0.5, 2.0, "narrow", "LINEAR"), False),
        (1.0, 0.0, False, Window(300.0, 0.5, "exact, narrow", "LINEAR_EXACT"), False),
        (0.25, 7.0, True, Window(1000.0, 512.0, "exact", "LINEAR_EXACT"), False),
        (1.0, 0.0, False, Window(16384.0, 9000.0, "sigmoid", "SIGMOID"), True),
        (1.0, 0.0, False, Window(60000.0, 3.0, "sigmoid, steep", "SIGMOID"), False),
    ]
    random = np.random.default_rng(7)
    for n in range(60):
        function = ("LINEAR", "LINEAR_EXACT", "SIGMOID")[n % 3]
        width = float(random.uniform(1.0, 70000.0)) if n % 2 else float(random.integers(1, 5000))
        center = float(random.uniform(-2000.0, 66000.0)) if n % 4 else float(random.integers(0, 65536))
        slope = float(random.choice([1.0, 0.1, 2.0, random.uniform(0.01, 5.0)]))
        fixed.append(
            (
                slope,
                float(random.integers(-2048, 2048)),
                bool(n % 5 == 0),
                Window(center, width, "random", function),
                bool(n % 7 == 0),
            )
        )
    return fixed


def test_every_window_function_equals_python(page: Page) -> None:
    cases = window_cases()
    asked = [
        (meta(s, i, inv), {"kind": "window", "center": w.center, "width": w.width, "function": w.function}, flip)
        for s, i, inv, w, flip in cases
    ]
    for (slope, intercept, inverted, window, flip), table in zip(cases, browser_tables(page, asked), strict=True):
        expected = display.lut8(_Described(slope, intercept, inverted), window, flip)  # type: ignore[arg-type]
        assert np.array_equal(table, expected), (slope, intercept, inverted, window, flip)


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize(
    ("first", "count", "slope", "intercept"), [(0, 4096, 1.0, 0.0), (-1024, 3000, 1.0, -1024.0), (500, 256, 0.37, 12.5)]
)
def test_a_voi_lut_equals_python(
    page: Page, inverted: bool, first: int, count: int, slope: float, intercept: float
) -> None:
    values = np.random.default_rng(count).integers(0, 65536, count) / 65535.0
    expected = display.lut8(_Described(slope, intercept, inverted, (VoiLut(first, values, "CURVE"),)))  # type: ignore[arg-type]
    voi = {"kind": "lut", "first": first, "values": values.tolist()}
    (table,) = browser_tables(page, [(meta(slope, intercept, inverted), voi, False)])
    assert np.array_equal(table, expected)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_windows_equal_pydicom(page: Page, function: str) -> None:
    ds = Dataset()
    ds.WindowCenter, ds.WindowWidth, ds.VOILUTFunction = 30000, 12345, function
    ds.BitsStored, ds.PixelRepresentation, ds.PhotometricInterpretation = 16, 0, "MONOCHROME2"
    grey = apply_voi_lut(np.arange(65536, dtype=np.uint16), ds) / 65535.0
    voi = {"kind": "window", "center": 30000, "width": 12345, "function": function}
    (table,) = browser_tables(page, [(meta(1, 0, False), voi, False)])
    difference = np.abs(table.astype(int) - np.floor(grey * 255 + 0.5).astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.0005  # rounding ties of another order of arithmetic, no more


def test_a_voi_lut_that_the_reader_stretches_keeps_its_shape(page: Page) -> None:
    values = (np.linspace(0, 1, 1000) ** 2).tolist()
    same = {"center": 499.5, "width": 1000}
    voi = {"kind": "lut", "first": 0, "values": values}
    plain, moved, wider = browser_tables(page, [
        (meta(1, 0, False), voi, False),
        (meta(1, 0, False), voi | {"stretch": {"from": same, "to": {"center": 599.5, "width": 1000}}}, False),
        (meta(1, 0, False), voi | {"stretch": {"from": same, "to": {"center": 999, "width": 2000}}}, False),
    ])  # fmt: skip
    assert np.array_equal(moved[100:1000], plain[:900])
    assert np.abs(wider[:1998:2].astype(int) - plain[:999]).max() <= 1
    assert (np.diff(wider.astype(int)) >= 0).all()
