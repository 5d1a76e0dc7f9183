"""The reading page: the top bar, two panes, and the report column.

``Desk`` holds the widgets and joins each event to one method of the services. A screen goes out as one value, to a host
that shows nothing itself: the browser takes it only if it is newer than what is shown, and hands it on to the modules
and to Gradio's widgets (``web/screen.mjs``). The text fields are only set when another sheet comes onto the screen, so
that nothing is taken away from under the reader's hands.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from app.pages import servers, settings
from app.pages.choosing import Choosing
from app.pages.modules import data, module, part, text
from app.pages.painting import paint
from app.services import Workbench
from app.services.chosen import Chosen, chosen
from app.services.jobs import DecodingChoice
from app.services.review import posted
from app.services.sessions import turn_to
from app.services.state import Session

CASE_BAR = """
  const { mountCaseBar } = await import('/web/casebar.mjs');
  const onAction = (detail) => trigger(detail.action === 'answer' ? 'select' : 'submit', detail);
  const bar = mountCaseBar(host, { onAction });
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

# Changes are numbered: a list that does not know the newest change on its sheet yet is not shown, so that a sentence
# just accepted never flickers back.
EDITOR = """
  const { mountSentences } = await import('/static/sentences.mjs');
  let number = 0, sheet = 0, awaited = 0, title = '', editor = null;
  const mountAs = (words) => {
    title = words;
    host.replaceChildren();
    editor = mountSentences(host, {
      title,
      onChange: (sentences) => { awaited = ++number; trigger('input', { sheet, number, sentences }); },
      onStop: () => trigger('stop', {}),
    });
  };
  const show = (state) => {
    if (state.sheet !== sheet) { sheet = state.sheet; awaited = 0; }
    if (state.mode === 'edit' && state.number < awaited) return;
    number = Math.max(number, state.number);
    if (state.title !== title) mountAs(state.title);
    editor.update(state);
  };
  window.intervalSentences = () => { const sentences = editor.commit(); return { sheet, number, sentences }; };"""

ASK = """
  const { mountAsk } = await import('/web/ask.mjs');
  const { sheet } = await import('/web/screen.mjs');
  const ask = mountAsk(host, {
    column: document.querySelector('#ivp-report'),
    onAsk: (sent) => trigger('submit', { sheet: sheet(), ...sent }),
    onStop: (sent) => trigger('stop', sent),
    onInsert: (sent) => trigger('select', sent),
    onFollow: () => trigger('play', {}),
  });
  const show = (view) => ask.update(view);"""

SCREEN = """
  const { receive } = await import('/web/screen.mjs');
  const show = (screen) => { if (receive(screen)) trigger('apply', {}); };"""

UPDATES = "async () => (await import('/web/screen.mjs')).updates()"


def with_sentences(inputs: int) -> str:
    """A script that closes an open edit and sends the list as it stands as the first of ``inputs`` values.

    Gradio hands the values of inputs and outputs to the script and takes as many back as there are inputs.
    """
    return f"(...given) => [JSON.stringify(window.intervalSentences?.() ?? null), ...given.slice(1, {inputs})]"


def with_sheet(inputs: int) -> str:
    """A script that sends the number of the sheet on which something is done as the first of ``inputs`` values."""
    return f"""async (...given) => {{
  const {{ sheet }} = await import('/web/screen.mjs');
  return [String(sheet()), ...given.slice(1, {inputs})];
}}"""


