"""An :class:`Image` as JSON and raw arrays, so that nothing executable crosses between processes.

    describe / restore      the arrays by name, for whoever carries them
    to_wire / from_wire     the arrays as files of a folder

The receiving side trusts nothing: every value is converted, every array has the size that its shape asks for, and the
constructors of the types say the rest. Knows nothing of processes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.imaging.types import Image, Patient, Spacing, View, VoiLut, Window

__all__ = ["describe", "from_wire", "restore", "to_wire"]

_TEXTS = (
    "sha256",
    "source",
    "format",
    "photometric",
    "view",
    "view_basis",
    "laterality",
    "study_uid",
    "sop_uid",
    "accession",
    "study_description",
    "modality",
    "acquired_basis",
    "decoder",
    "body_part",
)
MAXIMUM_TEXT = 4096


def to_wire(image: Image, folder: Path) -> dict[str, Any]:
    """Write the arrays of ``image`` into ``folder`` and return the rest as JSON values."""
    message, arrays = describe(image)
    for name, array in arrays.items():
        array.tofile(folder / name)
    return message


def from_wire(message: dict[str, Any], folder: Path, maximum_pixels: int) -> Image:
    """The image that ``to_wire`` described. Raises ValueError, TypeError, KeyError or OSError if it did not."""
    return restore(message, lambda name, dtype, count: _array(folder / name, dtype, count), maximum_pixels)


def describe(image: Image) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The image as JSON values, and its arrays by name; nothing is copied that has its form already."""
    arrays: dict[str, NDArray[Any]] = {"pixels": image.pixels.astype("<u2", copy=False)}
    if image.padding is not None:
        arrays["padding"] = image.padding
    if image.rgb is not None:
        arrays["rgb"] = image.rgb
    for n, lut in enumerate(image.luts):
        arrays[f"lut{n}"] = lut.values.astype("<f8", copy=False)
    born = image.patient.birth_date
    message = {
        **{name: str(getattr(image, name)) for name in _TEXTS},
        "shape": list(image.pixels.shape),
        "slope": image.slope,
        "intercept": image.intercept,
        "padding": image.padding is not None,
        "rgb": image.rgb is not None,
        "windows": [[each.center, each.width, each.name, each.function] for each in image.windows],
        "luts": [[each.first, each.values.size, each.name] for each in image.luts],
        "inverted": image.inverted,
        "bits": image.bits,
        "orientation": list(image.orientation),
        "spacing": None
        if image.spacing is None
        else [image.spacing.row_mm, image.spacing.column_mm, image.spacing.basis],
        "patient": [
            image.patient.id,
            image.patient.issuer,
            image.patient.name,
            born.isoformat() if born else None,
            image.patient.sex,
        ],
        "acquired": image.acquired.isoformat() if image.acquired else None,
        "date_reliable": image.date_reliable,
        "notes": list(image.notes),
    }
    return message, arrays


def restore(message: dict[str, Any], take: Callable[[str, str, int], NDArray[Any]], maximum_pixels: int) -> Image:
    """The image that ``describe`` described.

    Args:
        message: the JSON values.
        take: gives the array of a name, a dtype and a count of values; raises ValueError where it has another size.
        maximum_pixels: more are refused.

    Raises ValueError, TypeError, KeyError, or what ``take`` raises, if the message describes no image.
    """
    rows, columns = (int(n) for n in message["shape"])
    if rows < 1 or columns < 1 or rows * columns > maximum_pixels:
        raise ValueError("impossible shape")
    size = rows * columns
    padding = take("padding", "|b1", size).reshape(rows, columns) if message["padding"] else None
    rgb = take("rgb", "|u1", size * 3).reshape(rows, columns, 3) if message["rgb"] else None
    luts = [(int(first), int(count), _text(name)) for first, count, name in message["luts"]]
    if any(not 0 < count <= 65536 for _, count, _ in luts):
        raise ValueError("impossible LUT")
    patient_id, issuer, name, born, sex = message["patient"]
    spacing = message["spacing"]
    texts = {name: _text(message[name]) for name in _TEXTS}
    view = View(texts.pop("view"))
    return Image(
        **texts,
        view=view,
        pixels=take("pixels", "<u2", size).astype(np.uint16, copy=False).reshape(rows, columns),
        slope=float(message["slope"]),
        intercept=float(message["intercept"]),
        padding=padding,
        rgb=rgb,
        windows=tuple(Window(float(c), float(w), _text(n), _text(f)) for c, w, n, f in message["windows"]),
        luts=tuple(
            VoiLut(first, take(f"lut{n}", "<f8", count).astype(np.float64, copy=False), name)
            for n, (first, count, name) in enumerate(luts)
        ),
        inverted=bool(message["inverted"]),
        bits=int(message["bits"]),
        orientation=tuple(_text(each) for each in message["orientation"]),
        spacing=None if spacing is None else Spacing(float(spacing[0]), float(spacing[1]), _text(spacing[2])),
        patient=Patient(
            _text(patient_id), _text(issuer), _text(name), date.fromisoformat(born) if born else None, _text(sex)
        ),
        acquired=datetime.fromisoformat(message["acquired"]) if message["acquired"] else None,
        date_reliable=bool(message["date_reliable"]),
        notes=tuple(_text(each) for each in message["notes"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAXIMUM_TEXT:
        raise ValueError("not a text of reasonable length")
    return value


def _array(path: Path, dtype: str, count: int) -> NDArray[Any]:
    """``count`` values from a raw file of exactly that size; the file is removed."""
    kind = np.dtype(dtype)
    if path.is_symlink() or path.stat().st_size != count * kind.itemsize:
        raise ValueError("array of another size than announced")
    values = np.fromfile(path, kind, count)
    path.unlink()
    return values
