"""The studio in Chromium: its pages, and jobs that need neither the page nor the studio."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from engine.jobs import queue
from engine.jobs.job import State
from trainer_ui.addresses import PAGES

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_a_job_outlives_the_page_and_the_studio(opened: Browser, home: Path, nothing_left: None) -> None:
    from playwright.sync_api import expect
    from studio_process import PATIENCE, Screen, start

    expect.set_options(timeout=PATIENCE)
    studio, url = start(home)
    try:
        listens = [at.laddr for at in psutil.Process(studio.pid).net_connections("inet") if at.status == "LISTEN"]
        assert [at.ip for at in listens] == ["127.0.0.1"]

        screen = Screen.open(opened, url)
        page = screen.page
        screen.go()
        for address, name in PAGES.items():
            screen.turn(name)
            expect(page.locator("h1")).to_have_text(name if address != "home" else "Training studio")
            expect(page.locator(".studio-foot")).to_have_text(re.compile("Not a medical device"))

        # A set of five cases: made, listed, and found again after a reload.
        screen.turn("Data")
        screen.fill("Longer side of an image, pixels", "64")
        screen.fill("Cases (patients)", "5")
        screen.press("Make the set")
        screen.badge("done")
        expect(page.get_by_text("train.json: 5 samples to train on")).to_be_visible()
        made = queue.jobs()[0]
        assert page.url == f"{url}data?job={made.id}"
        page.reload()
        expect(page.get_by_text(re.compile("5 cases are in"))).to_be_visible()

        # A long one: the studio is killed, another one finds it, and stops it.
        screen.fill("Longer side of an image, pixels", "32")
        screen.fill("Cases (patients)", "500000")
        screen.press("Make the set")
        screen.badge("running")
        assert screen.errors == []
        studio.kill()
        studio.wait()
        job = queue.jobs()[0]
        assert job.state is State.RUNNING
        studio, again = start(home, "--port", url.rstrip("/").rsplit(":", 1)[1])
        assert again == url
        screen.go(f"data?job={job.id}")
        screen.errors.clear()  # of the time without a studio
        screen.badge("running")
        expect(page.get_by_text(re.compile(r"of 500,000 cases"))).to_be_visible()
        screen.press("Stop")
        screen.badge("stopped")
        expect(page.get_by_text("unfinished", exact=True)).to_be_visible()
        assert queue.find(job.id).exit_status == 130

        assert {host for host in screen.hosts if host} == {url.split("/")[2]}
        assert screen.errors == []
        studio.send_signal(signal.SIGINT)
        assert studio.wait(60) == 0
    finally:
        studio.kill()
        studio.wait()
