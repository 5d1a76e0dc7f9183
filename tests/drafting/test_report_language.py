"""The language of a report: asked for in the prompt, refused where the model does not write it, checked in the text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny_multimodal

from engine import Asking, Comparison, Decoding, Engine
from engine.cli import main
from engine.drafting.checks import check
from engine.drafting.question import IN_CHINESE, INSTRUCTIONS, SECTIONS, Turn, ask
from engine.errors import UsageError

SHORT = Decoding(max_new_tokens=4)


def same(text: str) -> str:
    return text


def test_english_is_not_asked_for_in_words_and_others_are_at_the_end() -> None:
    assert ask(Asking(language="en"), same) == ask(Asking(), same)
    for language, family, words in (
        ("zh", "llava", INSTRUCTIONS["zh"]),
        ("zh", "qwen2-vl", IN_CHINESE["zh"]),
        ("en+zh", "qwen2-vl", IN_CHINESE["en+zh"]),
    ):
        question, _ = ask(Asking(context="Cough.", language=language), same, family)
        assert question == f"{SECTIONS['findings']} Following clinical context: Cough.\n{words}"
    earlier = (Turn("", "Clear."),)
    question, turns = ask(Asking(prompt="Why?", earlier=earlier, language="zh"), same)
    assert question == f"Why?\n{INSTRUCTIONS['zh']}" and turns == [(SECTIONS["findings"], "Clear.")]
    with pytest.raises(UsageError, match=r"no language 'fr'.*en, zh, en\+zh"):
        ask(Asking(language="fr"), same)


@pytest.mark.parametrize(("language", "words"), [("zh", "简体中文"), ("en+zh", "English first")])
def test_qwen2_vl_is_asked_in_its_own_words_and_the_draft_says_so(
    language: str, words: str, tmp_path: Path, pictures: tuple[Path, Path]
) -> None:
    engine = Engine.load(tiny_multimodal.qwen2vl(tmp_path / "tiny"), dtype="float32", device="cpu")
    assert engine.info.languages == ("en", "zh")
    draft = engine.draft(Comparison.open(pictures[0]), Asking(language=language), decoding=SHORT)
    assert words in draft.prompt and draft.to_json()["language"] == language
    assert words not in engine.draft(Comparison.open(pictures[0]), decoding=SHORT).prompt


def test_a_model_that_writes_english_refuses_until_its_folder_says_otherwise(
    tmp_path: Path, pictures: tuple[Path, Path]
) -> None:
    folder = tiny_multimodal.llava(tmp_path / "tiny")
    engine = Engine.load(folder, dtype="float32", device="cpu")
    comparison = Comparison.open(pictures[0])
    with pytest.raises(UsageError, match=r"tiny writes English only, not Chinese\. .* English, or choose a model"):
        engine.draft(comparison, Asking(language="zh"), decoding=SHORT)
    with pytest.raises(UsageError, match="not English and Chinese"):
        engine.draft(comparison, Asking(language="en+zh"), decoding=SHORT)
    (folder / "interval.json").write_text(json.dumps({"languages": ["zh-Hans"]}))
    engine = Engine.load(folder, dtype="float32", device="cpu")
    assert INSTRUCTIONS["zh"] in engine.draft(comparison, Asking(language="zh"), decoding=SHORT).prompt
    assert engine.draft(comparison, decoding=SHORT).token_ids, "and nothing is said where nothing is asked for"


def test_draft_language_on_the_command_line(
    tiny: Path, pictures: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["draft", "--current", str(pictures[0]), "--max-new-tokens", "4", "--json", "--language", "zh"]
    assert main([*words, "--model", str(tiny)]) == UsageError.exit_status
    assert "writes English only, not Chinese" in capsys.readouterr().err
    assert main([*words, "--model", str(tiny_multimodal.qwen2vl(tmp_path / "tiny"))]) == 0
    assert json.loads(capsys.readouterr().out)["language"] == "zh"


class TestChecks:
    def codes(self, text: str, *, has_prior: bool = True, language: str = "en") -> set[str]:
        return {found.code for found in check(text, has_prior=has_prior, finished="stop", language=language)}

    def test_what_was_not_checked_is_said(self) -> None:
        text = "双肺清晰。右侧胸腔积液较前增多。"
        assert self.codes(text, has_prior=False, language="zh") == {"comparison_not_checked"}
        assert self.codes(text, has_prior=True, language="zh") == set()
        both = "The right effusion has increased. 右侧胸腔积液较前增多。"
        assert self.codes(both, has_prior=False, language="en+zh") == {"comparison_without_prior"}

    def test_a_text_in_another_language_than_was_asked_for(self) -> None:
        assert self.codes("Lungs are clear.", language="zh") == {"other_language"}
        assert self.codes("双肺清晰。", language="en+zh") == {"other_language"}
        assert self.codes("是。") == set(), "an answer in Chinese to a question in Chinese"

    def test_loops_of_chinese(self) -> None:
        assert self.codes("双肺未见异常，心影未见异常，膈面未见异常，肋骨未见异常，纵隔未见异常。") == set()
        assert self.codes("双肺清晰未见异常。" * 2) == {"repeated"}
        assert self.codes("双肺可见多发结节影" * 6) == {"repeated"}
        assert self.codes("无积液。心影大。无积液。") == set()
