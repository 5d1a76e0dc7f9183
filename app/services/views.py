"""What the screen shows, as frozen values that turn into JSON: the only thing the pages get from the services.

All texts are plain text; the page writes them as text and never as HTML.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from app.services.state import Exported, Notice, Option

__all__ = [
    "AnswerView",
    "AskView",
    "CaseView",
    "HistoryRow",
    "HistoryView",
    "ImageLine",
    "Line",
    "ModelView",
    "Panes",
    "Person",
    "QuestionView",
    "ReportView",
    "ScoreLine",
    "Screen",
    "TurnView",
]


def to_json(view: Any) -> str:
    """The view as the JSON text that the browser modules read."""
    return json.dumps(asdict(view), ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True)
class ImageLine:
    """One image in the list: ``role`` is "current", "prior" or ""."""

    sha256: str
    title: str
    detail: str
    role: str
    identified: bool
    acquired: str
    view: str


@dataclass(frozen=True)
class QuestionView:
    """A question with its answers."""

    id: str
    text: str
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Person:
    """Who is on the screen, as the form for pictures asks for it."""

    id: str
    name: str
    birth_date: str
    sex: str


@dataclass(frozen=True)
class CaseView:
    """The top bar. ``ask`` opens the image list by itself: the reader has to say which picture is which."""

    open: bool
    patient: str
    identified: bool
    person: Person
    study: str
    prior: str
    older: int
    swap: bool
    images: tuple[ImageLine, ...]
    ask: bool
    notices: tuple[Notice, ...]
    question: QuestionView | None


@dataclass(frozen=True)
class Panes:
    """The two viewports: hashes of images, and sentences of warning across them."""

    current: str | None
    prior: str | None
    warnings: tuple[str, ...]
    stamp: int


@dataclass(frozen=True)
class Line:
    """One line about the report above its sentences, or about the model under its choice."""

    text: str
    kind: Literal["info", "warning", "problem", "mark", "signed"]


@dataclass(frozen=True)
class ScoreLine:
    """A score of a model and of its base, each with its interval, in words; ``verdict`` on the difference, or ""."""

    title: str
    value: str
    interval: str
    base: str
    base_interval: str
    verdict: str


@dataclass(frozen=True)
class ModelView:
    """What is known of the chosen model.

    Attributes:
        mark: that it is a demonstration, or that a server runs it.
        promoted, certificate: when, and what its certificate says in a line; "" for a model that was not promoted.
        evaluation: which one stands beside it, or that none does.
        base: the name of the model whose scores stand beside its own, "" for none.
        few, rest: its scores: those to be seen at once, and the others.
        notes: sentences on all of them.
    """

    mark: str
    promoted: str = ""
    certificate: str = ""
    evaluation: str = ""
    base: str = ""
    few: tuple[ScoreLine, ...] = ()
    rest: tuple[ScoreLine, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReportView:
    """The report column. ``editor`` is the state that the sentence editor's ``update`` takes."""

    lines: tuple[Line, ...]
    editor: dict[str, Any]
    indication: str
    history: str
    can_write: bool
    can_draft: bool
    draft_label: str
    drafting: bool
    signed: bool
    can_export: bool
    exports: tuple[Exported, ...]


@dataclass(frozen=True)
class TurnView:
    """A question that was answered.

    ``warnings`` are about the answer, ``remarks`` about how it was asked, ``state`` says what can be done with it.
    """

    id: str
    question: str
    answer: str
    warnings: tuple[str, ...]
    remarks: tuple[str, ...]
    state: Literal["whole", "stopped", "empty", "inserted"]


@dataclass(frozen=True)
class AnswerView:
    """The answer that is being written."""

    id: str
    question: str
    text: str
    status: str


@dataclass(frozen=True)
class AskView:
    """The conversation about the comparison on the screen.

    Attributes:
        comparison: names the comparison, so that nothing said on one reaches another; "" without images.
        turns: what was asked before.
        running: the answer that is being written now.
        accepted: the page's own id of the question that was taken last.
        problem, question: why the last question was not answered, and that question.
        suggestions: questions that fit.
        can_ask, can_insert: whether a question can be put, and an answer be added to the report.
        mark, note: that the model is a demonstration; why there is nothing to ask.
    """

    comparison: str
    turns: tuple[TurnView, ...] = ()
    running: AnswerView | None = None
    accepted: str = ""
    problem: str = ""
    question: str = ""
    suggestions: tuple[str, ...] = ()
    can_ask: bool = False
    can_insert: bool = False
    mark: str = ""
    note: str = ""


@dataclass(frozen=True)
class Screen:
    """Everything the reading page shows. Of two screens the one with the larger ``number`` is the newer."""

    number: int
    sheet: int
    case: CaseView
    panes: Panes
    report: ReportView
    ask: AskView


@dataclass(frozen=True)
class HistoryRow:
    """One report in the list."""

    report_id: str
    state: str
    patient: str
    patient_id: str
    study: str
    text: str
    updated: str
    signer: str
    demonstration: bool


@dataclass(frozen=True)
class HistoryView:
    """A page of the history. ``message`` says why it is empty, or that there is more."""

    rows: tuple[HistoryRow, ...]
    total: int
    offset: int
    limit: int
    message: str
