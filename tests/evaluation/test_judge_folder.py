"""A judge and an evaluation's folder: what is asked once, what is kept, and what scoring makes of it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import echo
import judge_server
import pytest
import short_answers
from judge_server import Server

from engine.datasets.libra import Answer, Reference
from engine.errors import DatasetError, ModelError, UsageError
from engine.evaluation.assessment import assess, to_judge
from engine.evaluation.cases import UNREADABLE, Judgement, read_cases
from engine.evaluation.folder import Asked, Folder
from engine.evaluation.judge import asking, kept
from engine.evaluation.judge.asking import Declined, judge_all
from engine.evaluation.judge.human import keep_grades, kept_grades
from engine.evaluation.judge.kept import Item
from engine.evaluation.judge.results import items
from engine.evaluation.judge.verdict import Message
from engine.evaluation.keys import JUDGED
from engine.evaluation.report import document
from engine.evaluation.report_blocks import Table, Text

COUNT = 40


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return short_answers.folder(tmp_path, COUNT)


@pytest.fixture
def server() -> Iterator[Server]:
    with judge_server.running() as found:
        yield found


class Stand:
    """A judge in this process; ``says`` maps an answer to a reply, an exception is raised."""

    id = "stand-in"

    def __init__(
        self, says: dict[str, str | Exception] | None = None, usual: str = judge_server.verdict("correct")
    ) -> None:
        self.says, self.usual = says or {}, usual
        self.asked: list[list[Message]] = []

    def reply(self, messages: Sequence[Message]) -> str:
        self.asked.append(list(messages))
        said = next(
            (reply for text, reply in self.says.items() if f"<answer>\n{text}\n" in messages[1]["content"]), self.usual
        )
        if isinstance(said, Exception):
            raise said
        return said


def item(number: int, answer: str) -> Item:
    return Item(f"q{number}", "Is it?", "yes", answer)


def score(folder: Folder, *words: str) -> int:
    return echo.main(folder.path, ["score", str(folder.path), *words])


def test_the_command_judges_scores_and_writes_one_file_for_each_model(
    folder: Folder, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(folder, "--judge", server.url, "--json") == 0
    out, err = capsys.readouterr()
    assert "are sent to the program that listens at 127.0.0.1" in err and "no headline" in err
    scores = json.loads(out)
    said = scores["judge"]
    assert said["judge"].startswith("judge-1 at ") and not said["headline"] and "opinion" in said["caution"]
    before, after = (
        json.loads((folder.path / f"evaluation_{name}.json").read_text()) for name in ("pretrained", "finetuned")
    )
    assert (before["total_responses"], before["valid_responses"], before["correct_rate"]) == (40, 40, 0.5)
    assert after["correct_rate"] == 0.8 and after["incorrect_rate"] == 0.2 and after["neutral_rate"] == 0
    assert (
        after["average_confidence"] == 5 and after["confidence_completeness"] == 1 and after["invalid_format_rate"] == 0
    )
    assert after["denominators"] == {"valid": 40, "total": 40} and after["judge"] == said["judge"]
    assert after["intervals"]["correct_rate"][0] < 0.8 < after["intervals"]["correct_rate"][1]
    assert "not the model's" in after["note"] and after["calibration"] is None
    entry = said["models"]["finetuned"]
    table = entry["differences"]["judge_correct_rate"]
    # wrong before: 20 of 40; wrong after: 8, of which 4 were wrong before as well
    assert table["mcnemar"] == {"against_only": 4, "this_only": 16, "items": 40, "p": pytest.approx(0.01182, abs=1e-5)}
    assert table["value"] == 30 and "finetuned against pretrained" in entry["sentence"]
    assert scores["models"]["finetuned"]["scores"]["judge_correct_rate"]["value"] == 80
    assert "judge_correct_rate" not in scores["tested"] and "judge_correct_rate" not in scores["headline"]
    assert entry["sentence"] in err


def test_what_was_judged_is_never_asked_again(
    folder: Folder, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(folder, "--judge", server.url) == 0
    # four questions, each answered rightly or wrongly in one way: eight things to say, asked once
    assert len(server.bodies) == 8
    assert not any("pretrained" in json.dumps(body) or "finetuned" in json.dumps(body) for body in server.bodies)
    for name in ("pretrained", "finetuned"):
        assert len((folder.path / "judge" / f"{name}.jsonl").read_text().splitlines()) == COUNT
    capsys.readouterr()
    before = (folder.path / "scores.json").read_text()
    assert score(folder, "--judge", server.url) == 0
    assert "0 answers graded now, 80 known" in capsys.readouterr().err
    assert score(folder) == 0  # and without it the figures stay
    assert len(server.bodies) == 8
    after = json.loads((folder.path / "scores.json").read_text())
    assert {**json.loads(before), "made": ""} == {**after, "made": ""}


def test_another_answer_or_another_judge_is_another_question(folder: Folder, server: Server) -> None:
    assert score(folder, "--judge", server.url) == 0
    said = folder.answers("finetuned").read_text().replace(short_answers.WRONG, "It is perhaps.")
    folder.answers("finetuned").write_text(said)
    found = assess(folder).judge
    assert found is not None and found.not_judged == {"pretrained": 0, "finetuned": 8}
    assert found.summaries["finetuned"].total_responses == 32
    assert score(folder, "--judge", server.url) == 0
    assert len(server.bodies) == 12
    found = assess(folder).judge
    assert found is not None and found.summaries["finetuned"].neutral_rate == 0.2
    server.models = ["judge-2"]
    server.answers = lambda *_: (401, {})
    assert score(folder, "--judge", server.url) == 4
    assert (assess(folder).judge or pytest.fail()).judge.startswith("judge-1")  # one that says nothing takes no place
    server.answers = lambda *_: None
    server.bodies.clear()
    assert score(folder, "--judge", server.url) == 0
    assert len(server.bodies) == 10  # nobody says "Unclear." any more to two of the questions
    lines = (folder.path / "judge" / "finetuned.jsonl").read_text().splitlines()
    assert {json.loads(line)["judge"].split()[0] for line in lines} == {"judge-1", "judge-2"}
    assert (assess(folder).judge or pytest.fail()).judge.startswith("judge-2")


def test_a_reply_that_cannot_be_read_is_asked_for_again_once_and_then_stays_so(tmp_path: Path) -> None:
    judge = Stand({"bad": "I think it is right."})
    done = judge_all(tmp_path, judge, {"m": [item(1, "good"), item(2, "bad")]})
    assert (done.asked, done.known, done.left_out) == (2, 0, 0)
    first, second, third = judge.asked
    assert third[:2] == second and third[2]["content"] == "I think it is right."
    assert "no JSON object" in third[3]["content"] and first != second
    rows = [json.loads(line) for line in kept.file_of(tmp_path, "m").read_text().splitlines()]
    assert rows[0]["verdict"] == "correct" and rows[0]["reason"] and rows[0]["invalid"] is None
    assert rows[1]["verdict"] is None and "no JSON" in rows[1]["invalid"] and len(rows[1]["replies"]) == 2
    assert judge_all(tmp_path, judge, {"m": [item(1, "good"), item(2, "bad")]}).known == 2
    assert len(judge.asked) == 3


def test_what_ends_it_loses_nothing_and_it_goes_on(tmp_path: Path) -> None:
    asked = {"m": [item(number, f"a{number}") for number in range(4)]}
    told: list[tuple[int, int]] = []
    with pytest.raises(ModelError):
        judge_all(tmp_path, Stand({"a2": ModelError("gone")}), asked, lambda *said: told.append(said))
    assert told == [(1, 4), (2, 4)]
    file = kept.file_of(tmp_path, "m")
    whole = file.read_text()
    assert whole.count("\n") == 2
    file.write_text(whole + '{"question_id": "q2", "ke')  # as if the power had gone
    judge = Stand({"a0": "\ud83d is half a character"})
    done = judge_all(tmp_path, judge, asked)
    assert (done.asked, done.known) == (2, 2)
    assert file.read_text().startswith(whole)
    assert [json.loads(line)["question_id"] for line in file.read_text().splitlines()] == ["q0", "q1", "q2", "q3"]


def test_answers_that_a_judge_declines_are_left_out_and_told_unless_it_declines_them_all(
    folder: Folder, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers = lambda body, _: (413, {}) if "pleural effusion.\n" in body["messages"][1]["content"] else None
    assert score(folder, "--judge", server.url) == 0
    err = capsys.readouterr().err
    assert "could not be put to the judge" in err
    found = assess(folder)
    assert found.judge is not None and found.judge.not_judged["finetuned"] == 8
    texts = [block.text for block in document(found, "x").blocks if isinstance(block, Text)]
    assert any("Not judged" in text and "finetuned 8" in text for text in texts)
    refusing = Stand(usual="")
    refusing.says = {f"a{number}": Declined("too long") for number in range(9)}
    with pytest.raises(ModelError, match=f"declined {asking.PATIENCE} answers in a row: too long"):
        judge_all(tmp_path / "other", refusing, {"m": [item(number, f"a{number}") for number in range(9)]})
    assert len(refusing.asked) == asking.PATIENCE
    again = Stand({"bad": "x"})
    again.reply = lambda messages: (_ for _ in ()).throw(Declined("long")) if len(messages) > 2 else "x"  # type: ignore[method-assign]
    judge_all(tmp_path / "third", again, {"m": [item(1, "bad")]})
    assert json.loads(kept.file_of(tmp_path / "third", "m").read_text())["replies"] == ["x"]


def test_both_denominators_stand_in_the_report(folder: Folder, server: Server) -> None:
    server.says = lambda body: "Hm." if short_answers.WRONG in json.dumps(body) else judge_server.by_words(body)
    assert score(folder, "--judge", server.url) == 0
    found = assess(folder)
    tables = [block for block in document(found, "x").blocks if isinstance(block, Table)]
    rows = {row[0]: row for table in tables if table.head[0] == "By the judge" for row in table.rows}
    assert rows["Answers judged"][2:] == ("40", "40") and rows["Replies that can be read"][2:] == ("20", "32")
    assert rows["Judged correct"][2].startswith("100.0") and rows["Judged correct, of all"][2].startswith("50.0")
    assert rows["Replies of the judge that cannot be read"][3].startswith("20.0")
    headlines = next(table for table in tables if table.head[:2] == ("Score", "Better"))
    assert not any("Judged" in row[0] for row in headlines.rows)
    plain = json.loads((folder.path / "evaluation_pretrained.json").read_text())
    assert (plain["correct_rate"], plain["correct_rate_total"], plain["invalid_format_rate"]) == (1, 0.5, 0.5)


def test_peoples_grades_decide_whether_a_judge_is_quoted(
    folder: Folder, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grades = tmp_path / "grades.jsonl"

    def grade(agreeing: int) -> None:
        rows = [
            {
                "question_id": f"q{number}",
                "model": name,
                "verdict": "incorrect" if (number % each == 0) == (number < agreeing) else "correct",
            }
            for name, each in (("pretrained", 2), ("finetuned", 5))
            for number in range(COUNT)
        ]
        grades.write_text("".join(json.dumps(row) + "\n" for row in rows))

    grade(COUNT)
    with pytest.raises(UsageError, match="nobody has judged"):
        assess(folder, grades=grades)
    assert score(folder, "--judge", server.url, "--human", str(grades)) == 0
    assert "kappa 1.00" in capsys.readouterr().err
    found = assess(folder, grades=grades)
    assert found.judge is not None and found.judge.headline
    tables = [block for block in document(found, "x").blocks if isinstance(block, Table)]
    headlines = next(table for table in tables if table.head[:2] == ("Score", "Better"))
    assert any(row[0] == "Judged correct" for row in headlines.rows)
    grade(25)
    assert score(folder, "--human", str(grades), "--json") == 0
    out, err = capsys.readouterr()
    assert "DOES NOT GRADE AS PEOPLE DO" in err and not json.loads(out)["judge"]["headline"]
    calibration = json.loads((folder.path / "evaluation_finetuned.json").read_text())["calibration"]
    assert calibration["graded"] == 80 and calibration["kappa"] < 0.6


def test_a_judge_sees_no_image_no_context_and_nobodys_name(folder: Folder) -> None:
    found = to_judge(folder)
    assert list(found) == ["pretrained", "finetuned"] and len(found["finetuned"]) == COUNT
    assert [one.question for one in found["pretrained"]][:4] == [text for text, *_ in short_answers.ASKED]
    question = "<image>\nIs it? Following clinical context: Indication: Mr Phantom coughs."
    (one,) = items(
        {"q": Reference("yes", question=question), "r": Reference("no")}, {"q": Answer("q", "", "No.", "a", "m")}
    )
    assert (one.question, one.reference, one.answer) == ("Is it?", "yes", "No.")


@pytest.mark.parametrize(
    ("words", "told"),
    [(["--judge", "http://192.0.2.1:8000"], "--judge-anywhere"), (["--judge", "nowhere"], "no model to judge"),
     (["--judge-anywhere"], "goes with --judge"), (["--judge", "nowhere", "--judge-model", "m"], "goes with --judge")],
)  # fmt: skip
def test_what_is_wrong_with_a_judge_is_said_before_anything_is_answered(
    tmp_path: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = echo.model_folder(tmp_path / "models" / "one")
    file = short_answers.written(tmp_path / "q.jsonl", short_answers.rows(4))
    command = [
        "evaluate",
        "--questions",
        str(file),
        "--output",
        str(tmp_path / "out"),
        "--model",
        str(model),
        "--score",
    ]
    assert echo.main(tmp_path, [*command, *words]) in (2, 4)
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_evaluate_takes_a_judge_as_well(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    model = echo.model_folder(tmp_path / "models" / "one")
    echo.question_file(tmp_path)
    content = [row | {"image": "a.png"} for row in short_answers.rows(4)]
    file = short_answers.written(tmp_path / "q.jsonl", content)
    command = [
        "evaluate",
        "--questions",
        str(file),
        "--output",
        str(tmp_path / "out"),
        "--model",
        f"pretrained={model}",
    ]
    assert echo.main(tmp_path, [*command, "--judge", server.url]) == 0
    assert json.loads((tmp_path / "out" / "evaluation_pretrained.json").read_text())["total_responses"] == 4
    assert echo.main(tmp_path, [*command, "--human", str(file), "--resume"]) == 2
    assert "--human is for scoring" in capsys.readouterr().err


def test_reports_are_not_judged(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    model = echo.model_folder(tmp_path / "models" / "one")
    file = echo.question_file(tmp_path / "data")
    command = ["evaluate", "--questions", str(file), "--output", str(tmp_path / "out"), "--model", str(model)]
    assert echo.main(tmp_path, command) == 0
    assert echo.main(tmp_path, ["score", str(tmp_path / "out"), "--judge", server.url]) == 2
    assert "look like reports: --task vqa" in capsys.readouterr().err and not server.bodies
    assert echo.main(tmp_path, ["score", "--predictions", str(file), "--references", str(file), "--judge", "x"]) == 2


def test_every_case_holds_what_the_judge_said_of_it(folder: Folder, server: Server) -> None:
    server.says = lambda body: "Hm." if "Unclear." in json.dumps(body) else judge_server.by_words(body)
    assert score(folder, "--judge", server.url) == 0
    found = {(case.system, case.id): case.judged for case in read_cases(folder.path / "cases.jsonl")}
    assert found["finetuned", "q1"] == Judgement("correct", False, 5, "as the reference")
    assert found["finetuned", "q0"] == Judgement(UNREADABLE, reason='it holds no JSON object with a "verdict"')
    assert found["usual-answer", "q0"] is None
    old = (folder.path / "cases.jsonl").read_text().replace('"judged"', '"said"')
    (folder.path / "cases.jsonl").write_text(old)  # as it was before there was a judge
    assert {case.judged for case in read_cases(folder.path / "cases.jsonl")} == {None}


def test_a_model_and_what_was_made_of_it_are_named_as_in_the_published_table(tmp_path: Path, server: Server) -> None:
    content = short_answers.rows(8)
    asked = Asked(short_answers.written(tmp_path / "q.jsonl", content), None, "none", None, {})
    made = Folder.create(tmp_path / "e", asked)
    texts = {str(row["question_id"]): str(row["reference"]) for row in content}
    short_answers.answer(made, "llava", texts)
    short_answers.answer(made, "llava+lora", texts, "llava")
    assert score(made, "--judge", server.url) == 0
    said = json.loads((made.path / "evaluation_finetuned.json").read_text())
    assert said["model"] == "llava+lora" and said["correct_rate"] == 1
    assert json.loads((made.path / "evaluation_pretrained.json").read_text())["model"] == "llava"
    short_answers.answer(made, "other", texts)
    assert score(made, "--judge", server.url) == 0
    files = {"evaluation.json", *(f"evaluation_{name}.json" for name in ("llava", "llava+lora", "other"))}
    assert {file.name for file in made.path.glob("evaluation*.json")} == files


def test_the_folders_own_grades_are_used_and_can_be_changed(folder: Folder, server: Server) -> None:
    assert score(folder, "--judge", server.url) == 0
    both = [(name, f"q{number}") for name in ("pretrained", "finetuned") for number in range(COUNT)]
    wrong = {(name, one): int(one[1:]) % (2 if name == "pretrained" else 5) == 0 for name, one in both}
    keep_grades(folder.path, {place: "incorrect" if wrong[place] else "correct" for place in both})
    keep_grades(folder.path, {("gone", "q0"): "neutral"})  # of a model that is no more: kept, and compared with nothing
    assert score(folder) == 0
    scores = json.loads((folder.path / "scores.json").read_text())
    assert scores["judge"]["calibration"]["kappa"] == 1 and scores["judge"]["calibration"]["graded"] == 80
    assert scores["headline"][-2:] == list(JUDGED) and scores["judge"]["headline"]
    rows = list(csv.DictReader((folder.path / "scores.csv").read_text().splitlines()))
    (row,) = [row for row in rows if (row["system"], row["score"]) == ("finetuned", "judge_correct_rate")]
    assert (row["only the other right"], row["only this right"], row["difference"]) == ("4", "16", "30.0")
    keep_grades(folder.path, {("finetuned", "q1"): None, ("finetuned", "q2"): "neutral"})
    found = kept_grades(folder.path)
    assert ("finetuned", "q1") not in found and found["finetuned", "q2"] == "neutral" and len(found) == 80
    (folder.path / "grades.jsonl").write_text("{}\n")
    with pytest.raises(DatasetError, match="grades"):
        keep_grades(folder.path, {("finetuned", "q1"): "correct"})
    assert (folder.path / "grades.jsonl").read_text() == "{}\n"
