"""METEOR as Libra computes it: NLTK's, over NLTK's word tokens, with the synonyms of WordNet 3.0.

Lavie and Agarwal 2007 with alpha 0.9, beta 3, gamma 0.5; the mean over studies, texts after ``wording.normalised``.
The words are those of NLTK's ``word_tokenize``: Punkt's sentences (English parameters in the folder punkt), then the
Treebank rules. Without WordNet there is no score: an approximation would not be comparable.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import nltk.data
from nltk.corpus.reader.wordnet import WordNetCorpusReader
from nltk.tabdata import PunktDecoder
from nltk.tokenize.destructive import NLTKWordTokenizer
from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer
from nltk.translate.meteor_score import single_meteor_score

from engine.evaluation.statistics import Measure, mean
from engine.evaluation.wording import normalised

_LEXICOGRAPHERS = 45
"""The lexicographers' files of WordNet: a synset says its own by number."""


def measure(references: Sequence[str], predictions: Sequence[str], folder: Path) -> Measure:
    """METEOR of paired texts, times 100, with the WordNet in ``folder``."""
    pairs = zip(references, predictions, strict=True)
    return mean([score(normalised(gold), normalised(said), folder) for gold, said in pairs])


def score(reference: str, prediction: str, folder: Path) -> float:
    """METEOR of two texts, 0..1; 0 where either is empty."""
    return float(single_meteor_score(words(reference), words(prediction), wordnet=_wordnet(folder)))


def words(text: str) -> list[str]:
    """The tokens of a text, as NLTK's ``word_tokenize`` gives them."""
    treebank = NLTKWordTokenizer()
    return [str(token) for sentence in _splitter().tokenize(text) for token in treebank.tokenize(sentence)]


@cache
def _splitter() -> PunktSentenceTokenizer:
    """Punkt with its English parameters; NLTK itself would look for them in its data folders."""
    folder = files("engine.evaluation") / "punkt"

    def lines(name: str) -> list[str]:
        return (folder / name).read_text(encoding="utf-8").splitlines(keepends=True)

    decoder, parameters = PunktDecoder(), PunktParameters()
    parameters.abbrev_types = decoder.txt2set(lines("abbrev_types.txt"))
    parameters.collocations = set(decoder.tab2tups(lines("collocations.tab")))
    parameters.sent_starters = decoder.txt2set(lines("sent_starters.txt"))
    parameters.ortho_context = decoder.tab2intdict(lines("ortho_context.tab"))
    splitter = PunktSentenceTokenizer()
    splitter._params = parameters
    return splitter


@cache
def _wordnet(folder: Path) -> WordNetCorpusReader:
    """NLTK's reader of these files; it takes about a second and is kept."""
    return _Reader(folder)


class _Reader(WordNetCorpusReader):  # type: ignore[misc]
    """NLTK's reader without two files that Debian's package leaves out and METEOR does not need."""

    def __init__(self, folder: Path) -> None:
        if str(folder) not in nltk.data.path:
            nltk.data.path.append(str(folder))  # NLTK reads from the folders named there alone
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it knows one language only
            super().__init__(str(folder), omw_reader=None)

    def open(self, file: str) -> Any:
        if file == "lexnames":
            return io.StringIO("".join(f"{number:02d} unnamed 1\n" for number in range(_LEXICOGRAPHERS)))
        return super().open(file)

    def map_wn(self, version: str = "wordnet") -> None:
        """No other version is mapped onto this one: that would need the sense keys."""
