"""The choice of a model under Settings: the models there are now, what is known of the chosen one, what a draft takes.

What lies in ``models/`` changes while the page is open: models are promoted and taken back. So it is looked at again
whenever the page is loaded, Settings are opened, or something was asked of a model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import gradio as gr

from app.pages import settings
from app.pages.modules import text
from app.pages.settings import Settings
from app.services import Workbench
from app.services.chosen import Chosen, chosen
from app.services.sessions import notify
from app.services.state import Session

Act = Callable[[gr.Request, Callable[[Session], object], Chosen], str]
"""Does one event of a page and gives its screen, as it is painted."""

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


class Choosing:
    """The events of the choice; ``screen`` is the widget that takes a screen."""

    def __init__(self, bench: Workbench, widgets: Settings, screen: gr.HTML, act: Act) -> None:
        self._bench, self._widgets, self._screen, self._act = bench, widgets, screen, act
        opened, model = widgets.opened.expand, widgets.model.change
        self._look(opened)
        # One at a time, and the last one always: what is said of an earlier choice never stays.
        last: dict[str, Any] = {**QUIET, "trigger_mode": "always_last", "concurrency_limit": 16}
        about = [widgets.about, widgets.language]
        gr.on([opened, model], self._on_described, [widgets.model, widgets.language], about, **last)
        planned = [opened, *(one.change for one in (*widgets.chosen, widgets.beams))]
        gr.on(planned, self._on_plan, [*widgets.chosen, widgets.beams], widgets.plan, **last)

    def after(self, event: Any) -> None:
        """Look at the models again after something was asked of one of them."""
        self._look(event.then)

    def on_load(self, page: gr.Blocks) -> None:
        """Look at the models when the page is loaded: it was built when the program started."""
        self._look(page.load)

    def _look(self, event: Callable[..., Any]) -> None:
        event(self._on_offered, self._widgets.chosen, [self._widgets.model, self._screen], **QUIET)

    def _on_offered(self, model: str, precision: str, request: gr.Request) -> tuple[Any, Any]:
        """The models as they lie there now; one that was chosen and is gone gives way, in so many words."""
        offered = self._bench.models.offered(chosen(model, precision))
        choices = settings.listed(offered.choices)
        if offered.path == text(model):
            return gr.update(choices=choices), gr.skip()
        update = gr.update(choices=choices, value=offered.path or None)
        if not offered.gone:
            return update, gr.skip()
        meant = chosen(offered.path, precision)
        return update, self._act(request, lambda session: notify(session, offered.gone, "warning"), meant)

    def _on_described(self, model: str, language: str) -> tuple[str, Any]:
        choice = settings.writes(text(model), text(language))
        if choice["value"] == language:
            del choice["value"]  # by now it may be another one: what the reader chooses meanwhile stays
        return settings.card(text(model)), gr.update(**choice)

    def _on_plan(self, model: str, precision: str, beams: float) -> Iterator[str]:
        """The memory plan of the choice; the line of an earlier one is gone until it is known."""
        for line in self._bench.plan(chosen(model, precision), settings.whole(beams) or 1):
            yield json.dumps([asdict(line)] if line is not None else [])
