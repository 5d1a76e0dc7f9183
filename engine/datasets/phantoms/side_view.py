"""A side view to lie beside a frontal film in a study: body, spine, heart, air, and no findings.

It is plain on purpose. Nothing is to be read from it; it is there so that programs must tell the views apart.
"""

from __future__ import annotations

import numpy as np

from engine.datasets.phantoms.strokes import Array


def side_view(seed: int, size: int) -> Array:
    """A lateral picture: uint8 [size, 5/6 size], bright = dense, front of the patient to the left."""
    rows, columns = size, max(1, size * 5 // 6)
    rng = np.random.default_rng([seed, 91])
    y = (np.arange(rows, dtype=np.float32)[:, None] + 0.5) / rows
    x = (np.arange(columns, dtype=np.float32)[None] + 0.5) / columns
    tilt = np.float32(rng.uniform(-0.06, 0.06))
    along = x - np.float32(0.5) - tilt * (y - np.float32(0.5))

    def oval(across: float, down: float, wide: float, high: float) -> Array:
        distance = ((along - across) / wide) ** 2 + ((y - down) / high) ** 2
        return np.asarray(np.sqrt(np.clip(1 - distance, 0, 1)), dtype=np.float32)

    vertebra = 0.8 + 0.2 * np.sin(y * np.float32(60))
    grey = 0.75 * np.clip(2 * oval(0.0, 0.62, 0.46, 0.9), 0, 1)
    grey = grey - 0.5 * oval(-0.02, 0.5, float(rng.uniform(0.3, 0.36)), 0.42)
    grey = grey + 0.35 * vertebra * np.exp(-(((along - 0.27) / 0.05) ** 2))
    grey = grey + 0.45 * oval(-0.1, 0.62, 0.17, 0.15) + 0.5 * oval(0.0, 1.05, 0.45, 0.22)
    grey = grey + rng.normal(0, 0.012, grey.shape)
    return np.asarray((np.clip(grey, 0, 1) * 255).astype(np.uint8))
