"""One door to a model, wherever it runs: a folder of this machine, or the address of a server that stands for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import UsageError
from engine.remote.address import is_address

if TYPE_CHECKING:
    from engine.drafting.engine import Engine
    from engine.drafting.served import ServedEngine

    AnyEngine = Engine | ServedEngine

OF_A_FOLDER = ("base", "adapter", "tower")
"""Options of ``Engine.load`` that say of which files a model is made: a server has been told already."""

OF_A_SERVER = ("served_as", "allow_remote", "image_max_pixels", "image_min_pixels")
"""Options of ``ServedEngine.load`` alone."""


def load(model: str | Path, **options: Any) -> AnyEngine:
    """The engine of a model: ``Engine.load`` for a folder, ``ServedEngine.load`` for an address.

    ``options`` are those of both. How a model is computed (dtype, quantisation, device, beams) is a server's own affair
    and is not looked at for one; that images may leave this machine means nothing for a folder.

    Raises:
        UsageError: files are named for a server, or a served name or pictures' bounds for a folder.
        What the two raise.
    """
    given = {name: value for name, value in options.items() if value}
    if is_address(str(model)):
        wrong = [name for name in OF_A_FOLDER if name in given]
        if wrong:
            raise UsageError(f"--{wrong[0]} is for a model of this machine; a server is started with its own.")
        from engine.drafting.served import ServedEngine

        kept = {name: value for name, value in given.items() if name in (*OF_A_SERVER, "conversation")}
        return ServedEngine.load(str(model), **kept)
    wrong = [name for name in OF_A_SERVER if name in given and name != "allow_remote"]
    if wrong:
        raise UsageError(f"--{wrong[0].replace('_', '-')} is for a model behind an address.")
    from engine.drafting.engine import Engine

    return Engine.load(model, **{name: value for name, value in options.items() if name not in OF_A_SERVER})
