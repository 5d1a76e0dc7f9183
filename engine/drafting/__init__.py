"""The engine's public face: a comparison of radiographs and a question in, a draft out.

    comparison.py   what is compared
    settings.py     how to decode, as a caller says it
    question.py     the question put to the model
    draft.py        what comes back: Draft, and the events of a stream
    checks.py       what a reader should know about a drafted text
    writing.py      ids -> text while they arrive
    engine.py       Engine: load, draft, stream

Everything above (records, viewer, commands, evaluation) uses models through this package only. It stores nothing.
"""

from engine.drafting.comparison import Comparison
from engine.drafting.draft import Check, Draft, Event, ImageUse, ModelInfo, Progress, Scored, Timings, Token
from engine.drafting.engine import Engine
from engine.drafting.question import SECTIONS
from engine.drafting.settings import Decoding

__all__ = [
    "SECTIONS",
    "Check",
    "Comparison",
    "Decoding",
    "Draft",
    "Engine",
    "Event",
    "ImageUse",
    "ModelInfo",
    "Progress",
    "Scored",
    "Timings",
    "Token",
]
