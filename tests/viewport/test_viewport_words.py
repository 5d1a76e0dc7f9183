"""The words in the corners: who, when, how old, which window; and that words from files stay words."""

from __future__ import annotations

from playwright.sync_api import Page
from viewport_pilot import Server, View, picture, radiograph


def test_the_corners_of_a_pair(pair: View) -> None:
    assert pair.text("prior", "label").split("\n") == ["PRIOR", "2023-01-03", "214 days before current"]
    assert pair.text("current", "label").split("\n") == ["CURRENT", "2023-08-05"]
    assert pair.text("current", "who") == "DOE, JANE M\nID P-17"
    assert pair.text("current", "when") == "2023-08-05 10:20\nPA\nChest PA"
    assert pair.text("prior", "when").startswith("2023-01-03 08:01")
    assert pair.text("prior", "window") == "C 8000  W 16000"
    zoom = round(pair.state()["current"]["zoom"] * 100)
    assert pair.text("current", "zoom") == f"zoom {zoom} %"


def test_prior_and_current_have_colours_of_their_own(pair: View) -> None:
    colours = [
        pair.page.locator(f'[data-role="{r}"] .iv-label-title').evaluate("(n) => getComputedStyle(n).backgroundColor")
        for r in ("prior", "current")
    ]
    assert len(set(colours)) == 2


AGES = [
    ("2023-08-04", "2023-08-05T10:00:00", "1 day before current", False),
    ("2021-08-05T09:00:00", "2023-08-05T10:00:00", "730 days (2.0 years) before current", False),
    ("2023-08-05T07:30:00", "2023-08-05T10:00:00", "2 h 30 min before current", False),
    ("2023-08-05T00:00:00", "2023-08-05T10:00:00", "same day as current", False),
    ("2024-03-10T00:00:00", "2023-03-10T00:00:00", "366 days AFTER current", True),
    ("2023-08-05T10:20:00", "2023-08-05T10:00:00", "20 min AFTER current", True),
    ("2023-03-25T23:00:00", "2023-03-27T01:00:00", "2 days before current", False),  # across a change of the clock
    (None, "2023-08-05T10:00:00", "interval unknown", False),
]


def test_the_age_of_the_prior(page: Page) -> None:
    told = page.evaluate(
        """async (cases) => {
            const { ageWords } = await import("/static/words.mjs");
            return cases.map(([prior, current]) => ageWords({ acquired: prior }, { acquired: current }));
        }""",
        [case[:2] for case in AGES],
    )
    assert [(age["text"], age["wrong"]) for age in told] == [case[2:] for case in AGES]


EDGES = [
    (["L", "F"], {"left": "R", "right": "L", "top": "H", "bottom": "F"}),
    (["R", "F"], {"left": "L", "right": "R", "top": "H", "bottom": "F"}),
    (["LP", "FA"], {"left": "RA", "right": "LP", "top": "HP", "bottom": "FA"}),
    ([], {}),
    (["L"], {}),
    (["L", "<b>"], {}),
]


def test_the_sides_of_the_patient(page: Page, view: View, server: Server) -> None:
    told = page.evaluate(
        """async (cases) => {
            const { edgeLetters } = await import("/static/words.mjs");
            return cases.map((orientation) => edgeLetters(orientation));
        }""",
        [case for case, _ in EDGES],
    )
    assert told == [edges for _, edges in EDGES]
    server.add("c", picture(radiograph(60, 60), orientation=["L", "F"]))
    view.load("c")
    pane = view.page.locator('[data-role="current"]')
    for edge, letters in EDGES[0][1].items():
        assert pane.locator(f'[data-edge="{edge}"]').inner_text() == letters
    assert pane.locator("h1").count() == 0


def test_a_prior_that_is_newer_is_marked(view: View, server: Server) -> None:
    server.add("p", picture(radiograph(60, 60), acquired="2024-03-10T00:00:00"))
    server.add("c", picture(radiograph(60, 60), acquired="2023-03-10T00:00:00"))
    view.load("c", "p")
    assert "iv-wrong" in (view.page.locator('[data-role="prior"] .iv-label-age').get_attribute("class") or "")


