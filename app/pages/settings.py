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
    """The widgets; ``inputs`` in the order in which the events take them."""

    model: gr.Dropdown
    inputs: list[Any]


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
            top_p = gr.Number(None, label="Top-p", minimum=0, maximum=1, step=0.05, min_width=80, placeholder="off")
            seed = gr.Number(None, label="Seed", precision=0, min_width=80, placeholder="none")
        with gr.Row():
            penalty = gr.Number(None, label="Length penalty", step=0.1, min_width=80, placeholder="default")
            ngram = gr.Number(
                None, label="No repeated n-gram", minimum=0, precision=0, min_width=80, placeholder="default"
            )
    return Settings(model, [section, prompt, beams, longest, temperature, top_p, seed, penalty, ngram])


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
    chosen_seed, chosen_ngram = number(seed), number(ngram)
    return DecodingChoice(
        num_beams=int(number(beams) or 1),
        max_new_tokens=int(number(longest) or DecodingChoice.max_new_tokens),
        temperature=number(temperature) or 0.0,
        top_p=number(top_p),
        seed=int(chosen_seed) if chosen_seed is not None else None,
        length_penalty=number(length_penalty),
        no_repeat_ngram=int(chosen_ngram) if chosen_ngram is not None else None,
    )


def number(value: object) -> float | None:
    """A finite number, or None for an empty field."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
