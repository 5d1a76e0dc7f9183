"""Sentences: where they end, and that nothing is ever lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.reports.sentences import spans, split


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("   \n ", ()),
        ("No effusion", ("No effusion",)),
        ("Nodule of 3.5 cm. No effusion.", ("Nodule of 3.5 cm.", "No effusion.")),
        ("Dr. Smith was called. He came.", ("Dr. Smith was called.", "He came.")),
        ("Reported by J. Smith. Normal.", ("Reported by J. Smith.", "Normal.")),
        ("Atelectasis vs. pneumonia. No effusion.", ("Atelectasis vs. pneumonia.", "No effusion.")),
        ("Opacities, e.g. at the left base. Normal heart.", ("Opacities, e.g. at the left base.", "Normal heart.")),
        ("1. New effusion. 2. Stable nodule.", ("1. New effusion.", "2. Stable nodule.")),
        ("Impression:\n1. Effusion\n2. Edema", ("Impression:", "1. Effusion", "2. Edema")),
        ("Lungs are\nclear. Heart is\nnormal.", ("Lungs are clear.", "Heart is normal.")),
        ("No effusion\n\nNormal heart", ("No effusion", "Normal heart")),
        (
            "lungs are clear. no effusion. the heart is normal.",
            ("lungs are clear.", "no effusion.", "the heart is normal."),
        ),
        ("Lungs are normal.The heart is large.", ("Lungs are normal.", "The heart is large.")),
        ("Compared to Jan. 3 there is no change.", ("Compared to Jan. 3 there is no change.",)),
        ("Pneumonia? No effusion!", ("Pneumonia?", "No effusion!")),
        ("双肺清晰。心影不大！有积液？无；膈面光整", ("双肺清晰。", "心影不大！", "有积液？", "无；", "膈面光整")),
        ("结节约3.5cm，与前片相比未见变化。", ("结节约3.5cm，与前片相比未见变化。",)),
        ("1、双肺清晰。2、心影正常。", ("1、双肺清晰。", "2、心影正常。")),
        ("1.双肺清晰\n2.心影正常", ("1.双肺清晰", "2.心影正常")),
        ("心影大小正常.膈面光整.", ("心影大小正常.", "膈面光整.")),
        ("报告写“正常。”心影不大。", ("报告写“正常。”", "心影不大。")),
        (
            "Lungs are clear. 双肺清晰。No effusion.无积液。",
            ("Lungs are clear.", "双肺清晰。", "No effusion.", "无积液。"),
        ),
        ("Dr.王 was called. 右侧PICC尖端位于T5.5水平。", ("Dr.王 was called.", "右侧PICC尖端位于T5.5水平。")),
    ],
)
def test_split(text: str, expected: tuple[str, ...]) -> None:
    assert split(text) == expected


REPORTISH = (
    st.text(alphabet="abT. 1\n,;:()-?!\u00e9\u2028\t", max_size=120)
    | st.text(alphabet="双肺。；！？”、（） .1T\n", max_size=60)
    | st.text(max_size=60)
)


@given(REPORTISH)
def test_nothing_is_lost(text: str) -> None:
    parts = split(text)
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(part and part == part.strip() for part in parts)


@given(REPORTISH)
def test_spans_agree_with_sentences(text: str) -> None:
    assert tuple(" ".join(text[start:end].split()) for start, end in spans(text)) == split(text)
