"""METEOR: the original implementation's figures, its words, and what is said where WordNet is missing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import nltk.data
import pytest
from five_studies import REFERENCES, write_answers
from hypothesis import given
from hypothesis import strategies as st
from nltk.tokenize import word_tokenize

from engine.cli import main
from engine.evaluation import meteor, wordnet
from engine.evaluation.statistics import Patients
from engine.evaluation.wording import normalised


@pytest.fixture
def installed() -> Path:
    found = wordnet.find()
    if found is None:
        pytest.skip("missing tool: WordNet 3.0 is not installed")
    return found


@pytest.fixture(scope="module")
def nltks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], list[str]]]:
    """NLTK's own ``word_tokenize``, with the Punkt parameters where it looks for them."""
    folder = tmp_path_factory.mktemp("nltk_data")
    shutil.copytree(str(files("engine.evaluation") / "punkt"), folder / "tokenizers" / "punkt_tab" / "english")
    nltk.data.path.append(str(folder))
    yield word_tokenize
    nltk.data.path.remove(str(folder))


def test_the_golden_figures(shared: Path, installed: Path) -> None:
    golden = json.loads((shared / "reference" / "metrics_golden.json").read_text())
    pairs = [(pair["reference"], pair["prediction"]) for pair in golden["pairs"]]
    references, predictions = zip(*pairs, strict=True)
    measure = meteor.measure(references, predictions, installed)
    everyone = Patients([str(index) for index in range(len(pairs))])
    assert everyone.score(measure, intervals=False).value == pytest.approx(golden["corpus"]["METEOR"], abs=1e-4)
    each = [100 * meteor.score(normalised(gold), normalised(said), installed) for gold, said in pairs]
    assert each == pytest.approx([row["METEOR"] for row in golden["each"]], abs=1e-4)


def test_documented_examples(installed: Path) -> None:
    said = "It is a guide to action which ensures that the military always obeys the commands of the party"
    gold = "It is a guide to action that ensures that the military will forever heed Party commands"
    assert round(meteor.score(gold, said, installed), 4) == 0.6944
    assert meteor.score("the tumour", "the tumor", installed) > meteor.score("the tumour", "the edema", installed)
    assert meteor.score("", "a text", installed) == meteor.score("a text", "", installed) == 0


PIECES = (
    "no pneumothorax. the heart is normal. dr. smith no. 3 3.5 cm t. 1. 2. a.m. i.v. ... e.g. vs. st. pp. "
    "p.m. approx. min. ( ) , ; : - r. l. u.s. (may 3). 12. new stable, at 5:30. etc. ##number##. é. ß. 𝐀. x.y. _a_. "
    "The Heart. IMPRESSION: \"quoted.\" 'tis can't gonna it's [1]. a--b wait... ok?! yes! ct. jan. fig. l"
).split()


@given(st.lists(st.sampled_from(PIECES), max_size=14).map(" ".join))
def test_words_are_those_of_nltk(nltks: Callable[[str], list[str]], text: str) -> None:
    assert meteor.words(text) == nltks(text)
    assert meteor.words(normalised(text)) == nltks(normalised(text))


@given(st.text(max_size=40))
def test_words_of_any_text_are_those_of_nltk(nltks: Callable[[str], list[str]], text: str) -> None:
    assert meteor.words(text) == nltks(text)


def test_without_wordnet_the_figure_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], reference_file: Path
) -> None:
    monkeypatch.setattr(wordnet, "DEBIAN", tmp_path / "nowhere")
    answers = write_answers(tmp_path / "answers.jsonl", REFERENCES)
    command = ["score", "--references", str(reference_file), "--predictions", str(answers), "--no-intervals", "--json"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)["scores"]["METEOR"]
    assert found["value"] is None
    assert found["note"].startswith("n/a, because") and wordnet.PACKAGE in found["note"]
    main(["doctor"])
    line = next(line for line in capsys.readouterr().out.splitlines() if line.split()[1] == "wordnet")
    assert line.startswith("note") and "METEOR" in line


def test_another_version_counts_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: Path) -> None:
    monkeypatch.setattr(wordnet, "DEBIAN", tmp_path / "nowhere")
    for name in wordnet._FILES:
        (tmp_path / name).symlink_to(installed / name)
    monkeypatch.setenv("WNSEARCHDIR", str(tmp_path))
    assert wordnet.find() == tmp_path
    (tmp_path / "data.adj").unlink()
    (tmp_path / "data.adj").write_text("  1 WordNet 3.1 Copyright 2011 by Princeton University.\n")
    assert wordnet.find() is None


def test_perfect_answers_are_near_a_hundred(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, reference_file: Path, installed: Path
) -> None:
    answers = write_answers(tmp_path / "answers.jsonl", REFERENCES)
    command = ["score", "--references", str(reference_file), "--predictions", str(answers), "--json"]
    assert main([*command, "--metrics", "METEOR"]) == 0
    score = json.loads(capsys.readouterr().out)["scores"]["METEOR"]
    assert 95 < score["value"] <= 100 and score["studies"] == 5
