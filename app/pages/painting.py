"""A screen as the one value that goes out to the browser; ``web/screen.mjs`` decides there whether it is shown.

Nothing of a screen goes out beside it, so that an answer that comes late is recognised as a whole. Knows a widget by
its place only: ``CONTROLS`` and ``FIELDS`` are the order in which the page must list them.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from app.services.views import ReportView, Screen

CONTROLS = ("draft", "stop", "fresh", "signing", "export")
FIELDS = ("indication", "history")


def paint(screen: Screen, key: str = "") -> str:
    """The screen of the page ``key`` as JSON."""
    report = screen.report
    controls = _controls(report)
    texts = {"indication": report.indication, "history": report.history}
    return json.dumps(
        {
            "number": screen.number,
            "sheet": screen.sheet,
            "page": key,
            "parts": {
                "case": asdict(screen.case),
                "panes": asdict(screen.panes),
                "lines": [asdict(line) for line in report.lines],
                "editor": report.editor,
                "ask": asdict(screen.ask),
                "files": [asdict(file) for file in report.exports],
            },
            "controls": [controls[name] for name in CONTROLS],
            "fields": [{"state": {"interactive": not report.signed}, "value": texts[name]} for name in FIELDS],
        },
        ensure_ascii=False,
        allow_nan=False,
    )


def _controls(report: ReportView) -> dict[str, dict[str, Any]]:
    return {
        "draft": {
            "value": report.draft_label,
            "interactive": report.can_draft,
            "visible": not (report.drafting or report.signed),
        },
        "stop": {"visible": report.drafting},
        "fresh": {"visible": report.signed},
        "signing": {"visible": report.can_write},
        "export": {"interactive": report.can_export},
    }
