"""What the evaluation page rests on: who can answer, what is asked in which words, what each evaluation is doing."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import evaluation_made
import pytest

from engine import paths
from engine.cli import evaluate as command
from engine.cli import main
from engine.cli import score as scoring
from engine.errors import DatasetError, NotFound, UsageError
from engine.jobs import files, queue
from engine.jobs.job import Job
from trainer_ui.services import (
    answering_models,
    evaluation_states,
    evaluation_words,
    evaluations,
    question_files,
    score_sheet,
)
from trainer_ui.services.answering_models import AnsweringModel
from trainer_ui.services.evaluation_words import Checkpoints, Wanted, Wording
from trainer_ui.services.evaluations import Evaluation

MakeJob = Callable[..., Job]
ADAPTER = {"peft_type": "LORA", "base_model_name_or_path": "base"}
LIBRA = {"model_type": "libra", "mm_projector_type": "TAC"}


@pytest.fixture
def models(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed model, what is none, a finished run on it, a run that goes on, and a merged model."""
    root = home / "models"
    monkeypatch.setattr(paths, "models", lambda: root)
    write(root / "base" / "config.json", LIBRA)
    write(root / "base" / "interval.json", {"demonstration": True})
    write(root / "owner" / "tower" / "config.json", {"model_type": "clip_vision_model"})
    write(root / "owner" / "words" / "config.json", {"architectures": ["LlamaForCausalLM"]})
    write(
        root / "owner" / "sees" / "config.json", {"architectures": ["XForConditionalGeneration"], "vision_config": {}}
    )
    write(root / "lost" / "adapter_config.json", {"base_model_name_or_path": "far/away"})
    for name, state in (("done one", "done"), ("going", "running")):
        run = home / "runs" / name
        write(run / "model" / "adapter_config.json", ADAPTER)
        write(run / "state.json", {"state": state})
        recipe = {"samples": str(home / "data" / "p" / "train.json"), "start": str(root / "base")}
        recipe |= {"validation": {"questions": str(home / "data" / "p" / "validation.jsonl")}}
        write(run / "recipe.yaml", recipe)
    write(home / "exports" / "merged" / "config.json", LIBRA)
    write(home / "exports" / "merged" / "interval.json", {"base": "base"})
    return root


def write(file: Path, content: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))
    return file


def question_rows(home: Path, name: str, patients: list[str], **more: Any) -> Path:
    lines = [
        {"question_id": f"{name}{number}", "image": ["a.png", "b.png"], "text": "<image>\nSay it.", "patient": patient}
        | {"reference": "No effusion."}
        | more
        for number, patient in enumerate(patients)
    ]
    file = home / "data" / "p" / f"{name}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_who_can_answer_is_told_by_small_files_alone(models: Path, home: Path) -> None:
    found = {one.name: one for one in answering_models.found()}
    assert list(found) == ["base", "lost", "sees", "done-one", "merged"]
    assert found["base"].words == "base (installed, demonstration)" and found["base"].lacks == ""
    assert found["done-one"].words == "done-one (of a run, adapter on base)"
    assert found["done-one"].base_path == models / "base"
    assert found["merged"].words == "merged (merged, made from base)"
    assert "away is not on this machine" in found["lost"].lacks
    assert answering_models.of_run("done one") == found["done-one"] and answering_models.of_run("going") is None
    assert answering_models.at(home / "exports" / "merged").source == "other"
    with pytest.raises(UsageError, match="no model"):
        answering_models.at(models / "owner")


def test_bases_answer_once_and_before_what_was_made_of_them(models: Path) -> None:
    found = {one.name: one for one in answering_models.found()}
    both = [found["merged"], found["done-one"]]
    assert [one.name for one in answering_models.who_answers(both, with_bases=True)] == ["base", "merged", "done-one"]
    assert [one.name for one in answering_models.who_answers(both, with_bases=False)] == ["merged", "done-one"]
    again = AnsweringModel(models / "owner" / "sees", "merged", "other")
    told = answering_models.who_answers([*both, again, found["base"]], with_bases=True)
    assert [one.name for one in told] == ["base", "merged", "done-one", "merged-2"]


def test_what_is_asked_comes_with_what_lies_beside_it(models: Path, home: Path) -> None:
    test = question_rows(home, "test", ["p1", "p2"])
    validation = question_rows(home, "validation", ["p3"])
    write(home / "data" / "p" / "train.json", [{"id": "a", "image": "a.png", "conversations": [], "patient": "p2"}])
    truth = home / "data" / "p" / "all" / "truth.jsonl"
    truth.parent.mkdir()
    truth.write_text('{"id": "test0"}\n')
    assert [one.path for one in question_files.known()] == [test, validation]
    assert question_files.truths(test) == () and question_files.truths(test, 1) == (truth,)
    assert question_files.trainings(test) == (home / "data" / "p" / "train.json",)
    assert question_files.content(test).words == (
        "2 questions, 2 patients; 2 with a prior image, 2 with a reference report"
    )
    assert question_files.held_out("done one") == test
    said = list(question_files.cautions(test, None, ("done one",)))
    assert len(said) == 2 and "Fewer than 30 patients" in said[0] and "has learnt from 1 of these patients" in said[1]
    assert any("its best step was chosen by it" in one for one in question_files.cautions(validation, 1, ("done one",)))
    test.unlink()
    assert question_files.held_out("done one") == validation
    assert question_files.held_out("no such run") is None


