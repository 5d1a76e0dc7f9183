"""The studio's HTTP side against other hosts and other pages, with settings that no file of the user's changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from streamlit import config

from trainer_ui import main, server

PORT = 7998
ORIGIN = f"http://127.0.0.1:{PORT}"
HERE = {"origin": ORIGIN, "sec-fetch-site": "same-origin"}
OPENED = """
[server]
address = "0.0.0.0"
allowedHosts = []
enableStaticServing = true
enableXsrfProtection = false
enableCORS = false
baseUrlPath = "elsewhere"
fileWatcherType = "poll"
[runner]
magicEnabled = false
[browser]
gatherUsageStats = true
[client]
showErrorDetails = "full"
toolbarMode = "developer"
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The studio of a user whose own settings would open Streamlit to everybody."""
    user = tmp_path_factory.mktemp("user")
    (user / ".streamlit").mkdir()
    (user / ".streamlit" / "config.toml").write_text(OPENED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(user))
        patch.setenv("STREAMLIT_SERVER_ADDRESS", "0.0.0.0")
        patch.setenv("STREAMLIT_BROWSER_GATHER_USAGE_STATS", "true")
        with TestClient(server.create_app(PORT), base_url=ORIGIN, follow_redirects=False) as opened:
            yield opened


@pytest.mark.parametrize("name", list(server.SETTINGS))
def test_no_file_and_no_variable_changes_a_setting(client: TestClient, name: str) -> None:
    assert config.get_option(name) == server.SETTINGS[name]


def test_the_file_of_the_user_was_read_all_the_same(client: TestClient) -> None:
    """Else the test above would say nothing."""
    assert config.get_option("runner.magicEnabled") is False


@pytest.mark.parametrize("path", ["/", "/data", "/train", "/_stcore/health"])
def test_the_page_is_answered_with_its_guard(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy and "object-src 'none'" in policy
    assert f"connect-src 'self' ws://127.0.0.1:{PORT} ws://localhost:{PORT};" in policy
    assert "script-src 'self' 'unsafe-eval' 'sha256-" in policy
    assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", ""])
@pytest.mark.parametrize("path", ["/", "/_stcore/health", "/static/x.js", "/nothing"])
def test_another_host_is_refused(client: TestClient, host: str, path: str) -> None:
    assert client.get(path, headers={"host": host}).status_code == 400


@pytest.mark.parametrize(
    "headers", [{"origin": "http://evil.example"}, {"origin": "null"}, {**HERE, "sec-fetch-site": "cross-site"}]
)
def test_another_page_opens_no_connection(client: TestClient, headers: dict[str, str]) -> None:
    with pytest.raises(WebSocketDisconnect) as refused:
        with client.websocket_connect(f"ws://127.0.0.1:{PORT}/_stcore/stream", headers=headers):
            pass
    assert refused.value.code == 1008
    assert client.post("/_stcore/upload_file/x/y", headers=headers).status_code == 403


def test_our_page_opens_a_connection(client: TestClient) -> None:
    with client.websocket_connect(
        f"ws://127.0.0.1:{PORT}/_stcore/stream", headers=HERE, subprotocols=["streamlit"]
    ) as connected:
        assert connected.accepted_subprotocol == "streamlit"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/_stcore/upload_file/session/file"),
        ("DELETE", "/_stcore/upload_file/session/file"),
        ("GET", "/_stcore/metrics"),
        ("GET", "/_stcore/script-health-check"),
        ("GET", "/_stcore/agent/openapi.json"),
        ("POST", "/_stcore/agent/sessions"),
        ("GET", "/auth/login"),
        ("GET", "/oauth2callback"),
        ("GET", "/component/x/index.html"),
        ("GET", "/app/static/x"),
        ("GET", "/elsewhere/"),
        ("GET", "/home/user"),
        ("GET", "/static/../main.py"),
        ("GET", "/static/%2e%2e/main.py"),
    ],
)
def test_what_the_page_does_not_use_is_not_there(client: TestClient, method: str, path: str) -> None:
    assert client.request(method, path, headers=HERE).status_code == 404


def test_every_page_has_its_door(client: TestClient) -> None:
    from trainer_ui.addresses import PAGES

    assert all(client.get(f"/{page}").status_code == 200 for page in PAGES)
    assert streamlit.__version__ == "1.67.0", "look again at what Streamlit's page asks for, and at its inline scripts"


def test_a_port_that_is_taken_is_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    from engine.cli import main as run
    from serving import listening

    with listening.listen(None, main.FIRST_PORT) as busy:
        port = busy.getsockname()[1]
        assert run(["studio", "--no-browser", "--port", str(port)], module="trainer_ui.main") == 2
        assert f"Port {port} is in use" in capsys.readouterr().err
        with listening.listen(None, port) as other:
            assert other.getsockname()[1] > port and other.getsockname()[0] == "127.0.0.1"


def test_a_data_folder_that_cannot_be_written_is_said_in_words(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from engine.cli import main as run

    home.write_text("a file in the place of the folder")
    assert run(["studio", "--no-browser"], module="trainer_ui.main") == 2
    assert "cannot be written" in capsys.readouterr().err
