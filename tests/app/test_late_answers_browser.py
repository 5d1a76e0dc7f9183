"""Answers and requests that overtake each other between a real browser and a real server: nothing is lost or hidden."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import APIResponse, Browser, Page, Route
from viewer_process import Screen, viewer

READER = "Dr. Ada Reader"
EVENTS = "**/queue/join*"
AT_REST = "() => new Promise((done) => setTimeout(() => requestIdleCallback(done), 500))"


@dataclass
class Held:
    """Events of the page that are kept back: before they reach the server, or what it has answered to them."""

    page: Page
    answers: bool
    kept: list[tuple[Route, APIResponse | None]] = field(default_factory=list)

    def keep(self, route: Route) -> None:
        self.kept.append((route, route.fetch() if self.answers else None))

    def __len__(self) -> int:
        return len(self.kept)

    def let_go(self) -> None:
        """Everything that was kept back arrives now, after what has been done since."""
        for route, answer in self.kept:
            with self.page.expect_request_finished(lambda request, sent=route.request: request == sent):
                if answer is None:
                    route.continue_()
                else:
                    route.fulfill(response=answer)
        self.page.evaluate(AT_REST)


@contextmanager
def held(page: Page, count: int, *, answers: bool) -> Iterator[Held]:
    """Keep back the next ``count`` events that the body causes; later ones pass."""
    kept = Held(page, answers)
    page.route(EVENTS, kept.keep, times=count)
    yield kept
    while len(kept) < count:
        page.wait_for_timeout(50)


@pytest.fixture(scope="module")
def url(options: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with viewer(tmp_path_factory.mktemp("late") / "home", *options) as running:
        yield running


@pytest.fixture
def screen(opened: Browser, url: str, files: list[Path]) -> Iterator[Screen]:
    """A page with a pair and a report of one sentence of the reader's."""
    screen = Screen.open(opened, url, 1280, 800)
    screen.drop(*files)
    screen.loaded()
    write(screen, "Normal heart.")
    screen.wait_until("() => !document.querySelector('#ivp-export-button').disabled")
    # The screen that comes when the model is ready would mend what another one has hidden.
    screen.page.wait_for_selector(".ivp-line:has-text('being loaded')", state="detached")
    yield screen
    screen.page.close()


def write(screen: Screen, text: str) -> None:
    screen.page.click("[data-action=add-last]")
    screen.type_sentence(text)


def is_signed(screen: Screen) -> None:
    """The page shows the report as signed, in every one of its parts."""
    page = screen.page
    assert page.locator(".ivp-line--signed").count() == 1 and READER in page.inner_text(".ivp-line--signed")
    assert page.locator(".iv-sentence").all_inner_texts() and "No pneumothorax." in page.inner_text(".iv-sentences")
    assert page.locator("[data-action=edit]:visible").count() == 0
    assert not page.locator("#ivp-sign-button").is_visible() and not page.locator("#ivp-draft").is_visible()
    assert page.locator("#ivp-context textarea").first.is_disabled()
    assert page.locator("#ivp-fresh").is_visible() and page.locator("#ivp-export-button").is_enabled()
    assert page.locator(".ivp-notice").count() == 0
    assert screen.errors == []


@pytest.mark.parametrize("answers", [True, False], ids=["answer", "request"])
def test_a_change_that_arrives_after_the_signature_does_not_hide_it(screen: Screen, answers: bool) -> None:
    with held(screen.page, 1, answers=answers) as change:
        write(screen, "No pneumothorax.")
    screen.sign(READER)
    screen.page.wait_for_selector(".ivp-line--signed")
    change.let_go()
    is_signed(screen)


def test_a_press_of_sign_counts_while_an_earlier_one_is_under_way(screen: Screen) -> None:
    write(screen, "No pneumothorax.")
    with held(screen.page, 1, answers=True) as first:
        screen.sign("")
    screen.sign(READER)
    screen.page.wait_for_selector(".ivp-line--signed")
    first.let_go()
    is_signed(screen)


def test_a_press_of_sign_closes_the_sentence_that_is_being_written(screen: Screen) -> None:
    screen.page.click("[data-action=add-last]")
    screen.page.locator(".iv-sentence textarea").fill("No pneumothorax.")
    screen.sign(READER)
    screen.page.wait_for_selector(".ivp-line--signed")
    screen.page.evaluate(AT_REST)
    is_signed(screen)
