"""What ``models list`` and ``models inspect`` say of a folder: as one object, and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.models.catalogue import Published
    from engine.models.survey import Survey


def describe(found: Survey) -> dict[str, Any]:
    """What ``inspect --json`` prints. ``problems`` holds what is missing on this machine as well."""
    from engine.models.footprint import footprint

    config, tower = found.config, found.tower
    inner = config.get("text_config")
    text: dict[str, Any] = inner if isinstance(inner, dict) else {}
    is_tower = found.model is None and tower is not None
    processor = tower.processor if tower is not None else None
    return _names(found) | {
        "kind": found.kind,
        "usable": not found.problems and not found.missing,
        "problems": [*found.problems, *found.missing],
        "missing": list(found.missing),
        "parameters": found.weights.parameters,
        "tower_parameters": tower.weights.parameters if tower is not None and not is_tower else 0,
        "bytes": sum(file.stat().st_size for file in found.weights.files),
        "memory": footprint(found),
        "dtype": found.weights.dtype,
        "hidden_size": config.get("hidden_size", text.get("hidden_size")),
        "layers": config.get("num_hidden_layers", text.get("num_hidden_layers")),
        "vocabulary": config.get("vocab_size", text.get("vocab_size")),
        "projector": config.get("mm_projector_type"),
        "tower": str(tower.folder) if tower is not None else config.get("mm_vision_tower"),
        "image_size": list(processor.crop) if processor is not None and processor.crop else None,
        "adapter": _adapter(found),
        "base": _base(found),
        "published": _published(found.published, found.known_by),
    }


def _names(found: Survey) -> dict[str, Any]:
    """What a model says of itself; a vision tower or a language model says less."""
    from engine.models import provenance

    model = found.model
    if model is not None:
        return {
            "path": str(model.path),
            "name": model.name,
            "family": model.family,
            "warnings": list(model.warnings),
            "conversation": model.template,
            "conversation_from": model.template_basis,
            "license": model.license,
            "languages": list(model.languages),
            "demonstration": model.demonstration,
        }
    said = provenance.read(found.path)
    return {
        "path": str(found.path),
        "name": str(said.get("name") or found.path.resolve().name),
        "family": "",
        "warnings": [],
        "conversation": "",
        "conversation_from": "",
        "license": str(said.get("license") or ""),
        "languages": [],
        "demonstration": False,
    }


def plans(found: Survey, beams: int) -> dict[str, Any]:
    """The memory of a draft in each precision, where drafts are made on this machine; bytes."""
    import torch

    from engine.drafting import Decoding
    from engine.models.footprint import PRECISIONS
    from engine.models.memory import free
    from engine.models.plan import plan

    device = "cuda" if torch.cuda.is_available() else "cpu"
    there, length = free(torch.device(device)), Decoding(num_beams=beams).max_new_tokens
    made = [plan(found, device=device, precision=one, beams=beams, new_tokens=length, free=there) for one in PRECISIONS]
    return {
        "device": device,
        "beams": beams,
        "new_tokens": length,
        "free": there,
        "precisions": {one.precision: {"needed": one.needed, "fits": one.fits} for one in made if one is not None},
    }


def in_words(description: dict[str, Any]) -> str:
    """The same for a person."""
    what = description["family"] or ("not supported" if description["kind"] in ("model", "") else description["kind"])
    memory = ", ".join(f"{precision} {_size(size)}" for precision, size in description["memory"].items())
    planned = description["plans"]
    lines = [
        f"Name          {description['name']}" + (" (demonstration)" if description["demonstration"] else ""),
        f"Folder        {description['path']}",
        f"Family        {what}",
        f"Parameters    {millions(description)}, {description['dtype'] or 'no weights'}, {_size(description['bytes'])}",
    ]
    lines += [f"Weights       {memory} alone"] if memory else []
    lines += [f"Memory        {_planned(planned)}"] if planned["precisions"] else []
    lines += [
        f"Layers        width {description['hidden_size']}, {description['layers']} layers" + _vocabulary(description)
    ]
    if description["adapter"]:
        adapter = description["adapter"]
        lines.append(f"Adapter       {adapter['path']}, rank {adapter['rank']}, {adapter['parameters']:,} values")
        lines.append(f"Base          {description['base'] or adapter['made_for'] or 'not named'}")
    elif description["base"]:
        lines.append(f"Base          {description['base']}")
    if description["projector"]:
        lines.append(f"Projector     {description['projector']}")
    size = f", images {description['image_size']}" if description["image_size"] else ""
    lines += [f"Vision tower  {description['tower']}{size}"] if description["tower"] else []
    if description["conversation"]:
        lines.append(f"Conversation  {description['conversation']} ({description['conversation_from']})")
    if description["languages"]:
        lines.append(f"Languages     {', '.join(description['languages'])}")
    lines.append(f"Licence       {description['license'] or 'see its model card'}")
    lines += _published_words(description["published"])
    lines += [f"Warning       {warning}" for warning in description["warnings"]]
    lines += [f"Problem       {problem}" for problem in description["problems"]]
    return "\n".join(lines)


def _planned(planned: dict[str, Any]) -> str:
    """Memory of a draft, by precision, and what there is."""
    each = [
        f"{name} {_size(one['needed'])}" + ("" if one["fits"] else " (does not fit)")
        for name, one in planned["precisions"].items()
    ]
    beams = f"{planned['beams']} beams" if planned["beams"] > 1 else "greedy"
    place = "on the GPU" if planned["device"] == "cuda" else "in memory"
    draft = f"for a draft ({beams}, {planned['new_tokens']} tokens)"
    return f"{', '.join(each)} {draft}; {_size(planned['free'])} are free {place}"


def row(description: dict[str, Any], name: str) -> str:
    """One line of ``list``."""
    state = "ready" if description["usable"] else f"not usable: {description['problems'][0]}"
    part = "" if description["kind"] in ("model", "") else f"{description['kind']}, "
    return f"{name:24} {millions(description):>9}  {description['dtype'] or '-':9} {part}{state}"


def available(one: Published, towers: dict[str, bool]) -> dict[str, Any]:
    """A published model that is not installed. ``towers``: hub id of each tower it needs -> whether that is here."""
    return {
        "hub_id": one.hub_id,
        "name": one.name,
        "kind": one.kind,
        "needs": [{"hub_id": hub_id, "kind": "vision tower", "here": here} for hub_id, here in towers.items()],
        "missing": [one.hub_id, *(hub_id for hub_id, here in towers.items() if not here)],
        "language_model": one.language_model,
        "projector": one.projector,
        "conversation": one.conversation,
        "license": one.license,
        "research_only": one.research_only,
        "notes": one.notes,
        "unsupported": one.unsupported,
    }


def available_row(one: dict[str, Any]) -> str:
    """The same in one line or two."""
    facts = [one["name"], f"licence {one['license']}" if one["license"] else "licence: see its model card"]
    facts += ["research only"] if one["research_only"] else []
    facts += [f"needs {tower['hub_id']} ({'here' if tower['here'] else 'missing'})" for tower in one["needs"]]
    facts += [f"not usable: {one['unsupported']}"] if one["unsupported"] else []
    notes = f"\n{'':42} {one['notes']}" if one["notes"] else ""
    return f"{one['hub_id']:42} {'; '.join(facts)}{notes}"


def millions(description: dict[str, Any]) -> str:
    """How many values, its tower's among them."""
    return f"{(description['parameters'] + description['tower_parameters']) / 1e6:,.1f} M"


