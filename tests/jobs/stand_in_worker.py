"""The worker as it is, but in front of another door."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
from engine.jobs import worker

worker.DOOR = Path(__file__).resolve().parent / "stand_in_door.py"
worker.LOOK_S = 0.02
sys.exit(worker.main())
