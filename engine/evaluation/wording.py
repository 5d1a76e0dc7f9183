"""Scores of the words: BLEU, ROUGE-L and Temporal Entity F1, each as Libra computes it, and two sanity figures.

Texts are compared after `normalised` (Libra's `clean_text`). BLEU is a corpus score without smoothing over 13a tokens
(Papineni et al. 2002, sacrebleu); ROUGE-L the plain mean of F over studies (Lin 2004, rouge_score, no stemmer);
Temporal Entity F1 the mean F1 of the sets of comparison keywords (Bannur et al. 2023; 44 keywords, eps 1e-10, two
empty sets are 1). Its weakness belongs beside the figure: it cannot tell "effusion better, edema worse" from the
opposite.

Where a text or its reference is in Chinese, BLEU's tokens are sacrebleu's "zh" (each Chinese character by itself, the
rest as 13a), ROUGE-L's words and the length are counted in Chinese characters and words, and Temporal Entity F1, whose
keywords are English, leaves the pair out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

import numpy as np
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU

from engine.evaluation.statistics import Floats, Measure, mean
from engine.reports.language import HAN, OTHER_EAST_ASIAN, in_english, tokens
from engine.reports.sentences import split

KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        "bigger change cleared constant decrease decreased decreasing elevated elevation enlarged enlargement "
        "enlarging expanded greater growing improved improvement improving increase increased increasing "
        "larger new persistence persistent persisting progression progressive reduced removal resolution "
        "resolved resolving smaller stability stable stably unaltered unchanged unfolded worse worsen "
        "worsened worsening ",
    )
)
_EPSILON = 1e-10
_ORDER = 4
_WORD = re.compile(r"\w+")
_CHARACTER = re.compile(f"[{HAN}{OTHER_EAST_ASIAN}]")

KEYS = ("BLEU1", "BLEU2", "BLEU3", "BLEU4", "ROUGE-L", "Temporal_entity_score", "length_ratio", "duplicate_rate")


def normalised(text: str) -> str:
    """Lower case, one line; runs of ``_`` and ``-`` become a space, other marks than ``. , : ; ( )`` go.

    So do Chinese ones but for those that stand for these.
    """
    lowered = re.sub(r"[_-]+|\n+", " ", text.lower())
    kept = re.sub(r"[^\w\s.,:;()\u3001\u3002\uff08\uff09\uff0c\uff1a\uff1b-]", "", lowered)
    return re.sub(r"\s+", " ", kept).strip()


def measures(references: Sequence[str], predictions: Sequence[str]) -> dict[str, Measure]:
    """BLEU1..4, ROUGE-L, Temporal_entity_score (times 100), length_ratio and duplicate_rate of paired texts."""
    gold = [normalised(text) for text in references]
    said = [normalised(text) for text in predictions]
    found = _bleu(gold, said)
    scorers = {
        False: RougeScorer(["rougeL"], use_stemmer=False),
        True: RougeScorer(["rougeL"], tokenizer=_Tokenizer()),
    }
    found["ROUGE-L"] = mean(
        [scorers[_by_character(a, b)].score(a, b)["rougeL"].fmeasure for a, b in zip(gold, said, strict=True)]
    )
    temporal = [temporal_f1(a, b) if in_english(a) and in_english(b) else None for a, b in zip(gold, said, strict=True)]
    if any(value is not None for value in temporal):
        found["Temporal_entity_score"] = mean(temporal)
    return found | shape(predictions, references)


class _Tokenizer:
    """rouge_score's, for a text with Chinese in it."""

    def tokenize(self, text: str) -> list[str]:
        return tokens(text)


def _by_character(*texts: str) -> bool:
    return any(map(_CHARACTER.search, texts))


def _length(text: str) -> int:
    return len(tokens(text)) if _by_character(text) else len(text.split())


def shape(predictions: Sequence[str], references: Sequence[str] | None = None) -> dict[str, Measure]:
    """Figures that need no meaning: words written per word of the reference, and sentences said twice (%)."""
    found: dict[str, Measure] = {}
    if references is not None:
        words = np.array([[_length(p), _length(r)] for p, r in zip(predictions, references, strict=True)], float)
        found["length_ratio"] = Measure(
            words, lambda sums: _over(sums[..., 0], sums[..., 1]), np.ones(len(words), bool)
        )
    repeated = np.array([_repeats(text) for text in predictions], float)
    found["duplicate_rate"] = Measure(
        repeated, lambda sums: 100 * _over(sums[..., 0], sums[..., 1]), np.ones(len(repeated), bool)
    )
    return found


def temporal_f1(reference: str, prediction: str) -> float:
    """F1 of the sets of comparison keywords of two normalised texts, 0..1."""
    gold, said = (KEYWORDS.intersection(_WORD.findall(text)) for text in (reference, prediction))
    both = len(gold & said)
    precision = (both + _EPSILON) / (len(said) + _EPSILON)
    recall = (both + _EPSILON) / (len(gold) + _EPSILON)
    return 2 * precision * recall / (precision + recall + _EPSILON) if gold or said else 1.0


def _over(numerator: Floats, denominator: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(denominator > 0, numerator / denominator, np.nan), dtype=np.float64)


def _repeats(text: str) -> tuple[int, int]:
    sentences = [normalised(sentence) for sentence in split(text)]
    return len(sentences) - len(set(sentences)), len(sentences)


def _bleu(gold: Sequence[str], said: Sequence[str]) -> dict[str, Measure]:
    """BLEU-1 to 4 from the ten statistics of each pair: matches and totals per order, lengths of text and reference."""
    scorers = {
        by_character: BLEU(max_ngram_order=_ORDER, smooth_method="none", tokenize=name, effective_order=True)
        for by_character, name in ((False, "13a"), (True, "zh"))
    }
    rows = np.zeros((len(gold), 2 * _ORDER + 2))
    for index, (reference, prediction) in enumerate(zip(gold, said, strict=True)):
        score = scorers[_by_character(reference, prediction)].sentence_score(prediction, [reference])
        rows[index] = [*score.counts, *score.totals, score.sys_len, score.ref_len]
    everywhere = np.ones(len(gold), bool)
    return {f"BLEU{order}": Measure(rows, partial(_bleu_of, order), everywhere) for order in range(1, _ORDER + 1)}


def _bleu_of(order: int, sums: Floats) -> Floats:
    """Geometric mean of the precisions up to the order, times the brevity penalty, times 100; 0 without a match."""
    counts, totals = sums[..., :order], sums[..., _ORDER : _ORDER + order]
    written, wanted = sums[..., -2], sums[..., -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.where(totals > 0, counts / totals, 0.0)).mean(-1)
        brevity = np.where(written >= wanted, 0.0, 1 - wanted / written)
        score = 100 * np.exp(logs + brevity)
    return np.asarray(np.where((counts > 0).all(-1) & (written > 0), score, 0.0), dtype=np.float64)
