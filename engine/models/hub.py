"""What of huggingface.co is used, or of what HF_ENDPOINT names instead: what a repository holds, and its files.

The one place of the program that goes to a network for a model. huggingface-hub does the talking; only that a file goes
on where an earlier call ended is ours, because its current version begins each file anew.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import Cancelled, ModelError

ANSWER_WITHIN = 30
"""Seconds the hub may take to say what it has."""

INCOMPLETE = ".incomplete"
"""What the name of a file ends with that has not arrived whole."""


@dataclass(frozen=True)
class RemoteFile:
    """A file's size in bytes and, where the hub keeps it outside of git, its sha256; else ""."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Repository:
    """A repository at one commit. ``license`` is what its card names, "" if it names none."""

    hub_id: str
    commit: str
    license: str
    files: Mapping[str, RemoteFile]

    @classmethod
    def open(cls, hub_id: str, revision: str = "") -> Repository:
        """What the hub has under this name; the newest commit unless a branch, tag or commit is given."""
        from huggingface_hub import HfApi

        try:
            about = HfApi(endpoint=_endpoint()).model_info(
                hub_id, revision=revision or None, files_metadata=True, timeout=ANSWER_WITHIN
            )
            files = {
                file.rfilename: RemoteFile(int(file.size or 0), file.lfs.sha256 if file.lfs is not None else "")
                for file in about.siblings or []
            }
        except (ValueError, TypeError, KeyError) as error:  # a page of a proxy or a portal, for instance
            raise ModelError(f"{hub_id} cannot be fetched: what answers is not a hub.") from error
        return cls(hub_id, str(about.sha), _license(about.card_data), files)

    def get(self, name: str, folder: Path) -> Path:
        """The file of this name in ``folder``, fetched unless it is there; goes on from what came of it before."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

        target, size = folder / name, self.files[name].size
        if target.is_file() and target.stat().st_size == size:
            return target
        incomplete = folder / (name + INCOMPLETE)
        before = incomplete.stat().st_size if incomplete.is_file() else 0
        if before > size:
            incomplete.unlink()
            before = 0
        # Not the address of the store behind the hub: its signature is short-lived, and redirects lead there anyway.
        address = hf_hub_url(self.hub_id, name, revision=self.commit, endpoint=_endpoint())
        with incomplete.open("ab") as stream:
            http_get(
                address, stream, resume_size=before, headers=build_hf_headers(), expected_size=size,
                displayed_filename=name,
            )  # fmt: skip
        incomplete.replace(target)
        return target


@contextmanager
def online(*, bars: bool) -> Iterator[None]:
    """huggingface-hub with a network for the block, which the launcher otherwise denies to every library.

    It reads its environment once, at its import, so that only its constant can be turned. ``bars``: show its progress
    bars on standard error.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils.tqdm import disable_progress_bars

    log = logging.getLogger("huggingface_hub")
    kept, level = constants.HF_HUB_OFFLINE, log.level
    constants.HF_HUB_OFFLINE = False
    log.setLevel(logging.ERROR)  # it tries again by itself; what does not help in the end is raised
    try:
        with nullcontext() if bars else disable_progress_bars():
            yield
    finally:
        constants.HF_HUB_OFFLINE = kept
        log.setLevel(level)


@contextmanager
def explained(hub_id: str) -> Iterator[None]:
    """What huggingface-hub raises within the block, as the one sentence that says what to do."""
    from huggingface_hub import errors

    no_answer: Any = errors.HTTPError  # type: ignore[attr-defined]  # of the HTTP library below it, whichever that is
    try:
        yield
    except KeyboardInterrupt:
        raise Cancelled("Stopped. The same command goes on where this one ended.") from None
    except errors.GatedRepoError as error:
        raise ModelError(
            f"{hub_id}, or what it needs, asks you to accept its terms first. Do that on its page on the hub, then set "
            "HF_TOKEN to an access token of yours."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelError(f"The hub has no model {hub_id}, or it is not public.") from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(f"{hub_id} has no such revision.") from error
    except errors.HfHubHTTPError as error:
        raise ModelError(f"{hub_id} cannot be fetched: the hub answers {error.response.status_code}.") from error
    except (no_answer, ConnectionError) as error:
        raise ModelError(
            f"{hub_id} cannot be fetched: the hub does not answer. Check the network and the proxy, or fetch the model "
            "elsewhere and install its folder with 'models add'. What has arrived is kept."
        ) from error
    except OSError as error:
        if error.errno is not None:  # the system's, not huggingface-hub's
            raise
        raise ModelError(f"A file of {hub_id} arrived incomplete. Run the same command again to go on.") from error


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


def _license(card: Any) -> str:
    """The licence a model card names: its own name where the hub knows it as "other"."""
    said = getattr(card, "license", None)
    name = getattr(card, "license_name", None)
    return str(name if said == "other" and name else said or "")[:200]
