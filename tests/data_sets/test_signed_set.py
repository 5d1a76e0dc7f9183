"""Signed reports to a training set, from real histories: what gets in, what stays out, and that nobody is in it."""

from __future__ import annotations

import hashlib
import json
import re
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from signed_desk import ANNA, PROMPT, Desk, edit, keep, opened, radiograph, reject, write

from engine import cli
from engine.datasets.checking import check
from engine.datasets.libra import read_questions, read_training
from engine.datasets.signed.history import (
    FEW_CHANGES,
    NAMELESS,
    OTHER_SECTION,
    REPLACED,
    UNSOUND,
    Choice,
)
from engine.datasets.signed.pseudonyms import FILE, Pseudonyms, load_secret
from engine.datasets.signed.residue import WORD
from engine.datasets.signed.writing import BURNED_IN, NO_IMAGE, NOT_ENGLISH, REMAINS, Made, section_of, write_set
from engine.datasets.splitting import Shares, split
from engine.errors import DatasetError, ResourceError, UsageError
from engine.imaging import to_pil
from engine.imaging.parsing import parse_file
from engine.records import NewDraft

NOW = datetime(2026, 5, 4, tzinfo=UTC)
SECRET = b"s" * 32
DRAFT = ("Small left pleural effusion has increased.", "No pneumothorax.", "The heart is enlarged.")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with opened(tmp_path) as made:
        yield made


def written(desk: Desk, name: str = "set", **choice: Any) -> Made:
    return write_set(
        desk.records, desk.folder.parent / name, Choice(**choice), secret=SECRET, now=NOW, application="Interval test"
    )


def test_a_signed_report_becomes_a_row_about_nobody(desk: Desk) -> None:
    prior, current = desk.film(1, StudyDate="20230105"), desk.film(2, StudyDate="20240301")
    report = desk.signed(
        current,
        prior,
        *DRAFT,
        review=edit(0, "Small left pleural effusion is unchanged since 2023-01-05; discussed with Dr. Smith."),
        context="Indication: 94-year-old Mrs. Müller, MRN P447123, born 2 January 1930.\nHistory: pager 12345.",
    )
    made = written(desk)
    (sample,) = read_training(made.output / "train.json")
    days = Pseudonyms(SECRET).days("", ANNA["PatientID"])
    moved = (datetime(2023, 1, 5) + timedelta(days)).date()
    assert sample.turns == (
        (
            f"<image>\n{PROMPT} Following clinical context: Indication: 90-year-old Mrs. ___, MRN ___, born ___.\n"
            "History: pager ___.",
            f"Small left pleural effusion is unchanged since {moved}; discussed with Dr. ___. No pneumothorax. "
            "The heart is enlarged.",
        ),
    )
    assert made.rows == {sample.id: report.id}
    assert (sample.about.view, sample.about.sex, sample.about.age) == ("PA", "F", 90.0)
    # The pictures are those the models are shown, to the grey level, and carry nothing else.
    for file, sha256 in zip(sample.images, (current, prior), strict=True):
        shown = to_pil(parse_file(desk.records.image_file(sha256)))
        with Image.open(file) as picture:
            assert picture.mode == "L" and not picture.info
            assert np.array_equal(np.asarray(picture), np.asarray(shown))
    (change,) = [json.loads(line) for line in (made.output / "changes.jsonl").read_text().splitlines()]
    assert (change["id"], change["prior_date"]) == (sample.id, moved.isoformat())
    apart = datetime.fromisoformat(change["date"]) - datetime.fromisoformat(change["prior_date"])
    assert apart == datetime(2024, 3, 1) - datetime(2023, 1, 5)
    (question,) = read_questions(made.output / "questions.jsonl")
    assert question.reference is None and f"<image>\n{question.text}" == sample.turns[0][0]
    assert check(made.output / "train.json", decode=True).issues == ()


