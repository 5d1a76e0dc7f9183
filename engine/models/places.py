"""Where on this machine a model lies that another one names: a vision tower, the base of an adapter.

Names are hub ids ("microsoft/rad-dino") or paths, as the training wrote them. Nothing is downloaded.
"""

from __future__ import annotations

from pathlib import Path

from engine import paths


def is_model(folder: Path) -> bool:
    """Whether a folder holds a model's configuration."""
    return (folder / "config.json").is_file()


def find(name: str, model: Path) -> Path | None:
    """The folder of the model ``name`` that the one in the folder ``model`` names, or None.

    In this order: inside that folder; ``name`` as a path; the same relative path beside that folder or one level up;
    under ``models/``, with and without the owner's name; the hub's cache.
    """
    model = model.resolve()
    candidates = (
        model / name,
        Path(name).expanduser(),
        model.parent / name,
        model.parent.parent / name,
        paths.models() / name,
        paths.models() / Path(name).name,
    )
    return next((folder for folder in candidates if is_model(folder) and folder != model), None) or _in_hub_cache(name)


def _in_hub_cache(name: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        cached = try_to_load_from_cache(name, "config.json")
    except HFValidationError:  # a path, not a repository's name
        return None
    return Path(cached).parent if isinstance(cached, str) else None
