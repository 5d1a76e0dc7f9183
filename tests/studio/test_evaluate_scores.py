"""What scores allow to be said: better, worse or chance, in words; tables and charts that say the same."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from math import nan

import evaluation_made
import pytest
from hypothesis import given
from hypothesis import strategies as some

from engine.evaluation.cases import word_diff
from engine.evaluation.keys import HEADLINE, KEYS, VQA_HEADLINE
from engine.evaluation.statistics import Difference, Score
from trainer_ui.components import differences_chart, marked_words, tables
from trainer_ui.components.differences_chart import Gain
from trainer_ui.components.tables import Group, Line, Row
from trainer_ui.services import score_sheet, score_words
from trainer_ui.services.score_sheet import Sheet, System

BASE = System(
    "base", "base", False, {}, "", 40, 40, 0, 0, None, (), (), {"BLEU4": Score(1.0, 0.5, 2, 40)}, {}, (0, 0), ()
)


def system(name: str, *, baseline: bool = False, **differences: Difference) -> System:
    keys = {key.replace("_L", "-L"): gain for key, gain in differences.items()}
    scores = {key: Score(10.0, 5, 15, 40) for key in keys} or BASE.scores
    return replace(BASE, name=name, title=name, baseline=baseline, scores=scores, differences=keys, compared=(40, 40))


def sheet(*systems: System, patients: int = 40) -> Sheet:
    return Sheet("", {}, 40, patients, None, "base", 20, {}, (), (BASE, *systems))


GAIN, LOSS = Difference(5, 2, 8, 0.0005, 0.01), Difference(-5, -8, -2, 0.0005, 0.01)
CHANCE, UNTESTED = Difference(5, 1, 9, 0.02, 0.4), Difference(5, 1, 9, nan, nan)


@pytest.mark.parametrize(
    ("key", "gain", "baseline", "verdict"),
    [
        ("BLEU4", GAIN, False, "better"),
        ("BLEU4", LOSS, False, "worse"),
        ("radcliq_v1", LOSS, False, "better"),
        ("missed_comparison_rate", GAIN, False, "worse"),
        ("BLEU4", CHANCE, False, "unclear"),
        ("BLEU4", UNTESTED, False, "unclear"),
        ("BLEU4", Difference(0, -1, 1, 0.001, 0.001), False, "unclear"),
        ("BLEU4", Difference(0, 0, 0, 1, 1), False, "same"),
        ("BLEU4", Difference(0, 0, 0, nan, nan), True, "same"),
        ("BLEU4", UNTESTED, True, "ahead"),
        ("missed_comparison_rate", UNTESTED, True, "behind"),
        ("BLEU4", Difference(5, -1, 9, nan, nan), True, "even"),
        ("BLEU4", Difference(5, 5, 5, nan, nan), True, "even"),  # of BASE's none
        ("length_ratio", GAIN, False, None),
        ("ROUGE-L", None, False, None),
    ],
)
def test_only_what_was_tested_and_corrected_is_better_or_worse(
    key: str, gain: Difference | None, baseline: bool, verdict: str | None
) -> None:
    one = replace(BASE, baseline=baseline, differences={} if gain is None else {key: gain})
    assert one.verdict(key) == verdict


def test_it_is_said_whether_a_difference_can_be_chance() -> None:
    said = list(score_words.summary(sheet(system("tuned", BLEU4=GAIN, ROUGE_L=LOSS, METEOR=CHANCE))))
    assert said[0] == (
        "tuned against base, over 40 studies of 40 patients: better in BLEU-4 and worse in ROUGE-L. Those are more "
        "than chance would do: p < 0.05 after the correction for 20 tests. In the other tested score the difference "
        "may be chance."
    )
    assert "does not show that they are equal" in said[1]
    (first, _) = score_words.summary(sheet(system("tuned", BLEU4=CHANCE)))
    assert "nothing tells them apart" in first and "may well be chance" in first
    (alone,) = score_words.summary(sheet(system("copy-the-prior", baseline=True, BLEU4=UNTESTED)))
    assert "No two models were compared" in alone


def test_what_must_not_be_overlooked_is_said() -> None:
    demonstration = replace(
        system("tuned", BLEU4=GAIN), about={"demonstration": True}, studies=30, precisions=("a", "b")
    )
    silent = replace(BASE, name="silent", title="silent", scores={}, note="n/a, because it has answered nothing")
    ahead = system("normal", baseline=True, BLEU4=UNTESTED)
    said = "\n".join(score_words.warnings(sheet(demonstration, silent, ahead, patients=12)))
    for words in (
        "Demonstration: tuned.",
        "12 patients: too few.",
        "No answer to 10 of 40 studies: tuned.",
        "more than one precision: a; b",
        "silent: n/a, because it has answered nothing.",
        "normal, without a look at the images, is ahead of base in BLEU-4.",
    ):
        assert words in said
    assert list(score_words.warnings(sheet(system("tuned", BLEU4=GAIN)))) == []


def test_the_model_it_is_about_is_the_one_that_was_made_from_another() -> None:
    made = replace(system("tuned", BLEU4=GAIN), about={"tuned_from": "base"})
    assert sheet(made, system("other", BLEU4=GAIN)).tuned == made
    assert sheet(system("one", BLEU4=GAIN), system("two", BLEU4=GAIN)).tuned.name == "two"  # type: ignore[union-attr]
    assert sheet().tuned == BASE
    assert [one.name for one in sheet(made, system("c", baseline=True, BLEU4=UNTESTED)).compared] == ["tuned"]


def test_figures_as_they_are_shown() -> None:
    assert score_words.value("BLEU4", Score(1.26, 1, 2, 3)) == "1.3" and score_words.value("BLEU4", None) == "n/a"
    assert score_words.interval("radcliq_v1", Score(1, 0.5, 1.25)) == "0.50 to 1.25"
    assert score_words.change("BLEU4", GAIN) == "+5.0 (+2.0 to +8.0)"
    assert (
        score_words.interval("BLEU4", Score(0, 0.01, 0.02)) == score_words.interval("BLEU4", Score(0)) == "no interval"
    )
    assert score_words.change("BLEU4", Difference(2, nan, nan, 1, 1)) == "+2.0"
    assert score_words.p_values(GAIN) == "p < 0.001, after Holm = 0.010" and score_words.p_values(UNTESTED) == ""


def test_a_real_evaluation_is_read_whole(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = evaluation_made.made(tmp_path_factory.getbasetemp() / "evaluation")
    found = score_sheet.read(root / "evaluations" / evaluation_made.NAME)
    assert [one.name for one in found.scored] == ["demo-tac", "tuned", "echo", "copy-the-prior", "always-normal"]
    assert (found.against, found.studies, found.patients) == ("demo-tac", 6, 6)
    assert found.tuned is not None and found.tuned.name == "tuned" and found.chosen is not None
    assert found.tuned.scores["finding_f1_micro"].value == 100
    headline = found.headline()
    assert headline == [key for key in HEADLINE if key in headline] and "Bert_score" in found.absent()
    keys = found.keys()
    absent = set(found.absent()) & set(keys)
    assert {*headline, *found.rest(), *absent, *(key for key in keys if "[" in key)} == set(keys)
    assert {score_sheet.inside(key) for key in found.inner("findings")} >= set(found.positives)
    changes = found.inner("changing") + found.inner("changes")
    assert changes and set(changes) == {key for key in keys if key.startswith("progression_accuracy[")}
    assert "CheXbert" in found.absent()["chexbert_f1_micro_14"] and "RadEval" in found.absent()["ratescore"]
    assert (found.task, found.judge, found.judged(), found.as_llava_med()) == ("report", None, [], [])
    assert {part.division for part in found.tuned.parts} == {"sex", "age", "view", "prior"}
    assert "nothing tells them apart" in next(score_words.summary(found))
    assert all(key in KEYS or "[" in key for key in keys)


def test_short_answers_have_a_headline_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = evaluation_made.short(tmp_path_factory.getbasetemp() / "short")
    found = score_sheet.read(root / "evaluations" / evaluation_made.SHORT)
    assert found.task == "vqa" and found.headline() == list(VQA_HEADLINE)
    assert found.tuned is not None and found.tuned.scores["vqa_closed_accuracy"].value == 100
    assert {score_sheet.inside(key) for key in found.inner("closed")} == {"presence", "view"}
    assert found.as_llava_med() and not set(found.as_llava_med()) & set(found.rest())
    apart = found.tuned.discordances["vqa_closed_accuracy"]
    assert (apart.chosen_only, apart.this_only, apart.items) == (0, 4, 4) and apart.p == 0.125
    assert "chexbert_f1_micro_14" not in found.absent()


class Texts(HTMLParser):
    """Tags and texts of a piece of a page; texts by whether they stand in <ins> or <del>."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.plain: list[str] = []
        self.own: list[str] = []
        self.missing: list[str] = []
        self._at = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._at = tag
        assert not any(name.startswith("on") or name in ("src", "href") for name, _ in attrs)

    def handle_endtag(self, tag: str) -> None:
        self._at = ""

    def handle_data(self, data: str) -> None:
        {"ins": self.own, "del": self.missing}.get(self._at, self.plain).append(data)


