"""An engine without a model, for a process of its own: writes words, and does what goes wrong when it is told to.

What it is told is JSON in the clinical context:

    {"raise": "ModelError", "after": 2}     raise this error of engine.errors after so many words
    {"signal": 9, "after": 2}               end by a signal after so many words
    {"once": "/a/file"}                     that, unless the file is there; it is then
    {"wait_after": 3}                       wait after so many words until the draft is cancelled
    {"hang_after": 2}                       do nothing for ever after so many words
    {"room": 5}                             have room for so many tokens only
    {"babble_after": 2}                     write something that is no message to the program after so many words

Its model is a folder whose file ``words`` holds the text; its file ``load`` may name an error or a signal, or "hang".
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine import errors
from engine.drafting.checks import check
from engine.drafting.comparison import Comparison
from engine.drafting.draft import Draft, Event, ModelInfo, Progress, Scored, Timings, Token
from engine.drafting.files import Stamp, stamps
from engine.drafting.question import Asking
from engine.drafting.settings import Decoding
from engine.imaging.types import Image

NAME = "tests.drafting.stand_in:load"
WORDS = "The heart is enlarged. There is a small left pleural effusion. No pneumothorax is seen."


def make(folder: Path, words: str = WORDS, load: str = "") -> Path:
    """A model folder for it."""
    folder.mkdir(exist_ok=True)
    (folder / "words").write_text(words)
    (folder / "load").write_text(load)
    return folder


def load(path: str, options: dict[str, Any]) -> tuple[StandIn, tuple[Stamp, ...]]:
    """As ``worker.load_engine``."""
    folder = Path(path)
    with (folder / "starts").open("a") as starts:
        starts.write(f"{os.getpid()}\n")
    files = stamps([folder / "words"])
    try:
        words, fate = (folder / "words").read_text(), (folder / "load").read_text()
    except FileNotFoundError:
        raise errors.ModelError("There is no model.", ("words is missing",)) from None
    _meet(fate)
    return StandIn(words, options), files


def starts(folder: Path) -> list[int]:
    """The processes that have loaded, or tried to."""
    return [int(line) for line in (folder / "starts").read_text().split()]


class StandIn:
    """Writes its words; asked for "seen" or "hints", writes what it was given to see, or as hints."""

    def __init__(self, words: str, options: dict[str, Any]) -> None:
        self.words = words
        sha256 = hashlib.sha256(words.encode()).hexdigest()
        dtype = str(options.get("dtype", "auto"))
        self.info = ModelInfo("", "stand-in", "libra-tac", sha256, dtype, "none", 0, True, "", "none")
        self.warnings = ("It is not real.",)

    def asked(self, comparison: Comparison, asking: Asking, *, decoding: Decoding) -> tuple[str, list[int], Decoding]:
        return asking.prompt or asking.section, [1, -200], decoding.resolved(_told(asking).get("room", 1000))

    def stream(
        self, comparison: Comparison, asking: Asking, *, decoding: Decoding, cancelled: Callable[[], bool]
    ) -> Iterator[Event]:
        prompt, told = asking.prompt or asking.section, _told(asking)
        yield Progress("images", 0.0, "Looking at the images")
        yield Progress("writing", None, "Writing")
        words = seen(comparison) if prompt == "seen" else asking.hints if prompt == "hints" else self.words.split()
        shown, finished = "", "stop"
        for n, word in enumerate(words):
            _go_wrong(told, n)
            if told.get("hang_after") == n:
                time.sleep(3600)
            if told.get("babble_after") == n:
                _babble()
            while told.get("wait_after") == n and not cancelled():
                time.sleep(0.005)
            shown = f"{shown} {word}".strip()
            yield Token(n, shown, word)
            if cancelled():
                finished = "cancelled"
                break
        has_prior = comparison.prior is not None
        ids = tuple(range(len(shown.split())))
        yield Draft(
            text=shown,
            token_ids=ids,
            prompt_token_ids=(1, -200),
            sequences=(Scored(shown, ids, None, (float("-inf"), -0.5)),),
            model=self.info,
            decoding=decoding,
            prompt=prompt,
            images=(),
            checks=check(shown, has_prior=has_prior, finished=finished, language=asking.language),  # type: ignore[arg-type]
            timings=Timings(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, len(ids), 0),
            has_prior=has_prior,
            finished=finished,  # type: ignore[arg-type]
            language=asking.language,
        )


def seen(comparison: Comparison) -> list[str]:
    """What arrived of the images: hashes of the arrays, and all that could name somebody."""
    images = [comparison.current] if comparison.prior is None else [comparison.current, comparison.prior]
    return [part for image in images for part in (arrays(image), whose(image))]


def arrays(image: Image) -> str:
    """One hash over everything a picture is drawn from."""
    whole = hashlib.sha256()
    for array in (image.pixels, image.padding, image.rgb, *(lut.values for lut in image.luts)):
        whole.update(b"none" if array is None else array.tobytes())
    whole.update(repr((image.pixels.shape, image.windows, image.inverted, image.view, image.modality)).encode())
    return whole.hexdigest()


def whose(image: Image) -> str:
    """Everything that could name somebody, in one word."""
    named = (image.patient, image.source, image.study_uid, image.sop_uid, image.accession, image.acquired)
    return repr(named).replace(" ", "")


def _told(asking: Asking) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(asking.context[asking.context.index("{") :]) if "{" in asking.context else {}
    return told


def _go_wrong(told: dict[str, Any], written: int) -> None:
    if told.get("after", 0) != written:
        return
    if "once" in told:
        mark = Path(told["once"])
        if mark.exists():
            return
        mark.touch()
    _meet(str(told.get("raise", told.get("signal", ""))))


def _babble() -> None:
    pipes = [fd for fd in range(3, 30) if Path(f"/dev/fd/{fd}").exists() and stat.S_ISFIFO(os.fstat(fd).st_mode)]
    for pipe in pipes:
        with suppress(OSError):  # the one to read from
            os.write(pipe, b"Draft 1 30 0\n" + pickle.dumps(WORDS)[:30])
    time.sleep(60)


def _meet(fate: str) -> None:
    """End by the signal of this number, or raise the error of this name."""
    if fate.isdecimal():
        os.kill(os.getpid(), int(fate))
        time.sleep(60)
    elif fate == "hang":
        time.sleep(3600)
    elif fate == "fault":
        raise ZeroDivisionError("Phantom^Test has no heart")
    elif fate:
        kind = getattr(errors, fate)
        details = {"ModelError": (("one", "two"),), "DatasetError": (((3, "three"),),)}.get(fate, ())
        raise kind(f"It is a {fate}.", *details)
