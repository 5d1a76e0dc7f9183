"""The look of Gradio's own widgets, in the palette of both faces; nothing is fetched from anywhere."""

from __future__ import annotations

from typing import Any

import gradio as gr

from serving.palette import ACCENT, DIM, FIELD, FONT, GROUND, LINE, MONO, ON_ACCENT, RAISED, TEXT

COLOURS = {
    "body_background_fill": GROUND,
    "body_text_color": TEXT,
    "body_text_color_subdued": DIM,
    "background_fill_primary": GROUND,
    "background_fill_secondary": RAISED,
    "block_background_fill": GROUND,
    "block_border_color": LINE,
    "block_label_background_fill": GROUND,
    "block_label_text_color": DIM,
    "block_title_text_color": DIM,
    "block_info_text_color": DIM,
    "border_color_primary": LINE,
    "border_color_accent": ACCENT,
    "color_accent_soft": "#17302d",
    "input_background_fill": FIELD,
    "input_background_fill_focus": FIELD,
    "input_border_color": LINE,
    "input_border_color_focus": ACCENT,
    "input_placeholder_color": "#78838d",
    "panel_background_fill": GROUND,
    "button_primary_background_fill": ACCENT,
    "button_primary_background_fill_hover": "#62d3c2",
    "button_primary_text_color": ON_ACCENT,
    "button_primary_border_color": ACCENT,
    "button_secondary_background_fill": RAISED,
    "button_secondary_background_fill_hover": "#2a3036",
    "button_secondary_text_color": TEXT,
    "button_secondary_border_color": LINE,
    "button_cancel_background_fill": "#4a2327",
    "button_cancel_background_fill_hover": "#632c31",
    "button_cancel_text_color": "#ffdcd8",
    "button_cancel_border_color": "#7d3a40",
    "checkbox_background_color": FIELD,
    "checkbox_background_color_selected": ACCENT,
    "checkbox_border_color": LINE,
    "checkbox_border_color_selected": ACCENT,
    "checkbox_label_background_fill": RAISED,
    "checkbox_label_background_fill_selected": "#17302d",
    "checkbox_label_text_color": TEXT,
    "slider_color": ACCENT,
    "link_text_color": ACCENT,
    "table_even_background_fill": GROUND,
    "table_odd_background_fill": GROUND,
    "table_text_color": TEXT,
    "accordion_text_color": DIM,
}


def theme() -> gr.themes.Base:
    """Gradio's base theme in these colours, the same whether the system is set to light or dark."""
    settings: dict[str, Any] = dict(COLOURS)
    settings |= {f"{name}_dark": value for name, value in COLOURS.items()}
    settings |= {
        "block_padding": "0px",
        "block_border_width": "0px",
        "block_border_width_dark": "0px",
        "block_shadow": "none",
        "block_shadow_dark": "none",
        "input_padding": "6px 8px",
        "input_radius": "4px",
        "button_large_padding": "7px 12px",
        "button_small_padding": "4px 8px",
        "button_large_text_size": "13.5px",
        "button_large_text_weight": "600",
        "button_large_radius": "4px",
        "button_small_radius": "4px",
        "layout_gap": "8px",
        "form_gap_width": "8px",
        "block_title_text_size": "12px",
        "block_info_text_size": "12px",
        "block_label_text_size": "12px",
    }
    return gr.themes.Base(font=FONT, font_mono=MONO, text_size="sm", spacing_size="sm", radius_size="sm").set(
        **settings
    )
