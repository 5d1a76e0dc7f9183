"""A small real server (modules, synthetic images, an intake), and a hand that drives a viewport mounted on its page."""

from __future__ import annotations

import base64
import json
import mimetypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page

# Stricter than the application's own policy: the modules need neither inline styles nor eval.
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:"
PAGE = b"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Test</title></head>
<body><textarea id="around"></textarea><div id="host"></div></body></html>"""


@dataclass(frozen=True)
class Picture:
    """What the server knows of one image: its description, stored values and padding."""

    meta: dict[str, Any]
    pixels: NDArray[np.uint16]
    padding: NDArray[np.bool_] | None = None


def picture(pixels: NDArray[np.uint16], padding: NDArray[np.bool_] | None = None, **changes: Any) -> Picture:
    """A picture with a complete description, changed where the test cares."""
    meta: dict[str, Any] = {
        "rows": pixels.shape[0],
        "columns": pixels.shape[1],
        "slope": 1,
        "intercept": 0,
        "windows": [
            {"center": 2048, "width": 4096, "name": "NORMAL", "function": "LINEAR"},
            {"center": 2000, "width": 1000, "name": "1-99 %", "function": "LINEAR"},
        ],
        "luts": [],
        "inverted": False,
        "spacing": {"row_mm": 0.5, "column_mm": 0.5, "basis": "at detector"},
        "view": "PA",
        "patient": {"name": "DOE^JANE^M", "id": "P-17"},
        "acquired": "2023-08-05T10:20:00",
        "date_reliable": True,
        "study_description": "Chest PA",
        "notes": [],
        "bits": 12,
        "has_padding": padding is not None,
    }
    return Picture(meta | changes, pixels, padding)


def radiograph(rows: int, columns: int, seed: int = 0) -> NDArray[np.uint16]:
    """Smooth shapes with some noise, 12 bits: enough structure to tell every pixel of a test apart."""
    y, x = np.mgrid[0:rows, 0:columns]
    waves = 1400 + 900 * np.sin(x / columns * 9 + seed) + 800 * np.cos(y / rows * 7) + 600 * (x / columns)
    noise = np.random.default_rng(seed).normal(0, 40, (rows, columns))
    return np.clip(waves + noise, 0, 4095).astype(np.uint16)


@dataclass
class Server:
    """Where the page finds everything; tests add images and read what was posted."""

    url: str = ""
    images: dict[str, Picture] = field(default_factory=dict)
    delays: dict[str, threading.Event] = field(default_factory=dict)  # image -> held back until set
    posted: list[dict[str, Any]] = field(default_factory=list)
    intake_answer: tuple[int, Any] = (200, {"studies": 1})

    def add(self, name: str, made: Picture) -> str:
        self.images[name] = made
        return name


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept: some thirty small modules per page
    state: Server
    static: Path

    def do_GET(self) -> None:
        path = self.path
        if path == "/":
            self._send(200, "text/html", PAGE)
        elif path.startswith("/static/"):
            self._send_file(self.static / path.removeprefix("/static/"))
        elif path.startswith("/image/"):
            self._send_image(*path.removeprefix("/image/").split("/"))
        else:
            self._send(204 if path == "/favicon.ico" else 404, "text/plain", b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts = BytesParser().parsebytes(head + body).get_payload()
        found = [
            (part.get_param("name", header="content-disposition"), part.get_filename(), part.get_payload(decode=True))
            for part in parts
        ]
        names = next(json.loads(content) for name, _, content in found if name == "names")
        self.state.posted.append({
            "path": self.path, "names": names, "filenames": [f for n, f, _ in found if n == "files"],
            "contents": [c for n, _, c in found if n == "files"],
        })  # fmt: skip
        status, answer = self.state.intake_answer
        self._send(status, "application/json", json.dumps(answer).encode())

    def _send_image(self, name: str, what: str) -> None:
        if name in self.state.delays:
            self.state.delays[name].wait(10)
        found = self.state.images.get(name)
        if found is None:
            self._send(404, "application/json", json.dumps({"message": "This image is no longer stored."}).encode())
        elif what == "meta":
            self._send(200, "application/json", json.dumps(found.meta).encode())
        elif what == "pixels":
            self._send(200, "application/octet-stream", found.pixels.astype("<u2").tobytes())
        else:
            assert found.padding is not None
            self._send(200, "application/octet-stream", found.padding.astype(np.uint8).tobytes())

    def _send_file(self, file: Path) -> None:
        kind = "text/javascript" if file.suffix == ".mjs" else mimetypes.guess_type(file.name)[0] or "text/plain"
        self._send(200 if file.is_file() else 404, kind, file.read_bytes() if file.is_file() else b"")

    def _send(self, status: int, kind: str, body: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", POLICY)
            self.send_header("Cache-Control", "max-age=600" if self.path.startswith("/static/") else "no-store")
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the page aborted a load that it no longer wants, as it should

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(static: Path) -> Iterator[Server]:
    """A running server of the modules in ``static``, with no image on it."""
    state = Server()
    handler = type("Handler", (_Handler,), {"state": state, "static": static})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


class View:
    """A mounted viewport: what the tests do with it and read from it."""

    def __init__(self, page: Page, server: Server, height: int = 640) -> None:
        self.page, self.server = page, server
        page.evaluate(
            """async (height) => {
                const { mount } = await import("/static/viewport.mjs");
                const host = document.getElementById("host");
                host.style.setProperty("--iv-height", `${height}px`);
                window.events = [];
                window.api = mount(host, { onEvent: (name, detail) => window.events.push([name, detail]) });
            }""",
            height,
        )
        page.wait_for_function("() => window.api.state().canvas.width > 0")

    def load(self, current: str | None, prior: str | None = None, warnings: list[str] | None = None) -> None:
        request = {"current": current, "prior": prior, "warnings": warnings or []}
        self.page.evaluate("(request) => window.api.load(request)", request)
        self.settle()

    def settle(self) -> None:
        """Until the frame that was asked for has been drawn."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def state(self) -> dict[str, Any]:
        self.settle()
        state: dict[str, Any] = self.page.evaluate("() => window.api.state()")
        return state

    def events(self) -> list[Any]:
        events: list[Any] = self.page.evaluate("() => window.events")
        return events

    def press(self, *keys: str) -> None:
        self.page.evaluate("() => window.api.focus()")
        for key in keys:
            self.page.keyboard.press(key)
        self.settle()

    def area(self) -> dict[str, float]:
        """The image area in page pixels."""
        box = self.page.locator(".iv-area").bounding_box()
        assert box is not None
        return dict(box)

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Page position of a point given as parts of the image area."""
        box = self.area()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def drag(
        self, start: tuple[float, float], end: tuple[float, float], *, button: str = "left", key: str | None = None
    ) -> None:
        mouse = self.page.mouse
        mouse.move(*start)
        if key:
            self.page.keyboard.down(key)
        mouse.down(button=button)  # type: ignore[arg-type]
        mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        mouse.move(*end)
        mouse.up(button=button)  # type: ignore[arg-type]
        if key:
            self.page.keyboard.up(key)
        self.settle()

    def pixels(self) -> NDArray[np.uint8]:
        """The canvas: uint8 [height, width], checked to be grey."""
        self.settle()
        encoded = self.page.locator(".iv-canvas").evaluate(
            """(canvas) => {
                const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
                const grey = new Uint8Array(data.length / 4);
                for (let n = 0; n < grey.length; n++) {
                    grey[n] = data[4 * n];
                    if (grey[n] !== data[4 * n + 1] || grey[n] !== data[4 * n + 2]) throw new Error("not grey");
                }
                let text = "";
                for (let n = 0; n < grey.length; n += 32768) {
                    text += String.fromCharCode(...grey.subarray(n, n + 32768));
                }
                return [canvas.width, canvas.height, btoa(text)];
            }"""
        )
        width, height, text = encoded
        return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width)

    def text(self, role: str, corner: str) -> str:
        """The words of a corner, or of the label bar for "label"."""
        chosen = ".iv-label" if corner == "label" else f'[data-corner="{corner}"]'
        return self.page.locator(f'[data-role="{role}"] {chosen}').inner_text()
