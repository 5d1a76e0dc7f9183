"""Trains with LLaMA-Factory. Run by the Python of an environment that has it; imports nothing of this program.

    python worker.py JOB.json

The job says: settings (LLaMA-Factory's), samples, validation and questions (JSON Lines of ids, see material.py),
tokenized (folder for them in LLaMA-Factory's form), output (the stage's folder), resume (a checkpoint or ""), best (the
step of the best evaluation so far), stop_ids, image_id, max_new_tokens. What is said over the line is in link.py.

A checkpoint is whole when the file ``whole`` lies in it. A worker that is asked to stop writes a checkpoint and ends;
one whose run is gone ends at once: nobody would know how good its weights are. Validation is by what the model writes:
greedily, with Qwen2-VL's positions, which LLaMA-Factory's own prediction leaves out.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any, NoReturn

Job = dict[str, Any]


WHOLE = "whole"
KEPT = 2
PROBE_S = 0.02
LIBRARIES = ("llamafactory", "transformers", "torch", "peft", "accelerate", "bitsandbytes")


class Line:
    """The worker's end of the line; only the first of several processes has one."""

    def __init__(self) -> None:
        self._connection: Any = None
        if os.environ.get("RANK", "0") == "0":
            address, key = os.environ["INTERVAL_WORKER_ADDRESS"], os.environ["INTERVAL_WORKER_KEY"]
            self._connection = Client(address, authkey=bytes.fromhex(key))

    def say(self, event: str, **content: Any) -> None:
        """Tell the run something."""
        if self._connection is not None:
            try:
                self._connection.send_bytes(json.dumps({"event": event, **content}).encode())
            except OSError:
                alone()

    def stop_wanted(self) -> bool:
        """Whether the run has asked to stop."""
        if self._connection is None or not self._connection.poll():
            return False
        return bool(self._heard().get("stop"))

    def answer(self) -> dict[str, Any]:
        """The run's answer to an evaluation, and whether it has asked to stop meanwhile."""
        stop = False
        while self._connection is not None:
            message = self._heard()
            if "best" in message:
                return {**message, "stop": stop}
            stop |= bool(message.get("stop"))
        return {}  # what the first process was answered comes to the others

    def _heard(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._connection.recv_bytes()))
        except (EOFError, OSError):
            alone()


def alone() -> NoReturn:
    """End at once: the run is gone."""
    os._exit(1)


class Memory:
    """The most memory held so far, in bytes: of the GPU, or of this process."""

    def __init__(self) -> None:
        import psutil
        import torch

        self._cuda = torch.cuda if torch.cuda.is_available() else None
        self._process = psutil.Process()
        self._peak = 0
        if self._cuda is None:
            threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            self._peak = max(self._peak, self._held())
            time.sleep(PROBE_S)

    def _held(self) -> int:
        used = self._process.memory_info()
        return int(used.rss - getattr(used, "shared", 0))  # mapped files are not held

    @property
    def peak(self) -> int:
        """So far."""
        if self._cuda is not None:
            return int(self._cuda.max_memory_allocated())
        self._peak = max(self._peak, self._held())
        return self._peak


def prepare(job: Job) -> None:
    """The samples in LLaMA-Factory's own form of prepared data; the first process writes, the others wait."""
    from datasets import Dataset, DatasetDict, Features, Sequence, Value

    folder = Path(job["tokenized"])
    ready = folder.with_name(folder.name + ".ready")
    if os.environ.get("RANK", "0") != "0":
        while not ready.exists():
            time.sleep(0.2)
        return
    ids = Sequence(Value("int32"))
    features = Features(
        {
            "input_ids": ids,
            "attention_mask": Sequence(Value("int8")),
            "labels": ids,
            "images": Sequence(Value("string")),
        }
    )

    def rows(file: str) -> Iterator[dict[str, Any]]:
        with Path(file).open(encoding="utf-8") as stream:
            for line in stream:
                row = json.loads(line)
                yield {**row, "attention_mask": [1] * len(row["input_ids"])}

    files = {"train": job["samples"], "validation": job["validation"]}
    sets = {
        name: Dataset.from_generator(rows, features=features, gen_kwargs={"file": file})
        for name, file in files.items()
        if file
    }
    DatasetDict(sets).save_to_disk(str(folder))
    ready.touch()


