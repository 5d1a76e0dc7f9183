"""A run that LLaMA-Factory trains: material in, a run folder like that of any other run out.

The worker runs in LLaMA-Factory's environment and tells what it does over a line (link.py); this side writes the run
folder, scores what the model writes at each validation, and says which checkpoint is the best. Where either of the two
dies, the other notices: the worker then ends too, this side says that the run failed.
"""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import yaml

from engine import environment, paths
from engine.datasets.leakage import refuse_shared_patients
from engine.datasets.libra import Question, TrainingSample, read_training
from engine.drafting.writing import Writer
from engine.errors import Cancelled, InputError, ResourceError, UsageError
from engine.jobs.process import Identity
from engine.models.assembly import stop_ids
from engine.models.recognition import ModelFolder
from engine.models.wording import Wording
from engine.training.curves import draw
from engine.training.factory import material, results
from engine.training.factory.link import Link, line
from engine.training.factory.settings import settings
from engine.training.lifetime import OUT_OF_MEMORY, STOPPED_WORDS, Lifetime, refuse_nonsense
from engine.training.memory import PROBE
from engine.training.preview import forecast, look_at, room_of
from engine.training.run_folder import DONE, RUNNING, Best, State, read_json, write_json
from engine.training.validating import LOSS, Validator

log = logging.getLogger(__name__)

WORKER = Path(__file__).with_name("worker.py")
ENVIRONMENT = "llamafactory"
WHOLE = "whole"
SETTINGS, CONSOLE, PROCESS = "llamafactory.yaml", "llamafactory.log", "worker.json"
PATIENCE_S = 30.0
_INTERVAL_S = 0.5


def ready() -> environment.Environment:
    """LLaMA-Factory's environment.

    Raises:
        UsageError: it is not set up.
    """
    found = environment.beside(ENVIRONMENT)
    if not found.complete():
        raise UsageError("LLaMA-Factory is not set up. 'python launch.py setup llamafactory' does it, once.")
    return found


