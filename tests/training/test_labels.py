"""What is learnt of a conversation: the answers and their ends, nothing else; equal to Libra's own masks."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import DatasetError
from engine.models.composite import IGNORED
from engine.models.conversation import TEMPLATES, dialogue, template
from engine.models.tokens import IMAGE_TEXT, IMAGE_TOKEN, encode_with_image, load_tokenizer
from engine.training.labels import label, learnt_text
from engine.training.vocabulary import learn_vocabulary

QUESTION = "Provide a detailed description of the findings in the radiology image."
ANSWER = "The lungs are clear. No pneumothorax is seen."
TURNS = [(QUESTION, ANSWER), ("Is the heart size normal?", "The heart size is normal.")]

VOCABULARIES = {
    "meditron-7b-tiny": "llama2-nonlegacy",
    "LEGACY": "llama2-legacy",
    "vicuna-7b-tiny": "llama2-nonlegacy",
    "Mistral-7B-Instruct-v0.2-tiny": "llama2-legacy",
    "Llama-3.2-3B-Instruct-tiny": "llama3",
    "Llama-3 + pad=finetune_right_pad": "llama3",
    "Qwen2.5-3B-Instruct-tiny-qwen2": "qwen2",
    "gemma-2b-tiny": "gemma",
    "phi-3-mini-tiny": "phi3",
}
CASES = [
    f"{name}|{count}turn"
    for name in (
        "libra_v1|meditron-7b-tiny",
        "libra_v1|LEGACY",
        "libra_v0|vicuna-7b-tiny",
        "mistral_instruct|Mistral-7B-Instruct-v0.2-tiny",
        "libra_llama_2|meditron-7b-tiny",
        "libra_llama_3|Llama-3.2-3B-Instruct-tiny",
        "libra_llama_3|Llama-3 + pad=finetune_right_pad",
        "qwen|Qwen2.5-3B-Instruct-tiny-qwen2",
        "conv_gemma|gemma-2b-tiny",
        "conv_phi3|phi-3-mini-tiny",
        "mpt|Qwen2.5-3B-Instruct-tiny-qwen2",
    )
    for count in (1, 2)
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vocabulary")
    learn_vocabulary([template("libra_v1").layout, QUESTION, ANSWER] * 3, 340, folder)
    return load_tokenizer(folder)


@pytest.mark.parametrize("case", CASES)
def test_masks_equal_libras_where_libra_learns_anything(shared, case):
    expected = json.loads((shared / "reference/libra/golden/train_labels.json").read_text())[case]
    conversation, vocabulary, count = case.split("|")
    tokenizer = load_tokenizer(shared / "reference/libra/ckpts/tokenizers" / VOCABULARIES[vocabulary])
    turns = TURNS[: int(count[0])]
    found = label(tokenizer, template(conversation), turns)
    learnt = [value for value in found.labels if value != IGNORED]
    if (
        conversation != "libra_llama_3"
    ):  # there Libra trains with "assistant" and asks with "ASSISTANT"; we do as it asks
        assert list(found.ids) == expected["input_ids"]
    wanted = [value for value in expected["labels"] if value != IGNORED]
    if wanted:
        assert learnt == wanted
        assert conversation == "libra_llama_3" or list(found.labels) == expected["labels"]
    else:  # Libra masks the whole conversation with a warning
        end = template(conversation).answer[1].strip()
        assert [text.strip() for text, learns in learnt_text(tokenizer, found) if learns] == [a + end for _, a in turns]


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_a_conversation_is_asked_as_it_was_learnt(tokenizer, name):
    form = template(name)
    turns = TURNS if form.again else TURNS[:1]
    asked = dialogue(form, f"{IMAGE_TEXT}\n", turns[-1][0], turns[:-1])
    ids = list(label(tokenizer, form, turns).ids)
    prompt = encode_with_image(tokenizer, asked)
    assert ids[: len(prompt) - 1] == prompt[:-1]  # the last token may join with what follows


def test_the_answer_and_its_end_are_learnt(tokenizer):
    found = label(tokenizer, template("libra_v1"), TURNS[:1])
    learnt = [value for value in found.labels if value != IGNORED]
    assert tokenizer.decode(learnt[:-1]) == ANSWER
    assert learnt[-1] == tokenizer.eos_token_id
    assert list(found.labels[-len(learnt) :]) == learnt, "an answer is one run at the end"
    assert found.ids.count(IMAGE_TOKEN) == 1


@settings(max_examples=40, deadline=None)
@given(answers=st.lists(st.text(min_size=1, max_size=40).filter(str.strip), min_size=1, max_size=3))
def test_any_answers_are_learnt_whole(tokenizer, answers):
    answers = [" ".join(answer.split()) for answer in answers]
    if any(IMAGE_TEXT in answer or "<" in answer for answer in answers):
        return  # control strings are broken before a text gets here
    found = label(tokenizer, template("libra_v1"), [(f"Question {n}", a) for n, a in enumerate(answers)])
    pieces = [text for text, learns in learnt_text(tokenizer, found) if learns]
    assert len(pieces) == len(answers)
    for piece, answer in zip(pieces, answers, strict=True):
        assert piece.removesuffix("</s>").strip() == answer.strip()


def test_any_text_survives_a_small_vocabulary(tokenizer):
    answer = "Größe 4½ cm – ατελεκτασία 肺"
    found = label(tokenizer, template("libra_v1"), [(QUESTION, answer)])
    assert tokenizer.decode([value for value in found.labels if value != IGNORED][:-1]) == answer


def test_what_a_person_sees_marks_the_image_and_the_answer(tokenizer):
    pieces = learnt_text(tokenizer, label(tokenizer, template("libra_v1"), TURNS))
    assert [text for text, _ in pieces].count(IMAGE_TEXT) == 1
    assert [learns for _, learns in pieces] == [False, False, False, True, False, True]


@pytest.mark.parametrize(
    ("turns", "said"),
    [([(QUESTION, " ")], "empty"), ([(QUESTION, "An <image>.")], "stands for the image"), (TURNS, "one question only")],
)
def test_what_cannot_be_learnt_is_refused(tokenizer, turns, said):
    form = template("plain" if len(turns) > 1 else "libra_v1")
    with pytest.raises(DatasetError, match=said):
        label(tokenizer, form, turns)


def test_the_vocabulary_depends_on_the_texts_alone(tmp_path):
    texts = [template("libra_v1").layout, QUESTION, ANSWER] * 3
    for name in ("one", "two"):
        learn_vocabulary(texts, 340, tmp_path / name)
    assert (tmp_path / "one/tokenizer.model").read_bytes() == (tmp_path / "two/tokenizer.model").read_bytes()


def test_a_tokenizer_without_offsets_is_refused(tokenizer):
    class Mute:
        bos_token_id = tokenizer.bos_token_id
        backend_tokenizer = tokenizer.backend_tokenizer

        def __call__(self, text, return_offsets_mapping=False):
            out = tokenizer(text, return_offsets_mapping=return_offsets_mapping)
            if return_offsets_mapping:
                out["offset_mapping"] = out["offset_mapping"][:-1]
            return out

    with pytest.raises(DatasetError):
        label(Mute(), template("libra_v1"), TURNS[:1])
