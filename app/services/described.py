"""What is known of a model that can be chosen: whether it is a demonstration, its promotion, its scores and its base's.

Read from the small files beside the model each time it is asked for, so that what is shown is what lies there now.
Needs no torch and knows no widget.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from app.services import installed
from app.services.servers import Server, Servers
from app.services.views import ModelView, ScoreLine
from engine.drafting.served import leaving
from engine.models import promotion
from engine.models.promotion import Evaluated, Figure
from engine.remote.address import is_address, provenance

DEMONSTRATION, SERVED = "demonstration", "served"
UNEVALUATED = "No evaluation stands beside it: how good it is, nobody can see here."
VERDICTS = {"better": "better", "worse": "worse", "unclear": "may be chance", "": ""}
INTERVALS = "In brackets: 95 % intervals over patients."


def described(path: str) -> ModelView | None:
    """What there is to say of the model in a folder; None where that is nothing."""
    if not path:
        return None
    if is_address(path):
        found = Servers().find(path)
        return _served(found) if found is not None else None
    folder = Path(path)
    mark = DEMONSTRATION if installed.is_demonstration(folder) else ""
    found = promotion.read(folder)
    if found is None:
        return ModelView(mark) if mark else None
    view = ModelView(mark, f"Promoted {_day(found.when)}", found.certificate)
    return _with_scores(view, found.evaluated) if found.evaluated is not None else _without_scores(view)


def _served(server: Server) -> ModelView:
    """Of a served model only the way to it is known."""
    words = provenance(server.url)
    return ModelView(
        SERVED, certificate=f"{words[0].upper()}{words[1:]}. {leaving(server.address)}", evaluation=UNEVALUATED
    )


def _without_scores(view: ModelView) -> ModelView:
    return ModelView(view.mark, view.promoted, view.certificate, UNEVALUATED)


def _with_scores(view: ModelView, found: Evaluated) -> ModelView:
    of = ", of base and adapter before they were merged" if found.basis == "adapter" else ""
    people = f" of {_count(found.patients, 'patient')}" if found.patients else ""
    studies = f"{found.studies:,} {'study' if found.studies == 1 else 'studies'}"
    few, rest = found.few, found.figures[len(found.few) :]
    precisions = ", ".join(one.removesuffix(", none") for one in found.precisions)
    written = f"It wrote in {precisions}." if precisions else ""
    return ModelView(
        mark=view.mark,
        promoted=view.promoted,
        certificate=view.certificate,
        evaluation=f"Evaluation {found.name}{of}: {studies}{people}.",
        base=found.against,
        few=tuple(_line(figure) for figure in few),
        rest=tuple(_line(figure) for figure in rest),
        notes=tuple(note for note in (INTERVALS, written, *found.notes) if note),
    )


def _line(figure: Figure) -> ScoreLine:
    return ScoreLine(
        title=f"{figure.title} (lower is better)" if figure.better == "lower" else figure.title,
        value=_number(figure.value, figure.unit),
        interval=_interval(figure.interval, figure.unit),
        base=_number(figure.base, figure.unit) if figure.base is not None else "",
        base_interval=_interval(figure.base_interval, figure.unit),
        verdict=VERDICTS[figure.verdict],
    )


def _number(value: float, unit: str) -> str:
    return f"{value:.{_places(unit)}f} {unit}".strip()


def _interval(ends: tuple[float, float] | None, unit: str) -> str:
    return f"[{ends[0]:.{_places(unit)}f} to {ends[1]:.{_places(unit)}f}]" if ends is not None else ""


def _places(unit: str) -> int:
    return 1 if unit == "%" else 2


def _day(text: str) -> str:
    try:
        return datetime.fromisoformat(text).strftime("%Y-%m-%d")
    except ValueError:
        return "at an unknown time"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
