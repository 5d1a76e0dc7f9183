"""The cases to look through: which of them, in which order, and the address that says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import evaluation_made
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from engine.errors import InputError
from trainer_ui.services import case_browser, case_view, evaluations
from trainer_ui.services.case_browser import FAULTS, SCORES, Browser, Fault
from trainer_ui.services.case_view import DIFFER, ORDERS, View


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return evaluation_made.made(tmp_path_factory.getbasetemp() / "evaluation")


@pytest.fixture(scope="module")
def browser(root: Path) -> Browser:
    folder = root / "evaluations" / evaluation_made.NAME
    return case_browser.read(folder, evaluations.document(folder))


@pytest.fixture(scope="module")
def usual(browser: Browser) -> View:
    return case_view.usual(browser, "demo-tac", "tuned")


def ids(browser: Browser, view: View) -> list[str]:
    return [study.id for study in case_view.chosen(browser, view)]


def test_cases_come_with_their_questions(browser: Browser) -> None:
    assert browser.models == ("demo-tac", "tuned", "echo")
    assert browser.baselines == ("copy-the-prior", "always-normal") and browser.why == ""
    study = browser.studies[0]
    assert study.question is not None and len(study.question.images) in (1, 2)
    assert study.asked.startswith("Provide a detailed description") and "<image>" not in study.asked
    assert study.reference == study.cases["tuned"].prediction
    assert study.whom.count(",") >= 2 and study.parts["prior"] in study.whom
    assert "prior: with a prior" in browser.parts and any(part.startswith("sex: ") for part in browser.parts)


def test_the_worst_come_first_and_the_best_last(browser: Browser, usual: View) -> None:
    assert (usual.of, usual.against, usual.by, usual.order) == ("demo-tac", "tuned", "finding_f1_micro", "worst")
    worst = case_view.chosen(browser, usual)
    values = [study.value("demo-tac", usual.by) for study in worst]
    known = [value for value in values if value is not None]
    assert len(worst) == 6 and known == sorted(known) and values[: len(known)] == known
    best = [study.value("demo-tac", usual.by) for study in case_view.chosen(browser, replace(usual, order="best"))]
    assert best[: len(known)] == known[::-1]
    faulty = case_view.chosen(browser, replace(usual, by=FAULTS))
    counts = [len(study.cases["demo-tac"].slips) for study in faulty]
    assert counts == sorted(counts, reverse=True) and counts[0] > 0


def test_where_a_model_lost_most_against_another(browser: Browser, usual: View) -> None:
    for order, sign in (("lost", 1), ("gained", -1)):
        found = case_view.chosen(browser, replace(usual, order=order, by="ROUGE-L"))
        gains = [
            sign * (study.cases["demo-tac"].scores["ROUGE-L"] - study.cases["tuned"].scores["ROUGE-L"])
            for study in found
        ]
        assert gains == sorted(gains)


def test_filters_leave_what_they_say(browser: Browser, usual: View) -> None:
    for fault, count in browser.faults("demo-tac").items():
        found = case_view.chosen(browser, replace(usual, faults=(fault,)))
        assert len(found) == count
        assert all(fault in study.cases["demo-tac"].faults() for study in found)
    finding = next(slip.finding for study in browser.studies for slip in study.cases["demo-tac"].slips if slip.finding)
    about = case_view.chosen(browser, replace(usual, finding=finding))
    assert about and all(any(slip.finding == finding for slip in study.cases["demo-tac"].slips) for study in about)
    assert case_view.chosen(browser, replace(usual, of="tuned", faults=(str(Fault.MISSED),))) == ()
    for part in browser.parts:
        division, _, name = part.partition(": ")
        found = case_view.chosen(browser, replace(usual, parts=(part,)))
        assert found and all(study.parts[division] == name for study in found)
    sexes = tuple(part for part in browser.parts if part.startswith("sex"))
    assert len(ids(browser, replace(usual, parts=sexes))) == 6, "parts of one division stand beside each other"
    assert len(ids(browser, replace(usual, differ="texts"))) == 6
    word = browser.studies[2].reference.split()[-1]
    assert browser.studies[2].id in ids(browser, replace(usual, text=f"{word.upper()} description"))
    assert ids(browser, replace(usual, text="nobody wrote that")) == []


def views(browser: Browser, usual: View) -> some.SearchStrategy[View]:
    def view(of: str) -> some.SearchStrategy[View]:
        return some.builds(
            View,
            of=some.just(of),
            by=some.sampled_from((*SCORES, FAULTS)),
            order=some.sampled_from(list(ORDERS)),
            against=some.sampled_from([name for name in browser.systems if name != of]),
            faults=some.lists(some.sampled_from([str(fault) for fault in Fault]), unique=True, max_size=3).map(tuple),
            finding=some.sampled_from(["", *browser.findings]),
            parts=some.lists(some.sampled_from(browser.parts), unique=True, max_size=3).map(tuple),
            differ=some.sampled_from(list(DIFFER)),
            text=some.text(max_size=5),
        )

    return some.sampled_from(browser.systems).flatmap(view)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=some.data())
def test_any_view_comes_back_from_its_address_without_the_words(
    browser: Browser, usual: View, data: some.DataObject
) -> None:
    view = data.draw(views(browser, usual))
    address = view.params(usual)
    assert case_view.from_address(address, browser, usual) == replace(view, text="")
    found = ids(browser, view)
    assert len(set(found)) == len(found) and set(found) <= {study.id for study in browser.studies}
    assert ids(browser, view) == found
    assert case_view.in_words(view, case_browser.titles(browser))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(address=some.dictionaries(some.sampled_from(case_view.ADDRESS), some.text(max_size=12)))
def test_an_address_that_cannot_be_is_passed_over(browser: Browser, usual: View, address: dict[str, str]) -> None:
    view = case_view.from_address(address, browser, usual)
    assert view.of in browser.systems and view.order in ORDERS and view.against != view.of
    case_view.chosen(browser, view)


def test_cases_without_their_questions_are_still_cases(root: Path, home: Path) -> None:
    folder = evaluation_made.put(root, home)
    document = evaluations.document(folder)
    document["asked"]["questions"]["file"] = str(folder / "gone.jsonl")
    browser = case_browser.read(folder, document)
    assert len(browser.studies) == 6 and "gone.jsonl is not where it was" in browser.why
    assert browser.parts == () and browser.studies[0].asked == "" and browser.studies[0].whom == ""
    (folder / "cases.jsonl").unlink()
    with pytest.raises(InputError, match="no cases yet"):
        case_browser.read(folder, document)
    (folder / "cases.jsonl").write_text(json.dumps({"id": "x"}) + "\n")
    with pytest.raises(InputError, match="cannot be read"):
        case_browser.read(folder, document)
