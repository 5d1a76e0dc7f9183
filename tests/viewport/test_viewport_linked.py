"""The laws of linked views and windows: one place of the body, one relative change, whatever the two detectors are."""

from __future__ import annotations

import pytest
from viewport_pilot import Server, View, picture, radiograph


def body_point(state: dict, role: str, x: float, y: float) -> tuple[float, float]:
    """World position (relative to the image's centre) under a point given in parts of the role's pane."""
    pane = state["panes"][0 if role == "prior" else 1]
    scale = state["view"]["scale"]
    return state["view"]["x"] + (x - 0.5) * pane["width"] * scale, state["view"]["y"] + (y - 0.5) * pane[
        "height"
    ] * scale


def test_two_calibrated_images_are_shown_at_one_scale_in_millimetres(pair: View) -> None:
    state = pair.state()
    assert state["basis"] == "mm"
    # the prior's pixels are half as wide: half as many screen pixels for each
    assert state["prior"]["zoom"] == pytest.approx(state["current"]["zoom"] / 2)


def test_without_a_spacing_both_images_have_one_height(view: View, server: Server) -> None:
    server.add("current", picture(radiograph(300, 300), spacing=None))
    server.add("prior", picture(radiograph(600, 500)))
    view.load("current", "prior")
    state = view.state()
    assert state["basis"] == "height"
    assert state["current"]["zoom"] * 300 == pytest.approx(state["prior"]["zoom"] * 600)
    assert "no pixel spacing" not in view.text("current", "zoom")


def test_fit_shows_both_images_wholly(pair: View) -> None:
    state = pair.state()
    pane = state["panes"][0]
    assert 360 * state["current"]["zoom"] <= pane["width"] + 1
    assert 420 * state["prior"]["zoom"] <= pane["height"] + 1
    assert max(
        360 * state["current"]["zoom"] / pane["width"], 300 * state["current"]["zoom"] / pane["height"]
    ) == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize("role", ["prior", "current"])
def test_the_wheel_zooms_about_the_cursor_in_both_panes(pair: View, role: str) -> None:
    before = pair.state()
    x = (0.15 if role == "prior" else 0.65) + 0.01
    at = pair.point(x, 0.3)
    pair.page.mouse.move(*at)
    pair.page.mouse.wheel(0, -240)
    pair.page.wait_for_timeout(200)
    after = pair.state()
    assert after["current"]["zoom"] > 1.3 * before["current"]["zoom"]
    assert after["prior"]["zoom"] / before["prior"]["zoom"] == pytest.approx(
        after["current"]["zoom"] / before["current"]["zoom"]
    )
    pane = before["panes"][0 if role == "prior" else 1]
    area = pair.area()
    inside = ((at[0] - area["x"] - pane["x"]) / pane["width"], (at[1] - area["y"]) / pane["height"])
    assert body_point(after, role, *inside) == pytest.approx(
        body_point(before, role, *inside), abs=after["view"]["scale"]
    )


def test_zoom_stops_at_both_ends(pair: View) -> None:
    pair.page.mouse.move(*pair.point(0.75, 0.5))
    for direction, bound in ((-400, 32), (400, 0.02)):
        for _ in range(18):
            pair.page.mouse.wheel(0, direction)
        pair.page.wait_for_timeout(180)
        assert pair.state()["current"]["zoom"] == pytest.approx(bound)


def test_pan_moves_both_and_never_loses_the_images(pair: View) -> None:
    pair.press("+", "+", "+", "+")
    before = pair.state()
    start = pair.point(0.75, 0.5)
    pair.drag(start, (start[0] + 30, start[1] - 20), key="Shift")
    after = pair.state()
    scale = before["view"]["scale"]
    assert after["view"]["x"] == pytest.approx(before["view"]["x"] - 30 * scale)
    assert after["view"]["y"] == pytest.approx(before["view"]["y"] + 20 * scale)
    assert after["offset"] == {"x": 0, "y": 0}
    for _ in range(4):
        pair.drag(pair.point(0.55, 0.5), pair.point(0.98, 0.5), button="middle")
    half_width = max(360 * 0.5, 400 * 0.25) / 2
    assert abs(pair.state()["view"]["x"]) == pytest.approx(half_width)


def test_right_drag_zooms_and_double_click_fits(pair: View) -> None:
    fitted = pair.state()["view"]
    start = pair.point(0.75, 0.5)
    pair.drag(start, (start[0], start[1] - 80), button="right")
    assert pair.state()["view"]["scale"] < 0.8 * fitted["scale"]
    pair.page.mouse.dblclick(*start)
    assert pair.state()["view"] == pytest.approx(fitted)


