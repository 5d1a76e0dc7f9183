"""The log holds what a maintainer needs and nothing about a patient."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import logs

NAME = "DOE^JANE^^DR"


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    logging.captureWarnings(False)
    logging.raiseExceptions = True


def written() -> str:
    file = logs.log_file()
    return file.read_text(encoding="utf-8") if file.exists() else ""


def test_our_own_messages_are_kept_and_names_in_them_masked() -> None:
    logs.start()
    logging.getLogger("engine.imaging.intake").info("image %s of '%s' read", "0a1b2c", NAME)
    text = written()
    assert "image 0a1b2c of '[name]' read" in text
    assert "DOE" not in text and "JANE" not in text


def test_messages_of_libraries_are_withheld_but_their_place_is_kept() -> None:
    logs.start()
    logging.getLogger("foreign").warning("Invalid value for VR PN: %s", NAME)
    logging.getLogger("foreign").info("nothing worth a line")
    text = written()
    assert "foreign" in text and "test_logs:" in text and "withheld" in text
    assert "JANE" not in text and "Invalid value" not in text
    assert text.count("\n") == 1


def test_python_warnings_go_to_the_log_without_their_text(capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logs.start()
        warnings.warn(f"value {NAME} is too long", UserWarning, stacklevel=1)
        logging.captureWarnings(False)
    assert "py.warnings" in written() and "JANE" not in written()
    assert capfd.readouterr().err == ""


def test_of_an_exception_only_classes_and_code_lines_are_written() -> None:
    logs.start()
    try:
        try:
            raise KeyError(f"born 19500101, {NAME}")
        except KeyError as cause:
            raise RuntimeError("/home/somebody/DOE_JANE.dcm") from cause
    except RuntimeError:
        logging.getLogger("app").exception("failed")
    text = written()
    assert text.index("builtins.KeyError") < text.index("builtins.RuntimeError")
    assert "tests/door/test_logs.py:" in text
    for secret in ("JANE", "19500101", "somebody", "raise "):
        assert secret not in text


def test_nothing_is_written_before_something_is_logged(home: Path) -> None:
    logs.start()
    assert not logs.log_file().exists()


def test_old_files_go(home: Path) -> None:
    folder = home / "logs"
    folder.mkdir(parents=True)
    for day in range(1, 29):
        (folder / f"interval-2020-01-{day:02}.log").touch()
        (folder / f"interval-2020-02-{day:02}.log").touch()
    logs.start()
    left = sorted(file.name for file in folder.iterdir())
    assert len(left) == logs.KEPT_FILES and left[-1] == "interval-2020-02-28.log"


def test_starting_again_does_not_double_the_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs.start()
    monkeypatch.setenv("INTERVAL_HOME", str(tmp_path / "other"))
    logs.start()
    logging.getLogger("engine").warning("once")
    assert written().count("once") == 1


name_parts = st.text(st.characters(whitelist_categories=("L",)), min_size=1, max_size=12)


@given(family=name_parts, given_name=name_parts, before=st.sampled_from(["", "patient ", "(", "'", "name="]))
def test_no_person_name_in_dicom_form_survives(family: str, given_name: str, before: str) -> None:
    record = logging.LogRecord("engine.x", logging.INFO, __file__, 1, "%s%s^%s", (before, family, given_name), None)
    shown = logs.PrivateFormatter().format(record)
    assert "^" not in shown and shown.endswith("[name]")
