"""A small server that speaks as much of the hub's protocol as fetching a model takes, from folders on this machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".bin", ".model")
"""What the hub keeps outside of git, with its sha256."""


class FakeHub:
    """What is published, and what was asked for.

    Attributes:
        repositories: hub id -> folder.
        cards: hub id -> what its model card says.
        gated: hub ids whose files are not given out.
        requests: (method, path, range) of every request.
        cut: files of which the first answer ends after so many bytes; after that nothing of them is answered.
        lie: files of which the hub tells another hash than they have.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Path] = {}
        self.cards: dict[str, dict[str, Any]] = {}
        self.gated: set[str] = set()
        self.requests: list[tuple[str, str, str]] = []
        self.cut: dict[str, int] = {}
        self.lie: set[str] = set()
        self.url = ""

    def commit(self, hub_id: str) -> str:
        return hashlib.sha1(hub_id.encode()).hexdigest()

    def fetched(self) -> list[str]:
        """Names of the files that were sent, each once."""
        got = [path for method, path, _ in self.requests if method == "GET" and "/resolve/" in path]
        return list(dict.fromkeys(path.rsplit("/", 1)[1] for path in got))

    def info(self, hub_id: str) -> dict[str, Any]:
        files = []
        for file in sorted(self.repositories[hub_id].rglob("*")):
            if file.is_file():
                name = file.relative_to(self.repositories[hub_id]).as_posix()
                files.append({"rfilename": name, "size": file.stat().st_size, "blobId": "0" * 40})
                if name.endswith(LARGE):
                    files[-1]["lfs"] = {"sha256": self.sha256(file), "size": file.stat().st_size, "pointerSize": 100}
        card = self.cards.get(hub_id, {})
        return {"id": hub_id, "sha": self.commit(hub_id), "siblings": files, "cardData": card, "tags": []}

    def sha256(self, file: Path) -> str:
        content = file.read_bytes() + (b"!" if file.name in self.lie else b"")
        return hashlib.sha256(content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(head=True)

    def do_GET(self) -> None:
        self._answer(head=False)

    def log_message(self, *args: object) -> None:
        pass

    def _answer(self, head: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path, self.headers.get("Range", "")))
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self._info("/".join(parts[2:4]), parts[5] if len(parts) > 5 else "main")
        else:
            self._file("/".join(parts[:2]), "/".join(parts[4:]), head)

    def _info(self, hub_id: str, revision: str) -> None:
        if hub_id not in self.hub.repositories:
            self._refuse(404, "RepoNotFound")
        elif revision not in ("main", self.hub.commit(hub_id)):
            self._refuse(404, "RevisionNotFound")
        else:
            self._send(200, json.dumps(self.hub.info(hub_id)).encode(), {"Content-Type": "application/json"})

    def _file(self, hub_id: str, name: str, head: bool) -> None:
        file = self.hub.repositories[hub_id] / name
        if hub_id in self.hub.gated:
            return self._refuse(403, "GatedRepo")
        if not file.is_file():
            return self._refuse(404, "EntryNotFound")
        content = file.read_bytes()
        headers = {"X-Repo-Commit": self.hub.commit(hub_id), "ETag": f'"{self.hub.sha256(file)}"'}
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        if head:
            return self._send(200, content, headers, send=False)
        if name in self.hub.cut:
            return self._break_off(name, content, headers)
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._send(206 if start else 200, content[start:], headers)

    def _break_off(self, name: str, content: bytes, headers: dict[str, str]) -> None:
        if self.hub.cut[name]:
            self._send(200, content, headers, send=False)
            self.wfile.write(content[: self.hub.cut[name]])
            self.wfile.flush()
            self.hub.cut[name] = 0
        self.close_connection = True

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, b"{}", {"X-Error-Code": code, "X-Error-Message": code, "Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str], send: bool = True) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if send and self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def serve() -> Iterator[FakeHub]:
    """A hub on a free port of this machine, for the block."""
    hub = FakeHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
