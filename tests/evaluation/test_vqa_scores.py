"""Short answers to questions: what counts as right, what stays in the count, and how it stands beside other scores."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import echo
import pytest
import short_answers
from hypothesis import example, given, settings
from hypothesis import strategies as st
from short_answers import WRONG, rows, written

from engine.datasets.libra import About, Answer, Reference, read_questions, read_references, write_questions
from engine.errors import InputError
from engine.evaluation import llava_med, vqa
from engine.evaluation.assessment import assess
from engine.evaluation.cases import ShortFault, read_cases
from engine.evaluation.folder import Asked, Folder
from engine.evaluation.judge.endpoint import KEY
from engine.evaluation.judge.human import ENOUGH
from engine.evaluation.judge.summary import KEYS as RATES
from engine.evaluation.keys import KEYS, VQA_HEADLINE, describe
from engine.evaluation.naive_vqa import usual_answer
from engine.evaluation.report import document
from engine.evaluation.report_blocks import Heading, Table, Text
from engine.evaluation.scoring import Evaluation
from engine.evaluation.validation import metric
from engine.evaluation.vqa import closed_right, form_of, is_vqa, overlap, words


@settings(deadline=None)
@given(st.text())
@example("A")
@example("İSTANBUL ΑΣ é e\u0301 ½ ² 1.5.")
def test_texts_are_compared_by_their_words(text: str) -> None:
    found = words(text)
    assert words(" ".join(found)) == found
    assert not any(re.search(r"[\s.,;:!?()\-_'\"]$", word) for word in found)
    articles = {"a", "an", "the"}
    assert not articles.intersection(found) or articles.issuperset(found)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from("Small left effusion the a NO 5.5 x-ray".split()), max_size=6),
    st.sampled_from(", . ; \n -- !".split()),
)
def test_case_marks_and_articles_do_not_matter(some: list[str], mark: str) -> None:
    text = " ".join(some)
    assert words(text.upper()) == words(f" {mark} ".join(some).lower() + mark)
    if set(words(text)) - {"a", "the"}:
        assert words(f"the {text} a") == words(text)


def test_numbers_and_letters_of_other_languages_stay_whole() -> None:
    assert words("A 5.5 cm mass, T2-weighted.") == ("5.5", "cm", "mass", "t2", "weighted")
    assert words("Épanchement re\u0301duit; größer") == ("épanchement", "réduit", "größer")
    assert words("the A") == ("the", "a") and words("...") == ()


@pytest.mark.parametrize(
    ("reference", "answer", "right"),
    [
        ("no", "Normal heart size.", False), ("no", "No, it is not.", True), ("No", "Not seen, nodule.", False),
        ("yes", "Yes.", True), ("yes", "eyes", False), ("yes", "no, yes", False), ("no", "no doubt: yes", True),
        ("yes", "", False), ("yes", "There is an effusion.", False), ("No.", "**No**", True), ("yes", "No", False),
        ("left", "The left side.", True), ("left", "leftward", False), ("left", "left or right", False),
        ("left", "right or left", False), ("left", "Left or right? It is left.", True),
        ("PA view", "It is a PA view.", True), ("PA view", "view PA", False),
        ("normal", "abnormal", False), ("the left", "left", True),
        ("A", "A", True), ("A", "A: pneumonia", True), ("A", "It is a heart.", False), ("b", "B.", True),
        ("2", "There are 2.", True), ("2", "12", False), ("", "x", False), ("yes, on the left", "yes", True),
    ],
)  # fmt: skip
def test_a_closed_answer_is_right_by_whole_words(reference: str, answer: str, right: bool) -> None:
    assert closed_right(reference, answer) is right


@settings(deadline=None)
@given(st.text(max_size=60), st.sampled_from(["yes", "no"]))
def test_no_text_answers_yes_and_no_at_once(text: str, reference: str) -> None:
    both = closed_right("yes", text), closed_right("no", text)
    assert both != (True, True)
    assert any(both) is bool(re.search(r"(?<![^\W_])(yes|no)(?![^\W_])", text.lower()))


TOKENS = st.lists(st.sampled_from(["effusion", "left", "small", "right"]), max_size=6).map(" ".join)


@settings(deadline=None)
@given(TOKENS, TOKENS)
def test_open_answers_are_scored_as_bags_of_words(reference: str, answer: str) -> None:
    one, other = overlap(reference, answer), overlap(answer, reference)
    assert (one.recall, one.precision, one.f1, one.exact) == (other.precision, other.recall, other.f1, other.exact)
    assert 0 <= one.f1 <= max(one.recall, one.precision) <= 1
    assert (one.f1 == pytest.approx(1)) is (bool(reference) and sorted(reference.split()) == sorted(answer.split()))
    assert one.exact == (bool(reference) and reference == answer)


def test_open_answers_by_hand() -> None:
    found = overlap("right lower lobe", "A right lower lobe opacity.")
    assert (found.recall, found.precision, found.f1) == (1, 0.75, pytest.approx(6 / 7))
    assert overlap("left left effusion", "left").recall == pytest.approx(1 / 3)
    assert overlap("left", "left left left").precision == pytest.approx(1 / 3)
    assert overlap("The Effusion", "effusion!").exact == 1 and overlap("left up", "up left").exact == 0


@pytest.mark.parametrize(
    ("text", "question", "form", "expected"),
    [
        ("yes", "Is it?", "", "closed"), ("No", "", "", "closed"), ("no effusion", "What is seen?", "", "open"),
        ("left", "Is it left or right?", "", "closed"), ("left", "Which side?", "", "open"),
        ("upper", "Is it left or right?", "", "open"), ("yes", "Is it?", "OPEN", "open"),
        ("left lung", "Where?", "CLOSED", "closed"), ("", "Is it?", "CLOSED", None),
        ("-", "Is it?", "", None), ("two", "How many?", "yes/no", "closed"),
    ],
)  # fmt: skip
def test_what_is_closed_is_said_or_seen(text: str, question: str, form: str, expected: str | None) -> None:
    assert form_of(Reference(text, question=question, form=form)) == expected


def test_the_task_is_seen_by_the_rule_that_is_told() -> None:
    asked = [Reference("pleural effusion", question="<image>\nWhat is seen? ")] * 3
    report = [
        Reference("No effusion.", question="Describe."),
        Reference("Clear lungs.", question="Describe the findings."),
    ]
    assert is_vqa(asked + report) and not is_vqa(asked[:2] + report)
    assert is_vqa([Reference("Yes.")]) and not is_vqa([Reference("A nodule.")])
    long = "The effusion has increased since the prior study of the chest."
    assert not is_vqa([Reference(long, question="What changed?")])
    assert is_vqa([Reference(long, kind="difference")] * 3 + report[:1] * 2)
    assert is_vqa([Reference(long, form="OPEN")]) and not is_vqa([])
    assert "question mark" in vqa.RULE and str(vqa.SHORT) in vqa.RULE
    references = {str(n): one for n, one in enumerate(asked)}
    assert Evaluation(references, {}).task == "vqa" and Evaluation(references, {}, task="report").task == "report"
    with pytest.raises(InputError, match="reference answers"):
        Evaluation({}, {"a": None}, task="vqa")  # type: ignore[dict-item]


def evaluation(content: list[dict[str, object]], tmp_path: Path) -> Evaluation:
    return Evaluation(read_references(written(tmp_path / "questions.jsonl", content)), {})


def answers(texts: dict[str, str]) -> dict[str, Answer]:
    return {identity: Answer(identity, "", text, "", "m") for identity, text in texts.items()}


def test_a_wrong_or_absent_yes_or_no_stays_in_the_count(tmp_path: Path) -> None:
    """Of eight closed questions one has the wrong answer, one the right one and the others say neither."""
    content = [{"question_id": f"q{n}", "image": "i.png", "text": "Is it?", "reference": "no"} for n in range(8)]
    said = answers({f"q{n}": "Normal heart, not enlarged." for n in range(8)} | {"q0": "Yes.", "q1": "No."})
    scores = evaluation(list(content), tmp_path).score(said, intervals=False).scores
    assert scores["vqa_closed_accuracy"].value == 100 / 8 and scores["vqa_closed_accuracy"].studies == 8
    assert scores["vqa_neither_rate"].value == 75
    # LLaVA-Med's first code: the "no" in "normal" and "not" is right, and the yes leaves the count
    flattered = scores["vqa_llava_med_closed"]
    assert flattered.value == 100 and flattered.studies == 7
    assert "flatters" in describe("vqa_llava_med_closed").says and "open" not in "".join(scores)


@pytest.mark.parametrize(
    ("reference", "answer", "closed", "recall"),
    [("yes", "It is, yes", 1, 1), ("no", "nodule", 1, 0), ("yes", "no", None, 0), ("left", "yes, left", 1, 1),
     ("left", "left", 0, 1), ("right lobe", "lobe lobe lobe", 0, 0.75), ("two", "2", 0, 1), ("x-ray", "xray", 0, 0),
     ("the x-ray", "x ray.", 0, 1), ("1,000", "1000", 0, 1)],
)  # fmt: skip
def test_the_compatible_figures_repeat_what_that_code_does(
    reference: str, answer: str, closed: float | None, recall: float
) -> None:
    assert llava_med.closed(reference, answer) == closed
    assert llava_med.recall(reference, answer) == pytest.approx(recall)


def test_scores_are_given_for_every_type_of_question(tmp_path: Path) -> None:
    content = rows(16)
    said = answers({f"q{n}": "yes" if n % 4 < 2 else "a left effusion" for n in range(16)})
    scores = evaluation(content, tmp_path).score(said).scores
    shown = {key: score.value for key, score in scores.items() if key.startswith("vqa_")}
    assert shown["vqa_closed_accuracy"] == pytest.approx(200 / 3) and shown["vqa_closed_accuracy[presence]"] == 50
    assert shown["vqa_closed_accuracy[position]"] == 100 and shown["vqa_open_recall[abnormality]"] == 50
    assert shown["vqa_open_f1[abnormality]"] == shown["vqa_open_f1"] == 50
    assert shown["vqa_accuracy"] == 50 and shown["vqa_score"] == pytest.approx(62.5)
    assert "vqa_open_recall[presence]" not in shown and scores["vqa_accuracy[presence]"].studies == 8
    assert describe("vqa_closed_accuracy[presence]").title == "Closed questions right: presence"
    assert not any(key.startswith(("finding_", "progression", "missed")) for key in scores)
    assert {"BLEU4", "ROUGE-L"} <= set(scores)


def test_questions_about_one_image_are_drawn_together_where_patients_are_not_known(tmp_path: Path) -> None:
    content = rows(80)
    said = answers({f"q{n}": str(row["reference"]) if n // 4 % 2 else WRONG for n, row in enumerate(content)})
    sheet = evaluation(content, tmp_path).score(said)
    assert sheet.patients == 20 and any("questions about an image count as one patient" in note for note in sheet.notes)
    apart = evaluation([row | {"image": f"{n}.png"} for n, row in enumerate(content)], tmp_path).score(said)
    named = evaluation([row | {"patient": f"p{n // 40}"} for n, row in enumerate(content)], tmp_path).score(said)
    assert apart.patients == 80 and named.patients == 2 and not any("not known" in note for note in named.notes)
    wide, narrow = sheet.scores["vqa_accuracy"], apart.scores["vqa_accuracy"]
    assert wide.value == narrow.value == 50
    assert (wide.high or 0) - (wide.low or 0) > 1.5 * ((narrow.high or 0) - (narrow.low or 0))


def test_a_score_of_short_answers_can_choose_the_best_checkpoint(tmp_path: Path) -> None:
    references = read_references(written(tmp_path / "q.jsonl", rows(8)))
    said = {name: one.text for name, one in references.items()}
    for name in (*VQA_HEADLINE, "vqa_score", "vqa_open_f1[abnormality]"):
        assert metric(name)(references, said) == 100 and metric(name).higher_is_better
    assert metric("vqa_neither_rate")(references, dict.fromkeys(said, "")) == 100
    reports = {"a": Reference("Left effusion.", About(patient="p"))}
    assert metric("vqa_open_recall")(reports, {"a": "A left nodule."}) == 50  # asked for by name, whatever they are


def test_the_keys_of_a_question_go_into_a_file_and_come_back(tmp_path: Path) -> None:
    file = written(tmp_path / "q.jsonl", rows(4))
    questions = read_questions(file)
    assert [question.form for question in questions] == ["CLOSED", "CLOSED", "CLOSED", "OPEN"]
    again = tmp_path / "again.jsonl"
    write_questions(again, questions)
    assert read_questions(again) == questions
    reference = read_references(again)["q3"]
    assert (reference.kind, reference.form, reference.image) == ("abnormality", "OPEN", "i0.png")
    assert reference.question == "<image>\nWhat is seen?"
    assert read_references(written(tmp_path / "r.jsonl", [{"question_id": "a", "text": "No."}]))["a"].question == ""


def test_the_usual_answer_is_the_least_to_beat() -> None:
    texts = {"a": ("yes", "Is it?"), "b": ("No.", "Is there any?"), "c": ("no", "Is it big?"),
             "d": ("left", "Left or right?"), "e": ("a mass", "What?"), "f": (" ", "?")}  # fmt: skip
    asked = {name: Reference(text, question=question) for name, (text, question) in texts.items()}
    found = usual_answer(asked)
    assert {name: one.text for name, one in found.answers.items()} == {
        "a": "No.", "b": "No.", "c": "No.", "d": "left", "e": "a mass", "f": "No."
    }  # fmt: skip
    assert "references themselves" in found.note
    learnt = [("<image>\nIs it?", "yes"), ("is it", "Yes!"), ("Is it?", "no"), ("Where?", "apex"), ("How?", "No")]
    found = usual_answer(asked, learnt)
    said = {name: one.text for name, one in found.answers.items()}
    assert said["a"] == "yes" and said["b"] == "yes" and said["e"] == "apex" and "1 of 6 questions" in found.note
    assert not usual_answer({"f": Reference("")}).answers


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return short_answers.folder(tmp_path_factory.mktemp("short"))


def test_a_folder_of_short_answers_is_scored_by_the_same_command(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert echo.main(folder.path, ["score", str(folder.path), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["task"] == "vqa" and scores["headline"] == scores["tested"] == list(VQA_HEADLINE)
    assert scores["tests"] == 5 and scores["positives"] == {} and scores["judge"] is None
    assert list(scores["baselines"]) == ["usual-answer"]
    gain = scores["models"]["finetuned"]["comparison"]["differences"]["vqa_closed_accuracy"]
    # closed questions wrong before: 20 of 30; wrong after: 6, of which 4 were wrong before as well
    assert gain["mcnemar"] == {"against_only": 2, "this_only": 16, "items": 30, "p": pytest.approx(0.00131, abs=1e-5)}
    assert gain["value"] == pytest.approx(100 * 14 / 30, abs=1e-3) and gain["p_holm"] >= gain["p"]
    assert "mcnemar" not in scores["models"]["finetuned"]["comparison"]["differences"]["vqa_open_f1"]
    assert "p" not in scores["baselines"]["usual-answer"]["comparison"]["differences"]["vqa_accuracy"]
    table = list(csv.DictReader((folder.path / "scores.csv").read_text().splitlines()))
    assert any(row["score"] == "vqa_closed_accuracy[presence]" for row in table)
    assert not (folder.path / "evaluation_finetuned.json").exists()


def test_every_answer_is_a_case_with_what_is_wrong_with_it(folder: Folder) -> None:
    assess(folder)
    found = {(case.system, case.id): case for case in read_cases(folder.path / "cases.jsonl")}
    case = found["pretrained", "q0"]
    assert case.scores["vqa_closed_accuracy"] == 0 and case.faults() == {ShortFault.NEITHER}
    assert found["pretrained", "q2"].faults() == {ShortFault.WRONG}
    assert found["finetuned", "q15"].faults() == {ShortFault.NOTHING} and not found["finetuned", "q1"].slips
    assert found["finetuned", "q3"].scores["vqa_open_recall"] == 100


def test_the_report_speaks_of_questions(folder: Folder) -> None:
    blocks = document(assess(folder), "short").blocks
    headings = [block.text for block in blocks if isinstance(block, Heading)]
    assert "By type of question" in headings and "As LLaVA-Med's own code counts" in headings
    assert "By finding and by change" not in headings and "What a judge says" not in headings
    assert any("VQA-RAD" in heading for heading in headings) and not any("ReXrank" in heading for heading in headings)
    tables = {block.head[0]: block for block in blocks if isinstance(block, Table)}
    assert tables["McNemar"].rows[0][0] == "Closed questions right" and tables["McNemar"].rows[0][1:4] == (
        "2",
        "16",
        "30",
    )
    assert [row[0] for row in tables["Type"].rows] == ["abnormality", "position", "presence"]
    texts = " ".join(block.text for block in blocks if isinstance(block, Text))
    assert "30 questions are closed" in texts and "They flatter" in texts and "no regard" not in texts


def test_what_the_answers_are_can_be_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = [row | {"text": "Describe."} for row in rows(8, said=False)]
    file = written(tmp_path / "q.jsonl", plain)
    made = Folder.create(tmp_path / "e", Asked(file, None, "none", None, {}))
    short_answers.answer(made, "m", {str(row["question_id"]): str(row["reference"]) for row in plain})
    assert echo.main(tmp_path, ["score", str(made.path), "--json", "--task", "report"]) == 0
    assert json.loads(capsys.readouterr().out)["task"] == "report"
    assert echo.main(tmp_path, ["score", str(made.path), "--json", "--task", "vqa"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["task"] == "vqa" and found["models"]["m"]["scores"]["vqa_accuracy"]["value"] == 100
    command = [
        "score",
        "--predictions",
        str(made.answers("m")),
        "--references",
        str(file),
        "--metrics",
        "vqa_",
        "--json",
    ]
    assert echo.main(tmp_path, command) == 0
    assert json.loads(capsys.readouterr().out)["scores"]["vqa_score"]["value"] == 100


def test_the_documentation_names_what_there_is(project: Path) -> None:
    text = (project / "docs" / "evaluation.md").read_text(encoding="utf-8")
    keys = {name for name in KEYS if name.startswith("vqa_") and "[" not in name}
    assert all(name in text or f"`{name.replace('vqa_open', '')}`" in text for name in keys)
    assert all(f"`{name}`" in text for name in RATES.values())
    for option in ("--task vqa", "--judge ", "--judge-model", "--judge-anywhere", "--human", KEY):
        assert option in text
    assert f"at most {vqa.SHORT} words" in text.replace("\n", " ") and f"below {ENOUGH}" in text
