"""Both tabs in one frame, with the research line under everything."""

from __future__ import annotations

import gradio as gr

from app.pages import compare, history
from app.services import Workbench
from engine.reports import labels


def build(bench: Workbench) -> gr.Blocks:
    """The whole page."""
    page: gr.Blocks
    with gr.Blocks(title="Interval", analytics_enabled=False, fill_width=True, delete_cache=(600, 600)) as page:
        with gr.Tabs(selected="read", elem_id="ivp-tabs") as tabs:
            with gr.Tab("Read", id="read"):
                desk = compare.build(bench)
            with gr.Tab("History", id="history"):
                history.build(bench, tabs, desk)
        gr.HTML(html_template=f"<p>{labels.RESEARCH_LINE}</p>", elem_id="ivp-research", js_on_load=None)
        desk.on_load(page)
    page.queue(default_concurrency_limit=4, max_size=64, api_open=False)
    return page
