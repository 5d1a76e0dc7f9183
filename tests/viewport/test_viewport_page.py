"""Living in a page: focus and keys, the sheet, loading and its failures, hidden tabs, measurements, a narrow screen."""

from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np
import pytest
from playwright.sync_api import Page
from viewport_pilot import Server, View, picture, radiograph


def test_keys_count_only_while_the_viewport_has_the_focus(pair: View) -> None:
    pair.page.locator("#around").click()
    pair.page.keyboard.type("is there a nodule?")
    assert pair.page.locator("#around").input_value() == "is there a nodule?"
    assert pair.state()["invert"] is False and pair.state()["mode"] == "side"
    pair.page.mouse.move(*pair.point(0.7, 0.5))  # hovering takes no focus from somebody who types
    pair.page.keyboard.type(" i")
    assert pair.page.locator("#around").input_value().endswith(" i")
    pair.page.mouse.click(*pair.point(0.7, 0.5))
    pair.page.keyboard.press("i")
    assert pair.state()["invert"] is True
    assert pair.page.locator("#around").input_value().endswith(" i")


def test_hovering_gives_the_focus_where_nobody_types(pair: View) -> None:
    pair.page.mouse.move(5, 5)
    pair.page.evaluate("() => document.activeElement.blur()")
    pair.page.mouse.move(*pair.point(0.7, 0.5))
    pair.page.keyboard.press("i")
    assert pair.state()["invert"] is True


def test_used_keys_go_no_further_and_others_do(pair: View) -> None:
    pair.page.evaluate(
        "() => { window.heard = []; document.addEventListener('keydown', (e) => window.heard.push(e.key)); }"
    )
    pair.press("i", "Control+i", "y")
    assert [k for k in pair.page.evaluate("() => window.heard") if k != "Control"] == ["i", "y"]
    assert pair.state()["invert"] is True


def test_the_sheet_lists_every_key_and_closes_with_escape(pair: View) -> None:
    pair.press("?")
    sheet = pair.page.get_by_role("dialog", name="Keys and mouse")
    assert sheet.is_visible()
    words = sheet.inner_text()
    for expected in (
        "Side by side",
        "Swipe",
        "Fade",
        "Flicker",
        "Invert",
        "VOI LUT off",
        "Fit",
        "1:1",
        "Reset",
        "M held",
        "1 ... 9",
        "Alt + arrows",
        "Wheel",
    ):
        assert expected in words
    pair.page.keyboard.press("i")
    assert pair.state()["invert"] is False
    pair.page.keyboard.press("Escape")
    assert not sheet.is_visible()
    pair.page.keyboard.press("i")  # the focus is back
    assert pair.state()["invert"] is True


def test_names_for_those_who_do_not_see_the_screen(pair: View) -> None:
    assert pair.page.get_by_role("application", name="Comparison of prior and current radiograph").count() == 1
    unnamed = pair.page.locator(".iv-viewport :is(button, select, input)").evaluate_all(
        "(all) => all.filter((node) => !(node.textContent.trim() || node.getAttribute('aria-label'))).length"
    )
    assert unnamed == 0
    assert pair.page.locator('[data-action="mode-side"]').get_attribute("aria-pressed") == "true"


def test_arrows_plus_minus_and_shift_arrows(pair: View) -> None:
    fitted = pair.state()
    pair.press("+")
    assert pair.state()["current"]["zoom"] == pytest.approx(1.25 * fitted["current"]["zoom"])
    pair.press("ArrowRight")
    assert pair.state()["view"]["x"] == pytest.approx(40 * pair.state()["view"]["scale"])
    pair.press("Shift+ArrowRight", "Shift+ArrowDown")
    state = pair.state()
    assert state["current"]["width"] > 4096 and state["current"]["center"] > 2048
    pair.press("r", "Alt+ArrowLeft")
    assert pair.state()["offset"]["x"] < 0


def test_a_later_load_wins_over_a_slow_one(view: View, server: Server) -> None:
    server.add("slow", picture(np.full((80, 80), 4000, np.uint16), patient={"name": "SLOW", "id": "1"}))
    server.add("quick", picture(np.full((80, 80), 2000, np.uint16), patient={"name": "QUICK", "id": "2"}))
    server.delays["slow"] = threading.Event()
    view.page.evaluate("() => { window.api.load({ current: 'slow' }); }")
    assert "Loading" in view.page.locator('[data-role="current"]').inner_text()
    view.load("quick")
    server.delays["slow"].set()
    view.page.wait_for_timeout(150)
    assert view.text("current", "who").startswith("QUICK")
    assert view.state()["current"]["sha256"] == "quick"
    assert view.pixels().max() == 125
    assert [name for name, _ in view.events()] == ["loaded"]


