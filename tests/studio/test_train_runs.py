"""Runs as they really are, what they have written down, and what can be done with them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_runs
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import paths
from engine.errors import NotFound, UsageError
from engine.jobs import queue
from engine.jobs.job import Job
from engine.training.run_folder import RunFolder
from trainer_ui.services import (
    differences,
    places,
    recipe_checks,
    recipes,
    run_compared,
    run_figures,
    runs,
    start_models,
)

MakeJob = Callable[..., Job]


@pytest.fixture
def made(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Path:
    """A finished run in the data folder."""
    return tiny_runs.run(tmp_path_factory, home)


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every recipe has been checked and may be started."""
    monkeypatch.setattr(recipe_checks, "look", lambda text: recipe_checks.Check("done"))


@pytest.fixture
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tiny_runs.phantoms(tmp_path_factory)
    places.allow(str(folder))
    return tiny_runs.text(folder)


def says(run: Path, **state: Any) -> None:
    """Let a run's folder say this."""
    file = run / "state.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | state))


def test_without_runs_there_are_none() -> None:
    assert runs.overview() == ()
    with pytest.raises(NotFound, match="no run x"):
        runs.find("x")


def test_a_finished_run_is_told_with_its_best(made: Path) -> None:
    (run,) = runs.overview()
    assert (run.where, run.words, run.live, run.stoppable, run.resumable) == ("done", "done", False, False, False)
    assert (run.stage, run.step, run.steps, run.share, run.title) == ("adapt", 4, 4, 1.0, "tiny")
    assert run.trained and run.best is not None and run.best.metric == "ROUGE-L"


def test_a_run_whose_process_is_gone_is_interrupted_whatever_its_folder_says(made: Path, make_job: MakeJob) -> None:
    says(made, state="running", updated=time.time() - 3600)
    (run,) = runs.overview()
    assert (run.where, run.words, run.resumable) == ("interrupted", "interrupted: can be resumed", True)
    job = make_job("crashed", "train", result=made)
    says(made, updated=time.time() - 11)  # while that job ran, which ended ten seconds ago
    assert runs.find(made.name).where == "interrupted" and runs.find(made.name).job == job.id


def test_a_run_of_a_terminal_counts_as_running_while_it_says_something(made: Path) -> None:
    says(made, state="running", updated=time.time(), seconds_left=610, step=1)
    run = runs.find(made.name)
    assert (run.where, run.why) == ("running", "It was started outside the studio.")
    assert runs.left(run) == "about 10 min" and run.share == 0.25
    runs.stop(made.name)
    assert RunFolder(made).asked_to_stop()
    with pytest.raises(UsageError, match="has not ended"):
        runs.delete(made.name)


@pytest.mark.parametrize(
    ("job", "updated", "where"),
    [("queued", -3600, "waiting"), ("running", -3600, "starting"), ("running", 3600, "running")],
)
def test_a_run_that_is_resumed_is_what_its_job_is(
    made: Path, make_job: MakeJob, job: str, updated: float, where: str
) -> None:
    says(made, state="running" if updated > 0 else "stopped", updated=time.time() + updated)
    make_job("crashed", "train", result=made)
    identity = make_job(job, "train", result=made).id
    run = runs.find(made.name)
    assert (run.where, run.job, run.live, run.resumable) == (where, identity, True, False)
    assert runs.signature((run,)) == ((made.name, where),)


