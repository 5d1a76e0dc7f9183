"""RadEval in another environment: the lines both sides speak, and what is said where it fails.

The other environment is a stand-in: a script that runs the real worker with a small package named radeval on its path.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from five_studies import REFERENCES, write_answers

from engine.cli import main
from engine.errors import ModelError, UsageError
from engine.evaluation.radeval import WORKER, RadEval, interpreter
from engine.evaluation.statistics import Patients

PACKAGE = '''
import os, sys
print("a library talks at import")
class RadEval:
    """Scores by the number of words; RaTEScore has no weights here."""
    def __init__(self, metrics, per_sample, show_progress):
        assert per_sample and not show_progress and os.environ["HF_HUB_OFFLINE"] == "1"
        self.metric, = metrics
        if self.metric == "ratescore":
            raise OSError("no weights of The Patient")
    def __call__(self, refs, hyps):
        print("a library talks")
        import RadEval
        os.write(1, b"even without Python's streams\\n")
        key = {"radgraph": "radgraph_partial", "radcliq": "radcliq_v1"}.get(self.metric, self.metric)
        values = [len(h.split()) / len(r.split()) if h else float("nan") for r, h in zip(refs, hyps)]
        return {key: values}
'''


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A virtual environment's folder whose Python has RadEval."""
    folder = tmp_path / "environment"
    (folder / "bin").mkdir(parents=True)
    package = folder / "packages"
    (package / "radeval").mkdir(parents=True)
    (package / "radeval" / "__init__.py").write_text(PACKAGE)
    (package / "radeval-2.2.1.dist-info").mkdir()
    (package / "radeval-2.2.1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: radeval\nVersion: 2.2.1\n"
    )
    python = folder / "bin" / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{package}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return folder


def test_scores_come_from_the_other_environment(environment: Path) -> None:
    begun: list[str] = []
    scorer = RadEval(environment, begun.append)
    assert scorer.version == "2.2.1"
    measures = scorer.measures(["one two", "größer ≥ 3", "x y"], ["one", "größer ≥ 3\nneu", ""])
    values = Patients(list("abc")).scores(measures, intervals=False)
    assert values["RG_ER"].value == pytest.approx(100 * (1 / 2 + 4 / 3) / 2)  # the last has no figure
    assert values["RG_ER"].studies == 2
    assert values["radcliq_v1"].value == pytest.approx((1 / 2 + 4 / 3) / 2)
    assert begun == ["RadGraph", "RadGraph F1", "RadCliQ-v1", "RaTEScore"]
    assert "ratescore" not in measures
    assert scorer.absent["ratescore"].startswith("n/a, because") and "OSError" in scorer.absent["ratescore"]
    assert "Patient" not in scorer.absent["ratescore"]
    again = scorer.measures(["one two"], ["one two"])
    assert Patients(["a"]).score(again["radgraph_f1"], intervals=False).value == 100


def test_the_other_process_ends_with_its_scorer(environment: Path) -> None:
    scorer = RadEval(environment)
    process = psutil.Process(scorer._process.pid)
    del scorer
    gc.collect()
    assert not process.is_running()


def test_score_takes_the_environment(
    environment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], reference_file: Path
) -> None:
    answers = write_answers(tmp_path / "answers.jsonl", REFERENCES)
    command = ["score", "--references", str(reference_file), "--predictions", str(answers), "--json"]
    assert main([*command, "--radeval", str(environment / "bin" / "python")]) == 0
    out, err = capsys.readouterr()
    scores = json.loads(out)["scores"]
    assert scores["radgraph_f1"]["value"] == 100
    assert scores["ratescore"]["value"] is None and "cache" in scores["ratescore"]["note"]
    assert "RadEval: RadCliQ-v1" in err


def test_environments_that_cannot_be_used(tmp_path: Path, environment: Path) -> None:
    with pytest.raises(UsageError, match=r"requirements-radeval\.txt"):
        interpreter(tmp_path)
    with pytest.raises(ModelError, match="PackageNotFoundError"):
        RadEval(Path(sys.executable))
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexit 1\n")
    silent.chmod(0o755)
    with pytest.raises(ModelError, match="said nothing"):
        RadEval(silent)


def test_an_environment_that_dies_in_the_middle(environment: Path) -> None:
    package = environment / "packages" / "radeval" / "__init__.py"
    package.write_text(PACKAGE.replace('print("a library talks")', "os._exit(3)"))
    with pytest.raises(ModelError, match="ended before"):
        RadEval(environment).measures(["a"], ["b"])


def test_the_worker_needs_nothing_of_this_program(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", str(WORKER)]
    done = subprocess.run(command, input="", capture_output=True, text=True, cwd=tmp_path)
    assert json.loads(done.stdout) == {"error": "RadEval cannot be imported there (PackageNotFoundError)"}
    assert done.returncode == 1