def test_nothing_of_the_old_patient_stays_while_the_new_one_loads(pair: View) -> None:
    pair.server.add("next", picture(radiograph(50, 50)))
    pair.server.delays["next"] = threading.Event()
    pair.page.evaluate("() => { window.api.load({ current: 'next' }); }")
    assert pair.pixels().max() == 0
    assert pair.text("current", "who") == "" and pair.text("prior", "who") == ""
    pair.server.delays["next"].set()
    pair.page.wait_for_function("() => window.api.state().current !== null")


def test_the_same_ids_again_change_nothing(pair: View) -> None:
    pair.press("+", "i", "s")
    before = pair.state()
    pair.load("current", "prior")
    after = pair.state()
    assert [after[k] for k in ("view", "invert", "mode")] == [before[k] for k in ("view", "invert", "mode")]


def test_an_image_that_cannot_be_loaded_says_why_and_the_other_is_shown(view: View, server: Server) -> None:
    server.add("there", picture(radiograph(80, 80)))
    view.load("there", "gone")
    assert "This image is no longer stored." in view.page.locator('[data-role="prior"]').inner_text()
    assert view.state()["current"]["sha256"] == "there"
    assert ["error", {"role": "prior", "message": "This image is no longer stored."}] in view.events()
    server.add("gone", picture(radiograph(80, 80)))
    view.load("there", "gone")
    assert view.state()["prior"]["sha256"] == "gone"


def test_pixels_that_do_not_fit_the_description_are_refused(view: View, server: Server) -> None:
    server.add("short", picture(radiograph(80, 80), rows=81))
    view.load("short")
    assert "could not be loaded" in view.page.locator('[data-role="current"]').inner_text()
    assert view.pixels().max() == 0


def test_a_new_description_keeps_the_view(pair: View) -> None:
    pair.press("+")
    before = pair.state()
    meta = pair.server.images["prior"].meta
    pair.server.add(
        "prior", picture(pair.server.images["prior"].pixels, **(meta | {"acquired": "2023-08-01T00:00:00"}))
    )
    pair.page.evaluate("() => window.api.refresh()")
    assert "4 days before current" in pair.text("prior", "label")
    assert pair.state()["view"] == before["view"]


def test_it_survives_a_hidden_tab_and_a_new_size(pair: View) -> None:
    fitted = pair.state()["current"]["zoom"]
    host = "document.getElementById('host').style"
    pair.page.evaluate(f"() => {{ {host}.display = 'none'; }}")
    pair.press("i")
    assert pair.state()["canvas"]["width"] == 0
    pair.page.evaluate(f"() => {{ {host}.display = ''; window.api.setInvert(false); }}")
    pair.page.wait_for_function("() => window.api.state().canvas.width > 0")
    assert pair.state()["current"]["zoom"] == pytest.approx(fitted)
    assert pair.pixels().max() > 100
    pair.page.set_viewport_size({"width": 700, "height": 700})
    pair.page.wait_for_function("(zoom) => window.api.state().current.zoom < 0.8 * zoom", arg=fitted)


def test_mounted_while_hidden(page: object, server: Server, view: View) -> None:
    server.add("c", picture(radiograph(80, 80)))
    view.page.evaluate("() => { document.getElementById('host').style.display = 'none'; }")
    view.load("c")
    view.page.evaluate("() => { document.getElementById('host').style.display = ''; }")
    view.page.wait_for_function("() => window.api.state().canvas.width > 0")
    assert view.pixels().max() > 100
    state = view.state()
    assert state["current"]["zoom"] * 80 == pytest.approx(min(state["panes"][1]["width"], state["panes"][1]["height"]))


def test_a_length_has_a_unit_and_its_basis(pair: View) -> None:
    pair.press("l")
    start = pair.point(0.7, 0.4)
    pair.drag(start, (start[0] + 60, start[1] + 80))
    millimetres = 100 * pair.state()["view"]["scale"]
    (mark,) = pair.state()["measurements"]
    assert mark["value"] == pytest.approx(millimetres)
    assert mark["label"] == f"Length {millimetres:.1f} mm (at detector)"
    assert pair.page.locator(".iv-mark-text").text_content() == mark["label"]
    name, told = pair.events()[-1]
    assert name == "measurement"
    assert (told["kind"], told["role"], told["sha256"], told["unit"], told["basis"]) == (
        "length",
        "current",
        "current",
        "mm",
        "at detector",
    )
    pair.press("Delete")
    assert pair.state()["measurements"] == []


def test_a_length_without_a_spacing_is_in_pixels(view: View, server: Server) -> None:
    server.add("c", picture(radiograph(200, 200), spacing=None))
    view.load("c")
    view.press("l")
    start = view.point(0.5, 0.4)
    view.drag(start, (start[0] + 100, start[1]))
    (mark,) = view.state()["measurements"]
    assert mark["unit"] == "px" and mark["label"].endswith("px (no pixel spacing)")
    assert mark["value"] == pytest.approx(100 / view.state()["current"]["zoom"])


