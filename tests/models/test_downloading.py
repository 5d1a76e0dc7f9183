"""``models download`` against a local server that speaks the hub's protocol: what is asked for, what is kept, and what
is said when it goes wrong. Nothing here reaches huggingface.co."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_hub import FakeHub, serve
from safetensors.torch import load_file

from engine import paths
from engine.cli import main
from engine.models import provenance

Run = Callable[..., tuple[int, Any, str]]
MODEL, TOWER = "somebody/tiny-tac", "towers/dinov2-tiny"


@pytest.fixture
def hub(tiny: Path, tmp_path: Path) -> Iterator[FakeHub]:
    """The tiny checkpoint and its tower as they might be published, with what is never fetched beside them."""
    shutil.copytree(tiny.parent, tmp_path / "published")
    model, tower = tmp_path / "published" / tiny.name, tmp_path / "published" / TOWER
    (model / "interval.json").unlink()
    torch.save(load_file(model / "model.safetensors"), model / "pytorch_model.bin")
    for name in ("modeling_evil.py", "training_images.csv", "optimizer.pt", "dino_head.safetensors"):
        (model / name).write_bytes(b"print('never')")
    (model / "README.md").write_text("A card.")
    (model / "original").mkdir()
    (model / "original" / "consolidated.pth").write_bytes(b"0")
    with serve() as hub:
        hub.repositories = {MODEL: model, TOWER: tower}
        hub.cards = {MODEL: {"license": "apache-2.0"}, TOWER: {"license": "other", "license_name": "msrla"}}
        yield hub


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of installed models of this test; not created yet."""
    folder = tmp_path / "models"
    monkeypatch.setattr(paths, "models", lambda: folder)
    return folder


