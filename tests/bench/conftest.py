"""One run of the command at the tiny size, which most tests look at."""

from __future__ import annotations

import os

import pytest
from bench_run import Ran, bench, dead_process, leave_behind


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Two kinds of drafts and many at once in float32, beside the remains of an earlier bench."""
    root = tmp_path_factory.mktemp("bench")
    home = root / "home"
    leave_behind(home, "bench-of-a-dead-process", dead_process())
    leave_behind(home, "bench-of-a-live-process", os.getpid())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERVAL_HOME", str(home))
        options = ("--size", "tiny", "--cases", "beams-4", "second", "batch-16", "--precisions", "float32")
        return bench(home, root / "out", *options, "--repeats", "2")