class FactoryRun(Lifetime):
    """One run through LLaMA-Factory."""

    def train(self) -> Path:
        recipe = self.recipe
        (stage,) = recipe.stages
        python = ready().python
        self.say(State(RUNNING))
        assert recipe.start is not None and recipe.llamafactory is not None
        folder, wording = look_at(recipe.start, recipe.llamafactory)
        conversations = [sample for file in recipe.samples for sample in read_training(file, recipe.images)]
        modalities = recipe.modalities or folder.modalities
        validator = Validator(recipe.validation, modalities) if recipe.validation is not None else None
        questions = validator.questions if validator is not None else ()
        if validator is not None and recipe.shared_patients == "refuse":
            refuse_shared_patients(conversations, validator.learnt())
        (plan,) = forecast(recipe, conversations)
        if not plan.fits:
            raise ResourceError(f"{OUT_OF_MEMORY} {plan.words()}")
        place = self.folder.stage(stage.name)
        place.mkdir(parents=True, exist_ok=True)
        former = Identity.read(read_json(self.folder.path / PROCESS))
        if former is not None:
            former.kill()  # the worker of a run that was killed, should it not have noticed yet
        with paths.scratch("llamafactory") as scratch:
            job = self._job(scratch, folder, wording, conversations, questions, validator)
            job["settings"] = settings(
                recipe, folder.family, output=place, tokenized=scratch / "tokenized", room=job.pop("room"),
                cuda=torch.cuda.is_available(), checkpointing=plan.checkpointing,
            )  # fmt: skip
            left_out = job["left_out"]
            self.record_data(
                conversations,
                learnt=len(conversations) - left_out,
                left_out=left_out,
                validation=len(questions),
            )
            text = yaml.safe_dump(job["settings"], sort_keys=False, allow_unicode=True)
            (self.folder.path / SETTINGS).write_text(text, encoding="utf-8")
            self._forecast(
                plan.stage, planned_bytes=plan.needed, checkpointing=plan.checkpointing, room_bytes=plan.room
            )
            write_json(scratch / "job.json", job)
            worker = _Worker(self, python, scratch, wording, validator, stop_ids=job["stop_ids"])
            stopped = worker.run()
        if stopped:
            raise Cancelled(STOPPED_WORDS)
        chosen = self._chosen(place)
        results.write(self.folder, recipe, folder, chosen, worker.versions)
        draw(self.folder)
        known = self.folder.state()
        steps = known.step if known is not None else 0
        self.folder.write_state(State(DONE, stage.name, steps, steps, 0.0, best=known.best if known else None))
        return self.folder.model

    def _job(
        self,
        scratch: Path,
        folder: ModelFolder,
        wording: Wording,
        conversations: Sequence[TrainingSample],
        questions: Sequence[Question],
        validator: Validator | None,
    ) -> dict[str, Any]:
        """What the worker has to know, its files written; "room" and "left_out" besides."""
        recipe = self.recipe
        images = {image for sample in conversations for image in sample.images}
        images |= {image for question in questions for image in question.images}

        def progress(done: int, total: int) -> None:
            if self.stopping():
                raise Cancelled(STOPPED_WORDS)
            if done % 200 == 0 or done == total:
                self.report("images", {"step": done, "steps": total})

        shown = material.pictures(sorted(images), scratch / "images", progress)
        room = recipe.max_length or room_of(folder)
        train = material.write_samples(
            scratch / "samples.jsonl",
            wording,
            conversations,
            shown,
            room=room,
            leave_out=recipe.too_long == "leave out",
        )
        checkpoint = _newest(self.folder.stage(recipe.stages[0].name))
        best = self.best_until(_step(checkpoint)) if checkpoint is not None else None
        job: dict[str, Any] = {
            "samples": str(scratch / "samples.jsonl"),
            "validation": "",
            "questions": "",
            "tokenized": str(scratch / "tokenized"),
            "resume": str(checkpoint or ""),
            "best": best.step if best is not None else 0,
            "stop_ids": stop_ids(folder, wording.tokenizer),
            "image_id": wording.image_id,
            "max_new_tokens": recipe.validation.max_new_tokens if recipe.validation is not None else 0,
            "room": train.longest,
            "left_out": len(train.left_out),
        }
        if validator is not None:
            held_out = scratch / "validation.jsonl"
            material.write_samples(held_out, wording, validator.learnt(), shown, room=room, leave_out=True)
            job["validation"] = str(held_out)
            if validator.metric is not None:
                material.write_questions(scratch / "questions.jsonl", wording, questions, shown)
                job["questions"] = str(scratch / "questions.jsonl")
        return job

    def _forecast(self, stage: str, **said: Any) -> None:
        known = self.folder.document("forecast.json")
        stages = dict(known.get("stages") or {})
        stages[stage] = {**stages.get(stage, {}), **said}
        device = "cuda" if torch.cuda.is_available() else "cpu"
        write_json(self.folder.path / "forecast.json", {"device": device, **known, "stages": stages})

    def best_until(self, step: int) -> Best | None:
        """The best evaluation up to a step. Later ones are of a run that was ended, and will be made again."""
        wanted = self.recipe.validation
        if wanted is None:
            return None
        found = [line for line in self.folder.figures() if line.get("best") and line["step"] <= step]
        if not found:
            return None
        return Best(found[-1]["stage"], found[-1]["step"], wanted.metric, found[-1]["evaluation"][wanted.metric])

    def _chosen(self, place: Path) -> Path:
        """The weights of the best evaluation; the last ones where there was none."""
        state = self.folder.state()
        if state is None or state.best is None:
            return place
        return place / f"checkpoint-{state.best.step}"


