"""Writes phantoms as a training set: grey pictures, Libra's files, and the truth beside them.

    images/<id>.png, images/<id>-prior.png     8-bit grey, as the display window shows the film
    train.json                                 Libra's training format (one or two pictures, a conversation)
    eval.jsonl                                 Libra's evaluation format with the reference report
    truth.jsonl                                one case a line: what is where, how large, since when

Coarse masks in the truth are 8 x 8 cells over the film padded to a centred square, row by row: the share of each cell
that the finding covers. The same arguments give the same bytes, whatever the number of workers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from engine.datasets.libra import FINDINGS, About
from engine.datasets.phantoms.model import Case, Film, FindingTruth, Site
from engine.datasets.phantoms.picture import coarse_masks, render, show
from engine.datasets.phantoms.sampling import sample_case
from engine.datasets.phantoms.sites import SITE_A
from engine.datasets.phantoms.visits import visits
from engine.errors import UsageError

SEEDS_PER_SET = 1_000_000
"""Case seeds of a set start at its own seed times this, so that sets of different seeds share no patient."""

CHUNK = 50


def write_training(
    folder: Path,
    count: int,
    seed: int = 0,
    site: Site = SITE_A,
    split: str = "train",
    size: int = 224,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write ``count`` cases into ``folder``.

    Args:
        folder: made if it is not there; must hold no training set yet.
        count: cases, 1 .. 1 000 000.
        seed: of the set; other seeds give other patients.
        site: where the films are made and read.
        split: "train" or "test".
        size: pixels of the pictures' longer side, at least 32.
        workers: processes.
        progress: called with the cases done and their total.

    Raises:
        UsageError: a count, seed, size or folder that cannot be used.
    """
    folder = Path(folder)
    check_request(count, seed, size, workers)
    if (folder / "train.json").exists():
        raise UsageError(f"{folder.name} already holds a training set. Choose another folder.")
    (folder / "images").mkdir(parents=True, exist_ok=True)
    first = seed * SEEDS_PER_SET
    seeds = [range(start, min(start + CHUNK, first + count)) for start in range(first, first + count, CHUNK)]
    work = partial(_write_chunk, folder, site, split, size)
    done = 0
    with (
        (folder / "train.json").open("w", encoding="utf-8") as train,
        (folder / "eval.jsonl").open("w", encoding="utf-8") as questions,
        (folder / "truth.jsonl").open("w", encoding="utf-8") as truths,
    ):
        train.write("[\n")
        for rows in ordered(work, seeds, workers):
            for sample, question, truth in rows:
                train.write(("," if done else "") + json.dumps(sample) + "\n")
                questions.write(json.dumps(question) + "\n")
                truths.write(json.dumps(truth) + "\n")
                done += 1
            if progress is not None:
                progress(done, count)
        train.write("]\n")


def check_request(count: int, seed: int, size: int, workers: int) -> None:
    """Refuse numbers no set can be made of.

    Raises:
        UsageError: in words, the first that is wrong.
    """
    if not 1 <= count <= SEEDS_PER_SET:
        raise UsageError(f"The number of phantoms must lie between 1 and {SEEDS_PER_SET}.")
    if not 0 <= seed < 2**31:
        raise UsageError("The seed must be a number from 0 to 2147483647.")
    if not 32 <= size <= 4096:
        raise UsageError("The size of phantom films must lie between 32 and 4096 pixels.")
    if workers < 1:
        raise UsageError("At least one worker is needed.")


def ordered(work: Callable[[range], Any], parts: list[range], workers: int) -> Iterator[Any]:
    """Results of ``work`` for all parts in their order, computed in this process or in several."""
    if workers == 1 or len(parts) == 1:
        yield from map(work, parts)
        return
    # Spawned, not forked: the caller may hold threads (a viewer, torch).
    with ProcessPoolExecutor(min(workers, len(parts)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, parts)


def prompt(case: Case) -> str:
    """The question of a case: with the clinical context for most, without it for some."""
    kind = np.random.default_rng([case.seed, 51]).random()
    if kind < 0.25:
        return FINDINGS
    label = "Indication" if kind < 0.65 else "History"
    return f"{FINDINGS} Following clinical context: {label}: {case.indication}"


def png(pixels: np.ndarray) -> bytes:
    """A grey picture as PNG bytes, packed fast."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _write_chunk(folder: Path, site: Site, split: str, size: int, seeds: range) -> list[tuple[Any, Any, Any]]:
    return [_write_case(folder, sample_case(seed, site=site, split=split), site, size) for seed in seeds]


def _write_case(folder: Path, case: Case, site: Site, size: int) -> tuple[Any, Any, Any]:
    names = [f"images/{case.id}.png"]
    masks = {"current": _write_film(folder / names[0], case.current, size)}
    if case.prior is not None:
        names.append(f"images/{case.id}-prior.png")
        masks["prior"] = _write_film(folder / names[1], case.prior, size)
    question = prompt(case)
    image = names if len(names) > 1 else names[0]
    conversation = [{"from": "human", "value": f"<image>\n{question}"}, {"from": "gpt", "value": case.findings_text}]
    about = _about(case).keys() | _prior_report(case, site)
    sample = {"id": case.id, "image": image, "conversations": conversation} | about
    asked = {"question_id": case.id, "image": image, "text": question, "reference": case.findings_text} | about
    return sample, asked, describe(case) | {"masks": masks}


def _prior_report(case: Case, site: Site) -> dict[str, str]:
    """What was reported of the prior film, where there is one."""
    before = [visit for visit in visits(case, site) if case.prior is not None and visit.film is case.prior]
    return {"prior_report": before[0].text.findings} if before else {}


def _about(case: Case) -> About:
    person = case.person
    age = (case.current_time.date() - person.birth_date).days // 365.25
    return About(person.id, case.id, case.current.view, person.sex, age)


def describe(case: Case) -> dict[str, Any]:
    """The truth of a case as plain values: one line of truth.jsonl without its masks."""
    return {
        "id": case.id,
        "patient": case.person.id,
        "seed": case.seed,
        "site": case.site,
        "split": case.split,
        "has_prior": case.prior is not None,
        "findings": describe_findings(case.truth),
        "transform": case.transform,
    }


def describe_findings(truth: tuple[FindingTruth, ...]) -> list[dict[str, Any]]:
    """What is true of each finding as plain values."""
    return [
        {
            "finding": entry.finding,
            "side": entry.side,
            "zone": entry.zone,
            "size": round(entry.size, 3),
            "band": entry.band,
            "change": entry.change,
            "prior_size": None if entry.prior_size is None else round(entry.prior_size, 3),
            "prior_side": entry.prior_side,
        }
        for entry in truth
    ]


def coarse_values(masks: dict[str, np.ndarray]) -> dict[str, list[float]]:
    """Coarse masks as lines of truth hold them, from the masks of a rendered film."""
    return {name: [round(float(v), 2) for v in cells.ravel()] for name, cells in coarse_masks(masks).items()}


def _write_film(path: Path, film: Film, size: int) -> dict[str, list[float]]:
    """Write a film's picture; its coarse masks."""
    rendered = render(film, size, masks=True)
    path.write_bytes(png(show(rendered)))
    return coarse_values(rendered.masks)
