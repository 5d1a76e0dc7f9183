"""A data set in figures: counted by hand on a small one."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.datasets.describing import AGE_EDGES, WORD_EDGES, describe, language, script, spread
from engine.datasets.libra import About, Question, TrainingSample

WORSE = "Small left pleural effusion has increased. No pneumothorax."
CLEAR = "The lungs are clear. No effusion."


def sample(name: str, answer: str, *images: str, **about: object) -> TrainingSample:
    return TrainingSample(
        name, tuple(map(Path, images)), (("<image>\nDescribe.", answer),), About(**about)  # type: ignore[arg-type]
    )  # fmt: skip


def test_every_figure_of_a_small_set() -> None:
    cases = [
        sample("a", WORSE, "1.png", "0.png", patient="P", study="1", view="PA", sex="F", age=44.0),
        sample("b", CLEAR, "2.png", patient="Q", study="1", view="AP", sex="M", age=91.0),
        sample("c", CLEAR, "3.png", "3.png", patient="R", study="1", view="PA"),
        sample("d", "The lungs are clear, no effusion", "4.png", "3.png", patient="R", study="2"),
        sample("e", WORSE, "5.png"),
        Question("f", (Path("6.png"),), "Describe.", "Possible pneumonia.", About(patient="P", study="2"), "open"),
        Question("g", (Path("6.png"),), "Describe.", None),
    ]
    found = describe(cases)
    assert (found.rows, found.answers, found.patients, found.rows_without_patient) == (7, 6, 3, 2)
    assert (found.studies, found.images, found.with_prior) == (5, 7, 2)  # 3.png twice is Libra's dummy prior
    assert found.views == {"PA": 2, "AP": 1, "": 4} and found.sexes == {"F": 1, "M": 1, "": 5}
    assert found.question_types == {"": 6, "open": 1}
    assert found.ages is not None and (found.ages.count, found.ages.least, found.ages.most) == (2, 44.0, 91.0)
    assert found.words is not None and (found.words.count, found.words.least, found.words.most) == (6, 2.0, 8.0)
    by_name = {each.finding: each for each in found.findings}
    effusion = by_name["pleural effusion"]
    assert (effusion.present, effusion.uncertain, effusion.absent, effusion.changes) == (2, 0, 3, {"worse": 2})
    assert by_name["pneumonia"].uncertain == 1
    assert found.changes == {"worse": 2}
    assert found.comparing_without_prior == ("e",)
    assert found.silent_with_prior == 1
    assert found.repeated_rows == 5  # two alike, and three that differ in a comma
    assert found.repeated == ()  # three rows, but of two patients only
    assert found.languages == {"English": 5, "not told": 1} and found.scripts == {"Latin": 6}
    assert json.loads(json.dumps(found.to_json()))["words"]["quantiles"] == list(found.words.quantiles)


def test_a_text_is_only_shown_when_several_patients_have_it() -> None:
    stock = [sample(str(n), CLEAR, f"{n}.png", patient=f"P{n}") for n in range(3)]
    personal = [sample(f"x{n}", "As on the film of his brother.", f"x{n}.png", patient="Q") for n in range(5)]
    shown = describe([*stock, *personal]).repeated
    assert [(each.text, each.rows) for each in shown] == [(CLEAR, 3)]


@given(st.lists(st.floats(0, 500), min_size=1, max_size=50), st.sampled_from([WORD_EDGES, AGE_EDGES]))
def test_a_histogram_counts_everything_once(values: list[float], edges: tuple[int, ...]) -> None:
    found = spread(values, edges)
    assert found is not None and sum(found.counts) == found.count == len(values)
    by_hand = Counter(max(edge for edge in edges if edge <= value) for value in values)
    assert dict(zip(edges, found.counts, strict=True)) == {edge: by_hand[edge] for edge in edges}
    assert list(found.quantiles) == sorted(found.quantiles)


def test_nothing_is_described_as_nothing() -> None:
    found = describe([])
    assert (found.rows, found.words, found.ages, found.findings) == (0, None, None, ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (WORSE + " The heart is normal.", ("English", "Latin")),
        ("Kein Nachweis eines Pneumothorax. Das Herz ist nicht vergrößert.", ("German", "Latin")),
        ("Pas de pneumothorax. Le coeur est normal.", ("French", "Latin")),
        ("Сердце не увеличено.", ("not told", "Cyrillic")),
        ("心影不大。", ("Chinese", "Cjk")),
        ("The heart is normal. 心影不大。", ("English and Chinese", "Latin")),
        ("12 : 3", ("not told", "none")),
    ],
)
def test_languages_and_scripts(text: str, expected: tuple[str, str]) -> None:
    assert (language(text), script(text)) == expected