class _Worker:
    """The process that trains, and what is done with what it says."""

    def __init__(
        self,
        run: FactoryRun,
        python: Path,
        scratch: Path,
        wording: Wording,
        validator: Validator | None,
        *,
        stop_ids: Sequence[int],
    ) -> None:
        self.versions: dict[str, str] = {}
        self._run, self._python, self._scratch = run, python, scratch
        self._writer = Writer(wording.tokenizer, wording.template.stop)
        self._validator = validator
        self._stop_ids = frozenset(stop_ids)
        (self._stage,) = run.recipe.stages
        self._folder = run.folder
        self._step = self._steps = self._started_at = 0
        self._began = self._said = time.monotonic()
        self._best: Best | None = None

    def run(self) -> bool:
        """Train until it ends; whether it was stopped at a checkpoint."""
        with line() as (link, where), (self._folder.path / CONSOLE).open("ab") as console:
            process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env=self._environment() | where,
                start_new_session=True,  # Ctrl-C is for this process: the worker is asked over the line
            )
            identity = Identity.of(process.pid)
            write_json(self._folder.path / PROCESS, identity.record() if identity is not None else {})
            try:
                return self._follow(link, process)
            finally:
                link.close()  # the worker ends, if it has not ended
                with suppress(subprocess.TimeoutExpired):
                    process.wait(PATIENCE_S)
                if identity is not None:
                    identity.kill()  # with what it has started, which several processes put into sessions of their own
                process.wait()

    def _command(self) -> list[str]:
        factory = self._run.recipe.llamafactory
        assert factory is not None
        words = [str(WORKER), str(self._scratch / "job.json")]
        if factory.processes == 1:
            return [str(self._python), "-P", "-X", "utf8", *words]
        several = ("-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={factory.processes}")
        return [str(self._python), "-X", "utf8", *several, *words]

    def _environment(self) -> dict[str, str]:
        """Nothing is fetched or told to anyone, and no copy of the data is left in a cache of the user's."""
        own = (
            *("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "INTERVAL_JOB", "USE_RAY", "FORCE_TORCHRUN"),
            *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"),
        )
        kept = {name: value for name, value in os.environ.items() if name not in own}
        offline = dict.fromkeys(
            ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY",
             "HF_DATASETS_DISABLE_PROGRESS_BARS", "DO_NOT_TRACK", "WANDB_DISABLED"), "1",
        )  # fmt: skip
        near = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
        places = near | {"HF_DATASETS_CACHE": str(self._scratch / "cache"), "TMPDIR": str(self._scratch)}
        bin_ = str(self._python.parent)
        threads = {"OMP_NUM_THREADS": str(self._run.recipe.threads)} if self._run.recipe.threads else {}
        return kept | offline | places | threads | {"PATH": f"{bin_}{os.pathsep}{kept.get('PATH', '')}"}

    def _follow(self, link: Link, process: subprocess.Popen[bytes]) -> bool:
        asked = False
        while not (there := link.wait(_INTERVAL_S)):
            if self._run.stopping() or process.poll() is not None:
                break
        while there:
            if self._run.stopping() and not asked:
                asked = True
                with suppress(EOFError):
                    link.send(stop=True)
            if not link.poll(_INTERVAL_S):
                continue
            try:
                message = link.receive()
                event = message.get("event")
                if event == "done":
                    return bool(message["stopped"])
                if event == "failed":
                    raise _error(str(message["kind"]), str(message["message"]), self._folder.path / CONSOLE)
                getattr(self, f"_on_{event}")(link, message)
            except EOFError:
                break
        if self._run.stopping():
            raise Cancelled("The training was stopped before it had begun.")
        status = process.wait()
        raise ResourceError(
            f"LLaMA-Factory ended in the middle (status {status}), often because the memory was used up. 'train "
            f"--resume' goes on from its last checkpoint; what it said is in {self._folder.path / CONSOLE}."
        )

    def _on_begin(self, link: Link, message: Mapping[str, Any]) -> None:
        self.versions = dict(message["versions"])
        self._step = self._started_at = int(message["step"])
        self._steps = int(message["steps"])
        self._best = self._run.best_until(self._step)
        self._began = time.monotonic()
        self._write_state()

    def _on_step(self, link: Link, message: Mapping[str, Any]) -> None:
        self._step = int(message["step"])
        now = time.monotonic()
        if now - self._said > 1.0 or self._step >= self._steps:
            self._write_state()
            self._said = now
        if self._step - self._started_at == PROBE:
            self._run._forecast(self._stage.name, probe_bytes=int(message["memory_bytes"]))

    def _on_log(self, link: Link, message: Mapping[str, Any]) -> None:
        figures = {name: value for name, value in message.items() if name != "event"}
        refuse_nonsense(figures["loss"], self._step)
        figures |= {"text_loss": figures["loss"], "seconds": round(time.monotonic() - self._began, 1)}
        self._folder.append(self._folder.log, {"stage": self._stage.name, **figures})
        self._run._forecast(self._stage.name, peak_bytes=int(figures["memory_bytes"]))
        self._run.report(self._stage.name, figures)

    def _on_saved(self, link: Link, message: Mapping[str, Any]) -> None:
        self._write_state()

    def _on_evaluation(self, link: Link, message: Mapping[str, Any]) -> None:
        """Score it, and say whether it is the best so far and whether there has been no better one for long."""
        validator, step = self._validator, int(message["step"])
        assert validator is not None
        scores = {LOSS: float(message["loss"])}
        if message["answers"]:
            texts = {key: self._text(ids) for key, ids in message["answers"].items()}
            scores |= validator.scores(texts)
            self._keep(texts, step)
        wanted = scores.get(validator.wanted.metric, math.nan)
        self._step = step
        before = self._best.value if self._best is not None else None
        higher = validator.higher_is_better
        best = math.isfinite(wanted) and (before is None or (wanted > before if higher else wanted < before))
        if best:
            self._best = Best(self._stage.name, step, validator.wanted.metric, wanted)
        self._folder.append(
            self._folder.log, {"stage": self._stage.name, "step": step, "evaluation": scores, "best": best}
        )
        self._write_state()
        self._run.report(self._stage.name, {"step": step, "steps": self._steps, **scores})
        link.send(best=best, enough=self._enough(validator))

    def _keep(self, texts: Mapping[str, str], step: int) -> None:
        """Write the answers of an evaluation, and some of them for a person to read."""
        assert self._validator is not None
        self._folder.validation.mkdir(parents=True, exist_ok=True)
        file = self._folder.validation / f"{self._stage.name}-{step}.jsonl"
        lines = [json.dumps({"question_id": key, "text": text}, ensure_ascii=False) for key, text in texts.items()]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        for sample in self._validator.generated(texts, self._stage.name, step):
            self._folder.append(self._folder.samples, sample)

    def _text(self, ids: Sequence[int]) -> str:
        ended = next((at for at, token in enumerate(ids) if token in self._stop_ids), len(ids))
        return self._writer.text(ids[:ended])

    def _enough(self, validator: Validator) -> bool:
        """Whether the last ``patience`` evaluations brought nothing better."""
        patience = validator.wanted.patience
        if patience is None:
            return False
        lines = self._folder.figures()
        said = [line["best"] for line in lines if "evaluation" in line and line["step"] <= self._step]
        return len(said) > patience and not any(said[-patience:])

    def _write_state(self) -> None:
        done, seconds = self._step - self._started_at, time.monotonic() - self._began
        left = seconds / done * (self._steps - self._step) if done else None
        self._folder.write_state(State(RUNNING, self._stage.name, self._step, self._steps, left, best=self._best))


def _error(kind: str, message: str, console: Path) -> Exception:
    """What the worker failed of, as an error of ours."""
    if kind == "OutOfMemoryError" or (kind == "MemoryError") or "out of memory" in message:
        return ResourceError(OUT_OF_MEMORY)
    log.error("LLaMA-Factory failed with %s", kind)
    return InputError(f"LLaMA-Factory cannot train this ({kind}: {message[:300]}). All that it said is in {console}.")


def _newest(folder: Path) -> Path | None:
    """The last whole checkpoint of a stage; what is left of others is removed."""
    found = [one for one in folder.glob("checkpoint-*") if one.name.removeprefix("checkpoint-").isdecimal()]
    for one in found:
        if not (one / WHOLE).is_file():
            shutil.rmtree(one)
    whole = [one for one in found if one.exists()]
    return max(whole, key=_step, default=None)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))
