"""Which models can be chosen, in which precision, and what is said of their memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from pilot import FakeEngine, FakeInfo, Pilot

from app.services import Filters, ModelHost, Workbench, installed, plans
from app.services.chosen import OPTIONS, PRECISIONS, Chosen, chosen
from app.services.plans import Plans, Reading
from engine.drafting import Check
from engine.errors import ModelError

GB = 10**9
READING = Reading(
    "cpu",
    0,
    "float32",
    ("float32", "bfloat16", "nf4"),
    {
        1: {"float32": 14 * GB, "bfloat16": 8 * GB, "int8": 5 * GB, "nf4": 3 * GB},
        4: {"float32": 18 * GB, "bfloat16": 10 * GB, "int8": 7 * GB, "nf4": 5 * GB},
    },
)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty ``models/``."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setattr("engine.paths.models", lambda: folder)
    return folder


def put(folder: Path, *names: str, **files: object) -> Path:
    """A folder with empty files, and JSON files named without their ending."""
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    for stem, content in files.items():
        (folder / f"{stem}.json").write_text(json.dumps(content))
    return folder


# -- what can be chosen -----------------------------------------------------------------------------------------------


def test_models_come_first_then_what_is_put_on_one_of_them(shelf: Path) -> None:
    model = put(shelf / "libra-7b", "model.safetensors", config={"model_type": "libra"})
    put(shelf / "dino", "model.safetensors", config={"model_type": "dinov2"})
    put(shelf / "a-base", "model.safetensors", config={"model_type": "llama"})
    sees = put(shelf / "sees", "model.safetensors", config={"model_type": "llama", "mm_vision_tower": "dino"})
    tuned = put(shelf / "a-tuned", "adapter_model.safetensors", adapter_config={"base_model_name_or_path": "libra-7b"})
    named = {"base_model_name_or_path": "somebody/elsewhere"}
    put(shelf / "b-homeless", "adapter_model.safetensors", adapter_config=named, config={"model_type": "libra"})
    projector = {"model_type": "llava", "_name_or_path": "owner/libra-7b"}
    joined = put(shelf / "c-projector", "mm_projector.bin", config=projector)
    put(shelf / "d-projector", "mm_projector.bin", config={"model_type": "llava"})
    merged = put(
        shelf / "e-merged", "model.safetensors", config={"model_type": "libra"}, adapter_config={"peft_type": "LORA"}
    )
    (shelf / "note.txt").touch()
    found = installed.installed(None)
    assert [choice.label for choice in found] == [
        "e-merged",
        "libra-7b",
        "sees",
        "a-tuned on libra-7b",
        "c-projector on libra-7b",
    ]
    assert [choice.path for choice in found] == [str(one) for one in (merged, model, sees, tuned, joined)]
    assert plans.base_option(str(joined)) == str(model), "a projector names no base to the engine"
    assert plans.base_option(str(tuned)) is None and plans.base_option("") is None


def test_an_adapter_from_the_command_line_comes_first_with_its_base(shelf: Path, tmp_path: Path) -> None:
    put(shelf / "libra-7b", "model.safetensors", config={"model_type": "libra"})
    mine = put(
        tmp_path / "mine", "adapter_model.bin", adapter_config={"base_model_name_or_path": str(shelf / "libra-7b")}
    )
    assert [choice.label for choice in installed.installed(mine)] == ["mine on libra-7b", "libra-7b"]


def test_damaged_configurations_are_no_models(shelf: Path) -> None:
    put(shelf / "list", config=[])
    (put(shelf / "broken") / "config.json").write_text("{")
    (put(shelf / "deep") / "adapter_config.json").write_text("[" * 100_000)
    put(shelf / "odd", adapter_config={"base_model_name_or_path": ["a", "list"]})
    assert installed.installed(None) == ()


def test_the_names_of_files_are_the_engines() -> None:
    from engine.models import adapters, language, plan, recognition, towers, weights

    assert installed.WEIGHTS == weights.LAYOUTS
    assert installed.PROJECTOR_FILES == recognition.PROJECTOR_FILES
    assert tuple(language.CLASSES) == installed.LANGUAGE_MODELS
    assert (*towers.KINDS, *towers.WHOLE) == installed.TOWERS
    assert adapters.CONFIG == installed.ADAPTER_CONFIG
    assert plans.SPARE == plan.SPARE


# -- precision --------------------------------------------------------------------------------------------------------


def test_a_page_can_send_what_it_likes() -> None:
    assert chosen("models/a", "nf4") == Chosen("models/a", "nf4")
    assert chosen(None, "int2") == Chosen() == chosen(["a"], {"b": 1})
    assert OPTIONS.keys() == PRECISIONS.keys()


@dataclass
class Loader:
    """Gives an engine in the precision asked for; ``refused`` ones cannot be loaded."""

    refused: set[str] = field(default_factory=set)
    asked: list[Chosen] = field(default_factory=list)
    engines: list[FakeEngine] = field(default_factory=list)

    def __call__(self, model: Chosen) -> FakeEngine:
        self.asked.append(model)
        if model.precision in self.refused:
            raise ModelError("This model cannot be loaded in that precision.")
        dtype = str(model.options.get("dtype", "float32"))
        quantization = model.options["quantization"].replace("auto", "none")
        self.engines.append(FakeEngine(info=FakeInfo(dtype=dtype, quantization=quantization)))
        return self.engines[-1]


@pytest.fixture
def loader() -> Loader:
    return Loader()


@pytest.fixture
def pilot(home: Path, model: Path, loader: Loader) -> Iterator[Pilot]:
    with Workbench.open(home, ModelHost(model, load=loader)) as bench:  # type: ignore[arg-type]
        yield Pilot(bench, str(model))


def test_another_precision_is_another_engine_and_the_draft_keeps_it(pilot: Pilot, loader: Loader, pair: Path) -> None:
    pilot.drop(pair)
    pilot.draft()
    for precision in ("bfloat16", "nf4", "nf4"):
        pilot.precision = precision
        pilot.draft(sure=True)
    assert [one.precision for one in loader.asked] == ["auto", "bfloat16", "nf4"]
    assert [engine.closed for engine in loader.engines] == [True, True, False], "one is in memory"
    assert pilot.bench.models.running(pilot.chosen) == "nf4"
    assert pilot.bench.models.running(Chosen(pilot.model)) == ""
    assert pilot.session.report is not None
    written = [(draft.settings["dtype"], draft.settings["quantization"]) for draft in pilot.session.report.drafts]
    assert written == [("float32", "none"), ("bfloat16", "none"), ("bfloat16", "nf4"), ("bfloat16", "nf4")]


def test_a_precision_that_fails_is_a_sentence_and_the_old_one_drafts_again(
    pilot: Pilot, loader: Loader, pair: Path
) -> None:
    loader.refused = {"int8"}
    pilot.drop(pair)
    pilot.draft()
    pilot.precision = "int8"
    screen = pilot.draft(sure=True)
    assert "cannot be loaded in that precision" in pilot.notices()[-1] and screen.report.can_draft
    assert any(line.text.startswith("Drafting is off") for line in screen.report.lines)
    pilot.precision = "auto"
    assert not any(line.text.startswith("Drafting is off") for line in pilot.screen.report.lines)
    pilot.draft(sure=True)
    assert pilot.session.report is not None and len(pilot.session.report.drafts) == 2


def test_the_export_says_in_which_precision_it_was_drafted(pilot: Pilot, pair: Path) -> None:
    pilot.precision = "bfloat16"
    pilot.drop(pair)
    pilot.draft()
    pilot.accept_all()
    files = [pilot.bench.exported(one.ticket) for one in pilot.export().report.exports]
    printed = next(file for file in files if file.suffix == ".txt").read_text()
    assert "dtype bfloat16" in " ".join(printed.split())
    assert pilot.bench.history(Filters()).total == 1


def test_a_lower_rung_is_said_beside_the_draft(pilot: Pilot, pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "The memory did not suffice for float32; this was drafted in bfloat16."
    whole = FakeEngine.stream

    def lower(self: FakeEngine, *args: object, **options: object) -> Iterator[object]:
        *events, draft = whole(self, *args, **options)  # type: ignore[arg-type]
        yield from events
        yield replace(draft, checks=(*draft.checks, Check("memory", said)))

    monkeypatch.setattr(FakeEngine, "stream", lower)
    pilot.drop(pair)
    lines = pilot.draft().report.lines
    assert [line.kind for line in lines if line.text == said] == ["warning"]


def test_a_demonstration_is_named_as_one_before_it_is_loaded(shelf: Path) -> None:
    shown = put(shelf / "shown", "model.safetensors", config={"model_type": "libra"}, interval={"demonstration": True})
    tuned = put(shelf / "tuned", "adapter_model.bin", adapter_config={"base_model_name_or_path": "shown"})
    plain = put(shelf / "plain", "model.safetensors", config={"model_type": "libra"})
    host = ModelHost(load=Loader())  # type: ignore[arg-type]
    assert [host.status(Chosen(str(one), "nf4")).demonstration for one in (shown, tuned, plain)] == [True, True, False]
    host.close()


def test_an_adapter_and_a_projector_draft_on_their_base(home: Path, shelf: Path, pair: Path) -> None:
    """In the real engine, by their own folders."""
    import torch
    from safetensors.torch import load_file, save_file
    from tiny_checkpoint import build

    tiny = Path(build(shelf))
    config = json.loads((tiny / "config.json").read_text())
    put(shelf / "seen", config=config | {"_name_or_path": "tiny"})
    connector = {name: one for name, one in load_file(tiny / "model.safetensors").items() if "mm_projector" in name}
    torch.save(connector, shelf / "seen" / "mm_projector.bin")
    peft = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}
    put(shelf / "tuned", adapter_config=peft | {"base_model_name_or_path": "tiny"})
    width = config["hidden_size"]
    layer = "base_model.model.model.layers.{}.self_attn.q_proj.lora_{}.weight"
    factors = {}
    for number in range(config["num_hidden_layers"]):
        factors[layer.format(number, "A")] = torch.ones(2, width)
        factors[layer.format(number, "B")] = torch.ones(width, 2)
    save_file(factors, shelf / "tuned" / "adapter_model.safetensors")
    with Workbench.open(home, ModelHost()) as bench:
        found = {choice.label: choice.path for choice in bench.models.choices()}
        assert list(found) == ["tiny", "seen on tiny", "tuned on tiny"]
        for label in ("seen on tiny", "tuned on tiny"):
            pilot = Pilot(bench, found[label], label)
            pilot.drop(pair)
            pilot.start_draft(max_new_tokens=2)
            list(bench.watch(pilot.key, pilot.chosen))
            assert pilot.notices() == []
            assert pilot.session.report is not None
            assert pilot.session.report.drafts[-1].model_name == label.split()[0]
            reading = bench.plans.reading(found[label])
            assert reading is not None and reading.needed


# -- the plan ---------------------------------------------------------------------------------------------------------


def words(precision: str, beams: int, free: int, running: str = "", reading: Reading = READING) -> tuple[str, str]:
    line = plans.line(reading, Chosen("m", precision), beams, free, running)
    assert line is not None
    return line.text, line.kind


def test_the_plan_is_one_quiet_line() -> None:
    assert words("float32", 4, 40 * GB) == (
        "A draft takes 18.0 GB (4 beams); 40.0 GB are free. Fastest on this processor.",
        "info",
    )
    assert words("nf4", 1, 40 * GB) == ("A draft takes 3.0 GB; 40.0 GB are free.", "info")
    assert words("bfloat16", 1, 9 * GB)[0].endswith("float32 is faster on this processor.")


def test_automatic_names_what_it_comes_to() -> None:
    assert words("auto", 1, 40 * GB)[0].startswith("In float32 a draft takes 14.0 GB;")
    assert words("auto", 1, 9 * GB)[0].startswith("In bfloat16 a draft takes 8.0 GB;")
    assert words("auto", 1, 6 * GB)[0].startswith("In nf4 "), "int8 is slower on a processor and never taken by itself"
    assert words("auto", 1, 40 * GB, running="bfloat16")[0].startswith("In bfloat16 ")


def test_what_does_not_fit_says_what_would() -> None:
    assert words("float32", 4, 6 * GB) == (
        "float32 does not fit: a draft takes 18.0 GB (4 beams), 6.0 GB are free. nf4 would, 5.0 GB.",
        "problem",
    )
    assert words("nf4", 4, 4 * GB)[0].endswith("nf4 with 1 beam would, 3.0 GB.")
    assert words("auto", 4, GB) == (
        "nf4 does not fit: a draft takes 5.0 GB (4 beams), 1.0 GB are free. "
        "Close other programs, or choose a smaller model.",
        "problem",
    )


def test_a_gpu_is_judged_by_all_its_memory() -> None:
    gpu = replace(READING, device="cuda", memory=24 * GB, fastest="bfloat16", automatic=("bfloat16", "int8", "nf4"))
    assert plans.free(gpu, held=GB) == 24 * GB
    text, kind = words("auto", 4, 24 * GB, reading=gpu)
    assert text == "In bfloat16 a draft takes 10.0 GB (4 beams); the GPU has 24.0 GB. Fastest on this GPU."
    assert kind == "info"


def test_what_the_model_in_memory_holds_is_free_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans.psutil, "virtual_memory", lambda: SimpleNamespace(available=2 * GB))
    assert plans.free(READING, held=5 * GB) == 7 * GB - plans.PROCESS
    monkeypatch.setattr(plans.psutil, "virtual_memory", lambda: SimpleNamespace(available=0))
    assert plans.free(READING, held=0) == 0


def test_nothing_is_said_of_what_is_not_known(pilot: Pilot, model: Path) -> None:
    assert plans.line(READING, Chosen("m"), 3, GB) is None
    assert plans.line(replace(READING, needed={}), Chosen("m"), 1, GB) is None
    pilot.bench.plans = Plans(lambda path: None)
    assert list(pilot.bench.plan(pilot.chosen, 1)) == [None]


def test_a_folder_is_read_once_as_long_as_its_files_stay_the_same(pilot: Pilot, model: Path) -> None:
    read: list[str] = []

    def reader(path: str) -> Reading:
        read.append(path)
        return READING

    pilot.bench.plans = Plans(reader)
    first, line = pilot.bench.plan(pilot.chosen, 1)
    assert first is None and line is not None
    assert len(list(pilot.bench.plan(Chosen("", "nf4"), 4))) == 1, "known at once, of the default model too"
    config = model / "config.json"
    os.utime(config, ns=(1, 1))
    assert len(list(pilot.bench.plan(pilot.chosen, 1))) == 2 and read == [str(model)] * 2


def test_the_plan_of_a_real_model_comes_from_a_process_of_its_own(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    demo = project / "models" / "demo-tac"
    if not (demo / "config.json").is_file():
        pytest.skip("there is no demonstration model")
    made = Plans()
    reading = made.reading(str(demo))
    assert reading is not None and reading == made.known(str(demo))
    assert set(reading.needed) == set(range(1, plans.MOST_BEAMS + 1))
    assert set(reading.needed[1]) == set(plans.QUALITY) and reading.needed[1]["nf4"] < reading.needed[4]["nf4"]
    assert reading.fastest in ("float32", "bfloat16") and set(reading.automatic) <= set(plans.QUALITY)
    made.close()
    assert made.reading(str(tmp_path)) is None and made.reading(str(demo)) == reading


def test_a_folder_without_a_plan_ends_in_nothing(tmp_path: Path) -> None:
    assert Plans().reading(str(tmp_path / "gone")) is None


@pytest.mark.parametrize("said", [{}, {"needed": []}, {"needed": {"x": {}}}])
def test_what_is_no_plan_is_no_reading(said: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        plans.parsed(said)


def test_what_the_viewer_imports_for_it_is_no_torch(project: Path) -> None:
    code = (
        "import sys; from app.services import installed, plans; installed.installed(None);"
        "print(sorted({'torch', 'transformers', 'peft'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
