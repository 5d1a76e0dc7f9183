"""A run in two processes, as torchrun starts them: one model, one log, and it stops and resumes as one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch
from adaptation_runs import PROJECT, lora_recipe, make_phantoms, read_lines, write_recipe
from safetensors.torch import load_file

from engine.training.run import run
from engine.training.run_folder import RunFolder


def torchrun(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += [str(PROJECT / "launch.py"), "--no-venv", "train", *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


def test_two_processes_learn_what_one_learns_from_batches_of_twice_the_size(tmp_path: Path) -> None:
    phantoms = make_phantoms(tmp_path / "phantoms", 12, 4)
    stage = {
        "lora": {"rank": 4, "alpha": 8},
        "train": ["language_model"],
        "accumulate": 1,
        "connector_learning_rate": None,
    }
    document = lora_recipe(phantoms, stage={**stage, "batch_size": 2})
    folder = RunFolder(tmp_path / "two")
    done = torchrun(str(write_recipe(tmp_path / "a", document)), "--output", str(folder.path))
    assert done.returncode == 0, done.stderr[-3000:]

    alone = run(
        write_recipe(tmp_path / "b", {**document, "stages": [{**document["stages"][0], "batch_size": 4}]}),
        tmp_path / "one",
    )
    one, two = (load_file(place / "adapter_model.safetensors") for place in (alone, folder.model))
    assert all(torch.allclose(one[name], two[name], atol=2e-5) for name in one)

    lines = read_lines(folder.log)
    assert [line["step"] for line in lines if "evaluation" in line] == [4, 6]
    answered = {file.name for file in folder.validation.glob("adapt-4*.jsonl")}
    assert answered == {"adapt-4.0-of-2.jsonl", "adapt-4.1-of-2.jsonl"}
    assert len({line["id"] for line in read_lines(folder.samples) if line["step"] == 4}) == 4
    state = folder.state()
    assert state is not None and state.state == "done"