def test_a_run_is_asked_to_stop_through_its_job(made: Path, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.jobs.process.Identity.interrupt", lambda self: None)  # the job's process is this one
    says(made, state="running", updated=time.time() + 60)
    job = make_job("running", "train", result=made)
    assert runs.stop(made.name).where == "stopping"
    assert queue.find(job.id).stopping
    with pytest.raises(UsageError, match="nothing to stop"):
        runs.stop(made.name)


def test_the_reason_of_a_failure_is_told(made: Path) -> None:
    says(made, state="failed", message="There is not enough memory for this training.")
    run = runs.find(made.name)
    assert (run.where, run.why, run.resumable) == ("failed", "There is not enough memory for this training.", True)


def test_a_run_that_waits_is_there_before_its_folder_is(
    text: str, passing: None, home: Path, make_job: MakeJob
) -> None:
    make_job("queued", "phantoms")
    first, second = runs.begin(text), runs.begin(text)
    assert first.name != second.name and not first.begun
    assert (first.where, second.why) == ("waiting", "It is number 3 in the queue.")
    job = queue.find(first.job)
    assert job.words == ("train", str(home / "recipes" / "tiny.yaml"), "--output", str(first.path))
    assert (home / "recipes" / "tiny.yaml").read_text() == text and (home / "recipes" / "tiny-2.yaml").exists()
    assert runs.stop(first.name).where == "stopped" and not runs.find(first.name).resumable
    runs.delete(first.name)
    assert [run.name for run in runs.overview()] == [second.name]


@pytest.mark.parametrize(("state", "where"), [("failed", "failed"), ("crashed", "interrupted"), ("stopped", "stopped")])
def test_a_run_that_never_began_is_told_so(home: Path, make_job: MakeJob, state: str, where: str) -> None:
    make_job(state, "train", result=home / "runs" / "x")
    run = runs.find("x")
    assert run.where == where and run.why and not run.resumable and not run.begun


def test_a_run_is_resumed_once(made: Path) -> None:
    with pytest.raises(UsageError, match="is done: there is nothing to resume"):
        runs.resume(made.name)
    says(made, state="stopped")
    run = runs.resume(made.name)
    assert run.where == "waiting" and queue.find(run.job).words == ("train", "--resume", str(made))
    with pytest.raises(UsageError, match="is waiting"):
        runs.resume(made.name)


def test_a_deleted_run_is_gone_with_its_jobs(made: Path, make_job: MakeJob) -> None:
    make_job("done", "train", result=made)
    other = make_job("done", "phantoms")
    runs.delete(made.name)
    assert not made.exists() and runs.overview() == () and list(made.parent.iterdir()) == []
    assert [job.id for job in queue.jobs()] == [other.id]


def test_a_run_whose_model_the_viewer_uses_is_not_deleted(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "better").symlink_to(made / "model", target_is_directory=True)
    monkeypatch.setattr(paths, "models", lambda: tmp_path / "models")
    with pytest.raises(UsageError, match="uses it as better"):
        runs.delete(made.name)
    assert made.exists()


def test_who_started_from_a_run_is_known(made: Path, tmp_path_factory: pytest.TempPathFactory, home: Path) -> None:
    other = tiny_runs.run(tmp_path_factory, home, "later-20260102-120000")
    file = other / "recipe.yaml"
    file.write_text(recipes.changed(file.read_text(), ("start",), str(made / "model")))
    assert runs.dependents(made.name) == (other.name,) and runs.dependents(other.name) == ()


def test_its_recipe_begins_another_one(made: Path) -> None:
    file = made / "recipe.yaml"
    file.write_text(file.read_text() + "output: somewhere\n")
    assert recipes.from_run(file) == file.read_text().replace("output: somewhere\n", "")
    with pytest.raises(UsageError, match="cannot be read"):
        recipes.from_run(made / "nothing.yaml")


def test_the_steps_that_were_announced_are_those_that_were_made(made: Path) -> None:
    (stage,) = recipes.amount(recipes.read((made / "recipe.yaml").read_text()))
    state = RunFolder(made).state()
    assert state is not None and stage.steps == state.steps
    assert stage.validations == len(run_figures.evaluations(made))


def test_the_figures_of_a_run_are_those_of_its_log(made: Path) -> None:
    drawn = run_figures.along(made)
    assert [x for x, _ in drawn.loss] == [1, 4] and [x for x, _ in drawn.held_out] == [2, 4]
    assert drawn.metric == "ROUGE-L" and drawn.best is not None
    assert drawn.best[1] == max(value for _, value in drawn.scores["ROUGE-L"])
    assert drawn.stages == (("adapt", 0.0, 4.0),) and not drawn.parts and not drawn.empty
    assert [x for x, _ in run_figures.along(made, seen=True).held_out] == [8, 16], "four samples a step"
    found = run_figures.evaluations(made)
    assert [(one.stage, one.step, len(one.written)) for one in found] == [("adapt", 2, 2), ("adapt", 4, 2)]
    assert all(one.reference for one in found[0].written)
    (memory,) = run_figures.memory(made)
    assert memory.planned and memory.probe and memory.peak and memory.room and memory.peak >= memory.probe
    speed = run_figures.speed(made)
    assert speed is not None and speed.samples == pytest.approx(speed.steps * 4)
    assert run_figures.data(made)["samples"] == 8
    assert {"model", "stages", "log.jsonl"} <= {part.name for part in run_figures.contents(made)}


log_lines = st.builds(
    lambda stage, step, kind: {"stage": stage, "step": step, **kind},
    st.sampled_from("ab"),
    st.integers(0, 9),
    st.sampled_from([{"loss": 1.0}, {"loss": 2.0}, {"evaluation": {"loss": 3.0}, "best": True}]),
)


@settings(deadline=None, max_examples=40)  # it writes files
@given(written=st.lists(log_lines, max_size=20))
def test_repeated_steps_count_once_as_training_itself_reads_them(
    written: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("run")
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in written))
    assert list(run_figures.lines(folder)) == RunFolder(folder).figures()


def test_what_is_added_to_a_log_is_seen(made: Path) -> None:
    before = run_figures.along(made)
    with (made / "log.jsonl").open("a") as log:
        log.write('{"stage": "adapt", "step": 9, "loss": 0.1, "seconds": 9}\n{"cut off')
    assert len(run_figures.along(made).loss) == len(before.loss) + 1


def test_a_run_that_has_just_begun_has_nothing_to_show_and_nothing_breaks(home: Path) -> None:
    folder = home / "runs" / "x"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text("[")
    assert runs.find("x").where == "interrupted"
    assert run_figures.along(folder).empty and run_figures.evaluations(folder) == ()
    assert run_figures.memory(folder) == () and run_figures.speed(folder) is None
    assert run_figures.data(folder) == {} and run_figures.settings(folder) == {}


