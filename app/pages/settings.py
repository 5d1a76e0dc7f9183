"""Settings, closed by default: model, section, prompt and decoding, with defaults that need no touching."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.services import Workbench
from app.services.jobs import DecodingChoice

LONGEST = 512


@dataclass(frozen=True)
class Settings:
    """The widgets; ``inputs`` in the order in which the events take them, ``choosing`` those of them for the words."""

    model: gr.Dropdown
    inputs: list[Any]

    @property
    def choosing(self) -> list[Any]:
        """The inputs without section and prompt."""
        return self.inputs[2:]


def build(bench: Workbench) -> Settings:
    """The accordion inside the open Blocks context."""
    choices = [(choice.label, choice.path) for choice in bench.models.choices()]
    with gr.Accordion("Settings", open=False, elem_id="ivp-settings"):
        model = gr.Dropdown(choices, value=bench.models.default() or None, label="Model", elem_id="ivp-model")
        section = gr.Radio([("Findings", "findings"), ("Impression", "impression")], value="findings", label="Section")
        prompt = gr.Textbox(label="Prompt", placeholder="The model's own", lines=2, max_length=2000)
        with gr.Row():
            beams = gr.Number(1, label="Beams", minimum=1, maximum=8, precision=0, min_width=80)
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
    return Settings(model, [section, prompt, beams, longest, temperature, top_p, seed, penalty, ngram])


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
    """The widgets' values, in the order of ``Settings.inputs`` after section and prompt; empty is a default."""
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
