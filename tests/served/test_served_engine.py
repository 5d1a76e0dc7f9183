"""A served model behind the engine's door: what is sent, what comes back, and every way in which it does not."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import chat_server
import numpy as np
import pytest
from chat_server import WORDS, Server, parts, pictures, png

from engine import logs
from engine.drafting import Asking, Comparison, Decoding, Draft, Progress, Token, Turn
from engine.drafting.engine import FINDINGS
from engine.drafting.loading import load
from engine.drafting.question import SECTIONS
from engine.drafting.served import KEY, VLLM, ServedEngine
from engine.errors import InputError, IntervalError, ModelError, ResourceError, TooLong, UsageError
from engine.imaging.display import to_pil
from engine.models.preprocessing import Bounds
from engine.models.qwen2vl import resized
from engine.remote import transport

TEXT = "The heart is normal. No effusion."


def open_(server: Server, **options: object) -> ServedEngine:
    engine = load(server.url, **options)
    assert isinstance(engine, ServedEngine)
    return engine


# -- what is sent -----------------------------------------------------------------------------------------------------


def test_the_question_and_the_pixels_are_sent_and_nothing_else(server: Server, pair: Comparison) -> None:
    engine = open_(server)
    draft = engine.draft(pair, Asking(context="History: cough."))
    assert (draft.text, draft.finished, draft.has_prior) == (TEXT, "stop", True)
    (body,) = server.bodies
    assert {key: body[key] for key in body if key != "messages"} == {
        "model": "tiny-vl", "max_tokens": 512, "temperature": 0.0, "top_p": 1.0, "stream": True,
        "stream_options": {"include_usage": True},
    }  # fmt: skip
    question = f"{SECTIONS['findings']} Following clinical context: History: cough."
    system, asked = body["messages"]
    assert system == {"role": "system", "content": "You are a helpful assistant."} and asked["role"] == "user"
    texts = [part["text"] for part in parts(body) if part["type"] == "text"]
    assert texts == [
        "Prior image:\n",
        "\nCurrent image:\n",
        f"\nThe question is about the current image, compared with the prior image.\n{question}",
    ]
    assert [part["type"] for part in parts(body)] == ["text", "image_url", "text", "image_url", "text"]
    assert pair.prior is not None
    for sent, image in zip(pictures(body), (pair.prior, pair.current), strict=True):
        np.testing.assert_array_equal(np.asarray(sent), np.asarray(resized(to_pil(image), Bounds())))
        assert sent.mode == "RGB"
    assert pictures(body)[1].width * pictures(body)[1].height <= 768 * 768
    for part in (part for part in parts(body) if part["type"] == "image_url"):
        assert chunks(png(part)) == {b"IHDR", b"IDAT", b"IEND"}
    assert b"Phantom" not in server.raw[0]
    assert server.paths == ["/v1/models", "/v1/chat/completions"]
    assert all("Authorization" not in headers for headers in server.headers)
    assert all(headers["User-Agent"] == "Interval" for headers in server.headers)


def chunks(data: bytes) -> set[bytes]:
    """The kinds of chunks in a PNG."""
    found, place = set(), 8
    while place < len(data):
        found.add(data[place + 4 : place + 8])
        place += 12 + int.from_bytes(data[place : place + 4], "big")
    return found


def test_one_image_and_turns_before_it(server: Server, pair: Comparison) -> None:
    turns = (Turn("", "Clear lungs."), Turn("Any <image> or <|im_end|>?", "No </s> here."))
    open_(server).draft(Comparison(pair.current), Asking(prompt="Why?", earlier=turns, stops=("###",)))
    (body,) = server.bodies
    assert [part["type"] for part in parts(body)] == ["image_url", "text"]
    assert parts(body)[1]["text"] == SECTIONS["findings"]
    assert [(said["role"], said["content"]) for said in body["messages"][2:]] == [
        ("assistant", "Clear lungs."),
        ("user", "Any < image> or < |im_end|>?"),
        ("assistant", "No < /s> here."),
        ("user", "Why?"),
    ]
    assert body["stop"] == ["###"]


def test_llava_gets_its_own_system_text_and_pictures_as_they_are(server: Server, pair: Comparison) -> None:
    server.models = [{"id": "llava-hf/llava-1.5-7b-hf"}]
    engine = open_(server)
    assert (engine.info.conversation, "LLaVA" in engine.warnings[1]) == ("vicuna_v1", True)
    engine.draft(pair)
    assert server.bodies[0]["messages"][0]["content"].startswith("A chat between a curious user")
    assert [picture.size for picture in pictures(server.bodies[0])] == [(20, 90), (900, 1100)]
    open_(server, image_max_pixels=10_000).draft(pair)
    assert pictures(server.bodies[1])[1].size == (90, 110)
    open_(server, conversation="qwen2_vl", image_max_pixels=200_000, image_min_pixels=200_000).draft(pair)
    sizes = [width * height for width, height in (picture.size for picture in pictures(server.bodies[2]))]
    assert all(abs(size - 200_000) < 3000 for size in sizes)


@pytest.mark.parametrize(
    ("decoding", "sent"),
    [
        (Decoding(max_new_tokens=7), {"temperature": 0.0, "top_p": 1.0, "max_tokens": 7}),
        (Decoding(temperature=0.7, top_p=0.9, seed=3), {"temperature": 0.7, "top_p": 0.9, "seed": 3}),
        (Decoding(temperature=1.0, seed=1, num_return_sequences=3), {"n": 3, "seed": 1}),
        (Decoding(temperature=0.0, top_p=0.5), {"temperature": 0.0, "top_p": 1.0}),
    ],
)
def test_settings_are_the_protocol_s(
    server: Server, pair: Comparison, decoding: Decoding, sent: dict[str, object]
) -> None:
    draft = open_(server).draft(pair, decoding=decoding)
    assert {key: server.bodies[0][key] for key in sent} == sent
    assert [one.text for one in draft.sequences] == [TEXT] * decoding.num_return_sequences
    assert draft.decoding.max_new_tokens == decoding.max_new_tokens
    if decoding.temperature:
        assert server.bodies[0]["seed"] == draft.decoding.seed is not None


def test_a_seed_that_was_not_given_is_drawn_and_told(server: Server, pair: Comparison) -> None:
    draft = open_(server).draft(pair, decoding=Decoding(temperature=0.5))
    assert draft.decoding.seed == server.bodies[0]["seed"] and isinstance(draft.decoding.seed, int)


def test_vllm_is_kept_from_settings_of_its_own(server: Server, pair: Comparison) -> None:
    server.models = [{"id": "tiny-vl", "owned_by": "vllm", "max_model_len": 300}]
    draft = open_(server).draft(pair)
    assert {key: server.bodies[0][key] for key in VLLM} == VLLM
    assert draft.decoding.max_new_tokens == 300


@pytest.mark.parametrize(
    ("decoding", "words"),
    [
        (Decoding(num_beams=4), "beams"),
        (Decoding(no_repeat_ngram=3), "no-repeat"),
        (Decoding(num_beams=2, no_repeat_ngram=0), "beams"),
    ],
)
def test_what_the_protocol_cannot_say_is_refused(
    server: Server, pair: Comparison, decoding: Decoding, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        open_(server).draft(pair, decoding=decoding)
    assert server.bodies == []


def test_a_model_of_radiographs_gets_no_ct(server: Server, pair: Comparison) -> None:
    with pytest.raises(InputError, match="modality CT"):
        open_(server).draft(Comparison(replace(pair.current, modality="CT")))
    assert server.bodies == []


# -- what comes back --------------------------------------------------------------------------------------------------


def test_words_come_as_they_are_written(server: Server, pair: Comparison) -> None:
    server.wait_at = 2
    events = open_(server).stream(pair)
    assert isinstance(next(events), Progress) and isinstance(next(events), Progress)
    assert next(events) == Progress("writing", None, "Writing")
    assert next(events) == Token(-1, "The", "The")
    assert next(events) == Token(-1, "The heart is", " heart is")
    assert server.waiting.wait(20)
    server.go.set()
    *tokens, draft = events
    assert isinstance(draft, Draft) and [token.text_so_far for token in tokens if isinstance(token, Token)][-1] == TEXT
    assert (draft.text, draft.token_ids, draft.prompt_token_ids) == (TEXT, (), ())
    assert draft.timings.tokens == 2 * len(WORDS)
    timings = draft.timings
    assert timings.encode_s + timings.prefill_s + timings.decode_s == pytest.approx(timings.total_s)
    assert "<|vision_start|>" in draft.prompt and draft.prompt == open_(server).asked(pair)[0]


def test_what_is_known_of_the_model(server: Server) -> None:
    info = open_(server).info
    assert (info.name, info.family, info.sha256, info.served) == ("tiny-vl", "served", "", server.url)
    assert info.path == f"{server.url}#tiny-vl"
    assert "on this machine" in open_(server).warnings[0]


def test_a_draft_that_is_cut_off_or_empty_says_so(server: Server, pair: Comparison) -> None:
    server.reason = "length"
    draft = open_(server).draft(pair, Asking(stops=("No",)))
    assert (draft.text, draft.finished) == ("The heart is normal.", "length")
    assert [check.code for check in draft.checks] == ["truncated"]
    server.reason, server.says, server.usage = "stop", (lambda body: ()), False
    draft = open_(server).draft(pair)
    assert (draft.text, [check.code for check in draft.checks]) == ("", ["empty"])


@pytest.mark.parametrize("begun", [True, False])
def test_stopping_closes_the_connection(server: Server, pair: Comparison, begun: bool) -> None:
    server.wait_at = 2 if begun else 0
    server.says = lambda body: WORDS * 100
    stopped = threading.Event()
    events = open_(server).stream(pair, cancelled=stopped.is_set)
    if begun:
        assert list(islice(events, 5))[-1] == Token(-1, "The heart is", " heart is")
    else:
        threading.Thread(target=lambda: (server.waiting.wait(20), stopped.set())).start()
    stopped.set() if begun else None
    *_, draft = events
    assert isinstance(draft, Draft) and draft.finished == "cancelled"
    assert draft.text == ("The heart is" if begun else "")
    server.go.set()
    assert server.left.wait(20), "the server writes to somebody who is gone"


def test_ceasing_to_iterate_closes_it_too(server: Server, pair: Comparison) -> None:
    server.wait_at = 1
    server.says = lambda body: WORDS * 100
    events = open_(server).stream(pair)
    assert any(isinstance(event, Token) for event in events)
    events.close()  # type: ignore[attr-defined]
    server.go.set()
    assert server.left.wait(20)


# -- many -------------------------------------------------------------------------------------------------------------


def test_many_are_those_one_by_one(server: Server, pair: Comparison) -> None:
    def says(body: dict[str, Any]) -> tuple[str, str]:
        time.sleep(0.02)  # long enough for others to come
        return "About: ", parts(body)[-1]["text"][-20:]

    server.says = says
    engine = open_(server)
    items = [(pair, Asking(prompt=f"What is number {number}?")) for number in range(12)]
    alone = [engine.draft(*item) for item in items]
    for size in (3, "auto"):
        server.most_together = 0
        found = dict(engine.draft_many(items, batch_size=size))
        assert [found[place].text for place in range(12)] == [draft.text for draft in alone]
        assert 1 < server.most_together <= (3 if size == 3 else 8)
        drafts = [draft for draft in found.values() if isinstance(draft, Draft)]
        assert max(draft.timings.together for draft in drafts) <= (3 if size == 3 else 8)
    one = [place for place, _ in engine.draft_many(items[:4], batch_size=1)]
    assert sorted(one) == [0, 1, 2, 3]
    for wrong in (0, 65):
        with pytest.raises(UsageError, match="batch size"):
            list(engine.draft_many(items, batch_size=wrong))


def test_the_seconds_of_many_add_up(server: Server, pair: Comparison) -> None:
    engine = open_(server)
    began = time.perf_counter()
    drafts = [draft for _, draft in engine.draft_many([(pair, FINDINGS)] * 6) if isinstance(draft, Draft)]
    passed = time.perf_counter() - began
    assert len(drafts) == 6 and 0 < sum(draft.timings.total_s for draft in drafts) <= passed


def test_one_that_fails_holds_up_no_other(server: Server, pair: Comparison) -> None:
    engine = open_(server)
    ct = Comparison(replace(pair.current, modality="CT"))
    found = dict(engine.draft_many([(pair, FINDINGS), (ct, FINDINGS), (pair, FINDINGS)]))
    assert isinstance(found[1], InputError) and isinstance(found[0], Draft) and isinstance(found[2], Draft)
    server.answers = lambda body, number: (
        None if body is None or "second question" not in json.dumps(body) else (500, {})
    )
    found = dict(engine.draft_many([(pair, FINDINGS), (pair, Asking(prompt="The second question"))]))
    assert isinstance(found[0], Draft) and isinstance(found[1], ModelError)


def test_ceasing_to_take_them_ends_them(server: Server, pair: Comparison) -> None:
    server.wait_at = 1
    server.says = lambda body: ("At once.",) if "quick" in parts(body)[-1]["text"] else WORDS * 100
    results = open_(server).draft_many([(pair, FINDINGS), (pair, Asking(prompt="quick"))])
    place, _ = next(results)
    assert place == 1 and server.waiting.wait(20)
    results.close()  # type: ignore[attr-defined]
    server.go.set()
    assert server.left.wait(20)


# -- what goes wrong --------------------------------------------------------------------------------------------------

CONTEXT = {"error": {"message": "This model's maximum context length is 4096 tokens. PHI of Phantom^Test", "code": 400}}
FEW = {"error": {"message": "At most 1 image(s) may be provided in one prompt.", "code": 400}}
BLIND = {"object": "error", "message": "tiny is not a multimodal model", "code": 400}
REFUSALS = [
    (302, {}, ModelError, "elsewhere"),
    (401, {"error": "no"}, ModelError, KEY),
    (403, {}, ModelError, KEY),
    (404, {"error": {"message": "The model `x` does not exist."}}, ModelError, "no model 'tiny-vl'"),
    (400, CONTEXT, TooLong, "do not fit into the context"),
    (400, {"error": {"type": "exceed_context_size_error"}}, TooLong, "do not fit"),
    (400, FEW, ModelError, "limit-mm-per-prompt"),
    (400, BLIND, ModelError, "does not take pictures"),
    (413, {}, ModelError, "large"),
    (422, {"detail": "Phantom^Test"}, ModelError, "refused the question"),
    (429, {}, ResourceError, "busy"),
    (503, {}, ResourceError, "busy"),
    (500, b"<html>", ModelError, "failed"),
    (200, {"choices": [{"message": {"content": "whole"}}]}, ModelError, "does not speak"),
    (200, b"data: {\n\n", ModelError, "does not speak"),
    (200, b"data: [1]\n\n", ModelError, "does not speak"),
    (200, b'data: {"choices": [3]}\n\n', ModelError, "does not speak"),
    (200, b'data: {"choices": [{"index": 9, "delta": {}}]}\n\n', ModelError, "does not speak"),
    (200, b'data: {"choices": 4}\n\n', ModelError, "does not speak"),
    (200, b'data: {"choices": [{"index": 0, "delta": {"content": "x"}}]}\n\n', ModelError, "broke off"),
    (200, b'data: {"error": {"message": "maximum context length", "code": 400}}\n\n', TooLong, "do not fit"),
    (200, b'data: {"error": "died"}\n\n', ModelError, "failed"),
    (200, b'data: {"choices": [{"index": 0, "finish_reason": "content_filter"}]}\n\n', ModelError, "withheld"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "content", "kind", "words"), REFUSALS)
def test_every_refusal_is_a_sentence(
    server: Server, pair: Comparison, status: int, content: object, kind: type[IntervalError], words: str
) -> None:
    engine = open_(server)
    server.answers = lambda body, number: (status, content)
    with pytest.raises(kind, match=words) as caught:
        engine.draft(pair)
    said = str(caught.value)
    assert type(caught.value) is kind and said.endswith(".") and "Phantom" not in said
    found = dict(engine.draft_many([(pair, FINDINGS)]))[0]
    assert type(found) is kind and str(found) == said


def test_a_busy_server_is_asked_again(server: Server, pair: Comparison) -> None:
    server.answers = lambda body, number: (503, {}) if body is not None and number < 3 else None
    assert open_(server).draft(pair).text == TEXT
    assert len(server.bodies) == 3 and server.bodies[0] == server.bodies[2]


def test_an_answer_without_end_is_not_read_for_ever(
    server: Server, pair: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = b'data: {"choices": [{"index": 0, "delta": {"content": "' + b"x" * 60_000 + b'"}}]}\n\n'
    server.lines = [event] * 2000
    with pytest.raises(ModelError, match="more than any answer"):
        open_(server).draft(pair, decoding=Decoding(max_new_tokens=8))
    server.answers = lambda body, number: (200, b" " * 5_000_000)
    with pytest.raises(ModelError, match="more than any answer"):
        load(server.url)


def test_a_server_that_says_nothing_is_given_up(
    server: Server, pair: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_(server)
    monkeypatch.setattr(engine, "_transport", replace(engine._transport, timeout_s=0.2))
    server.wait_at = 0
    with pytest.raises(ResourceError, match="in time"):
        engine.draft(pair)


def test_nobody_there(server: Server, pair: Comparison) -> None:
    with chat_server.running() as other:
        engine = load(other.url)
    with pytest.raises(ModelError, match="No server answers"):
        engine.draft(pair)
    with pytest.raises(ModelError, match="No server answers"):
        load(other.url)


# -- which model, and where --------------------------------------------------------------------------------------------


def test_the_model_is_found_or_named(server: Server) -> None:
    server.models = [{"id": "a"}, {"id": "owner/b"}, {"id": "bad\nname"}, {}]
    with pytest.raises(UsageError, match=r"several models.*--served-as\); it has a, owner/b\."):
        load(server.url)
    assert load(f"{server.url}#owner/b").info.name == load(server.url, served_as="owner/b").info.name == "owner/b"
    with pytest.raises(ModelError, match=r"has no model 'c'; it has a, owner/b\."):
        load(server.url, served_as="c")
    with pytest.raises(UsageError, match="named twice"):
        load(f"{server.url}#a", served_as="b")
    server.models = []
    with pytest.raises(ModelError, match="--served-as"):
        load(server.url)
    server.answers = lambda body, number: (404, {})
    assert load(server.url, served_as="c").info.name == "c"
    with pytest.raises(ModelError, match="--served-as"):
        load(server.url)
    server.answers = lambda body, number: (200, {"models": []})
    with pytest.raises(ModelError, match="does not speak"):
        load(server.url, served_as="c")


@pytest.mark.parametrize("name", ["bad\nname", "x" * 300])
def test_a_name_that_is_none(server: Server, name: str) -> None:
    with pytest.raises(UsageError, match="no model's name"):
        load(f"{server.url}#{name}")


AWAY = ("http://10.0.0.1:8000/v1", "https://api.example.org/v1", "http://127.0.0.1.nip.io", "http://0.0.0.0:8000")


@pytest.mark.parametrize("url", AWAY)
def test_no_image_leaves_the_machine_unasked(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: pytest.fail("looked up"))
    with pytest.raises(UsageError, match=r"images and questions would be sent there.*--allow-remote"):
        load(url)


def test_with_consent_it_says_that_they_leave(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is not this machine's, which here leads to it all the same."""
    import socket

    known = socket.getaddrinfo
    monkeypatch.setattr(
        "socket.getaddrinfo",
        lambda host, *rest, **more: known("127.0.0.1" if str(host).startswith("elsewhere") else host, *rest, **more),
    )
    port = server.url.split(":")[2]
    engine = load(f"http://elsewhere.example:{port}", allow_remote=True)
    assert engine.warnings[0].startswith("Images and questions LEAVE THIS MACHINE: they are sent to elsewhere.example")
    assert "not encrypted" in engine.warnings[0]


