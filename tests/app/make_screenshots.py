"""Makes the README's pictures of the viewer, from phantoms and the demonstration model, by hand:

    python tests/app/make_screenshots.py OUTDIR

A viewer of its own runs on a data folder that is deleted afterwards. Nothing in the pictures was ever a patient.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(PROJECT), str(Path(__file__).resolve().parent)]

from playwright.sync_api import Browser  # noqa: E402 - found through the paths above
from viewer_process import Screen, browser, settle, viewer  # noqa: E402

from engine import browsers  # noqa: E402
from engine.datasets import phantoms  # noqa: E402
from engine.datasets.phantoms import Case  # noqa: E402

SIZES = {"": (1920, 1080), "-small": (1280, 800)}
SEED = 20
SHOWN = {"pleural effusion", "consolidation", "cardiomegaly", "pulmonary edema"}
REST = 0.8


def pictured() -> Case:
    """The first phantom of the test split with a prior and an effusion that changed, plain enough to be seen."""
    for seed in range(SEED, SEED + 2000):
        case = phantoms.sample_case(seed, split="test")
        changed = {truth.finding for truth in case.truth if truth.change in ("new", "worse", "improved")}
        plain = {truth.finding for truth in case.truth if truth.band == "plain"}
        if case.prior is not None and "pleural effusion" in changed & plain and len(changed & SHOWN) > 1:
            return case
    raise SystemExit("No phantom of that kind was found; choose another SEED.")


def journey(opened: Browser, url: str, files: list[Path], folder: Path, suffix: str, size: tuple[int, int]) -> None:
    """One reading, photographed at each step."""
    screen = Screen.open(opened, url, *size)
    page = screen.page

    def photograph(name: str) -> None:
        settle(REST)
        page.screenshot(path=folder / f"viewer-{name}{suffix}.png")

    photograph("empty")
    screen.drop(*files)
    screen.loaded()
    page.fill("#ivp-context textarea >> nth=0", "Increasing shortness of breath.")
    photograph("pair")
    screen.draft()
    photograph("draft")
    page.click("#ivp-settings > button")
    screen.wait_until("() => document.querySelector('#ivp-plan')?.innerText.includes('free')")
    photograph("settings")
    page.click("#ivp-settings > button")
    screen.act(0, "accept")
    screen.act(1, "edit")
    words = page.locator(".iv-sentence textarea").input_value()
    screen.type_sentence(f"{words.rstrip('.')} on this film.")
    screen.act(2, "reject")
    photograph("review")
    page.click(".ivp-side[data-side=ask]")
    page.get_by_role("button", name="What changed since the prior?").click()
    page.wait_for_selector(".ivp-turn[data-state=whole]")
    photograph("ask")
    page.click(".ivp-side[data-side=report]")
    for number, row in enumerate(screen.sentences()):
        if row["status"] == "unreviewed":
            screen.act(number, "accept")
    page.wait_for_selector(".iv-counts:has-text('All reviewed')")
    screen.sign("Dr. A. Reader")
    page.wait_for_selector(".ivp-line--signed")
    page.click("#ivp-export-button")
    page.wait_for_selector(".ivp-download")
    photograph("signed")
    page.locator("[data-action=mode-swipe]").click()
    photograph("swipe")
    screen.history()
    photograph("history")
    page.close()
    if screen.errors:
        raise SystemExit("\n".join(screen.errors))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="OUTDIR")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    executable = browsers.find()
    if executable is None:
        raise SystemExit("No Chromium, Chrome or Edge was found.")
    with tempfile.TemporaryDirectory() as scratch, browser(str(executable)) as opened:
        (Path(scratch) / "truth").mkdir()
        case = phantoms.write_case(Path(scratch), pictured())
        files = [path for path in (case.current, case.prior) if path is not None]
        for suffix, size in SIZES.items():
            with viewer(Path(scratch) / f"home{suffix}") as url:
                journey(opened, url, files, folder, suffix, size)
    print(f"{len(list(folder.glob('viewer-*.png')))} pictures are in {folder}.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