HOSTILE = '<script>alert(1)</script> & "x" <img src=x onerror=y> **b** $z$'


def test_cells_may_hold_anything() -> None:
    row = Row(HOSTILE, [[(Line(HOSTILE, "strong"), Line(HOSTILE, "good"))], tables.text(HOSTILE)], HOSTILE, HOSTILE)
    read = Texts(tables.html([HOSTILE, [Line(HOSTILE)], "z"], [Group(HOSTILE), row], caption=HOSTILE))
    assert "script" not in read.tags and "img" not in read.tags
    assert "".join(read.plain).count(HOSTILE) == 10
    assert Texts(marked_words.html(HOSTILE)).plain == [HOSTILE]


WORDS = some.lists(some.sampled_from(["No", "effusion.", "<b>", "new", "&amp;", "Edema", "no"]), max_size=12).map(
    " ".join
)


@given(WORDS, WORDS)
def test_marked_words_are_both_texts(reference: str, prediction: str) -> None:
    read = Texts(marked_words.html(prediction, word_diff(reference, prediction)))

    def words(*parts: list[str]) -> list[str]:
        return sorted(" ".join(text for part in parts for text in part).casefold().split())

    if prediction.strip() or reference.strip():
        assert words(read.plain, read.own) == sorted(prediction.casefold().split())
        assert words(read.plain, read.missing) == sorted(reference.casefold().split())
    else:
        assert read.plain == ["nothing"]


def test_the_chart_says_its_verdicts_in_words_and_fills_only_what_is_clear() -> None:
    gains = [
        Gain("BLEU-4", 5, 2, 8, "better", "better", True),
        Gain("ROUGE-L", 1, -1, 3, "unclear", "may be chance", False),
    ]
    drawn = differences_chart.described(gains, of="tuned", against="base")
    words = next(layer for layer in drawn["layer"] if layer["mark"]["type"] == "text")
    assert words["encoding"]["text"]["field"] == "says"
    known = drawn["layer"][1]["encoding"]["color"]["scale"]["domain"]
    assert set(score_sheet.VERDICTS) <= set(known), "a verdict without a colour would not be drawn at all"
    assert [value["shown"] for value in drawn["data"]["values"]] == ["+5.0", "+1.0"]
    assert "right of 0 tuned is better" in drawn["layer"][1]["encoding"]["x"]["title"]