class Questions:
    """Held-out questions, answered by the model as it is."""

    def __init__(self, job: Job) -> None:
        self._job = job
        with Path(job["questions"]).open(encoding="utf-8") as stream:
            self._rows = [json.loads(line) for line in stream]

    def answers(self, model: Any, processor: Any, tokenizer: Any) -> dict[str, list[int]]:
        """Token ids of every answer by the question's id; each of several processes answers its share."""
        import torch
        import torch.distributed as dist

        joined = dist.is_available() and dist.is_initialized()
        rank, world = (dist.get_rank(), dist.get_world_size()) if joined else (0, 1)
        training, cache = model.training, model.config.use_cache
        model.eval()
        found: dict[str, list[int]] = {}
        try:
            with torch.no_grad():
                for row in self._rows[rank::world]:
                    found[row["id"]] = self._answer(model, processor, tokenizer, row)
        finally:
            model.train(training)
            model.config.use_cache = cache
        if world > 1:
            shares: list[dict[str, list[int]]] = [{} for _ in range(world)]
            dist.all_gather_object(shares, found)
            found = {key: ids for share in shares for key, ids in share.items()}
        return found

    def _answer(self, model: Any, processor: Any, tokenizer: Any, row: dict[str, Any]) -> list[int]:
        import torch
        from transformers import GenerationConfig

        images = [self._opened(file) for file in row["images"]]
        inputs = dict(processor.image_processor(images, return_tensors="pt"))
        ids = torch.tensor([row["input_ids"]])
        inputs |= {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if "image_grid_thw" in inputs:  # without them Qwen2-VL counts its positions in one dimension and says nothing
            inputs["mm_token_type_ids"] = (ids == self._job["image_id"]).int()
        inputs = {key: value.to(model.device) for key, value in inputs.items()}
        inputs["pixel_values"] = inputs["pixel_values"].to(model.dtype)
        make: Any = GenerationConfig
        how = make(
            do_sample=False,
            num_beams=1,
            max_new_tokens=self._job["max_new_tokens"],
            eos_token_id=self._job["stop_ids"],
            pad_token_id=tokenizer.pad_token_id or 0,
        )
        own = model.generation_config
        model.generation_config = how  # the model's own may hold penalties, which fill in what is not said
        try:
            made = model.generate(**inputs, use_cache=True)
        finally:
            model.generation_config = own
        answer: list[int] = made[0, ids.shape[1] :].tolist()
        return answer

    def _opened(self, file: str) -> Any:
        """A picture as LLaMA-Factory gives it to the processor in training."""
        from llamafactory.data.mm_plugin import get_mm_plugin
        from PIL import Image

        settings = self._job["settings"]
        plugin = get_mm_plugin("qwen2_vl" if settings["template"] == "qwen2_vl" else "llava", image_token="<image>")
        limits = {name: settings[name] for name in ("image_max_pixels", "image_min_pixels")}
        with Image.open(file) as picture:
            return plugin._preprocess_image(picture, **limits)


def know_numbered_processors() -> None:
    """Let checkpoints of several processes without a GPU be read: torch.load does not know the place cpu:0."""
    import torch

    def read(storage: Any, place: str) -> Any:
        return storage if place.startswith("cpu:") else None

    torch.serialization.register_package(5, lambda storage: None, read)


def follow(job: Job, line: Line) -> Any:
    """LLaMA-Factory's callback that tells the run how far it is and does what the run wants."""
    from transformers import TrainerCallback

    class Follow(TrainerCallback):  # type: ignore[misc, unused-ignore]
        """See the module."""

        def __init__(self) -> None:
            self.stopped = False
            self.best = job["best"]
            self.evaluated = -1
            self.memory = Memory()
            self.processor: Any = None
            self.questions = Questions(job) if job["questions"] else None

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            from importlib.metadata import version

            for module in kwargs["model"].modules():  # bitsandbytes lays 4-bit weights out anew when a processor
                if hasattr(module, "support_avx512bf16_for_cpu"):  # reads them, and there is no way back to training
                    module.support_avx512bf16_for_cpu = False
            versions = {name: version(name) for name in LIBRARIES}
            line.say("begin", step=state.global_step, steps=state.max_steps, versions=versions)

        def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            args.do_eval &= not self.stopped  # LLaMA-Factory's last evaluation: one that is resumed has not ended

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if logs and "loss" in logs:
                figures = {name: value for name, value in logs.items() if isinstance(value, int | float)}
                line.say(
                    "log",
                    **{
                        **figures,
                        "step": state.global_step,
                        "steps": state.max_steps,
                        "memory_bytes": self.memory.peak,
                    },
                )

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            line.say("step", step=state.global_step, memory_bytes=self.memory.peak)
            control.should_log |= state.global_step >= state.max_steps
            if agreed(line.stop_wanted(), args.device) and state.global_step < state.max_steps:
                self._stop(args, state, control)

        def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any) -> None:
            if state.global_step == self.evaluated:  # LLaMA-Factory evaluates once more at the end
                return
            self.evaluated = state.global_step
            answers = {}
            if self.questions is not None:
                processor = kwargs.get("processing_class")
                tokenizer = getattr(processor, "tokenizer", processor)
                answers = self.questions.answers(kwargs["model"], self.processor, tokenizer)
            line.say("evaluation", step=state.global_step, loss=metrics["eval_loss"], answers=answers)
            reply = shared(line.answer())
            if reply["best"]:
                self.best = state.global_step
                self._save(args, state, control)
            if reply["enough"]:
                control.should_training_stop = True
            if reply["stop"] and state.global_step < state.max_steps:
                self._stop(args, state, control)

        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if not args.should_save:
                return
            output = Path(args.output_dir)
            (output / f"checkpoint-{state.global_step}" / WHOLE).touch()
            steps = sorted(int(one.name.split("-")[1]) for one in output.glob("checkpoint-*") if (one / WHOLE).exists())
            for step in steps[:-KEPT]:
                if step != self.best:
                    shutil.rmtree(output / f"checkpoint-{step}")
            line.say("saved", step=state.global_step)

        def _stop(self, args: Any, state: Any, control: Any) -> None:
            self.stopped = control.should_training_stop = True
            self._save(args, state, control)

        def _save(self, args: Any, state: Any, control: Any) -> None:
            """Ask for a checkpoint, unless there is one: a kill while it is written over would tear what is whole."""
            whole = Path(args.output_dir) / f"checkpoint-{state.global_step}" / WHOLE
            control.should_save |= not whole.exists()

    return Follow()


