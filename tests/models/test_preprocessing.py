"""Pictures become the pixels Libra's inference makes of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from engine.errors import ModelError
from engine.models.preprocessing import ImageProcessor, Padding, normalise, prepare, to_uint8

RAD_DINO = ImageProcessor(518, (518, 518), (0.5307,) * 3, (0.2583,) * 3)
SMALL = ImageProcessor(28, (28, 28), (0.5307,) * 3, (0.2583,) * 3)
PICTURES = {"example_curent": "pair_current.jpg", "example_prior": "pair_prior.jpg"}


@pytest.mark.parametrize("tower", ["raddino518", "clip336"])
@pytest.mark.parametrize(
    ("form", "name"), [("pad", "example_curent"), ("pad", "example_prior"), ("square", "example_curent")]
)
def test_full_size_equals_libra(name: str, tower: str, form: str, libra: Path, shared: Path) -> None:
    expected = np.load(libra / "golden" / "preprocess_full_uint8.npz")
    key = f"{tower}.{form}.{name}"
    config = json.loads((libra / "golden" / "preprocess_full.json").read_text())["processors"][tower]
    processor = ImageProcessor.from_config(config, Padding.MEAN if form == "pad" else Padding.NONE)
    with Image.open(shared / "data" / PICTURES[name]) as image:
        np.testing.assert_array_equal(to_uint8(image, processor).transpose(2, 0, 1), expected[key])


@given(
    width=st.integers(1, 90), height=st.integers(1, 90), mode=st.sampled_from(["L", "RGB", "RGBA", "P", "1", "CMYK"])
)
def test_any_picture_fits_the_tower(width: int, height: int, mode: str) -> None:
    pixels = prepare(Image.new(mode, (width, height)), SMALL)
    assert pixels.shape == (3, 28, 28)
    assert pixels.dtype == np.float32
    assert np.isfinite(pixels).all()


@given(width=st.integers(1, 60), height=st.integers(1, 60))
def test_padding_is_the_mean_on_both_sides(width: int, height: int) -> None:
    white = Image.new("L", (width, height), 255)
    pixels = to_uint8(white, SMALL)
    if width == height:
        assert (pixels == 255).all()
    if abs(width - height) // 2 >= 6:  # wider than what the bicubic filter mixes at these sizes
        corner = int(0.5307 * 255)
        assert (pixels[0, 0] == corner).all()
        assert (pixels[-1, -1] == corner).all()


def test_black_padding_and_none() -> None:
    wide = Image.new("L", (60, 20), 255)
    black = ImageProcessor(28, (28, 28), (0.5307,) * 3, (0.2583,) * 3, Padding.BLACK)
    cut = ImageProcessor(28, (28, 28), (0.5307,) * 3, (0.2583,) * 3, Padding.NONE)
    assert to_uint8(wide, black)[0, 0].tolist() == [0, 0, 0]
    assert (to_uint8(wide, cut) == 255).all()


def test_normalise_is_the_formula() -> None:
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    expected = (levels.astype(np.float64) / 255 - 0.5307) / 0.2583
    np.testing.assert_allclose(normalise(levels, SMALL), expected.transpose(2, 0, 1), atol=1e-6)


def test_configuration_round_trip() -> None:
    assert ImageProcessor.from_config(RAD_DINO.to_config()) == RAD_DINO


@pytest.mark.parametrize(
    "change",
    [
        {"size": {"height": 5, "width": 5}},
        {"size": None},
        {"crop_size": {"height": 600, "width": 600}},
        {"image_mean": [0.5]},
        {"resample": 2},
        {"do_normalize": False},
        {"rescale_factor": 1},
    ],
)
def test_settings_that_are_not_reproduced_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ModelError, match=r"preprocessor_config\.json"):
        ImageProcessor.from_config({**RAD_DINO.to_config(), **change})
