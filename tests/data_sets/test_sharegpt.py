"""LLaMA-Factory's files read, refused and written: what it would pass over or die of is a row with a reason here."""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dataset_makers import picture, write_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cli import data
from engine.datasets.checking import check
from engine.datasets.libra import MARKER, About, TrainingSample, read_questions, read_training, write_training
from engine.datasets.sharegpt import INFO, entries, entry, read_source, write_sharegpt
from engine.datasets.turns import MIXED, join_questions, one_question_each
from engine.errors import DatasetError, UsageError

ANSWER = "There is a low-density lesion in the liver."


def message(role: str, content: str | None) -> dict[str, Any]:
    return {"role": role, "content": content}


USER, ASSISTANT = message("user", "<image>Describe."), message("assistant", ANSWER)


def row(*messages: Any, images: Any = ("0.png",), **more: Any) -> dict[str, Any]:
    listed = list(messages or (USER, ASSISTANT))
    return {"messages": listed, "images": list(images) if isinstance(images, tuple) else images} | more


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(4):
        picture(tmp_path / f"{number}.png", number)
    return tmp_path


def issues(file: Path) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for issue in check(file).issues:
        if issue.severity == "error":
            found.setdefault(issue.row, set()).add(issue.kind)
    return found


@pytest.mark.parametrize(
    "made",
    [
        row(),
        row(message("user", "Describe.\n<image>"), ASSISTANT),
        {"conversations": [{"from": "human", "value": "<image>\nDescribe."}, {"from": "gpt", "value": ANSWER}]},
        {"conversations": [USER, ASSISTANT]},
        {"messages": [{"from": "human", "value": "<image>\nDescribe."}, {"from": "gpt", "value": ANSWER}]},
        {"instruction": "<image>Describe.", "output": ANSWER},
        {"instruction": "<image>", "input": "Describe.", "output": ANSWER, "history": []},
        row(system="", videos=[], tools=None),
    ],
)
def test_every_form_of_llama_factory_is_one_sample(folder: Path, made: dict[str, Any]) -> None:
    file = write_rows(folder / "t.json", [made | {"images": ["0.png"]}])
    [sample] = read_training(file)
    assert sample == TrainingSample("row-1", (folder / "0.png",), ((f"{MARKER}Describe.", ANSWER),))
    assert issues(file) == {}


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (row(images=("gone.png",)), {"image-missing"}),
        (row(images=()), {"no-image", "image-marks"}),
        (row(images=("0.png", "1.png")), {"image-marks"}),
        (row(message("user", "<image><image>Describe."), ASSISTANT), {"image-marks"}),
        (row(message("user", "Describe."), ASSISTANT), {"image-marks"}),
        (row(USER, message("assistant", "<image>")), {"image-marks"}),
        (row(USER, ASSISTANT, message("user", "<image>And?"), ASSISTANT, images=("0.png", "1.png")), {"image-marks"}),
        (row(message("user", "Prior <image> or <image>?"), ASSISTANT, images=("0.png", "1.png")), {"image-marks"}),
        (row(images=("0.png", "1.png", "2.png")), {"too-many-images", "image-marks"}),
        (row(message("human", "<image>Describe."), ASSISTANT), {"first-turn"}),
        (row(USER, message("gpt", ANSWER)), {"roles", "no-answer"}),
        (row(ASSISTANT, USER), {"first-turn", "roles", "image-marks"}),
        (row(USER), {"no-answer"}),
        (row(USER, ASSISTANT, message("user", "And?")), {"no-answer"}),
        (row(USER, message("assistant", " ")), {"empty-answer"}),
        (row(USER, message("assistant", None)), {"empty-answer"}),
        (row(message("system", "You are a radiologist."), USER, ASSISTANT), {"system"}),
        (row(system="You are a radiologist."), {"system"}),
        (row(videos=["a.mp4"]), {"media"}),
        (row(message("user", "<image><video>Describe."), ASSISTANT), {"media"}),
        (row(images=("../0.png",)), {"image-path"}),
        (row(images=("https://x.org/0.png",)), {"image-path"}),
        ({"messages": [], "images": ["0.png"]}, {"no-conversation"}),
        ({"instruction": "<image>Describe.", "output": "", "images": ["0.png"]}, {"empty-answer"}),
        ({"instruction": "Describe.", "output": ANSWER, "images": ["0.png"]}, {"image-marks"}),
        ({"instruction": "<image>Describe.", "images": ["0.png"]}, {"empty-answer"}),
    ],
)
def test_what_llama_factory_dies_of_or_passes_over_is_a_row_with_its_reason(
    folder: Path, bad: dict[str, Any], expected: set[str]
) -> None:
    file = write_rows(folder / "t.json", [row(), bad])
    assert issues(file) == {2: expected}
    if expected != {"image-missing"}:
        with pytest.raises(DatasetError) as error:
            read_training(file)
        assert [number for number, _ in error.value.rows] == [2]


