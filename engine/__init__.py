"""Interval's engine: everything that is not a screen.

    from engine import Engine, Comparison, Decoding

The names are resolved on first use, so that importing the package stays cheap for commands that load no model.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.drafting import Asking, Comparison, Decoding, Draft, Engine, Progress, Token, Turn

__all__ = ["Asking", "Comparison", "Decoding", "Draft", "Engine", "Progress", "Token", "Turn"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("engine.drafting"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
