"""Which data sets the studio finds, what it says of them, and what it has made."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cli import data as data_command
from engine.errors import InputError, UsageError
from engine.jobs import queue
from trainer_ui.services import datasets, preparing

SAMPLE = {
    "id": "a",
    "image": "a.png",
    "conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}],
}
QUESTION = {"question_id": "a", "image": "a.png", "text": "q", "reference": "r"}


def training(path: Path, rows: int = 2) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([SAMPLE] * rows, indent=1))
    return path


def questions(path: Path, rows: int = 3) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(QUESTION) + "\n" for _ in range(rows)))
    return path


def parsed(words: tuple[str, ...]) -> argparse.Namespace:
    """The words of a job as the command reads them; SystemExit where it does not."""
    parser = argparse.ArgumentParser()
    data_command.register(parser)
    assert words[0] == "data"
    return parser.parse_args(words[1:])


def test_without_a_data_folder_there_is_nothing() -> None:
    assert datasets.found() == () and datasets.suggested("phantoms") == "phantoms"


def test_a_folder_is_a_set_if_it_holds_samples_or_questions(home: Path) -> None:
    training(home / "data" / "b" / "train.json")
    questions(home / "data" / "b" / "eval.jsonl")
    training(home / "data" / "A" / "rows.jsonl").write_text(json.dumps(SAMPLE))
    (home / "data" / "b" / "truth.jsonl").write_text('{"id": "a", "findings": []}\n')
    (home / "data" / "b" / "notes.json").write_text('{"made": 1}')
    (home / "data" / "empty").mkdir()
    (home / "data" / "damaged").mkdir()
    (home / "data" / "damaged" / "x.jsonl").write_text("{" * 9000)
    found = datasets.found()
    assert [(data.name, data.training, data.questions, data.state) for data in found] == [
        ("A", 1, 0, "whole"),
        ("b", 2, 3, "whole"),
    ]
    assert [file.path.name for file in found[1].files] == ["train.json", "eval.jsonl"]
    assert found[1].images == home / "data" / "b" and found[1].own


texts = st.text(max_size=40).map(lambda text: text.replace('"conversations"', ""))


@given(
    answers=st.lists(texts, min_size=1, max_size=8), indent=st.sampled_from([None, 1]), end=st.sampled_from(["", "\n"])
)
def test_rows_are_counted_whatever_stands_in_them(
    tmp_path_factory: pytest.TempPathFactory, answers: list[str], indent: int | None, end: str
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    rows = [{**SAMPLE, "id": answer, "study": answer} for answer in answers]
    (folder / "train.json").write_text(json.dumps(rows, indent=indent) + end)
    (folder / "eval.jsonl").write_text("\n".join(json.dumps({**QUESTION, "reference": a}) for a in answers) + end)
    for name in ("train.json", "eval.jsonl"):
        file = datasets.inspect(folder / name)
        assert file is not None and (file.rows, file.whole) == (len(answers), True)


def test_a_mark_across_two_chunks_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "_CHUNK", 7)
    file = datasets.inspect(training(tmp_path / "train.json", 20))
    assert file is not None and file.rows == 20


def test_a_file_that_changes_is_counted_again(tmp_path: Path) -> None:
    first = datasets.inspect(questions(tmp_path / "q.jsonl", 2))
    second = datasets.inspect(questions(tmp_path / "q.jsonl", 5))
    assert first is not None and second is not None and (first.rows, second.rows) == (2, 5)


def test_a_set_is_being_made_as_long_as_its_job_has_not_ended(home: Path, make_job: Callable[..., object]) -> None:
    training(home / "data" / "half" / "train.json")
    make_job("running", result=home / "data" / "half")
    make_job("queued", result=home / "data" / "later")
    assert [(data.name, data.state) for data in datasets.found()] == [("half", "being made"), ("later", "being made")]
    for name in ("half", "HALF", "later"):
        with pytest.raises(UsageError, match="already"):
            datasets.fresh(name)
    assert datasets.suggested("half") == "half-2"


@pytest.mark.parametrize("state", ["failed", "stopped", "crashed"])
def test_a_set_whose_job_was_stopped_is_unfinished_and_can_be_deleted(
    home: Path, make_job: Callable[..., object], state: str
) -> None:
    folder = home / "data" / "half"
    training(folder / "train.json")
    make_job(state, result=folder)
    assert [data.state for data in datasets.found()] == ["unfinished"]
    datasets.discard("half")
    assert datasets.found() == () and not folder.exists()


def test_a_list_that_does_not_end_is_unfinished_without_any_job(home: Path) -> None:
    file = training(home / "data" / "half" / "train.json")
    file.write_text(file.read_text().rstrip().rstrip("]"))
    assert [data.state for data in datasets.found()] == ["unfinished"]


@pytest.mark.parametrize("name", ["whole", "outside/train.json", "nothing", "..", "../data"])
def test_only_unfinished_sets_of_the_data_folder_are_deleted(home: Path, tmp_path: Path, name: str) -> None:
    training(home / "data" / "whole" / "train.json")
    datasets.add(training(tmp_path / "outside" / "train.json"))
    with pytest.raises(UsageError):
        datasets.discard(name)
    assert (home / "data" / "whole").is_dir() and (tmp_path / "outside").is_dir()


def test_a_file_elsewhere_is_listed_and_forgotten_and_stays(tmp_path: Path) -> None:
    file = training(tmp_path / "elsewhere" / "train.json")
    added = datasets.add(file, tmp_path)
    assert (added.name, added.images, added.own) == ("elsewhere/train.json", tmp_path, False)
    assert datasets.found() == (added,) == (datasets.add(file, tmp_path),)
    file.unlink()
    gone = datasets.found()[0]
    assert gone.missing == (str(file),) and gone.files == ()
    datasets.forget(added.name)
    assert datasets.found() == ()


def test_files_of_the_same_name_are_kept_apart(tmp_path: Path) -> None:
    first, second = (datasets.add(training(tmp_path / place / "x" / "train.json")) for place in ("a", "b"))
    assert first.name != second.name and len(datasets.found()) == 2


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', "[1, 2]", '[{"conversations": []}'])
def test_what_holds_no_samples_is_not_added(tmp_path: Path, text: str) -> None:
    file = tmp_path / "file.json"
    file.write_text(text)
    with pytest.raises(InputError, match=r"file\.json holds neither"):
        datasets.add(file)


@pytest.mark.parametrize("name", ["", " ", "..", ".hidden", "a/b", "a\\b", "a\0", "-x", "x" * 65, "a."])
def test_a_name_is_a_plain_folder_name(name: str) -> None:
    with pytest.raises(UsageError, match="begins with a letter"):
        datasets.fresh(name)


def test_phantoms_become_a_command_that_exists(home: Path) -> None:
    job = preparing.phantoms(preparing.Phantoms("my set", 5, seed=3, site="b", split="test", size=64))
    read = parsed(job.words)
    assert (read.data_command, read.output, read.count, read.seed) == ("phantoms", home / "data" / "my set", 5, 3)
    assert (read.site, read.split, read.size, read.format) == ("b", "test", 64, "training")
    assert job.result == read.output and [other.id for other in queue.jobs()] == [job.id]


@pytest.mark.parametrize("wrong", [{"cases": 0}, {"cases": 10**7}, {"size": 8}, {"size": 9000}, {"name": "../x"}])
def test_what_cannot_be_made_is_not_queued(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        preparing.phantoms(preparing.Phantoms(**({"name": "x", "cases": 5} | wrong)))  # type: ignore[arg-type]
    assert queue.jobs() == ()


def test_mimic_becomes_a_command_that_exists_and_its_images_are_remembered(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "MIMIC CXR"
    folder.mkdir()
    with pytest.raises(InputError, match="no metadata table"):
        preparing.mimic(preparing.Mimic("m", folder))
    (folder / "mimic-cxr-2.0.0-metadata.csv.gz").touch()
    wanted = preparing.Mimic("m", folder, tmp_path, "both", (), "all", "matched", ".dcm")
    read = parsed(preparing.mimic(wanted).words)
    assert (read.folder, read.output, read.reports) == (folder, home / "data" / "m", tmp_path)
    assert (read.section, read.context, read.views, read.prior, read.ending) == (
        "both",
        "none",
        "all",
        "matched",
        ".dcm",
    )
    training(home / "data" / "m" / "train.json")
    assert datasets.found()[0].images == folder


def test_questions_about_mimic_become_a_command_that_exists(home: Path, tmp_path: Path) -> None:
    folder, images = tmp_path / "questions", tmp_path / "mimic"
    folder.mkdir()
    with pytest.raises(InputError, match=r"holds none of mimic_pair_questions\.csv"):
        preparing.questions(preparing.Questions("q", folder, images))
    for name in ("train.json", "test.json"):
        (folder / name).touch()
    with pytest.raises(UsageError, match="1 to 20"):
        preparing.questions(preparing.Questions("q", folder, images, turns=0))
    read = parsed(preparing.questions(preparing.Questions("q", folder, images, 4, ".png")).words)
    assert (read.questions, read.images) == ([folder / "train.json", folder / "test.json"], images)
    assert (read.data_command, read.output, read.turns, read.ending) == ("vqa", home / "data" / "q", 4, ".png")