def test_an_answer_longer_than_the_model_takes_is_an_error_before_training(folder: Path) -> None:
    long = row(USER, message("assistant", "word " * 4000))
    checked = check(
        write_rows(folder / "t.json", [row(), long]), lengths=lambda sample: len(sample.turns[0][1].split()), limit=2048
    )
    assert [(issue.row, issue.kind) for issue in checked.issues if issue.severity == "error"] == [(2, "too-long")]
    warned = check(folder / "t.json")
    assert (2, "long-text") in {(issue.row, issue.kind) for issue in warned.issues}


VALUES = st.sampled_from([None, "", "x", 7, True, [], ["a.png"], ["a.png", "b.png"], "a.png", {}])
TEXTS = st.sampled_from(["<image>Q", "<image><image>Q", "Q", "", "<image>Q<image>", "<video>", None, 3, "<image>"])
TURNS = st.builds(message, st.sampled_from(["user", "assistant", "system", "human"]), TEXTS) | st.builds(
    lambda who, text: {"from": who, "value": text}, st.sampled_from(["human", "gpt"]), TEXTS
)
ROWS = st.fixed_dictionaries(
    {"images": VALUES},
    optional={
        "messages": st.just([USER, ASSISTANT]) | st.lists(TURNS, max_size=4) | VALUES,
        "conversations": st.lists(TURNS, max_size=3) | VALUES,
        "instruction": TEXTS,
        "input": TEXTS,
        "output": TEXTS,
        "history": st.lists(st.lists(TEXTS, max_size=3), max_size=2) | VALUES,
        "system": VALUES,
        "videos": VALUES,
        "id": VALUES,
        "answer_type": VALUES,
    },
)


@settings(max_examples=200, deadline=None)
@given(st.lists(ROWS | st.just(row(images=("a.png",))), min_size=1, max_size=3))
def test_what_has_no_error_is_what_can_be_read(rows: list[Any]) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        file = write_rows(Path(name) / "t.json", rows)
        checked = check(file)
        errors = {issue.kind for issue in checked.issues if issue.severity == "error"}
        try:
            readable = [sample.id for sample in read_training(file)]
        except DatasetError:
            assert errors - {"image-missing"}
        else:
            assert errors <= {"image-missing"}
            assert [case.id for case in checked.cases] == readable


words = st.text(min_size=1, max_size=20).filter(lambda text: text.strip() and "<" not in text)
names = st.text(alphabet="abc0肺", min_size=1, max_size=4)
samples = st.builds(
    TrainingSample,
    id=st.uuids().map(str),
    images=st.lists(names.map(lambda name: Path("/data") / f"{name}.png"), min_size=1, max_size=2).map(tuple),
    turns=st.lists(st.tuples(words, words), min_size=1, max_size=3).map(
        lambda turns: ((MARKER + turns[0][0].strip(), turns[0][1]), *turns[1:])
    ),
    about=st.builds(
        About, names, names, st.sampled_from(["", "PA"]), st.sampled_from(["", "F"]), st.sampled_from([None, 61.0])
    ),
    kind=st.sampled_from(["", "presence"]),
    prior_report=st.sampled_from(["", "No effusion."]),
    form=st.sampled_from(["", "CLOSED"]),
)


