"""What is on the canvas, against the same resampling and table written down in numpy: equal within one grey level."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from viewport_pilot import Picture, Server, View, picture, radiograph


def pyramid_level(pixels: NDArray[np.uint16], n: int) -> NDArray[np.float64]:
    level = pixels.astype(np.int64)
    for _ in range(n):
        level = np.pad(level, ((0, level.shape[0] % 2), (0, level.shape[1] % 2)), mode="edge")
        level = (level[0::2, 0::2] + level[1::2, 0::2] + level[0::2, 1::2] + level[1::2, 1::2] + 2) >> 2
    return level.astype(np.float64)


def tent_weights(
    count: int, a: float, b: float, size: int, step: int, samples: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """[count, samples] weights of a tent filter along one axis, and which outputs lie inside the image."""
    position = a * (np.arange(count) + 0.5) + b
    radius = max(1.0, a / step)
    weights = np.maximum(0.0, 1 - np.abs(np.arange(samples)[None] - (position / step - 0.5)[:, None]) / radius)
    total = weights.sum(axis=1, keepdims=True)
    return weights / np.where(total == 0, 1, total), (position >= 0) & (position < size)


def expected_pane(
    made: Picture,
    state: dict[str, Any],
    pane: dict[str, Any],
    table: NDArray[np.uint8],
    offset: tuple[float, float] = (0, 0),
) -> NDArray[np.uint8]:
    meta, view = made.meta, state["view"]
    unit_x, unit_y = meta["spacing"]["column_mm"], meta["spacing"]["row_mm"]
    ax, ay = view["scale"] / unit_x, view["scale"] / unit_y
    bx = meta["columns"] / 2 + (view["x"] - offset[0] - pane["width"] / 2 * view["scale"]) / unit_x
    by = meta["rows"] / 2 + (view["y"] - offset[1] - pane["height"] / 2 * view["scale"]) / unit_y
    n = int(np.floor(np.log2(max(ax, ay, 1))))
    level = pyramid_level(made.pixels, n)
    wx, inside_x = tent_weights(pane["width"], ax, bx, meta["columns"], 2**n, level.shape[1])
    wy, inside_y = tent_weights(pane["height"], ay, by, meta["rows"], 2**n, level.shape[0])
    stored = np.floor(wy @ level @ wx.T + 0.5).astype(int)
    return np.where(inside_y[:, None] & inside_x[None], table[np.clip(stored, 0, 65535)], 0).astype(np.uint8)


def linear_table(center: float, width: float, inverted: bool = False) -> NDArray[np.uint8]:
    grey = np.clip((np.arange(65536) - (center - 0.5)) / (width - 1) + 0.5, 0, 1)
    return np.floor((1 - grey if inverted else grey) * 255 + 0.5).astype(np.uint8)


def assert_equal_within_one(actual: NDArray[np.uint8], expected: NDArray[np.uint8]) -> None:
    assert actual.shape == expected.shape
    assert expected.std() > 10  # a picture, not an empty pane
    assert np.abs(actual.astype(int) - expected).max() <= 1


def part(canvas: NDArray[np.uint8], pane: dict[str, Any]) -> NDArray[np.uint8]:
    return canvas[:, pane["x"] : pane["x"] + pane["width"]]


@pytest.mark.parametrize(
    "keys",
    [[], ["z"], ["+", "+", "ArrowRight", "ArrowDown"], ["-", "-", "-", "-", "-", "-", "-"]],
    ids=["fit", "1:1", "larger", "smaller"],
)
def test_both_panes_show_what_they_should(pair: View, keys: list[str]) -> None:
    pair.press(*keys)
    state, canvas = pair.state(), pair.pixels()
    for pane, name, table in zip(
        state["panes"], ("prior", "current"), (linear_table(8000, 16000), linear_table(2048, 4096)), strict=True
    ):
        assert_equal_within_one(part(canvas, pane), expected_pane(pair.server.images[name], state, pane, table))


def test_a_large_image_far_reduced(view: View, server: Server) -> None:
    made = picture(radiograph(1501, 1203, 3))
    server.add("large", made)
    view.load("large")
    view.press("-", "-")
    state = view.state()
    assert state["current"]["zoom"] < 0.3
    assert_equal_within_one(
        part(view.pixels(), state["panes"][1]), expected_pane(made, state, state["panes"][1], linear_table(2048, 4096))
    )


def test_unequal_spacing_keeps_the_proportions_of_the_body(view: View, server: Server) -> None:
    made = picture(radiograph(200, 300), spacing={"row_mm": 0.6, "column_mm": 0.3, "basis": "calibrated"})
    server.add("wide", made)
    view.load("wide")
    state = view.state()
    pane = state["panes"][1]
    assert_equal_within_one(part(view.pixels(), pane), expected_pane(made, state, pane, linear_table(2048, 4096)))
    shown = np.argwhere(part(view.pixels(), pane) > 0)
    height, width = shown.max(axis=0) - shown.min(axis=0) + 1
    assert width / height == pytest.approx(300 * 0.3 / (200 * 0.6), rel=0.02)


def test_monochrome1_and_the_readers_inversion(view: View, server: Server) -> None:
    made = picture(radiograph(200, 200), inverted=True)
    server.add("inverted", made)
    view.load("inverted")
    for inverted in (True, False):
        state = view.state()
        pane = state["panes"][1]
        assert_equal_within_one(
            part(view.pixels(), pane), expected_pane(made, state, pane, linear_table(2048, 4096, inverted))
        )
        view.press("i")


def test_padding_is_black_and_does_not_bleed_into_the_image(view: View, server: Server) -> None:
    pixels = np.full((240, 240), 3000, np.uint16)
    padding = np.zeros((240, 240), bool)
    padding[:, 150:] = True
    pixels[padding] = 65535
    server.add("padded", picture(pixels, padding))
    view.load("padded")
    for keys in ([], ["i"], ["f", "-", "-", "-", "-", "-"], ["z", "+", "+", "+"]):
        view.press(*keys)
        pane = part(view.pixels(), view.state()["panes"][1])
        grey = linear_table(2048, 4096, view.state()["invert"])[3000]
        assert set(np.unique(pane)) == {0, grey}


def test_a_padding_mask_of_bits_is_read_too(page: Any) -> None:
    bits = page.evaluate(
        """async () => {
            const { ImageSource } = await import("/static/image_source.mjs");
            const windows = [{ center: 1, width: 2 }];
            const meta = { rows: 3, columns: 3, slope: 1, intercept: 0, windows, has_padding: true };
            const padding = new Uint8Array([0b10010000, 0b10000000]);
            const bodies = { meta: JSON.stringify(meta), pixels: new Uint16Array(9), padding };
            window.fetch = async (url) => new Response(bodies[url.split("/").at(-1)]);
            const image = await new ImageSource().get("x");
            return [...image.pyramid[0].padding];
        }"""
    )
    assert bits == [1, 0, 0, 1, 0, 0, 0, 0, 1]


def test_the_screen_is_sharp_on_a_dense_display(browser: Any, server: Server) -> None:
    made = picture(radiograph(600, 600))
    server.add("dense", made)
    context = browser.new_context(viewport={"width": 800, "height": 600}, device_scale_factor=2)
    page = context.new_page()
    page.goto(server.url)
    view = View(page, server, 500)
    view.load("dense")
    state = view.state()
    assert state["canvas"]["ratio"] == 2
    assert state["canvas"]["width"] == pytest.approx(2 * view.area()["width"], abs=1)
    pane = state["panes"][1]
    assert_equal_within_one(part(view.pixels(), pane), expected_pane(made, state, pane, linear_table(2048, 4096)))
    context.close()


def test_frames_are_fast_enough_to_drag(pair: View) -> None:
    """The best of some frames, since a test machine has other work: a window drag is a look-up, not a resampling."""
    milliseconds = pair.page.evaluate(
        """async () => {
            const times = [];
            for (let n = 0; n < 12; n++) {
                window.api.setInvert(n % 2 === 0);
                await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
                times.push(window.api.state().frameMs);
            }
            return Math.min(...times);
        }"""
    )
    assert milliseconds < 100
