"""The question put to the model, and settings that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.drafting.question import Asking, Turn, ask
from engine.drafting.settings import Decoding
from engine.drafting.writing import Writer
from engine.errors import UsageError
from engine.models.tokens import load_tokenizer


def same(text: str) -> str:
    return text


def test_published_wording() -> None:
    assert ask(Asking(), same)[0] == "Provide a detailed description of the findings in the radiology image."
    assert ask(Asking(prompt="  ", context=" History: chest pain. "), same)[0] == (
        "Provide a detailed description of the findings in the radiology image."
        " Following clinical context: History: chest pain."
    )
    assert ask(Asking(prompt=" Is there a tube? "), same)[0] == "Is there a tube?"


def test_typed_text_is_made_plain() -> None:
    assert ask(Asking(prompt="a", context="b"), str.upper)[0] == "A Following clinical context: B"


def test_earlier_turns_and_where_the_context_goes() -> None:
    earlier = (Turn("", "Clear."), Turn("And the left?", " As before.\n"))
    question, turns = ask(Asking(prompt="Why?", context="Cough.", earlier=earlier), str.strip)
    assert question == "Why?"
    first = "Provide a detailed description of the findings in the radiology image. Following clinical context: Cough."
    assert turns == [(first, "Clear."), ("And the left?", "As before.")]


@pytest.mark.parametrize(
    "options",
    [
        {"num_beams": 0},
        {"num_beams": 1000},
        {"max_new_tokens": 0},
        {"temperature": -1},
        {"temperature": float("nan")},
        {"temperature": 1e-6},
        {"temperature": 0.5, "num_beams": 2},
        {"top_p": 0},
        {"top_p": 1.5},
        {"seed": -1},
        {"length_penalty": float("inf")},
        {"no_repeat_ngram": -1},
        {"num_return_sequences": 2},
        {"num_return_sequences": 4, "num_beams": 3},
    ],
)
def test_impossible_settings(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Decoding(**options)


def test_what_is_left_out() -> None:
    assert Decoding(num_beams=3).resolved(100).no_repeat_ngram == 3
    assert Decoding(num_beams=3, no_repeat_ngram=0).resolved(100).no_repeat_ngram == 0
    assert Decoding().resolved(100).no_repeat_ngram == 0
    assert Decoding(num_beams=3).resolved(100).length_penalty == 1
    assert Decoding().resolved(100).max_new_tokens == 100
    assert Decoding().resolved(5000).seed is None
    assert Decoding(temperature=1).resolved(5000).seed is not None


class TestWriter:
    @pytest.fixture
    def tokenizer(self, tiny: Path) -> Any:
        return load_tokenizer(tiny)

    def ids(self, tokenizer: Any, text: str) -> list[int]:
        return tokenizer(text).input_ids[1:]

    def test_stop_as_its_own_token(self, tokenizer: Any) -> None:
        writer = Writer(tokenizer, "</s>")
        assert writer.ends([5, tokenizer.eos_token_id])
        assert not writer.ends([5])
        assert writer.text([*self.ids(tokenizer, "the heart"), tokenizer.eos_token_id]) == "the heart"

    def test_stop_spelled_out(self, tokenizer: Any) -> None:
        writer = Writer(tokenizer, "###")
        ids = self.ids(tokenizer, "clear ###")
        assert writer.ends(ids)
        assert not writer.ends(ids[:-1])
        assert writer.text(ids) == "clear"

    def test_a_stop_text_of_ones_own(self, tokenizer: Any) -> None:
        writer = Writer(tokenizer, "</s>", ("IMPRESSION:",))
        ids = self.ids(tokenizer, "The heart is normal. IMPRESSION: none")
        ends = [n for n in range(1, len(ids) + 1) if writer.ends(ids[:n])]
        assert "IMPRESSION:" in tokenizer.decode(ids[: ends[0]])
        assert "IMPRESSION:" not in tokenizer.decode(ids[: ends[0] - 1])
        assert writer.text(ids) == "The heart is normal."
        assert writer.ends([5, tokenizer.eos_token_id])

    def test_a_letter_appears_when_all_its_bytes_are_there(self, tokenizer: Any) -> None:
        writer = Writer(tokenizer, "</s>")
        ids = self.ids(tokenizer, "café")
        shown = [writer.text_so_far(ids[: n + 1]) for n in range(len(ids))]
        assert shown[-1] == "café"
        assert "\ufffd" not in "".join(shown)
