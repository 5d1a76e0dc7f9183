"""The memory a model's weights take, by precision, from the headers of its files.

The weights alone: a draft needs room for the images, the attention cache and the working memory on top. For int8 and
nf4 the matrices of the language model's layers are counted as quantised, with their scales, and all else as bfloat16:
so quantising is done, because embeddings, norms, connector and tower lose more than they save. What is stored quantised
stays as it is in every precision.
"""

from __future__ import annotations

import re
from math import prod

from engine.models import libra
from engine.models.quantisation import BYTES
from engine.models.stored import Packed
from engine.models.survey import Survey
from engine.models.weights import Entry, Weights

PRECISIONS = ("float32", "bfloat16", "int8", "nf4")

_LAYER = re.compile(r"(^|\.)layers\.\d+\.")
_BLOCK, _BLOCKS = 64, 256
"""nf4: values that share an 8-bit scale, and scales that share a float32 (double quantisation)."""


def footprint(found: Survey) -> dict[str, int]:
    """Precision -> bytes of everything that is loaded; {} where there are no weights to look at."""
    parts = [_loaded(found)]
    if found.model is not None and found.tower is not None and not _has_own_tower(found):
        parts.append(found.tower.weights)
    entries = [(name, entry) for part in parts for name, entry in part.entries.items()]
    if not entries:
        return {}
    whole = any(isinstance(entry, Packed) for _, entry in entries)  # nothing more is quantised then
    counted = {one: "bfloat16" if whole and one in BYTES else one for one in PRECISIONS}
    return {one: sum(_bytes(name, entry, counted[one]) for name, entry in entries) for one in PRECISIONS}


def _has_own_tower(found: Survey) -> bool:
    assert found.model is not None
    return libra.has_own_tower(found.model.config, found.weights)


def _loaded(found: Survey) -> Weights:
    """The folder's tensors without a tower that lies in it unused, as in some checkpoints of Libra's format."""
    if found.model is None or not found.model.family.startswith("libra") or _has_own_tower(found):
        return found.weights
    return found.weights.renamed(lambda name: None if name.startswith("model.vision_tower.") else name)


def _bytes(name: str, entry: Entry, precision: str) -> int:
    count = prod(entry.shape)
    if isinstance(entry, Packed):
        return _quantised(entry, entry.dtype)
    if not entry.dtype.startswith(("float", "bfloat")):
        return 8 * count
    if precision == "float32":
        return 4 * count
    if precision == "bfloat16" or not is_quantised(name, entry):
        return 2 * count
    return _quantised(entry, precision)


def _quantised(entry: Entry, precision: str) -> int:
    count = prod(entry.shape)
    if precision == "int8":
        return count + 4 * entry.shape[0]  # a float32 scale for each row
    return -(-count // 2) - (-count // _BLOCK) - 4 * (-count // (_BLOCK * _BLOCKS))


def is_quantised(name: str, entry: Entry) -> bool:
    """Whether a tensor is a matrix of a layer of the language model."""
    in_language_model = _LAYER.search(name) is not None and "vision" not in name and "visual" not in name
    return in_language_model and len(entry.shape) == 2 and not name.startswith(libra.CONNECTOR)
