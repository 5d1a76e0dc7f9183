"""What every test may use: the shared folder, a data folder of its own, chromium, and the rule on skips in CI."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import browsers

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch and numpy are imported: tests share few cores
for _name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "DO_NOT_TRACK"):
    os.environ[_name] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell has its background jobs ignore Ctrl-C, and what is tested here would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

PROJECT = Path(__file__).resolve().parent.parent
MISSING_TOOL = "missing tool"


def missing_tool(name: str) -> None:
    """Skip this test because the program ``name`` is not installed; in CI this is a failure."""
    pytest.skip(f"{MISSING_TOOL}: {name} is not installed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if os.environ.get("CI") and report.skipped and MISSING_TOOL in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: in CI every tool must be there. {report.longrepr}"
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what drives a browser, and put it last."""
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of this test alone (``INTERVAL_HOME``); not created yet."""
    folder = tmp_path / "home"
    monkeypatch.setenv("INTERVAL_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference files that lies beside the project; tests that need it are skipped without it."""
    folder = PROJECT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the folder of reference files is not beside the project")
    return folder


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's folder."""
    return PROJECT


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium, Chrome or Edge to drive; skipped without one, a failure in CI."""
    found = browsers.find()
    if found is None:
        missing_tool("chromium")
    return str(found)
