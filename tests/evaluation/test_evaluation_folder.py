"""An evaluation's folder: who answers, in which wording, what is noted, and how it goes on after an interruption."""

from __future__ import annotations

import json
from pathlib import Path

import echo
import pytest
from echo import Echo, model_folder, question_file

from engine.datasets.libra import Question, read_answers, read_questions
from engine.drafting import Decoding
from engine.errors import DatasetError, ModelError, UsageError
from engine.evaluation.answering import answer
from engine.evaluation.contenders import Contender, Prompt, contenders, prompts
from engine.evaluation.folder import Asked, Folder
from engine.evaluation.running import Way, run


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Two models, an adapter that names one of them, and a model that was trained from the other."""
    root = tmp_path / "models"
    model_folder(root / "first")
    model_folder(root / "second")
    model_folder(root / "lora", base="first")
    tuned = model_folder(root / "tuned")
    (tuned / "training.json").write_text(json.dumps({"base": {"name": "second"}}))
    merged = model_folder(root / "merged")
    (merged / "interval.json").write_text(json.dumps({"base": "second"}))
    return root


def names(found: list[Contender]) -> list[str]:
    return [one.name for one in found]


def test_models_are_named_by_folder_adapter_or_as_one_likes(models: Path) -> None:
    first, lora = str(models / "first"), str(models / "lora")
    assert names(contenders([first, str(models / "second")])) == ["first", "second"]
    (one,) = contenders([f"{first}+{lora}"], with_bases=False)
    assert (one.name, one.model, one.adapter) == ("first+lora", models / "first", models / "lora")
    (one,) = contenders([f"mine={first}+{lora}"], with_bases=False)
    assert (one.name, one.adapter) == ("mine", models / "lora")
    (one,) = contenders([first], adapter=models / "lora", with_bases=False)
    assert one.adapter == models / "lora"
    plus = model_folder(models / "a+b=c")
    assert contenders([str(plus)])[0].model == plus


def test_the_model_a_tuned_one_was_made_from_answers_as_well(models: Path) -> None:
    found = contenders([str(models / name) for name in ("lora", "tuned", "merged")])
    assert names(found) == ["first", "lora", "second", "tuned", "merged"]
    assert [one.tuned_from for one in found] == ["", "first", "", "second", "second"]
    assert names(contenders([str(models / "lora")], with_bases=False)) == ["lora"]
    found = contenders([str(models / "tuned"), f"base={models / 'second'}"])
    assert [(one.name, one.tuned_from) for one in found] == [("tuned", "base"), ("base", "")]
    wording = [Prompt("short", "Say it shortly."), Prompt("own", "")]
    found = contenders([f"{models / 'first'}+{models / 'lora'}"], prompts=wording)
    assert names(found) == ["first@short", "first@own", "first+lora@short", "first+lora@own"]
    assert found[2].tuned_from == "first@short"


@pytest.mark.parametrize(
    ("words", "error"),
    [([], UsageError), (["nowhere"], ModelError), (["{0}+nowhere"], ModelError), (["bad name={0}"], UsageError),
     (["{0}", "{0}"], UsageError), (["=x"], UsageError)],
)  # fmt: skip
def test_words_that_name_nothing(models: Path, words: list[str], error: type[Exception]) -> None:
    with pytest.raises(error):
        contenders([word.format(models / "first") for word in words])


def test_wordings(models: Path) -> None:
    (short, own) = prompts(["short=Be brief.", "own="])
    question = Question("q", (), "<image>\nDescribe. Following clinical context: Cough.")
    assert short.of(question).text == "<image>\nBe brief. Following clinical context: Cough."
    assert short.of(Question("q", (), "Describe.")).text == "Be brief."
    assert own.of(question) is question
    for words in (["x"], ["a b=c"], ["a=b", "a=c"]):
        with pytest.raises(UsageError):
            prompts(words)
    with pytest.raises(UsageError, match="behind its own"):
        contenders([str(models / "first"), str(models / "second")], adapter=models / "lora")


def evaluation(tmp_path: Path, count: int = 4, decoding: Decoding | None = None) -> tuple[Folder, list[Question]]:
    file = question_file(tmp_path / "data", count)
    asked = Asked(file, None, "true", None, {"max_new_tokens": (decoding or Decoding()).max_new_tokens})
    return Folder.create(tmp_path / "evaluation", asked), read_questions(file)


def test_all_contenders_answer_one_after_the_other(tmp_path: Path, models: Path) -> None:
    folder, questions = evaluation(tmp_path)
    found = contenders([str(models / "first"), str(models / "lora")], prompts=prompts(["own=", "short=Be brief."]))
    loaded: list[str] = []

    def load(one: Contender) -> Echo:
        loaded.append(one.name)
        return Echo(one.model.name)

    told: list[tuple[str, int, int]] = []
    runs = run(folder, found, questions, load, Way(Decoding()), report=lambda *said: told.append(said))
    assert loaded == ["first@own", "lora@own"]  # one loading for both wordings
    assert told[:4] == [("first@own", number, 4) for number in (1, 2, 3, 4)]
    assert all(one.whole and one.outcome is not None and one.outcome.written == 4 for one in runs)
    answers = read_answers(folder.answers("first@short"))
    assert answers["q0"].text == "first: Be brief." and "clinical context: Cough." in answers["q0"].prompt
    entries = {entry["name"]: entry for entry in folder.document()["contenders"]}
    assert entries["lora@short"]["tuned_from"] == "first@short"
    assert entries["first@own"]["sha256"] == "first" * 4 and entries["first@own"]["dtype"] == "float32"
    assert entries["first@short"]["prompt"] == {"name": "short", "text": "Be brief."}
    assert entries["first@own"]["ended"] >= entries["first@own"]["began"]


def test_it_goes_on_where_it_was_and_keeps_what_there_is(tmp_path: Path, models: Path) -> None:
    folder, questions = evaluation(tmp_path)
    found = contenders([str(models / "first"), str(models / "second")])
    broken = {"first": Echo("first", fails=ModelError("The model computed NaN."), after=2), "second": Echo("second")}
    runs = run(folder, found, questions, lambda one: broken[one.name], Way(Decoding()))
    assert [type(one.error) for one in runs] == [ModelError, type(None)]
    assert [one.whole for one in runs] == [False, True]
    assert "NaN" in folder.document()["contenders"][0]["error"]
    with pytest.raises(UsageError, match="--resume"):
        run(folder, found, questions, lambda one: Echo(one.name), Way(Decoding()))
    loaded: list[str] = []

    def load(one: Contender) -> Echo:
        loaded.append(one.name)
        return Echo(one.name)

    runs = run(folder, found, questions, load, Way(Decoding(), resume=True))
    assert loaded == ["first"]  # the other has answered all
    assert [(one.outcome.written, one.outcome.kept) for one in runs if one.outcome] == [(2, 2), (0, 4)]
    assert folder.document()["contenders"][0]["error"] is None
    assert len(read_answers(folder.answers("first"))) == 4


def test_another_precision_or_model_does_not_go_on(tmp_path: Path, models: Path) -> None:
    folder, questions = evaluation(tmp_path)
    found = contenders([str(models / "first")])
    run(folder, found, questions[:2], lambda one: Echo(one.name), Way(Decoding()))
    for other in ({"dtype": "bfloat16"}, {"quantization": "nf4"}, {"sha256": "other"}):
        engine = Echo("first", **other)
        (again,) = run(folder, found, questions, lambda _, engine=engine: engine, Way(Decoding(), resume=True))
        assert isinstance(again.error, UsageError)
        if "sha256" not in other:
            assert "--dtype float32 --quantization none" in str(again.error)
    assert len(read_answers(folder.answers("first"))) == 2


def test_a_run_whose_precision_changed_in_the_middle_goes_on_in_either(tmp_path: Path) -> None:
    questions = read_questions(question_file(tmp_path))
    output = tmp_path / "answers.jsonl"
    answer(Echo("m"), questions[:1], output, decoding=Decoding())
    lines = output.read_text()
    output.write_text(lines + lines.replace('"q0"', '"q1"').replace("float32", "bfloat16"))
    outcome = answer(Echo("m", dtype="bfloat16"), questions, output, decoding=Decoding(), resume=True)
    assert (outcome.kept, outcome.written) == (2, 2)
    with pytest.raises(UsageError, match="float16"):
        answer(Echo("m", dtype="float16"), questions, output, decoding=Decoding(), resume=True)


def test_questions_put_otherwise_do_not_go_on(tmp_path: Path) -> None:
    questions = read_questions(question_file(tmp_path))
    output = tmp_path / "answers.jsonl"
    answer(Echo("m"), questions[:1], output, decoding=Decoding())
    changed = read_questions(question_file(tmp_path, text="Something else."))
    with pytest.raises(UsageError, match="put otherwise"):
        answer(Echo("m"), changed, output, decoding=Decoding(), resume=True)


def test_a_folder_is_of_one_set_of_questions(tmp_path: Path) -> None:
    folder, _ = evaluation(tmp_path)
    evaluation(tmp_path)  # the same again
    with pytest.raises(UsageError, match="decoding"):
        evaluation(tmp_path, decoding=Decoding(max_new_tokens=7))
    with pytest.raises(UsageError, match="questions"):
        evaluation(tmp_path, 3)
    other = Asked(tmp_path / "data" / "questions.jsonl", None, "true", None, {})
    with pytest.raises(UsageError, match="something else"):
        Folder.create(tmp_path / "data", other)
    with pytest.raises(DatasetError):
        Folder.find(tmp_path)
    assert Folder.find(folder.path).document()["asked"]["prior"] == "true"
    folder.enter(Contender("x", tmp_path / "a"))
    with pytest.raises(UsageError, match="NAME=MODEL"):
        folder.enter(Contender("x", tmp_path / "b"))


def test_the_command(tmp_path: Path, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = question_file(tmp_path / "data")
    output = tmp_path / "evaluation"
    command = ["evaluate", "--questions", str(file), "--output", str(output), "--json", "--prompt", "short=Be brief."]
    command += ["--model", str(models / "first"), "--model", f"{models / 'second'}+{models / 'lora'}"]
    assert echo.main(tmp_path, command) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert [one["name"] for one in document["contenders"]] == ["first@short", "second@short", "second+lora@short"]
    assert all(one["whole"] and one["written"] == 4 for one in document["contenders"])
    assert "score" in err
    assert echo.main(tmp_path, command) == 2
    assert "--resume" in capsys.readouterr().err
    assert echo.main(tmp_path, [*command, "--resume"]) == 0
    single = ["evaluate", "--questions", str(file), "--output", str(tmp_path / "a.jsonl"), "--model"]
    assert echo.main(tmp_path, [*single, str(models / "first"), "--model", str(models / "second")]) == 2
    assert "--output DIR" in capsys.readouterr().err
    assert echo.main(tmp_path, [*single, str(models / "first")]) == 0
    assert len(read_answers(tmp_path / "a.jsonl")) == 4


def test_what_was_left_out_is_said(tmp_path: Path, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = question_file(tmp_path / "data")
    (tmp_path / "data" / "a.png").write_bytes(b"no picture")
    command = ["evaluate", "--questions", str(file), "--output", str(tmp_path / "out"), "--model"]
    assert echo.main(tmp_path, [*command, str(models / "first")]) == 3
    assert "4 questions left out" in capsys.readouterr().err
    question_file(tmp_path / "data")
    assert echo.main(tmp_path, [*command, str(models / "first"), "--resume"]) == 0
    assert not list((tmp_path / "out" / "answers").glob("*.failed.json"))
