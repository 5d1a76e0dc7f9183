"""Every score by its key: what it is in a reader's words, its unit, and which way is better.

The keys of a class, a size or a change have it in brackets (``finding_f1[Edema]``); `describe` knows them by what
stands before. Knows names alone: the scores themselves are computed by wording, meteor, meaning and the scorers that
need a checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["HEADLINE", "KEYS", "LIBRA_KEYS", "Key", "describe", "named"]


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


_BLEU = "Runs of up to {} equal words, over all studies together, without smoothing. Rewards equal wording, not truth."

KEYS: dict[str, Key] = {
    key.name: key
    for key in (
        *(Key(f"BLEU{n}", f"BLEU-{n}", True, "%", _BLEU.format(n)) for n in (1, 2, 3, 4)),
        Key("METEOR", "METEOR", True, "%", "Words that are equal, of one stem or synonyms, and how far in order."),
        Key("ROUGE-L", "ROUGE-L", True, "%", "The longest common sequence of words, mean over studies."),
        Key(
            "Temporal_entity_score", "Temporal Entity F1", True, "%",
            "Words of comparison in both texts. 100 where neither text compares; it does not know which finding a word "
            "belongs to.",
        ),
        Key("Bert_score", "BERTScore", True, "%", "Likeness of the words' vectors. A negation hardly lowers it."),
        Key("chexbert_f1_micro_14", "CheXbert F1, 14 classes, micro", True, "%", "Labels of CheXbert in both texts."),
        Key("chexbert_f1_macro_14", "CheXbert F1, 14 classes, macro", True, "%", "Labels of CheXbert in both texts."),
        Key("chexbert_f1_micro_5", "CheXbert F1, 5 classes, micro", True, "%", "Labels of CheXbert in both texts."),
        Key("chexbert_f1_macro_5", "CheXbert F1, 5 classes, macro", True, "%", "Labels of CheXbert in both texts."),
        Key("chexbert_f1[...]", "CheXbert F1", True, "%", "Labels of CheXbert in both texts, one class."),
        Key("radgraph_f1", "RadGraph F1", True, "%", "Entities and relations that RadGraph finds in both texts; mean "
            "of the two F1, as in RadCliQ."),
        Key("RG_ER", "RadGraph RG_ER", True, "%", "Entities that agree in kind, and in whether they have a relation."),
        Key("radcliq_v1", "RadCliQ-v1", False, "", "Predicts how many errors a radiologist would count: lower is "
            "better. Made of RadGraph F1, BERTScore and CheXbert's vectors."),
        Key("ratescore", "RaTEScore", True, "%", "Medical entities in both texts, synonyms and negation regarded."),
        Key("finding_f1_micro", "Finding F1, micro", True, "%", "Findings claimed and true, all classes together."),
        Key("finding_f1_macro", "Finding F1, macro", True, "%", "Findings claimed and true, mean over the classes."),
        Key("finding_f1_micro_5", "Finding F1, 5 classes, micro", True, "%", "The same for five common classes."),
        Key("finding_f1_macro_5", "Finding F1, 5 classes, macro", True, "%", "The same for five common classes."),
        Key("finding_f1_micro_with_devices", "Finding F1 with devices, micro", True, "%", "The same with devices."),
        Key("finding_f1_macro_with_devices", "Finding F1 with devices, macro", True, "%", "The same with devices."),
        Key("finding_f1[...]", "Finding F1", True, "%", "The same for one finding, or for findings of one size."),
        Key("finding_recall[...]", "Finding recall", True, "%", "How many findings of this size were reported."),
        Key("side_accuracy", "Side right", True, "%", "Where truth and text both name a side: how often the same."),
        Key("laterality_conflict_rate", "Left and right confused", False, "%", "The same: how often the opposite."),
        Key(
            "progression_accuracy", "Progression accuracy", True, "%",
            "Of the reported findings whose change is known: how often the text states that change.",
        ),
        Key(
            "progression_recall", "Progression recall", True, "%",
            "Of all findings whose change is known, also those not reported: how often the text states that change.",
        ),
        Key("progression_f1_macro", "Progression F1, 5 changes, macro", True, "%", "New, worse, unchanged, improved, "
            "resolved: mean F1 over them."),
        Key("progression_f1_macro_3", "Progression F1, 3 changes, macro", True, "%", "Worsening, stable, improving: "
            "mean F1 over them."),
        Key("progression_accuracy[...]", "Progression accuracy", True, "%", "The same for one finding or change."),
        Key(
            "prior_hallucination_rate", "Compares without a prior", False, "%",
            "Of the texts about a current image alone: how many compare it with a prior nobody has.",
        ),
        Key(
            "missed_comparison_rate", "Does not compare", False, "%",
            "Of the texts about a pair with something to compare: how many do not compare.",
        ),
        Key("length_ratio", "Length ratio", None, "", "Words written for each word of the reference."),
        Key("duplicate_rate", "Sentences said twice", False, "%", "Of all sentences written."),
    )
}  # fmt: skip
"""In the order in which they are shown."""

LIBRA_KEYS = ("BLEU1", "BLEU2", "BLEU3", "BLEU4", "METEOR", "ROUGE-L", "Temporal_entity_score", "Bert_score")

HEADLINE = (
    "BLEU4", "METEOR", "ROUGE-L", "Temporal_entity_score", "Bert_score", "chexbert_f1_micro_14", "radgraph_f1",
    "RG_ER", "radcliq_v1", "ratescore", "finding_f1_micro", "finding_f1_macro", "progression_f1_macro_3",
    "progression_recall", "prior_hallucination_rate", "missed_comparison_rate",
)  # fmt: skip
"""The scores that two systems are tested on, and that a summary shows. All others are there to look closer."""


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
