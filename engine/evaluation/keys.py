"""Every score by its key: what it is in a reader's words, its unit, and which way is better.

The keys of a class, a size or a change have it in brackets (``finding_f1[Edema]``); `describe` knows them by what
stands before. Knows names alone: the scores themselves are computed by wording, meteor, meaning, vqa, the judge and the
scorers that need a checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["HEADLINE", "JUDGED", "KEYS", "LIBRA_KEYS", "VQA_HEADLINE", "Key", "describe", "headline", "named"]


@dataclass(frozen=True)
class Key:
    """One score.

    Attributes:
        name: the key, with "[...]" where there is one score for each class, size or change.
        title: for a table.
        higher_is_better: None where neither is: the best value lies in between.
        unit: "%" for scores from 0 to 100, "" for others.
        says: what it measures and how it misleads, in a sentence or two.
    """

    name: str
    title: str
    higher_is_better: bool | None
    unit: str
    says: str


def _share(name: str, title: str, says: str, *, lower: bool = False) -> Key:
    """A score from 0 to 100."""
    return Key(name, title, not lower, "%", says)


_NGRAMS = "Equal runs of up to {} words, over all studies together, unsmoothed. Rewards equal wording, not truth."
_CHEXBERT = "Labels that CheXbert gives to both texts, a positive or uncertain one taken as present."
_FIVE = "The same for cardiomegaly, edema, consolidation, atelectasis and effusion."
_OPEN = "Of open questions: {}, mean over the questions. Words in lower case, without marks and articles."
_VALID = "Of the replies of the judge that can be read. The judge is a language model and never sees the image."
_TOTAL = "Of all answers that were put to the judge, also those with a reply that cannot be read."
_LLAVA_MED = "As LLaVA-Med's run_eval.py first computed it, for comparison with figures published so; it flatters: "

KEYS: dict[str, Key] = {
    key.name: key
    for key in (
        _share("BLEU1", "BLEU-1", "Equal words, over all studies together. Rewards equal wording, not truth."),
        _share("BLEU2", "BLEU-2", _NGRAMS.format(2)),
        _share("BLEU3", "BLEU-3", _NGRAMS.format(3)),
        _share("BLEU4", "BLEU-4", _NGRAMS.format(4)),
        _share("METEOR", "METEOR", "Words that are equal, of one stem or synonyms, and how far in order."),
        _share("ROUGE-L", "ROUGE-L", "The longest common sequence of words, mean over studies."),
        _share(
            "Temporal_entity_score",
            "Temporal Entity F1",
            "Words of comparison in both texts. 100 where neither text compares; it does not know which finding a word "
            "belongs to.",
        ),
        _share("Bert_score", "BERTScore", "Likeness of the words' vectors. A negation hardly lowers it."),
        _share("chexbert_f1_micro_14", "CheXbert F1, 14 classes, micro", _CHEXBERT),
        _share("chexbert_f1_macro_14", "CheXbert F1, 14 classes, macro", _CHEXBERT),
        _share("chexbert_f1_micro_5", "CheXbert F1, 5 classes, micro", _CHEXBERT),
        _share("chexbert_f1_macro_5", "CheXbert F1, 5 classes, macro", _CHEXBERT),
        _share("chexbert_f1[...]", "CheXbert F1", _CHEXBERT),
        _share(
            "radgraph_f1", "RadGraph F1", "Entities and relations in both texts, mean of the two F1, as in RadCliQ."
        ),
        _share("RG_ER", "RadGraph RG_ER", "Entities that agree in kind, and in whether they have a relation."),
        Key(
            "radcliq_v1",
            "RadCliQ-v1",
            False,
            "",
            "Predicts how many errors a radiologist would count; from RadGraph F1, BERTScore and CheXbert's vectors.",
        ),
        _share("ratescore", "RaTEScore", "Medical entities in both texts; regards synonyms and negation."),
        _share("finding_f1_micro", "Finding F1, micro", "Findings claimed and true, all classes together."),
        _share("finding_f1_macro", "Finding F1, macro", "Findings claimed and true, mean over the classes."),
        _share("finding_f1_micro_5", "Finding F1, 5 classes, micro", _FIVE),
        _share("finding_f1_macro_5", "Finding F1, 5 classes, macro", _FIVE),
        _share("finding_f1_micro_with_devices", "Finding F1 with devices, micro", "Findings and devices together."),
        _share("finding_f1_macro_with_devices", "Finding F1 with devices, macro", "Mean over findings and devices."),
        _share("finding_f1[...]", "Finding F1", "Claimed and true: one finding, or the findings of one size."),
        _share("finding_recall[...]", "Finding recall", "How many findings of this size were reported."),
        _share("side_accuracy", "Side right", "Where truth and text both name a side: how often the same."),
        _share(
            "laterality_conflict_rate",
            "Left and right confused",
            "Where truth and text both name a side: how often the opposite.",
            lower=True,
        ),
        _share(
            "progression_accuracy",
            "Progression accuracy",
            "Of the reported findings whose change is known: how often the text states that change.",
        ),
        _share(
            "progression_recall",
            "Progression recall",
            "Of all findings whose change is known, also those not reported: how often the text states that change.",
        ),
        _share(
            "progression_f1_macro",
            "Progression F1, 5 changes, macro",
            "New, worse, unchanged, improved, resolved, of the reported findings: mean F1.",
        ),
        _share(
            "progression_f1_macro_3",
            "Progression F1, 3 changes, macro",
            "Worsening, stable, improving, of the reported findings: mean F1.",
        ),
        _share("progression_accuracy[...]", "Progression accuracy", "The same of one finding, or of one change."),
        _share(
            "prior_hallucination_rate",
            "Compares without a prior",
            "Of the texts about a current image alone: how many compare it with a prior nobody has.",
            lower=True,
        ),
        _share(
            "missed_comparison_rate",
            "Does not compare",
            "Of the texts about a pair with something to compare: how many do not compare.",
            lower=True,
        ),
        Key("length_ratio", "Length ratio", None, "", "Words written for each word of the reference."),
        _share("duplicate_rate", "Sentences said twice", "Of all sentences written.", lower=True),
        _share(
            "vqa_accuracy",
            "VQA accuracy",
            "All questions: closed ones answered right, open ones answered with exactly the words of the reference.",
        ),
        _share("vqa_score", "VQA score", "All questions: closed ones right or wrong, of open ones the F1 over words."),
        _share(
            "vqa_closed_accuracy",
            "Closed questions right",
            "The first yes or no, or the right option, as whole words. An answer with neither is wrong and counts.",
        ),
        _share("vqa_open_recall", "Open questions, recall", _OPEN.format("words of the reference in the answer")),
        _share("vqa_open_precision", "Open questions, precision", _OPEN.format("words of the answer in the reference")),
        _share("vqa_open_f1", "Open questions, F1", _OPEN.format("F1 over words")),
        _share("vqa_open_exact_match", "Open questions, exact match", _OPEN.format("the same words in the same order")),
        _share("vqa_neither_rate", "Neither yes nor no", "Of the questions to be answered by yes or no.", lower=True),
        *(
            _share(f"{name}[...]", title, "The same of one type of question.")
            for name, title in (
                ("vqa_accuracy", "VQA accuracy"),
                ("vqa_score", "VQA score"),
                ("vqa_closed_accuracy", "Closed questions right"),
                ("vqa_open_recall", "Open questions, recall"),
                ("vqa_open_precision", "Open questions, precision"),
                ("vqa_open_f1", "Open questions, F1"),
                ("vqa_open_exact_match", "Open questions, exact match"),
            )
        ),
        _share(
            "vqa_llava_med_closed",
            "LLaVA-Med compatible, closed",
            f"{_LLAVA_MED}wrong answers with a yes or no are left out, and parts of words count.",
        ),
        _share(
            "vqa_llava_med_open_recall",
            "LLaVA-Med compatible, open recall",
            f"{_LLAVA_MED}a right word counts as often as the answer repeats it.",
        ),
        _share("judge_correct_rate", "Judged correct", _VALID),
        _share("judge_correct_rate_total", "Judged correct, of all", _TOTAL),
        _share("judge_incorrect_rate", "Judged incorrect", _VALID, lower=True),
        _share("judge_incorrect_rate_total", "Judged incorrect, of all", _TOTAL, lower=True),
        Key(
            "judge_neutral_rate", "Judged neither", None, "%", f"Hedged, or not to be told from the reference. {_VALID}"
        ),
        Key("judge_neutral_rate_total", "Judged neither, of all", None, "%", _TOTAL),
        _share("judge_contradiction_rate", "Contradicts itself, by the judge", _VALID, lower=True),
        Key(
            "judge_invalid_format_rate",
            "Replies of the judge that cannot be read",
            None,
            "%",
            "Of all answers put to it, after a second try. A property of the judge, not of the model that answered.",
        ),
        Key(
            "judge_average_confidence",
            "The judge's confidence, 1 to 5",
            None,
            "",
            "Mean of what it gave. It is the judge's in its own verdict, not that of the model that answered.",
        ),
        Key(
            "judge_confidence_completeness", "Verdicts with a confidence", None, "%", "Of the replies that can be read."
        ),
    )
}
"""In the order in which they are shown."""

LIBRA_KEYS = ("BLEU1", "BLEU2", "BLEU3", "BLEU4", "METEOR", "ROUGE-L", "Temporal_entity_score", "Bert_score")

HEADLINE = (
    "BLEU4", "METEOR", "ROUGE-L", "Temporal_entity_score", "Bert_score", "chexbert_f1_micro_14", "radgraph_f1",
    "RG_ER", "radcliq_v1", "ratescore", "finding_f1_micro", "finding_f1_macro", "progression_f1_macro_3",
    "progression_recall", "prior_hallucination_rate", "missed_comparison_rate",
)  # fmt: skip
"""The scores that two systems are tested on, and that a summary shows. All others are there to look closer."""

VQA_HEADLINE = ("vqa_closed_accuracy", "vqa_open_recall", "vqa_open_f1", "vqa_open_exact_match", "vqa_accuracy")
"""The same where questions are answered shortly."""

JUDGED = ("judge_correct_rate", "judge_correct_rate_total")
"""What a headline shows of a judge, where people have found that it judges as they do."""


def describe(name: str) -> Key:
    """The description of a key as it stands in a score sheet; its title says the class in brackets.

    Raises:
        KeyError: no such key.
    """
    if name in KEYS and "..." not in name:
        return KEYS[name]
    stem, bracket, rest = name.partition("[")
    if rest == "...]":
        raise KeyError(name)
    known = KEYS[f"{stem}[...]"] if bracket and rest.endswith("]") else KEYS[name]
    return replace(known, name=name, title=f"{known.title}: {rest[:-1]}")


def named(name: str) -> bool:
    """Whether there is such a key."""
    try:
        describe(name)
    except KeyError:
        return False
    return True


def headline(task: str) -> tuple[str, ...]:
    """The headline scores of a task, "report" or "vqa"."""
    return VQA_HEADLINE if task == "vqa" else HEADLINE