def test_two_runs_differ_in_what_their_recipes_say_differently(
    made: Path, tmp_path_factory: pytest.TempPathFactory, home: Path
) -> None:
    other = tiny_runs.run(tmp_path_factory, home, "other-20260102-120000")
    pair = [runs.find(made.name), runs.find(other.name)]
    assert run_compared.differences(pair) == () and run_compared.same_questions(pair)
    file = other / "recipe.yaml"
    text = file.read_text()
    for place, value in (
        (("stages", 0, "learning_rate"), 2e-5),
        (("stages", 0, "lora"), None),
        (("name",), "other"),
        (("validation", "limit"), 4),
        (("seed",), 3.0),  # the same, written otherwise
        (("stages", 0, "schedule"), "cosine"),  # the default, written down
    ):
        text = recipes.changed(text, place, value)
    file.write_text(text)
    found = {one.setting: one.values for one in run_compared.differences(pair)}
    assert found == {
        "LoRA rank": ("4", "16"),
        "LoRA alpha": ("8", "32"),
        "Learning rate": ("0.002", "0.00002"),
        "Questions of a validation": ("2", "4"),
    }
    assert not run_compared.same_questions(pair)


def test_the_better_of_two_runs_wins_where_better_is_lower_too(
    made: Path, tmp_path_factory: pytest.TempPathFactory, home: Path
) -> None:
    other = tiny_runs.run(tmp_path_factory, home, "other-20260102-120000")
    line = {"stage": "adapt", "step": 8, "evaluation": {"ROUGE-L": 99.0, "loss": 9.0}, "best": True}
    with (other / "log.jsonl").open("a") as log:
        log.write(json.dumps(line) + "\n")
    standings = run_compared.standings([runs.find(made.name), runs.find(other.name)])
    assert [one.step for one in standings][1] == 8 and run_compared.metrics(standings)[0] == "ROUGE-L"
    assert run_compared.winners(standings, "ROUGE-L") == (other.name,)
    assert run_compared.winners(standings, "loss") == (made.name,)
    assert run_compared.winners(standings, "BLEU4") == (), "one of them has none"


def test_a_run_starts_from_full_models_and_not_from_adapters(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    for name, config in (
        ("libra", {"mm_projector_type": "TAC"}),
        ("x/tower", {"model_type": "dinov2"}),
        ("x/deep", {"mm_vision_tower": "t"}),
    ):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr(paths, "models", lambda: tmp_path / "models")
    assert [model.name for model in start_models.found()] == ["libra", "x/deep"], "the run has made an adapter"
    (made / "model" / "adapter_config.json").unlink()
    assert [model.words for model in start_models.found()][-1] == f"{made.name} (of a run)"
    monkeypatch.undo()
    assert "demonstration" in next(one.words for one in start_models.found() if one.name == "demo-tac")


points = st.lists(st.floats(-1e6, 1e6), max_size=400).map(lambda values: list(enumerate(values)))


@settings(deadline=None)
@given(points=points, most=st.integers(2, 50))
def test_a_thinned_curve_keeps_its_ends_and_its_extremes(points: list[tuple[float, float]], most: int) -> None:
    kept = run_figures.thinned(points, most)
    assert len(kept) <= max(most, 4) and set(kept) <= set(points)
    assert [x for x, _ in kept] == sorted({x for x, _ in kept})
    if points:
        assert (kept[0], kept[-1]) == (points[0], points[-1])
    if len(points) > 2 and most >= 4:
        values = [value for _, value in points]
        assert {min(values), max(values)} <= {value for _, value in kept}


words = st.lists(st.sampled_from("no effusion Effusion, . is seen right left new".split()), max_size=14).map(" ".join)


@settings(deadline=None)
@given(reference=words, written=words)
def test_differences_lose_no_word_and_agree_on_what_is_the_same(reference: str, written: str) -> None:
    left, right = differences.compared(reference, written)
    for text, pieces in ((reference, left), (written, right)):
        assert " ".join(piece.text for piece in pieces).split() == text.split()

    def same(pieces: tuple[differences.Piece, ...]) -> list[str]:
        kept = " ".join(piece.text for piece in pieces if piece.same)
        return [word.strip(",.").casefold() or word for word in kept.split()]

    assert sorted(same(left)) == sorted(same(right))
    assert all(piece.same for piece in differences.compared(reference, reference)[0])


def test_the_same_sentences_in_another_order_are_no_difference_and_a_denial_is_one() -> None:
    reference = "Stable cardiomegaly. There is no effusion. New left lower lobe consolidation."
    left, right = differences.compared(reference, "new left upper lobe consolidation. Stable cardiomegaly.")
    assert [piece.text for piece in left if not piece.same] == ["There is no effusion.", "lower"]
    assert [piece.text for piece in right if not piece.same] == ["upper"]
    left, right = differences.compared("There is an effusion.", "There is no effusion.")
    assert [[p.text for p in side if not p.same] for side in (left, right)] == [["an"], ["no"]]
    assert differences.compared("", "Clear.") == ((), (differences.Piece("Clear.", False),))
