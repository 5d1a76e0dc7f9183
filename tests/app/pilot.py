"""A small fake engine, and a hand that drives the services as a page would."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pydicom
from pydicom.uid import generate_uid

from app.services import Workbench
from app.services.chosen import AUTOMATIC, Chosen
from app.services.jobs import DecodingChoice
from app.services.review import Posted
from app.services.state import Session
from app.services.views import Screen
from engine.errors import TooLong

TEXT = "The heart is enlarged. There is a small left pleural effusion. No pneumothorax is seen."
PAGE = "page-one"


@dataclass(frozen=True)
class FakeInfo:
    """What the services read of a model's description."""

    name: str = "fake-tac"
    sha256: str = "f" * 64
    demonstration: bool = True
    dtype: str = "float32"
    quantization: str = "none"
    served: str = ""


@dataclass
class FakeEngine:
    """Writes ``text`` word by word; with ``gate`` set, one word each time it is released.

    ``room`` is how many earlier turns fit, ``refusal`` why no more is answered, ``error`` what goes wrong half-way;
    a ``single`` one writes nothing after earlier turns.
    """

    text: str = TEXT
    info: FakeInfo = field(default_factory=FakeInfo)
    gate: threading.Semaphore | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    closed: bool = False
    room: int = 1000
    refusal: Exception | None = None
    error: Exception | None = None
    single: bool = False
    pid: int = 0

    def stream(self, comparison: Any, asking: Any, *, cancelled: Callable[[], bool], **asked: Any) -> Iterator[Any]:
        from engine.drafting import Draft, Progress, Timings, Token
        from engine.drafting.checks import check

        if len(asking.earlier) > self.room:
            raise TooLong("The conversation is too long for this model.")
        if self.refusal is not None and asking.earlier:
            raise self.refusal
        self.asked.append({"comparison": comparison, "asking": asking, **asked})
        yield Progress("images", 0.0, "Looking at the images")
        words, finished, ids = [] if self.single and asking.earlier else self.text.split(), "stop", []
        for n, word in enumerate(words):
            if self.gate is not None:
                self.gate.acquire(timeout=20)
            ids.append(n)
            yield Token(n, " ".join(words[: n + 1]), f" {word}")
            if cancelled() or (self.error is not None and n == 1):
                finished = "cancelled"
                break
        text, has_prior = " ".join(words[: len(ids)]), comparison.prior is not None
        yield Draft(
            text=text,
            token_ids=tuple(ids),
            prompt_token_ids=(1, -200),
            sequences=(),
            model=self.info,
            decoding=asked["decoding"],
            prompt="Describe the findings.",
            images=(),
            checks=check(text, has_prior=has_prior, finished=finished),
            timings=Timings(0, 0, 0, 0, 0, 0, len(ids), 0),
            has_prior=has_prior,
            finished=finished,
        )
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self.closed = True


class Pilot:
    """Drives the services as a page would."""

    def __init__(self, bench: Workbench, model: str, key: str = PAGE) -> None:
        self.bench = bench
        self.model = model
        self.precision = AUTOMATIC
        self.key = key
        self.number = 0

    @property
    def session(self) -> Session:
        return self.bench.sessions.get(self.key)

    @property
    def chosen(self) -> Chosen:
        """What is chosen under Settings."""
        return Chosen(self.model, self.precision)

    @property
    def screen(self) -> Screen:
        return self.bench.screen(self.key, self.chosen)

    def act(self, event: Callable[[Session], object]) -> Screen:
        return self.bench.act(self.key, event, self.chosen)

    def drop(self, *paths: Path) -> Screen:
        ticket = self.bench.take_in(list(paths))
        return self.act(lambda session: self.bench.opening.open(session, ticket.id))

    def start_draft(self, *, sure: bool = False, **decoding: Any) -> Screen:
        choice = DecodingChoice(**decoding)
        return self.act(
            lambda session: self.bench.reporting.draft(session, self.chosen, "findings", "", choice, sure=sure)
        )

    def draft(self, *, sure: bool = False) -> Screen:
        self.start_draft(sure=sure)
        return list(self.bench.watch(self.key, self.chosen))[-1]

    def sentences(self) -> list[dict[str, Any]]:
        return [dict(sentence) for sentence in self.screen.report.editor["sentences"]]

    def shown(self) -> Posted:
        """The sentences as the page would send them with a press of Sign or Export."""
        screen = self.screen
        return Posted(screen.sheet, self.number, screen.report.editor.get("sentences", []))

    def review(self, sentences: list[dict[str, Any]]) -> Screen:
        self.number = max(self.number, self.session.edit_number) + 1
        sent = Posted(self.screen.sheet, self.number, sentences)
        return self.act(lambda session: self.bench.reporting.review(session, sent))

    def accept_all(self) -> Screen:
        return self.review([sentence | {"status": "accepted"} for sentence in self.sentences()])

    def write(self, *texts: str) -> Screen:
        new = [
            {"id": f"h-{'0' * 25}{n}", "text": text, "origin": "human", "status": "accepted"}
            for n, text in enumerate(texts)
        ]
        return self.review([*self.sentences(), *new])

    def sign(self, name: str = "Dr. A. Reader") -> Screen:
        shown = self.shown()
        return self.act(lambda session: self.bench.reporting.sign(session, name, shown))

    def export(self) -> Screen:
        shown = self.shown()
        return self.act(lambda session: self.bench.reporting.export(session, shown))

    def ask(self, question: str, *, comparison: str | None = None, sheet: int | None = None, sent: str = "q") -> Screen:
        """Put a question and wait for nothing."""
        screen = self.screen
        return self.act(
            lambda session: self.bench.conversing.ask(
                session,
                self.chosen,
                question,
                DecodingChoice(),
                sheet=screen.sheet if sheet is None else sheet,
                comparison=screen.ask.comparison if comparison is None else comparison,
                sent=sent,
            )
        )

    def answered(self, question: str) -> Screen:
        """Put a question and wait for the answer."""
        self.ask(question)
        return list(self.bench.follow(self.key, self.chosen))[-1]

    def stop_answer(self) -> Screen:
        comparison = self.screen.ask.comparison
        return self.act(lambda session: self.bench.conversing.stop(session, comparison))

    def insert(self, number: int = -1) -> Screen:
        """Put an answer of the conversation into the report."""
        answer, shown = self.screen.ask.turns[number].id, self.shown()
        return self.act(lambda session: self.bench.reporting.insert(session, answer, shown))

    def answer(self, key: str) -> Screen:
        question = self.screen.case.question
        assert question is not None
        return self.act(lambda session: self.bench.opening.answer(session, question.id, key))

    def notices(self) -> list[str]:
        return [notice.text for notice in self.screen.case.notices]


def redated(source: Path, target: Path, day: date) -> Path:
    """A copy of a DICOM file as another study of the same patient, made on ``day``."""
    dataset = pydicom.dcmread(source)
    for name in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        if name in dataset or name == "StudyDate":
            setattr(dataset, name, f"{day:%Y%m%d}")
    if "AcquisitionDateTime" in dataset:
        del dataset.AcquisitionDateTime
    dataset.StudyInstanceUID, dataset.SOPInstanceUID = generate_uid(), generate_uid()
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(target)
    return target