def test_a_form_becomes_words_that_the_command_understands(models: Path, home: Path, tmp_path: Path) -> None:
    found = {one.name: one for one in answering_models.found()}
    wanted = Wanted(
        "x", answering_models.who_answers([found["done-one"]], with_bases=True), tmp_path / "q.jsonl", images=tmp_path,
        truth=tmp_path / "t.jsonl", training=tmp_path / "train.json", prior="dummy", limit=7,
        wordings=(Wording("own"), Wording("short", " Be\nbrief. ")), beams=4, longest=100,
        checkpoints=Checkpoints(bertscore=tmp_path),
    )  # fmt: skip
    parser = argparse.ArgumentParser()
    command.register(parser)
    name, *words = evaluation_words.words(wanted, home / "evaluations" / "x")
    args = parser.parse_args(words)
    assert name == "evaluate" and args.score and args.dummy_prior and not args.no_base
    assert args.model == [f"base={models / 'base'}", f"done-one={home / 'runs' / 'done one' / 'model'}"]
    assert args.prompt == ["own=", "short=Be brief."]
    assert (args.questions, args.images, args.limit) == (tmp_path / "q.jsonl", tmp_path, 7)
    assert (args.truth, args.training) == (tmp_path / "t.jsonl", tmp_path / "train.json")
    assert (args.num_beams, args.max_new_tokens, args.bertscore) == (4, 100, tmp_path)
    assert args.output == home / "evaluations" / "x"
    shown = evaluation_words.command([name, *words])
    assert shown.startswith("python launch.py evaluate \\\n    --model base=") and "'short=Be brief.'" in shown


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"models": ()}, "at least one model"),
        ({"wordings": (Wording("a b", "x"),)}, "begins with a letter"),
        ({"wordings": (Wording("a", "x"), Wording("a", "y"))}, "same name"),
        ({"wordings": (Wording("a"), Wording("b"))}, "say nothing"),
    ],
)
def test_what_does_not_go_together_is_said(home: Path, change: dict[str, Any], words: str) -> None:
    settings = {"models": (AnsweringModel(home, "m", "other"),), "questions": home / "q.jsonl"} | change
    with pytest.raises(UsageError, match=words):
        evaluation_words.words(Wanted("x", **settings), home / "x")
    lost = AnsweringModel(home, "m", "other", base="b", adapter=True)
    with pytest.raises(UsageError, match="b is not on this machine"):
        evaluation_words.words(Wanted("x", (lost,), home / "q.jsonl"), home / "x")


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Path:
    """A copy of the small evaluation in the data folder of this test."""
    return evaluation_made.put(evaluation_made.made(tmp_path_factory.getbasetemp() / "evaluation"), home)


def now(name: str = evaluation_made.NAME) -> Evaluation:
    return evaluations.find(name)


def test_an_evaluation_that_is_scored_says_so_until_answers_come_after(folder: Path) -> None:
    one = now()
    assert (one.words, one.colour, one.live, one.resumable, one.scorable) == ("scored", "green", False, False, True)
    assert [answers.words for answers in one.models] == ["demo-tac: 6 of 6", "tuned: 6 of 6", "echo: 6 of 6"]
    assert one.questions == "eval.jsonl"
    later = time.time() + 10
    os.utime(folder / "answers" / "echo.jsonl", (later, later))
    assert now().words == "scored, but answers came after"
    (folder / "scores.json").unlink()
    assert now().words == "answered, not scored"


def test_one_that_ended_in_the_middle_goes_on_by_words_of_its_own(folder: Path) -> None:
    answers = folder / "answers" / "echo.jsonl"
    lines = answers.read_text().splitlines(keepends=True)
    answers.write_text("".join(lines[:4]))
    assert now().where == "answering" and "outside the studio" in now().why
    long_ago = time.time() - evaluation_states.SILENT_S - 1
    for file in (folder / "answers").iterdir():
        os.utime(file, (long_ago, long_ago))
    assert (now().where, now().models[2].words) == ("interrupted", "echo: 4 of 6")
    job = evaluations.resume(evaluation_made.NAME)
    assert (job.title, job.result) == ("Resume small", folder) and now().where == "waiting"
    # The words it was given are those the command goes on with: nothing is answered twice, and all is scored.
    document = json.loads((folder / "evaluation.json").read_text())
    with evaluation_made.models_stood_in(Path(document["asked"]["questions"]["file"])):
        assert main(list(job.words)) == 0
    after = answers.read_text().splitlines(keepends=True)
    assert after[:4] == lines[:4] and len(after) == 6
    assert json.loads((folder / "evaluation.json").read_text())["contenders"][1]["tuned_from"] == "demo-tac"
    assert (folder / "scores.json").stat().st_mtime > long_ago + 60
    with pytest.raises(UsageError, match="waiting"):
        evaluations.resume(evaluation_made.NAME)