def _adapter(found: Survey) -> dict[str, Any] | None:
    from engine.models import adapters, contents

    adapter = found.model.adapter if found.model is not None else None
    if adapter is None and found.kind == contents.ADAPTER:
        adapter = adapters.examine(found.path)
    if adapter is None:
        return None
    return {
        "path": str(adapter.folder),
        "rank": adapter.settings.get("r"),
        "made_for": adapter.base,
        "parameters": adapter.weights.parameters,
    }


def _base(found: Survey) -> str | None:
    """Where the model lies that an adapter or a projector is put on; None where it is none or lacks its base."""
    model = found.model
    if model is None or not model.weights.files or model.tokenizer == model.path:
        return None
    return str(model.tokenizer)


def _published(one: Published | None, known_by: str) -> dict[str, Any] | None:
    if one is None:
        return None
    fields = ("hub_id", "name", "license", "research_only", "notes")
    return {"known_by": known_by} | {field: getattr(one, field) for field in fields}


def _published_words(published: dict[str, Any] | None) -> list[str]:
    if published is None:
        return []
    alike = "as downloaded" if published["known_by"] == "interval.json" else "it has the same configuration"
    terms = f", licence {published['license']}" if published["license"] else ""
    terms += ", research only" if published["research_only"] else ""
    return [f"Published     {published['hub_id']} ({alike}){terms}"]


def _vocabulary(description: dict[str, Any]) -> str:
    return f", vocabulary {description['vocabulary']}" if description["vocabulary"] else ""


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