@settings(deadline=None)
@given(st.lists(samples, min_size=1, max_size=4, unique_by=lambda sample: sample.id), st.sampled_from(["", "\n"]))
def test_there_and_back_again_is_the_same(made: list[TrainingSample], after: str) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        here = [replace(one, images=tuple(Path(name) / image.name for image in one.images)) for one in made]
        name_of_entry = write_sharegpt(here, Path(name) / "sharegpt.json", after)
        for row_ in json.loads((Path(name) / "sharegpt.json").read_text()):
            first = row_["messages"][0]["content"]
            assert first.startswith("<image>" * len(row_["images"]) + after)
            assert json.dumps(row_).count("<image>") == len(row_["images"])
        assert read_training(Path(name) / "sharegpt.json") == here
        assert read_source(f"{name}/{INFO}:{name_of_entry}") == (here, Path(name))
        write_training(Path(name) / "libra.json", read_training(Path(name) / "sharegpt.json"))
        assert read_training(Path(name) / "libra.json") == here


@settings(deadline=None)
@given(st.lists(samples, min_size=1, max_size=6, unique_by=lambda sample: sample.id), st.integers(2, 5))
def test_joined_and_parted_again_are_the_same_questions(made: list[TrainingSample], most: int) -> None:
    few = [replace(one, images=(Path("/data") / f"{len(one.id) % 2}.png",), about=About()) for one in made]
    single = one_question_each(few)
    joined = join_questions(single, most)
    assert all(len(one.turns) <= most for one in joined) and len(joined) <= len(single)
    for one in joined:
        asked = [" ".join(question.removeprefix(MARKER).casefold().split()) for question, _ in one.turns]
        assert len(set(asked)) == len(asked), "a question stands twice where its answer can be read off"

    def asked_and_said(some: list[TrainingSample]) -> list[tuple[object, ...]]:
        return sorted((one.images, one.prior_report, *one.turns[0]) for one in one_question_each(some))

    assert asked_and_said(joined) == asked_and_said(few)


def test_questions_about_an_image_become_one_conversation() -> None:
    def asked(name: str, question: str, kind: str, image: str = "/a.png") -> TrainingSample:
        return TrainingSample(name, (Path(image),), ((MARKER + question, "yes"),), kind=kind, form="CLOSED")

    made = [asked("1", "Lungs?", "x"), asked("2", "Liver?", "y", "/b.png"), asked("3", "Heart?", "z")]
    made += [asked("4", "lungs? ", "x")]
    first, second, again = join_questions(made)
    assert first.turns == ((f"{MARKER}Lungs?", "yes"), ("Heart?", "yes"))
    assert (first.id, first.kind, first.form) == ("1", MIXED, "CLOSED")
    assert second == made[1] and again == made[3]


def info(folder: Path, **stated: Any) -> Path:
    file = folder / INFO
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    usual = {
        "file_name": "sub/t.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "images": "images"},
        "tags": tags,
    }
    merged = {key: value for key, value in (usual | stated).items() if value is not ...}
    file.write_text(json.dumps({"med": merged, "other": {"hf_hub_url": "a/b"}}))
    (folder / "sub").mkdir(exist_ok=True)
    write_rows(folder / "sub/t.json", [row()])
    return file


