"""Films: the same picture at every size, every finding seen where its mask says, and nowhere without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from engine.datasets.phantoms import Film, coarse_masks, display, render, sample_case, show
from engine.datasets.phantoms.model import DEVICES, FINDINGS, Lesion
from engine.datasets.phantoms.picture import attenuation_of

SIDES = {
    "pleural effusion": "left",
    "consolidation": "right",
    "pneumothorax": "left",
    "pulmonary edema": "bilateral",
    "atelectasis": "right",
    "nodule": "left",
    "central line": "right",
    "pacemaker": "left",
}


def healthy(seed: int = 3) -> Film:
    film = sample_case(seed).current
    return replace(film, lesions=(), exposure=replace(film.exposure, noise=0.0, margins=(0.0, 0.0, 0.0, 0.0)))


def lesion(name: str, size: float) -> Lesion:
    zone = "mid" if name in ("consolidation", "nodule") else ""
    return Lesion(name, SIDES.get(name, ""), size, zone, 5)


def test_a_film_is_the_same_picture_every_time() -> None:
    film = sample_case(11).current
    first, second = render(film, 160, masks=True), render(film, 160, masks=True)
    assert np.array_equal(first.pixels, second.pixels)
    assert first.masks.keys() == second.masks.keys()
    assert np.array_equal(display(film, 160), show(first)), "asking for masks changes no pixel"


@pytest.mark.parametrize("seed", range(6))
def test_shape_and_values_are_those_of_a_12_bit_film(seed: int) -> None:
    film = sample_case(seed).current
    picture = render(film, 180)
    assert max(picture.pixels.shape) == 180
    assert picture.pixels.shape == film.shape(180)
    assert picture.pixels.dtype == np.uint16 and picture.pixels.max() <= 4095
    grey = show(picture)
    assert grey.std() > 35, "the window shows contrast"
    assert 40 < grey.mean() < 190


@pytest.mark.parametrize("seed", [1, 4, 9])
def test_a_large_render_averaged_down_is_a_small_one(seed: int) -> None:
    film = sample_case(seed).current
    film = replace(film, exposure=replace(film.exposure, noise=0.0))
    large, small = render(film, 896).pixels.astype(np.float32), render(film, 224).pixels.astype(np.float32)
    averaged = np.asarray(Image.fromarray(large).resize(small.shape[::-1], Image.Resampling.BOX))
    assert np.abs(averaged - small).mean() < 0.012 * 4095


def test_noise_of_a_pixel_grows_with_the_size_so_that_averages_agree() -> None:
    film = healthy()

    def noise(size: int) -> np.ndarray:
        noisy = replace(film, exposure=replace(film.exposure, noise=0.02))
        rows, columns = film.shape(size)
        inside = np.s_[rows // 3 : rows // 2, columns // 3 : 2 * columns // 3]
        clean = render(film, size).pixels.astype(np.float32)
        return (render(noisy, size).pixels - clean)[inside]

    small, large = noise(128), noise(512)
    assert large.std() == pytest.approx(4 * small.std(), rel=0.15)
    rows, columns = (n // 4 * 4 for n in large.shape)
    blocks = large[:rows, :columns].reshape(rows // 4, 4, columns // 4, 4).mean((1, 3))
    assert blocks.std() == pytest.approx(small.std(), rel=0.2)


@pytest.mark.parametrize("size", [0.13, 0.5, 0.95])
@pytest.mark.parametrize("name", FINDINGS + DEVICES)
def test_a_finding_changes_the_film_where_its_mask_is(name: str, size: float) -> None:
    bare = healthy()
    film = replace(bare, lesions=(lesion(name, size),))
    # Before exposure, which answers a wide finding all over the film.
    attenuation, masks = attenuation_of(film, 224, masks=True)
    mask = masks[name]
    assert mask.any() and not mask.all()
    difference = np.abs(attenuation - attenuation_of(bare, 224)[0])
    assert difference[mask].mean() > 3 * difference[~mask].mean(), "seen inside its mask more than elsewhere"
    assert difference[mask].max() > 0.1


@pytest.mark.parametrize("name", FINDINGS)
def test_a_larger_finding_covers_more(name: str) -> None:
    areas = [
        render(replace(healthy(), lesions=(lesion(name, size),)), 160, masks=True).masks[name].sum()
        for size in (0.2, 0.55, 0.95)
    ]
    if name == "pulmonary edema":
        assert areas[0] <= areas[2]
    else:
        assert areas[0] < areas[1] < areas[2]


@pytest.mark.parametrize("seed", range(12))
def test_masks_are_there_exactly_for_what_is_present(seed: int) -> None:
    case = sample_case(seed)
    for film in (case.current, case.prior):
        if film is not None:
            masks = render(film, 128, masks=True).masks
            assert masks.keys() == {entry.finding for entry in film.lesions}
            assert all(mask.any() for mask in masks.values())
            assert not render(film, 128).masks


@pytest.mark.parametrize("name", [name for name, side in SIDES.items() if side in ("left", "right")])
def test_sides_are_the_patients_own(name: str) -> None:
    film = healthy()
    film = replace(film, pose=replace(film.pose, shift_x=0.0, rotation=0.0), lesions=(lesion(name, 0.6),))
    mask = render(film, 160, masks=True).masks[name]
    middle = np.average(np.arange(mask.shape[1]), weights=mask.sum(0)) / mask.shape[1]
    if name == "central line":
        assert middle < 0.5, "its tip lies in the superior vena cava"
    else:
        assert (middle > 0.5) == (SIDES[name] == "left"), "the patient's left is the right of the picture"


def test_coarse_masks_are_shares_of_the_padded_square() -> None:
    mask = np.zeros((96, 72), bool)
    mask[:, :36] = True
    cells = coarse_masks({"nodule": mask})["nodule"]
    assert cells.shape == (8, 8)
    assert np.array_equal(cells[0], [0, 1, 1, 1, 0, 0, 0, 0]), "twelve columns of padding come first"
    assert np.array_equal(cells, np.repeat(cells[:1], 8, 0))


def test_two_films_of_a_patient_differ_in_pose_but_not_in_body() -> None:
    case = next(case for seed in range(50) if (case := sample_case(seed)).prior and not case.truth)
    assert case.prior is not None
    assert case.prior.anatomy == case.current.anatomy
    assert case.prior.pose != case.current.pose and case.prior.exposure != case.current.exposure