@pytest.fixture
def run(
    hub: FakeHub, shelf: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Run ``models download`` with ``--json``: the status, the object on standard output or None, standard error."""
    import huggingface_hub
    from huggingface_hub import constants, file_download

    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(file_download.time, "sleep", lambda seconds: None)
    huggingface_hub.close_session()

    def run(*words: object) -> tuple[int, Any, str]:
        capsys.readouterr()
        status = main(["models", "download", *map(str, words), "--json"])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        assert constants.HF_HUB_OFFLINE, "everything else stays offline"
        return status, json.loads(captured.out) if captured.out else None, captured.err

    yield run
    huggingface_hub.close_session()


def names(folder: Path) -> set[str]:
    return {entry.relative_to(folder).as_posix() for entry in folder.rglob("*")} if folder.exists() else set()


def test_a_model_with_its_tower(run: Run, hub: FakeHub, shelf: Path) -> None:
    status, result, said = run(MODEL)
    assert status == 0, said
    assert [one["hub_id"] for one in result["fetched"]] == [MODEL, TOWER]
    assert names(shelf) == {
        "tiny-tac", "tiny-tac/README.md", "tiny-tac/config.json", "tiny-tac/generation_config.json",
        "tiny-tac/interval.json", "tiny-tac/model.safetensors", "tiny-tac/tokenizer.json",
        "tiny-tac/tokenizer_config.json", "towers", TOWER, f"{TOWER}/config.json", f"{TOWER}/interval.json",
        f"{TOWER}/model.safetensors", f"{TOWER}/preprocessor_config.json",
    }  # fmt: skip
    assert not {name for name in hub.fetched() if name.endswith((".py", ".bin", ".csv", ".pt", ".pth"))}
    assert "dino_head.safetensors" not in hub.fetched()
    kept = provenance.read(shelf / "tiny-tac")
    assert (kept["source"], kept["revision"], kept["license"]) == (MODEL, hub.commit(MODEL), "apache-2.0")
    assert kept["sha256"] == {"model.safetensors": hub.sha256(hub.repositories[MODEL] / "model.safetensors")}
    assert provenance.read(shelf / TOWER)["license"] == "msrla"
    assert result["fetched"][0]["model"]["family"] == "libra-tac"
    assert main(["models", "inspect", "tiny-tac"]) == 0
    assert main(["models", "verify"]) == 0


def test_what_is_here_is_not_fetched_again(run: Run, hub: FakeHub, shelf: Path) -> None:
    assert run(MODEL, "--only", "--name", "mine")[0] == 0
    assert names(shelf / "towers") == set()
    asked = len(hub.requests)
    status, result, _ = run(MODEL)
    assert (status, [one["hub_id"] for one in result["fetched"]]) == (0, [TOWER])
    assert not [path for _, path, _ in hub.requests[asked:] if MODEL in path]
    asked = len(hub.requests)
    status, result, _ = run(MODEL)
    assert (status, result["fetched"], len(result["here"])) == (0, [], 2)
    assert len(hub.requests) == asked
    assert run(MODEL, "--revision", hub.commit(MODEL))[0] == 0
    assert run(MODEL, "--revision", "v2")[0] == 2


def test_shards_and_bin_where_there_are_no_safetensors(run: Run, hub: FakeHub, shelf: Path) -> None:
    folder = hub.repositories[MODEL]
    tensors = load_file(folder / "model.safetensors")
    for name in ("model.safetensors", "pytorch_model.bin"):
        (folder / name).unlink()
    half = len(tensors) // 2
    shards = {
        "pytorch_model-00001-of-00002.bin": list(tensors)[:half],
        "pytorch_model-00002-of-00002.bin": list(tensors)[half:],
    }
    for name, part in shards.items():
        torch.save({key: tensors[key] for key in part}, folder / name)
    where = {key: name for name, part in shards.items() for key in part}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": where}))
    status, result, said = run(MODEL)
    assert status == 0, said
    assert result["fetched"][0]["model"]["usable"]
    assert set(provenance.read(shelf / "tiny-tac")["sha256"]) == set(shards)
    assert main(["models", "verify", "tiny-tac"]) == 0


def test_an_interrupted_file_goes_on_where_it_stopped(
    run: Run, hub: FakeHub, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1024)  # what is lost of a file that stops is one of these
    size = (hub.repositories[MODEL] / "model.safetensors").stat().st_size
    hub.cut = {"model.safetensors": size // 2}
    status, result, said = run(MODEL)
    assert (status, result) == (4, None) and "does not answer" in said
    assert main(["models", "list"]) == 0  # what is half there is no model
    assert [name for name in names(shelf) if not name.startswith(".")] == []
    hub.cut = {}
    hub.requests.clear()
    assert run(MODEL)[0] == 0
    asked = [part for _, path, part in hub.requests if path.endswith(f"{hub.commit(MODEL)}/model.safetensors")]
    assert len(asked) == 1
    assert size // 2 - 1024 <= int(asked[0].removeprefix("bytes=").removesuffix("-")) <= size // 2
    assert "config.json" not in [path.rsplit("/", 1)[1] for _, path, _ in hub.requests if MODEL in path]
    assert main(["models", "verify", "tiny-tac"]) == 0
    assert not [name for name in names(shelf) if name.startswith(".")]


def test_stopped_by_the_user(run: Run, hub: FakeHub, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("huggingface_hub.file_download.http_get", stop)
    status, _, said = run(MODEL)
    assert status == 130 and "goes on where this one ended" in said
    assert not (shelf / "tiny-tac").exists()


def test_a_file_that_is_not_the_hubs_is_not_kept(run: Run, hub: FakeHub, shelf: Path) -> None:
    hub.lie = {"model.safetensors"}
    status, _, said = run(MODEL)
    assert status == 4 and "arrived damaged" in said
    assert not (shelf / "tiny-tac").exists()
    hub.lie = set()
    assert run(MODEL)[0] == 0


def change(folder: Path, **fields: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | fields))


def test_what_cannot_be_used_is_said_before_its_weights_are_fetched(run: Run, hub: FakeHub, shelf: Path) -> None:
    change(hub.repositories[MODEL], model_type="mamba", architectures=["MambaForCausalLM"])
    status, _, said = run(MODEL)
    assert status == 4 and "MambaForCausalLM" in said
    assert "model.safetensors" not in hub.fetched()
    status, _, said = run("X-iZhang/libra-llava-rad")
    assert status == 4 and "OpenCLIP" in said


@pytest.mark.parametrize(
    ("prepare", "words", "status", "reason"),
    [
        (lambda hub: None, ("no-owner",), 2, "OWNER/NAME"),
        (lambda hub: None, ("../../etc",), 2, "OWNER/NAME"),
        (lambda hub: None, (MODEL, "--name", "../up"), 2, "cannot be the name"),
        (lambda hub: None, ("nobody/nothing",), 4, "no model nobody/nothing"),
        (lambda hub: None, (MODEL, "--revision", "v9"), 4, "no such revision"),
        (lambda hub: hub.gated.add(MODEL), (MODEL,), 4, "HF_TOKEN"),
        (lambda hub: (hub.repositories[MODEL] / "config.json").unlink(), (MODEL,), 4, "holds no model"),
    ],
)
def test_one_sentence_when_it_cannot_be(
    run: Run,
    hub: FakeHub,
    shelf: Path,
    prepare: Callable[[FakeHub], Any],
    words: tuple[str, ...],
    status: int,
    reason: str,
) -> None:
    prepare(hub)
    got, result, said = run(*words)
    assert (got, result) == (status, None) and reason in said
    assert [name for name in names(shelf) if not name.startswith(".")] == []


@pytest.mark.parametrize("where", ["http://127.0.0.1:9", "http://nowhere.invalid"])
def test_no_network(run: Run, shelf: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.setenv("HF_ENDPOINT", where)
    status, result, said = run(MODEL)
    assert (status, result) == (4, None)
    assert "does not answer" in said and "models add" in said and said.count("\n") == 1


def test_too_little_disk_is_said_before_weights(run: Run, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(10, 9, 1))
    status, _, said = run(MODEL)
    assert status == 5 and "GB are free" in said
    assert "model.safetensors" not in hub.fetched()


def test_a_taken_name_is_not_overwritten(run: Run, hub: FakeHub, shelf: Path) -> None:
    (shelf / "tiny-tac").mkdir(parents=True)
    (shelf / "tiny-tac" / "notes.txt").write_text("mine")
    assert run(MODEL)[0] == 2
    assert names(shelf / "tiny-tac") == {"notes.txt"}


def test_through_the_door(hub: FakeHub, project: Path, tmp_path: Path) -> None:
    """The launcher takes the network from every library; this command alone gives it back."""
    copy = tmp_path / "interval"
    shutil.copytree(project / "engine", copy / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("launch.py", "requirements.txt"):
        shutil.copy(project / name, copy)
    command = [sys.executable, str(copy / "launch.py"), "--no-venv", "models", "download", MODEL, "--json"]
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "NO_PROXY": "127.0.0.1", "HF_HOME": str(tmp_path / "hf")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["fetched"][0]["model"]["usable"]
    assert (copy / "models" / "tiny-tac" / "model.safetensors").is_file()
    assert (copy / "models" / TOWER / "model.safetensors").is_file()
    assert names(tmp_path / "hf") == set()
