"""Rows of a data file found, read and numbered as the readers of data files do, whatever stands in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from data_desk import opened, row, rows_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.datasets.libra import read_questions, read_training
from engine.errors import InputError
from trainer_ui.services import datasets, row_index, samples
from trainer_ui.services.datasets import DataFile
from trainer_ui.services.samples import Wanted

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(
    lambda text: text.strip() and "<image>" not in text
)
rows = st.lists(
    st.tuples(texts, texts, st.booleans(), st.sampled_from(["PA", "AP", "lateral", ""])), min_size=1, max_size=12
)


def made(drawn: list[tuple[str, str, bool, str]]) -> list[dict[str, Any]]:
    """Rows of what hypothesis has drawn."""
    return [
        row(f"{number}", *(["a.png", "b.png"] if prior else ["a.png"]), answer=answer, view=view, study=study)
        for number, (answer, study, prior, view) in enumerate(drawn)
    ]


def data_file(path: Path) -> DataFile:
    found = datasets.inspect(path)
    assert found is not None
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    drawn=rows,
    indent=st.sampled_from([None, 1, "\t"]),
    ascii_=st.booleans(),
    mark=st.booleans(),
    lines=st.booleans(),
    text=texts,
)
def test_an_index_reads_and_finds_what_reading_the_whole_file_does(
    tmp_path_factory: pytest.TempPathFactory,
    drawn: list[tuple[str, str, bool, str]],
    indent: int | str | None,
    ascii_: bool,
    mark: bool,
    lines: bool,
    text: str,
) -> None:
    folder = tmp_path_factory.mktemp("index")
    file = folder / ("train.jsonl" if lines else "train.json")
    if lines:
        written = "\n\n".join(json.dumps(each, ensure_ascii=ascii_) for each in made(drawn))
    else:
        written = json.dumps(made(drawn), indent=indent, ensure_ascii=ascii_)
    file.write_bytes((b"\xef\xbb\xbf" if mark else b"") + written.encode())
    expected = read_training(file)
    found = row_index.index(DataFile(file, "training", len(drawn), True, 0, 0.0), folder)
    assert [one.case for one in found.read(range(len(found)))] == expected
    assert [one.number for one in found.read(range(len(found)))] == [
        n * 2 + 1 if lines else n + 1 for n in range(len(drawn))
    ]
    assert [found.place(number) for number in found.numbers] == list(range(len(drawn))) and found.place(0) is None
    wanted = text.strip().casefold()
    holding = [
        place
        for place, sample in enumerate(expected)
        if any(wanted in said.casefold() for said in (sample.id, *(part for turn in sample.turns for part in turn)))
    ]
    assert list(row_index.find(found, text)) == holding
    assert list(row_index.find(found, prior=True)) == [n for n, (_, _, prior, _) in enumerate(drawn) if prior]
    assert list(row_index.find(found, view="LATERAL")) == [n for n, each in enumerate(drawn) if each[3] == "lateral"]


def test_questions_are_read_with_their_references(tmp_path: Path) -> None:
    asked = [{"question_id": f"q{n}", "image": "a.png", "text": "Why?", "reference": f"Because {n}."} for n in range(3)]
    file = rows_file(tmp_path, asked, "eval.jsonl")
    found = row_index.index(data_file(file), tmp_path)
    assert [one.case for one in found.read([0, 1, 2])] == read_questions(file)
    assert list(row_index.find(found, "because 2")) == [2]


def test_rows_that_cannot_be_used_say_why_and_the_others_are_read(tmp_path: Path) -> None:
    whole, empty, odd = row("a", "a.png"), row("b", "b.png", answer=""), row("c", "../c.png")
    file = rows_file(tmp_path, [whole, empty, odd])
    first, second, third = row_index.index(data_file(file), tmp_path).read([0, 1, 2])
    assert first.case is not None and second.case is None and third.case is None
    assert second.faults == ("the answer in turn 2 is empty",) and "climbs out" in third.faults[0]
    assert (second.id, second.number) == ("b", 2)


def test_a_file_that_breaks_off_is_read_up_to_there(tmp_path: Path) -> None:
    file = rows_file(tmp_path, [row(str(n), "a.png") for n in range(5)])
    file.write_text(file.read_text()[:-120])
    found = row_index.index(data_file(file), tmp_path)
    assert len(found) == 4 and found.broken == "The file goes wrong after row 4."
    lines = rows_file(tmp_path, [row(str(n), "a.png") for n in range(3)], "rows.jsonl")
    lines.write_text(lines.read_text().replace('"id": "1"', '"id" "1"'))
    bad = row_index.index(data_file(lines), tmp_path)
    assert [one.faults for one in bad.read([0, 1, 2])] == [(), ("not a line of JSON",), ()]


def test_a_file_that_changes_is_read_anew_and_never_mixed_up(tmp_path: Path) -> None:
    file = rows_file(tmp_path, [row("a", "a.png")])
    before = row_index.index(data_file(file), tmp_path)
    rows_file(tmp_path, [row("b", "a.png"), row("c", "a.png")])
    with pytest.raises(InputError, match="changed meanwhile"):
        before.read([0])
    assert [one.id for one in row_index.index(data_file(file), tmp_path).read([0, 1])] == ["b", "c"]
    gone = data_file(file)
    file.unlink()
    with pytest.raises(InputError, match=r"train\.json can no longer be read"):
        row_index.index(gone, tmp_path)


def test_rows_are_listed_page_by_page_and_one_leads_to_the_next(home: Path) -> None:
    folder = home / "data" / "many"
    rows_file(folder, [row(f"r{n}", "a.png", *(["b.png"] if n % 2 else [])) for n in range(1, 26)])
    one = opened("many")
    pages = [samples.page(one, Wanted(), number) for number in (1, 2, 3, 99, 0)]
    assert [page.listed[0].number for page in pages] == [1, 11, 21, 21, 1]
    assert (pages[0].found, pages[0].rows, pages[0].pages, len(pages[2].listed)) == (25, 25, 3, 5)
    assert pages[0].listed[0].words == "Small left pleural effusion has increased. No pneumothorax."
    odd = Wanted(prior=True)
    assert samples.page(one, odd).found == 13 and samples.page_of(one, odd, 23) == 2
    walked, number = [], None
    while True:
        shown = samples.sample(one, odd, number)
        assert shown is not None
        walked.append((shown.row.number, shown.place))
        if shown.after is None:
            break
        number = shown.after
    assert walked == [(n, place) for place, n in enumerate(range(1, 26, 2), 1)]
    aside = samples.sample(one, odd, 2)
    assert aside is not None and (aside.place, aside.before, aside.after, aside.prior) == (0, None, None, "none")
    assert samples.sample(one, Wanted("nothing of that")) is None


def test_a_dummy_prior_is_told_from_a_prior(home: Path) -> None:
    folder = home / "data" / "dummy"
    rows_file(folder, [row("a", "a.png", "a.png"), row("b", "a.png", "b.png", patient="P", sex="F", age=61, view="PA")])
    one = opened("dummy")
    first, second = (samples.sample(one, Wanted(), number) for number in (1, 2))
    assert first is not None and second is not None and (first.prior, second.prior) == ("the same", "real")
    assert second.about == (("Patient", "P"), ("View", "PA"), ("Sex", "F"), ("Age", "61 years"))
    assert samples.page(one, Wanted(prior=False)).listed[0].id == "a"
