"""Answers against references and truth: every score with its interval, or why there is none.

Libra's keys (BLEU1..4, METEOR, ROUGE-L, Temporal_entity_score, Bert_score) are there whenever there are reference
texts; the scores of meaning come from a truth file where one is given, else from the reference texts. Short answers to
questions (the task "vqa") have scores of their own in place of those of meaning. Studies are matched by id; what has no
partner is counted and said. Whether a study was to be compared follows what the model was shown: answers made without
the prior (``metadata.prior`` is "none") must not compare, a dummy prior counts as a pair.

What reads a text by rules or with English words reads English alone: Temporal Entity F1, findings, sides, changes and
comparisons count the studies whose reference has English in it (where there is no reference: whose answer has), METEOR
and the scorers that need a checkpoint those that are in English altogether. How many that are is said; where there are
none, so is why there is no score. An answer in another language to a reference in English finds nothing; what it
compares nobody here can read, so that Temporal Entity F1 and the rates of comparisons leave it out, which is said.

What is counted of each study is a `Tally`: scores, differences, scores of a part of the studies and of a single one are
all made of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from engine.datasets.libra import Answer, Reference
from engine.errors import InputError
from engine.evaluation import meaning, vqa, wording, wordnet
from engine.evaluation.keys import KEYS, LIBRA_KEYS
from engine.evaluation.meaning import Reading
from engine.evaluation.statistics import Difference, Floats, Measure, Patients, Score
from engine.evaluation.truth import StudyTruth, from_reference, own_classes
from engine.reports.findings import CHEXPERT
from engine.reports.labels import EXTRACTOR_LINE
from engine.reports.language import BILINGUAL, in_english, written_in

METEOR, BERT = "METEOR", "Bert_score"
MEANING = tuple(name for name in KEYS if name.startswith(meaning.STEMS) and "[" not in name and "_with_" not in name)
"""The scores of meaning of all studies together."""

NO_BERT = "n/a, because no BERT checkpoint was given: --bertscore DIR"
NOT_GIVEN = "n/a, because the checkpoint or the environment it needs was not given"
NO_JUDGE = "n/a, because it needs a judge, which 'score DIR --judge MODEL' asks"

NOT_ENGLISH = "n/a, because it is for English and the references are not"
FOR_ENGLISH = (
    "{} of {} studies are not in English: findings, sides, changes, comparisons and Temporal Entity F1 are for English "
    "and leave them out."
)
FOR_ENGLISH_ALONE = (
    "{} of {} studies are not in English alone: METEOR and the scores that need a checkpoint leave them out."
)

Task = Literal["report", "vqa"]
"""What the answers are: reports, or short answers to questions."""

EVERYTHING = ("",)
"""The keys that are asked for, by their beginnings: all of them."""


class Scorer(Protocol):
    """Scores of paired texts that need more than this program: a checkpoint, or another environment.

    ``stems`` are the beginnings of the keys it gives; ``absent`` says of a key why it gave none the last time.
    """

    stems: tuple[str, ...]
    absent: Mapping[str, str]

    def measures(self, references: Sequence[str], predictions: Sequence[str]) -> dict[str, Measure]:
        """What is counted of each pair, by key."""
        ...


@dataclass(frozen=True, eq=False)
class Tally:
    """What is counted of each study: ``measures`` have a row for each of ``ids``, ``owners`` names its patient."""

    ids: tuple[str, ...]
    owners: tuple[str, ...]
    measures: Mapping[str, Measure]

    def of(self, ids: Collection[str]) -> Tally:
        """The part of it about these studies, in the order it has."""
        wanted = set(ids)
        places = [place for place, identity in enumerate(self.ids) if identity in wanted]
        measures = {name: measure.of(places) for name, measure in self.measures.items()}
        return Tally(tuple(self.ids[at] for at in places), tuple(self.owners[at] for at in places), measures)

    def scores(self, *, intervals: bool = True) -> dict[str, Score]:
        """Every score of these studies."""
        return Patients(self.owners).scores(self.measures, intervals=intervals)

    def each(self, name: str) -> Floats:
        """A score of every single study [studies]; nan where the study does not count for it."""
        measure = self.measures[name]
        return np.where(measure.support, np.asarray(measure.combine(measure.rows)), np.nan)


@dataclass(frozen=True)
class ScoreSheet:
    """Scores by key in the order they are shown, with what they rest on.

    ``missing`` are ids of studies without an answer, ``unknown`` ids of answers without a study; neither is scored.
    ``patients`` counts who is resampled; ``notes`` are sentences to print beside the figures.
    """

    scores: Mapping[str, Score]
    studies: int
    patients: int
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    notes: tuple[str, ...]


class Evaluation:
    """References and truth, prepared once, to score one or several sets of answers against.

    Args:
        references: id -> reference text; may be empty where there is truth.
        truth: id -> truth; the reference texts stand in for it where it is empty.
        scorers: of paired texts, beside those that need nothing.
        task: what the answers are; unless given, what the references look like (`vqa.RULE`), and reports where there is
            a truth file.

    Raises:
        InputError: neither references nor truth, or short answers without references.
    """

    def __init__(
        self,
        references: Mapping[str, Reference],
        truth: Mapping[str, StudyTruth],
        scorers: Sequence[Scorer] = (),
        task: Task | None = None,
    ) -> None:
        if not references and not truth:
            raise InputError("There is nothing to score against: give references, a truth file, or both.")
        self.task: Task = task or ("vqa" if not truth and vqa.is_vqa(references.values()) else "report")
        if self.task == "vqa" and not references:
            raise InputError("Short answers are scored against reference answers, and there are none: a truth file "
                             "says what a report must hold.")  # fmt: skip
        self._references = references
        truth = truth if self.task == "report" else {}
        self._truth = truth
        self._scorers = scorers
        self._classes = own_classes(truth.values()) if truth else dict(CHEXPERT)
        self.ids = tuple(truth) if truth else tuple(references)
        languages = [written_in(reference.text) for reference in references.values() if in_english(reference.text)]
        self._in_english = not references or bool(languages)
        self._in_english_alone = any(language != BILINGUAL for language in languages)

    def score(
        self, answers: Mapping[str, Answer], *, intervals: bool = True, wanted: Sequence[str] = EVERYTHING
    ) -> ScoreSheet:
        """Score one set of answers; ``wanted``: the beginnings of the keys that are asked for.

        Raises:
            InputError: not one answer belongs to a study.
        """
        return self.sheet(self.tally(answers, wanted), answers, intervals=intervals, wanted=wanted)

    def compare(
        self, first: Mapping[str, Answer], second: Mapping[str, Answer], *, wanted: Sequence[str] = EVERYTHING
    ) -> dict[str, Difference]:
        """Second minus first, over the studies both answered.

        Raises:
            InputError: no study was answered by both.
        """
        return self.difference(self.tally(first, wanted), self.tally(second, wanted))

    def tally(self, answers: Mapping[str, Answer], wanted: Sequence[str] = EVERYTHING) -> Tally:
        """What is counted of each study that has an answer, for the keys that begin with one of ``wanted``.

        Raises:
            InputError: not one answer belongs to a study.
        """
        ids = [identity for identity in self.ids if identity in answers]
        if not ids:
            raise InputError("None of the answers belongs to one of the studies: their ids do not match.")
        owners = tuple(map(self.owner, ids))
        measures = self._measures(ids, answers, tuple(wanted))
        kept = {name: measure for name, measure in measures.items() if name.startswith(tuple(wanted))}
        return Tally(tuple(ids), owners, kept)

    def difference(self, first: Tally, second: Tally) -> dict[str, Difference]:
        """Second minus first, over the studies both have.

        Raises:
            InputError: they have none in common.
        """
        both = set(first.ids).intersection(second.ids)
        if not both:
            raise InputError("The two answer files have no study in common.")
        first, second = first.of(both), second.of(both)
        found = Patients(first.owners).compare(first.measures, second.measures)
        return {name: found[name] for name in self.ordered(dict.fromkeys(found, Score(None))) if name in found}

    def sheet(
        self, tally: Tally, answers: Mapping[str, Answer], *, intervals: bool = True, wanted: Sequence[str] = EVERYTHING
    ) -> ScoreSheet:
        """The scores of a tally with what they rest on."""
        scores = self.ordered(tally.scores(intervals=intervals))
        missing = tuple(identity for identity in self.ids if identity not in answers)
        unknown = tuple(identity for identity in answers if identity not in set(self.ids))
        return ScoreSheet(
            {name: score for name, score in scores.items() if name.startswith(tuple(wanted))},
            len(tally.ids),
            len(set(tally.owners)),
            missing,
            unknown,
            (*self._notes(len(tally.ids), missing, unknown), *self._languages(tally.ids, answers)),
        )

    def study(self, identity: str) -> StudyTruth:
        """The truth of one study."""
        if identity in self._truth:
            return self._truth[identity]
        reference = self._references[identity]
        return from_reference(identity, reference.text, patient=reference.about.patient, has_prior=reference.has_prior)

    def owner(self, identity: str) -> str:
        """Whose study it is: the patient, or what stands for one where that is not known.

        Many short questions may be about one image, and answers to them are no independent observations.
        """
        if self.task == "vqa":
            one = self._references[identity]
            return one.about.patient or one.image or identity
        return self.study(identity).patient

    def reading(self, identity: str, answer: Answer) -> Reading:
        """What an answer claims about a study; where they are not in English, nothing is known of either."""
        study = self.study(identity)
        if not in_english(self._told(identity, answer)):
            return Reading(replace(study, facts={}, comparable=None), answer.text, {}, None)
        return meaning.read(study, answer.text, self._classes, compared=_compared(study, answer))

    def _told(self, identity: str, answer: Answer) -> str:
        """The text whose language a study counts as: its reference, else the answer."""
        return self._references[identity].text if identity in self._references else answer.text

    def _measures(
        self, ids: Sequence[str], answers: Mapping[str, Answer], wanted: tuple[str, ...]
    ) -> dict[str, Measure]:
        texts = [answers[identity].text for identity in ids]
        told = [self._told(identity, answers[identity]) for identity in ids]
        some = [place for place, text in enumerate(told) if in_english(text)]
        alone = [place for place in some if written_in(told[place]) != BILINGUAL]
        found: dict[str, Measure] = {}
        if all(identity in self._references for identity in ids):
            gold = [self._references[identity].text for identity in ids]
            if _asked(wording.KEYS, wanted):
                found |= wording.measures(gold, texts)
            english = [gold[place] for place in alone], [texts[place] for place in alone]
            if alone and _asked((METEOR,), wanted) and (folder := wordnet.find()) is not None:
                from engine.evaluation import meteor  # NLTK takes two seconds to import

                found[METEOR] = meteor.measure(*english, folder).among(alone, len(ids))
            for scorer in self._scorers:
                if alone and _asked(scorer.stems, wanted):
                    measures = scorer.measures(*english)
                    found |= {name: measure.among(alone, len(ids)) for name, measure in measures.items()}
        else:
            found |= wording.shape(texts)
        if (self.task == "vqa" and _asked(vqa.STEMS, wanted)) or _named(vqa.STEMS, wanted):
            found |= vqa.measures([self._reference(identity) for identity in ids], texts)
        if (self.task == "report" and _asked(meaning.STEMS, wanted)) or _named(meaning.STEMS, wanted):
            readings = [self.reading(ids[place], answers[ids[place]]) for place in some]
            measures = meaning.measures(readings, list(self._classes)) if readings else {}
            found |= {name: measure.among(some, len(ids)) for name, measure in measures.items()}
        return found

    def _reference(self, identity: str) -> Reference:
        """The reference of a study; one without words where there is none."""
        return self._references.get(identity) or Reference("")

    def ordered(self, scores: Mapping[str, Score]) -> dict[str, Score]:
        """Libra's keys first; where there are reference texts, also those of them that cannot be computed."""
        ordered: dict[str, Score] = {}
        for name in LIBRA_KEYS:
            if name in scores:
                ordered[name] = scores[name]
            elif self._references and (reason := unavailable(name) or self._foreign(name)):
                ordered[name] = Score(None, note=reason)
        ordered |= {name: score for name, score in scores.items() if name not in ordered}
        if not self._in_english and self.task == "report":
            ordered |= {name: Score(None, note=NOT_ENGLISH) for name in MEANING if name not in ordered}
        for scorer in self._scorers:
            ordered |= {name: Score(None, note=reason) for name, reason in scorer.absent.items()}
        return ordered

    def _foreign(self, name: str) -> str:
        """Why the language of the references leaves one of Libra's scores without a figure; "" where it does not."""
        missing = not self._in_english_alone if name in (METEOR, BERT) else not self._in_english
        return NOT_ENGLISH if missing else ""

    def _notes(self, scored: int, missing: Sequence[str], unknown: Sequence[str]) -> tuple[str, ...]:
        notes = [self._how()]
        known = self._truth or any(reference.about.patient for reference in self._references.values())
        if not known:
            images = self.task == "vqa" and any(reference.image for reference in self._references.values())
            own = (
                "all questions about an image count as one patient"
                if images
                else f"every {'question' if self.task == 'vqa' else 'study'} counts as its own patient"
            )
            notes.append(f"Patients are not known: {own}, intervals may be too narrow.")
        if missing:
            what = "questions" if self.task == "vqa" else "studies"
            notes.append(f"{len(missing)} of {scored + len(missing)} {what} have no answer and are not scored.")
        if unknown:
            notes.append(f"{len(unknown)} answers belong to no study and are not scored.")
        return tuple(notes)

    def _languages(self, ids: Sequence[str], answers: Mapping[str, Answer]) -> Iterator[str]:
        """Which studies the scores for English leave out."""
        told = [self._told(identity, answers[identity]) for identity in ids]
        without = sum(not in_english(text) for text in told)
        not_alone = without + sum(written_in(text) == BILINGUAL for text in told)
        if without and self.task == "report":
            yield FOR_ENGLISH.format(without, len(ids))
        if not_alone and self._references:
            yield FOR_ENGLISH_ALONE.format(not_alone, len(ids))
        other = sum(in_english(text) and not in_english(answers[i].text) for i, text in zip(ids, told, strict=True))
        if other and self.task == "report":
            yield (
                f"{other} answers to studies in English are in another language: they count as finding nothing, and "
                "Temporal Entity F1 and the rates of comparisons leave them out."
            )

    def _how(self) -> str:
        """What the texts are compared with, and how."""
        if self.task == "vqa":
            closed, free = vqa.questions(self._references.values())
            return (
                f"{closed} questions are closed (yes, no or a choice), {free} open. Texts are compared in lower case, "
                "without marks and articles; a closed question answered by neither yes nor no is wrong."
            )
        source = "the truth file" if self._truth else "the reference texts (14 CheXpert classes)"
        return f"Findings and changes are read from the texts by rules ({EXTRACTOR_LINE}) and compared with {source}."


def unavailable(name: str, scorers: Sequence[Scorer] = ()) -> str:
    """Why a score cannot be computed here, whatever the texts; "" where it can."""
    if name == METEOR:
        return wordnet.missing()
    if name.startswith("judge_"):
        return NO_JUDGE
    if name.startswith(
        (*wording.KEYS, *meaning.STEMS, *vqa.STEMS, *(stem for scorer in scorers for stem in scorer.stems))
    ):
        return ""
    return NO_BERT if name == BERT else NOT_GIVEN


def _asked(stems: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether a key that begins with one of ``stems`` may begin with one of ``wanted``."""
    return any(stem.startswith(word) or word.startswith(stem) for stem in stems for word in wanted)


def _named(stems: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether one of ``wanted`` asks for keys that begin with one of ``stems`` and for no others."""
    return any(word.startswith(stem) for stem in stems for word in wanted)


def _compared(study: StudyTruth, answer: Answer) -> bool | None:
    """Whether the model had two images to compare: what the answer's metadata says, else what the study has."""
    shown = answer.metadata.get("prior")
    if shown == "none":
        return False
    if shown in ("true", "dummy"):
        return True
    return study.has_prior
