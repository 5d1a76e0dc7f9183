"""The result of a bench: as one JSON value, and that value in words, as a table for a terminal or in Markdown.

Ratios are the peer's figure over the engine's: 2 means that the engine needs half. A ratio of runs that wrote
different tokens in float32 would compare two different things and is absent. Of the case of many drafts at once both
sides are the engine's: one by one over together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from engine.bench.cases import Compared, Learnt
from engine.bench.layers import ROWS
from engine.bench.measure import TIMES, Measured, Spread, spreads
from engine.bench.task import AGREEMENT, BATCH, BATCHED, DRAFTS, LAYERS, LOOKUP, OURS, TOGETHER_KIND, sides

Json = dict[str, Any]

QUIET = 0.1
"""Cores that other programs may take without much of a trace in the figures."""

HEADINGS = ("case", "", "encode", "prefill", "first token", "a token", "tokens/s", "whole", "of limit", "memory")


def entry(one: Compared | Learnt, bytes_per_s: float) -> Json:
    """One case as plain values."""
    named: Json = {"case": one.case, "precision": one.precision, "reason": one.reason or None}
    if isinstance(one, Learnt):
        return named | {"found": None if one.found is None else asdict(one.found)}
    us, them = sides(one.case)
    if one.ours is None or one.peer is None:
        return named | {us: None, them: None, "ratio": None, "same_tokens": None}
    limit = one.step_bytes / bytes_per_s
    theirs = limit if one.peer_step_bytes is None else one.peer_step_bytes / bytes_per_s
    figures = {us: side(one.ours, limit), them: side(one.peer, theirs)}
    comparable = one.precision != "float32" or one.same_tokens
    first = one.ours.runs[0]
    added = {"decode_s": {us: decode_s(one.ours), them: decode_s(one.peer)}} if one.case == BATCH else {}
    return named | figures | added | {
        "words": DRAFTS.get(one.case, TOGETHER_KIND).words,
        "ratio": ratios(figures[them], figures[us]) if comparable else None,
        "same_tokens": one.same_tokens,
        "positions": first.positions,
        "tokens": len(first.tokens),
        "distinct_tokens": len(set(first.tokens)),
        "limit_s": limit,
    }  # fmt: skip


def side(measured: Measured, limit: float) -> Json:
    """What one side of a case took; ``limit``: seconds a decode step takes at least."""
    times = spreads(measured.runs)
    steps = len(measured.runs[0].tokens) > 1
    return {name: asdict(one) for name, one in times.items()} | {
        "tokens_per_s": 1 / times["step_s"].median if steps else None,
        "bandwidth_share": limit / times["step_s"].median if steps else None,
        "memory_bytes": measured.memory.peak,
        "model_bytes": measured.memory.loaded,
        "passes": measured.runs[0].passes,
        "others": max(run.others for run in measured.runs),
    }


def decode_s(measured: Measured) -> float:
    """Seconds of decoding in all of its runs together."""
    return sum(run.step_s * (len(run.tokens) - 1) for run in measured.runs)


def measured_sides(one: Json) -> tuple[str, str] | None:
    """The names of the sides of a case that was measured on both."""
    named = sides(one["case"])
    return named if one.get(named[0]) else None


def ratios(theirs: Json, ours: Json) -> Json:
    """Theirs over ours; min and max are what the spreads allow."""
    found: Json = {}
    for name in TIMES:
        peer, engine = Spread(**theirs[name]), Spread(**ours[name])
        if engine.min > 0:
            found[name] = asdict(Spread(peer.median / engine.median, peer.min / engine.max, peer.max / engine.min))
    found["memory_bytes"] = theirs["memory_bytes"] / ours["memory_bytes"] if ours["memory_bytes"] > 0 else None
    return found


def same_tokens(cases: Sequence[Json]) -> bool | None:
    """Whether both sides wrote the same in float32 wherever both were measured; None if they were nowhere."""
    said = [one["same_tokens"] for one in cases if one["precision"] == "float32" and one.get("same_tokens") is not None]
    return all(said) if said else None


def table(result: Json, *, markdown: bool = False) -> str:
    """The result for people."""
    rows = [row for one in result["cases"] if measured_sides(one) for row in _rows(one)]
    parts = [_heading(result)]
    if rows:
        parts.append(_markdown(rows) if markdown else _columns(rows))
    lines = list(sentences(result))
    parts.append("\n".join(f"- {line}" for line in lines) if markdown else "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _heading(result: Json) -> str:
    machine, size = result["machine"], result["size"]
    where = machine["gpu"] or f"{machine['processor']}, {machine['threads']} of {machine['cores']} cores"
    return (
        f"{size['words']}; {where}; torch {machine['torch']}, transformers {machine['transformers']}; "
        f"{result['date'][:10]}.\nMedian of {result['repeats']} drafts, each of another pair; ratio = peer / engine."
    )


def _rows(one: Json) -> list[list[str]]:
    name = f"{one['case']}, {one['precision']}"
    us, them = sides(one["case"])
    return [_figures(name, us, one[us]), _figures("", them, one[them]), _ratio_row(one)]


def _figures(name: str, who: str, found: Json) -> list[str]:
    total = found["total_s"]
    spread = f" ({_seconds(total['min'])}-{_seconds(total['max'])})" if total["max"] > total["min"] else ""
    share, rate = found["bandwidth_share"], found["tokens_per_s"]
    return [
        name,
        who,
        *(_seconds(found[key]["median"]) + " s" for key in ("encode_s", "prefill_s", "first_token_s")),
        f"{found['step_s']['median'] * 1000:.1f} ms",
        "n/a" if rate is None else f"{rate:.1f}",
        f"{_seconds(total['median'])}{spread} s",
        "n/a" if share is None else f"{share:.0%}",
        f"{found['memory_bytes'] / 1e9:.2f} GB",
    ]


def _ratio_row(one: Json) -> list[str]:
    ratio = one["ratio"]
    if ratio is None:
        return ["", "ratio", *["n/a"] * 8]
    times = [_times(ratio.get(key)) for key in ("encode_s", "prefill_s", "first_token_s", "step_s")]
    memory = ratio["memory_bytes"]
    return ["", "ratio", *times, "", _times(ratio.get("total_s")), "", "n/a" if memory is None else f"{memory:.1f}"]


def _times(ratio: Mapping[str, float] | None) -> str:
    return "n/a" if ratio is None else f"{ratio['median']:.1f}"


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _columns(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True)]
    lines = []
    for row in (HEADINGS, *rows):
        cells = [text.ljust(w) if n < 2 else text.rjust(w) for n, (text, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [HEADINGS, ["---", "---", *["---:"] * (len(HEADINGS) - 2)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def sentences(result: Json) -> list[str]:
    """What the table does not hold: the limit, the checks, the demonstration model, and what is absent and why."""
    rate = result["read_rate"]
    lines = [
        f"Limit: this machine read {rate['before'] / 1e9:.0f} GB/s before and {rate['after'] / 1e9:.0f} GB/s after the "
        "cases; the higher one counts. 'of limit' is the time that reading weights and cache once takes, over the "
        "time a token took."
    ]
    measured = [one for one in result["cases"] if measured_sides(one)]
    if measured:
        lines.append(_quiet(measured))
    same = same_tokens([one for one in result["cases"] if one["case"] != BATCH])
    if same is not None:
        lines.append(
            "Same tokens: engine and peer wrote the same in every float32 draft."
            if same
            else "DIFFERENT TOKENS: engine and peer did not write the same in every float32 draft; see 'n/a' above."
        )
    for one in result["cases"]:
        line = _sentence(one, result["cases"])
        if line:
            lines.append(line)
    return lines


def _quiet(cases: Sequence[Json]) -> str:
    most, where = max(
        (one[who]["others"], f"{one['case']}, {one['precision']}: {who}") for one in cases for who in sides(one["case"])
    )
    if most < QUIET:
        return f"Quiet: other programs took at most {max(0.0, most):.2f} processor cores while a draft was measured."
    return f"DISTURBED: other programs took up to {most:.2f} processor cores while drafts were measured ({where})."


def _sentence(one: Json, cases: Sequence[Json]) -> str:
    name = f"{one['case']}, {one['precision']}"
    if one["reason"]:
        return f"{name}: n/a, because {one['reason'].rstrip('.')}."
    if one["case"] == BATCH:
        return _batch(name, one)
    if one["case"] == LOOKUP:
        return _guessing(name, one["found"])
    if one["case"] == LAYERS:
        return _forms(one["found"])
    if one["case"] == AGREEMENT:
        found = one["found"]
        return (
            f"{name}: the demonstration model chose {found['same']} of {found['tokens']} tokens as in float32 "
            f"({found['same'] / found['tokens']:.2%}), all of them in {found['cases_alike']} of {found['cases']} cases."
        )
    if one["precision"] != "float32" and not one["same_tokens"]:
        return (
            f"{name}: engine and peer round differently and parted in some drafts; both wrote {one['tokens']} tokens."
        )
    if one["case"] == "second":
        return _second(name, one, cases)
    return ""


def _guessing(name: str, found: Json) -> str:
    plain = found["tokens"] - found["cases"]
    return (
        f"{name}: the demonstration model wrote {found['tokens']} tokens in {found['passes']} passes instead of "
        f"{plain} ({plain / found['passes']:.1f} times fewer; decoding was {found['plain_s'] / found['hinted_s']:.1f} "
        f"times as fast), the same text in {found['same']} of {found['cases']} cases."
    )


def _forms(found: Json) -> str:
    rows = " / ".join(map(str, ROWS))
    each = []
    for form in found["forms"]:
        times = " / ".join(f"{seconds * 1000:.2f}" for seconds in form["seconds"])
        each.append(f"{form['name']} {times} ms, error {form['error']:.1%}")
    shape = f"{found['inputs']} x {found['outputs']}"
    return f"layers: one of {shape} in bfloat16, for {rows} rows: {'; '.join(each)}."


def _batch(name: str, one: Json) -> str:
    together, singly = (one["decode_s"][who] for who in sides(BATCH))
    if not one["same_tokens"]:
        parted = "DIFFERENT TOKENS" if one["precision"] == "float32" else "other tokens in some, by rounding"
    else:
        parted = "the same tokens in all of them"
    return (
        f"{name}: the engine decoded {BATCHED} pairs together in {_seconds(together)} s and one by one in "
        f"{_seconds(singly)} s: {singly / together:.1f} times as fast, with {parted}. The figures above are a draft's "
        "share; their ratio is one by one / together."
    )


def _second(name: str, one: Json, cases: Sequence[Json]) -> str:
    first = next(
        (other for other in cases if (other["case"], other["precision"]) == ("greedy", one["precision"])), None
    )
    if first is None or not first.get(OURS):
        return ""
    before, after = (entry[OURS]["first_token_s"]["median"] for entry in (first, one))
    return (
        f"{name}: first token after {after:.2f} s, {before / after:.1f} times sooner than that of the first question."
    )