def test_a_date_that_is_not_reliable_gives_no_interval(view: View, server: Server) -> None:
    server.add("p", picture(radiograph(60, 60), acquired="1901-01-01T00:00:00", date_reliable=False))
    server.add("c", picture(radiograph(60, 60)))
    view.load("c", "p")
    assert (
        "1901-01-01  date not reliable" in view.page.locator('[data-role="prior"] [data-corner="when"]').text_content()
    )
    assert "days" not in view.text("prior", "label")


def test_a_plain_picture_says_what_nobody_knows(view: View, server: Server) -> None:
    server.add(
        "c",
        picture(
            radiograph(60, 60),
            acquired=None,
            view="UNKNOWN",
            patient={"name": "", "id": ""},
            study_description="",
            spacing=None,
        ),
    )
    view.load("c")
    assert view.text("current", "who") == "Patient not stated"
    assert view.text("current", "when") == "Date unknown\nView unknown"


PATIENTS = [
    ({"id": "1"}, {"id": "2"}, True),
    ({"name": "A", "id": "1"}, {"name": "B", "id": "1 "}, False),
    ({"id": ""}, {"id": "1"}, False),
    ({"id": "1", "issuer": "X"}, {"id": "1", "issuer": "Y"}, True),
    ({"id": "1", "issuer": "X"}, {"id": "1", "issuer": ""}, False),
]


def test_who_is_a_different_patient(page: Page) -> None:
    told = page.evaluate(
        """async (cases) => {
            const { arePatientsDifferent } = await import("/static/words.mjs");
            return cases.map(([a, b]) => arePatientsDifferent({ patient: a }, { patient: b }));
        }""",
        [case[:2] for case in PATIENTS],
    )
    assert told == [case[2] for case in PATIENTS]


def test_the_banner_of_different_patients_comes_and_goes(view: View, server: Server) -> None:
    server.add("p", picture(radiograph(60, 60), patient={"name": "A", "id": "1"}))
    server.add("c", picture(radiograph(60, 60), patient={"name": "A", "id": "2"}))
    view.load("c", "p")
    banner = view.page.locator(".iv-banner--mismatch")
    assert "DIFFERENT PATIENT" in banner.inner_text()
    view.load("c")
    assert not banner.is_visible()


def test_warnings_and_notes_are_shown(view: View, server: Server) -> None:
    server.add("c", picture(radiograph(60, 60), notes=["Pixel spacing 0 ignored.", "Burned-in text possible."]))
    view.load("c", warnings=["Birth dates differ."])
    assert view.text("current", "notes") == "Pixel spacing 0 ignored.\nBurned-in text possible."
    assert view.page.locator(".iv-banner--warning").inner_text() == "Birth dates differ."


def test_markup_in_a_file_stays_text(view: View, server: Server) -> None:
    evil = "<img src=x onerror=window.hit=1>"
    server.add(
        "c",
        picture(
            radiograph(60, 60),
            patient={"name": evil, "id": evil},
            study_description=evil,
            notes=[evil],
            windows=[{"center": 1, "width": 2, "name": evil}],
        ),
    )
    view.load("c", warnings=[evil])
    assert view.page.locator(".iv-viewport img").count() == 0
    assert view.page.evaluate("() => window.hit") is None
    assert evil in view.text("current", "notes")


def test_corner_texts_can_be_hidden_but_not_the_labels(pair: View) -> None:
    pair.press("t")
    assert not pair.page.locator('[data-role="prior"] [data-corner="who"]').is_visible()
    assert pair.page.locator('[data-role="prior"] .iv-label-title').is_visible()


def test_a_sigmoid_window_says_so(view: View, server: Server) -> None:
    server.add(
        "c", picture(radiograph(60, 60), windows=[{"center": 10.5, "width": 12.25, "name": "S", "function": "SIGMOID"}])
    )
    view.load("c")
    assert view.text("current", "window") == "C 10.5  W 12.3  SIGMOID"
