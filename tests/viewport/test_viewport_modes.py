"""Swipe, fade, flicker, lens: what is on the canvas in each, by mouse and by keyboard."""

from __future__ import annotations

import numpy as np
import pytest
from viewport_pilot import Server, View, picture


@pytest.fixture
def flat(view: View, server: Server) -> View:
    """Two images of one grey each, so that every pixel says which image it shows."""
    server.add("dark", picture(np.full((300, 300), 1000, np.uint16)))
    server.add("light", picture(np.full((300, 300), 3000, np.uint16)))
    view.load("light", "dark")
    return view


DARK, LIGHT = 62, 187  # 1000 and 3000 under C 2048 W 4096


def row(view: View) -> np.ndarray:
    canvas = view.pixels()
    return canvas[canvas.shape[0] // 2]


def test_side_by_side_has_the_prior_on_the_left(flat: View) -> None:
    left, right = np.split(row(flat), [flat.state()["canvas"]["width"] // 2])
    assert set(np.unique(left)) <= {0, DARK} and DARK in left
    assert set(np.unique(right)) <= {0, LIGHT} and LIGHT in right


def test_swipe_cuts_at_the_divider(flat: View) -> None:
    flat.press("s")
    divider = flat.page.locator(".iv-divider")
    box = divider.bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + 40)
    flat.drag(middle, (middle[0] - 120, middle[1]))
    state = flat.state()
    cut = round(state["mix"] * state["canvas"]["width"])
    assert cut == pytest.approx(state["canvas"]["width"] / 2 - 120, abs=2)
    assert set(np.unique(row(flat)[:cut])) == {0, DARK}
    assert set(np.unique(row(flat)[cut:])) == {0, LIGHT}
    assert state["view"]["x"] == 0  # the drag moved the divider and nothing else


def test_the_divider_is_a_separator_for_the_keyboard(flat: View) -> None:
    flat.page.locator('[data-action="mode-swipe"]').click()
    divider = flat.page.get_by_role("separator")
    divider.focus()
    for _ in range(5):
        flat.page.keyboard.press("ArrowRight")
    flat.settle()
    assert flat.state()["mix"] == pytest.approx(0.6)
    assert divider.get_attribute("aria-valuenow") == "60"
    flat.page.keyboard.press("Home")
    flat.settle()
    assert DARK not in row(flat)
    flat.press("]")
    assert flat.state()["mix"] == pytest.approx(0.05)


def test_fade_mixes(flat: View) -> None:
    flat.press("d")
    slider = flat.page.locator(".iv-range")
    for share in (0, 30, 50, 100):
        slider.evaluate("(node, value) => { node.value = value; node.dispatchEvent(new Event('input')); }", share)
        expected = DARK * (1 - share / 100) + LIGHT * share / 100
        assert row(flat).max() == pytest.approx(expected, abs=0.51)


def test_flicker_by_hand(flat: View) -> None:
    flat.page.emulate_media(reduced_motion="reduce")
    flat.press("k")
    seen = []
    for _ in range(3):
        state = flat.state()
        visible = [r for r in ("prior", "current") if flat.page.locator(f'[data-role="{r}"]').is_visible()]
        assert visible == [state["shown"]]
        assert row(flat).max() == (DARK if state["shown"] == "prior" else LIGHT)
        seen.append(state["shown"])
        flat.press(" ")
    assert seen == ["current", "prior", "current"]


def test_flicker_by_itself_and_its_end(flat: View) -> None:
    flat.press("k")
    flat.page.wait_for_function("() => window.api.state().shown === 'prior'")
    flat.page.wait_for_function("() => window.api.state().shown === 'current'")
    flat.press("b")
    shown = flat.state()["shown"]
    flat.page.wait_for_timeout(800)
    assert flat.state()["shown"] == shown


def test_modes_need_a_prior(view: View, server: Server) -> None:
    server.add("alone", picture(np.full((100, 100), 3000, np.uint16)))
    view.load("alone")
    for mode in ("swipe", "fade", "flicker"):
        assert view.page.locator(f'[data-action="mode-{mode}"]').is_disabled()
    view.press("s")
    assert view.state()["mode"] == "side"
    assert view.page.locator('[data-role="prior"]').inner_text().split() == ["PRIOR", "No", "prior"]
    panes = view.state()["panes"]
    assert panes[0]["width"] < 0.2 * panes[1]["width"]  # the room belongs to the image that is there


def test_invert_turns_both_images_round(flat: View) -> None:
    flat.page.locator('[data-action="invert"]').click()
    assert {255 - DARK, 255 - LIGHT} <= set(np.unique(row(flat)))
    assert "inverted" in flat.text("prior", "window")
    assert flat.page.locator('[data-action="invert"]').get_attribute("aria-pressed") == "true"


def test_a_mode_keeps_the_place_that_was_zoomed_to(flat: View) -> None:
    flat.press("+", "+", "+", "ArrowRight")
    before = flat.state()["view"]
    flat.press("s")
    assert flat.state()["view"] == before


def test_the_lens_is_there_while_m_is_held_and_shows_both_panes(flat: View) -> None:
    flat.page.mouse.move(*flat.point(0.7, 0.5))
    flat.page.keyboard.down("m")
    flat.settle()
    lenses = flat.page.locator(".iv-lens:visible")
    assert lenses.count() == 2
    middle = lenses.evaluate_all(
        "(all) => all.map((lens) => lens.getContext('2d').getImageData(lens.width / 2, lens.height / 2, 1, 1).data[0])"
    )
    assert middle == [DARK, LIGHT]
    flat.page.keyboard.up("m")
    flat.settle()
    assert flat.page.locator(".iv-lens:visible").count() == 0


def test_the_next_pair_keeps_the_mode_and_a_single_image_ends_it(flat: View) -> None:
    flat.press("s", "i")
    flat.server.add("older", picture(np.full((300, 300), 2000, np.uint16)))
    flat.load("light", "older")
    assert (flat.state()["mode"], flat.state()["invert"]) == ("swipe", False)
    assert 124 <= row(flat)[: flat.state()["canvas"]["width"] // 2].max() <= 125
    flat.load("light")
    assert flat.state()["mode"] == "side"
