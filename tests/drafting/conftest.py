"""The tiny checkpoint, pictures to draft from, and Libra's reference files where they are."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models" / "golden"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny checkpoint; not to be changed."""
    from tiny_checkpoint import build

    return build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two PNG files: current and prior."""
    folder = tmp_path_factory.mktemp("pictures")
    stream = np.random.RandomState(5)
    files = folder / "current.png", folder / "prior.png"
    for file in files:
        coarse = Image.fromarray(stream.randint(0, 256, (9, 7)).astype(np.uint8))
        coarse.resize((70, 90), Image.Resampling.BICUBIC).save(file)
    return files


@pytest.fixture(scope="session")
def libra(shared: Path) -> Path:
    """Folder of Libra's reference checkpoints and outputs."""
    folder = shared / "reference" / "libra"
    if not folder.is_dir():
        pytest.skip("Libra's reference outputs are not beside the project")
    return folder
