"""The tiny checkpoint of golden/, and Libra's reference files where they are."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models" / "golden"))
sys.path.insert(0, str(Path(__file__).resolve().parent))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny checkpoint; not to be changed."""
    from tiny_checkpoint import build

    return build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def libra(shared: Path) -> Path:
    """Folder of Libra's reference checkpoints and outputs."""
    folder = shared / "reference" / "libra"
    if not folder.is_dir():
        pytest.skip("Libra's reference outputs are not beside the project")
    return folder
