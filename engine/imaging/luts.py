"""LUT sequences and windows of a data set: DICOM PS3.3 C.11.1 (Modality) and C.11.2 (VOI).

Real files hold descriptors that contradict their tables, windows of width 0 and centres without widths. What cannot be
right is left out and said in a note; the picture is then shown by the next thing in line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from engine.imaging import tags
from engine.imaging.types import FUNCTIONS, VoiLut, Window

__all__ = ["Table", "modality_table", "voi_luts", "windows"]

MAXIMUM_WINDOWS = 32


@dataclass(frozen=True, eq=False)
class Table:
    """A LUT as the file has it: ``entries[i]`` (uint16) belongs to the input value ``first + i``."""

    first: int
    bits: int
    entries: NDArray[np.uint16]


class _BadTable(ValueError):
    """Why a table cannot be right."""


def modality_table(ds: Dataset, signed: bool, little_endian: bool) -> tuple[Table | None, tuple[str, ...]]:
    """The Modality LUT, if the file has one that can be right, and a note if it has one that cannot."""
    for item in tags.items(ds, "ModalityLUTSequence"):
        try:
            return _table(item, signed, little_endian), ()
        except _BadTable as reason:
            return None, (f"Modality LUT ignored: {reason}.",)
    return None, ()


def voi_luts(ds: Dataset, signed: bool, little_endian: bool) -> tuple[tuple[VoiLut, ...], tuple[str, ...]]:
    """The VOI LUTs that can be right, in the file's order, and a note for each that cannot."""
    good: list[VoiLut] = []
    notes: list[str] = []
    for n, item in enumerate(list(tags.items(ds, "VOILUTSequence"))[:MAXIMUM_WINDOWS], start=1):
        try:
            table = _table(item, signed, little_endian)
            full = (1 << table.bits) - 1
            if int(table.entries.max()) * 8 < full or table.entries.min() == table.entries.max():
                # a descriptor that promises more bits than the table uses shows a black picture
                raise _BadTable("its descriptor contradicts its table")
        except _BadTable as reason:
            notes.append(f"VOI LUT {n} ignored: {reason}.")
            continue
        name = tags.text(item, "LUTExplanation", 64) or f"VOI LUT {n}"
        good.append(VoiLut(table.first, table.entries / float(full), name))
    return tuple(good), tuple(notes)


def _table(item: Dataset, signed: bool, little_endian: bool) -> Table:
    descriptor = [int(n) for n in tags.numbers(item, "LUTDescriptor")]
    if len(descriptor) != 3:
        raise _BadTable("its descriptor is missing or broken")
    count = descriptor[0] & 0xFFFF or 65536
    first = descriptor[1] - 65536 if signed and descriptor[1] > 32767 else descriptor[1]
    bits = descriptor[2]
    if not 8 <= bits <= 16:
        raise _BadTable(f"its descriptor says {bits} bits")
    entries = _entries(tags.value(item, "LUTData"), count, bits, little_endian)
    if int(entries.max()) >= 1 << bits:
        raise _BadTable("its descriptor contradicts its table")
    return Table(first, bits, entries)


def _entries(data: object, count: int, bits: int, little_endian: bool) -> NDArray[np.uint16]:
    if isinstance(data, bytes):
        raw = data
    else:
        try:
            listed = np.atleast_1d(np.asarray(data, dtype=np.int64)) & 0xFFFF
        except (TypeError, ValueError) as error:
            raise _BadTable("its table is missing or broken") from error
        little_endian, raw = True, listed.astype("<u2").tobytes()
    if len(raw) >= 2 * count:
        return np.frombuffer(raw, "<u2" if little_endian else ">u2", count).astype(np.uint16)
    if bits == 8 and len(raw) in (count, count + 1):  # two 8-bit entries to a word
        return np.frombuffer(raw, np.uint8, count).astype(np.uint16)
    raise _BadTable(f"its table is shorter than the {count} entries of its descriptor")


def windows(ds: Dataset) -> tuple[tuple[Window, ...], tuple[str, ...]]:
    """The file's windows in its order, and a note for each that cannot be used."""
    centers, widths = tags.numbers(ds, "WindowCenter"), tags.numbers(ds, "WindowWidth")
    names = tags.texts(ds, "WindowCenterWidthExplanation", 64)
    function = tags.text(ds, "VOILUTFunction").upper() or "LINEAR"
    notes: list[str] = []
    present = tags.value(ds, "WindowCenter") is not None or tags.value(ds, "WindowWidth") is not None
    if function not in FUNCTIONS:
        notes.append("VOI LUT function not known; LINEAR is used.")
        function = "LINEAR"
    if present and (not centers or len(centers) != len(widths)):
        notes.append("Window ignored: its centre and width are broken or do not belong together.")
        if not centers or not widths:
            return (), tuple(notes)
    good: list[Window] = []
    for n, (center, width) in enumerate(list(zip(centers, widths, strict=False))[:MAXIMUM_WINDOWS]):
        name = names[n] if n < len(names) and names[n] else f"Window {n + 1}"
        if width < 1 if function == "LINEAR" else width <= 0:
            notes.append(f"Window {n + 1} ignored: its width is {width:g}.")
        else:
            good.append(Window(center, width, name, function))
    return tuple(good), tuple(notes)
