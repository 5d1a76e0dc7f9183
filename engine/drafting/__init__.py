"""The engine's public face: a comparison of radiographs and a question in, a draft out.

    comparison.py   what is compared
    settings.py     how to decode, as a caller says it
    question.py     the question put to the model
    draft.py        what comes back: Draft, and the events of a stream
    checks.py       what a reader should know about a drafted text
    writing.py      ids -> text while they arrive
    request.py      a request as it is put to the model, and the draft that comes of it
    batches.py      many requests, decoded side by side
    source.py       where a model comes from: its plan, its loading
    fitting.py      what is done where the memory does not suffice
    engine.py       Engine: load, draft, stream, draft_many
    served.py       ServedEngine: the same door, with the model behind an address
    served_question.py   messages and pictures as a server is asked with
    served_answer.py     what has come of a server's answer, and when
    loading.py      one of the two, as the model is named
    process.py      EngineProcess: the same door, with the engine in a process of its own, made of
        child.py        the parent's hold on that process
        worker.py       what runs in it
        messages.py     what travels between the two
        files.py        whether a model's files are still those that were loaded
        unfinished.py   the draft that is kept when the engine stopped in the middle of it

Everything above (records, viewer, commands, evaluation) uses models through this package only. It stores nothing.
The names are resolved on first use: of them only Engine imports torch, and who drafts in another process needs it not.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.drafting.comparison import Comparison
    from engine.drafting.draft import Check, Draft, Event, ImageUse, ModelInfo, Progress, Scored, Timings, Token
    from engine.drafting.engine import Engine
    from engine.drafting.process import EngineProcess
    from engine.drafting.question import SECTIONS, Asking, Turn
    from engine.drafting.settings import Decoding

__all__ = [
    "SECTIONS",
    "Asking",
    "Check",
    "Comparison",
    "Decoding",
    "Draft",
    "Engine",
    "EngineProcess",
    "Event",
    "ImageUse",
    "ModelInfo",
    "Progress",
    "Scored",
    "Timings",
    "Token",
    "Turn",
]

_HOMES = {
    "SECTIONS": "question",
    "Asking": "question",
    "Comparison": "comparison",
    "Decoding": "settings",
    "Engine": "engine",
    "EngineProcess": "process",
    "Turn": "question",
}
"""The modules of the names above; all others are in draft.py."""


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(f"engine.drafting.{_HOMES.get(name, 'draft')}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
