"""Short answers in Chromium: a tiny LLaVA and its adapter, judged by an address, by a tiny model, then graded."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import evaluation_made
import pytest

from engine.jobs import queue
from trainer_ui.services import evaluations, grading

if TYPE_CHECKING:
    from playwright.sync_api import Browser

EVALUATION = Path(__file__).resolve().parent.parent / "evaluation"
NAME = "vqa-on-short"


def helper(name: str) -> ModuleType:
    """A module of the evaluation's tests."""
    spec = importlib.util.spec_from_file_location(f"{name}_in_a_browser", EVALUATION / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tiny(home: Path) -> Iterator[Path]:
    """A finished run's adapter on a tiny LLaVA, a tiny language model, and two questions; whatever runs is ended."""
    judges = helper("tiny_judges")
    base = judges.tiny_multimodal.llava(home / "llava")
    run = home / "runs" / "vqa"
    judges.tiny_multimodal.adapter(base, run / "model", ("q_proj", "v_proj"))
    described = json.loads((run / "model" / "adapter_config.json").read_text())
    described |= {"base_model_name_or_path": str(base)}
    (run / "model" / "adapter_config.json").write_text(json.dumps(described))
    (run / "state.json").write_text('{"state": "done"}')
    (run / "recipe.yaml").write_text("{}")
    folder = home / "data" / "short"
    evaluation_made.stand_ins().question_file(folder)
    rows = [
        {"question_id": "q0", "text": "<image>\nIs there edema?", "reference": "yes", "question_type": "presence"},
        {"question_id": "q1", "text": "<image>\nWhich side is it on?", "reference": "left", "question_type": "side"},
    ]
    lines = [json.dumps(row | {"image": "a.png", "patient": row["question_id"]}) + "\n" for row in rows]
    (folder / "questions.jsonl").write_text("".join(lines))
    judges.plain(home / "words")
    yield home
    for job in queue.jobs():
        queue.kill(job.id)


def test_short_answers_are_made_judged_twice_and_graded(opened: Browser, tiny: Path) -> None:
    from playwright.sync_api import expect
    from studio_process import PATIENCE, Screen, start

    expect.set_options(timeout=PATIENCE)
    server_of = helper("judge_server")
    studio, url = start(tiny)
    try:
        with server_of.running() as server:
            server.says = lambda body: server_of.verdict("incorrect" if "edema" in json.dumps(body) else "neutral", 4)
            screen = Screen.open(opened, url)
            page = screen.page
            screen.go("evaluate?run=vqa&set=short")
            expect(page.get_by_text("2 with a short reference answer, 1 of them closed")).to_be_visible()
            expect(page.get_by_text("Will answer: llava, vqa (made from llava).")).to_be_visible()
            page.get_by_text("Choosing the words").click()
            screen.fill("Tokens of an answer at most", "16")
            page.get_by_text("A model behind an address").click()
            page.get_by_role("textbox", name="Address").fill(server.url)
            page.get_by_role("textbox", name="Address").press("Tab")
            expect(page.get_by_text("on this machine. Whether that program sends them on")).to_be_visible()
            expect(page.get_by_role("button", name="Start the evaluation")).to_have_count(0)
            page.get_by_text("These texts may be sent to this program").click()
            screen.press("Start the evaluation")

            # Answered by both, judged and scored without another click.
            expect(page.locator("h1")).to_have_text(NAME)
            screen.badge("scored")
            by_judge = page.locator(".studio-table").filter(has_text="By the judge")
            expect(by_judge).to_contain_text("Over all answers judged")
            expect(by_judge).to_contain_text("50.0")
            assert len(server.bodies) >= 2 and not any("llava" in json.dumps(body) for body in server.bodies)
        folder = evaluations.find(NAME).path
        assert json.loads((folder / "evaluation_finetuned.json").read_text())["neutral_rate"] == 0.5

        # A case shows the verdict, and a grade stays; the verdict is hidden from who grades.
        page.get_by_text("Cases", exact=True).first.click()
        heading = page.get_by_role("heading", name=re.compile("^q[01]$"))
        screen.until(heading, lambda: page.get_by_test_id("stDataFrame").click(position={"x": 40, "y": 50}))
        expect(page.get_by_text(re.compile("^Judge: (incorrect|neither)$")).first).to_be_visible()
        page.get_by_text("Grade the answers").click()
        expect(page.get_by_text("What the judge said is shown once you have graded.").first).to_be_visible()
        page.get_by_role("radio", name="correct", exact=True).or_(
            page.get_by_role("button", name="correct", exact=True)
        ).first.click()
        expect(page.get_by_text(re.compile("of 4 answers have been graded by people"))).to_be_visible()
        assert set(grading.grades(folder).values()) == {"correct"}

        # A tiny model cannot judge: none of its replies is a verdict, and that is what is said.
        page.goto(f"{url}evaluate?evaluation={NAME}")
        page.get_by_text("Ask a judge again, or another one").click()
        page.get_by_text("A language model on this machine").click()
        judge = page.get_by_test_id("stSelectbox").filter(has_text="Model that judges").get_by_role("combobox")
        screen.pick(judge, "Another folder")
        screen.fill("Folder of the model", str(tiny / "words"))
        screen.press("Ask the judge")
        expect(page.get_by_text(re.compile("^Judge: words [0-9a-f]{12}"))).to_be_visible()
        expect(by_judge).to_contain_text("2 of 2")
        plain = json.loads((folder / "evaluation_pretrained.json").read_text())
        assert (plain["valid_responses"], plain["invalid_format_rate"], plain["correct_rate"]) == (0, 1, None)

        assert {host for host in screen.hosts if host} == {url.split("/")[2]}
        assert screen.errors == []
    finally:
        studio.kill()
        studio.wait()
