"""The services behind the data page: films, what is learnt, splits, what two sets share, signed reports."""

from __future__ import annotations

import argparse
import io
import json
import logging
import shutil
import tempfile
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from data_desk import opened, picture, ran, row, rows_file, sign_reports
from PIL import Image

from engine import paths
from engine.cli import data as data_command
from engine.datasets.libra import read_training
from engine.errors import DatasetError, ModelError, UsageError
from engine.imaging import Reader, to_pil
from engine.jobs import queue
from engine.jobs.job import State
from trainer_ui.components import bars, learnt_text
from trainer_ui.services import (
    check_results,
    datasets,
    learnt,
    pictures,
    samples,
    set_figures,
    shared_rows,
    signed_sets,
    split_sets,
)
from trainer_ui.services.learnt import Piece
from trainer_ui.services.set_figures import Bar

FULL = "A report of more than eight words that nobody else has: number "


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is written into the system's folder for temporary files is seen."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


# Films


def test_films_are_shown_as_the_models_get_them_and_nothing_is_left(
    phantoms: Path, own_temporary_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sample = next(one for one in read_training(phantoms / "train.json") if len(one.images) == 2)
    current, prior = pictures.pictures(sample.images, sample.about.view)
    assert (current.role, prior.role) == ("Current", "Prior")
    assert current.words.startswith(f"{sample.about.view} · 96 × ") and prior.words.startswith("view not said")
    with Reader() as reader:
        for shown, path in zip((current, prior), sample.images, strict=True):
            seen = np.asarray(Image.open(io.BytesIO(shown.png)))
            assert np.array_equal(seen, np.asarray(to_pil(reader.read(path))))
    assert list((paths.home() / "tmp").iterdir()) == [] == list(own_temporary_folder.iterdir())
    assert sample.images[0].stem not in caplog.text and sample.about.patient not in caplog.text


def test_a_large_film_is_made_smaller_and_keeps_its_shape(shared: Path) -> None:
    (shown,) = pictures.pictures([shared / "data" / "cr_chest_j2k_15bit.dcm"])
    seen = Image.open(io.BytesIO(shown.png))
    columns, rows = shown.size
    assert max(seen.size) == pictures.LARGEST < max(shown.size)
    assert abs(seen.size[0] / seen.size[1] - columns / rows) < 0.01
    assert "right of the patient at the left edge, head at the top" in shown.words


@pytest.mark.parametrize(
    ("orientation", "words"),
    [
        (("L", "F"), "right of the patient at the left edge, head at the top"),
        (("R", "F"), "left of the patient at the left edge, head at the top"),
        (("P", "F"), "front of the patient at the left edge, head at the top"),
        (("LH", "FL"), "right of the patient at the left edge, head at the top"),
        ((), "sides not said"),
        (("", "F"), "sides not said"),
        (("X", "F"), "sides not said"),
    ],
)
def test_sides_are_told_as_the_file_tells_them(orientation: tuple[str, ...], words: str) -> None:
    assert pictures.sides(orientation) == words


def test_what_cannot_be_opened_says_why_in_its_place(tmp_path: Path) -> None:
    text = tmp_path / "text.png"
    text.write_text("no image")
    good = picture(tmp_path / "good.png", 1)
    first, second = pictures.pictures([text, good])
    assert "text.png" in first.fault and not first.png and second.png and not second.fault
    (gone,) = pictures.pictures([tmp_path / "gone.png"])
    assert gone.fault.startswith("gone.png is not there")


# What is learnt


def test_the_answer_is_learnt_and_nothing_else(phantoms: Path) -> None:
    model = next(model for model in learnt.models() if model.name == "demo-tac")
    sample = read_training(phantoms / "train.json")[0]
    shown = learnt.prompt(model.path, sample)
    said = [piece.text for piece in shown.pieces if piece.learnt]
    assert len(said) == 1 and said[0].removesuffix("</s>") == sample.turns[0][1]
    assert [piece.images for piece in shown.pieces].count(True) == 1
    assert shown.learnt < shown.positions <= shown.room and shown.fits
    assert f"{shown.positions:,} of {shown.room:,} positions used" in shown.words
    with pytest.raises((ModelError, OSError)):
        learnt.prompt(phantoms, sample)


def test_marked_text_is_escaped_and_told_by_more_than_colour() -> None:
    pieces = (Piece("USER: <b>x</b> ", False), Piece("<image>", False, images=True), Piece("<script>", True))
    html = learnt_text.marked(pieces, "current image")
    assert "<b>" not in html and "<script>" not in html and "&lt;script&gt;" in html and "current image" in html
    assert html.count("border-bottom") == 1 and html.index("border-bottom") > html.index("current image")


# Bars


def test_bars_hold_every_count_in_words_and_in_the_order_given() -> None:
    shown = [Bar("effusion", 3, "present"), Bar("effusion", 1, "denied"), Bar("nodule", 2, "denied")]
    drawn = bars.lying(shown, ["effusion", "nodule"], of="finding", count="answers", parts=["present", "denied"])
    stacked, ends = drawn["layer"]
    assert [(v["name"], v["count"], v["part"]) for v in stacked["data"]["values"]] == [
        ("effusion", 3, "present"),
        ("effusion", 1, "denied"),
        ("nodule", 2, "denied"),
    ]
    assert [v["label"] for v in ends["data"]["values"]] == ["4", "2"]
    assert stacked["encoding"]["x"]["title"] == "answers" and stacked["encoding"]["y"]["sort"] == ["effusion", "nodule"]
    assert bars.spoken(shown, of="finding", count="answers") == (
        "answers by finding. effusion, present: 3; effusion, denied: 1; nodule, denied: 2."
    )


def lightness(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    levels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("parts", [set_figures.STATUSES, set_figures.CHANGES, signed_sets.SENTENCES])
def test_parts_of_a_bar_can_be_told_from_the_ground_and_from_each_other(parts: tuple[str, ...]) -> None:
    """3:1 against the ground (WCAG 1.4.11); neighbours differ by lightness too, which every eye sees."""
    from serving.palette import GROUND

    colours = [bars.PARTS[part] for part in parts]
    assert len(set(colours)) == len(colours)
    for colour in colours:
        assert (lightness(colour) + 0.05) / (lightness(GROUND) + 0.05) >= 3
    for one, other in pairwise(colours):
        light, dark = sorted((lightness(one), lightness(other)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 1.2


# Splits


def test_a_split_becomes_a_set_whose_table_says_who_is_where(phantoms: Path) -> None:
    one = opened("phantoms", "train.json")
    job = ran(split_sets.begin(one, split_sets.Wanted("parts", test=0.3, validation=0.2, seed=4)))
    assert job.state is State.DONE and split_sets.unfinished(one) is None
    (split,) = split_sets.made(one)
    assert (split.name, split.how) == ("parts", "20 % validation, 30 % test; seed 4")
    assert sum(part.patients for part in split.parts) == 24 == sum(part.rows for part in split.parts)
    assert [part.name for part in split.parts] == ["Training", "Validation", "Test"]
    made = next(data for data in datasets.found() if data.name == "parts")
    assert made.images == phantoms and made.training == split.parts[0].rows
    assert split_sets.made(opened("parts")) == (split,), "the part knows its split as well"
    assert check_results.now(opened("parts")).errors == 0
    rows_file(phantoms, [row("a", "a.png")])
    assert split_sets.made(opened("phantoms", "train.json")) == (), "another file now"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"test": 0.6, "validation": 0.4}, "below 1 together"),
        ({"test": 0.0, "validation": 0.0}, "Nothing would be held out"),
        ({"seed": -1}, "seed is 0 or larger"),
        ({"name": "../x"}, "begins with a letter"),
    ],
)
def test_a_split_that_cannot_be_is_refused_before_it_is_queued(
    phantoms: Path, wrong: dict[str, object], why: str
) -> None:
    wanted = split_sets.Wanted(**({"name": "x"} | wrong))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=why):
        split_sets.begin(opened("phantoms", "train.json"), wanted)
    assert queue.jobs() == ()


