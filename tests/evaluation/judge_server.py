"""A stand-in for an OpenAI-compatible server: real sockets, replies by rule, every request kept."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Said = tuple[int, Any]
"""Status, and what is sent as JSON; bytes are sent as they are."""


def by_words(body: dict[str, Any]) -> str:
    """A judge that compares letters, as a verdict in JSON."""
    gold, said = (_tagged(body, name) for name in ("reference", "answer"))
    ruling = "neutral" if "perhaps" in said else "correct" if gold.lower() in said.lower() else "incorrect"
    return verdict(ruling)


def verdict(ruling: str, confidence: object = 5, contradiction: object = False) -> str:
    return json.dumps(
        {"verdict": ruling, "contradiction": contradiction, "confidence": confidence, "reason": "as the reference"}
    )


def _tagged(body: dict[str, Any], name: str) -> str:
    found = re.search(rf"<{name}>\n(.*?)\n</{name}>", body["messages"][1]["content"], flags=re.S)
    assert found is not None
    return found[1]


class Server:
    """What was asked, and how it answers; ``says`` gives the reply's text, ``answers`` may answer in another way."""

    def __init__(self) -> None:
        self.models = ["judge-1"]
        self.says: Callable[[dict[str, Any]], str] = by_words
        self.answers: Callable[[dict[str, Any], int], Said | None] = lambda body, number: None
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.url = ""

    def respond(self, path: str, body: dict[str, Any] | None) -> Said:
        if body is None:
            return 200, {"data": [{"id": name} for name in self.models]}
        self.bodies.append(body)
        other = self.answers(body, len(self.bodies))
        if other is not None:
            return other
        return 200, {"choices": [{"message": {"role": "assistant", "content": self.says(body)}}]}


@contextmanager
def running() -> Iterator[Server]:
    """A server on a free port of this machine."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(server.respond(self.path, None))

        def do_POST(self) -> None:
            self._send(server.respond(self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

        def _send(self, said: Said) -> None:
            server.paths.append(self.path)
            server.headers.append(dict(self.headers))
            status, content = said
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{listening.server_port}/v1"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()
