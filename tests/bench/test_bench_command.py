"""``bench`` from the command line to the files it leaves, at the tiny size."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest
from bench_run import Ran, bench

from engine.cli import main

FIGURES = {
    "encode_s", "prefill_s", "first_token_s", "step_s", "total_s", "tokens_per_s", "bandwidth_share", "memory_bytes",
    "model_bytes", "passes", "others",
}  # fmt: skip


def test_the_json_says_what_was_measured_where(ran: Ran) -> None:
    assert ran.status == 0
    assert ran.result.keys() == {
        "version", "date", "suite", "size", "machine", "read_rate", "repeats", "peer", "same_tokens", "cases",
        "seconds",
    }  # fmt: skip
    assert {"processor", "cores", "threads", "torch", "transformers", "gpu"} <= ran.result["machine"].keys()
    assert ran.result["machine"]["threads"] == 1
    assert min(ran.result["read_rate"].values()) > 1e8
    assert [(one["case"], one["precision"]) for one in ran.result["cases"]] == [
        ("beams-4", "float32"), ("second", "float32"), ("batch-16", "float32"),
    ]  # fmt: skip


def test_engine_and_peer_write_the_same_and_to_the_end(ran: Ran) -> None:
    assert ran.result["same_tokens"] is True
    for one, tokens in zip(ran.result["cases"][:2], (12, 8), strict=True):
        assert one["same_tokens"] is True
        assert one["tokens"] == tokens
        assert one["distinct_tokens"] > tokens / 2
        assert one["positions"] > 16
        for side in ("engine", "peer"):
            assert one[side].keys() == FIGURES
            for name in ("encode_s", "prefill_s", "first_token_s", "step_s", "total_s"):
                found = one[side][name]
                assert 0 < found["min"] <= found["median"] <= found["max"]
            assert one[side]["first_token_s"]["max"] < one[side]["total_s"]["max"]
            assert one[side]["passes"] == tokens - 1


def test_ratios_are_the_peers_figures_over_the_engines(ran: Ran) -> None:
    one = ran.result["cases"][0]
    for name, ratio in one["ratio"].items():
        if name != "memory_bytes":
            assert ratio["median"] == pytest.approx(one["peer"][name]["median"] / one["engine"][name]["median"])
            assert ratio["min"] <= ratio["median"] <= ratio["max"]


def test_many_at_once_against_one_by_one(ran: Ran) -> None:
    batch = ran.result["cases"][-1]
    assert batch["same_tokens"] is True and batch["reason"] is None
    together, singly = batch["together"], batch["one by one"]
    assert together.keys() == singly.keys() == FIGURES
    assert batch["tokens"] == 12 and together["passes"] == singly["passes"] == 11
    for side, figures in (("together", together), ("one by one", singly)):
        assert 0 < figures["step_s"]["min"] <= figures["step_s"]["median"] <= figures["step_s"]["max"]
        assert batch["decode_s"][side] == pytest.approx(16 * 11 * figures["step_s"]["median"], rel=0.9)
    assert together["step_s"]["min"] == together["step_s"]["max"]  # each has its equal share
    assert batch["decode_s"]["one by one"] > batch["decode_s"]["together"]
    assert batch["ratio"]["step_s"]["median"] > 1
    assert together["bandwidth_share"] and singly["bandwidth_share"]
    assert "batch-16, float32: the engine decoded 16 pairs together in " in ran.words
    assert "with the same tokens in all of them" in ran.words


def test_files_hold_the_same_for_programs_readers_and_eyes(ran: Ran) -> None:
    assert json.loads((ran.output / "bench-cpu.json").read_text()) == ran.result
    page = (ran.output / "bench-cpu.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"]
    assert {len(row) for row in rows} == {10}
    whole = ran.result["cases"][0]["peer"]["total_s"]["median"]
    assert rows[2][:2] == ["beams-4, float32", "engine"]
    assert rows[3][1] == "peer" and rows[3][7].startswith(f"{whole:.2f}")
    assert "engine and peer wrote the same" in page
    assert [row[1] for row in rows[-3:]] == ["together", "one by one", "ratio"]
    picture = ElementTree.parse(ran.output / "bench-cpu.svg")
    words = "".join(picture.getroot().itertext())
    assert "beams-4" in words and f"{whole:.1f} s" in words
    assert "batch-16" in words and "one by one" in words and "times as much" in words
    assert "second" not in words  # a draft of another length would not be comparable


def test_words_go_to_standard_error(ran: Ran) -> None:
    assert "making a random model" in ran.words
    assert "beams-4, float32: engine" in ran.words and "beams-4, float32: peer" in ran.words
    assert "ratio" in ran.words


def test_nothing_is_left_but_what_belongs_to_somebody(ran: Ran) -> None:
    assert [folder.name for folder in (ran.home / "tmp").iterdir()] == ["bench-of-a-live-process"]


def test_the_demonstration_model(home: Path, tmp_path: Path) -> None:
    ran = bench(home, tmp_path, "--cases", "lookup", "agreement", "--precisions", "float32", "bfloat16",
                "--phantoms", "2")  # fmt: skip
    assert ran.status == 0
    guessing, agreement = ran.result["cases"]
    assert (guessing["case"], agreement["precision"]) == ("lookup", "bfloat16")
    found = guessing["found"]
    assert found["same"] == found["cases"] == 2
    assert found["passes"] < found["tokens"] / 1.3
    assert agreement["found"]["tokens"] == found["tokens"]
    assert 0.9 < agreement["found"]["same"] / agreement["found"]["tokens"] <= 1
    assert f"in {found['passes']} passes" in ran.words
    assert "model" not in {entry.name for folder in home.rglob("bench*") for entry in folder.rglob("*")}


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_all_of_it_and_leaves_nothing(project: Path, home: Path, number: signal.Signals) -> None:
    command = [sys.executable, str(project / "launch.py"), "--no-venv", "bench", "--size", "tiny", "--cases", "greedy"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        watchdog = threading.Timer(300, process.kill)
        watchdog.start()
        try:
            said = [next(line for line in process.stderr if "greedy, float32: engine" in line)]
            children = psutil.Process(process.pid).children(recursive=True)
            assert list((home / "tmp").glob("bench-*/model/model.safetensors"))
            process.send_signal(number)
            said += process.stderr.readlines()
            assert process.wait() == 130
        finally:
            watchdog.cancel()
            process.kill()
    assert said[-1] == "Stopped.\n" and "Traceback" not in "".join(said)
    assert children
    assert not psutil.wait_procs(children, timeout=30)[1]
    assert list((home / "tmp").iterdir()) == []


def test_a_model_that_is_kept(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--size", "tiny", "--cases", "greedy", "--precisions", "nf4", "--repeats", "1",
                 "--keep"]) == 0  # fmt: skip
    captured = capsys.readouterr()
    (model,) = (home / "bench").glob("*/model")
    assert f"the model stays in {model}" in captured.err
    assert captured.out.splitlines()[3].startswith("case")
    assert main(["models", "inspect", str(model)]) == 0


@pytest.mark.parametrize(
    "options", [("--repeats", "0"), ("--threads", "0"), ("--phantoms", "0"), ("--suite", "gpu"), ("--cases", "none")]
)
def test_wrong_usage(options: tuple[str, ...], home: Path) -> None:
    import torch

    if options[-1] == "gpu" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert main(["bench", "--size", "tiny", *options]) == 2
    assert not (home / "tmp").exists()
