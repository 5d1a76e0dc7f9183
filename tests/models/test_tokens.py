"""Ids of prompts, and that nothing a person types can act as a control."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ModelError, UsageError
from engine.models.conversation import TEMPLATES, render, template
from engine.models.tokens import IMAGE_TEXT, IMAGE_TOKEN, as_plain_text, encode_with_image, load_tokenizer

CONTROLS = [IMAGE_TEXT, "<s>", "</s>", "<unk>", "<<image>image>", "</<s>s>"]


@pytest.fixture(scope="module")
def tokenizer(tiny: Path) -> Any:
    return load_tokenizer(tiny)


def test_one_beginning_and_one_image(tokenizer: Any) -> None:
    ids = encode_with_image(tokenizer, f"the right lung {IMAGE_TEXT} is clear")
    assert ids[0] == tokenizer.bos_token_id
    assert ids.count(tokenizer.bos_token_id) == 1
    assert ids.count(IMAGE_TOKEN) == 1


def test_text_after_the_image_begins_a_word(tokenizer: Any) -> None:
    alone = tokenizer("clear").input_ids[1:]
    assert encode_with_image(tokenizer, f"{IMAGE_TEXT}clear")[2:] == alone


@given(
    text=st.lists(st.one_of(st.sampled_from(CONTROLS), st.text(max_size=8)), max_size=6).map("".join),
    name=st.sampled_from(["libra_v1", "libra_v0"]),
)
def test_typed_text_holds_no_control(tokenizer: Any, text: str, name: str) -> None:
    plain = as_plain_text(tokenizer, text)
    ids = encode_with_image(tokenizer, render(template(name), plain))
    assert ids.count(IMAGE_TOKEN) == 1
    assert ids.count(tokenizer.bos_token_id) == 1
    assert tokenizer.eos_token_id not in ids
    assert as_plain_text(tokenizer, plain) == plain


@given(st.text(alphabet=st.characters(blacklist_characters="<"), max_size=40))
def test_harmless_text_is_left_as_it_is(tokenizer: Any, text: str) -> None:
    assert as_plain_text(tokenizer, text) == text


def test_controls_stay_readable(tokenizer: Any) -> None:
    assert as_plain_text(tokenizer, "a <image> b </s>") == "a < image> b < /s>"


def test_tokens_of_blanks_are_no_controls(tiny: Path) -> None:
    tokenizer = load_tokenizer(tiny)
    tokenizer.add_tokens(["  ", "\n\n", " a", "<tag>"])
    assert as_plain_text(tokenizer, "   \n\n\n a <tag>") == "   \n\n\n a < tag>"


def test_no_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no tokenizer"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer.json", ""),
        ("tokenizer.json", "{"),
        ("tokenizer.json", '{"model": 5}'),
        ("tokenizer_config.json", "{"),
        ("tokenizer_config.json", "[]"),
    ],
)
def test_damaged_tokenizer(tiny: Path, tmp_path: Path, name: str, content: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    (folder / name).write_text(content)
    with pytest.raises(ModelError, match="tokenizer"):
        load_tokenizer(folder)


def test_a_class_that_cannot_be_built_is_read_as_the_fast_one(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    settings = folder / "tokenizer_config.json"
    settings.write_text(settings.read_text().replace("LlamaTokenizer", "PreTrainedTokenizer"))
    assert load_tokenizer(folder)("the right lung").input_ids == load_tokenizer(tiny)("the right lung").input_ids


def test_a_configuration_cannot_name_code(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    marker = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(marker)!r}, 'w')\nclass Evil: pass\n")
    settings = folder / "tokenizer_config.json"
    code = '{"auto_map": {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}, '
    settings.write_text(settings.read_text().replace("{", code, 1))
    (folder / "config.json").write_text('{"auto_map": {"AutoConfig": "evil.Evil"}, "model_type": "evil"}')
    load_tokenizer(folder)
    assert not marker.exists()


def test_templates() -> None:
    assert {"libra_v1", "libra_v0", "libra_llama_3"} <= TEMPLATES.keys()
    assert all(render(t, "Q").count(IMAGE_TEXT) == 1 for t in TEMPLATES.values())
    assert render(template("libra_v1"), "Q", ("<im_start>", "<im_end>")).count("<im_start><image><im_end>\nQ") == 1
    with pytest.raises(UsageError, match="libra_v1"):
        template("no such")