def test_an_entry_is_read_by_its_own_names_and_its_images_from_its_folder(folder: Path) -> None:
    file = info(folder)
    assert entries(file) == ("med", "other")
    [sample], images = read_source(f"{file}:med")
    assert (images, sample.images) == (folder, (folder / "0.png",))
    tags = {"role_tag": "who", "content_tag": "says", "user_tag": "doctor", "assistant_tag": "model"}
    file = info(folder, tags=tags, columns={"messages": "talk", "images": "pictures", "system": "frame"})
    talk = [{"who": "doctor", "says": "<image>Describe."}, {"who": "model", "says": ANSWER}]
    write_rows(folder / "sub/t.json", [{"talk": talk, "pictures": ["1.png"]}])
    assert read_source(f"{file}:med")[0][0].turns == ((f"{MARKER}Describe.", ANSWER),)
    write_rows(folder / "sub/t.json", [{"talk": talk, "pictures": ["1.png"], "frame": "Be brief."}])
    with pytest.raises(DatasetError) as error:
        read_source(f"{file}:med")
    assert "system message" in error.value.rows[0][1]
    [kept] = read_source(f"{file}:med", system="question")[0]
    assert kept.turns[0][0] == f"{MARKER}Be brief.\nDescribe."
    [dropped] = read_source(f"{file}:med", system="drop")[0]
    assert dropped.turns[0][0] == f"{MARKER}Describe."


def test_an_alpaca_entry_and_a_system_turn(folder: Path) -> None:
    columns = {"prompt": "ask", "query": "more", "response": "say", "images": "images"}
    file = info(folder, formatting=..., columns=columns, tags=...)
    write_rows(
        folder / "sub/t.json", [{"ask": "<image>Describe.", "more": "Briefly.", "say": ANSWER, "images": "0.png"}]
    )
    assert read_source(f"{file}:med")[0][0].turns == ((f"{MARKER}Describe.\nBriefly.", ANSWER),)
    rows = [row(message("system", "Be brief."), USER, ASSISTANT), row(message("system", ""), USER, ASSISTANT)]
    [kept, empty], _ = read_source(str(write_rows(folder / "t.json", rows)), system="question")
    assert kept.turns[0][0] == f"{MARKER}Be brief.\nDescribe." and empty.turns[0][0] == f"{MARKER}Describe."


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ({"file_name": "/etc/t.json"}, "relative to its folder"),
        ({"file_name": "C:\\t.json"}, "relative to its folder"),
        ({"file_name": "../t.json"}, "leads out"),
        ({"file_name": "link.json"}, "leads out"),
        ({"file_name": "gone.json"}, "not there"),
        ({"file_name": "sub"}, "neither a .json"),
        ({"file_name": ...}, "names no file"),
        ({"hf_hub_url": "someone/set"}, "elsewhere"),
        ({"script_url": "make.py"}, "elsewhere"),
        ({"cloud_file_name": "s3://bucket/set"}, "elsewhere"),
        ({"formatting": "openai"}, "neither sharegpt nor alpaca"),
        ({"ranking": True}, "ranks"),
        ({"num_samples": 5}, "by chance"),
        ({"columns": {"messages": "messages"}}, "no images"),
        ({"columns": ...}, "no images"),
        ({"columns": {"messages": "messages", "images": "images", "videos": "videos"}}, "only texts and images"),
        ({"tags": {"role_tag": "role"}}, "tags lack"),
    ],
)
def test_entries_that_lead_elsewhere_are_refused(folder: Path, stated: dict[str, Any], reason: str) -> None:
    inner = folder / "set"
    inner.mkdir()
    (folder / "outside.json").write_text("[]")
    (inner / "link.json").symlink_to(folder / "outside.json")
    with pytest.raises(DatasetError, match=reason):
        entry(info(inner, **stated), "med")


