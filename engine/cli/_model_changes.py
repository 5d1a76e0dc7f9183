"""``models add``, ``download``, ``verify`` and ``remove``: what changes ``models/``, and what makes sure of it."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any, cast

from engine.cli import _model_words


def register(commands: Any) -> None:
    """The four commands and their options; ``commands`` is argparse's object for subcommands."""
    adding = commands.add_parser("add", help="install a model, adapter or vision tower that lies on this machine")
    adding.add_argument("source", type=Path, metavar="SOURCE", help="its folder")
    adding.add_argument("--name", default="", metavar="NAME", help="its name under models/, also OWNER/NAME")
    adding.add_argument("--link", action="store_true", help="link to its files instead of copying them")
    adding.add_argument("--license", default="", metavar="NAME", help="the licence, to be kept in interval.json")
    adding.add_argument("--conversation", default="", metavar="NAME", help="its conversation template, kept likewise")
    downloading = commands.add_parser("download", help="fetch a published model and the vision tower it needs")
    downloading.add_argument("hub_id", metavar="HUB_ID", help="OWNER/NAME on huggingface.co; HF_ENDPOINT for a mirror")
    downloading.add_argument("--revision", default="", metavar="REV", help="branch, tag or commit")
    downloading.add_argument("--name", default="", metavar="NAME", help="its name under models/")
    downloading.add_argument("--only", action="store_true", help="without what it needs")
    verifying = commands.add_parser("verify", help="compare weights with what was installed, and look for damage")
    verifying.add_argument("model", nargs="?", metavar="MODEL", help="a name under models/ or a path; all without it")
    removing = commands.add_parser("remove", help="remove an installed model")
    removing.add_argument("model", metavar="MODEL", help="a name under models/")
    removing.add_argument("--yes", action="store_true", help="do not ask")
    removing.add_argument("--force", action="store_true", help="also the demonstration model")
    for command in (adding, downloading, verifying, removing):
        command.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    commands = {"add": _add, "download": _download, "verify": _verify, "remove": _remove}
    status, result = commands[args.command](args)
    if args.json:
        print(json.dumps(result, ensure_ascii=False))
    return status


def _add(args: argparse.Namespace) -> tuple[int, dict[str, Any]]:
    from engine.models.adding import add

    added = add(
        args.source,
        name=args.name,
        link=args.link,
        license=args.license,
        template=args.conversation,
        report=_Progress("Linking" if args.link else "Copying"),
    )
    model = _model_words.describe(added.found)
    _say(f"Installed as {model['path']}.")
    _say_rest(model)
    return 0, {"model": model, "linked": args.link, "files": added.files, "bytes": added.size}


def _download(args: argparse.Namespace) -> tuple[int, dict[str, Any]]:
    from engine.errors import ModelError
    from engine.models.downloading import download

    done = download(
        args.hub_id, revision=args.revision, name=args.name, only=args.only, report=_say, bars=sys.stderr.isatty()
    )
    fetched = []
    for one in done.fetched:
        model = _model_words.describe(one.found)
        _say(f"Installed {one.hub_id} as {model['path']}.")
        _say_rest(model)
        facts = {"hub_id": one.hub_id, "revision": one.revision, "files": one.files, "bytes": one.size}
        fetched.append(facts | {"model": model})
    for folder in done.here:
        _say(f"{folder} is here already.")
    broken = any(one.found.problems for one in done.fetched)
    result = {"fetched": fetched, "here": [str(folder) for folder in done.here]}
    return ModelError.exit_status if broken else 0, result


def _verify(args: argparse.Namespace) -> tuple[int, dict[str, Any]]:
    from engine.errors import ModelError
    from engine.models import installed
    from engine.models.verifying import verify

    folders = installed.folders() if args.model is None else [installed.locate(args.model)]
    found = [verify(folder, partial(_say_file, folder.name)) for folder in folders]
    if not found and not args.json:
        print("There are no models to verify.")
    for one in [] if args.json else found:
        unrecorded = sum(state == "not recorded" for state in one.files.values())
        note = f" (no hash was recorded of {unrecorded} of {len(one.files)} files)" if unrecorded else ""
        print(f"{one.folder}: {'sound' if one.sound else 'NOT SOUND'}{note}")
        for problem in one.problems:
            print(f"  - {problem}")
    sound = all(one.sound for one in found)
    models = [
        {"path": str(one.folder), "sound": one.sound, "files": one.files, "problems": list(one.problems)}
        for one in found
    ]
    return 0 if sound else ModelError.exit_status, {"sound": sound, "models": models}


def _remove(args: argparse.Namespace) -> tuple[int, dict[str, Any]]:
    from engine.errors import Cancelled, UsageError
    from engine.models import installed

    folder = installed.removable(args.model)
    if folder.name == installed.DEMO and not args.force:
        raise UsageError(
            f"{folder.name} is the demonstration model; remove it with --force. "
            f"'git checkout -- models/{folder.name}' brings it back, it belongs to the repository."
        )
    users = [one.path.name for one in installed.users(folder)]
    if users:
        _say(f"It is used by {', '.join(users)}.")
    if not args.yes:
        if not sys.stdin.isatty():
            raise UsageError("Nobody can be asked here; say --yes to remove it.")
        print(f"Remove {folder}? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise Cancelled("Nothing was removed.")
    linked = folder.is_symlink()
    installed.remove(folder)
    _say(f"Removed {folder}.")
    return 0, {"removed": str(folder), "link": linked, "used_by": users}


class _Progress:
    """Copying, followed on one line of a terminal, or with one line for each file."""

    def __init__(self, verb: str) -> None:
        self.verb, self.file, self.percent = verb, "", -1

    def __call__(self, file: str, done: int, total: int) -> None:
        percent = 100 * done // max(1, total)
        if sys.stderr.isatty() and (percent, file) != (self.percent, self.file):
            end = "\n" if done >= total else ""
            print(f"\r\033[K{self.verb} {percent} % {file}", end=end, file=sys.stderr, flush=True)
        elif not sys.stderr.isatty() and file != self.file:
            _say(f"{self.verb} {file}")
        self.file, self.percent = file, percent


def _say_rest(model: dict[str, Any]) -> None:
    """What a person should know of a model that was just installed."""
    for line in (*model["warnings"], *(f"{problem}." for problem in model["problems"])):
        _say(f"  - {line}")
    if not model["license"]:
        published = cast("dict[str, Any]", model["published"] or {})
        _say(f"  - Its licence is not recorded; its model card says it{_hint(published)}.")


def _hint(published: dict[str, Any]) -> str:
    return f" (as published: {published['license']})" if published.get("license") else ""


def _say_file(model: str, file: str) -> None:
    _say(f"{model}: {file}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
