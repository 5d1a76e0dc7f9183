"""Reports: they say all of the truth, nothing but the truth, and compare only where there is a prior film."""

from __future__ import annotations

import re
from string import Formatter

import pytest

from engine.datasets.phantoms import SITE_A, SITE_B, phrases, sample_case
from engine.datasets.phantoms.model import DEVICES, FINDINGS
from engine.datasets.phantoms.report import held_out
from engine.reports.findings import compares, summary

COMPARISON = re.compile(
    r"\b(new|newly|prior|previous(ly)?|unchanged|stable|interval|increas\w+|decreas\w+|wors\w+|improv\w+|resol\w+|"
    r"again|persist\w+|remain\w*|larger|smaller|less|removed|no longer|progress\w+|enlarged|before|now|change|"
    r"similar)\b",
    re.IGNORECASE,
)


def test_without_a_prior_no_word_compares() -> None:
    alone = [case for seed in range(300) if not (case := sample_case(seed, site=SITE_B)).prior]
    assert len(alone) > 60
    for case in alone:
        for text in (case.findings_text, case.impression_text, case.indication):
            assert not COMPARISON.search(text), text
            assert not compares(text), text


@pytest.mark.parametrize(("site", "split"), [(SITE_A, "train"), (SITE_A, "test"), (SITE_B, "train")])
def test_an_independent_reader_finds_the_truth_in_the_words(site: object, split: str) -> None:
    mentioned = total = 0
    for seed in range(80):
        case = sample_case(seed, site=SITE_A if site is SITE_A else SITE_B, split=split)
        said = {str(finding): state for finding, state in summary(case.findings_text).items()}
        truth = {entry.finding: entry for entry in case.truth}
        for finding in FINDINGS + DEVICES:
            entry, state = truth.get(finding), said.get(finding)
            if entry is None:
                assert state is None or state.status == "absent", (finding, case.findings_text)
                total += finding in FINDINGS
                mentioned += state is not None and finding in FINDINGS
                continue
            assert state is not None, (finding, case.findings_text)
            assert state.status == ("present" if entry.present else "absent"), (finding, case.findings_text)
            assert state.change == entry.change, (finding, case.findings_text)
            if entry.side and finding != "pulmonary edema":
                assert state.side == entry.side, (finding, case.findings_text)
    assert mentioned / total > 0.95


def test_reports_are_compact_sentences() -> None:
    lengths = []
    for seed in range(300):
        text = sample_case(seed).findings_text
        lengths.append(len(text.split()))
        assert "{" not in text and "  " not in text and text.endswith(".")
        assert all(part[0].isupper() for part in text.split(". "))
        assert not re.search(r"\b(a|an) (bilateral pleural effusions|[aeiou]\w*-sized)", text)
        assert not re.search(r"\ba \w+ bilateral pleural effusions", text)
    assert 30 <= sum(lengths) / len(lengths) <= 90 and max(lengths) < 100


def test_no_held_out_template_is_written_for_training() -> None:
    kept = []
    for (finding, change), templates in phrases.POSITIVE.items():
        back = held_out(f"{finding}:{change}", len(templates))
        assert len(back) == 1 and len(templates) == 5
        kept += [_pattern(templates[position], finding) for position in back]
    (position,) = held_out("normal heart", len(phrases.NORMAL_HEART))
    kept.append(_pattern(phrases.NORMAL_HEART[position], "cardiomegaly"))
    train = " ".join(sample_case(seed).findings_text for seed in range(400))
    test = " ".join(sample_case(seed, split="test").findings_text for seed in range(400))
    for pattern in kept:
        assert not pattern.search(train), pattern.pattern
    assert sum(bool(pattern.search(test)) for pattern in kept) > 0.6 * len(kept)


def test_the_sites_prefer_other_phrases() -> None:
    def opening(site: object) -> float:
        texts = [sample_case(seed, site=SITE_A if site is SITE_A else SITE_B).findings_text for seed in range(300)]
        return sum("There is no" in text for text in texts) / len(texts)

    assert abs(opening(SITE_A) - opening(SITE_B)) > 0.1


def _pattern(template: str, finding: str) -> re.Pattern[str]:
    """The whole sentence a template makes, where it begins a sentence."""
    sizes = [size for band in phrases.SIZES.get(finding, ()) for size in band]
    fields = {
        "size": f"({'|'.join(map(re.escape, sizes))})",
        "side": "(left|right|bilateral)",
        "base": "lung bases?",
        "zone": r"\w+ lung",
    }
    parts = []
    for literal, field, _, _ in Formatter().parse(template):
        parts.append(re.escape(literal) + (fields[field] if field else ""))
    return re.compile(r"(?:^|(?<=\. ))" + "".join(parts), re.IGNORECASE)
