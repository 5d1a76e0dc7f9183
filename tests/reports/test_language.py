"""Languages of texts: told from script, names and abbreviations do not count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.reports.language import in_english, joined, tokens, written_in


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("3.", ""),
        ("Lungs are clear.", "en"),
        ("PICC", "en"),
        ("双肺清晰。", "zh"),
        ("双肺纹理清晰，右侧PICC尖端位于上腔静脉。", "zh"),
        ("CT: 3.5 cm x 2 cm 结节", "zh"),
        ("结节 1.5 cm, 2 cm, 3 cm", "zh"),
        ("Dr. 王小明 was called about a large pneumothorax.", "en"),
        ("Heart size is normal.心影大小正常。", "en+zh"),
        ("Lungs are clear. 双肺清。", "en+zh"),
        ("Лёгкие без очаговых изменений.", ""),
        ("肺野はきれいです、異常なし", ""),
    ],
)
def test_written_in(text: str, expected: str) -> None:
    assert written_in(text) == expected


def test_an_empty_text_is_for_the_english_rules_and_another_script_is_not() -> None:
    assert in_english("") and in_english("12 - 3.5") and in_english("Clear. 双肺清晰，心影正常。Heart is normal.")
    assert not in_english("双肺清晰。") and not in_english("Норма.")


def test_chinese_is_read_character_by_character() -> None:
    assert tokens("右侧PICC尖端，3.5 CM。") == ["右", "侧", "picc", "尖", "端", "3", "5", "cm"]


@given(st.text(max_size=40))
def test_no_letter_or_digit_is_lost_among_the_tokens(text: str) -> None:
    kept = "".join(c for c in text.lower() if c.isalnum())
    assert "".join(c for c in "".join(tokens(text)) if c.isalnum()) == kept


def test_chinese_sentences_follow_each_other_without_a_blank() -> None:
    assert joined("双肺清晰。", "心影正常。") == "双肺清晰。心影正常。"
    assert joined("双肺清晰。", "Heart is normal.") == "双肺清晰。 Heart is normal."
    assert joined("", "心影正常。") == "心影正常。"
