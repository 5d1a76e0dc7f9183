"""Two sites whose films, patients and phrases differ, for training at one and testing at the other."""

from __future__ import annotations

from engine.datasets.phantoms.model import Site

SITE_A = Site(name="a")
SITE_B = Site(
    name="b",
    brightness=0.05,
    contrast=1.12,
    noise=1.4,
    scatter=1.25,
    gamma=0.9,
    portable=0.6,
    collimated=0.75,
    marker="side",
    prior=0.65,
    rates=(0.34, 0.24, 0.16, 0.34, 0.3, 0.28, 0.14, 0.26, 0.26, 0.18),
    square=0.2,
    inverted=0.5,
)
SITES = {site.name: site for site in (SITE_A, SITE_B)}
