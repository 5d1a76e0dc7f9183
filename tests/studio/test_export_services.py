"""What the studio knows of exported models, their files and licences, evaluations that fit, and promotions."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_exports
import tiny_runs
from scored_evaluations import write_scores

from engine.cli import main
from engine.cli import merge as merge_command
from engine.cli import promote as promote_command
from engine.errors import NotFound, UsageError
from engine.jobs import queue
from engine.jobs.job import Job
from engine.models.identity import fingerprint
from engine.models.recognition import examine
from trainer_ui.services import certificates, exports, model_folders, promoting
from trainer_ui.services.exports import Wanted

MakeJob = Callable[..., Job]


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return tiny_exports.models(tmp_path / "models", monkeypatch)


def parsed(words: tuple[str, ...]) -> argparse.Namespace:
    """The words of a job as their command reads them; SystemExit where it does not."""
    parser = argparse.ArgumentParser()
    {"merge": merge_command, "promote": promote_command}[words[0]].register(parser)
    return parser.parse_args(words[1:])


# -- merging ----------------------------------------------------------------------------------------------------------


def test_a_merge_becomes_a_job_that_the_command_reads(home: Path, tmp_path: Path) -> None:
    job = exports.begin(Wanted(tmp_path / "adapter", "site-b"))
    read = parsed(job.words)
    assert (read.adapter, read.output, read.name) == (tmp_path / "adapter", home / "exports" / "site-b", "site-b")
    assert (read.dtype, read.quantization, read.base, read.questions) == ("auto", "none", None, None)
    assert job.result == home / "exports" / "site-b" and job.kind == "merge"
    whole = Wanted(
        tmp_path / "a", "small", dtype="bfloat16", quantization="nf4", base=tmp_path / "b",
        questions=tmp_path / "q.jsonl", images=tmp_path,
    )  # fmt: skip
    read = parsed(exports.begin(whole).words)
    assert (read.dtype, read.quantization, read.base) == ("bfloat16", "nf4", tmp_path / "b")
    assert (read.questions, read.images) == (tmp_path / "q.jsonl", tmp_path)
    with pytest.raises(UsageError, match="is an exported model SITE-B already"):
        exports.begin(Wanted(tmp_path / "a", "SITE-B"))
    assert exports.suggested("site-b") == "site-b-2" and exports.suggested("a run/of mine") == "a-run-of-mine"


@pytest.mark.parametrize("name", ["", "../x", "a b", ".hidden", "a/b", "x" * 65, "ends."])
def test_a_name_that_cannot_be_had(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="A name begins with"):
        exports.begin(Wanted(tmp_path, name))
    with pytest.raises(UsageError, match="A name begins with"):
        promoting.promote(tmp_path, name, None)
    assert queue.jobs() == ()


def test_what_was_merged_is_listed_with_what_it_is_worth(
    tmp_path_factory: pytest.TempPathFactory, home: Path, models: Path, make_job: MakeJob
) -> None:
    same = tiny_exports.export(tmp_path_factory, home, "same")
    tiny_exports.export(tmp_path_factory, home, "small", "nf4")
    tiny_exports.certificate(tiny_exports.export(tmp_path_factory, home, "other"), passed=False)
    tiny_exports.certificate(tiny_exports.export(tmp_path_factory, home, "broken", "nf4"), passed=False)
    (tiny_exports.export(tmp_path_factory, home, "never") / "certificate.json").unlink()
    (tiny_exports.export(tmp_path_factory, home, "damaged") / "certificate.json").write_text('{"passed": true}')
    (home / "exports" / "empty").mkdir()
    make_job("queued", "merge", home / "exports" / "waits")
    told = {"done": 1, "total": 4, "words": "cases compared", "first": 0, "began": 0.0, "updated": 0.0}
    make_job("running", "merge", home / "exports" / "compared", progress=told)
    make_job("failed", "merge", home / "exports" / "failed")
    found = {one.name: one for one in exports.overview()}
    assert {name: one.where for name, one in found.items()} == {
        "waits": "waiting",
        "compared": "comparing",
        "same": "same",
        "small": "quantised",
        "other": "other",
        "broken": "broken",
        "never": "not compared",
        "damaged": "not compared",
    }
    assert [one.name for one in exports.overview()][:2] in (["waits", "compared"], ["compared", "waits"])
    assert [name for name, one in found.items() if one.promotable] == [
        name for name in found if name in ("same", "small")
    ]
    assert (found["same"].base, found["same"].adapter, found["same"].demonstration) == ("demo-tac", "tiny", True)
    assert exports.find("same").path == same
    with pytest.raises(NotFound, match="no exported model empty"):
        exports.find("empty")


def test_an_exported_model_is_deleted_unless_it_is_needed(
    tmp_path_factory: pytest.TempPathFactory, home: Path, models: Path, make_job: MakeJob
) -> None:
    folder = tiny_exports.export(tmp_path_factory, home, "same")
    (models / "linked").mkdir()
    (models / "linked" / "model.safetensors").symlink_to(folder / "model.safetensors")
    with pytest.raises(UsageError, match="uses it as linked"):
        exports.discard("same")
    shutil.rmtree(models / "linked")
    exports.discard("same")
    assert not folder.exists() and exports.overview() == () and list((home / "exports").iterdir()) == []
    make_job("running", "merge", home / "exports" / "made")
    with pytest.raises(UsageError, match="being made"):
        exports.discard("made")


# -- certificates -----------------------------------------------------------------------------------------------------


def test_a_certificate_is_told_in_figures_and_in_plain_words(
    tmp_path_factory: pytest.TempPathFactory, home: Path
) -> None:
    folder = tiny_exports.export(tmp_path_factory, home, "same")
    tiny_exports.certificate(folder, largest_difference=5e-7, largest_logit=1.0, cases=20, same_texts=20, positions=980)
    found = certificates.read(folder)
    assert found is not None and found.passed and found.verdict == "same"
    figures = {one.label: one.value for one in found.figures}
    assert figures["Largest difference"] == "< 0.001 %" and figures["Same texts"] == "20 of 20"
    assert figures["Same next word"] == "100.00 %" and figures["Stored in"] == "float32"
    assert "agree but for rounding" in found.explained[1] and "the same 20 studies" in found.explained[0]
    tiny_exports.certificate(folder, dtype="bfloat16", largest_difference=0.0002)
    half = certificates.read(folder)
    assert half is not None and "16 bits allow" in half.explained[1]
    assert half.figures[0].value == "0.020 %"
    tiny_exports.certificate(folder, passed=False, largest_difference=0.31, top_agreement=0.612)
    other = certificates.read(folder)
    assert other is not None and not other.passed and "cannot be promoted" in other.explained[1]
    assert other.figures[0].value == "31.0 %" and other.figures[1].value == "61.20 %"
    tiny_exports.certificate(folder, cases="many")
    assert certificates.read(folder) is None


def test_a_quantised_model_gets_no_verdict_of_sameness(tmp_path_factory: pytest.TempPathFactory, home: Path) -> None:
    found = certificates.read(tiny_exports.export(tmp_path_factory, home, "small", "nf4"))
    assert found is not None and found.verdict == "quantised" and found.passed
    assert "no verdict of sameness" in found.explained[1]
    assert next(one.value for one in found.figures if one.label == "Stored in") == "nf4, the rest float32"


# -- files and licences -----------------------------------------------------------------------------------------------


def test_files_are_told_with_the_hashes_they_have(tmp_path_factory: pytest.TempPathFactory, home: Path) -> None:
    folder = tiny_exports.export(tmp_path_factory, home, "same")
    (folder / ".secret").write_text("x")
    found = model_folders.files(folder)
    assert [one.name for one in found][:2] == ["model.safetensors", "dinov2/model.safetensors"]
    recorded = json.loads((folder / "interval.json").read_text())["sha256"]
    assert {one.name: one.sha256 for one in found} | recorded == {one.name: one.sha256 for one in found}
    assert all(len(one.sha256) == 64 and one.size == (folder / one.name).stat().st_size for one in found)
    assert ".secret" not in {one.name for one in found}
    adapter = tiny_runs.run(tmp_path_factory, home) / "model"
    assert {one.name for one in model_folders.made_for(adapter)} == {"model.safetensors", "dinov2/model.safetensors"}
    assert model_folders.called(adapter) == "tiny" and "tiny" in model_folders.card(adapter)
    assert model_folders.card(home) == "" and model_folders.files(home / "nowhere") == ()


def test_a_large_file_without_a_recorded_hash_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_folders, "HASHED", 3)
    (tmp_path / "big.bin").write_bytes(b"four")
    (tmp_path / "small.bin").write_bytes(b"two")
    assert [(one.name, one.sha256 != "") for one in model_folders.files(tmp_path)] == [
        ("big.bin", False),
        ("small.bin", True),
    ]


def test_the_licences_of_everything_inside_are_named(home: Path, models: Path, tmp_path: Path) -> None:
    base = models / "libra"
    base.mkdir()
    config = {"mm_projector_type": "TAC", "hidden_size": 4096, "num_hidden_layers": 32, "vocab_size": 32017}
    (base / "config.json").write_text(json.dumps(config))
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "libra"}))
    (adapter / "interval.json").write_text(json.dumps({"name": "ours", "license": "cc-by-4.0"}))
    told = {(one.part, one.name): (one.terms, one.said) for one in model_folders.licences(adapter)}
    catalogue = "the catalogue of published models"
    assert told["the model itself", "ours"] == ("cc-by-4.0", "interval.json")
    assert told["its base", "libra"] == ("apache-2.0", catalogue)
    assert told["vision tower", "microsoft/rad-dino"] == ("mit, research only", catalogue)
    assert told["language model", "epfl-llm/meditron-7b"][0] == model_folders.UNSTATED
    assert "Llama 2 community licence" in told["note", "Libra v1.0 7B"][0]
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "who/knows"}))
    assert [(one.part, one.terms) for one in model_folders.licences(adapter)][1:] == [
        ("its base", model_folders.UNSTATED)
    ]


# -- promotion --------------------------------------------------------------------------------------------------------


def test_evaluations_are_told_by_whose_weights_they_are(
    tmp_path_factory: pytest.TempPathFactory, home: Path, models: Path
) -> None:
    folder = tiny_exports.export(tmp_path_factory, home, "same")
    adapter = tiny_runs.run(tmp_path_factory, home) / "model"
    said = tiny_exports.certificate(folder)
    evaluations = home / "evaluations"
    write_scores(evaluations / "own", str(said["sha256"]))
    write_scores(evaluations / "before", str(said["made_of"]))
    write_scores(evaluations / "other", "e" * 64, model=str(adapter))
    (evaluations / "unscored").mkdir()
    (evaluations / "unscored" / "evaluation.json").write_text('{"contenders": []}')
    assert [(one.name, one.fit) for one in promoting.known(folder)] == [
        ("own", "weights"),
        ("before", "adapter"),
        ("other", "other"),
    ]
    assert said["made_of"] == fingerprint(examine(adapter))
    assert promoting.known(folder)[2].models == ("demo-tac", "site-b")
    assert {one.name: one.fit for one in promoting.known(adapter)} == {
        "other": "folder",
        "own": "other",
        "before": "other",
    }
    small = tiny_exports.export(tmp_path_factory, home, "small", "nf4")
    assert {one.fit for one in promoting.known(small)} == {"other"}, "quantised, it is another model"


def test_promoted_by_the_job_listed_and_taken_back(
    tmp_path_factory: pytest.TempPathFactory, home: Path, models: Path
) -> None:
    folder = tiny_exports.export(tmp_path_factory, home, "same")
    evaluation = write_scores(home / "evaluations" / "own", str(tiny_exports.certificate(folder)["sha256"]))
    assert promoting.suggested(folder) == "tiny" and promoting.hindrance(folder) == ""
    job = promoting.promote(folder, "tiny", evaluation)
    assert parsed(job.words).evaluation == evaluation and job.result == models / "tiny"
    with pytest.raises(UsageError, match="is a model tiny in the viewer already"):
        promoting.promote(folder, "tiny", evaluation)
    assert promoting.suggested(folder) == "tiny-2"
    assert main(list(job.words)) == 0
    (found,) = promoting.promoted()
    assert (found.name, found.source, found.demonstration) == ("tiny", str(folder), True)
    assert found.certificate == "Certified to be base and adapter in one: 2 of 2 texts the same, stored in float32."
    assert found.evaluated is not None and found.evaluated.name == "own" and found.evaluated.studies == 24
    assert [one.verdict for one in found.evaluated.few] == ["better", "better", "better", "unclear"]
    assert promoting.hindrance(models / "tiny") == "It is in the viewer already."
    back = promoting.take_back("tiny")
    assert promoting.going("tiny") and not promoting.going("demo-tac")
    assert main(list(back.words)) == 0
    assert promoting.promoted() == () and folder.is_dir()
    with pytest.raises(UsageError, match="was not promoted"):
        promoting.take_back("demo-tac")


def test_what_must_not_be_promoted_is_refused_before_there_is_a_job(
    tmp_path_factory: pytest.TempPathFactory, home: Path, models: Path
) -> None:
    folder = tiny_exports.export(tmp_path_factory, home, "same")
    tiny_exports.certificate(folder, passed=False)
    with pytest.raises(UsageError, match="not what it was merged from"):
        promoting.promote(folder, "new", None)
    (folder / "certificate.json").unlink()
    with pytest.raises(UsageError, match="never compared"):
        promoting.promote(folder, "new", None)
    assert queue.jobs() == ()


def test_the_page_needs_no_torch_for_all_this(project: Path) -> None:
    code = (
        "import sys; from trainer_ui.services import certificates, exports, model_folders, promoting;"
        "promoting.promoted(); exports.overview(); print(sorted({'torch', 'streamlit'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