def test_nothing_known_of_anybody_is_in_any_file(desk: Desk) -> None:
    films = [desk.film(n, StudyDate=f"2024{n:02}01", AccessionNumber=f"77{n:04}") for n in range(1, 5)]
    for n, film in enumerate(films):
        desk.signed(
            film, films[n - 1] if n else None, *DRAFT, "Seen by Dr. Adam.", review=write("Anna O'Neil, ACC 770003."),
            context=f"Indication: follow-up of 2024-0{n + 1}-01, 1.2.840.99999.{n}.", signer="Prof. Jane Reader",
        )  # fmt: skip
    made = written(desk)
    assert len(made.rows) == 4
    text = "".join(file.read_text(encoding="utf-8") for file in made.output.iterdir() if file.is_file())
    names = " ".join(file.name for file in made.output.rglob("*"))
    for known in (*films, *made.rows.values()):
        assert known not in text and known not in names
    hidden = re.sub(r"[prsi][0-9a-f]{16}|[0-9a-f]{64}", "", text + names)
    for known in ("Anna", "Neil", "ller", "4471", "7700", "1930", "Adam", "Reader", "Jane", "1.2.840", "2024"):
        assert known not in hidden
    order = [sample.id for sample in read_training(made.output / "train.json")]
    assert order == sorted(order)  # not the order in which they were made


