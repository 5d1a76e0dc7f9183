"""Slices of CT are opened with their windows, and never compared with a radiograph without a word."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from makers import dataset, file_bytes, simple

from engine.imaging import Image, View, check_pair, choose_prior, group
from engine.imaging.display import render, to_pil
from engine.imaging.parsing import parse_bytes

AIR, LUNG, WATER, BONE = -1000, -850, 40, 1000


def ct_slice(**changes: Any) -> Image:
    """Air, lung, soft tissue and bone in four quarters, stored from -1024 on."""
    pixels = np.full((32, 32), AIR + 1024, np.uint16)
    pixels[:16, 16:], pixels[16:, :16], pixels[16:, 16:] = LUNG + 1024, WATER + 1024, BONE + 1024
    values = {"RescaleSlope": "1", "RescaleIntercept": "-1024", "ViewPosition": None, "Modality": "CT"}
    return parse_bytes(file_bytes(dataset(pixels, **{**values, **changes})), "slice.dcm")


def test_windows_are_the_files_and_those_of_a_chest() -> None:
    found = ct_slice(WindowCenter="50", WindowWidth="350", WindowCenterWidthExplanation="ABDOMEN")
    assert found.modality == "CT" and found.view is View.UNKNOWN
    assert [window.name for window in found.windows] == ["ABDOMEN", "lung", "mediastinum", "bone", "1-99 %"]
    assert [window.name for window in ct_slice().windows][:1] == ["lung"]
    assert "lung" not in [window.name for window in parse_bytes(simple(), "a").windows]


def test_what_each_window_shows() -> None:
    found = ct_slice()
    shown = {window.name: render(found, window)[[0, 0, 31, 31], [0, 31, 0, 31]].astype(int) for window in found.windows}
    air, lung, water, bone = shown["lung"]
    assert air < lung < water <= bone == 255
    air, lung, water, bone = shown["mediastinum"]
    assert (air, lung, bone) == (0, 0, 255) and abs(water - 128) <= 1  # its centre is that of soft tissue
    assert shown["bone"][3] < 255
    np.testing.assert_array_equal(np.asarray(to_pil(found).convert("L")), render(found, found.windows[0]))


def test_a_class_alone_says_that_it_is_ct() -> None:
    assert ct_slice(Modality=None, SOPClassUID="1.2.840.10008.5.1.4.1.1.2").modality == "CT"


def test_a_slice_has_no_prior_by_itself_and_is_none_of_a_radiograph() -> None:
    older = ct_slice(StudyDate="20200101", StudyInstanceUID="1.2.3")
    newer = ct_slice()
    radiograph = parse_bytes(simple(StudyDate="20240501", StudyInstanceUID="1.2.4"), "film.dcm")
    chosen = choose_prior(newer, group([newer, older, radiograph]))
    assert chosen.image is None and chosen.older == (older,)
    assert "CT" in chosen.reason
    assert choose_prior(radiograph, group([newer, older, radiograph])).image is None
    stated = replace(radiograph, view=View.UNKNOWN)
    assert choose_prior(stated, group([newer, stated])).image is None


def test_a_slice_beside_a_radiograph_is_said() -> None:
    radiograph = parse_bytes(simple(StudyDate="20200501", StudyInstanceUID="1.2.4"), "film.dcm")
    assert any("slice of CT" in warning for warning in check_pair(ct_slice(), radiograph))
    older = ct_slice(StudyDate="20200101", StudyInstanceUID="1.2.3")
    assert not any("slice of CT" in warning for warning in check_pair(ct_slice(), older))
