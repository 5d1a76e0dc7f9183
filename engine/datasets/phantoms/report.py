"""Writes the report of a phantom case from its truth.

Every present finding is stated with side, size and, where there is a prior film, its change; findings that went away
are stated as such; nearly all others are denied, some together. Without a prior film no sentence compares. Templates
are split by position: one in five is held out and used by ``split="test"`` alone. Knows words, not pictures.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from engine.datasets.phantoms import phrases
from engine.datasets.phantoms.model import BANDS, DEVICES, FINDINGS, FindingTruth, Site

MENTIONED = 0.975
"""Probability that an absent finding is denied at all."""

ORDERS = (
    (
        "devices",
        "cardiomegaly",
        "pulmonary edema",
        "consolidation",
        "atelectasis",
        "nodule",
        "pleural effusion",
        "pneumothorax",
    ),
    (
        "devices",
        "consolidation",
        "nodule",
        "atelectasis",
        "pulmonary edema",
        "pleural effusion",
        "pneumothorax",
        "cardiomegaly",
    ),
    (
        "cardiomegaly",
        "pulmonary edema",
        "consolidation",
        "nodule",
        "atelectasis",
        "pleural effusion",
        "pneumothorax",
        "devices",
    ),
)
"""Orders in which readers go through a film."""

TOGETHER = (
    (("pleural effusion", "pneumothorax"), 0.65),
    (("consolidation", "pulmonary edema"), 0.3),
    (("consolidation", "nodule"), 0.3),
    (("atelectasis", "nodule"), 0.2),
)
"""Absent findings that are denied in one sentence, and how often."""


@dataclass(frozen=True)
class Text:
    """The words of one case."""

    indication: str
    findings: str
    impression: str


def held_out(key: str, count: int) -> frozenset[int]:
    """Positions of the templates that training never sees: one in five, none of lists shorter than five."""
    if count < 5:
        return frozenset()
    first = zlib.crc32(key.encode()) % 5
    return frozenset(range(first, count, 5))


def compose(
    truth: tuple[FindingTruth, ...],
    *,
    has_prior: bool,
    site: Site,
    split: str,
    rng: np.random.Generator,
    age: int,
    sex: str,
) -> Text:
    """The report of a case; ``rng`` chooses among the phrases that ``site`` and ``split`` allow."""
    writer = _Writer(site, split, rng)
    return Text(writer.indication(age, sex), writer.findings(truth), writer.impression(truth))


class _Writer:
    def __init__(self, site: Site, split: str, rng: np.random.Generator) -> None:
        self.site, self.split, self.rng = site, split, rng

    def choose(self, key: str, templates: tuple[str, ...]) -> str:
        """A template of the split's share, more often one that the site prefers."""
        kept_back = held_out(key, len(templates))
        if kept_back:
            templates = tuple(t for i, t in enumerate(templates) if (i in kept_back) == (self.split == "test"))
        weights = np.array([self.site.habit if self._preferred(t) else 1.0 for t in templates])
        return templates[int(self.rng.choice(len(templates), p=weights / weights.sum()))]

    def _preferred(self, words: str) -> bool:
        return bool(zlib.crc32(f"{self.site.name}:{words}".encode()) % 2)

    def pick(self, words: tuple[str, ...]) -> str:
        """The first word mostly, else one of the others."""
        if len(words) == 1 or self.rng.random() < 0.6:
            return words[0]
        return words[1 + int(self.rng.integers(len(words) - 1))]

    def present(self, entry: FindingTruth) -> str:
        """The sentence for a finding that is there, or was there before."""
        template = self.choose(f"{entry.finding}:{entry.change}", phrases.POSITIVE[entry.finding, entry.change])
        size = (
            self.pick(phrases.SIZES[entry.finding][BANDS.index(entry.band)])
            if entry.band and "{size}" in template
            else ""
        )
        both = entry.side == "bilateral"
        words = template.format(
            size=size,
            side=entry.side,
            zone=phrases.ZONES.get(entry.zone, ""),
            base="lung bases" if both else "lung base",
        )
        return sentence(_plural(words, entry.finding) if both else words)

    def findings(self, truth: tuple[FindingTruth, ...]) -> str:
        """The findings paragraph."""
        by_name = {entry.finding: entry for entry in truth}
        denied = [name for name in FINDINGS if name not in by_name and self.rng.random() < MENTIONED]
        partner: dict[str, str] = {}
        for (first, second), rate in TOGETHER:
            free = first in denied and second in denied and first not in partner and second not in partner
            if free and self.rng.random() < rate:
                partner[first], partner[second] = second, first
        out: list[str] = []
        done: set[str] = set()
        order = ORDERS[int(self.rng.choice(3, p=(0.4, 0.35, 0.25)))]
        if self.site.order and self.rng.random() < self.site.order:
            order = ORDERS[zlib.crc32(self.site.name.encode()) % len(ORDERS)]
        for name in order:
            if name == "devices":
                out += [self.present(by_name[device]) for device in DEVICES if device in by_name]
            elif name in by_name:
                out.append(self.present(by_name[name]))
            elif name in denied and name not in done:
                out.append(self.deny([name] + ([partner[name]] if name in partner else [])))
                done |= {name, partner.get(name, name)}
        return " ".join(out)

    def deny(self, names: list[str]) -> str:
        """The sentence for findings that are absent."""
        if names == ["cardiomegaly"]:
            return self.choose("normal heart", phrases.NORMAL_HEART)
        words = " or ".join(self.pick(phrases.ABSENT_NAMES[name]) for name in names)
        return sentence(self.choose("absent", phrases.ABSENT).format(list=words))

    def impression(self, truth: tuple[FindingTruth, ...]) -> str:
        """One or two sentences: what matters most."""
        entries = [entry for entry in truth if entry.finding in FINDINGS]
        entries.sort(key=lambda entry: -max(entry.size, 0.5 * (entry.prior_size or 0)))
        if not any(entry.present for entry in entries):
            gone = [self.present(entry) for entry in entries[:1]]
            return " ".join(
                [*gone, self.choose("impression", phrases.IMPRESSION_NORMAL[:3] if gone else phrases.IMPRESSION_NORMAL)]
            )
        return " ".join(self.present(entry) for entry in entries[:3])

    def indication(self, age: int, sex: str) -> str:
        """Why the film was asked for; says nothing of what it shows."""
        if self.rng.random() < 0.55:
            return self.choose("indication", phrases.INDICATIONS)
        complaint = (
            self.pick(phrases.COMPLAINTS) if self.rng.random() < 0.3 else phrases.COMPLAINTS[int(self.rng.integers(8))]
        )
        word = "woman" if sex == "F" else "man"
        return sentence(self.choose("history", phrases.HISTORIES).format(age=age, sex=word, complaint=complaint))


def sentence(words: str) -> str:
    """With a capital first letter and single spaces."""
    words = " ".join(words.split())
    return words[0].upper() + words[1:]


def _plural(words: str, finding: str) -> str:
    """Bilateral effusions are two: "a small bilateral pleural effusion" -> "small bilateral pleural effusions"."""
    if finding != "pleural effusion":
        return words
    words = words.replace("pleural effusion", "pleural effusions").replace("costophrenic angle", "costophrenic angles")
    for article in ("There is a new ", "There is a ", "a ", "A "):
        if article.startswith("There"):
            words = words.replace(article, article.replace(" is a", " are"))
        elif words.startswith("A "):
            words = words[2:]
    words = words.replace(" of a ", " of ").replace("due to a ", "due to ")
    words = words.replace("effusions has ", "effusions have ").replace("effusions is ", "effusions are ")
    words = words.replace("seen on the bilateral", "seen bilaterally").replace("and is now", "and are now")
    return words
