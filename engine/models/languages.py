"""Which languages a model writes its reports in: what its interval.json says, else what its family has been taught.

Qwen2-VL's own training was English and Chinese. Libra's models and LLaVA-1.5 were taught to write in English alone; one
that was trained on reports in another language says so (``languages`` in interval.json). Needs no torch: screens ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from engine.models.record import ENGLISH, Record

TAUGHT: Mapping[str, tuple[str, ...]] = {"qwen2-vl": ("en", "zh")}
"""Family -> languages, for those that were taught more than English."""

FAMILIES: Mapping[str, str] = {"qwen2_vl": "qwen2-vl", "qwen2_5_vl": "qwen2-vl"}
"""``model_type`` in a configuration, or name of the conversation template -> family in TAUGHT."""


def of(record: Record, family: str) -> tuple[str, ...]:
    """The languages of a model, as BCP 47 tags; at least one."""
    return record.languages or TAUGHT.get(family, ENGLISH)


def writes(languages: Iterable[str], language: str) -> bool:
    """Whether a model of these languages can write a report in ``language``: "en", "zh", or "en+zh" for both.

    A tag with a script or a region ("zh-Hans", "en-GB") is one of its language.
    """
    known = {tag.split("-")[0].lower() for tag in languages}
    return known.issuperset(language.split("+"))