def test_the_cardiothoracic_ratio(view: View, server: Server) -> None:
    cautions = {"PA": "", "AP": " (AP view: the heart appears larger)", "UNKNOWN": " (view not known to be PA)"}
    for projection, caution in cautions.items():
        server.add(projection, picture(radiograph(100, 100), view=projection))
        view.load(projection)
        view.press("c")
        for left, right, y in ((0.45, 0.55, 0.6), (0.4, 0.65, 0.7)):
            view.drag(view.point(left, y), view.point(right, y + 0.02))
        (mark,) = view.state()["measurements"]
        assert mark["label"] == f"CTR 0.40{caution}"
        assert mark["value"] == pytest.approx(0.4, abs=0.005)


def test_no_ratio_on_a_lateral_image_and_no_mark_from_a_click(view: View, server: Server) -> None:
    server.add("c", picture(radiograph(200, 200), view="LATERAL"))
    view.load("c")
    view.press("c")
    view.drag(view.point(0.5, 0.5), view.point(0.6, 0.5))
    assert view.state()["measurements"] == []
    assert "frontal" in view.page.locator(".iv-live").text_content()
    view.press("l")
    view.page.mouse.click(*view.point(0.5, 0.5))
    assert view.state()["measurements"] == []


def test_measurements_belong_to_their_image(pair: View) -> None:
    pair.press("l")
    pair.drag(pair.point(0.7, 0.4), pair.point(0.8, 0.4))
    pair.server.add("other", picture(radiograph(100, 100)))
    pair.load("other", "prior")
    assert pair.state()["measurements"] == []


def test_the_tool_bar_is_one_row_whatever_a_preset_is_called(page: Page, server: Server) -> None:
    windows = [{"center": 2048, "width": 4096, "name": "A name as long as some vendors have", "function": "LINEAR"}]
    server.add("c", picture(radiograph(100, 100), windows=windows))
    view = View(page, server, 420)
    view.load("c")
    named = []
    for width in (840, 916, 1100, 1260, 1416, 1900):  # 916 and 1416: the panes of windows of 1280 and 1920
        page.set_viewport_size({"width": width, "height": 600})
        view.settle()
        boxes = page.locator(".iv-toolbar :is(button, select)").evaluate_all(
            "(all) => all.map((one) => one.getBoundingClientRect()).map(({ left, right, top }) => [left, right, top])"
        )
        assert max(top for *_, top in boxes) - min(top for *_, top in boxes) < 5, width
        assert all(right <= left for (_, right, _), (left, _, _) in pairwise(boxes)), width
        assert boxes[-1][1] <= width
        named.append(page.locator(".iv-toolbar .iv-button-text:visible").count())
    assert named == sorted(named) and named[-1] == len(boxes) - 1, "words go only where there is no room for them"


def test_four_hundred_percent_zoom_loses_no_function(browser: object, server: Server) -> None:
    """1280 x 800 at 400 %: 320 x 200 css pixels."""
    context = browser.new_context(viewport={"width": 320, "height": 200}, device_scale_factor=4)  # type: ignore[attr-defined]
    page = context.new_page()
    page.goto(server.url)
    server.add("c", picture(radiograph(100, 100)))
    server.add("p", picture(radiograph(100, 100)))
    view = View(page, server, 420)
    view.load("c", "p")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    cut_off = page.locator(".iv-toolbar button").evaluate_all(
        """(all) => all.filter((button) => {
            const box = button.getBoundingClientRect();
            return box.right > innerWidth || box.width < 20;
        }).length"""
    )
    assert cut_off == 0
    assert page.locator('[data-role="current"] .iv-label-title').is_visible()
    assert view.state()["canvas"]["height"] > 400
    context.close()


def test_destroying_leaves_nothing(pair: View) -> None:
    pair.page.evaluate("() => window.api.destroy()")
    assert pair.page.locator(".iv-viewport").count() == 0


HOSTILE = """
* { color: #222 !important; }
button, input, select, textarea { all: revert !important; padding: 30px !important; background: red !important; }
div, section, header, p, span, li, ol, h2 { margin: 20px !important; list-style: disc !important; }
"""


def test_the_style_sheets_of_the_page_do_not_reach_in(pair: View) -> None:
    before = pair.page.locator(".iv-viewport").screenshot()
    pair.page.evaluate(
        """(css) => {
            const sheet = new CSSStyleSheet();
            sheet.replaceSync(css.replaceAll("div,", "div:not(#host, #host *),"));
            document.adoptedStyleSheets = [sheet];
        }""",
        HOSTILE,
    )
    pair.settle()
    assert pair.page.locator(".iv-viewport").screenshot() == before
