"""``models add``, ``verify``, ``remove`` and ``list`` as a user types them, on small real models."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine import paths
from engine.cli import main
from engine.models import provenance
from engine.models.adding import default_name

Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of installed models of this test; not created yet."""
    folder = tmp_path / "models"
    monkeypatch.setattr(paths, "models", lambda: folder)
    return folder


@pytest.fixture
def source(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint, with its tower beside it and the litter of a training in it."""
    shutil.copytree(tiny.parent, tmp_path / "elsewhere")
    folder = tmp_path / "elsewhere" / tiny.name
    (folder / "modeling_evil.py").write_text("raise SystemExit")
    (folder / "optimizer.pt").write_bytes(b"0" * 1000)
    (folder / "checkpoint-10").mkdir()
    (folder / "README.md").write_text("A card.")
    return folder


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A LoRA adapter for the tiny checkpoint that names a base which is not here."""
    folder = tmp_path / "elsewhere-adapter"
    folder.mkdir()
    target = "base_model.model.model.layers.0.self_attn.q_proj"
    factors = {f"{target}.lora_A.weight": torch.ones(2, 32), f"{target}.lora_B.weight": torch.ones(32, 2)}
    save_file(factors, folder / "adapter_model.safetensors", {"format": "pt"})
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}
    config["base_model_name_or_path"] = "no/such-base"
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def run(shelf: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``models`` with ``--json``: the status, the object on standard output or None, and standard error."""

    def run(*words: object) -> tuple[int, Any, str]:
        status = main(["models", *map(str, words), "--json"])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return status, json.loads(captured.out) if captured.out else None, captured.err

    return run


def names(folder: Path) -> set[str]:
    return {entry.relative_to(folder).as_posix() for entry in folder.rglob("*")} if folder.exists() else set()


class TestAdd:
    def test_a_model_and_then_its_tower(self, run: Run, source: Path, shelf: Path) -> None:
        before = names(source)
        status, result, said = run("add", source, "--name", "mine", "--license", "cc0-1.0")
        assert status == 0
        assert result["model"]["missing"] and not result["model"]["usable"]
        assert "vision tower towers/dinov2-tiny, which is not on this machine" in said
        assert names(shelf / "mine") == {
            "README.md", "config.json", "generation_config.json", "interval.json", "model.safetensors",
            "tokenizer.json", "tokenizer_config.json",
        }  # fmt: skip
        assert names(source) == before
        kept = provenance.read(shelf / "mine")
        assert (kept["name"], kept["license"], kept["conversation"]) == ("mine", "cc0-1.0", "libra_v1")
        assert kept["demonstration"] is True
        assert set(kept["sha256"]) == {"model.safetensors"}
        status, result, _ = run("add", source.parent / "towers" / "dinov2-tiny", "--name", "towers/dinov2-tiny")
        assert (status, result["model"]["kind"], result["model"]["usable"]) == (0, "vision tower", True)
        status, result, _ = run("list")
        assert [(one["name"], one["usable"]) for one in result["models"]] == [("mine", True)]
        assert [one["kind"] for one in result["parts"]] == ["vision tower"]
        assert main(["models", "verify"]) == 0

    def test_links_leave_the_files_where_they_are(self, run: Run, source: Path, shelf: Path) -> None:
        status, result, _ = run("add", source, "--link", "--conversation", "libra_v0")
        assert (status, result["linked"], result["model"]["conversation"]) == (0, True, "libra_v0")
        linked = shelf / "tiny" / "model.safetensors"
        assert linked.is_symlink() and linked.samefile(source / "model.safetensors")
        assert not (shelf / "tiny" / "interval.json").is_symlink()
        assert provenance.read(source)["conversation"] == "libra_v1"
        assert run("verify", "tiny")[0] == 0
        assert run("remove", "tiny", "--yes")[0] == 0
        assert (source / "model.safetensors").is_file() and names(shelf) == set()

    def test_an_adapter_without_its_base(self, run: Run, adapter: Path, shelf: Path, tiny: Path) -> None:
        status, result, _ = run("add", adapter)
        assert (status, result["model"]["kind"]) == (0, "adapter")
        assert "no/such-base" in result["model"]["missing"][0]
        status, found, _ = run("inspect", "elsewhere-adapter", "--base", tiny)
        assert status == 0, found
        assert (found["adapter"]["rank"], found["base"], found["family"]) == (2, str(tiny), "libra-tac")
        status, found, _ = run("inspect", tiny, "--adapter", "elsewhere-adapter")
        assert (status, found["adapter"]["parameters"]) == (0, 128)
        weights = shelf / "elsewhere-adapter" / "adapter_model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
        status, result, _ = run("verify", "elsewhere-adapter")
        assert (status, result["models"][0]["files"]) == (4, {"adapter_model.safetensors": "differs"})

    def test_an_adapter_on_another_base_than_it_was_installed_for(
        self, run: Run, adapter: Path, source: Path, shelf: Path
    ) -> None:
        said = provenance.read(source)
        recorded = {"model.safetensors": "a" * 64}
        provenance.write(source, said, sha256=recorded)
        config = json.loads((adapter / "adapter_config.json").read_text())
        (adapter / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": str(source)}))
        assert run("add", adapter, "--name", "on-base")[0] == 0
        assert provenance.hashes(shelf / "on-base", "base_sha256") == recorded
        status, found, _ = run("inspect", "on-base")
        assert status == 0, found
        provenance.write(source, said, sha256={"model.safetensors": "b" * 64})
        for arguments in (("on-base",), (source, "--adapter", "on-base"), ("on-base", "--base", source)):
            status, found, _ = run("inspect", *arguments)
            assert status == 4
            assert found["problems"] == [
                "it was made for another base: model.safetensors of tiny is not the file it records"
            ]

    def test_everything_wrong_is_said_and_nothing_is_installed(self, run: Run, source: Path, shelf: Path) -> None:
        (source / "tokenizer.json").unlink()
        file = source / "model.safetensors"
        file.write_bytes(file.read_bytes()[:-9])
        status, result, said = run("add", source)
        assert (status, result) == (4, None)
        assert "cut off" in said and "tokenizer" in said
        assert names(shelf) == set()

    @pytest.mark.parametrize(
        ("make", "reason"),
        [
            (lambda folder: folder.mkdir(), "config.json is missing"),
            (lambda folder: None, "no model folder"),
            (lambda folder: shutil.copytree(folder.parent / "elsewhere-adapter", folder), "adapter_config.json"),
        ],
    )
    def test_what_is_no_model(
        self, run: Run, adapter: Path, shelf: Path, tmp_path: Path, make: Callable[[Path], None], reason: str
    ) -> None:
        (adapter / "adapter_config.json").write_text("{")
        make(tmp_path / "thing")
        status, _, said = run("add", tmp_path / "thing")
        assert status == 4 and reason in said
        assert names(shelf) == set()

    @pytest.mark.parametrize("name", ["../out", "/abs", ".hidden", "a/b/c", "a b", "dots.", "-x-/", "n" * 200])
    def test_names_that_are_none(self, run: Run, source: Path, shelf: Path, name: str) -> None:
        assert run("add", source, f"--name={name}")[0] == 2
        assert names(shelf) == set()
        assert not (shelf.parent / "out").exists()

    def test_nothing_is_overwritten(self, run: Run, source: Path, shelf: Path) -> None:
        assert run("add", source)[0] == 0
        (shelf / "taken").symlink_to("nowhere")
        before = names(shelf)
        assert run("add", source)[0] == 2
        assert run("add", source, "--name", "taken")[0] == 2
        assert run("add", source, "--name", "tiny/inner")[0] == 2
        assert run("add", shelf / "tiny", "--name", "again")[0] == 2
        assert run("add", source, "--name", "other", "--conversation", "no such")[0] == 2
        assert names(shelf) == before

    def test_too_little_disk_is_said_first(
        self, run: Run, source: Path, shelf: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(10, 9, 1))
        status, _, said = run("add", source)
        assert status == 5 and "GB are free" in said
        assert names(shelf) == set()

    @pytest.mark.parametrize(
        ("error", "status"), [(KeyboardInterrupt(), 130), (OSError(errno.ENOSPC, "No space left on device"), 5)]
    )
    def test_an_interruption_leaves_nothing(
        self, run: Run, source: Path, shelf: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int
    ) -> None:
        real = provenance.digest

        def digest(file: Path, report: Callable[[int], None], copy_to: Path | None = None) -> str:
            done = real(file, report, copy_to)
            if file.name == "model.safetensors":
                assert names(shelf), "the copy is under way"
                raise error
            return done

        monkeypatch.setattr(provenance, "digest", digest)
        assert run("add", source, "--name", "owner/mine")[0] == status
        assert names(shelf) == set()

    def test_what_a_killed_copy_left_is_swept(self, run: Run, source: Path, shelf: Path) -> None:
        left = shelf / ".unfinished" / f"tiny.{2**22 + 1}.partial"  # above the largest process id there can be
        left.mkdir(parents=True)
        (left / "model.safetensors").write_bytes(b"half")
        assert run("list")[1]["models"] == []
        assert run("add", source)[0] == 0
        assert names(shelf) == {"tiny", *(f"tiny/{name}" for name in names(shelf / "tiny"))}

    def test_what_is_being_copied_is_no_model_to_anybody(
        self, run: Run, source: Path, shelf: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real, seen = provenance.write, []

        def write(folder: Path, known: dict[str, Any], **changes: Any) -> None:
            real(folder, known, **changes)
            seen.append([child for child in shelf.iterdir() if (child / "config.json").exists()])

        monkeypatch.setattr(provenance, "write", write)
        assert run("add", source)[0] == 0
        assert seen == [[]]

    def test_a_tower_inside_the_model_goes_with_it(self, run: Run, source: Path, shelf: Path) -> None:
        shutil.copytree(source.parent / "towers" / "dinov2-tiny", source / "towers" / "dinov2-tiny")
        status, result, _ = run("add", source)
        assert (status, result["model"]["usable"]) == (0, True)
        inner = "towers/dinov2-tiny/model.safetensors"
        assert set(provenance.hashes(shelf / "tiny")) == {"model.safetensors", inner}
        assert run("verify", "tiny")[1]["models"][0]["files"] == {"model.safetensors": "same", inner: "same"}

    def test_the_name_of_what_the_hubs_cache_holds(self, tmp_path: Path) -> None:
        cached = tmp_path / "models--X-iZhang--libra-v1.0-7b" / "snapshots" / "abc"
        assert default_name(cached, "model") == "libra-v1.0-7b"
        assert default_name(tmp_path / "rad-dino", "vision tower") == "microsoft/rad-dino"
        assert default_name(tmp_path / "meditron-7b", "language model") == "epfl-llm/meditron-7b"
        assert default_name(tmp_path / "rad-dino", "model") == "rad-dino"


class TestVerify:
    @pytest.fixture(autouse=True)
    def installed(self, run: Run, source: Path, shelf: Path) -> Path:
        assert run("add", source)[0] == 0
        return shelf / "tiny"

    def change(self, folder: Path, value: float, at: int = 0) -> None:
        tensors = load_file(folder / "model.safetensors")
        tensors["model.norm.weight"][at] = value
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    def test_sound(self, run: Run) -> None:
        status, result, _ = run("verify", "tiny")
        assert (status, result["sound"]) == (0, True)
        assert result["models"][0]["files"] == {"model.safetensors": "same"}

    def test_another_value(self, run: Run, installed: Path) -> None:
        self.change(installed, 0.5)
        status, result, _ = run("verify")
        assert (status, result["models"][0]["files"]) == (4, {"model.safetensors": "differs"})
        assert result["models"][0]["problems"] == ["model.safetensors is not the file that was installed"]

    def test_a_value_that_is_no_number_without_a_recorded_hash(
        self, run: Run, installed: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.change(installed, float("nan"))
        (installed / "interval.json").unlink()
        status, result, _ = run("verify", installed)
        assert (status, result["models"][0]["files"]) == (4, {"model.safetensors": "not recorded"})
        assert result["models"][0]["problems"] == ["model.norm.weight holds values that are not finite"]
        assert main(["models", "verify", "tiny"]) == 4
        assert "NOT SOUND (no hash was recorded of 1 of 1 files)" in capsys.readouterr().out

    def test_a_file_that_is_gone_or_cut_off(self, run: Run, installed: Path) -> None:
        file = installed / "model.safetensors"
        file.write_bytes(file.read_bytes()[:-100])
        assert "cut off" in " ".join(run("verify", "tiny")[1]["models"][0]["problems"])
        file.unlink()
        status, result, _ = run("verify", "tiny")
        assert (status, result["models"][0]["files"]) == (4, {"model.safetensors": "missing"})

    def test_a_record_that_leads_out_of_the_folder_is_not_followed(self, run: Run, installed: Path) -> None:
        record = provenance.read(installed)
        record["sha256"] |= {"../secret": "0" * 64, "/etc/passwd": "0" * 64}
        (installed / "interval.json").write_text(json.dumps(record))
        assert set(run("verify", "tiny")[1]["models"][0]["files"]) == {"model.safetensors"}

    def test_no_model(self, run: Run) -> None:
        status, result, said = run("verify", "nothing")
        assert (status, result) == (4, None) and "nothing" in said


class TestRemove:
    @pytest.fixture(autouse=True)
    def installed(self, run: Run, source: Path, shelf: Path) -> Path:
        assert run("add", source)[0] == 0
        assert run("add", source.parent / "towers" / "dinov2-tiny", "--name", "towers/dinov2-tiny")[0] == 0
        return shelf / "tiny"

    def test_links_in_it_are_not_followed(self, run: Run, installed: Path, source: Path) -> None:
        (installed / "there").symlink_to(source, target_is_directory=True)
        status, result, _ = run("remove", "tiny", "--yes")
        assert (status, result["removed"]) == (0, str(installed))
        assert not installed.exists() and (source / "model.safetensors").is_file()

    def test_a_link_is_removed_and_not_what_it_leads_to(self, run: Run, shelf: Path, source: Path) -> None:
        (shelf / "linked").symlink_to(source, target_is_directory=True)
        assert run("remove", "linked", "--yes")[1]["link"] is True
        assert not (shelf / "linked").exists() and (source / "model.safetensors").is_file()

    def test_who_uses_a_tower_is_said(self, run: Run, shelf: Path) -> None:
        status, result, said = run("remove", "towers/dinov2-tiny", "--yes")
        assert (status, result["used_by"]) == (0, ["tiny"]) and "used by tiny" in said
        assert not (shelf / "towers").exists()

    @pytest.mark.parametrize(
        ("name", "status"),
        [
            ("{source}", 2), ("..", 2), (".", 2), ("tiny/..", 2), ("tiny/inner", 2), ("../elsewhere/tiny", 2),
            ("towers", 4), ("nothing", 4), ("tiny/nothing", 4),
        ],
    )  # fmt: skip
    def test_what_is_not_removed(self, run: Run, shelf: Path, source: Path, name: str, status: int) -> None:
        shutil.copytree(shelf / "towers" / "dinov2-tiny", shelf / "tiny" / "inner")
        before = names(shelf), names(source)
        assert run("remove", name.format(source=source), "--yes")[0] == status
        assert (names(shelf), names(source)) == before

    @pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 130), ("", 130)])
    def test_it_asks(
        self, run: Run, installed: Path, monkeypatch: pytest.MonkeyPatch, answer: str, status: int
    ) -> None:
        asked = io.StringIO(answer)
        monkeypatch.setattr(asked, "isatty", lambda: True)
        monkeypatch.setattr("sys.stdin", asked)
        got, _, said = run("remove", "tiny")
        assert got == status and "[y/N]" in said
        assert installed.exists() is (status != 0)

    def test_nobody_to_ask(self, run: Run, installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
        assert run("remove", "tiny")[0] == 2
        assert installed.exists()

    def test_the_demonstration_model(self, run: Run, installed: Path, shelf: Path) -> None:
        installed.rename(shelf / "demo-tac")
        status, _, said = run("remove", "demo-tac", "--yes")
        assert status == 2 and "git checkout -- models/demo-tac" in said
        assert run("remove", "demo-tac", "--yes", "--force")[0] == 0


class TestList:
    def test_what_is_published_and_not_here(
        self, run: Run, shelf: Path, source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
        monkeypatch.chdir(tmp_path)
        status, result, _ = run("list", "--available")
        found = {one["hub_id"]: one for one in result["available"]}
        assert status == 0 and result["models"] == []
        libra = found["X-iZhang/libra-v1.0-7b"]
        assert libra["missing"] == ["X-iZhang/libra-v1.0-7b", "microsoft/rad-dino"]
        assert found["X-iZhang/libra-llava-rad"]["unsupported"]
        tower = source.parent / "towers" / "dinov2-tiny"
        assert run("add", tower, "--name", "microsoft/rad-dino")[0] == 0
        found = {one["hub_id"]: one for one in run("list", "--available")[1]["available"]}
        assert "microsoft/rad-dino" not in found
        assert found["X-iZhang/libra-v1.0-7b"]["missing"] == ["X-iZhang/libra-v1.0-7b"]
        assert "available" not in run("list")[1]

    def test_in_words(self, run: Run, shelf: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("add", source, "--name", "here")[0] == 0
        assert main(["models", "list", "--available"]) == 0
        said = capsys.readouterr().out
        assert "here" in said and "not usable" in said
        assert "needs microsoft/rad-dino (" in said and "licence apache-2.0" in said


def test_inspect_says_what_a_person_must_know(tiny: Path, capsys: pytest.CaptureFixture[str], shelf: Path) -> None:
    assert main(["models", "inspect", str(tiny)]) == 0
    said = capsys.readouterr().out
    assert "for a draft (greedy, 512 tokens)" in said and "nf4" in said
    assert main(["models", "inspect", str(tiny.parent / "towers" / "dinov2-tiny")]) == 0
    assert "vision tower" in capsys.readouterr().out


@pytest.mark.skipif(os.name != "posix", reason="permissions")
def test_a_source_that_cannot_be_read(run: Run, source: Path, shelf: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (source / "model.safetensors").chmod(0)
    assert run("add", source)[0] in (3, 4)
    assert names(shelf) == set()
