"""A recipe is checked before it is started: what the command finds, and what the studio makes of it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_runs

from engine.cli import main
from engine.errors import UsageError
from engine.jobs.job import Job
from trainer_ui.services import places, recipe_checks, recipes, runs


@pytest.fixture
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_runs.phantoms(tmp_path_factory)


@pytest.fixture
def checked(tmp_path: Path, phantoms: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """The exit status and the findings of ``train RECIPE --check --json``."""

    def check(**changes: Any) -> tuple[int, dict[str, Any]]:
        file = tmp_path / "recipe.yaml"
        file.write_text(tiny_runs.text(phantoms, **changes), encoding="utf-8")
        status = main(["train", str(file), "--check", "--json"])
        return status, json.loads(capsys.readouterr().out)

    return check


def bad(told: dict[str, Any], severity: str = "error") -> list[str]:
    return [f"{found['subject']}: {found['says']}" for found in told["findings"] if found["severity"] == severity]


def test_what_can_be_started_is_said_to_be_so_with_its_memory(checked: Callable[..., Any]) -> None:
    status, told = checked()
    assert status == 0 and told["ok"] and not bad(told) and not bad(told, "warning")
    assert {found["subject"] for found in told["findings"]} == {
        "start model",
        "training data, train.json",
        "validation, eval.jsonl",
        "best weights",
        "patients",
        "memory",
    }
    (stage,) = told["memory"]
    assert stage["stage"] == "adapt" and stage["fits"] and 0 < stage["needed"] < stage["room"]


def test_patients_in_both_files_are_named_by_their_rows(checked: Callable[..., Any], phantoms: Path) -> None:
    shared = {"questions": str(phantoms / "train" / "eval.jsonl"), "limit": 8}
    status, told = checked(validation=shared)
    assert status == 3 and not told["ok"]
    (found,) = [one for one in told["findings"] if one["subject"] == "patients"]
    assert "Split by patient" in found["says"] and [row for row, _ in found["rows"]] == list(range(1, 9))
    status, told = checked(validation=shared, shared_patients="allow")
    assert status == 0 and any("patients" in one for one in bad(told, "warning"))


def test_every_broken_row_is_named_and_nothing_is_loaded_from_it(
    checked: Callable[..., Any], phantoms: Path, tmp_path: Path
) -> None:
    rows = json.loads((phantoms / "train" / "train.json").read_text())
    rows[1]["image"] = ["images/nowhere.png"]
    rows[3]["conversations"][1]["value"] = " "
    (tmp_path / "broken.json").write_text(json.dumps(rows))
    status, told = checked(samples=str(tmp_path / "broken.json"), images=str(phantoms / "train"))
    assert status == 3 and told["memory"] == []
    (found,) = [one for one in told["findings"] if one["severity"] == "error"]
    assert [row for row, _ in found["rows"]] == [2, 4]


def test_files_of_the_wrong_kind_are_told_apart(checked: Callable[..., Any], phantoms: Path) -> None:
    questions, samples = phantoms / "held-out" / "eval.jsonl", phantoms / "train" / "train.json"
    status, told = checked(samples=str(questions), validation={"questions": str(samples)})
    assert status == 3
    assert any("holds questions to be answered" in one for one in bad(told))
    assert any("holds samples to learn from" in one for one in bad(told))


@pytest.mark.parametrize(("policy", "severity"), [("refuse", "error"), ("leave out", "warning")])
def test_conversations_without_room_stop_it_or_are_left_out(
    checked: Callable[..., Any], policy: str, severity: str
) -> None:
    _, told = checked(max_length=150, too_long=policy)
    (said,) = [one for one in bad(told, severity) if one.startswith("training data")]
    assert "longer than the model's limit" in said.lower()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"start": "nowhere/at/all"}, "There is no model folder"),
        ({"conversation": "latin"}, "latin"),
        ({"projector": "nowhere.bin"}, "There is no projector"),
        ({"validation": {"metric": "LOUDNESS"}}, "There is no score 'LOUDNESS'"),
        ({"validation": {"metric": "radgraph_f1"}}, "cannot be computed here"),
    ],
)
def test_a_model_or_a_score_that_cannot_be_used_stops_it(
    checked: Callable[..., Any], changes: dict[str, Any], says: str
) -> None:
    status, told = checked(**changes)
    assert status == 3 and any(says in one for one in bad(told))


def test_a_score_that_means_nothing_for_these_questions_stops_it(
    checked: Callable[..., Any], phantoms: Path, tmp_path: Path
) -> None:
    question = json.loads((phantoms / "held-out" / "eval.jsonl").read_text().splitlines()[0])
    question["reference"] = "Lungs are clear."
    (tmp_path / "q.jsonl").write_text(json.dumps(question))
    held_out = {"questions": str(tmp_path / "q.jsonl"), "images": str(phantoms / "held-out")}
    _, told = checked(validation={**held_out, "metric": "laterality_conflict_rate"})
    assert any("could not choose" in one for one in bad(told))


def test_an_adapter_is_merged_before_it_learns_on(
    checked: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory, home: Path
) -> None:
    run = tiny_runs.run(tmp_path_factory, home)
    _, told = checked(start=str(run / "model"))
    assert any("is an adapter. Merge it first" in one for one in bad(told))


def test_without_validation_the_reader_is_told_what_that_means(
    tmp_path: Path, phantoms: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = tiny_runs.text(phantoms)
    (tmp_path / "r.yaml").write_text(recipes.with_validation(content, None))
    assert main(["train", str(tmp_path / "r.yaml"), "--check"]) == 0
    assert "warning  validation: None. Nothing will say" in capsys.readouterr().out


def test_a_run_is_no_recipe(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["train", "--resume", str(tmp_path), "--check"]) == 2
    assert "name its file" in capsys.readouterr().err


FOUND = {"subject": "patients", "severity": "ok", "says": "Nobody.", "rows": [], "more": 0}


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the check be a command that says this and ends; it waits for ``until`` before, where one is given."""

    def command(*findings: dict[str, Any], words: str = "", until: Path | None = None) -> None:
        told = json.dumps({"ok": True, "findings": list(findings), "memory": []}) if findings else words
        script = (
            "import json, os, pathlib, sys, time\n"
            f"while {str(until)!r} != 'None' and not pathlib.Path({str(until)!r}).exists(): time.sleep(0.02)\n"
            f"print({told!r}); print('last words', file=sys.stderr)\n"
            "pathlib.Path(os.environ['INTERVAL_JOB'], 'exit.json').write_text('{}')\n"
        )
        monkeypatch.setattr(recipe_checks, "COMMAND", (sys.executable, "-c", script))

    return command


