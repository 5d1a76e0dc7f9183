"""What is wrong with a data file: found at once or by a job, the same either way, and only for the file as it is."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from data_desk import opened, ran, row, rows_file

from engine import cli
from engine.datasets.checking import check, write_csv
from engine.errors import InputError, NotFound
from engine.jobs import queue
from engine.jobs.job import State
from trainer_ui.services import check_results, opened_set, set_figures

BAD = [
    row("a", "a.png", patient="P"),
    row("=SUM(A1)", "b.png", answer="", patient="P"),
    row("c", "../c.png", patient="P"),
    row("c", "a.png", patient="Q", sex="X"),
]


@pytest.fixture
def bad(home: Path) -> Path:
    return rows_file(home / "data" / "bad", BAD)


def test_what_is_found_at_once_is_what_the_engine_finds(bad: Path, tmp_path: Path) -> None:
    one = opened("bad")
    assert check_results.known(one) is None and check_results.small(one)
    found = check_results.now(one)
    told = check(bad)
    assert [(i.row, i.id, i.severity, i.kind, i.reason) for i in found.issues] == [
        (i.row, i.id, i.severity, i.kind, i.reason) for i in told.issues
    ]
    assert {kind: count for kind, _, _, count in found.kinds} == told.counts()
    assert [severity for _, _, severity, _ in found.kinds] == sorted(
        (severity for _, _, severity, _ in found.kinds), key=("error", "warning").index
    )
    assert (found.errors, found.readable, found.rows) == (3, 2, 4) and check_results.known(one) is found
    write_csv(tmp_path / "engine.csv", told)
    assert list(csv.reader(io.StringIO(check_results.as_csv(found.issues)))) == list(
        csv.reader(io.StringIO((tmp_path / "engine.csv").read_text()))
    )
    assert "'=SUM(A1)" in check_results.as_csv(found.issues)


def test_a_job_leaves_the_same_for_whoever_comes_later(bad: Path) -> None:
    one = opened("bad")
    at_once = check_results.now(one)
    job = check_results.begin(one)
    assert check_results.known(one) is None, "what was found before is forgotten"
    waiting = check_results.under_way(check_results.reports(one))
    assert waiting is not None and (waiting.id, waiting.state) == (job.id, State.QUEUED)
    assert ran(job).state is State.DONE, "errors in the file are no failure of the job"
    assert check_results.under_way(check_results.reports(one)) is None
    assert check_results.known(one) == at_once


def test_every_pixel_counts_for_more_than_heads_and_ends(home: Path) -> None:
    folder = home / "data" / "cut"
    rows_file(folder, [row("a", "a.png")])
    whole = (folder / "a.png").read_bytes()
    (folder / "a.png").write_bytes(whole[:60] + bytes(40) + whole[100:])
    one = opened("cut")
    assert check_results.now(one).errors == 0
    ran(check_results.begin(one, pixels=True))
    found = check_results.known(one)
    assert found is not None and found.decoded
    assert "image-damaged" in {issue.kind for issue in found.issues}


def test_a_file_that_changes_counts_as_not_checked(bad: Path) -> None:
    ran(check_results.begin(opened("bad")))
    assert check_results.known(opened("bad")) is not None
    rows_file(bad.parent, BAD[:1])
    assert check_results.known(opened("bad")) is None
    check_results.begin(opened("bad"))
    assert not list(check_results.checks().glob("*.json")), "reports of what the file was are not kept"


def test_what_takes_long_is_not_small(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows_file(home / "data" / "x", [row(str(n), "a.png") for n in range(4)])
    assert check_results.small(opened("x"))
    monkeypatch.setattr(check_results, "LITTLE_ROWS", 3)
    assert not check_results.small(opened("x"))
    monkeypatch.undo()
    monkeypatch.setenv("INTERVAL_HOME", str(home))
    (home / "data" / "y").mkdir()
    (home / "data" / "y" / "scan.dcm").touch()
    rows_file(home / "data" / "y", [row(str(n), "scan.dcm") for n in range(check_results.LITTLE_DECODED + 1)])
    assert not check_results.small(opened("y"))


def test_a_report_that_is_none_is_said(bad: Path) -> None:
    report = check_results.report_file(opened("bad"), pixels=False)
    report.parent.mkdir(parents=True)
    report.write_text('{"rows": 1}')
    with pytest.raises(InputError, match="Check the file again"):
        check_results.known(opened("bad"))


def test_a_report_that_cannot_be_put_in_its_place_leaves_nothing_behind(bad: Path, tmp_path: Path) -> None:
    (tmp_path / "reports" / "report.json").mkdir(parents=True)
    assert cli.main(["data", "validate", str(bad), "--report", str(tmp_path / "reports" / "report.json")]) == 3
    assert [path.name for path in (tmp_path / "reports").iterdir()] == ["report.json"]


def test_errors_are_told_by_the_exit_status_where_there_is_no_report(bad: Path, tmp_path: Path) -> None:
    assert cli.main(["data", "validate", str(bad)]) == 3
    assert cli.main(["data", "validate", str(bad), "--report", str(tmp_path / "new" / "report.json")]) == 0
    assert check_results.from_report(tmp_path / "new" / "report.json") is not None


def test_issues_are_chosen_by_kind_and_text(bad: Path) -> None:
    found = check_results.now(opened("bad"))
    assert {issue.kind for issue in check_results.chosen(found, kinds=["empty-answer"])} == {"empty-answer"}
    assert [issue.row for issue in check_results.chosen(found, text="CLIMBS")] == [3]
    assert check_results.chosen(found) == found.issues
    assert check_results.chosen(found, kinds=["empty-answer"], text="climbs") == ()


def test_a_set_is_opened_by_its_name_and_its_file(home: Path, make_job: Callable[..., object]) -> None:
    rows_file(home / "data" / "two", [row("a", "a.png")], "train.json")
    rows_file(home / "data" / "two", [{"question_id": "q", "image": "a.png", "text": "Why?"}], "eval.jsonl")
    assert opened_set.opened("two").file.path.name == "train.json"
    assert opened_set.opened("two", "eval.jsonl").name == "two/eval.jsonl"
    assert opened_set.opened("two", "../nothing").file.path.name == "train.json"
    assert [other.name for other in opened_set.others(opened_set.opened("two"))] == ["two/eval.jsonl"]
    with pytest.raises(NotFound, match="no data set three"):
        opened_set.opened("three")
    make_job("running", result=home / "data" / "three")
    with pytest.raises(NotFound, match="It is being made"):
        opened_set.opened("three")


def test_figures_are_those_of_the_description_in_a_readers_order(phantoms: Path) -> None:
    one = opened("phantoms", "train.json")
    told = check_results.now(one).description
    shown = set_figures.figures(told, form="training")
    assert [(name, figure) for name, figure, _ in shown.totals[:3]] == [
        ("Patients", "24"),
        ("Studies", "24"),
        ("Samples", "24"),
    ]
    assert shown.totals[-1][1] == f"{100 * told['with_prior'] / 24:.0f} %"
    assert sum(bar.count for bar in shown.lengths) == told["answers"] == 24
    assert sum(bar.count for bar in shown.ages) == 24 and shown.ages[0].count and shown.ages[-1].count
    assert {bar.name: bar.count for bar in shown.sexes} == {
        set_figures.SEXES[sex]: count for sex, count in told["sexes"].items()
    }
    for finding in told["findings"]:
        said = {bar.part: bar.count for bar in shown.findings if bar.name == finding["finding"]}
        expected = {"present": finding["present"], "uncertain": finding["uncertain"], "denied": finding["absent"]}
        assert said == {part: count for part, count in expected.items() if count}
    assert {bar.part for bar in shown.changes} <= set(set_figures.CHANGES)
    assert sum(bar.count for bar in shown.changes) == sum(told["changes"].values())
    first = [bar.count for bar in shown.findings if bar.part == "present"]
    assert first == sorted(first, reverse=True)


def test_figures_of_bare_questions_have_nothing_said_in_them(home: Path) -> None:
    rows_file(home / "data" / "q", [{"question_id": "q", "image": "a.png", "text": "Why?"}], "q.jsonl")
    shown = set_figures.figures(check_results.now(opened("q")).description, form="questions")
    assert (shown.answers, shown.lengths, shown.length_words, shown.findings, shown.ages) == (0, (), "", (), ())
    assert shown.totals[2][0] == "Questions" and [bar.name for bar in shown.views] == [set_figures.UNSAID]


def test_rare_values_are_summed_up(home: Path) -> None:
    rows = [row(str(n), "a.png", question_type=f"kind {n}") for n in range(set_figures.MOST_BARS + 3)]
    rows_file(home / "data" / "kinds", rows)
    shown = set_figures.figures(check_results.now(opened("kinds")).description, form="training")
    assert len(shown.questions) == set_figures.MOST_BARS + 1
    assert (shown.questions[-1].name, shown.questions[-1].count) == ("3 others", 3)


def test_jobs_of_other_files_are_not_taken_for_this_ones(bad: Path, home: Path) -> None:
    rows_file(home / "data" / "other", BAD[:1])
    check_results.begin(opened("other"))
    assert check_results.under_way(check_results.reports(opened("bad"))) is None and len(queue.jobs()) == 1
