"""Sites whose films, patients and phrases differ, for training at one and testing, or training on, at another."""

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
SITE_C = Site(
    name="c",
    brightness=-0.1,
    contrast=0.75,
    noise=2.2,
    scatter=1.6,
    gamma=1.3,
    portable=0.8,
    collimated=0.9,
    marker="side",
    square=0.1,
    habit=40.0,
    order=0.9,
)
"""A small house with an old film system and a style of its own in its reports."""

SITES = {site.name: site for site in (SITE_A, SITE_B, SITE_C)}
