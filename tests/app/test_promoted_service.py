"""Models promoted and taken back while the viewer runs: what is offered, what is said of them, what is loaded."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pilot import FakeEngine, FakeInfo, Pilot
from scored_evaluations import write_scores

from app.pages import settings
from app.services import ModelHost, Workbench
from app.services.chosen import Chosen
from app.services.described import DEMONSTRATION, INTERVALS, UNEVALUATED, described
from app.services.views import ScoreLine
from engine.errors import UsageError


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed models with one in it."""
    folder = tmp_path / "models"
    put(folder / "base")
    monkeypatch.setattr("engine.paths.models", lambda: folder)
    return folder


def put(folder: Path, **interval: object) -> Path:
    """A folder that counts as an installed model."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "libra"}))
    (folder / "model.safetensors").touch()
    (folder / "interval.json").write_text(json.dumps(interval))
    return folder


def promoted(folder: Path, basis: str = "weights", **interval: object) -> Path:
    """As promoting leaves it, with an evaluation and a certificate beside it."""
    about = {"name": "held-out", "of": "site-b", "basis": basis}
    said = {"when": "2026-11-25T10:20:30+0100", "from": "/somewhere", "certificate": "words", "evaluation": about}
    put(folder, promoted=said, **interval)
    scores = write_scores(folder.parent.parent / "scores", "a" * 64)
    shutil.copy(scores / "scores.json", folder / "evaluation.json")
    certificate = {"passed": True, "same_texts": 20, "cases": 20, "dtype": "bfloat16", "quantization": "none"}
    (folder / "certificate.json").write_text(json.dumps(certificate))
    return folder


# -- what is said of a model ------------------------------------------------------------------------------------------


def test_a_promoted_model_is_described_by_its_few_figures_beside_those_of_its_base(shelf: Path) -> None:
    view = described(str(promoted(shelf / "site-b", demonstration=True)))
    assert view is not None
    assert view.mark == DEMONSTRATION and view.promoted == "Promoted 2026-11-25"
    assert view.certificate == "Certified to be base and adapter in one: 20 of 20 texts the same, stored in bfloat16."
    assert view.evaluation == "Evaluation held-out: 24 studies of 20 patients." and view.base == "demo-tac"
    assert view.few[0] == ScoreLine(
        "Finding F1, micro", "58.5 %", "[54.5 to 62.5]", "41.0 %", "[37.0 to 45.0]", "better"
    )
    assert [line.verdict for line in view.few] == ["better", "better", "better", "may be chance"]
    assert view.few[2].title == "Compares without a prior (lower is better)" and len(view.few) == 4
    assert [line.title for line in view.rest] == ["BLEU-4", "Finding F1: Edema"]
    assert view.notes == (INTERVALS, "It wrote in float32.", "Synthetic radiographs.")
    assert json.loads(settings.card(str(shelf / "site-b")))["promoted"] == "Promoted 2026-11-25"


def test_an_evaluation_of_the_adapter_says_so(shelf: Path) -> None:
    view = described(str(promoted(shelf / "site-b", "adapter")))
    assert view is not None and view.evaluation.startswith("Evaluation held-out, of base and adapter before they were")
    assert view.mark == ""


def test_a_model_without_an_evaluation_says_so_and_others_say_nothing(shelf: Path) -> None:
    plain = put(shelf / "plain", promoted={"when": "yesterday", "from": "x", "certificate": "Its own words."})
    view = described(str(plain))
    assert view is not None and view.evaluation == UNEVALUATED and view.few == ()
    assert view.promoted == "Promoted at an unknown time" and view.certificate == "Its own words."
    assert described(str(shelf / "base")) is None and described("") is None and settings.card("") == "null"
    mark = described(str(put(shelf / "shown", demonstration=True)))
    assert mark is not None and mark.mark == DEMONSTRATION and mark.promoted == mark.evaluation == ""


@pytest.mark.parametrize(
    "scores",
    ["{", "[]", '{"models": []}', '{"models": {"site-b": {"scores": {"BLEU4": {"value": "many"}, "x": 3}}}}'],
)
def test_damaged_scores_are_no_figures(shelf: Path, scores: str) -> None:
    folder = promoted(shelf / "site-b")
    (folder / "evaluation.json").write_text(scores)
    view = described(str(folder))
    assert view is not None and view.few == () and view.promoted.startswith("Promoted")


# -- what is offered --------------------------------------------------------------------------------------------------


def test_a_model_that_is_promoted_meanwhile_is_offered_and_one_that_is_gone_gives_way(shelf: Path) -> None:
    host = ModelHost(load=lambda chosen: FakeEngine())  # type: ignore[arg-type]
    assert [one.label for one in host.offered(Chosen()).choices] == ["base"]
    made = promoted(shelf / "site-b")
    offered = host.offered(Chosen(str(made)))
    assert [one.label for one in offered.choices] == ["base", "site-b"]
    assert (offered.path, offered.gone) == (str(made), "")
    shutil.rmtree(made)
    offered = host.offered(Chosen(str(made), "nf4"))
    assert offered.path == str(shelf / "base")
    assert offered.gone == (
        "The model site-b is no longer in the viewer. base is chosen instead. All that was drafted before is kept."
    )
    with pytest.raises(UsageError, match="site-b is no longer in the viewer"):
        host.require(Chosen(str(made)))
    shutil.rmtree(shelf / "base")
    offered = host.offered(Chosen(str(made)))
    assert offered.path == "" and "drafting is off" in offered.gone
    host.close()


def test_taking_it_back_loses_nothing_of_what_it_has_drafted(home: Path, shelf: Path, pair: Path) -> None:
    made = promoted(shelf / "site-b")
    engines: list[str] = []

    def load(chosen: Chosen) -> FakeEngine:
        engines.append(Path(chosen.path).name)
        return FakeEngine(info=FakeInfo(name=engines[-1]))

    with Workbench.open(home, ModelHost(load=load)) as bench:  # type: ignore[arg-type]
        pilot = Pilot(bench, str(made))
        pilot.drop(pair)
        written = len(pilot.draft().report.editor["sentences"])
        shutil.rmtree(made)
        screen = pilot.draft()
        assert pilot.notices() == [bench.models.offered(pilot.chosen).gone]
        assert len(screen.report.editor["sentences"]) == written and screen.report.can_draft
        pilot.model = bench.models.offered(pilot.chosen).path
        pilot.draft(sure=True)
        assert pilot.session.report is not None
        assert [draft.model_name for draft in pilot.session.report.drafts] == ["site-b", "base"]
    assert engines == ["site-b", "base"]


def test_another_model_under_the_same_name_is_loaded_anew(home: Path, shelf: Path, pair: Path) -> None:
    made = promoted(shelf / "site-b", demonstration=True)
    loaded: list[FakeEngine] = []

    def load(chosen: Chosen) -> FakeEngine:
        loaded.append(FakeEngine(info=FakeInfo(sha256=f"{len(loaded)}" * 64, demonstration=False)))
        return loaded[-1]

    with Workbench.open(home, ModelHost(load=load)) as bench:  # type: ignore[arg-type]
        pilot = Pilot(bench, str(made))
        pilot.drop(pair)
        assert bench.models.status(pilot.chosen).demonstration
        pilot.draft()
        pilot.draft(sure=True)
        assert len(loaded) == 1, "the same files are the same model"
        shutil.rmtree(made)
        promoted(shelf / "site-b")
        (made / "model.safetensors").write_bytes(b"others")
        pilot.draft(sure=True)
        assert len(loaded) == 2 and loaded[0].closed
        assert not bench.models.status(Chosen(str(made), "nf4")).demonstration, "looked at again"


def test_the_page_needs_no_torch_for_all_this(project: Path) -> None:
    code = (
        "import sys; from app.services import described, installed; installed.installed(None);"
        "described.described('models/demo-tac'); print(sorted({'torch', 'transformers', 'peft'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
