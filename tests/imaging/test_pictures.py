"""PNG and JPEG pictures: 8-bit ones exactly as Pillow sees them, 16-bit ones with all their bits."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import radiograph
from PIL import Image as PillowImage
from PIL import ImageOps

from engine.errors import UnreadableFile
from engine.imaging import View, lut8, render, to_pil
from engine.imaging.parsing import parse_bytes


def encoded(picture: PillowImage.Image, kind: str = "PNG", **options: Any) -> bytes:
    """``picture`` as the bytes of a file."""
    out = BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def colours() -> PillowImage.Image:
    """A colour picture of 40 x 32 pixels."""
    random = np.random.default_rng(3)
    return PillowImage.fromarray(random.integers(0, 256, (40, 32, 3), dtype=np.uint8))


def grey() -> PillowImage.Image:
    """A grey picture of 40 x 32 pixels."""
    return PillowImage.fromarray(radiograph(bits=8))


def with_transparency() -> PillowImage.Image:
    """A colour picture with an alpha channel."""
    picture = colours().convert("RGBA")
    picture.putalpha(128)
    return picture


PICTURES: dict[str, bytes] = {
    "grey PNG": encoded(grey()),
    "grey JPEG": encoded(grey(), "JPEG"),
    "colour PNG": encoded(colours()),
    "colour JPEG": encoded(colours(), "JPEG", quality=90),
    "progressive JPEG": encoded(colours(), "JPEG", progressive=True),
    "CMYK JPEG": encoded(colours().convert("CMYK"), "JPEG"),
    "palette PNG": encoded(colours().quantize(32)),
    "palette PNG with transparency": encoded(colours().quantize(32), transparency=3),
    "one-bit PNG": encoded(grey().convert("1")),
    "two-bit PNG": encoded(grey().quantize(4), bits=2),
    "RGBA PNG": encoded(with_transparency()),
    "LA PNG": encoded(with_transparency().convert("LA")),
    "grey PNG stored as RGB": encoded(grey().convert("RGB")),
}


@pytest.mark.parametrize("name", PICTURES)
def test_eight_bit_pictures_are_exactly_what_pillow_shows(name: str) -> None:
    image = parse_bytes(PICTURES[name], name)
    with PillowImage.open(BytesIO(PICTURES[name])) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
        luminance = np.asarray(ImageOps.exif_transpose(opened).convert("RGB").convert("L"))
    assert (np.asarray(to_pil(image).convert("RGB")) == expected).all()
    assert (image.pixels == luminance).all()
    assert (render(image) == luminance).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_followed(orientation: int) -> None:
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    data = encoded(grey(), "JPEG", exif=exif)
    image = parse_bytes(data, "a")
    with PillowImage.open(BytesIO(data)) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    assert (np.asarray(to_pil(image).convert("RGB")) == expected).all()
    assert any("orientation" in note for note in image.notes) == (orientation != 1)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [12, 16])
def test_sixteen_bit_pictures_keep_their_bits(channels: int, bits: int) -> None:
    values = radiograph(bits=bits)
    samples = values if channels == 1 else np.stack([values] * channels, -1)
    image = parse_bytes(imagecodecs.png_encode(samples), "a")
    assert (image.pixels == values).all() and image.bits == 16 and image.rgb is None
    assert [window.name for window in image.windows] == ["1-99 %"]
    assert np.ptp(render(image)) > 200


def test_a_sixteen_bit_colour_picture_is_its_luminance() -> None:
    samples = np.random.default_rng(1).integers(0, 65536, (40, 32, 3)).astype(np.uint16)
    image = parse_bytes(imagecodecs.png_encode(samples), "a")
    assert abs(image.pixels - samples @ np.array([0.299, 0.587, 0.114])).max() <= 2


def test_nothing_is_guessed_about_a_picture() -> None:
    image = parse_bytes(PICTURES["grey JPEG"], "chest_PA_2020-01-01.jpg")
    assert image.patient.id == image.patient.name == "" and image.acquired is None and not image.date_reliable
    assert image.view is View.UNKNOWN and image.spacing is None and image.modality == ""
    assert (lut8(image)[:256] == np.arange(256)).all()


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(8, 40), st.integers(8, 40))
def test_grey_pictures_of_any_size_survive_unchanged(seed: int, rows: int, columns: int) -> None:
    values = np.random.default_rng(seed).integers(0, 256, (rows, columns), dtype=np.uint8)
    image = parse_bytes(encoded(PillowImage.fromarray(values)), "a")
    assert (image.pixels == values).all() and (render(image) == values).all()


@pytest.mark.parametrize("name", ["grey PNG", "grey JPEG", "CMYK JPEG", "palette PNG"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_pictures_cut_short_are_refused(name: str, share: float) -> None:
    data = PICTURES[name]
    with pytest.raises(UnreadableFile, match=r"^x is damaged"):
        parse_bytes(data[: int(len(data) * share)], "x")


def test_a_sixteen_bit_picture_cut_short_is_refused() -> None:
    data = imagecodecs.png_encode(radiograph(200, 200, 16))
    for share in (0.3, 0.9):
        with pytest.raises(UnreadableFile, match=r"^x is damaged"):
            parse_bytes(data[: int(len(data) * share)], "x")
