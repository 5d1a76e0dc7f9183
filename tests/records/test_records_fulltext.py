"""Any string may be searched for."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records_desk import Desk
from sqlite_utils import Database

from engine.imaging.types import Patient
from engine.records import Records, fulltext, migrations

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


CHINESE = ("双肺纹理增多，右侧PICC尖端位于T6椎体水平。", "左侧胸腔积液较前增多；心影增大。", "肺野清晰。")


def test_chinese_words_of_any_length_are_found_wherever_they_stand(desk: Desk) -> None:
    desk.drafted(*CHINESE)
    desk.drafted("Small left pleural effusion.")
    search = desk.records.search
    for query in (
        "肺",
        "积液",
        "胸腔积液",
        "左侧胸腔积液较前增多",
        "增大 积液",
        "积液，增大",
        "PICC",
        "picc 尖端",
        "T6椎体",
        "右侧PI",
    ):
        assert search(query).total == 1, query
    for query in ("气胸", "液积", "液心", "积液 气胸", "增多左侧", "平左侧", "effusion 积液", "T7椎体"):
        assert search(query).total == 0, query
    assert search("effusion").total == search("left eff").total == 1
    assert desk.records.doctor() == ()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_every_part_of_a_chinese_clause_is_found(data: st.DataObject) -> None:
    clause = "左侧胸腔积液较前增多"
    begin = data.draw(st.integers(0, len(clause) - 1))
    part = clause[begin : data.draw(st.integers(begin + 1, len(clause)))]
    with sqlite3.connect(":memory:") as connection:
        db = Database(connection)
        migrations.migrate(db)
        db.execute("PRAGMA foreign_keys = OFF")
        fulltext.add(db, 1, dict.fromkeys(fulltext.COLUMNS, "") | {"text": f"双肺清晰。{clause}；心影大。"})
        sql, values = fulltext.condition(part)
        assert db.execute(f"SELECT count(*) FROM report_search WHERE {sql}", values).fetchone() == (1,)
    connection.close()


def test_the_index_of_characters_follows_every_change(desk: Desk) -> None:
    search = desk.records.search
    report, row = desk.drafted("左侧胸腔积液。")
    desk.filed("current.dcm", Patient("P1", "clinic", "王^小明", None, "M"), uid="1.2.3")
    assert search("王小明 积液").total == search("小明").total == 1
    (first,) = row.sentences
    kept = [type(first)(first.id, "Small effusion.", "edited", "accepted", first.text)]
    desk.records.save_revision(report.id, kept, based_on=1)
    assert (search("积液").total, search("effusion 王小明").total) == (0, 1)
    desk.filed("current.dcm", Patient("P1", "clinic", "Wang^Xiaoming", None, "M"), uid="1.2.3")
    assert (search("小明").total, search("xiaoming").total) == (0, 1)
    assert desk.records.doctor() == ()


def test_an_index_of_characters_that_disagrees_is_found(desk: Desk, foreign) -> None:
    desk.drafted("左侧胸腔积液。")
    foreign("DELETE FROM report_characters")
    assert [fault.check for fault in desk.records.doctor()] == ["search"]
