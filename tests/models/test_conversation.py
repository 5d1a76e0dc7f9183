"""Prompts of several turns, for every template there is."""

from __future__ import annotations

import pytest

from engine.errors import UsageError
from engine.models.conversation import TEMPLATES, render, render_labelled, template

SEVERAL = sorted(set(TEMPLATES) - {"plain"})


@pytest.mark.parametrize("name", SEVERAL)
def test_a_conversation_goes_on_where_it_ended(name: str) -> None:
    form = template(name)
    before, after = form.answer
    one = render(form, "What changed?")
    two = render(form, "Where?", earlier=[("What changed?", "Nothing.")])
    three = render(form, "Why?", earlier=[("What changed?", "Nothing."), ("Where?", "Nowhere.")])
    assert two.startswith(f"{one}{before}Nothing.{after}")
    assert three.startswith(f"{two}{before}Nowhere.{after}")
    assert three.count("<image>") == one.count("<image>")
    # what follows an answer asks in the same way as the beginning does
    assert two.endswith(one.rpartition("What changed?")[2])


def test_as_libra_writes_them() -> None:
    earlier = [("q1", "a1")]
    prompt = render(template("libra_v1"), "q2", earlier=earlier)
    assert prompt.endswith(" USER: <image>\nq1 ASSISTANT: a1</s>USER: q2 ASSISTANT:")
    prompt = render(template("v0"), "q2", earlier=earlier)
    assert prompt.endswith("###Human: <image>\nq1###Assistant: a1###Human: q2###Assistant:")
    prompt = render(template("mistral_instruct"), "q2", earlier=earlier)
    assert prompt == "[INST] <image>\nq1 [/INST] a1 </s>[INST] q2 [/INST]"


def test_the_images_are_named_once() -> None:
    earlier = [("q1", "a1")]
    prompt = render_labelled(template("qwen2_vl"), "q2", "<IMG>", has_prior=True, gap="", earlier=earlier)
    assert prompt.count("<IMG>") == 2
    assert prompt.index("Prior image") < prompt.index("q1") < prompt.index("a1") < prompt.index("q2")


def test_one_question_only() -> None:
    with pytest.raises(UsageError, match="one question only"):
        render(template("plain"), "q2", earlier=[("q1", "a1")])
