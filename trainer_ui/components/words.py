"""Text that comes from files, commands and models, made fit for Streamlit, which reads Markdown nearly everywhere."""

from __future__ import annotations

import re

_SIGNS = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:&])")


def literal(text: str) -> str:
    """Markdown that shows ``text`` as it is, in one paragraph: no links, no pictures, no formulas, no colours."""
    return _SIGNS.sub(r"\\\1", " ".join(text.split()))
