"""The look of Streamlit's widgets, in the palette of both faces; nothing is fetched from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.palette import ACCENT, DIM, FIELD, FONT, GROUND, LINE, MONO, RAISED, TEXT

WARNING, DANGER, PRIOR, CURRENT = "#f0c04a", "#ff8d7e", "#86bdff", "#ffc06a"

SETTINGS: Mapping[str, Any] = {
    "theme.base": "dark",
    "theme.primaryColor": ACCENT,
    "theme.backgroundColor": GROUND,
    "theme.secondaryBackgroundColor": RAISED,
    "theme.textColor": TEXT,
    "theme.linkColor": ACCENT,
    "theme.borderColor": LINE,
    "theme.dataframeBorderColor": LINE,
    "theme.dataframeHeaderBackgroundColor": RAISED,
    "theme.codeBackgroundColor": FIELD,
    "theme.codeTextColor": TEXT,
    "theme.redColor": DANGER,
    "theme.orangeColor": CURRENT,
    "theme.yellowColor": WARNING,
    "theme.blueColor": PRIOR,
    "theme.greenColor": ACCENT,
    "theme.grayColor": DIM,
    "theme.showWidgetBorder": True,
    "theme.showSidebarBorder": True,
    "theme.baseRadius": "4px",
    "theme.buttonRadius": "4px",
    "theme.font": ", ".join(FONT),
    "theme.headingFont": ", ".join(FONT),
    "theme.codeFont": ", ".join(MONO),
    "theme.baseFontSize": 15,
    "theme.codeFontSize": "0.8rem",
    "theme.headingFontSizes": ["1.6rem", "1.25rem", "1.05rem"],
    "theme.headingFontWeights": [600, 600, 600],
    "theme.metricValueFontSize": "1.5rem",
    "theme.chartCategoricalColors": [ACCENT, CURRENT, PRIOR, DANGER, WARNING, DIM],
    "theme.sidebar.backgroundColor": FIELD,
    "theme.sidebar.secondaryBackgroundColor": RAISED,
}
