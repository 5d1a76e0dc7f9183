"""What a report says of a judge: who it is, whether people agree with it, its rates, and what may be chance."""

from __future__ import annotations

from collections.abc import Iterator

from engine.evaluation import report_figures as figures
from engine.evaluation import report_tables as tables
from engine.evaluation import report_vqa
from engine.evaluation.assessment import Assessment
from engine.evaluation.judge.results import sentence
from engine.evaluation.judge.summary import KEYS
from engine.evaluation.judge.verdict import PROMPT_SHA256
from engine.evaluation.keys import JUDGED, describe
from engine.evaluation.report_blocks import Block, Heading, Table, Text


def judged(found: Assessment) -> Iterator[Block]:
    """The section about the judge; nothing where there was none."""
    results = found.judge
    if results is None:
        return
    yield Heading("What a judge says")
    yield Text(results.caution, "note" if results.headline else "warning")
    for name in results.summaries:
        said = sentence(results, name, found.against)
        if said:
            yield Text(said)
    systems = [one for one in tables.scored(found) if one.name in results.summaries]
    for some in tables.chunks(systems):
        head = ("By the judge", "Better", *(one.title for one in some))
        counts = [results.summaries[one.name] for one in some]
        yield Table(
            head,
            (
                ("Answers judged", "", *(str(one.total_responses) for one in counts)),
                ("Replies that can be read", "", *(str(one.valid_responses) for one in counts)),
                *(
                    (figures.named(key), figures.better(describe(key)),
                     *(figures.cell(key, tables.score(one, key)) for one in some))
                    for key in KEYS
                ),
            ),
        )  # fmt: skip
    for one in systems:
        if results.compared is not None and one.name in results.compared.found:
            comparison = results.compared.found[one.name]
            yield from report_vqa.discordances(one.title, tables.title(found, found.against), comparison)
    left = {name: count for name, count in results.not_judged.items() if count}
    if left:
        listed = ", ".join(f"{name} {count}" for name, count in left.items())
        yield Text(f"Not judged, and in none of these figures: {listed} answers.", "warning")
    yield Text(
        f"Judge: {results.judge}; its instructions have the sha256 {PROMPT_SHA256[:12]}. It saw the question, the "
        "reference and one answer, not the image and not who answered, and chose words greedily. Shares in percent; "
        "'of all' counts answers whose verdict cannot be read as well. Its tests are corrected by themselves, over "
        f"{figures.count(results.compared.tests if results.compared else 0, 'test')}.",
        "note",
    )


def headline(found: Assessment) -> tuple[str, ...]:
    """The judge's scores that may stand among the headline scores."""
    return JUDGED if found.judge is not None and found.judge.headline else ()
