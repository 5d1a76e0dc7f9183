"""The memory that a model's drafts take here, as JSON on standard output; a process of its own, for it needs torch.

    python -P -m app.planner '{"path": FOLDER, "base": FOLDER or null, "beams": N, "new_tokens": N}'

It gives {"device", "memory", "fastest", "automatic", "needed"}: "cpu" or "cuda"; the bytes of the GPU, 0 on a
processor; the dtype that is computed in fastest; the precisions that the engine tries by itself, best first; and the
bytes needed by beams (1 to N) and precision, {} for a folder that cannot be used. Nothing is loaded.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from engine.drafting.fitting import Rung, below
from engine.models.checkpoint import choose_dtype
from engine.models.footprint import PRECISIONS
from engine.models.plan import plan
from engine.models.survey import survey


def planned(path: str, base: str | None, beams: int, new_tokens: int) -> dict[str, object]:
    """The plans of one folder. Raises ModelError where there is none."""
    found = survey(Path(path), base=Path(base) if base else None)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    best, fastest = (str(choose_dtype(name, device)).removeprefix("torch.") for name in ("auto", "fastest"))
    needed = {}
    for count in range(1, beams + 1):
        made = [
            plan(found, device=device.type, precision=one, beams=count, new_tokens=new_tokens, free=0)
            for one in PRECISIONS
        ]
        needed[count] = {one.precision: one.needed for one in made if one is not None}
    ladder = [rung.precision for rung in below(Rung(device.type, best, "none", 1)) if rung.device == device.type]
    return {
        "device": device.type,
        "memory": torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else 0,
        "fastest": fastest,
        "automatic": list(dict.fromkeys(ladder)),
        "needed": {count: plans for count, plans in needed.items() if plans},
    }


if __name__ == "__main__":
    print(json.dumps(planned(**json.loads(sys.argv[1]))))
