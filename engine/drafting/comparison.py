"""What is drafted from: a current radiograph and, if there is one, an earlier one of the same patient."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from engine.imaging.matching import check_same_patient
from engine.imaging.reader import Reader
from engine.imaging.types import Image


@dataclass(frozen=True)
class Comparison:
    """A current image and its prior, or None.

    Raises PatientMismatch when both name their patient and the patients differ.
    """

    current: Image
    prior: Image | None = None

    def __post_init__(self) -> None:
        if self.prior is not None:
            check_same_patient(self.current, self.prior)

    @classmethod
    def open(cls, current: str | Path, prior: str | Path | None = None, *, reader: Reader | None = None) -> Comparison:
        """Read one or two files; who opens many gives a ``reader``, whose worker process then serves all of them.

        Raises UnreadableFile, naming the file, and PatientMismatch.
        """
        with nullcontext(reader) if reader is not None else Reader() as shared:
            return cls(shared.read(Path(current)), None if prior is None else shared.read(Path(prior)))
