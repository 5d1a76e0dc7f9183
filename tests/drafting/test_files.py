"""A model counts as changed when any file it is read from has changed, wherever it lies, and not otherwise."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from engine.drafting.files import changed, model_files, stamps
from engine.errors import ModelError


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint, with its tower beside it."""
    shutil.copytree(tiny.parent, tmp_path / "root")
    return tmp_path / "root" / tiny.name


def test_every_file_it_is_read_from_counts(folder: Path) -> None:
    (folder / "README.md").write_text("A card.")
    then = stamps(model_files(folder))
    files = [file for file in folder.parent.rglob("*") if file.is_file()]
    assert {file.parent.name for file in files if file.suffix == ".safetensors"} > {folder.name}, "a tower beside it"
    assert not changed(then)
    for file in files:
        was = file.stat()
        os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns + 1))
        assert changed(then) is (file.name != "README.md"), file
        os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
        assert not changed(then)


def test_another_file_of_the_same_size_and_time_in_its_place_counts(folder: Path) -> None:
    then = stamps(model_files(folder))
    shutil.copy2(folder / "config.json", folder / "other")
    (folder / "other").replace(folder / "config.json")
    assert changed(then)


def test_a_file_that_comes_or_goes_counts(folder: Path) -> None:
    then = stamps(model_files(folder))
    (folder / "added_tokens.json").write_text("{}")
    assert changed(then)
    (folder / "added_tokens.json").unlink()
    assert not changed(then)
    (folder / "model.safetensors").unlink()
    assert changed(then)


def test_the_files_of_an_adapter_and_of_its_base_count(folder: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(folder), "r": 1}))
    save_file({"base_model.model.x.lora_A.weight": torch.zeros(1, 2)}, adapter / "adapter_model.safetensors")
    for files in (model_files(adapter), model_files(folder, adapter=adapter)):
        read = {(file.parent.name, file.name) for file in files if file.is_file()}
        assert {("adapter", "adapter_model.safetensors"), ("adapter", "adapter_config.json")} <= read
        assert {(folder.name, "model.safetensors"), (folder.name, "tokenizer.model")} & read
        assert any(name == "model.safetensors" and parent != folder.name for parent, name in read), "the tower's"


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model folder"):
        model_files(tmp_path / "none")
