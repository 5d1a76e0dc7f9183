"""What is said and asked about a CT phantom's slice, in English and Chinese.

Captions say what those of MedTrinity-25M say: modality, organs, what is abnormal, its place and its size. The same
slice has the same words again; slices differ in which of several phrases they get. Questions are closed (yes or no, or
a choice that is offered) or open, and named by what they ask for. Knows words, not pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.datasets.ct_phantoms.sampling import PLACES, Lesion, Level, Organ, Slice
from engine.datasets.libra import FINDINGS, IN_CHINESE

Language = Literal["en", "zh"]
LANGUAGES: dict[str, tuple[Language, ...]] = {"en": ("en",), "zh": ("zh",), "en+zh": ("en", "zh")}
"""The choice of languages to those it stands for."""

INSTRUCTIONS: dict[Language, tuple[str, ...]] = {
    "en": (
        FINDINGS,
        "Describe this image.",
        "Describe this CT slice: what is seen, and where anything abnormal lies.",
        "What does this image show? Name the organs and any lesion with its place and size.",
    ),
    "zh": (
        f"{FINDINGS}\n{IN_CHINESE}",
        "请描述这幅图像。",
        "请描述这幅CT图像：可见哪些结构，异常位于何处？",
        "这幅图像显示了什么？请指出器官以及病灶的位置和大小。",
    ),
}

CLOSED, OPEN = "CLOSED", "OPEN"

_REGION: dict[Language, dict[Level, str]] = {
    "en": {"chest": "chest", "liver": "upper abdomen", "kidneys": "abdomen at the level of the kidneys"},
    "zh": {"chest": "胸部", "liver": "上腹部", "kidneys": "肾脏层面腹部"},
}
_WINDOW: dict[Language, dict[Level, str]] = {
    "en": {"chest": "lung window", "liver": "soft-tissue window", "kidneys": "soft-tissue window"},
    "zh": {"chest": "肺窗", "liver": "软组织窗", "kidneys": "软组织窗"},
}
_SEEN: dict[Language, dict[Level, tuple[str, ...]]] = {
    "en": {
        "chest": ("lungs", "heart", "aorta", "spine"),
        "liver": ("liver", "spleen", "stomach", "aorta", "spine"),
        "kidneys": ("kidneys", "liver", "bowel", "aorta", "spine"),
    },
    "zh": {
        "chest": ("双肺", "心脏", "主动脉", "脊柱"),
        "liver": ("肝脏", "脾脏", "胃", "主动脉", "脊柱"),
        "kidneys": ("双肾", "肝脏", "肠管", "主动脉", "脊柱"),
    },
}
_ORGAN: dict[Language, dict[Organ, str]] = {
    "en": {"lung": "lung", "liver": "liver", "kidney": "kidney", "spleen": "spleen"},
    "zh": {"lung": "肺", "liver": "肝脏", "kidney": "肾", "spleen": "脾脏"},
}
_ORGANS: dict[Language, dict[Organ, str]] = {
    "en": {"lung": "lungs", "liver": "liver", "kidney": "kidneys", "spleen": "spleen"},
    "zh": {"lung": "肺", "liver": "肝脏", "kidney": "肾脏", "spleen": "脾脏"},
}
_BAND: dict[Language, dict[str, str]] = {
    "en": {"small": "small", "medium": "medium-sized", "large": "large"},
    "zh": {"small": "小", "medium": "中等大小", "large": "大"},
}
_SIDE: dict[Language, dict[str, str]] = {"en": {"right": "right", "left": "left"}, "zh": {"right": "右", "left": "左"}}


@dataclass(frozen=True)
class Asked:
    """A question with its answer. ``kind`` names what it asks for, ``form`` is `CLOSED` or `OPEN`."""

    kind: str
    form: str
    question: str
    answer: str


def instruction(one: Slice, language: Language) -> str:
    """What is asked for the caption of a slice."""
    return INSTRUCTIONS[language][_rng(one, 21).integers(len(INSTRUCTIONS[language]))]


def caption(one: Slice, language: Language) -> str:
    """Modality, region, window, organs, and the lesion or that there is none."""
    rng = _rng(one, 22)
    place, other, third = (int(rng.integers(2)) for _ in range(3))
    region, window = _REGION[language][one.level], _WINDOW[language][one.level]
    seen = listed(_SEEN[language][one.level], language)
    if language == "en":
        opening = (f"Axial CT of the {region}, shown in a {window}.", f"This is an axial CT slice of the {region} in a "
                   f"{window}.")[place]  # fmt: skip
        organs = (f"The {seen} are seen.", f"It shows the {seen}.")[other]
        return f"{opening} {organs} {_finding_en(one.lesion, third)}"
    opening = (f"{region}横断面CT图像，{window}显示。", f"这是一幅{region}CT横断面图像（{window}）。")[place]
    organs = (f"可见{seen}。", f"图中显示{seen}。")[other]
    return f"{opening}{organs}{_finding_zh(one.lesion, third)}"


def questions(one: Slice, language: Language) -> tuple[Asked, ...]:
    """All that is asked about a slice; what a lesion is like only where there is one."""
    rng = _rng(one, 23)
    lesion = one.lesion
    organs = tuple(dict.fromkeys(organ for organ, _ in PLACES[one.level]))
    # Yes and no come about equally often: of the organs at this level, mostly the one with the lesion is asked for.
    asked = lesion.organ if lesion is not None and rng.random() < 0.7 else organs[rng.integers(len(organs))]
    there = lesion is not None and lesion.organ == asked
    made = _en(one, lesion, asked, there) if language == "en" else _zh(one, lesion, asked, there)
    return tuple(made)


def listed(names: tuple[str, ...], language: Language) -> str:
    """Names as a list in a sentence."""
    if language == "zh":
        return "、".join(names[:-1]) + "和" + names[-1]
    return ", ".join(names[:-1]) + " and " + names[-1]


def where(lesion: Lesion, language: Language) -> str:
    """Organ and side: "right lobe of the liver"."""
    organ, side = _ORGAN[language][lesion.organ], _SIDE[language].get(lesion.side, "")
    if language == "zh":
        return {"lung": f"{side}肺", "liver": f"肝{side}叶", "kidney": f"{side}肾", "spleen": organ}[lesion.organ]
    if lesion.organ == "liver":
        return f"{side} lobe of the liver"
    return f"{side} {organ}".strip()


def _what(lesion: Lesion, language: Language) -> str:
    if language == "zh":
        return {"lung": "结节", "low": "低密度病灶", "high": "高密度病灶"}[_look(lesion)]
    return {"lung": "nodule", "low": "low-density lesion", "high": "high-density lesion"}[_look(lesion)]


def _look(lesion: Lesion) -> str:
    return "lung" if lesion.organ == "lung" else lesion.density


def _finding_en(lesion: Lesion | None, phrase: int) -> str:
    if lesion is None:
        return ("No lesion is seen.", "There is no focal abnormality.")[phrase]
    band, what = _BAND["en"][lesion.band], _what(lesion, "en")
    place, size = where(lesion, "en"), f"{lesion.diameter:.0f} mm"
    return (
        f"There is a {band}, round {what} in the {place}, about {size} across.",
        f"A round {what} lies in the {place}; it is {band} and measures about {size}.",
    )[phrase]


def _finding_zh(lesion: Lesion | None, phrase: int) -> str:
    if lesion is None:
        return ("未见病灶。", "未见局灶性异常。")[phrase]
    band, what, place = _BAND["zh"][lesion.band], _what(lesion, "zh"), where(lesion, "zh")
    return (
        f"{place}内见一{band}的圆形{what}，直径约{lesion.diameter:.0f}毫米。",
        f"{place}可见圆形{what}，{band}，直径约{lesion.diameter:.0f}毫米。",
    )[phrase]


def _en(one: Slice, lesion: Lesion | None, asked: Organ, there: bool) -> list[Asked]:
    organs = _ORGANS["en"][asked]
    made = [
        Asked("modality", OPEN, "What imaging modality is this?", "CT"),
        Asked("region", CLOSED, "Is this slice of the chest or of the abdomen?",
              "chest" if one.level == "chest" else "abdomen"),
        Asked("organs", OPEN, "Which organs are seen?", listed(_SEEN["en"][one.level], "en")),
        Asked("presence", CLOSED, "Is there a lesion in this image?", "yes" if lesion else "no"),
        Asked("presence", CLOSED, f"Is there a lesion in the {organs}?", "yes" if there else "no"),
    ]  # fmt: skip
    if lesion is None:
        return made
    made.append(Asked("position", OPEN, "Where is the lesion?", where(lesion, "en")))
    if lesion.side:
        made.append(Asked("side", CLOSED, "Is the lesion on the right or on the left?", lesion.side))
    made.append(Asked("size", OPEN, "How large is the lesion?", f"{lesion.diameter:.0f} mm"))
    if lesion.organ != "lung":
        question = "Is the lesion of low or of high density?"
        made.append(Asked("density", CLOSED, question, lesion.density))
    return made


def _zh(one: Slice, lesion: Lesion | None, asked: Organ, there: bool) -> list[Asked]:
    organs = _ORGANS["zh"][asked]
    made = [
        Asked("modality", OPEN, "这是什么成像方式？", "CT"),
        Asked("region", CLOSED, "这是胸部还是腹部的图像？", "胸部" if one.level == "chest" else "腹部"),
        Asked("organs", OPEN, "图中可见哪些器官？", listed(_SEEN["zh"][one.level], "zh")),
        Asked("presence", CLOSED, "图像中有病灶吗？", "有" if lesion else "无"),
        Asked("presence", CLOSED, f"{organs}内有病灶吗？", "有" if there else "无"),
    ]
    if lesion is None:
        return made
    made.append(Asked("position", OPEN, "病灶位于哪里？", where(lesion, "zh")))
    if lesion.side:
        made.append(Asked("side", CLOSED, "病灶位于右侧还是左侧？", f"{_SIDE['zh'][lesion.side]}侧"))
    made.append(Asked("size", OPEN, "病灶有多大？", f"{lesion.diameter:.0f}毫米"))
    if lesion.organ != "lung":
        made.append(
            Asked("density", CLOSED, "病灶是低密度还是高密度？", {"low": "低密度", "high": "高密度"}[lesion.density])
        )
    return made


def _rng(one: Slice, what: int) -> np.random.Generator:
    return np.random.default_rng([one.seed, what])
