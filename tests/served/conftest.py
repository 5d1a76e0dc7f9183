"""A small server, two pictures, and no proxy that works."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import chat_server
import numpy as np
import pytest
from chat_server import Server
from PIL import Image

from engine.drafting import Comparison
from engine.drafting.served import KEY
from engine.remote import chat

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models" / "golden"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models"))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server; nobody waits between tries, and the environment's proxies lead nowhere."""
    monkeypatch.setattr(chat, "WAITS_S", (0.0, 0.0))
    monkeypatch.delenv(KEY, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    with chat_server.running() as found:
        yield found


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two PNG files: current and prior, the one larger than what Qwen2-VL is given, the other narrow."""
    folder = tmp_path_factory.mktemp("films")
    stream = np.random.RandomState(5)
    files = folder / "current-Phantom^Test.png", folder / "prior-Phantom^Test.png"
    for file, size in zip(files, ((900, 1100), (20, 90)), strict=True):
        coarse = Image.fromarray(stream.randint(0, 256, (9, 7)).astype(np.uint8))
        coarse.resize(size, Image.Resampling.BICUBIC).save(file)
    return files


@pytest.fixture(scope="session")
def pair(films: tuple[Path, Path]) -> Comparison:
    return Comparison.open(*films)
