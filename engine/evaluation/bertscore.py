"""BERTScore as Libra computes it: distilbert-base-uncased, layer 5, no idf, no rescaling; the mean F1 over studies.

Zhang et al. 2020: every token of one text is matched with the likest of the other by the cosine of their vectors;
precision is the mean over the prediction's tokens, recall over the reference's. [CLS] and [SEP] may be matched but are
not averaged. A text without words scores 0. Texts are compared after ``wording.normalised``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from torch import Tensor
from torch.nn.functional import normalize
from transformers import DistilBertConfig, DistilBertModel

from engine.errors import ModelError
from engine.evaluation import encoders
from engine.evaluation.statistics import Measure, mean
from engine.evaluation.wording import normalised
from engine.models import weights

KEY = "Bert_score"
LAYER = 5


class BertScore:
    """A scorer with the checkpoint in a folder.

    Raises:
        ModelError: the folder holds no DistilBERT of at least five layers that can be read.
    """

    absent: Mapping[str, str] = MappingProxyType({})
    stems: tuple[str, ...] = (KEY,)

    def __init__(self, folder: Path) -> None:
        content = encoders.configuration(folder, "distilbert")
        if int(content.get("n_layers", LAYER)) < LAYER:
            raise ModelError(
                f"'{folder.name}' has fewer than {LAYER} layers; BERTScore is computed from layer {LAYER}."
            )
        config = DistilBertConfig(**(content | {"n_layers": LAYER}))
        self._model = DistilBertModel(config)
        found = weights.look(folder)
        bare = found.under("distilbert.")
        encoders.fill(self._model, bare if bare.entries else found, folder.name)
        self._words = encoders.tokenizer(folder)
        self._special = {self._words.cls_token_id, self._words.sep_token_id}
        self._most = int(config.max_position_embeddings)

    def measures(self, references: Sequence[str], predictions: Sequence[str]) -> dict[str, Measure]:
        """BERTScore F1 of paired texts, times 100."""
        return {KEY: mean(self.f1(references, predictions))}

    def f1(self, references: Sequence[str], predictions: Sequence[str]) -> list[float]:
        """F1 of each pair, about -1..1."""
        gold, said = ([normalised(text) for text in texts] for texts in (references, predictions))
        vectors = {
            text: (normalize(states, dim=-1), self._counted(ids))
            for text, ids, states in encoders.read(self._model, self._words, [*gold, *said], self._most)
        }
        return [_f1(vectors[a], vectors[b]) for a, b in zip(gold, said, strict=True)]

    def _counted(self, ids: Tensor) -> Tensor:
        """Which tokens are averaged: all but [CLS] and [SEP]."""
        counted = ids.new_ones(ids.shape).bool()
        for special in self._special:
            counted &= ids != special
        return counted


def _f1(reference: tuple[Tensor, Tensor], prediction: tuple[Tensor, Tensor]) -> float:
    """Of (unit vectors [tokens, width], which of them are averaged [tokens]) of both texts."""
    (gold, of_gold), (said, of_said) = reference, prediction
    if not of_gold.any() or not of_said.any():
        return 0.0
    likeness = said @ gold.T
    precision = float(likeness.max(dim=1).values[of_said].mean())
    recall = float(likeness.max(dim=0).values[of_gold].mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
