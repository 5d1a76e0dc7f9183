"""The viewer's HTTP side against other pages, other hosts and hostile files; no patient in an address or a log."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import socket
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PillowImage
from pilot import FakeEngine, Pilot
from starlette.testclient import TestClient

from app import main, server, uploads, window
from app.services import ModelHost, Workbench
from engine import logs
from engine.errors import InputError, ResourceError, UsageError

PORT = 7999
ORIGIN = f"http://127.0.0.1:{PORT}"
HERE = {"origin": ORIGIN, "sec-fetch-site": "same-origin"}
EVIL = {"origin": "http://evil.example"}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """One workbench for the whole module: making the page takes longer than asking it."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text('{"model_type": "libra"}')
    fake = FakeEngine()
    with Workbench.open(folder / "home", ModelHost(folder / "model", load=lambda chosen: fake)) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(bench: Workbench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        with TestClient(server.create_app(bench, PORT), base_url=ORIGIN, follow_redirects=False) as opened:
            yield opened


@pytest.fixture
def pilot(bench: Workbench, request: pytest.FixtureRequest) -> Pilot:
    return Pilot(bench, bench.models.default(), request.node.name)


def drop(client: TestClient, *files: tuple[str, bytes], headers: dict[str, str] | None = None) -> Any:
    sent = [("files", (name, data)) for name, data in files]
    sent.append(("names", (None, json.dumps([name for name, _ in files]).encode())))  # type: ignore[arg-type]
    return client.post("/intake", files=sent, headers=HERE if headers is None else headers)


def leftovers(home: Path) -> list[Path]:
    """Files that a request has left in the data folder of this test."""
    return [path for path in (home / "tmp").rglob("*") if path.is_file()]


# -- other hosts and other pages --------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", ""])
@pytest.mark.parametrize("path", ["/", "/app/", "/image/x/meta", "/intake", "/nothing"])
def test_another_host_is_refused(client: TestClient, host: str, path: str) -> None:
    assert client.get(path, headers={"host": host}).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        EVIL,
        {"origin": "null"},
        {"origin": f"https://127.0.0.1:{PORT}"},
        {"origin": f"http://127.0.0.1:{PORT + 1}"},
        {"sec-fetch-site": "cross-site"},
        {"origin": ORIGIN, "sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/intake", "/app/gradio_api/queue/join", "/app/gradio_api/upload", "/nothing"])
def test_another_page_can_change_nothing(client: TestClient, home: Path, path: str, headers: dict[str, str]) -> None:
    answer = client.post(path, files={"files": ("a.dcm", b"x")}, headers=headers)
    assert answer.status_code == 403
    assert not leftovers(home)


def test_our_own_page_may_drop(client: TestClient, pair: Path) -> None:
    data = next(pair.rglob("*.dcm")).read_bytes()
    assert drop(client, ("a.dcm", data)).status_code == 200
    assert drop(client, ("a.dcm", data), headers={}).status_code == 200, "a program of the user is not another page"


def test_files_of_the_machine_are_not_served(client: TestClient, home: Path, tmp_path: Path) -> None:
    home.mkdir()
    (home / "link").symlink_to("/etc/passwd")
    for path in (
        "/app/gradio_api/file=/etc/passwd",
        f"/app/gradio_api/file={home / 'history.db'}",
        f"/app/gradio_api/file={home / 'link'}",
        "/app/gradio_api/file=..%2f..%2fetc%2fpasswd",
        "/app/file=/etc/passwd",
        "/static/../main.py",
        "/static/%2e%2e/main.py",
        "/web/..%2fserver.py",
        "/app/static/../../server.py",
        "/image/..%2f..%2fetc/meta",
        "/export/..%2f..%2fhistory.db",
    ):
        assert client.get(path).status_code in (403, 404), path


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/docs"),
        ("GET", "/redoc"),
        ("GET", "/openapi.json"),
        ("GET", "/app/gradio_api/openapi.json"),
        ("GET", "/app/monitoring"),
        ("GET", "/app/gradio_api/run-history/records"),
        ("POST", "/app/gradio_api/upload"),
        ("POST", "/app/gradio_api/run/predict"),
        ("POST", "/app/gradio_api/call/_on_sign"),
        ("GET", "/app/proxy=http://127.0.0.1/"),
        ("GET", "/app/gradio_api/deep_link"),
        ("POST", "/app/login"),
    ],
)
def test_doors_the_page_does_not_use_are_closed(client: TestClient, method: str, path: str) -> None:
    assert client.request(method, path, headers=HERE).status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/", "/app/", "/app/config", "/static/viewport.mjs", "/web/page.css", "/nothing", "/favicon.ico", "/intake"],
)
def test_every_answer_carries_the_headers(client: TestClient, path: str) -> None:
    for answer in (client.get(path), client.get(path, headers={"host": "evil.example"})):
        headers = answer.headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "no-store" in headers["cache-control"] or "no-cache" in headers["cache-control"]
        assert "access-control-allow-origin" not in headers and "server" not in headers


