"""The real radiographs of the shared folder, against pydicom and Pillow (skipped where the folder is missing)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image as PillowImage
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from engine.imaging import Image, Reader, View, read, read_image, render, to_pil


def expected_grey(path: Path, image: Image) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """What pydicom and Pillow make of the file, 0..1."""
    ds = pydicom.dcmread(path)
    shown = apply_voi_lut(apply_modality_lut(ds.pixel_array, ds), ds, prefer_lut=True).astype(float)
    shown /= (1 << ds.BitsStored) - 1
    return 1 - shown if image.inverted else shown


@pytest.mark.parametrize("name", ["cr_chest_j2k_15bit.dcm", "cr_rg3_j2k_lossless.dcm"])
def test_real_radiographs_are_shown_as_pydicom_shows_them(name: str, shared: Path) -> None:
    image = read_image(shared / "data" / name)
    difference = np.abs(render(image) / 255 - expected_grey(shared / "data" / name, image))
    assert image.inverted and difference.max() <= 1.5 / 255


def test_what_the_real_files_say(shared: Path) -> None:
    with Reader() as reader:
        chest = read_image(shared / "data" / "cr_chest_j2k_15bit.dcm", reader)
        other = read_image(shared / "data" / "rsna_chest.dcm", reader)
        leg = read_image(shared / "data" / "cr_rg3_j2k_lossless.dcm", reader)
    assert (chest.rows, chest.columns, chest.bits, chest.view) == (1955, 1841, 15, View.PA)
    assert chest.spacing is None and any("Pixel spacing ignored" in note for note in chest.notes)
    assert other.view is View.PA and not other.date_reliable and other.spacing is not None
    assert leg.body_part == "EXTREMITY" and any("mirrored" in note for note in leg.notes)


@pytest.mark.parametrize("name", ["pair_current.jpg", "pair_prior.jpg", "nih_00000001_000.png"])
def test_real_pictures_are_exactly_what_pillow_shows(name: str, shared: Path) -> None:
    image = read_image(shared / "data" / name)
    with PillowImage.open(shared / "data" / name) as opened:
        assert (np.asarray(to_pil(image).convert("RGB")) == np.asarray(opened.convert("RGB"))).all()


def test_the_whole_folder_at_once(shared: Path) -> None:
    intake = read([shared / "data"])
    assert len(intake.studies) == 6
    assert [problem.source for problem in intake.problems] == ["data/README.md"]
