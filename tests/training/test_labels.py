"""What is learnt of a conversation: the answer and its terminator, nothing else; equal to Libra's own masks."""

import json

import pytest

from engine.errors import DatasetError
from engine.models.composite import IGNORED
from engine.models.conversation import template
from engine.models.tokens import IMAGE_TOKEN, load_tokenizer
from engine.training.samples import label
from engine.training.vocabulary import learn_vocabulary

QUESTION = "Provide a detailed description of the findings in the radiology image."
ANSWER = "The lungs are clear. No pneumothorax is seen."


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vocabulary")
    learn_vocabulary([template("libra_v1").layout, QUESTION, ANSWER] * 3, 340, folder)
    return load_tokenizer(folder)


@pytest.mark.parametrize(
    ("case", "vocabulary", "conversation"),
    [
        ("libra_v1|meditron-7b-tiny|1turn", "llama2-nonlegacy", "libra_v1"),
        ("libra_v1|LEGACY|1turn", "llama2-legacy", "libra_v1"),
        ("libra_v0|vicuna-7b-tiny|1turn", "llama2-nonlegacy", "libra_v0"),
    ],
)
def test_masks_equal_libras(shared, case, vocabulary, conversation):
    expected = json.loads((shared / "reference/libra/golden/train_labels.json").read_text())[case]
    tokenizer = load_tokenizer(shared / "reference/libra/ckpts/tokenizers" / vocabulary)
    ids, labels = label(tokenizer, template(conversation), QUESTION, ANSWER)
    assert ids == expected["input_ids"]
    assert labels == expected["labels"]


def test_the_answer_and_its_end_are_learnt(tokenizer):
    ids, labels = label(tokenizer, template("libra_v1"), QUESTION, ANSWER)
    learnt = [value for value in labels if value != IGNORED]
    assert tokenizer.decode(learnt[:-1]) == ANSWER
    assert learnt[-1] == tokenizer.eos_token_id
    assert labels[-len(learnt) :] == learnt, "an answer is one run at the end"
    assert ids.count(IMAGE_TOKEN) == 1


def test_any_text_survives_a_small_vocabulary(tokenizer):
    answer = "Größe 4½ cm – ατελεκτασία 肺"
    _, labels = label(tokenizer, template("libra_v1"), QUESTION, answer)
    assert tokenizer.decode([value for value in labels if value != IGNORED][:-1]) == answer


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
        label(Mute(), template("libra_v1"), QUESTION, ANSWER)
