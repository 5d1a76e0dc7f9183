"""A judge behind an address: what is sent, where it may go, and what is made of every way a server can fail."""

from __future__ import annotations

import json
from collections.abc import Iterator

import judge_server
import pytest
from judge_server import Server, verdict

from engine.errors import ModelError, UsageError
from engine.evaluation.judge import endpoint
from engine.evaluation.judge.asking import Declined
from engine.evaluation.judge.endpoint import KEY, Endpoint, address, allowed, is_address
from engine.evaluation.judge.verdict import SCHEMA, Verdict, ask, read

MESSAGES = ask("Is there an effusion?", "yes", "Yes, on the left.")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server; nobody waits between tries."""
    monkeypatch.setattr(endpoint, "WAITS_S", (0.0, 0.0))
    monkeypatch.delenv(KEY, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")  # nobody listens there
    monkeypatch.delenv("no_proxy", raising=False)
    with judge_server.running() as found:
        yield found


def test_it_is_asked_coldly_by_the_schema_and_past_any_proxy(server: Server) -> None:
    judge = Endpoint(server.url)
    found = read(judge.reply(MESSAGES))
    assert isinstance(found, Verdict) and found.ruling == "correct"
    (body,) = server.bodies
    assert body["temperature"] == 0 and body["stream"] is False and body["model"] == "judge-1"
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert body["messages"] == MESSAGES
    assert server.paths == ["/v1/models", "/v1/chat/completions"]
    assert judge.id == f"judge-1 at {server.url[7:-3]}"
    assert "Authorization" not in server.headers[0]
    assert "on this machine" in judge.warning and "LEAVE" not in judge.warning


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_server_that_knows_no_schema_is_asked_plainly_from_then_on(server: Server, status: int) -> None:
    server.answers = lambda body, _: (status, {"error": "response_format"}) if "response_format" in body else None
    judge = Endpoint(server.url + "/chat/completions/", "other")
    for _ in range(2):
        assert isinstance(read(judge.reply(MESSAGES)), Verdict)
    assert ["response_format" in body for body in server.bodies] == [True, False, False]
    assert server.bodies[0]["model"] == "other"


def test_a_busy_server_is_waited_for_and_a_dead_one_is_not_for_ever(server: Server) -> None:
    server.answers = lambda _, number: (503, {}) if number < 3 else None
    judge = Endpoint(server.url)
    assert isinstance(read(judge.reply(MESSAGES)), Verdict)
    assert len(server.bodies) == 3
    server.answers = lambda *_: (429, {})
    with pytest.raises(ModelError, match="busy"):
        judge.reply(MESSAGES)
    assert len(server.bodies) == 6


def test_a_text_that_the_server_refuses_is_declined(server: Server) -> None:
    for status in (400, 413, 500):
        server.answers = lambda *_, status=status: (status, {"error": "too long"})
        with pytest.raises(Declined, match=str(status)):
            Endpoint(server.url).reply(MESSAGES)


@pytest.mark.parametrize(("status", "words"), [(401, KEY), (403, KEY), (404, "no such model"), (302, "elsewhere")])
def test_what_is_wrong_for_every_text_ends_it(server: Server, status: int, words: str) -> None:
    server.answers = lambda *_: (status, {})
    with pytest.raises(ModelError, match=words):
        Endpoint(server.url).reply(MESSAGES)


@pytest.mark.parametrize("content", [b"<html>", b"", {"choices": []}, {"choices": [{"message": None}]}, [1], b"\xff"])
def test_what_does_not_speak_the_language_ends_it(server: Server, content: object) -> None:
    server.answers = lambda *_: (200, content)
    with pytest.raises(ModelError, match="does not speak"):
        Endpoint(server.url).reply(MESSAGES)


def test_a_reply_may_be_absent_or_in_parts(server: Server) -> None:
    def said(content: object) -> str:
        server.answers = lambda *_: (200, {"choices": [{"message": {"content": content}}]})
        return Endpoint(server.url).reply(MESSAGES)

    assert said(None) == "" and said(7) == ""
    assert said([{"type": "text", "text": "a"}, {"text": None}, "x", {"type": "text", "text": "b"}]) == "ab"


def test_a_key_is_sent_and_never_told(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(KEY, " secret\n")
    judge = Endpoint(server.url)
    judge.reply(MESSAGES)
    assert [headers["Authorization"] for headers in server.headers] == ["Bearer secret"] * 2
    server.answers = lambda *_: (401, {"error": "secret"})
    with pytest.raises(ModelError) as caught:
        judge.reply(MESSAGES)
    assert "secret" not in f"{caught.value} {judge.id} {judge.warning}"


def test_its_model_is_found_or_asked_for(server: Server) -> None:
    server.models = ["a", "b"]
    with pytest.raises(UsageError, match=r"--judge-model: a, b\."):
        Endpoint(server.url)
    server.models = []
    with pytest.raises(ModelError, match="--judge-model"):
        Endpoint(server.url)


def test_nobody_there(server: Server) -> None:
    url = server.url
    judge = Endpoint(url, "m")
    assert json.loads(judge.reply(MESSAGES)) == json.loads(verdict("correct"))
    with judge_server.running() as other:
        gone = other.url
    with pytest.raises(ModelError, match="does not answer"):
        Endpoint(gone)
    with pytest.raises(ModelError, match="does not answer"):
        Endpoint(gone, "m").reply(MESSAGES)


LOCAL = ("http://127.0.0.1:8000/v1", "http://localhost:1", "https://LOCALHOST", "http://[::1]:8000", "http://127.9.9.9",
         "http://[::ffff:127.0.0.1]:80", "http://localhost.:8000")  # fmt: skip
AWAY = ("http://10.0.0.1:8000/v1", "https://api.example.org/v1", "http://localhost.example.org", "http://127.0.0.1.nip.io",
        "http://0.0.0.0:8000", "http://[::]:80", "http://[::ffff:8.8.8.8]", "http://2130706433")  # fmt: skip


@pytest.mark.parametrize("url", LOCAL)
def test_this_machine_needs_no_consent(url: str) -> None:
    assert is_address(url) and allowed(url, anywhere=False).local


@pytest.mark.parametrize("url", AWAY)
def test_any_other_does_and_nothing_is_looked_up_before(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: pytest.fail("looked up"))
    monkeypatch.setattr("socket.create_connection", lambda *_, **__: pytest.fail("connected"))
    with pytest.raises(UsageError, match=r"sent there.*--judge-anywhere"):
        Endpoint(url, "m")
    judge = Endpoint(url, "m", anywhere=True)
    assert "LEAVE THIS MACHINE" in judge.warning
    assert ("not encrypted" in judge.warning) is url.startswith("http:")


@pytest.mark.parametrize(
    "url",
    ["http://", "http://:80", "ftp://127.0.0.1", "http://127.0.0.1:99999", "http://u:p@127.0.0.1", "http://127.0.0.1/?k=1",
     "http://127.0.0.1/#x", "http://[::1", f"http://{'a' * 70}.org"],
)  # fmt: skip
def test_what_is_no_address_or_would_tell_secrets(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        address(url)
    assert "u:p" not in str(caught.value)


def test_the_path_is_completed() -> None:
    for given, path in (("", "/v1"), ("/", "/v1"), ("/v1/", "/v1"), ("/a/b", "/a/b"), ("/v1/chat/completions", "/v1")):
        assert address(f"http://127.0.0.1:8000{given}").path == path
    assert not is_address("models/judge") and is_address("HTTPS://x")
