"""The history tab: search, and reopening into the reading page."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.pages.compare import Desk
from app.pages.modules import data, module, text
from app.pages.painting import paint
from app.services import Filters, Workbench
from app.services.chosen import chosen
from app.services.state import Session
from app.services.views import HistoryView, to_json

HISTORY = """
  const { mountHistory } = await import('/web/history.mjs');
  const page = mountHistory(host, {
    onSearch: (filters) => trigger('input', filters),
    onOpen: (report) => trigger('select', { report }),
  });
  const show = (view) => page.update(view);"""


def build(bench: Workbench, tabs: gr.Tabs, desk: Desk) -> None:
    """The tab inside the open Blocks context."""
    page = module(HISTORY, to_json(HistoryView((), 0, 0, 1, "")), "ivp-history")

    def search(event: gr.EventData) -> str:
        sent = data(event)
        offset = sent.get("offset")
        return to_json(
            bench.history(
                Filters(
                    query=text(sent.get("query")),
                    state=text(sent.get("state")),
                    patient=text(sent.get("patient")),
                    since=text(sent.get("since")),
                    until=text(sent.get("until")),
                    offset=offset if isinstance(offset, int) else 0,
                )
            )
        )

    def reopen(model: str, precision: str, event: gr.EventData, request: gr.Request) -> list[Any]:
        key, report = str(request.session_hash), text(data(event).get("report"))

        def open_it(session: Session) -> None:
            bench.searching.reopen(session, report)

        screen = bench.act(key, open_it, chosen(model, precision), "open")
        return [gr.Tabs(selected="read"), paint(screen, key)]

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    page.input(search, None, page, trigger_mode="always_last", **quiet)
    page.select(reopen, desk.settings.chosen, **desk.in_order | {"outputs": [tabs, desk.screen]})