@pytest.fixture
def text(phantoms: Path) -> str:
    places.allow(str(phantoms))
    return tiny_runs.text(phantoms)


def settled(text: str) -> recipe_checks.Check:
    while (check := recipe_checks.look(text)).state == "running":
        time.sleep(0.02)
    return check


def test_a_check_is_at_work_until_it_has_ended_and_is_kept(
    text: str, pretend: Callable[..., None], tmp_path: Path
) -> None:
    assert recipe_checks.look(text).state == "none"
    pretend(FOUND, until=tmp_path / "go")
    assert recipe_checks.begin(text).state == "running"
    assert recipe_checks.begin(text).state == "running", "a second one is not started beside it"
    (tmp_path / "go").touch()
    check = settled(text)
    assert check.passed and [found.says for found in check.findings] == ["Nobody."]


def test_a_check_counts_for_this_text_and_these_files_alone(
    text: str, pretend: Callable[..., None], tmp_path: Path, phantoms: Path
) -> None:
    copied = tmp_path / "set" / "train.json"
    copied.parent.mkdir()
    copied.write_bytes((phantoms / "train" / "train.json").read_bytes())
    text = recipes.changed(text, ("samples",), str(copied))
    pretend(FOUND)
    recipe_checks.begin(text)
    assert settled(text).passed
    assert recipe_checks.look(recipes.changed(text, ("seed",), 4)).state == "none"
    copied.write_text("[]")
    assert recipe_checks.look(text).state == "none"


def test_a_check_that_says_nothing_has_failed_with_its_last_words(text: str, pretend: Callable[..., None]) -> None:
    pretend(words="no JSON at all")
    recipe_checks.begin(text)
    check = settled(text)
    assert (check.state, check.why, check.passed) == ("failed", "last words", False)


def test_what_stops_it_comes_first_and_keeps_it_from_being_started(text: str, pretend: Callable[..., None]) -> None:
    pretend(FOUND, {**FOUND, "severity": "error", "says": "Somebody.", "rows": [[3, "why"]], "more": 7})
    recipe_checks.begin(text)
    check = settled(text)
    assert [found.says for found in check.findings] == ["Somebody.", "Nobody."]
    assert check.findings[0].rows == ((3, "why"),) and check.findings[0].more == 7
    assert not check.passed
    with pytest.raises(UsageError, match="Check the recipe first"):
        runs.begin(text)


def test_memory_that_another_run_holds_stops_nothing(
    text: str, pretend: Callable[..., None], make_job: Callable[..., Job]
) -> None:
    pretend({**FOUND, "subject": "memory", "severity": "error", "says": "Too much."})
    recipe_checks.begin(text)
    assert not settled(text).passed
    make_job("running", "train")
    check = recipe_checks.look(text)
    assert check.passed and "waits in the queue" in check.findings[0].says


def test_a_check_can_be_ended(text: str, pretend: Callable[..., None], tmp_path: Path) -> None:
    pretend(FOUND, until=tmp_path / "never")
    recipe_checks.begin(text)
    recipe_checks.stop(text)
    assert recipe_checks.look(text).state == "none"


def test_old_checks_are_forgotten(
    text: str, pretend: Callable[..., None], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe_checks, "KEPT", 2)
    pretend(FOUND)
    for seed in range(5):
        recipe_checks.begin(recipes.changed(text, ("seed",), seed))
        assert settled(recipes.changed(text, ("seed",), seed)).passed
    assert len(list((home / "studio" / "checks").iterdir())) == 3
