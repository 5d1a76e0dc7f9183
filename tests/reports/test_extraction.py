"""Laws of the extractor: positions, totality, summaries; and that phantom reports are read as they were meant."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.reports.findings import Change, Finding, Side, Status, compares, extract, summary
from engine.reports.scanning import scan

WORDS = (
    "no new effusion the left right bilateral small moderate pneumothorax has have increased decreased is are "
    "unchanged resolved and or , . ; : but with without evidence of heart enlarged normal lungs clear possible "
    "cannot exclude atelectasis compared to prior study tube line removed again seen ( ) ? 3.5 cm this versus"
).split()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join) | st.text(max_size=40))
def test_any_text_is_read(text: str) -> None:
    for mention in extract(text):
        assert text[mention.start : mention.end] == mention.text
        assert mention.sentence >= 0
        assert (mention.change is Change.RESOLVED) <= (mention.status is Status.ABSENT)
    assert {mention.finding for mention in extract(text)} == set(summary(text))
    assert all(text[span.start : span.end] == span.text for span in compares(text))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join))
def test_items_are_in_order_and_apart(text: str) -> None:
    items = scan(text)
    assert all(a.end <= b.start for a, b in pairwise(items))


def test_letter_case_and_line_breaks_change_nothing() -> None:
    text = "Small left pleural effusion has increased since the prior study. No pneumothorax."
    plain = [(m.finding, m.status, m.side, m.change) for m in extract(text)]
    for other in (text.upper(), text.lower(), text.replace(" ", "\n"), text.replace(" ", "  ")):
        assert [(m.finding, m.status, m.side, m.change) for m in extract(other)] == plain


def test_size_words_are_kept_as_written() -> None:
    sizes = {m.finding: m.size for m in extract("Small to moderate effusion. 1.2 cm nodule. Mild cardiomegaly.")}
    assert sizes == {
        Finding.EFFUSION: "small to moderate",
        Finding.NODULE: "1.2 cm",
        Finding.CARDIOMEGALY: "mild",
    }


def test_summary_takes_the_strongest_statement() -> None:
    state = summary("No effusion on the right. Small left effusion, increased. Possible effusion.")[Finding.EFFUSION]
    assert (state.status, state.side, state.change) == (Status.PRESENT, Side.LEFT, Change.WORSE)


def test_summary_keeps_the_change_of_each_side() -> None:
    state = summary("Unchanged right, increased left pleural effusion.")[Finding.EFFUSION]
    assert state.side is Side.BILATERAL
    assert state.sides == {Side.RIGHT: Change.UNCHANGED, Side.LEFT: Change.WORSE}


@pytest.mark.parametrize("split", ["train", "test"])
def test_phantom_reports_are_read_as_meant(split: str) -> None:
    from engine.datasets.phantoms import SITE_A, SITE_B, sample_case
    from engine.datasets.phantoms.model import DEVICES, FINDINGS

    wrong: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for site in (SITE_A, SITE_B):
        for seed in range(60):
            case = sample_case(seed, site=site, split=split)
            states = summary(case.findings_text)
            truth = {entry.finding: entry for entry in case.truth}
            for name in (*FINDINGS, *DEVICES):
                state, entry = states.get(Finding(name)), truth.get(name)
                total["status"] += 1
                wrong["status"] += (entry is not None and entry.present) != (
                    state is not None and state.status is Status.PRESENT
                )
                if entry is not None:
                    total["change"] += 1
                    wrong["change"] += state is None or state.change != entry.change
                    sided = state is not None and state.side is not Side.UNSPECIFIED
                    wrong["side"] += sided and state is not None and state.side != entry.side
            comparable = case.prior is not None and any(entry.change != "not compared" for entry in case.truth)
            assert bool(compares(case.findings_text)) == comparable
    assert wrong["status"] <= 0.01 * total["status"]
    assert wrong["change"] <= 0.02 * total["change"]
    assert wrong["side"] <= 0.02 * total["change"]
