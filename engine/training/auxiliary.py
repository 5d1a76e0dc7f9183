"""What truth files add to training: where a finding is, how large, and what became of it.

The words of a report say too little, too late, to teach a vision tower from random weights on one machine. A data set
that comes with truth files (the phantoms do) gives three further targets:

* ``findings``: per image and slot (a finding on one side) its size band, read from the strongest patches;
* ``regions``: per image, finding and patch, the fraction of the patch it covers, read from the patch tokens;
* ``change``: per pair what happened to each finding since the prior, per slot the size band in both films, and where
  the prior had it, all read from the connector's output.

The heads serve training alone and are not saved with the model.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.datasets.phantoms.model import band_of
from engine.errors import DatasetError
from engine.training.recipe import AuxiliaryWeights

BANDS = ("absent", "subtle", "moderate", "plain")
CHANGES = ("absent", "not compared", "new", "worse", "unchanged", "improved", "resolved")


class _Keys(NamedTuple):
    """Where a truth entry says what one film shows."""

    side: str
    size: str


FILMS = {"current": _Keys("side", "size"), "prior": _Keys("prior_side", "prior_size")}
REGION_WEIGHT = 4.0
"""A covered patch counts this much more than an empty one: most patches of most films are empty."""


@dataclass(frozen=True, slots=True)
class ImageTruth:
    """One film: band per slot ``int64 [S]``, coverage per finding and cell ``float32 [F, G]``."""

    bands: Tensor
    regions: Tensor


@dataclass(frozen=True, slots=True)
class CaseTruth:
    """One case: its films and the change per finding ``int64 [F]``. ``prior`` is None without a prior."""

    current: ImageTruth
    prior: ImageTruth | None
    changes: Tensor


class TruthTable:
    """Truth lines of a data set as targets.

    Args:
        lines: parsed truth lines (engine/datasets/phantoms/training_set.py): ``id``, ``has_prior``, ``findings`` with
            ``finding``, ``side``, ``size``, ``change``, ``prior_side`` and ``prior_size``, and ``masks`` of the
            ``current`` and the ``prior`` film: covered share per cell and finding, row by row.

    Raises:
        DatasetError: masks of different sizes.
    """

    def __init__(self, lines: Sequence[Mapping[str, Any]]) -> None:
        entries = [entry for line in lines for entry in line["findings"]]
        self.findings = tuple(sorted({entry["finding"] for entry in entries}))
        self.slots = tuple(
            sorted({(e["finding"], s) for e in entries for k in FILMS.values() if e[k.size] for s in _sides(e[k.side])})
        )
        sizes = {len(grid) for line in lines for film in line["masks"].values() for grid in film.values()}
        if len(sizes) > 1:
            raise DatasetError(f"The truth files hold masks of different sizes: {sorted(sizes)} cells.")
        self.cells = sizes.pop() if sizes else 0
        self._cases = {str(line["id"]): self._case(line) for line in lines}

    def __getitem__(self, case: str) -> CaseTruth:
        return self._cases[case]

    def __contains__(self, case: str) -> bool:
        return case in self._cases

    def _case(self, line: Mapping[str, Any]) -> CaseTruth:
        entries = {entry["finding"]: entry for entry in line["findings"]}
        changes = [CHANGES.index(entries[f]["change"]) if f in entries else 0 for f in self.findings]
        prior = self._image(line, "prior") if line["has_prior"] else None
        return CaseTruth(self._image(line, "current"), prior, torch.tensor(changes))

    def _image(self, line: Mapping[str, Any], film: str) -> ImageTruth:
        bands = torch.zeros(len(self.slots), dtype=torch.long)
        regions = torch.zeros(len(self.findings), self.cells)
        keys = FILMS[film]
        for entry in line["findings"]:
            if entry[keys.size]:
                for side in _sides(entry[keys.side]):
                    bands[self.slots.index((entry["finding"], side))] = BANDS.index(band_of(entry[keys.size]))
        for finding, grid in line["masks"].get(film, {}).items():
            regions[self.findings.index(finding)] = torch.tensor(grid)
        return ImageTruth(bands, regions)


def read_truth(paths: Iterable[Path]) -> TruthTable:
    """Read truth files (JSON Lines).

    Raises:
        DatasetError: a file cannot be read or a line breaks the format.
    """
    lines = []
    for path in paths:
        try:
            lines += [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        except (OSError, ValueError) as error:
            raise DatasetError(f"The truth file {path.name} cannot be read.") from error
    try:
        return TruthTable(lines)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"The truth files break their format: {error}.") from error


def _sides(side: str | None) -> tuple[str, ...]:
    if not side:
        return ("",)
    return ("left", "right") if side == "bilateral" else (side,)


class AuxiliaryHeads(nn.Module):
    """The heads over a tower of width D and a connector of output width H, and their losses."""

    def __init__(self, truth: TruthTable, vision_size: int, text_size: int) -> None:
        super().__init__()
        self.slots, self.targets = len(truth.slots), len(truth.findings)
        self.findings = nn.Linear(vision_size, self.slots * len(BANDS))
        self.regions = nn.Linear(vision_size, self.targets)
        self.before = nn.Linear(text_size, self.targets)
        self.compared = nn.Linear(text_size, 2 * self.slots * len(BANDS))
        self.change = nn.Sequential(
            nn.Linear(text_size, text_size), nn.GELU(), nn.Linear(text_size, self.targets * len(CHANGES))
        )

    def image_loss(self, patches: Tensor, bands: Tensor, regions: Tensor, weights: AuxiliaryWeights) -> Tensor:
        """Loss of ``patches [U, N, D]`` against ``bands [U, S]`` and ``regions [U, F, N]``."""
        loss = patches.new_zeros(())
        if weights.findings:
            logits = self.findings(patches.amax(1)).view(-1, len(BANDS))
            loss = loss + weights.findings * F.cross_entropy(logits, bands.reshape(-1))
        if weights.regions:
            loss = loss + weights.regions * _covered(self.regions(patches), regions)
        return loss

    def change_loss(
        self, tokens: Tensor, changes: Tensor, films: Tensor, before: Tensor, weights: AuxiliaryWeights
    ) -> Tensor:
        """Loss of the connector's ``tokens [B, N, H]``.

        Args:
            tokens: what the connector made of both films.
            changes: ``[B, F]``.
            films: size bands in the current and in the prior film, ``[B, 2, S]``: what a change follows from.
            before: what the prior covers, ``[B, F, N]``. Poses of two films differ by less than a cell or two, so each
                token is asked for its own cell: the shortest way to teach the connector to look where it looks in the
                current film.
        """
        if not weights.change:
            return tokens.new_zeros(())
        strongest = tokens.amax(1)
        named = _summed(self.change(strongest), changes, len(CHANGES))
        sized = _summed(self.compared(strongest), films, len(BANDS))
        return weights.change * (named + sized + _covered(self.before(tokens), before))


def _summed(logits: Tensor, targets: Tensor, classes: int) -> Tensor:
    """Cross-entropy of ``logits [B, K * classes]`` and K ``targets`` a row: summed over K, mean over B."""
    losses = F.cross_entropy(logits.view(-1, classes), targets.reshape(-1), reduction="none")
    return losses.view(len(logits), -1).sum(1).mean()


def _covered(logits: Tensor, regions: Tensor) -> Tensor:
    """Cross-entropy of ``logits [B, N, F]`` and covered shares ``[B, F, N]``: summed over findings, mean over cells."""
    weight = 1 + (REGION_WEIGHT - 1) * (regions > 0)
    cells = F.binary_cross_entropy_with_logits(logits.transpose(1, 2), regions, weight, reduction="none")
    return cells.sum(1).mean()
