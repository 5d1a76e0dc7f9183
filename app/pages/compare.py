"""The reading page: the top bar, two panes, and the report column.

``Desk`` holds the widgets and joins each event to one method of the services. A screen goes out in two parts: what
changes with every event, and the text fields, which are only set when another case comes onto the screen, so that
nothing is taken away from under the reader's hands.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import gradio as gr

from app.pages import settings
from app.pages.modules import data, module, text
from app.services import Workbench
from app.services.jobs import DecodingChoice
from app.services.state import Session
from app.services.views import Screen, to_json

CASE_BAR = """
  const { mountCaseBar } = await import('/web/casebar.mjs');
  const bar = mountCaseBar(host, { onAction: (detail) => trigger('submit', detail) });
  const show = (view) => bar.update(view);"""

PANES = """
  const { mount } = await import('/static/viewport.mjs');
  const api = mount(host, {});
  let stamp = 0;
  const show = async (view) => {
    await api.load(view);
    if (stamp !== view.stamp) { stamp = view.stamp; await api.refresh(); }
  };
  window.intervalPanes = api;"""

LINES = """
  const { mountLines } = await import('/web/reporthead.mjs');
  const lines = mountLines(host);
  const show = (view) => lines.update(view);"""

EXPORTS = """
  const { mountExports } = await import('/web/reporthead.mjs');
  const files = mountExports(host);
  const show = (view) => files.update(view);"""

# Changes are numbered: an answer that does not know the newest change yet is not shown, so that a sentence just
# accepted never flickers back.
EDITOR = """
  const { mountSentences } = await import('/static/sentences.mjs');
  let number = 0, title = '', editor = null;
  const mountAs = (words) => {
    title = words;
    host.replaceChildren();
    editor = mountSentences(host, {
      title,
      onChange: (sentences) => trigger('input', { number: ++number, sentences }),
      onStop: () => trigger('stop', {}),
    });
    window.intervalEditor = editor;
  };
  const show = (state) => {
    if (state.mode === 'edit' && state.number < number) return;
    number = Math.max(number, state.number);
    if (state.title !== title) mountAs(state.title);
    editor.update(state);
  };"""


def with_sentences(inputs: int) -> str:
    """A script that closes an open edit and sends the list as it stands as the first of ``inputs`` values.

    Gradio hands the values of inputs and outputs to the script and takes as many back as there are inputs.
    """
    return f"""(...given) => {{
  const editor = window.intervalEditor;
  return [editor ? JSON.stringify(editor.commit()) : '', ...given.slice(1, {inputs})];
}}"""


class Desk:
    """The widgets of the reading page."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        first = bench.screen("")
        self.case = module(CASE_BAR, to_json(first.case), "ivp-case")
        with gr.Row(elem_id="ivp-desk"):
            self.panes = module(PANES, to_json(first.panes), "ivp-panes")
            with gr.Column(elem_id="ivp-report"):
                with gr.Row(elem_id="ivp-context"):
                    self.indication = gr.Textbox(label="Indication", lines=1, max_lines=3, max_length=2000)
                    self.history = gr.Textbox(label="History", lines=1, max_lines=3, max_length=2000)
                with gr.Row(elem_id="ivp-actions"):
                    self.draft = gr.Button("Draft", variant="primary", interactive=False, elem_id="ivp-draft")
                    self.fresh = gr.Button("New report on these images", visible=False, elem_id="ivp-fresh")
                    self.stop = gr.Button("Stop", variant="stop", visible=False, elem_id="ivp-stop")
                self.lines = module(LINES, "[]", "ivp-lines")
                self.editor = module(EDITOR, json.dumps(first.report.editor), "ivp-editor")
                with gr.Row(elem_id="ivp-sign", visible=False) as self.signing:
                    self.name = gr.Textbox(
                        show_label=False,
                        container=False,
                        placeholder="Your name, typed in full",
                        max_length=200,
                        elem_id="ivp-name",
                    )
                    self.sign = gr.Button("Sign", variant="primary", elem_id="ivp-sign-button", min_width=72)
                with gr.Row(elem_id="ivp-export"):
                    self.export = gr.Button("Export PDF + text", interactive=False, elem_id="ivp-export-button")
                    self.files = module(EXPORTS, "[]", "ivp-files")
                self.settings = settings.build(bench)
        # Filled by a script in the browser with the sentences as they stand; see ``with_sentences``.
        self.sentences = gr.Textbox(visible=False)
        self.before = gr.Textbox(visible=False)
        self._join()

    @property
    def outputs(self) -> list[Any]:
        """Every widget a screen can change, in the order of ``paint``."""
        return [
            self.case,
            self.panes,
            self.lines,
            self.editor,
            self.draft,
            self.stop,
            self.fresh,
            self.signing,
            self.export,
            self.files,
            self.indication,
            self.history,
        ]

    def paint(self, screen: Screen, key: str, *, fields: bool = False) -> list[Any]:
        """A screen as updates of ``outputs``; the text fields only where ``fields`` says that the case is another."""
        report = screen.report
        case = asdict(screen.case) | {"page": key}
        text_fields: list[Any] = [gr.skip(), gr.skip()]
        if fields:
            text_fields = [
                gr.update(value=report.indication, interactive=not report.signed),
                gr.update(value=report.history, interactive=not report.signed),
            ]
        elif report.signed:
            text_fields = [gr.update(interactive=False), gr.update(interactive=False)]
        return [
            json.dumps(case, ensure_ascii=False),
            to_json(screen.panes),
            json.dumps([asdict(line) for line in report.lines], ensure_ascii=False),
            json.dumps(report.editor, ensure_ascii=False),
            gr.update(
                value=report.draft_label, interactive=report.can_draft, visible=not (report.drafting or report.signed)
            ),
            gr.update(visible=report.drafting),
            gr.update(visible=report.signed),
            gr.update(visible=report.can_write),
            gr.update(interactive=report.can_export),
            json.dumps([asdict(file) for file in report.exports], ensure_ascii=False),
            *text_fields,
        ]

    def streaming(self, screen: Screen) -> list[Any]:
        """The few updates that change while a draft is written."""
        report = screen.report
        updates: list[Any] = [gr.skip()] * len(self.outputs)
        updates[3] = json.dumps(report.editor, ensure_ascii=False)
        updates[4] = gr.update(visible=not report.drafting)
        updates[5] = gr.update(visible=report.drafting)
        return updates

    # -- events ---------------------------------------------------------------------------------------------------

    def _join(self) -> None:
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        every: dict[str, Any] = {**quiet, "outputs": self.outputs}
        model = self.settings.model
        decoding = self.settings.inputs
        self.case.submit(
            self._on_case, [model, self.indication, self.history, *decoding], trigger_mode="multiple", **every
        )
        self.draft.click(
            self._on_draft, [model, self.indication, self.history, *decoding], concurrency_limit=16, **every
        )
        self.fresh.click(self._on_fresh, [model], **every)
        self.stop.click(self._on_stop, None, None, concurrency_limit=None, **quiet)
        self.editor.stop(self._on_stop, None, None, concurrency_limit=None, **quiet)
        # One at a time and in order, all that change or close the report: a list of sentences replaces the one before,
        # and the screen of an edit must not arrive after that of the signature and paint over it.
        report: dict[str, Any] = {**every, "concurrency_id": "report", "concurrency_limit": 1}
        self.editor.input(self._on_edit, [model], trigger_mode="multiple", **report)
        signing = [self.sentences, self.name, self.indication, self.history, model]
        exporting = [self.sentences, self.indication, self.history, model]
        self.sign.click(self._on_sign, signing, js=with_sentences(len(signing)), **report)
        self.name.submit(self._on_sign, signing, js=with_sentences(len(signing)), **report)
        self.export.click(self._on_export, exporting, js=with_sentences(len(exporting)), **report)
        for field in (self.indication, self.history):
            field.blur(self._on_context, [self.indication, self.history, model], trigger_mode="multiple", **report)
        model.change(self._on_model, [model], **every)

    def on_load(self, page: gr.Blocks) -> None:
        """What a tab had open before a reload comes back; a draft that is running goes on being shown."""
        page.load(
            self._on_load,
            [self.before, self.settings.model],
            self.outputs,
            js="(before, model) => [sessionStorage.getItem('interval.page') || '', model]",
            show_progress="hidden",
            api_visibility="private",
            concurrency_limit=16,
        )

    def _act(
        self,
        request: gr.Request,
        event: Callable[[Session], object],
        model: str,
        *,
        topic: str = "",
        fields: bool = False,
    ) -> list[Any]:
        key = str(request.session_hash)
        return self.paint(self.bench.act(key, event, text(model), topic), key, fields=fields)

    def _on_load(self, before: str, model: str, request: gr.Request) -> Iterator[list[Any]]:
        key = str(request.session_hash)
        self.bench.sessions.adopt(key, text(before))
        yield self.paint(self.bench.screen(key, text(model)), key, fields=True)
        yield from self._follow(key, text(model))
        while self.bench.models.status(text(model)).state == "loading" and self.bench.models.settle(text(model)):
            yield self.paint(self.bench.screen(key, text(model)), key)

    def _follow(self, key: str, model: str) -> Iterator[list[Any]]:
        """The screens of the draft that is running, if one is."""
        if not self.bench.screen(key, model).report.drafting:
            return
        for screen in self.bench.watch(key, model):
            yield self.streaming(screen) if screen.report.drafting else self.paint(screen, key)

    def _on_case(
        self, model: str, indication: str, history: str, section: str, prompt: str, beams: float, longest: float,
        temperature: float, top_p: float, seed: float, length_penalty: float, ngram: float,
        event: gr.EventData, request: gr.Request,
    ) -> Iterator[list[Any]]:  # fmt: skip
        """Everything the top bar can ask for; ``action`` says what."""
        bench, sent = self.bench, data(event)
        action = text(sent.get("action"))
        opening = bench.opening
        again: list[str] = []
        acts: dict[str, Callable[[Session], object]] = {
            "open": lambda session: opening.open(session, text(sent.get("intake"))),
            "phantom": bench.phantom,
            "older": opening.older,
            "swap": opening.swap,
            "choose": lambda session: opening.choose(session, text(sent.get("sha256")), text(sent.get("role"))),
            "identify": lambda session: opening.identify(session, sent.get("form")),
            "answer": lambda session: again.append(
                opening.answer(session, text(sent.get("question")), text(sent.get("option")))
            ),
            "dismiss": lambda session: bench.dismiss(session, text(sent.get("notice"))),
        }
        act = acts.get(action)
        if act is None:
            yield self._act(request, lambda session: None, model)
            return
        topic = "" if action == "dismiss" else "open" if action in ("open", "phantom") else "pair"
        yield self._act(request, act, model, topic=topic, fields=action in ("open", "phantom", "answer"))
        if again == ["draft"]:
            decoding = settings.decoding(beams, longest, temperature, top_p, seed, length_penalty, ngram)
            yield from self._drafting(request, model, section, prompt, decoding, indication, history, sure=True)

    def _on_draft(
        self, model: str, indication: str, history: str, section: str, prompt: str, beams: float, longest: float,
        temperature: float, top_p: float, seed: float, length_penalty: float, ngram: float, request: gr.Request,
    ) -> Iterator[list[Any]]:  # fmt: skip
        decoding = settings.decoding(beams, longest, temperature, top_p, seed, length_penalty, ngram)
        yield from self._drafting(request, model, section, prompt, decoding, indication, history, sure=False)

    def _drafting(
        self, request: gr.Request, model: str, section: str, prompt: str, decoding: DecodingChoice,
        indication: str, history: str, *, sure: bool,
    ) -> Iterator[list[Any]]:  # fmt: skip
        def begin(session: Session) -> None:
            reporting = self.bench.reporting
            reporting.set_context(session, text(indication), text(history))
            reporting.draft(session, text(model), text(section), text(prompt), decoding, sure=sure)

        key = str(request.session_hash)
        yield self._act(request, begin, model, topic="report")
        yield from self._follow(key, text(model))

    def _on_stop(self, request: gr.Request) -> None:
        self.bench.act(str(request.session_hash), self.bench.reporting.stop)

    def _on_fresh(self, model: str, request: gr.Request) -> list[Any]:
        return self._act(request, self.bench.reporting.clear, model, topic="report", fields=True)

    def _on_edit(self, model: str, event: gr.EventData, request: gr.Request) -> list[Any]:
        sent = data(event)
        number, sentences = sent.get("number"), sent.get("sentences")
        return self._act(
            request,
            lambda session: self.bench.reporting.review(session, sentences, number),
            model,
        )

    def _on_context(self, indication: str, history: str, model: str, request: gr.Request) -> list[Any]:
        return self._act(
            request, lambda session: self.bench.reporting.set_context(session, text(indication), text(history)), model
        )

    def _on_sign(
        self, sentences: str, name: str, indication: str, history: str, model: str, request: gr.Request
    ) -> list[Any]:
        def sign(session: Session) -> None:
            self.bench.reporting.set_context(session, text(indication), text(history))
            self.bench.reporting.sign(session, text(name), posted(sentences))

        return self._act(request, sign, model, topic="report")

    def _on_export(self, sentences: str, indication: str, history: str, model: str, request: gr.Request) -> list[Any]:
        def export(session: Session) -> None:
            self.bench.reporting.set_context(session, text(indication), text(history))
            self.bench.reporting.export(session, posted(sentences))

        return self._act(request, export, model, topic="report")

    def _on_model(self, model: str, request: gr.Request) -> list[Any]:
        return self._act(request, lambda session: None, model)


def posted(sentences: object) -> list[Any] | None:
    """The sentences that ``with_sentences`` has put in; None where the browser gave none."""
    try:
        found = json.loads(text(sentences) or "null")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def build(bench: Workbench) -> Desk:
    """The reading page inside the open Blocks context."""
    return Desk(bench)
