"""The viewer over a folder of installed models of its own: for a process.

python tests/app/viewer_with_models.py FOLDER OPTIONS
"""

from __future__ import annotations

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent

if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))
    from engine import paths
    from engine.cli import main

    folder = Path(sys.argv[1])
    paths.models = lambda: folder
    sys.exit(main(["viewer", *sys.argv[2:]], module="app.main"))