def test_alt_drag_moves_the_prior_alone(pair: View) -> None:
    before = pair.state()
    start = pair.point(0.25, 0.5)
    pair.drag(start, (start[0] + 24, start[1] + 10), key="Alt")
    after = pair.state()
    assert after["view"] == before["view"]
    assert after["offset"]["x"] == pytest.approx(24 * before["view"]["scale"])
    assert after["offset"]["y"] == pytest.approx(10 * before["view"]["scale"])
    assert "moved by hand" in pair.text("prior", "window")
    pair.press("o")
    assert pair.state()["offset"] == {"x": 0, "y": 0}


def test_a_window_drag_is_relative_to_each_images_own_default(pair: View) -> None:
    start = pair.point(0.75, 0.5)
    pair.drag(start, (start[0] + 60, start[1] + 40))
    state = pair.state()
    width = state["current"]["width"] / 4096
    shift = (state["current"]["center"] - 2048) / 4096
    assert width > 1.1 and shift > 0.02
    assert state["prior"]["width"] / 16000 == pytest.approx(width)
    assert (state["prior"]["center"] - 8000) / 16000 == pytest.approx(shift)
    pair.press("r")
    assert [pair.state()[role]["width"] for role in ("prior", "current")] == [16000, 4096]


def test_unlinked_windows_change_one_image(pair: View) -> None:
    pair.press("j")
    start = pair.point(0.25, 0.5)
    pair.drag(start, (start[0] + 60, start[1]))
    state = pair.state()
    assert state["prior"]["width"] > 16000
    assert state["current"]["width"] == 4096
    pair.press("2")  # a preset of the image touched last
    state = pair.state()
    assert state["prior"]["preset"] == "1-99 %" and state["current"]["preset"] == "NORMAL"


def test_presets_go_to_the_preset_of_the_same_name(view: View, server: Server) -> None:
    curve = {"first": 0, "values": [0.0, 0.5, 1.0], "name": "HARD"}
    server.add("current", picture(radiograph(200, 200), luts=[curve, curve | {"name": "SOFT"}]))
    server.add("prior", picture(radiograph(200, 200)))
    view.load("current", "prior")
    chosen = []
    for key in ("1", "2", "3", "4", "9"):
        view.press(key)
        state = view.state()
        chosen.append((state["current"]["preset"], state["prior"]["preset"]))
    assert chosen == [
        ("HARD", "NORMAL"),
        ("SOFT", "NORMAL"),
        ("NORMAL", "NORMAL"),
        ("1-99 %", "1-99 %"),
        ("1-99 %", "1-99 %"),
    ]


def test_the_voi_lut_is_the_default_and_can_be_switched_off(view: View, server: Server) -> None:
    server.add("lut", picture(radiograph(200, 200), luts=[{"first": 0, "values": [0.0, 1.0] * 2048, "name": "BAD"}]))
    view.load("lut")
    assert view.text("current", "window") == "VOI LUT BAD"
    wild = view.pixels()
    view.page.locator('[data-action="lut-off"]').click()
    view.settle()
    assert view.text("current", "window") == "C 2048  W 4096"
    assert view.page.locator('[data-action="lut-off"]').get_attribute("aria-pressed") == "true"
    assert (view.pixels() != wild).any()
    view.press("u")
    assert view.text("current", "window") == "VOI LUT BAD"


def test_the_list_of_presets_chooses_like_the_keys(pair: View) -> None:
    pair.page.locator(".iv-select").select_option(index=1)
    state = pair.state()
    assert (state["current"]["width"], state["prior"]["width"]) == (1000, 5000)
    assert pair.text("current", "window") == "C 2000  W 1000"


def test_two_fingers_zoom_and_pan(pair: View) -> None:
    before = pair.state()
    x, y = pair.point(0.75, 0.5)
    client = pair.page.context.new_cdp_session(pair.page)
    for step, spread in enumerate((40, 60, 80)):
        kind = "touchStart" if step == 0 else "touchMove"
        points = [{"x": x - spread, "y": y, "id": 1}, {"x": x + spread, "y": y, "id": 2}]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    after = pair.state()
    assert after["current"]["zoom"] / before["current"]["zoom"] == pytest.approx(2, rel=0.05)
    assert after["current"]["width"] == before["current"]["width"]
