"""Who is evaluated: models, with an adapter or without, each in one wording of the question or several.

    MODEL                a folder, or the name of an installed model
    MODEL+ADAPTER        an adapter on it
    NAME=MODEL[+ADAPTER] the same by another name in tables
    ADDRESS[#MODEL]      a model that a server runs, http://127.0.0.1:8000/v1#qwen2-vl

A tuned model is judged by what the tuning changed, so the model it was made from answers as well where it is known: the
base of an adapter, the start of a training run, what a merged model was merged from. Only names and files are looked at
here; nothing is loaded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.datasets.libra import IMAGE_TEXT, Question
from engine.drafting.question import CONTEXT
from engine.drafting.served import where
from engine.errors import ModelError, UsageError
from engine.models import adapters, installed, places, provenance
from engine.remote.address import is_address

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}")
_OTHER = re.compile(r"[^A-Za-z0-9._+-]+")


@dataclass(frozen=True)
class Prompt:
    """A wording of the question. ``text`` "": the one each question has in the file."""

    name: str
    text: str

    def of(self, question: Question) -> Question:
        """The question in this wording; its clinical context stays."""
        if not self.text:
            return question
        _, found, context = question.text.partition(CONTEXT)
        image = f"{IMAGE_TEXT}\n" if IMAGE_TEXT in question.text else ""
        return replace(question, text=f"{image}{self.text}{found}{context}")


OWN = Prompt("", "")


@dataclass(frozen=True)
class Contender:
    """One that answers.

    Attributes:
        name: unique among those of an evaluation, fit for a file's name.
        model: its folder.
        adapter: the folder of an adapter on it.
        base: the base of an adapter or projector that is given as the model.
        prompt: the wording of its questions.
        tuned_from: name of the contender it was made from, "" where there is none.
        address: of the server that runs it, with the model's name where it was said; then there is no folder.
    """

    name: str
    model: Path
    adapter: Path | None = None
    base: Path | None = None
    prompt: Prompt = OWN
    tuned_from: str = ""
    address: str = ""

    @property
    def place(self) -> str:
        """What tells it from others: its folder, or its address."""
        return self.address or str(self.model.resolve())


def contenders(
    models: Sequence[str],
    *,
    prompts: Sequence[Prompt] = (),
    base: Path | None = None,
    adapter: Path | None = None,
    with_bases: bool = True,
    served_as: str = "",
) -> list[Contender]:
    """All that the words of the command line name, every model in every wording, bases before what was made of them.

    Args:
        models: as in the module's words.
        prompts: wordings; the questions' own alone unless given.
        base, adapter: of a single model, given beside it.
        with_bases: add the models that tuned ones were made from, where they are on this machine.
        served_as: which model of a server is meant, where its address does not say so.

    Raises:
        UsageError: a word that names nothing, a name given twice, ``base`` or ``adapter`` with several models or with a
            server, ``served_as`` without one.
        ModelError: a folder that is not there.
    """
    if not models:
        raise UsageError("There is no model to evaluate: give --model.")
    if len(models) > 1 and (base is not None or adapter is not None):
        raise UsageError("With several models write the adapter behind its own: --model MODEL+ADAPTER.")
    found = [replace(_read(word, served_as), base=base) for word in models]
    served = [one for one in found if one.address]
    if served and (base is not None or adapter is not None):
        raise UsageError("A base or an adapter is for a model of this machine; a server is started with its own.")
    if served_as and not served:
        raise UsageError("--served-as is for a model behind an address.")
    if adapter is not None:
        one = found[0]
        if one.adapter is not None:
            raise UsageError("The adapter is given twice: behind the model and as --adapter.")
        found = [replace(one, adapter=_folder(str(adapter)))]
    if with_bases:
        found = list(_with_bases(found))
    twice = {one.name for one in found if [other.name for other in found].count(one.name) > 1}
    if twice:
        raise UsageError(f"Two models would be called {sorted(twice)[0]}; give one another name: --model NAME=MODEL.")
    return [_asked(one, prompt) for one in found for prompt in prompts or (OWN,)]


def prompts(words: Sequence[str]) -> list[Prompt]:
    """The wordings that NAME=TEXT say; NAME= is the questions' own.

    Raises:
        UsageError: a word of another form, a name given twice.
    """
    found = []
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not _NAME.fullmatch(name):
            raise UsageError(
                f"A wording is given as NAME=TEXT, NAME of letters, digits, dots and dashes: not '{word}'."
            )
        found.append(Prompt(name, text.strip()))
    if len({prompt.name for prompt in found}) < len(found):
        raise UsageError("Two wordings have the same name.")
    return found


def _asked(one: Contender, prompt: Prompt) -> Contender:
    if not prompt.name:
        return one
    before = f"{one.tuned_from}@{prompt.name}" if one.tuned_from else ""
    return replace(one, name=f"{one.name}@{prompt.name}", prompt=prompt, tuned_from=before)


def _read(word: str, served_as: str) -> Contender:
    called, equals, rest = word.partition("=")
    if is_address(word) or (equals and is_address(rest)):
        return _served(*(("", word) if is_address(word) else (called, rest)), served_as)
    if _exists(word):
        return Contender(_named(word), _folder(word))
    name, rest = (_checked(called), rest) if equals else ("", word)
    model, plus, adapter = rest.rpartition("+")
    if _exists(rest) or not plus:
        return Contender(name or _named(rest), _folder(rest))
    return Contender(name or f"{_named(model)}+{_named(adapter)}", _folder(model), adapter=_folder(adapter))


def _served(name: str, word: str, served_as: str) -> Contender:
    address, model = where(word, served_as)
    suggested = model.rpartition("/")[2] or f"served-{address.host}-{address.port}"
    called = _checked(name) if name else _OTHER.sub("-", suggested).strip("-+.") or "served"
    return Contender(called, Path(), address=f"{address.url}#{model}" if model else address.url)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(f"'{name}' cannot be a name; use letters, digits, dots and dashes.")
    return name


def _exists(word: str) -> bool:
    return installed.locate(word).is_dir()


def _folder(word: str) -> Path:
    place = installed.locate(word)
    if not word or not place.is_dir():
        raise ModelError(f"There is no model '{word}': neither a folder nor installed.")
    return place


def _named(word: str) -> str:
    return _OTHER.sub("-", installed.locate(word).resolve().name).strip("-+.") or "model"


def _with_bases(found: Sequence[Contender]) -> Iterator[Contender]:
    """Each, after the one it was made from; a base that several were made from comes once."""
    known = {_place(one): one.name for one in found if one.adapter is None and not one.address}
    for one in found:
        base = None if one.address else _base(one)
        if base is None:
            yield one
            continue
        if base.resolve() not in known:
            known[base.resolve()] = _named(str(base))
            yield Contender(known[base.resolve()], base)
        yield replace(one, tuned_from=known[base.resolve()])


def _place(one: Contender) -> Path:
    return one.model.resolve()


def _base(one: Contender) -> Path | None:
    """The folder of the model that this one was made from, if it says so and it is on this machine."""
    if one.adapter is not None:
        return one.model
    if one.base is not None:
        return one.base
    names = [adapters.examine(one.model).base] if adapters.is_adapter(one.model) else []
    names += [_named_base(provenance.read(one.model)), _named_base(_content(one.model / "training.json"))]
    found = (places.find(name, one.model) for name in names if name)
    return next((folder for folder in found if folder is not None and folder.resolve() != _place(one)), None)


def _content(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _named_base(record: dict[str, Any]) -> str:
    """What interval.json of a merged model and training.json of a trained one call their base."""
    base = record.get("base")
    name = base.get("name") if isinstance(base, dict) else base
    return name if isinstance(name, str) else ""
