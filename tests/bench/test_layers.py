"""The forms of a layer are all measured, and each is as near to the exact product as its bits allow."""

from __future__ import annotations

import math

from engine.bench.layers import ROWS, measure
from engine.bench.sizes import SIZES


def test_every_form() -> None:
    found = measure(SIZES["tiny"], "cpu")
    assert (found.inputs, found.outputs) == (64, 128)
    errors = {form.name: form.error for form in found.forms}
    assert len(errors) == 6
    for form in found.forms:
        assert len(form.seconds) == len(ROWS)
        assert all(0 < seconds < math.inf for seconds in form.seconds)
    assert errors["packed"] <= errors["linear"] * 1.1 < 0.01
    assert max(errors["int8, PyTorch"], errors["int8, bitsandbytes"]) < 0.02
    assert max(errors["int4, PyTorch"], errors["nf4, bitsandbytes"]) < 0.15