def test_only_what_is_signed_and_sound_gets_in(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    film = desk.film(1)
    draft = desk.records.new_report(desk.film(2), None, "", "findings")
    new = NewDraft("Left effusion.", (1,), "demo", "d" * 64, {}, (), "Findings?", "stop", True, {})
    row = desk.records.save_draft(draft.id, new, ["Left effusion."])
    desk.records.save_revision(draft.id, keep(row.sentences), based_on=row.revision)  # reviewed, not signed
    with pytest.raises(DatasetError, match="no signed report"):
        written(desk)
    good, bad = desk.signed(film, None, *DRAFT), desk.signed(desk.film(3), None, *DRAFT)
    real = desk.records.verify_signature
    monkeypatch.setattr(
        desk.records, "verify_signature", lambda id_: replace(real(id_), ok=real(id_).ok and id_ != bad.id)
    )
    made = written(desk)
    assert list(made.rows.values()) == [good.id]
    assert [(each.report, each.reason) for each in made.left_out] == [(bad.id, UNSOUND)]
    assert made.manifest["signed_reports"] == 2


def test_of_reports_signed_again_the_last_counts(desk: Desk) -> None:
    film, other = desk.film(1), desk.film(2)
    first = desk.signed(film, None, *DRAFT)
    desk.signed(other, None, *DRAFT)
    desk.signed(film, other, *DRAFT)  # another comparison
    last = desk.signed(film, None, *DRAFT, review=write("There is also a rib fracture."))
    made = written(desk)
    assert first.id not in made.rows.values() and last.id in made.rows.values() and len(made.rows) == 3
    assert [(each.report, each.reason) for each in made.left_out] == [(first.id, REPLACED)]


def test_what_is_left_out_is_told_with_the_reason(desk: Desk) -> None:
    small = desk.film(3, PatientID="77", PatientName="Small^John")
    reports = {
        desk.signed(small, None, *DRAFT, review=reject(1)).id: f"{REMAINS} {WORD}",
        desk.signed(desk.picture(radiograph(64, 48, 8)), None, *DRAFT, review=reject(1)).id: NAMELESS,
        desk.signed(desk.film(4), None, *DRAFT, review=reject(1), section="impression").id: OTHER_SECTION,
        desk.signed(desk.film(5), None, *DRAFT).id: FEW_CHANGES,
        desk.signed(lost := desk.film(6), None, *DRAFT, review=reject(0)).id: NO_IMAGE,
        desk.signed(desk.film(8), None, *DRAFT, review=edit(0, "左侧积液，2024年3月12日王医生阅片。")).id: NOT_ENGLISH,
        desk.signed(desk.film(9), None, *DRAFT, review=reject(1), context="患者张三，住院号12345。").id: NOT_ENGLISH,
        # Among English words as well: nothing tells such a name from a word.
        desk.signed(desk.film(10), None, *DRAFT, review=edit(0, "Effusion, seen by 王小明.")).id: NOT_ENGLISH,
        desk.signed(desk.film(11), None, *DRAFT, review=edit(0, "Small effusion, as Иванов has said.")).id: NOT_ENGLISH,
    }  # fmt: skip
    good = desk.signed(
        desk.film(7, PatientID="78", PatientName="王^小明"),
        None,
        *DRAFT,
        review=edit(0, "Small effusion of 王小明, type β, 5 µm, 3 cm²."),
    )
    desk.records.image_file(lost).unlink()
    made = written(desk, min_changes=1)
    assert {each.report: each.reason for each in made.left_out} == reports
    assert list(made.rows.values()) == [good.id]
    assert made.manifest["left_out"] == Counter(reports.values())
    assert len(list((made.output / "images").iterdir())) == 1
    impressions = written(desk, "impressions", section="impression")
    assert len(impressions.rows) == 1 and impressions.manifest["section"] == "impression"


def test_images_with_text_in_them_wait_for_somebody_to_look(desk: Desk) -> None:
    tagged = desk.film(1, BurnedInAnnotation="YES")
    pixels = radiograph(512, 512, 8, seed=5)
    picture = Image.fromarray(pixels)
    ImageDraw.Draw(picture).text((20, 20), "MUELLER ANNA 02.01.1930", fill=255, font=ImageFont.load_default(24))
    drawn = desk.film(2, np.asarray(picture))
    reports = {desk.signed(image, None, *DRAFT).id for image in (tagged, drawn)}
    clean = desk.signed(desk.film(4), None, *DRAFT)
    made = written(desk)
    assert {each.report for each in made.left_out if each.reason == BURNED_IN} == reports == set(made.suspected)
    assert list(made.rows.values()) == [clean.id] and len(list((made.output / "images").iterdir())) == 1
    taken = written(desk, "looked", burned_in=True)
    assert len(taken.rows) == 3 and set(taken.suspected) == reports
    assert taken.manifest["images_that_may_hold_text"] == {"reports": 2, "taken": True}


def test_the_manifest_says_what_clinicians_changed(desk: Desk) -> None:
    films = [desk.film(n) for n in range(1, 6)]
    desk.signed(films[0], films[1], *DRAFT, review=edit(0, "Small left pleural effusion is unchanged."))
    desk.signed(films[1], films[2], *DRAFT, review=reject(2))
    desk.signed(films[2], None, *DRAFT, review=write("Possible right pneumonia."), model="other")
    desk.signed(films[3], None, *DRAFT, model="other")
    desk.signed(films[4], None, review=write("Normal heart."))
    told = written(desk).manifest["corrections"]
    assert told["all"]["sentences"] == {"kept": 10, "edited": 1, "deleted": 1, "added": 2}
    by_model = {tally["model"]: tally for tally in told["models"]}
    assert {name: tally["reports"] for name, tally in by_model.items()} == {
        "demo": 2, "other": 2, "written without a model": 1,
    }  # fmt: skip
    assert by_model["demo"]["changes"] == {"worse -> unchanged": {"pleural effusion": 1}}
    assert by_model["demo"]["findings"] == {"cardiomegaly": {"removed": 1}}
    assert by_model["other"]["findings"] == {"pneumonia": {"added": 1}}
    assert by_model["other"]["untouched"] == 1 and by_model["demo"]["untouched"] == 0


def test_patients_keep_their_names_and_can_be_split(desk: Desk) -> None:
    for n in range(1, 13):
        film = desk.film(n, PatientID=f"N{n // 2}", PatientName=f"Person{n // 2}^X", StudyDate=f"202401{n:02}")
        desk.signed(film, None, *DRAFT)
    one, again = written(desk), written(desk, "again")
    assert (one.output / "train.json").read_bytes() == (again.output / "train.json").read_bytes()
    samples = read_training(one.output / "train.json")
    assert len({sample.about.patient for sample in samples}) == 7 and len(samples) == 12
    made = split(samples, Shares(0.3, 0.2), seed=1)
    assert sum(made.owners.values()) == 7
    other = write_set(
        desk.records, one.output.parent / "other", Choice(), secret=b"o" * 32, now=NOW, application="Interval test"
    )
    names = {name for made in (one, other) for name in made.rows}
    assert len(names) == 24


def test_a_folder_appears_whole_or_not_at_all(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.signed(desk.film(1), None, *DRAFT)
    taken = desk.folder.parent / "taken"
    taken.mkdir()
    (taken / "file").touch()
    with pytest.raises(UsageError, match="not empty"):
        written(desk, "taken")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("engine.datasets.signed.writing.write_questions", full)
        with pytest.raises(OSError):
            written(desk)
    assert {path.name for path in desk.folder.parent.iterdir()} <= {"dropped", "history", "taken", "home"}
    assert written(desk).rows


def test_sections_of_a_signed_text() -> None:
    text = "FINDINGS: The heart is normal.\nNo effusion. IMPRESSION: Normal."
    assert section_of(text, "findings") == "The heart is normal. No effusion."
    assert section_of(text, "impression") == "Normal."
    assert section_of("No effusion. Impression: Normal.", "findings") == "No effusion."
    assert section_of("No effusion: none.", "findings") == "No effusion: none."


def test_the_secret_is_made_once_and_is_nobody_elses(tmp_path: Path) -> None:
    first = load_secret(tmp_path / "home")
    assert len(first) == 32 and load_secret(tmp_path / "home") == first
    file = tmp_path / "home" / FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    assert load_secret(tmp_path / "home") == first and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_secret(tmp_path / "other") != first
    file.write_text("abc")
    with pytest.raises(ResourceError):
        load_secret(tmp_path / "home")


def test_kinds_of_names_are_kept_apart() -> None:
    names = Pseudonyms(SECRET)
    assert len({names.patient("a", "bc"), names.patient("ab", "c"), names.patient("", "abc")}) == 3
    assert names.study("x")[1:] != names.image("x")[1:] != names.row("x")[1:]
    assert all(-3650 <= names.days("", str(n)) < 0 for n in range(500))
    assert "s" * 8 not in repr(names)


def test_the_command_reads_the_history_of_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(tmp_path) as desk:
        desk.signed(desk.film(1), None, *DRAFT, review=edit(0, "Left effusion is unchanged. Anna coughs."))
        home, before = desk.records.home, desk.records.verify_log().rows
        monkeypatch.setenv("INTERVAL_HOME", str(home))
        output = tmp_path / "set"
        # The history is in use by the viewer: it is only read.
        assert cli.main(["data", "from-signed", "--output", str(output), "--since", "2020-01-01", "--json"]) == 0
        assert desk.records.verify_log().rows == before
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert (
        told["rows"] == 1
        and told["files"]["train.json"] == hashlib.sha256((output / "train.json").read_bytes()).hexdigest()
    )
    assert "Rows: 1, of 1 patients" in printed.err and "Anna" not in printed.err and "ller" not in printed.err
    key = Path(told["key"])
    assert key.is_relative_to(home) and stat.S_IMODE(key.stat().st_mode) == 0o600
    assert re.fullmatch(r"r[0-9a-f]{16}", next(iter(json.loads(key.read_text())["rows"])))
    assert stat.S_IMODE(output.stat().st_mode) == 0o700
    logged = "".join(file.read_text() for file in (home / "logs").glob("*"))
    assert "Anna" not in logged and "4471" not in logged
    assert cli.main(["data", "from-signed", "--output", str(tmp_path / "none"), "--since", "2100-01-01"]) == 3
    assert "no signed report" in capsys.readouterr().err and not (tmp_path / "none").exists()
