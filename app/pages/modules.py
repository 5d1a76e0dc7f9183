"""Python's side of the browser modules: fixed templates, values as JSON text, events as data.

A template never holds a value: a value reaches its module through ``watch`` and is set as text there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

HOST = "<div class='ivp-host'></div>"


def module(script: str, value: str, elem_id: str) -> gr.HTML:
    """A host element that ``script`` fills; ``script`` defines ``show(value)`` from the parsed value."""
    return _host(
        f"""{script}
  const go = () => show(JSON.parse(props.value));
  watch('value', go);
  go();""",
        value,
        elem_id,
    )


def part(script: str, name: str, elem_id: str) -> gr.HTML:
    """A host element as ``module`` makes it, whose values are the part ``name`` of the screens that are shown."""
    return _host(
        f"""{script}
  const {{ onPart }} = await import('/web/screen.mjs');
  onPart('{name}', show);""",
        "",
        elem_id,
    )


def _host(script: str, value: str, elem_id: str) -> gr.HTML:
    code = f"""(async () => {{
  const host = element.querySelector('.ivp-host');
  {script}
}})()"""
    return gr.HTML(
        value=value, html_template=HOST, js_on_load=code, elem_id=elem_id, padding=False, apply_default_css=False
    )


def data(event: gr.EventData) -> Mapping[str, Any]:
    """What the browser sent with an event; an empty mapping for anything that is not an object."""
    sent = getattr(event, "_data", None)
    return sent if isinstance(sent, dict) else {}


def text(value: object) -> str:
    """A value of the browser as text; anything else counts as nothing."""
    return value if isinstance(value, str) else ""
