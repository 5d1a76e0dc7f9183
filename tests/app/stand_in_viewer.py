"""The viewer with a stand-in engine in the engine's process, which does what the indication tells it: for a process.

python tests/app/stand_in_viewer.py OPTIONS
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent

if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))
    from engine.cli import main
    from engine.drafting import EngineProcess

    EngineProcess.load = partial(EngineProcess.load, engine="tests.drafting.stand_in:load")  # type: ignore[method-assign]
    sys.exit(main(["viewer", *sys.argv[1:]], module="app.main"))