class Desk:
    """The widgets of the reading page."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.screen = module(SCREEN, paint(bench.screen("")), "ivp-screen")
        self.case = part(CASE_BAR, "case", "ivp-case")
        with gr.Row(elem_id="ivp-desk"):
            self.panes = part(PANES, "panes", "ivp-panes")
            with gr.Column(elem_id="ivp-report"):
                with gr.Row(elem_id="ivp-context"):
                    self.indication = gr.Textbox(label="Indication", lines=1, max_lines=3, max_length=2000)
                    self.history = gr.Textbox(label="History", lines=1, max_lines=3, max_length=2000)
                self.ask = part(ASK, "ask", "ivp-ask")
                with gr.Row(elem_id="ivp-actions"):
                    self.draft = gr.Button("Draft", variant="primary", interactive=False, elem_id="ivp-draft")
                    self.fresh = gr.Button("New report on these images", visible=False, elem_id="ivp-fresh")
                    self.stop = gr.Button("Stop", variant="stop", visible=False, elem_id="ivp-stop")
                self.lines = part(LINES, "lines", "ivp-lines")
                self.editor = part(EDITOR, "editor", "ivp-editor")
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
                    self.files = part(EXPORTS, "files", "ivp-files")
                self.settings = settings.build(bench)
                with self.settings.opened:
                    servers.build(bench, self.settings.model)
        # Filled by scripts in the browser: see ``with_sentences``, ``with_sheet`` and ``on_load``.
        self.sentences = gr.Textbox(visible=False)
        self.sheet = gr.Textbox(visible=False)
        self.before = gr.Textbox(visible=False)
        self._join()

    # -- events ---------------------------------------------------------------------------------------------------

    def _join(self) -> None:
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        every: dict[str, Any] = {**quiet, "outputs": self.screen, "trigger_mode": "multiple"}
        # One at a time and in order: a list of sentences replaces the one before, and a report must not be signed or
        # left before what was done to it earlier. No press is dropped because an earlier one is still on its way.
        self.in_order: dict[str, Any] = {**every, "concurrency_id": "page", "concurrency_limit": 1}
        model = self.settings.chosen
        self.choosing = Choosing(self.bench, self.settings, self.screen, self._act)
        self.case.submit(self._on_case, model, **self.in_order)
        drafting = [self.sheet, *model, self.indication, self.history, *self.settings.inputs]
        for asked in (
            self.case.select(self._on_answer, drafting, js=with_sheet(len(drafting)), **self.in_order),
            self.draft.click(self._on_draft, drafting, js=with_sheet(len(drafting)), **self.in_order),
        ):
            asked.then(self._on_drafting, model, concurrency_limit=16, **every)
            self.choosing.after(asked)
        self.fresh.click(self._on_fresh, model, **self.in_order)
        for stop in (self.stop.click, self.editor.stop):
            stop(self._on_stop, None, None, concurrency_limit=None, **quiet)
        self.editor.input(self._on_edit, model, **self.in_order)
        context = [self.sheet, self.indication, self.history, *model]
        for field in (self.indication, self.history):
            field.blur(self._on_context, context, js=with_sheet(len(context)), **self.in_order)
        signing = [self.sentences, self.name, self.indication, self.history, *model]
        for sign in (self.sign.click, self.name.submit):
            sign(self._on_sign, signing, js=with_sentences(len(signing)), **self.in_order)
        exporting = [self.sentences, self.indication, self.history, *model]
        self.export.click(self._on_export, exporting, js=with_sentences(len(exporting)), **self.in_order)
        asking = [*model, *self.settings.choosing]
        self.choosing.after(self.ask.submit(self._on_ask, asking, **self.in_order))
        # The page asks for it itself as soon as it shows an answer that is being written, after a reload as well.
        self.ask.play(self._on_following, model, concurrency_limit=16, **every)
        self.ask.stop(self._on_stop_answer, None, None, concurrency_limit=None, **quiet)
        inserting = [self.sentences, self.indication, self.history, *model]
        self.ask.select(self._on_insert, inserting, js=with_sentences(len(inserting)), **self.in_order)
        for widget in model:
            widget.change(self._on_model, model, **self.in_order)
        # In the order of ``painting.CONTROLS`` and ``painting.FIELDS``.
        widgets = [self.draft, self.stop, self.fresh, self.signing, self.export, self.indication, self.history]
        self.screen.apply(None, None, widgets, js=UPDATES, **quiet)

    def on_load(self, page: gr.Blocks) -> None:
        """What a tab had open before a reload comes back; a draft that is running goes on being shown."""
        page.load(
            self._on_load,
            [self.before, *self.settings.chosen],
            self.screen,
            js="(before, ...model) => [sessionStorage.getItem('interval.page') || '', ...model]",
            show_progress="hidden",
            api_visibility="private",
            concurrency_limit=16,
        )
        self.choosing.on_load(page)

    def _act(self, request: gr.Request, event: Callable[[Session], object], model: Chosen, topic: str = "") -> str:
        key = str(request.session_hash)
        return paint(self.bench.act(key, event, model, topic), key)

    def _on_load(self, before: str, model: str, precision: str, request: gr.Request) -> Iterator[str]:
        key, meant = str(request.session_hash), chosen(model, precision)
        self.bench.sessions.adopt(key, text(before))
        screen = self.bench.screen(key, meant)
        yield paint(screen, key)
        if screen.report.drafting:
            yield from self._on_drafting(model, precision, request)
        while self.bench.models.status(meant).state == "loading" and self.bench.models.settle(meant):
            yield paint(self.bench.screen(key, meant), key)

    def _on_drafting(self, model: str, precision: str, request: gr.Request) -> Iterator[str]:
        """The screens of the draft that is running, and the one after its end."""
        key = str(request.session_hash)
        for screen in self.bench.watch(key, chosen(model, precision)):
            yield paint(screen, key)

    def _on_case(self, model: str, precision: str, event: gr.EventData, request: gr.Request) -> str:
        """Everything the top bar can ask for but an answer; ``action`` says what."""
        bench, opening, sent = self.bench, self.bench.opening, data(event)
        acts: dict[str, Callable[[Session], object]] = {
            "open": lambda session: opening.open(session, text(sent.get("intake"))),
            "phantom": bench.phantom,
            "older": opening.older,
            "swap": opening.swap,
            "choose": lambda session: opening.choose(session, text(sent.get("sha256")), text(sent.get("role"))),
            "identify": lambda session: opening.identify(session, sent.get("form")),
            "dismiss": lambda session: bench.dismiss(session, text(sent.get("notice"))),
        }
        action = text(sent.get("action"))
        if action not in acts:
            return self._act(request, lambda session: None, chosen(model, precision))
        topic = "" if action == "dismiss" else "open" if action in ("open", "phantom") else "pair"
        return self._act(request, acts[action], chosen(model, precision), topic)

    def _on_answer(
        self, sheet: str, model: str, precision: str, indication: str, history: str, section: str, language: str,
        prompt: str, beams: float, longest: float, temperature: float, top_p: float, seed: float, length_penalty: float,
        ngram: float, event: gr.EventData, request: gr.Request,
    ) -> str:  # fmt: skip
        sent = data(event)
        decoding = settings.decoding(beams, longest, temperature, top_p, seed, length_penalty, ngram)
        meant = chosen(model, precision)

        def answer(session: Session) -> None:
            if self.bench.opening.answer(session, text(sent.get("question")), text(sent.get("option"))) == "draft":
                turn_to(session, "report")
                self._begin(session, sheet, meant, indication, history, section, language, prompt, decoding, sure=True)

        return self._act(request, answer, meant, "pair")

    def _on_draft(
        self, sheet: str, model: str, precision: str, indication: str, history: str, section: str, language: str,
        prompt: str, beams: float, longest: float, temperature: float, top_p: float, seed: float, length_penalty: float,
        ngram: float, request: gr.Request,
    ) -> str:  # fmt: skip
        decoding = settings.decoding(beams, longest, temperature, top_p, seed, length_penalty, ngram)
        meant = chosen(model, precision)

        def draft(session: Session) -> None:
            self._begin(session, sheet, meant, indication, history, section, language, prompt, decoding, sure=False)

        return self._act(request, draft, meant, "report")

    def _begin(
        self, session: Session, sheet: str, model: Chosen, indication: str, history: str, section: str, language: str,
        prompt: str, decoding: DecodingChoice, *, sure: bool,
    ) -> None:  # fmt: skip
        self._keep(session, parsed(sheet), indication, history)
        self.bench.reporting.draft(
            session, model, text(section), text(prompt), decoding, language=text(language), sure=sure
        )

    def _keep(self, session: Session, sheet: object, indication: str, history: str) -> None:
        """What is in the fields, if they are still those of the sheet on the screen."""
        self.bench.reporting.expect(session, sheet)
        self.bench.reporting.set_context(session, text(indication), text(history))

    def _on_stop(self, request: gr.Request) -> None:
        self.bench.act(str(request.session_hash), self.bench.reporting.stop)

    def _on_fresh(self, model: str, precision: str, request: gr.Request) -> str:
        return self._act(request, self.bench.reporting.clear, chosen(model, precision), "report")

    def _on_edit(self, model: str, precision: str, event: gr.EventData, request: gr.Request) -> str:
        def edit(session: Session) -> None:
            self.bench.reporting.review(session, posted(data(event)))

        return self._act(request, edit, chosen(model, precision))

    def _on_context(
        self, sheet: str, indication: str, history: str, model: str, precision: str, request: gr.Request
    ) -> str:
        def keep(session: Session) -> None:
            self._keep(session, parsed(sheet), indication, history)

        return self._act(request, keep, chosen(model, precision))

    def _on_sign(
        self, sentences: str, name: str, indication: str, history: str, model: str, precision: str, request: gr.Request
    ) -> str:
        def sign(session: Session) -> None:
            shown = posted(parsed(sentences))
            self._keep(session, shown.sheet, indication, history)
            self.bench.reporting.sign(session, text(name), shown)

        return self._act(request, sign, chosen(model, precision), "report")

    def _on_export(
        self, sentences: str, indication: str, history: str, model: str, precision: str, request: gr.Request
    ) -> str:
        def export(session: Session) -> None:
            shown = posted(parsed(sentences))
            self._keep(session, shown.sheet, indication, history)
            self.bench.reporting.export(session, shown)

        return self._act(request, export, chosen(model, precision), "report")

    def _on_ask(
        self, model: str, precision: str, beams: float, longest: float, temperature: float, top_p: float, seed: float,
        length_penalty: float, ngram: float, event: gr.EventData, request: gr.Request,
    ) -> str:  # fmt: skip
        sent = data(event)
        decoding = settings.decoding(beams, longest, temperature, top_p, seed, length_penalty, ngram)
        meant = chosen(model, precision)

        def ask(session: Session) -> None:
            self.bench.conversing.ask(
                session,
                self.bench.models.meant(meant),
                text(sent.get("question")),
                decoding,
                sheet=sent.get("sheet"),
                comparison=text(sent.get("comparison")),
                sent=text(sent.get("id")),
            )

        return self._act(request, ask, meant, "ask")

    def _on_following(self, model: str, precision: str, request: gr.Request) -> Iterator[str]:
        """The screens of the answer that is being written, and the one after its end."""
        key = str(request.session_hash)
        for screen in self.bench.follow(key, chosen(model, precision)):
            yield paint(screen, key)

    def _on_stop_answer(self, event: gr.EventData, request: gr.Request) -> None:
        comparison = text(data(event).get("comparison"))
        self.bench.act(str(request.session_hash), lambda session: self.bench.conversing.stop(session, comparison))

    def _on_insert(
        self, sentences: str, indication: str, history: str, model: str, precision: str, event: gr.EventData,
        request: gr.Request,
    ) -> str:  # fmt: skip
        answer = text(data(event).get("answer"))

        def insert(session: Session) -> None:
            shown = posted(parsed(sentences))
            self._keep(session, shown.sheet, indication, history)
            self.bench.reporting.insert(session, answer, shown)

        return self._act(request, insert, chosen(model, precision), "ask")

    def _on_model(self, model: str, precision: str, request: gr.Request) -> str:
        return self._act(request, lambda session: None, chosen(model, precision))


def parsed(sent: object) -> object:
    """What a script of the page has put into a field as JSON; None for anything that is not."""
    try:
        return json.loads(text(sent))
    except (ValueError, RecursionError):
        return None


def build(bench: Workbench) -> Desk:
    """The reading page inside the open Blocks context."""
    return Desk(bench)
