"""Reports that are nearly word for word the same, found among many without comparing each with each.

A text is the set of its runs of three words. Sets that are alike are found by MinHash (Broder 1997) in bands (Leskovec,
Rajaraman and Ullman, Mining of Massive Datasets, 3.4), and each pair found is then compared exactly: the Jaccard index,
size of intersection over size of union. With 16 bands of 4 a pair at 0.8 is missed with a probability of 2e-4.
Knows texts, neither rows nor patients.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.8
SHINGLE = 3
"""Words of a run."""

SHORTEST = 8
"""Texts of fewer words are not compared: they say too little to be told from others by their words."""

CROWD = 100
"""So many different texts in one bucket are variations of a stock phrase; they are not compared with each other."""

_BANDS, _ROWS = 16, 4
_PRIME = np.uint64(4_294_967_311)  # the first prime above 2**32: products of 31 and 32 bits wrap round it often
Signature = NDArray[np.uint64]


def shingles(words: str) -> frozenset[str]:
    """The runs of three words of a text whose words are parted by single spaces."""
    parts = words.split(" ")
    return frozenset(" ".join(parts[at : at + SHINGLE]) for at in range(max(1, len(parts) - SHINGLE + 1)))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Size of the intersection over size of the union; 1.0 for two empty sets."""
    return len(one & other) / len(one | other) if one or other else 1.0


def near(texts: Sequence[str], threshold: float = THRESHOLD) -> Iterator[tuple[int, int, float]]:
    """Pairs of places in ``texts`` (different texts, words parted by single spaces) at least ``threshold`` alike.

    Each pair comes once, the smaller place first. Texts shorter than `SHORTEST` words and pairs that only meet in a
    `CROWD` are left out.
    """
    places = [place for place, text in enumerate(texts) if text.count(" ") + 1 >= SHORTEST]
    sets = {place: shingles(texts[place]) for place in places}
    compared: set[tuple[int, int]] = set()
    signatures = {place: _signature(found) for place, found in sets.items()}
    for band in range(_BANDS):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for place, signature in signatures.items():
            buckets[signature[band * _ROWS : (band + 1) * _ROWS].tobytes()].append(place)
        for members in buckets.values():
            if not 1 < len(members) <= CROWD:
                continue
            for pair in combinations(members, 2):
                if pair in compared:
                    continue
                compared.add(pair)
                likeness = jaccard(sets[pair[0]], sets[pair[1]])
                if likeness >= threshold:
                    yield *pair, likeness


def _coefficients() -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    random = np.random.default_rng(20_240_501)
    count = _BANDS * _ROWS
    return (
        random.integers(1, 1 << 31, (count, 1), dtype=np.uint64),
        random.integers(0, 1 << 31, (count, 1), dtype=np.uint64),
    )


_FACTOR, _OFFSET = _coefficients()


def _signature(found: frozenset[str]) -> Signature:
    """The least of each of 64 permutations a x + b mod p; no product of 31 and 32 bits overflows."""
    hashes = np.array([zlib.crc32(shingle.encode()) for shingle in found], dtype=np.uint64)
    return np.asarray(((_FACTOR * hashes + _OFFSET) % _PRIME).min(axis=1))
