"""Servers under Settings: models that another program runs, added, tried and allowed here.

Closed by default. What a server is called is shown as text only; nothing is sent to one but by "Try it" (two test
pictures), by "Save" where its model's name was left out, and by drafts that are asked of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import gradio as gr

from app import errors
from app.pages.modules import module, text
from app.pages.settings import PLAN, listed, whole
from app.services import Workbench
from app.services.servers import Server, Servers
from app.services.views import Line
from engine.drafting.served_question import MANNERS

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
NEW = ""
AS_NAMED = "As its name suggests"
CONSENT = "Images and questions of patients may leave this machine for this address"
ONE_ALONE = "(address, added, allowed) => [allowed && address.trim() === (added || '').split('#')[0]]"
"""What is allowed for the address of the server that is chosen is not allowed for another that is written over it."""

EXPLAINED = (
    "A model that is too large for this machine can run in another program that speaks OpenAI's protocol (vLLM and "
    "others). Images, questions and the clinical context are sent to it."
)


@dataclass(frozen=True)
class Form:
    """The widgets; ``described`` are those that say what a server is, in the order in which the events take them."""

    added: gr.Dropdown
    described: list[Any]
    attempt: gr.Button
    save: gr.Button
    remove: gr.Button
    said: gr.HTML


def build(bench: Workbench, model: gr.Dropdown) -> None:
    """The accordion inside the open Blocks context; ``model`` is the choice that what is added here joins."""
    with gr.Accordion("Models behind an address", open=False, elem_id="ivp-servers") as opened:
        gr.HTML(html_template=f"<p>{EXPLAINED}</p>", js_on_load=None, elem_id="ivp-servers-about")
        added = gr.Dropdown(_choices(bench.models.servers), value=NEW, label="Server", elem_id="ivp-servers-added")
        described = [
            gr.Textbox("", label="Address", placeholder="http://127.0.0.1:8000/v1", max_lines=1, max_length=300,
                       elem_id="ivp-servers-address"),
            gr.Textbox("", label="Model", placeholder="its only one", max_lines=1, max_length=200,
                       elem_id="ivp-servers-model"),
            gr.Dropdown([(AS_NAMED, ""), *((one.family, one.name) for one in MANNERS.values())], value="",
                        label="Asked as", filterable=False, elem_id="ivp-servers-manner"),
            gr.Textbox("", label="Most pixels of an image", placeholder="the usual", max_lines=1, max_length=20),
            gr.Checkbox(False, label=CONSENT, elem_id="ivp-servers-consent"),
        ]  # fmt: skip
        with gr.Row():
            attempt = gr.Button("Try it", size="sm", min_width=60, elem_id="ivp-servers-try")
            save = gr.Button("Save", size="sm", min_width=60, elem_id="ivp-servers-save")
            remove = gr.Button("Remove", size="sm", min_width=60, elem_id="ivp-servers-remove")
        form = Form(added, described, attempt, save, remove, module(PLAN, "[]", "ivp-servers-said"))
    _Events(bench, form, model, opened)


class _Events:
    """One method per event of the form."""

    def __init__(self, bench: Workbench, form: Form, model: gr.Dropdown, opened: gr.Accordion) -> None:
        self._models, self._servers = bench.models, bench.models.servers
        last: dict[str, Any] = {**QUIET, "trigger_mode": "once", "concurrency_limit": 4}
        lists = [form.added, model, form.said]
        opened.expand(self._on_opened, None, form.added, **QUIET)
        form.added.input(self._on_chosen, form.added, [*form.described, form.said], **QUIET)
        address, *_, consent = form.described
        address.change(None, [address, form.added, consent], consent, js=ONE_ALONE, **QUIET)
        form.attempt.click(self._on_waiting, None, form.said, **QUIET).then(
            self._on_try, form.described, form.said, **last
        )
        form.save.click(self._on_save, form.described, lists, **last)
        form.remove.click(self._on_remove, form.added, [*lists, *form.described], **last)

    def _on_opened(self) -> Any:
        return gr.update(choices=_choices(self._servers))

    def _on_chosen(self, path: str) -> tuple[Any, ...]:
        """The fields, as they were saved."""
        return (*_fields(self._servers.find(text(path))), "[]")

    def _on_waiting(self) -> str:
        return _line("The server is being asked about two test pictures.", "info")

    def _on_try(self, word: str, name: str, conversation: str, most: str, remote: bool) -> str:
        def attempt() -> str:
            return self._servers.tried(*_described(word, name, conversation, most, remote))[1]

        return _said(attempt)

    def _on_save(self, word: str, name: str, conversation: str, most: str, remote: bool) -> tuple[Any, Any, str]:
        try:
            server = self._servers.named(*_described(word, name, conversation, most, remote))
            self._servers.add(server)
        except Exception as error:
            return gr.skip(), gr.skip(), _line(errors.sentence(error), "problem")
        words = "It can be chosen under Model." if server.allowed else "It is not used until images may leave for it."
        return *self._lists(server.path), _line(f"Saved: {server.words}. {words}", "info")

    def _on_remove(self, path: str) -> tuple[Any, ...]:
        try:
            self._servers.remove(text(path))
        except Exception as error:
            return gr.skip(), gr.skip(), _line(errors.sentence(error), "problem"), *[gr.skip()] * len(_fields(None))
        return *self._lists(NEW), _line("Removed.", "info") if path else "[]", *_fields(None)

    def _lists(self, path: str) -> tuple[Any, Any]:
        return gr.update(choices=_choices(self._servers), value=path), gr.update(choices=listed(self._models.choices()))


def _choices(servers: Servers) -> list[tuple[str, str]]:
    return [("A new one", NEW), *((one.words, one.path) for one in servers.all())]


def _fields(server: Server | None) -> tuple[str, str, str, str, bool]:
    """The values of the fields that describe a server."""
    if server is None:
        return "", "", "", "", False
    return server.url, server.model, server.conversation, str(server.most or ""), server.remote


def _described(
    word: object, name: object, conversation: object, most: object, remote: object
) -> tuple[str, str, str, int | None, bool]:
    """What the fields say, as ``Servers`` takes it."""
    return text(word), text(name), text(conversation), whole(most), remote is True


def _said(attempt: Callable[[], str]) -> str:
    try:
        return _line(attempt(), "info")
    except Exception as error:
        return _line(errors.sentence(error), "problem")


def _line(words: str, kind: Any) -> str:
    return json.dumps([asdict(Line(words, kind))])
