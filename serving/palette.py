"""Colours and fonts of both faces: a dim reading room, system fonts, one accent; nothing is fetched from anywhere."""

FONT = ("system-ui", "Segoe UI", "Noto Sans", "Liberation Sans", "Arial", "sans-serif")
MONO = ("ui-monospace", "Consolas", "Liberation Mono", "monospace")

GROUND, RAISED, FIELD, LINE = "#121517", "#1b1f23", "#0d1012", "#343b42"
TEXT, DIM, ACCENT, ON_ACCENT = "#d3d9de", "#98a3ad", "#4cc2b0", "#06231f"
