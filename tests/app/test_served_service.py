"""Served models in the viewer: added, allowed, tried, chosen; where they go is said, and a report names the server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pilot import FakeEngine, Pilot

from app.pages import settings
from app.services import ModelHost, Workbench, document
from app.services.chosen import Chosen
from app.services.described import described
from app.services.servers import FILE, Server, Servers, written
from engine.errors import ModelError, UsageError
from engine.remote import chat

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "served"))

import chat_server

TEXT = "The heart is normal. No effusion."
AWAY = Server("https://gpu.example:8000/v1", "big-vl")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[chat_server.Server]:
    monkeypatch.setattr(chat, "WAITS_S", (0.0, 0.0))
    with chat_server.running() as found:
        yield found


@pytest.fixture
def real(home: Path) -> Iterator[Workbench]:
    """A workbench whose engines are real, in processes of their own."""
    with Workbench.open(home, ModelHost()) as opened:
        yield opened


def saved(server: chat_server.Server, servers: Servers) -> Server:
    found = servers.named(f" {server.url}/ ", "", "", None, False)
    servers.add(found)
    return found


# -- what is kept of servers ------------------------------------------------------------------------------------------


def test_what_is_added_is_found_changed_and_removed(home: Path, server: chat_server.Server) -> None:
    servers = Servers()
    assert servers.all() == () and servers.choices() == ()
    found = saved(server, servers)
    assert (found.path, found.allowed) == (f"{server.url}#tiny-vl", True) and "(this machine)" in found.words
    assert server.bodies == [], "its models were asked for, and nothing else"
    servers.add(AWAY)
    assert [choice.path for choice in servers.choices()] == [found.path]
    assert "(not allowed)" in AWAY.words and servers.find(AWAY.path) == AWAY
    allowed = Server(AWAY.url, AWAY.model, "vicuna_v1", 1000, True)
    servers.add(allowed)
    assert Servers().all() == (found, allowed)
    assert [choice.label for choice in servers.choices()][1] == "big-vl, served at gpu.example:8000"
    assert servers.options(allowed.path) == {
        "allow_remote": True, "conversation": "vicuna_v1", "image_max_pixels": 1000,
    }  # fmt: skip
    servers.remove(found.path)
    servers.remove("nobody")
    assert servers.all() == (allowed,)


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"servers": 3}', '{"servers": [3, {}, {"url": 1, "model": "x"}, {"url": "ftp://x", "model": "y"}]}'],
)
def test_a_damaged_file_holds_no_servers(home: Path, content: str) -> None:
    home.mkdir()
    (home / FILE).write_text(content)
    assert Servers().all() == ()


def test_a_file_that_allows_what_it_must_not_name(home: Path) -> None:
    """What a file says is held to what the fields could have said."""
    home.mkdir()
    entry = {"url": "http://10.0.0.1:8000/v1", "model": "m", "conversation": "libra_v1", "most": True, "remote": "yes"}
    (home / FILE).write_text(json.dumps({"servers": [entry]}))
    assert Servers().all() == (Server("http://10.0.0.1:8000/v1", "m"),)


def test_trying_sends_two_test_pictures(home: Path, server: chat_server.Server) -> None:
    found, words = Servers().tried(server.url, "", "", None, False)
    assert found.model == "tiny-vl" and "two test pictures" in words and "on this machine" in words
    (body,) = server.bodies
    assert len(chat_server.pictures(body)) == 2 and body["max_tokens"] == 8
    server.answers = lambda body, number: (400, {"error": "At most 1 image(s) may be provided in one prompt."})
    with pytest.raises(ModelError, match="fewer pictures"):
        Servers().tried(server.url, "tiny-vl", "", None, False)


def test_nothing_is_sent_to_one_that_is_not_allowed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: pytest.fail("looked up"))
    servers = Servers()
    for name in ("", "big-vl"):
        with pytest.raises(UsageError, match="Tick the box"):
            servers.tried(AWAY.url, name, "", None, False)
    with pytest.raises(UsageError, match="Tick the box"):
        servers.named(AWAY.url, "", "", None, False)
    servers.add(servers.named(AWAY.url, "big-vl", "", None, False))
    with pytest.raises(UsageError, match="may not be asked"):
        servers.options(AWAY.path)
    with pytest.raises(UsageError, match="may not be asked"):
        servers.options("http://127.0.0.1:9/v1#never-added")


# -- as models of the viewer ------------------------------------------------------------------------------------------


def test_it_drafts_and_the_report_says_who_did(real: Workbench, server: chat_server.Server, pair: Path) -> None:
    found = saved(server, real.models.servers)
    assert found.path in {choice.path for choice in real.models.choices()}
    pilot = Pilot(real, found.path)
    pilot.drop(pair)
    pilot.draft()
    assert " ".join(sentence["text"] for sentence in pilot.sentences()) == TEXT
    assert len(chat_server.pictures(server.bodies[0])) == 2 and b"Phantom" not in server.raw[0]
    report = pilot.session.report
    assert report is not None
    made = document.build(report).provenance
    assert made is not None
    rows = dict(made.rows())
    assert rows["Model"] == f"tiny-vl, served by {server.url}, weights not known to this program"
    assert "dtype" not in rows["Settings"] and "served" not in rows["Settings"]


def test_what_is_said_of_it(real: Workbench, server: chat_server.Server) -> None:
    found = saved(server, real.models.servers)
    chosen = Chosen(found.path)
    view = described(found.path)
    assert view is not None and view.mark == "served"
    assert f"Served by {server.url}, weights not known to this program." in view.certificate
    assert "on this machine" in view.certificate and "No evaluation" in view.evaluation
    (line,) = real.plan(chosen, 1)
    assert line is not None and line.kind == "info" and "runs in its server" in line.text
    assert written(found.path) == ("en", "zh", "en+zh")
    real.models.servers.add(Server(AWAY.url, "llava", remote=True))
    assert written(f"{AWAY.url}#llava") == ("en",)
    (line,) = real.plan(Chosen(f"{AWAY.url}#llava"), 1)
    assert line is not None and line.kind == "warning" and "LEAVE THIS MACHINE" in line.text
    assert real.models.status(chosen).name == "tiny-vl"


@pytest.mark.parametrize("path", ["http://", "https://nobody/v1#x", "http://u:p@127.0.0.1#m", "http://127.0.0.1:1/v1"])
def test_a_page_may_send_any_address(real: Workbench, path: str) -> None:
    assert described(path) is None and list(real.plan(Chosen(path), 1)) == [None]
    assert real.models.offered(Chosen(path)).path != path
    assert settings.writes(path)["choices"]
    with pytest.raises(UsageError, match="no longer"):
        real.models.require(Chosen(path))


def test_one_that_is_gone_or_forbidden_gives_way(home: Path, model: Path, fake: FakeEngine) -> None:
    asked = []

    def load(chosen: Chosen) -> FakeEngine:
        asked.append(chosen)
        return fake

    with Workbench.open(home, ModelHost(model, load=load)) as bench:
        bench.models.servers.add(Server(AWAY.url, AWAY.model, remote=True))
        assert bench.models.offered(Chosen(AWAY.path)).path == AWAY.path
        bench.models.servers.add(AWAY)
        offered = bench.models.offered(Chosen(AWAY.path))
        assert offered.path == str(model) and "The model big-vl is no longer in the viewer" in offered.gone
        with pytest.raises(UsageError, match="no longer"):
            bench.models.require(Chosen(AWAY.path))
        with pytest.raises(UsageError, match="may not be asked"):
            bench.models._load(Chosen(AWAY.path))
    assert asked == []