def test_options_that_are_not_a_server_s(server: Server, tmp_path: Path) -> None:
    for name in ("base", "adapter", "tower"):
        with pytest.raises(UsageError, match=f"--{name} is for a model of this machine"):
            load(server.url, **{name: tmp_path})
    for name, value in (("served_as", "x"), ("image_max_pixels", 1000), ("image_min_pixels", 1000)):
        with pytest.raises(UsageError, match="behind an address"):
            load(tmp_path, **{name: value})
    for most, least, words in ((10**9, None, "from 1 to"), (5, 9, "more than the most")):
        with pytest.raises(UsageError, match=words):
            load(server.url, image_max_pixels=most, image_min_pixels=least)
    with pytest.raises(UsageError, match="qwen2_vl, vicuna_v1"):
        load(server.url, conversation="libra_v1")
    assert load(server.url, dtype="bfloat16", quantization="nf4", device="cpu", beams=4).info.dtype == ""


@pytest.mark.parametrize(
    "url", ["http://", "http://u:p@127.0.0.1/v1", "http://127.0.0.1:99999/v1", "http://127.0.0.1/?key=x"]
)
def test_an_address_that_is_none_or_tells_secrets(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(url)
    assert "u:p" not in str(caught.value)


def test_a_key_is_sent_and_never_told(
    server: Server, pair: Comparison, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, " secret-key\n")
    logs.start(logging.DEBUG)
    try:
        engine = open_(server)
        draft = engine.draft(pair, Asking(context="Phantom^Test"))
        server.answers = lambda body, number: (401, {"error": "secret-key"})
        with pytest.raises(ModelError) as caught:
            engine.draft(pair)
        logging.getLogger("engine").error("failed", exc_info=caught.value)
    finally:
        written = logs.log_file().read_text()
        for handler in logging.getLogger().handlers[:]:
            if isinstance(handler.formatter, logs.PrivateFormatter):
                logging.getLogger().removeHandler(handler)
                handler.close()
    assert [headers["Authorization"] for headers in server.headers] == ["Bearer secret-key"] * 3
    assert "secret-key" not in f"{caught.value} {engine.info} {engine.warnings} {draft.to_json()}"
    assert "a server drafted" in written
    assert "secret-key" not in written and "Phantom" not in written and "127.0.0.1" not in written


@pytest.mark.parametrize("key", ["schl\u00fcssel", "first\nsecond"])
def test_what_can_be_no_key_is_said_and_not_told(server: Server, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, key)
    with pytest.raises(ModelError, match=KEY) as caught:
        load(server.url)
    link: BaseException | None = caught.value
    while link is not None:
        assert "schl" not in str(link) and "second" not in str(link)
        link = link.__cause__ or link.__context__


def test_a_certificate_nobody_knows(server: Server) -> None:
    """Plain HTTP behind an https address is no server of ours."""
    with pytest.raises(ModelError):
        load(server.url.replace("http:", "https:"))
    assert transport.Unanswered("certificate").fault == "certificate"


def test_a_connection_knows_no_torch(request: pytest.FixtureRequest) -> None:
    import subprocess
    import sys

    code = "import engine.drafting.served, engine.drafting.loading, sys; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], cwd=request.config.rootpath, check=False).returncode == 0


def test_refused_before_anything_is_sent(server: Server, pair: Comparison) -> None:
    engine = open_(server)
    asks: list[Callable[[], object]] = [
        lambda: engine.draft(pair, Asking(section="nonsense")),
        lambda: engine.draft(pair, Asking(prompt="x" * 3000)),
    ]
    for ask in asks:
        with pytest.raises(UsageError):
            ask()
    assert server.bodies == []
