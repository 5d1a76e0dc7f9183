"""scores.json of an evaluation in which a model and its base have answered, in the form that scoring gives it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.evaluation.keys import KEYS


def score(value: float, width: float = 4.0, studies: int = 24) -> dict[str, Any]:
    return {"value": value, "interval": [round(max(0.0, value - width), 4), value + width], "studies": studies}


def system(about: dict[str, Any], scores: dict[str, float], against: dict[str, float] | None = None) -> dict[str, Any]:
    """One model; ``against``: the scores of the one it is compared with."""
    differences = {
        key: {"value": gain, "interval": [round(gain - 5, 4), round(gain + 5, 4)], "p": p / 2, "p_holm": p}
        for key, value in (against or {}).items()
        for gain, p in [(round(scores[key] - value, 4), 0.2 if key == "ROUGE-L" else 0.01)]
    }
    return {
        "title": about["name"],
        "about": {"tuned_from": "", "prompt": None, "adapter": None, "quantization": "none", **about},
        "note": "",
        "studies": 24,
        "patients": 20,
        "missing": 0,
        "left_out": 0,
        "cut_off": 0,
        "seconds": 1.5,
        "precisions": ["float32, none"],
        "notes": [],
        "scores": {key: score(value) for key, value in scores.items()}
        | {"radcliq_v1": {"value": None, "note": "n/a, because its environment is not there."}},
        "comparison": {"studies": 24 if against else 0, "patients": 20 if against else 0, "differences": differences},
        "parts": [],
    }


BASE = {
    "BLEU4": 20.1,
    "ROUGE-L": 48.2,
    "finding_f1_micro": 41.0,
    "progression_f1_macro_3": 33.0,
    "prior_hallucination_rate": 12.0,
    "finding_f1[Edema]": 30.0,
}
TUNED = {
    "BLEU4": 31.4,
    "ROUGE-L": 61.5,
    "finding_f1_micro": 58.5,
    "progression_f1_macro_3": 47.25,
    "prior_hallucination_rate": 3.0,
    "finding_f1[Edema]": 44.0,
}


def write_scores(folder: Path, sha256: str, *, name: str = "site-b", **about: Any) -> Path:
    """An evaluation's folder whose model ``name``, tuned from demo-tac, has these weights."""
    folder.mkdir(parents=True, exist_ok=True)
    tuned = {"name": name, "model": f"/models/{name}", "sha256": sha256, "tuned_from": "demo-tac", **about}
    scores = {
        "format": 1,
        "made": "2026-11-20T10:00:00+00:00",
        "asked": {},
        "studies": 24,
        "patients": 20,
        "with_prior": 18,
        "against": "demo-tac",
        "tested": ["BLEU4", "ROUGE-L"],
        "tests": 2,
        "notes": ["Synthetic radiographs."],
        "keys": {key.name: asdict(key) for key in KEYS.values()},
        "models": {
            "demo-tac": system({"name": "demo-tac", "model": "/models/demo-tac", "sha256": "d" * 64}, BASE),
            name: system(tuned, TUNED, BASE),
        },
        "baselines": {},
    }
    (folder / "scores.json").write_text(json.dumps(scores))
    contenders = [one["about"] for one in scores["models"].values()]  # type: ignore[attr-defined]
    (folder / "evaluation.json").write_text(
        json.dumps({"format": 1, "made": "2026-11-20T09:00:00+00:00", "asked": {}, "contenders": contenders})
    )
    return folder
