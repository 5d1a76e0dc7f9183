"""Short ways to what the data page shows: files of rows, an open set, a job that has run, a history with reports."""

from __future__ import annotations

import json
import sys
import time
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "data_sets"))

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from signed_desk import Desk, edit, reject, write

from engine import cli
from engine.jobs import files, queue
from engine.jobs.job import Job
from engine.records import Records
from trainer_ui.services import opened_set
from trainer_ui.services.opened_set import Opened

ANSWER = "Small left pleural effusion has increased. No pneumothorax."
DRAFT = ("Small left pleural effusion has increased.", "No pneumothorax.", "The heart is enlarged.")


def row(name: str, *images: str, answer: str = ANSWER, **more: Any) -> dict[str, Any]:
    """A training row."""
    turns = [{"from": "human", "value": "<image>\nDescribe."}, {"from": "gpt", "value": answer}]
    return {"id": name, "image": list(images) if len(images) > 1 else images[0], "conversations": turns} | more


def picture(path: Path, seed: int, size: int = 24) -> Path:
    """A grey picture, the same for the same seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def rows_file(folder: Path, rows: list[dict[str, Any]], name: str = "train.json") -> Path:
    """A file of rows, with every image that they name and that has none yet."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    lines = name.endswith(".jsonl")
    file.write_text("".join(json.dumps(each) + "\n" for each in rows) if lines else json.dumps(rows, indent=1))
    named = [each["image"] for each in rows]
    for image in dict.fromkeys(one for images in named for one in ([images] if isinstance(images, str) else images)):
        if ".." not in image and not (folder / image).exists():
            picture(folder / image, seed=len(list(folder.iterdir())))
    return file


def opened(name: str, file: str = "") -> Opened:
    """A set as the page opens it."""
    return opened_set.opened(name, file)


def ran(job: Job) -> Job:
    """The job after its command has run in this process, as a worker leaves it."""
    said = StringIO()
    began = time.time()
    with redirect_stderr(said):
        status = cli.main(list(job.words))
    state = "done" if status == 0 else "failed"
    record = {"state": state, "place": job.place, "began": began, "ended": time.time(), "exit_status": status}
    files.write(job.folder / files.STATE, record)
    (job.folder / files.CONSOLE).write_text(said.getvalue())
    return queue.find(job.id)


def sign_reports(home: Path) -> None:
    """A history of five signed reports by two models; in the image of the last one a name is written."""
    (home / "dropped").mkdir(parents=True)
    with Records.open(home, who="tester", application="Interval test") as records:
        desk = Desk(records, home / "dropped")
        prior, current = desk.film(1, StudyDate="20230105"), desk.film(2, StudyDate="20240301")
        edited = edit(0, "Small left pleural effusion is unchanged.")
        desk.signed(current, prior, *DRAFT, review=edited, context="Indication: dyspnea.")
        desk.signed(desk.film(3, PatientID="B2", PatientName="Doe^John"), None, *DRAFT, review=reject(2))
        added = write("Right lower lobe consolidation.")
        desk.signed(desk.film(4, PatientID="B3", PatientName="Roe^Jane"), None, *DRAFT, review=added, model="other")
        desk.signed(desk.film(5, PatientID="B4", PatientName="Poe^Jim"), None, *DRAFT, model="other")
        pixels = Image.fromarray(np.full((600, 500), 40, np.uint8))
        ImageDraw.Draw(pixels).text((40, 40), "DOE JOHN 1960", fill=255, font=ImageFont.load_default(28))
        written = desk.film(7, pixels=np.asarray(pixels), PatientID="B7", PatientName="Xoe^Kim")
        desk.signed(written, None, *DRAFT)
