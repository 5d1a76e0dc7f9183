"""Any string may be searched for."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records_desk import Desk

from engine.imaging.types import Patient
from engine.records import Records, fulltext

OPERATORS = st.lists(
    st.sampled_from(
        ['"', "*", "NEAR(", "OR", "AND", "NOT", "(", ")", ":", "^", "-", "+", "{", "}", "text:", "'", ";", "\0", "a"]
    )
).map(" ".join)
ANYTHING = st.text(st.characters(exclude_categories=())) | OPERATORS


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Records:
    folder = tmp_path_factory.mktemp("fulltext")
    records = Records.open(folder / "history")
    desk = Desk(records, folder)
    desk.signed("Small left pleural effusion.", "No pneumothorax.")
    yield records
    records.close()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ANYTHING)
def test_no_query_fails(history: Records, query: str) -> None:
    page = history.search(query)
    assert page.total == len(page.rows) <= 1


HOSTILE = (
    *('"', "*", "NEAR(", "a OR", "'; drop table report; --", "\0", "\ud800", "\N{RIGHT-TO-LEFT OVERRIDE}"),
    *("NEAR(effusion, pneumothorax)", "text:effusion", "-effusion OR", "effusion^2"),
    *("a" * 10_000, "a " * 5_000, '" ' * 5_000, "(" * 10_000),
)


@pytest.mark.parametrize("query", HOSTILE)
def test_hostile_queries(history: Records, query: str) -> None:
    history.search(query)
    assert history.search().total == 1


WORDS = "Small left pleural effusion. No pneumothorax. Chest Phantom Test P1 A77".split()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(WORDS), min_size=1))
def test_words_that_occur_are_found_in_any_order(history: Records, words: list[str]) -> None:
    assert history.search(" ".join(words)).total == 1
    assert history.search(" ".join([*words, "absentword"])).total == 0


def test_beginnings_case_and_phrases_in_one_word(history: Records) -> None:
    for query in ("eff", "EFFUSION", "pleu eff", "phan", "effusion.", '"effusion"', "Phantom^Test"):
        assert history.search(query).total == 1, query
    for query in ("ffusion", "right", "e f"):
        assert history.search(query).total == 0, query


def test_words_are_quoted() -> None:
    assert fulltext.match('he said "no') == '"he"* "said"* """no"*'
    assert fulltext.match(" * ( ") == ""
    assert fulltext.match("a OR b").count('"') == 6


def test_the_index_follows_every_change(desk: Desk) -> None:
    search = desk.records.search
    report, row = desk.drafted("Left effusion.", "Pneumothorax.")
    assert search("pneumothorax").total == 1  # not reviewed yet, but there
    first, second = row.sentences
    kept = [first, type(second)(second.id, second.text, "ai", "rejected")]
    desk.records.save_revision(report.id, kept, based_on=1, indication="Dyspnoea.")
    assert (search("pneumothorax").total, search("dyspnoea").total, search("pain").total) == (0, 1, 0)
    desk.filed("current.dcm", Patient("P1", "clinic", "Müller^Änne", None, "F"), uid="1.2.3")
    assert (search("muller anne").total, search("phantom").total) == (1, 0)
    assert desk.records.doctor() == ()


def test_an_index_that_disagrees_is_found(desk: Desk, foreign) -> None:
    desk.drafted("Left effusion.")
    foreign("UPDATE report_search SET text = 'Right effusion.'")
    assert [fault.check for fault in desk.records.doctor()] == ["search"]


@pytest.mark.parametrize(
    "text",
    ["胸部正常。", "صدر طبيعي", "Ünïcödé 🫁", "a\0b", "half \ud83e", "\N{RIGHT-TO-LEFT OVERRIDE}x", "e" * 100_000],
)
def test_any_text_is_kept(desk: Desk, text: str) -> None:
    report, row = desk.drafted(text)
    expected = text.replace("\0", "\ufffd").replace("\ud83e", "\ufffd")
    assert row.sentences[0].text == desk.records.report(report.id).revisions[0].sentences[0].text == expected
    desk.records.save_revision(report.id, [type(s)(s.id, s.text, "ai", "accepted") for s in row.sentences], based_on=1)
    signature = desk.records.sign(report.id, name="Дмитрий 医師", based_on=2)
    assert (signature.text, signature.name) == (expected, "Дмитрий 医師")
    assert desk.records.verify_signature(report.id).ok and desk.records.verify_log().ok