def answered_before(folder: Path) -> None:
    """All answers are older than the end of the job."""
    for file in (folder / "answers").iterdir():
        os.utime(file, (time.time() - 60, time.time() - 60))


def test_words_of_a_job_are_gone_on_with_as_they_were(folder: Path, home: Path, make_job: MakeJob) -> None:
    make_job("crashed", "evaluate", folder)
    answered_before(folder)
    (folder / "answers" / "echo.jsonl").unlink()
    assert now().where == "interrupted"
    job = evaluations.resume(evaluation_made.NAME)
    assert job.words == ("data", "phantoms", "--resume", "--score")  # what the made-up job was called with


def test_a_model_that_could_not_answer_is_said_with_its_reason(folder: Path, make_job: MakeJob) -> None:
    make_job("failed", "evaluate", folder, exit_status=4)
    answered_before(folder)
    (folder / "answers" / "echo.jsonl").unlink()
    document = json.loads((folder / "evaluation.json").read_text())
    document["contenders"][2]["error"] = "There was no memory."
    write(folder / "evaluation.json", document)
    one = now()
    assert (one.where, one.why, one.resumable) == ("failed", "echo: There was no memory.", True)


@pytest.mark.parametrize(
    ("progress", "kind", "where"),
    [(None, "evaluate", "starting"), ("answers", "evaluate", "answering"), ("systems", "evaluate", "scoring"),
     (None, "score", "scoring")],
)  # fmt: skip
def test_its_job_says_what_it_is_at(
    folder: Path, make_job: MakeJob, progress: str | None, kind: str, where: str
) -> None:
    told = {"done": 1, "total": 3, "words": progress, "first": 0, "began": time.time() - 9, "updated": time.time()}
    job = make_job("running", kind, folder, **({"progress": told} if progress else {}))
    one = now()
    assert (one.where, one.live, one.stoppable, one.scorable) == (where, True, True, False)
    (job.folder / files.STOP).touch()
    assert now().where == "stopping" and not now().stoppable
    with pytest.raises(UsageError, match="Stop it first"):
        evaluations.delete(evaluation_made.NAME)


def test_one_that_has_not_begun_is_known_by_its_job(home: Path, make_job: MakeJob) -> None:
    make_job("queued", "evaluate", home / "evaluations" / "new")
    assert (now("new").where, now("new").begun, now("new").models) == ("waiting", False, ())
    evaluations.stop("new")
    assert now("new").where == "interrupted" and not now("new").resumable
    evaluations.delete("new")
    assert evaluations.overview() == ()
    make_job("failed", "evaluate", home / "evaluations" / "other", exit_status=2)
    assert "last lines of its job" in now("other").why
    with pytest.raises(NotFound, match="no evaluation"):
        evaluations.find("../jobs")


def test_names_are_free_and_cannot_lead_elsewhere(folder: Path, home: Path) -> None:
    assert evaluations.suggested("small") == "small-2" and evaluations.suggested("a/b: c") == "a-b- c"
    assert evaluations.fresh(" other ") == home / "evaluations" / "other"
    for name in ("", "../x", "small", "SMALL", ".x", "x/"):
        with pytest.raises(UsageError):
            evaluations.fresh(name)


def test_scoring_again_is_a_job_that_the_command_understands(folder: Path, home: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        evaluations.score("nowhere", "", Checkpoints())
    job = evaluations.score(evaluation_made.NAME, "echo", Checkpoints(chexbert=tmp_path))
    parser = argparse.ArgumentParser()
    scoring.register(parser)
    args = parser.parse_args(list(job.words[1:]))
    assert (job.words[0], args.folder, args.against, args.chexbert) == ("score", folder, "echo", tmp_path)
    assert evaluation_words.remembered() == Checkpoints(chexbert=tmp_path)


def test_deleting_leaves_nothing_and_takes_its_jobs_along(folder: Path, home: Path, make_job: MakeJob) -> None:
    make_job("done", "evaluate", folder)
    evaluations.delete(evaluation_made.NAME)
    assert list((home / "evaluations").iterdir()) == [] and queue.jobs() == ()


def test_the_questions_may_be_gone(folder: Path) -> None:
    document = json.loads((folder / "evaluation.json").read_text())
    document["asked"]["questions"]["file"] = str(folder / "nowhere.jsonl")
    write(folder / "evaluation.json", document)
    one = now()
    assert one.where == "scored" and one.models[0].words == "demo-tac: 6 of 6"
    write(folder / "evaluation.json", {"contenders": [{}]})
    with pytest.raises(UsageError, match="how it was begun"):
        evaluation_words.rebuilt(evaluations.document(folder), folder)
    (folder / "scores.json").write_text('{"models": 1}')
    with pytest.raises(DatasetError, match="score it again"):
        score_sheet.read(folder)