def agreed(stop: bool, device: Any) -> bool:
    """Whether one of the processes is to stop: all do then, at the same step."""
    import torch
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()):
        return stop
    flag = torch.tensor([int(stop)], device=device)
    dist.all_reduce(flag, op=dist.ReduceOp.MAX)
    return bool(flag.item())


def shared(reply: dict[str, Any]) -> dict[str, Any]:
    """What the first process was answered, for all."""
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()):
        return reply
    said: list[Any] = [reply]
    dist.broadcast_object_list(said, src=0)
    return dict(said[0])


def main(file: str) -> int:
    """Train; the exit status."""
    job = json.loads(Path(file).read_text(encoding="utf-8"))
    line = Line()
    try:
        prepare(job)
        know_numbered_processors()
        from llamafactory.hparams import get_train_args
        from llamafactory.model import load_tokenizer
        from llamafactory.train.tuner import run_exp

        settings = {**job["settings"], "resume_from_checkpoint": job["resume"] or None}
        callback = follow(job, line)
        callback.processor = load_tokenizer(get_train_args(dict(settings))[0])["processor"]
        run_exp(args=settings, callbacks=[callback])
    except BaseException as error:
        line.say("failed", kind=type(error).__name__, message=str(error)[:2000])
        raise
    line.say("done", stopped=callback.stopped)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
