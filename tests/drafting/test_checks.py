"""What a reader is told about a text."""

from __future__ import annotations

import pytest

from engine.drafting.checks import check


def codes(text: str, *, has_prior: bool = True, finished: str = "stop") -> set[str]:
    return {found.code for found in check(text, has_prior=has_prior, finished=finished)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The heart is enlarged. No pleural effusion.", set()),
        ("", {"empty"}),
        (" \n", {"empty"}),
        ("The heart is enlarged. The lungs are clear. The heart is enlarged.", {"repeated"}),
        ("the the the the the the the the", {"repeated"}),
        ("No effusion and no effusion and no effusion and no effusion and no effusion and", {"repeated"}),
        ("No change. Heart normal. No change.", set()),
        ("No change. No change. No change. No change.", {"repeated"}),
        (
            "There is no evidence of nodule. There is no evidence of edema. There is no evidence of atelectasis. "
            "There is no evidence of pneumothorax.",
            set(),
        ),
    ],
)
def test_text(text: str, expected: set[str]) -> None:
    assert codes(text) == expected


def test_comparison_without_a_prior() -> None:
    text = "The right pleural effusion has increased compared to the prior study."
    assert codes(text, has_prior=False) == {"comparison_without_prior"}
    assert codes(text, has_prior=True) == set()
    assert codes("There is a small right pleural effusion.", has_prior=False) == set()


def test_how_it_ended() -> None:
    assert codes("The heart is", finished="length") == {"truncated"}
    assert codes("The heart is", finished="cancelled") == {"cancelled"}


def test_messages_are_sentences() -> None:
    for found in check("", has_prior=False, finished="length"):
        assert found.message[0].isupper()
        assert found.message.endswith(".")
