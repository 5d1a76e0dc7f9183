"""Settings, closed by default: model, precision, section, language, prompt and decoding; defaults serve as they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.pages.modules import module
from app.services import Workbench, servers
from app.services.chosen import AUTOMATIC, PRECISIONS, Chosen
from app.services.described import described
from app.services.installed import ModelChoice
from app.services.jobs import DecodingChoice
from app.services.plans import LONGEST, MOST_BEAMS
from app.services.views import to_json
from engine.reports.language import BILINGUAL, ENGLISH, LANGUAGES

PLAN = """
  const { mountLines } = await import('/web/reporthead.mjs');
  const lines = mountLines(host);
  const show = (view) => lines.update(view);"""

ABOUT = """
  const { mountModelCard } = await import('/web/modelcard.mjs');
  const card = mountModelCard(host);
  const show = (view) => card.update(view);"""


@dataclass(frozen=True)
class Settings:
    """The widgets; ``inputs`` in the order in which the events take them, ``choosing`` those of them for the words.

    ``about`` shows what is known of the chosen model, ``plan`` the memory that a draft takes with it; ``opened`` is
    what is opened to see them.
    """

    opened: gr.Accordion
    model: gr.Dropdown
    about: gr.HTML
    language: gr.Radio
    precision: gr.Dropdown
    plan: gr.HTML
    beams: gr.Number
    inputs: list[Any]

    @property
    def chosen(self) -> list[Any]:
        """What ``chosen`` takes: the model and its precision."""
        return [self.model, self.precision]

    @property
    def choosing(self) -> list[Any]:
        """The inputs without section, language and prompt."""
        return self.inputs[3:]


def build(bench: Workbench) -> Settings:
    """The accordion inside the open Blocks context."""
    offered = bench.models.offered(Chosen())
    with gr.Accordion("Settings", open=False, elem_id="ivp-settings") as opened:
        model = gr.Dropdown(listed(offered.choices), value=offered.path or None, label="Model", elem_id="ivp-model")
        about = module(ABOUT, card(offered.path), "ivp-about")
        precision = gr.Dropdown(
            [(words, name) for name, words in PRECISIONS.items()],
            value=AUTOMATIC,
            label="Precision",
            filterable=False,
            elem_id="ivp-precision",
        )
        plan = module(PLAN, "[]", "ivp-plan")
        section = gr.Radio([("Findings", "findings"), ("Impression", "impression")], value="findings", label="Section")
        language = gr.Radio(label="Language of the report", elem_id="ivp-language", **writes(offered.path))
        prompt = gr.Textbox(label="Prompt", placeholder="The model's own", lines=2, max_length=2000)
        with gr.Row():
            beams = gr.Number(
                1, label="Beams", minimum=1, maximum=MOST_BEAMS, precision=0, min_width=80, elem_id="ivp-beams"
            )
            longest = gr.Number(
                DecodingChoice.max_new_tokens,
                label="Longest draft (tokens)",
                minimum=1,
                maximum=LONGEST,
                precision=0,
                min_width=80,
            )
            temperature = gr.Number(0.0, label="Temperature", minimum=0, maximum=2, step=0.1, min_width=80)
        with gr.Row():
            top_p = _optional("Top-p", "off")
            seed = _optional("Seed", "none")
        with gr.Row():
            penalty = _optional("Length penalty", "default")
            ngram = _optional("No repeated n-gram", "default")
    inputs = [section, language, prompt, beams, longest, temperature, top_p, seed, penalty, ngram]
    return Settings(opened, model, about, language, precision, plan, beams, inputs)


def listed(choices: Sequence[ModelChoice]) -> list[tuple[str, str]]:
    """The models as a widget takes them."""
    return [(choice.label, choice.path) for choice in choices]


def card(path: str) -> str:
    """What is known of a model, as the browser module takes it."""
    view = described(path)
    return to_json(view) if view is not None else "null"


def writes(path: str, wanted: str = ENGLISH) -> dict[str, Any]:
    """The choice of a report's language as a model has it: what it does not write cannot be chosen, and why is said.

    Args:
        wanted: what is chosen now; the model's first language takes the place of one that it does not write.
    """
    known = servers.written(path) if path else (ENGLISH,)
    spoken = " and ".join(LANGUAGES[one] for one in known if one != BILINGUAL) or "another language"
    alone = len(known) < len(LANGUAGES)
    return {
        "choices": [(words, name) for name, words in LANGUAGES.items() if name in known or len(known) < 2],
        "value": wanted if wanted in known else known[0] if known else ENGLISH,
        "interactive": len(known) > 1,
        "info": f"{servers.name(path) or 'The model'} writes {spoken} only." if alone and path else "",
    }


def _optional(label: str, placeholder: str) -> gr.Textbox:
    """A number that may be left out. No ``gr.Number``: one without a value becomes 0 as soon as it is shown."""
    return gr.Textbox("", label=label, placeholder=placeholder, max_lines=1, max_length=20, min_width=80)


def decoding(
    beams: object,
    longest: object,
    temperature: object,
    top_p: object,
    seed: object,
    length_penalty: object,
    ngram: object,
) -> DecodingChoice:
    """The widgets' values, in the order of ``Settings.choosing``; empty is a default."""
    return DecodingChoice(
        num_beams=int(number(beams) or 1),
        max_new_tokens=int(number(longest) or DecodingChoice.max_new_tokens),
        temperature=number(temperature) or 0.0,
        top_p=number(top_p),
        seed=whole(seed),
        length_penalty=number(length_penalty),
        no_repeat_ngram=whole(ngram),
    )


def number(value: object) -> float | None:
    """A number, or None for an empty field; NaN, which every setting refuses in a sentence, for anything else."""
    if isinstance(value, str):
        words = value.strip().replace(",", ".")
        if not words:
            return None
        try:
            value = float(words)
        except ValueError:
            return math.nan
        return value if math.isfinite(value) else math.nan
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def whole(value: object) -> int | None:
    """The same as an integer; -1 is refused as NaN is."""
    found = number(value)
    return None if found is None else int(found) if found.is_integer() else -1
