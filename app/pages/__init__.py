"""The page: widgets, and one service method per event. No rule of the trade lives here.

``mount`` hangs the page onto a FastAPI application. Nothing of a patient is in the page as served; it comes with the
first event of a session.
"""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from fastapi import FastAPI

from app.pages import shell
from app.services import Workbench
from app.theme import theme

STYLES = Path(__file__).resolve().parent.parent / "web" / "page.css"
HEAD = '<meta name="color-scheme" content="dark">'


def mount(app: FastAPI, bench: Workbench, path: str) -> dict[int, int]:
    """Build the page over ``bench`` and mount it at ``path`` (beginning with a slash).

    Returns how many values each event takes, by its number.
    """
    page = shell.build(bench)
    gr.mount_gradio_app(
        app,
        page,
        path=path,
        footer_links=[],
        run_history=False,
        show_error=False,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        allowed_paths=[],
        blocked_paths=["/"],
        max_file_size=1,
        theme=theme(),
        css_paths=[STYLES],
        head=HEAD,
    )
    return {number: len(event.inputs) for number, event in page.fns.items()}
