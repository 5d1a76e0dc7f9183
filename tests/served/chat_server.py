"""A small OpenAI-compatible server: real sockets, answers by rule and in pieces, every request kept.

server.says      the request's body -> the pieces of the answer
server.answers   what is answered in place of a stream: (status, JSON or bytes), or None
server.lines     what is written in place of events: bytes, as they are
server.wait_at   the number of the piece before which it waits until ``server.go`` is set
"""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

Body = dict[str, Any]
WORDS = ("The ", "heart is ", "normal. ", "No", " effusion.")


class Server:
    """What was asked, and how it answers."""

    def __init__(self) -> None:
        self.models: list[Body] = [{"id": "tiny-vl"}]
        self.says: Callable[[Body], Sequence[str]] = lambda body: WORDS
        self.answers: Callable[[Body | None, int], tuple[int, Any] | None] = lambda body, number: None
        self.lines: Sequence[bytes] | None = None
        self.reason: str | None = "stop"
        self.usage = True
        self.wait_at: int | None = None
        self.go = threading.Event()
        self.waiting = threading.Event()
        self.left = threading.Event()
        self.bodies: list[Body] = []
        self.raw: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.together = self.most_together = 0
        self.lock = threading.Lock()
        self.url = ""

    def events(self, body: Body) -> Iterator[bytes]:
        """The answer as it is written."""
        if self.lines is not None:
            yield from self.lines
            return
        pieces = self.says(body)
        for choice in range(body.get("n", 1)):
            yield _event([{"index": choice, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
            for number, piece in enumerate(pieces):
                if number == self.wait_at:
                    self.waiting.set()
                    self.go.wait(30)
                yield _event([{"index": choice, "delta": {"content": piece}, "finish_reason": None}])
            if self.reason is not None:
                yield _event([{"index": choice, "delta": {}, "finish_reason": self.reason}])
        if self.usage and body.get("stream_options", {}).get("include_usage"):
            yield _event([], usage={"prompt_tokens": 9, "completion_tokens": 2 * len(pieces)})
        if self.reason is not None:
            yield b"data: [DONE]\n\n"


def _event(choices: list[Body], **more: Any) -> bytes:
    return b"data: " + json.dumps({"object": "chat.completion.chunk", "choices": choices} | more).encode() + b"\n\n"


def parts(body: Body) -> list[Body]:
    """The contents of the first question: texts and pictures in their order."""
    found: list[Body] = body["messages"][1]["content"]
    return found


def png(part: Body) -> bytes:
    """The file that a picture was sent as."""
    head, _, data = part["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    return base64.b64decode(data)


def pictures(body: Body) -> list[Image.Image]:
    """The pictures, in their order."""
    return [Image.open(io.BytesIO(png(part))) for part in parts(body) if part["type"] == "image_url"]


@contextmanager
def running() -> Iterator[Server]:
    """A server on a free port of this machine."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._kept(None)
            self._whole(server.answers(None, 0) or (200, {"object": "list", "data": server.models}))

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            body = json.loads(raw)
            with server.lock:
                server.bodies.append(body)
                server.raw.append(raw)
                server.together += 1
                server.most_together = max(server.most_together, server.together)
            self._kept(body)
            try:
                other = server.answers(body, len(server.bodies))
                self._whole(other) if other is not None else self._stream(body)
            finally:
                with server.lock:
                    server.together -= 1

        def _kept(self, body: Body | None) -> None:
            with server.lock:
                server.paths.append(self.path)
                server.headers.append(dict(self.headers))

        def _stream(self, body: Body) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream; charset=utf-8")
            self.end_headers()
            try:
                for piece in server.events(body):
                    self.wfile.write(piece)
                    self.wfile.flush()
            except OSError:
                server.left.set()

        def _whole(self, said: tuple[int, Any]) -> None:
            status, content = said
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            try:
                self.wfile.write(data)
            except OSError:
                server.left.set()

        def log_message(self, *_: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    server.url = f"http://127.0.0.1:{listening.server_port}/v1"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.go.set()
        listening.shutdown()
        listening.server_close()
        thread.join()
