"""What launch.py is to the worker, with one command: the stand-in."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
from engine.cli import main

assert sys.argv[1] == "--no-venv"
sys.exit(main(["stand_in", *sys.argv[2:]], module="stand_in_command"))