def test_other_entries_stay_and_names_are_not_taken_over(folder: Path) -> None:
    [sample] = read_training(write_rows(folder / "in.json", [row()]))
    file = info(folder)
    before = json.loads(file.read_text())
    assert write_sharegpt([sample], folder / "new.json") == "new"
    assert json.loads(file.read_text()) == before | {"new": json.loads(file.read_text())["new"]}
    for name in ("med", "a,b", "a:b"):
        with pytest.raises(UsageError):
            write_sharegpt([sample], folder / "new.json", name=name)
    marked = replace(sample, turns=(*sample.turns, ("And <video>?", "x")))
    with pytest.raises(DatasetError) as error:
        write_sharegpt([sample, marked], folder / "marked.json")
    assert error.value.rows[0][0] == 2 and not (folder / "marked.json").exists()


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    data.register(parser)
    return data.run(parser.parse_args(list(words)))


def test_split_and_leakage_work_on_sharegpt_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row(images=(f"{n}.png",), patient=f"P{n // 2}", answer_type="OPEN") for n in range(16)]
    for number in range(16):
        picture(tmp_path / f"{number}.png", number)
    file = write_rows(tmp_path / "t.jsonl", rows)
    parts = ("split", str(file), "--output", str(tmp_path), "--test", "0.4", "--validation", "0", "--seed", "1")
    assert run(*parts) == 0
    train, test = read_training(tmp_path / "train.json"), read_questions(tmp_path / "test.jsonl")
    assert len(train) + len(test) == 16 and train and test
    assert not {one.about.patient for one in train} & {one.about.patient for one in test}
    assert test[0].text == "Describe." and test[0].reference == ANSWER and test[0].form == "OPEN"
    assert run("validate", str(tmp_path / "train.json"), "--against", str(tmp_path / "test.jsonl")) == 0
    assert "Nobody is in both." in capsys.readouterr().out
    assert run("validate", str(file), "--against", str(tmp_path / "test.jsonl")) == 3


def test_the_command_converts_both_ways(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = info(folder)
    rows = [row(id="a"), row(message("user", "<image>Where?"), message("assistant", "左肺"), id="b")]
    write_rows(folder / "sub/t.json", rows)
    there, back = folder / "libra.json", folder / "lf.json"
    assert run("convert", f"{file}:med", str(there), "--to", "libra", "--join-questions", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["read"], told["samples"], told["questions"]) == (2, 1, 2)
    assert "左肺" in there.read_text(encoding="utf-8")
    [joined] = read_training(there)
    assert joined.turns == ((f"{MARKER}Describe.", ANSWER), ("Where?", "左肺"))
    assert run("convert", str(there), str(back), "--to", "sharegpt", "--one-question-each", "--line-after-image") == 0
    first, second = json.loads(back.read_text(encoding="utf-8"))
    assert first["messages"][0]["content"] == "<image>\nDescribe." and first["images"] == ["0.png"]
    assert (second["id"], second["messages"][1]["content"]) == ("a#2", "左肺")
    assert run("validate", str(back)) == 0
    with pytest.raises(UsageError, match="there already"):
        run("convert", str(there), str(back), "--to", "sharegpt")
    with pytest.raises(UsageError, match="Name one of its data sets"):
        run("convert", str(file), str(folder / "x.json"), "--to", "libra")


def test_images_elsewhere_are_named_from_their_own_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_rows(folder / "t.json", [row()])
    output = folder / "made/deep/lf.json"
    assert run("convert", str(file), str(output), "--to", "sharegpt") == 0
    assert "media_dir" in capsys.readouterr().err
    assert json.loads(output.read_text())[0]["images"] == ["0.png"]
    assert read_training(output, folder)[0].images == (folder / "0.png",)


def test_the_published_demonstration_is_read(shared: Path, tmp_path: Path) -> None:
    import subprocess
    import sys

    script = shared / "prototypes/studio/make_dataset.py"
    subprocess.run([sys.executable, str(script), str(tmp_path / "data")], check=True)
    found, images = read_source(str(tmp_path / "data" / INFO) + ":mllm_med")
    assert len(found) == 16 and images == tmp_path / "data" and all(one.images[0].is_file() for one in found)
    assert issues(tmp_path / "data/mllm_data/mllm_test.json").keys() == {1, 2, 3, 4}, "its paths start one folder up"
