"""Which weights a model is, without loading it: the sha256 that its drafts and evaluations name (``ModelInfo``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.models import libra, weights

if TYPE_CHECKING:
    from engine.models.recognition import ModelFolder


def fingerprint(folder: ModelFolder) -> str:
    """One hash over all weight files of an examined folder without problems: its own or its base's, adapter, tower.

    Files are read for it once; their hashes are kept (weights.digest).
    """
    adapted = folder.adapter.weights.files if folder.adapter is not None else ()
    apart = folder.tower is not None and not libra.has_own_tower(folder.config, folder.weights)
    tower = folder.tower.weights.files if folder.tower is not None and apart else ()
    return weights.digest((*folder.weights.files, *adapted, *tower))
