"""A workbench over a real data folder with a small fake engine, and phantom studies as DICOM files."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pilot import FakeEngine, Pilot

from app.services import ModelHost, Workbench

if TYPE_CHECKING:
    from playwright.sync_api import Browser

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models" / "golden"))
DEMO = Path(__file__).resolve().parent.parent.parent / "models" / "demo-tac"


@pytest.fixture(scope="session", autouse=True)
def warm() -> None:
    """The engine's libraries are imported once, before anything is timed."""
    import engine.drafting  # noqa: F401


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two phantom patients with a prior each, as small DICOM files: ``one`` and ``two``, each with two studies."""
    from engine.datasets import phantoms as made

    folder = tmp_path_factory.mktemp("phantoms")
    (folder / "all" / "truth").mkdir(parents=True)
    seeds = iter(range(1000))
    for name in ("one", "two"):
        case = next(case for seed in seeds if (case := made.sample_case(seed, split="test")).prior is not None)
        made.write_case(folder / "all", case, size=160)
        (folder / "all" / "studies" / case.person.id).rename(folder / name)
    return folder


@pytest.fixture
def pair(phantoms: Path) -> Path:
    """The folder of the first patient: a current and a prior study."""
    return phantoms / "one"


@pytest.fixture
def other(phantoms: Path) -> Path:
    """The folder of another patient."""
    return phantoms / "two"


@pytest.fixture
def fake() -> FakeEngine:
    """The engine every model folder gives."""
    return FakeEngine()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder that counts as an installed model."""
    folder = tmp_path / "fake-tac"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "libra"}))
    return folder


@pytest.fixture
def bench(home: Path, model: Path, fake: FakeEngine) -> Iterator[Workbench]:
    """A workbench that drafts with the fake engine."""
    with Workbench.open(home, ModelHost(model, load=lambda chosen: fake)) as opened:
        yield opened


@pytest.fixture
def pilot(bench: Workbench, model: Path) -> Pilot:
    """One open page."""
    return Pilot(bench, str(model))


@pytest.fixture(scope="module")
def opened(chromium: str) -> Iterator[Browser]:
    """A browser for the tests that need one."""
    from viewer_process import browser

    with browser(chromium) as running:
        yield running


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The shipped demonstration model; while there is none, a tiny random one that calls itself a demonstration."""
    if (DEMO / "config.json").is_file():
        return ("--model", str(DEMO))
    from tiny_checkpoint import build

    folder = Path(build(tmp_path_factory.mktemp("tiny")))
    about = {"conversation": "libra_v1", "demonstration": True, "name": "tiny", "license": "", "card": ""}
    (folder / "interval.json").write_text(json.dumps(about))
    return ("--model", str(folder))


@pytest.fixture(scope="module")
def files(phantoms: Path) -> list[Path]:
    """The files of the first patient, two studies."""
    return sorted((phantoms / "one").rglob("*.dcm"))