def test_rows_without_a_patient_are_refused_with_the_rows_or_go_by_what_was_chosen(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows_file(home / "data" / "x", [row(str(n), f"{n}.png", **({"patient": "P"} if n else {})) for n in range(30)])
    one = opened("x")
    with pytest.raises(DatasetError, match="1 of the 30 rows do not say") as refused:
        split_sets.begin(one, split_sets.Wanted("y"))
    assert refused.value.rows == ((1, "no patient"),) and split_sets.nameless(one) is None
    check_results.now(one)
    assert split_sets.nameless(one) == 1
    # A large file is not looked at first: its job says why, in the end.
    monkeypatch.setattr(split_sets, "LITTLE_ROWS", 1)
    failed = ran(split_sets.begin(one, split_sets.Wanted("y")))
    assert failed.state is State.FAILED and "do not say whose images" in (failed.folder / "console.log").read_text()
    told = split_sets.unfinished(one)
    assert told is not None and told.id == failed.id
    read = _parsed(split_sets.begin(one, split_sets.Wanted("z", unnamed="image")).words)
    assert (read.unnamed, read.test, read.images) == ("image", 0.1, one.images)


def test_questions_are_not_split(phantoms: Path) -> None:
    with pytest.raises(UsageError, match="holds questions"):
        split_sets.begin(opened("phantoms", "eval.jsonl"), split_sets.Wanted("x"))


def _parsed(words: tuple[str, ...]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    data_command.register(parser)
    return parser.parse_args(words[1:])


# What two sets share


def two_sets(home: Path) -> None:
    """Two sets that share a patient with his study, an image, the same picture saved anew, and a report."""
    here, there = home / "data" / "here", home / "data" / "there"
    rows_file(
        here,
        [
            row("h1", "1.png", patient="P", study="S", answer=FULL + "one."),
            row("h2", "2.png", patient="A", answer=FULL + "two."),
            row("h3", "3.png", patient="B", answer=FULL + "three."),
            row("h4", "4.png", patient="C", answer=FULL + "four and some more words that are the very same."),
        ],
    )
    there.mkdir(parents=True)
    shutil.copy(here / "2.png", there / "20.png")
    Image.open(here / "3.png").save(there / "30.png", compress_level=0)
    picture(there / "10.png", 77)
    picture(there / "40.png", 78)
    rows_file(
        there,
        [
            row(
                "t1",
                "10.png",
                patient="P",
                study="S",
                answer="Quite another text, and long enough to be compared, too.",
            ),
            row("t2", "20.png", patient="X", answer="Words of the second row, which nobody else has said so far."),
            row("t3", "30.png", patient="Y", answer="The third row says what no other one says, in these words."),
            row("t4", "40.png", patient="Z", answer=FULL + "four and some more words that are the very same!"),
        ],
    )


def test_what_two_sets_share_is_found_at_once_and_by_a_job_alike(home: Path) -> None:
    two_sets(home)
    one, other = opened("here"), opened("there")
    assert shared_rows.known(one, other, pixels=True) is None and shared_rows.small(one, other, pixels=True)
    found = shared_rows.now(one, other, pixels=True)
    assert [(each.kind, each.here, each.there) for each in found.shared] == [
        ("patient", (1,), (1,)),
        ("study", (1,), (1,)),
        ("image", (2,), (2,)),
        ("pixels", (3,), (3,)),
        ("text", (4,), (4,)),
    ]
    assert found.people and [count for *_, count in found.counts] == [1, 1, 1, 1, 1]
    assert found.shared[-1].similarity == 1.0 and not found.errors_there
    shared_rows._kept.clear()
    job = shared_rows.begin(one, other, pixels=True)
    waiting = shared_rows.under_way(one, other, pixels=True)
    assert waiting is not None and waiting.id == job.id
    assert shared_rows.under_way(other, one, pixels=True) is None
    assert ran(job).state is State.DONE and shared_rows.known(one, other, pixels=True) == found
    plain = shared_rows.now(one, other, pixels=False)
    assert [each.kind for each in plain.shared] == ["patient", "study", "image", "text"] and not plain.pixels
    texts = [samples.first_words(each) for each in samples.rows_of(one, [4, 99])]
    assert len(texts) == 1 and texts[0].startswith(FULL[:30])


def test_sets_that_share_nothing_share_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows_file(home / "data" / "a", [row("a", "a.png", patient="P", answer="x")])
    (home / "data" / "b").mkdir(parents=True)
    picture(home / "data" / "b" / "b.png", 99)
    rows_file(home / "data" / "b", [row("b", "b.png", patient="Q", answer=""), row("c", "b.png", patient="Q")])
    found = shared_rows.now(opened("a"), opened("b"), pixels=True)
    assert not found.shared and not found.people and found.errors_there
    monkeypatch.setattr(shared_rows, "LITTLE_PICTURES", 5)
    assert not shared_rows.small(opened("a"), opened("b"), pixels=True)
    assert shared_rows.small(opened("a"), opened("b"), pixels=False)


# Signed reports


def test_a_history_becomes_a_set_that_tells_what_was_changed(home: Path) -> None:
    assert signed_sets.signed_reports() == 0
    with pytest.raises(UsageError, match="Sign reports in the viewer first"):
        signed_sets.begin(signed_sets.Wanted("signed"))
    sign_reports(home)
    assert signed_sets.signed_reports() == 5 and signed_sets.signed_reports(date(2999, 1, 1)) == 0
    assert ran(signed_sets.begin(signed_sets.Wanted("signed"))).state is State.DONE
    made = signed_sets.made(home / "data" / "signed")
    assert made is not None
    assert (made.signed, made.rows, made.patients, made.images, made.with_prior) == (5, 4, 4, 5, 1)
    assert made.left_out == (("there may be text in an image", 1),)
    assert (made.may_hold_text, made.text_taken) == (1, False)
    assert made.everything.sentences == (("kept", 10), ("edited", 1), ("deleted", 1), ("added", 1))
    by = {tally.model: tally for tally in made.models}
    assert by["demo"].findings == (("cardiomegaly", "removed", 1),) and by["other"].untouched == 1
    assert by["demo"].changes == (("worse", "unchanged", "pleural effusion", 1),)
    assert [(each.accession, each.view) for each in signed_sets.may_hold_text("signed")] == [("ACC00007", "PA")]
    assert signed_sets.may_hold_text("another") == () and signed_sets.made(home / "data") is None
    text = "".join(file.read_text() for file in (home / "data" / "signed").glob("*.json*"))
    assert "DOE" not in text.upper() and "ACC00" not in text


def test_a_form_becomes_a_command_that_exists(home: Path) -> None:
    sign_reports(home)
    wanted = signed_sets.Wanted("s", "impression", date(2024, 2, 3), 2, looked_at=True)
    read = _parsed(signed_sets.begin(wanted).words) if signed_sets.signed_reports(date(2024, 2, 3)) else None
    assert read is not None and (read.section, read.since, read.min_changes) == ("impression", date(2024, 2, 3), 2)
    assert read.images_looked_at and read.output == home / "data" / "s"
    with pytest.raises(UsageError, match="0 or larger"):
        signed_sets.begin(signed_sets.Wanted("t", min_changes=-1))


def test_a_manifest_of_something_else_is_no_set_of_signed_reports(tmp_path: Path) -> None:
    for content in ("", "[]", "{}", json.dumps({"format": "another"})):
        (tmp_path / "manifest.json").write_text(content)
        assert signed_sets.made(tmp_path) is None