def test_the_page_names_no_other_host(client: TestClient) -> None:
    config = client.get("/app/config").text
    assert "googleapis" not in config and "gradio.app" not in config.replace("gradio.app/", "")
    assert client.get("/manifest.json").json()["name"] == "Interval"
    assert client.get("/favicon.ico").headers["content-type"].startswith("image/svg")


# -- images -----------------------------------------------------------------------------------------------------------


def test_images_are_answered_only_to_who_knows_them(client: TestClient, pilot: Pilot, pair: Path) -> None:
    screen = pilot.drop(pair)
    sha = screen.panes.current
    meta = client.get(f"/image/{sha}/meta")
    assert meta.headers["cache-control"] == "no-store" or "private" in meta.headers["cache-control"]
    shape = meta.json()["rows"], meta.json()["columns"]
    pixels = client.get(f"/image/{sha}/pixels")
    assert len(pixels.content) == shape[0] * shape[1] * 2 and "private" in pixels.headers["cache-control"]
    again = client.get(f"/image/{sha}/pixels", headers={"if-none-match": pixels.headers["etag"]})
    assert again.status_code == 304 and not again.content
    thumbnail = client.get(f"/image/{sha}/thumbnail")
    assert max(PillowImage.open(io.BytesIO(thumbnail.content)).size) <= 160
    assert client.get(f"/image/{'0' * 64}/pixels").status_code == 404
    assert client.get(f"/image/{sha}/secrets").status_code == 404
    stranger = str(screen.panes.prior)
    pilot.bench.images.forget(stranger)
    assert pilot.bench.records.image_file(stranger).is_file()
    assert client.get(f"/image/{stranger}/pixels").status_code == 404, "in the history, but nobody has opened it here"


# -- hostile drops ----------------------------------------------------------------------------------------------------


def bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.dcm", bytes(60 << 20))
    return out.getvalue()


def climbing() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../../evil.dcm", b"x")
        archive.writestr("/etc/evil", b"x")
    return out.getvalue()


HOSTILE = {
    "empty.dcm": b"",
    "text.dcm": b"hello",
    "cut.dcm": bytes(128) + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00",
    "cut.png": b"\x89PNG\r\n\x1a\n" + bytes(20),
    "cut.jpg": b"\xff\xd8\xff\xe0" + bytes(30),
    "bomb.zip": bomb(),
    "climb.zip": climbing(),
    "../../../escape.dcm": b"x",
    "..\\..\\escape.dcm": b"x",
    "<img src=x onerror=alert(1)>.dcm": b"x",
    "a\u202egnp.dcm": b"x",
    "x" * 400 + ".dcm": b"x",
    "CON.dcm": b"x",
    ".": b"x",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_a_sentence_and_the_next_good_one_works(
    client: TestClient, pilot: Pilot, pair: Path, home: Path, name: str
) -> None:
    answer = drop(client, (name, HOSTILE[name]))
    assert answer.status_code == 200 and answer.json()["studies"] == 0 and answer.json()["problems"] >= 1
    screen = pilot.act(lambda s: pilot.bench.opening.open(s, answer.json()["intake"]))
    for notice in screen.case.notices:
        assert "Traceback" not in notice.text and str(home) not in notice.text and "fault" not in notice.text
        assert len(notice.text) < 600 and notice.text.endswith(".")
    good = drop(client, ("good.dcm", next(pair.rglob("*.dcm")).read_bytes())).json()
    assert good["studies"] == 1
    assert pilot.act(lambda s: pilot.bench.opening.open(s, good["intake"])).panes.current
    assert not leftovers(home) and not list(home.parent.rglob("*escape*")) and not list(home.parent.rglob("*evil*"))


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 400),
        (b"", "multipart/form-data; boundary=x", 400),
        (b"--x\r\n", "multipart/form-data; boundary=x", 400),
        (b"garbage", "multipart/form-data; boundary=x", 400),
        (
            b'--x\r\ncontent-disposition: form-data; name="other"\r\n\r\n1\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            400,
        ),
        (b"--x--\r\n", "multipart/form-data; boundary=x", 400),
        (b"--x\r\n", "multipart/form-data", 400),
    ],
)
def test_a_request_that_is_no_drop_is_a_sentence(
    client: TestClient, home: Path, body: bytes, kind: str, status: int
) -> None:
    answer = client.post("/intake", content=body, headers=HERE | {"content-type": kind})
    assert answer.status_code == status and answer.json()["message"].endswith(".")
    assert not leftovers(home)


def test_a_drop_over_the_limit_is_refused_and_leaves_nothing(
    client: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert drop(client, *((f"{n}.dcm", b"x") for n in range(4001))).status_code == 422
    assert not leftovers(home)
    too_long = client.post("/intake", content=b"x", headers=HERE | {"content-length": str(1 << 40)})
    assert too_long.status_code == 507


PART = b'--x\r\ncontent-disposition: form-data; name="files"; filename="a.dcm"\r\n\r\n'


def received(folder: Path, *chunks: bytes, stall: bool = False, **limits: Any) -> list[Path]:
    async def sent() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk
        if stall:
            await asyncio.sleep(30)

    kind = "multipart/form-data; boundary=x"
    return asyncio.run(uploads.receive(kind, sent(), folder, uploads.UploadLimits(**limits)))


def test_a_stalled_upload_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="stalled"):
        received(tmp_path, PART, stall=True, seconds_between_chunks=0.05)


