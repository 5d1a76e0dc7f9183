"""CheXbert F1: what the labeller CheXbert finds in the reference against what it finds in the prediction.

Smit et al. 2020: a BERT whose [CLS] state goes through 14 linear heads. Thirteen of them say blank, positive, negative
or uncertain (0 to 3), the last says whether the report has no finding. As F1CheXbert (0.0.2) and RadEval (2.2.1)
publish it, a class counts as present where the label is positive **or uncertain**; scores are over all 14 classes and
over five, micro (over all labels) and macro (mean over the classes, one that neither text names counts as 0).

The folder is bert-base-uncased's ``config.json`` and tokenizer with CheXbert's ``chexbert.pth`` beside them, which is
read for tensors only.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from engine.errors import ModelError
from engine.evaluation import encoders
from engine.evaluation.meaning import FIVE
from engine.evaluation.statistics import Floats, Measure, f1

FILE = "chexbert.pth"
CLASSES = (
    "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema", "Consolidation", "Pneumonia",
    "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture", "Support Devices", "No Finding",
)  # fmt: skip
"""In the order of the heads."""

POSITIVE, UNCERTAIN = 1, 3
PRESENT = (POSITIVE, UNCERTAIN)
_BUFFERS = ("bert.embeddings.position_ids",)
"""Written by older versions of transformers, computed by this one."""


class CheXbert:
    """A scorer with the checkpoint in a folder.

    Raises:
        ModelError: the folder lacks something, or ``chexbert.pth`` holds more than tensors or others than CheXbert's.
    """

    absent: Mapping[str, str] = MappingProxyType({})
    stems: tuple[str, ...] = ("chexbert_f1",)

    def __init__(self, folder: Path) -> None:
        config = BertConfig(**encoders.configuration(folder, "bert"))
        self._model = _Labeller(config)
        encoders.put(self._model, _tensors(folder / FILE, self._model))
        self._words = encoders.tokenizer(folder)
        self._most = int(config.max_position_embeddings)

    def measures(self, references: Sequence[str], predictions: Sequence[str]) -> dict[str, Measure]:
        """The four scores and one for each class, in percent."""
        labels = self.labels([*references, *predictions])
        return measures(labels[: len(references)], labels[len(references) :])

    def labels(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The label of each class in each text [texts, 14], as CheXbert numbers them."""
        cleaned = [" ".join(text.split()) for text in texts]
        device = next(self._model.parameters()).device
        found: dict[str, list[int]] = {}
        for text, _, states in encoders.read(self._model.bert, self._words, cleaned, self._most):
            with torch.inference_mode():
                state = states[0].to(device)
                found[text] = [int(head(state).argmax()) for head in self._model.linear_heads]
        return np.array([found[text] for text in cleaned], dtype=np.int64).reshape(len(texts), len(CLASSES))


class _Labeller(nn.Module):
    """By the names of CheXbert's own checkpoint."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.bert = BertModel(config)
        sizes = [4] * (len(CLASSES) - 1) + [2]
        self.linear_heads = nn.ModuleList(nn.Linear(config.hidden_size, size) for size in sizes)


def measures(
    reference: np.ndarray[Any, np.dtype[np.int64]], prediction: np.ndarray[Any, np.dtype[np.int64]]
) -> dict[str, Measure]:
    """The scores of labels [studies, 14]."""
    there, said = np.isin(reference, PRESENT), np.isin(prediction, PRESENT)
    counts = np.stack([there & said, ~there & said, there & ~said], axis=-1).astype(np.float64)
    everywhere = np.ones(len(counts), dtype=bool)
    found: dict[str, Measure] = {}
    for suffix, names in (("14", CLASSES), ("5", FIVE)):
        columns = counts[:, [CLASSES.index(name) for name in names]]
        found[f"chexbert_f1_micro_{suffix}"] = Measure(columns.sum(1), _micro, everywhere)
        macro = partial(_macro, len(names))
        found[f"chexbert_f1_macro_{suffix}"] = Measure(columns.reshape(len(counts), -1), macro, everywhere)
    for column, name in enumerate(CLASSES):
        found[f"chexbert_f1[{name}]"] = Measure(counts[:, column], _micro, everywhere)
    return found


def _micro(sums: Floats) -> Floats:
    return 100 * f1(sums)


def _macro(classes: int, sums: Floats) -> Floats:
    return np.asarray(100 * np.nan_to_num(f1(sums.reshape(*sums.shape[:-1], classes, 3))).mean(-1), dtype=np.float64)


def _tensors(file: Path, model: nn.Module) -> Mapping[str, Tensor]:
    """The tensors of ``chexbert.pth`` by the model's names; training kept them among its state and under "module."."""
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as cause:
        raise ModelError(f"'{file.parent.name}' has no {FILE}, the weights of CheXbert.") from cause
    except pickle.UnpicklingError as cause:
        raise ModelError(f"{FILE} is damaged or holds more than weights, and is refused.") from cause
    except Exception as cause:  # a damaged file raises whatever its first broken part provokes
        raise ModelError(f"{FILE} is damaged or no file of weights.") from cause
    state = content.get("model_state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise ModelError(f"{FILE} is not a table of weights.")
    named = {str(name).removeprefix("module."): tensor for name, tensor in state.items()}
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    kept = {name: tensor for name, tensor in named.items() if name not in _BUFFERS}
    if {name: tensor.shape for name, tensor in kept.items()} != expected:
        wrong = sorted(set(kept) ^ set(expected)) or [n for n in expected if kept[n].shape != expected[n]]
        raise ModelError(f"{FILE} does not fit config.json or is not CheXbert's: see {wrong[0]}.")
    if not all(torch.isfinite(tensor).all() for tensor in kept.values() if tensor.is_floating_point()):
        raise ModelError(f"{FILE} holds values that are not numbers: it is damaged.")
    return kept