def test_a_file_one_byte_over_the_limit_is_refused(tmp_path: Path) -> None:
    end = b"\r\n--x--\r\n"
    for name in ("fits", "over", "all"):
        (tmp_path / name).mkdir()
    assert received(tmp_path / "fits", PART + bytes(10) + end, bytes_per_file=10)[0].stat().st_size == 10
    with pytest.raises(InputError, match=r"a\.dcm is larger"):
        received(tmp_path / "over", PART + bytes(11) + end, bytes_per_file=10)
    with pytest.raises(InputError, match="at once"):
        received(tmp_path / "all", PART + bytes(11) + end, bytes_in_all=10)


def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="disk"):
        received(tmp_path, PART, free_after=1 << 60)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("study1/IM0001", ("study1", "IM0001")),
        ("../../etc/passwd", ("etc", "passwd")),
        ("C:\\Windows\\x.dcm", ("C_", "Windows", "x.dcm")),
        ("a\x00b\n.dcm", ("a_b_.dcm",)),
        ("...", ("file",)),
        ("", ("file",)),
        ("nul", ("_nul",)),
        ("/".join("abcdefghijkl"), tuple("efghijkl")),
    ],
)
def test_names_become_plain_entries(name: str, parts: tuple[str, ...]) -> None:
    assert uploads.safe_parts(name) == parts


# -- events called by hand --------------------------------------------------------------------------------------------


def test_events_called_by_hand_answer_without_a_trace(client: TestClient, capfd: pytest.CaptureFixture[str]) -> None:
    inputs = {event["id"]: len(event["inputs"]) for event in client.get("/app/config").json()["dependencies"]}
    for number in (*inputs, max(inputs) + 5):
        for data in ([], None, {}, [None] * 30, ["x" * 10_000_000], [{"a": [1]}] * 3):
            body = {"data": data, "fn_index": number, "session_hash": "byhand", "event_data": {"action": ["x"]}}
            answer = client.post("/app/gradio_api/queue/join", json=body, headers=HERE)
            assert answer.status_code in (400, 413) or len(data or ()) == inputs[number], answer.status_code
            assert "Traceback" not in answer.text and "/site-packages/" not in answer.text
    assert client.post("/app/gradio_api/queue/join", content=b"[" * 100_000, headers=HERE).status_code == 400
    assert client.get("/app/config").status_code == 200


# -- logs -------------------------------------------------------------------------------------------------------------


def test_no_patient_in_log_or_output(
    client: TestClient, pilot: Pilot, pair: Path, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logs.start(logging.DEBUG)
    try:
        answer = drop(client, ("Phantom^Test.dcm", next(pair.rglob("*.dcm")).read_bytes()), ("Phantom^Test.txt", b"x"))
        pilot.act(lambda s: pilot.bench.opening.open(s, answer.json()["intake"]))
        who = pilot.session.case.patient if pilot.session.case is not None else None
        assert who is not None and who.id
        pilot.act(lambda s: pilot.bench.reporting.set_context(s, "Phantom^Test coughs.", ""))
        pilot.draft()
        pilot.act(lambda s: 1 / 0)
        pilot.accept_all()
        pilot.sign("Phantom^Test")
        pilot.export()
        client.get("/image/Phantom^Test/meta")
    finally:
        written = logs.log_file().read_text()
        for handler in [h for h in logging.getLogger().handlers if isinstance(h.formatter, logs.PrivateFormatter)]:
            logging.getLogger().removeHandler(handler)
            handler.close()
    assert "ZeroDivisionError" in written, "a fault of the program is logged"
    for planted in ("Phantom^Test", "Phantom", who.id, who.name, "coughs"):
        assert planted not in written and planted not in "".join(capfd.readouterr())
    assert any("fault" in notice for notice in pilot.notices())


# -- the command ------------------------------------------------------------------------------------------------------


def test_a_port_in_use_is_one_sentence() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        with pytest.raises(UsageError, match="in use"):
            main.listen(busy.getsockname()[1])


def test_the_next_free_port_is_taken_and_only_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        monkeypatch.setattr(main, "FIRST_PORT", busy.getsockname()[1])
        with main.listen(None) as found:
            assert found.getsockname()[0] == "127.0.0.1" and found.getsockname()[1] > busy.getsockname()[1]


@pytest.mark.parametrize("port", [0, -1, 70000])
def test_a_port_that_is_none_is_one_sentence(port: int) -> None:
    with pytest.raises(UsageError):
        main.listen(port)


def test_a_data_folder_that_cannot_be_written_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("INTERVAL_HOME", str(blocked / "home"))
    with pytest.raises(UsageError, match="INTERVAL_HOME"), server.workbench(None):
        pass


def test_the_app_window_has_a_profile_of_its_own(tmp_path: Path) -> None:
    line = window.command(Path("/usr/bin/chromium"), "http://127.0.0.1:7860/", tmp_path)
    assert "--app=http://127.0.0.1:7860/" in line and f"--user-data-dir={tmp_path}" in line
