"""A new evaluation: which questions, which models in which wordings, how they are asked, and the command of it all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from engine.errors import DatasetError
from engine.evaluation import vqa
from engine.training import run_folder
from trainer_ui import addresses, errors, navigation
from trainer_ui.components import judge_fields, paths
from trainer_ui.components.words import literal
from trainer_ui.pages.evaluate_scores import checkpoint_fields
from trainer_ui.services import answering_models, evaluation_words, evaluations, question_files
from trainer_ui.services.answering_models import AnsweringModel
from trainer_ui.services.evaluation_words import PRIORS, TASKS, Prior, Task, Wanted, Wording
from trainer_ui.services.judges import Judge
from trainer_ui.services.question_files import Content, QuestionFile

RUN, SET, EVALUATION = "run", "set", "evaluation"
OTHER, NONE = "another file", "none"
_FROM, _FILE, _MODELS, _MORE, _WORDINGS = (
    "evaluate-from",
    "evaluate-questions",
    "evaluate-models",
    "evaluate-more-models",
    "evaluate-wordings",
)
MOST_BEAMS, MOST_TOKENS = 16, 4096


def show() -> None:
    """The form, from the questions to the start."""
    known = question_files.known()
    if not known:
        st.info("An evaluation needs questions with reference reports or answers, and there are none yet.")
        st.page_link(navigation.page(addresses.DATA), label="Make or add a data set")
    _fill_in(known)
    with st.container(border=True, key="evaluate-asked"), errors.shown():
        st.subheader("Questions", anchor=False)
        questions = _questions(known)
    with st.container(border=True, key="evaluate-who"), errors.shown():
        st.subheader("Models", anchor=False)
        models, with_bases = _models()
    with st.container(border=True, key="evaluate-how"), errors.shown():
        st.subheader("How they are asked", anchor=False)
        how = _how(questions)
    judge, missing = _judge(questions)
    with st.expander("Scores that need a checkpoint of yours", key="evaluate-checkpoints"):
        st.caption(
            "Findings, changes, BLEU, ROUGE-L and Temporal Entity F1 need none. What is given here is remembered."
        )
        checkpoints = checkpoint_fields("evaluate")
    with st.container(border=True, key="evaluate-start"), errors.shown():
        if questions is None:
            st.caption("Choose the questions first.")
            return
        name = _name(questions.questions, models)
        wanted = replace(
            how, name=name, models=models, with_bases=with_bases, checkpoints=checkpoints, judge=judge,
            **questions.wanted(),
        )  # fmt: skip
        _start(wanted, missing)


@dataclass(frozen=True)
class _Asked:
    """What is asked, by the names of Wanted; ``answers`` are what it is answered with, ``with_prior`` how many rows."""

    questions: Path
    images: Path | None
    truth: Path | None
    training: Path | None
    limit: int | None
    task: Task | Literal[""]
    answers: Task
    with_prior: int

    @property
    def short(self) -> bool:
        """Whether questions are answered shortly."""
        return self.answers == "vqa"

    def wanted(self) -> dict[str, Any]:
        """For Wanted."""
        return {name: value for name, value in vars(self).items() if name not in ("answers", "with_prior")}


def _fill_in(known: Sequence[QuestionFile]) -> None:
    """What the address asks for, once: a run with its base and what it was held out from, or a data set."""
    asked = (st.query_params.get(RUN, ""), st.query_params.get(SET, ""))
    if asked == st.session_state.get(_FROM) and _MODELS in st.session_state:
        return
    st.session_state[_FROM] = asked
    run, name = asked
    file = next((one.path for one in known if one.set == name), None)
    if run:
        model = answering_models.of_run(run)
        if model is None:
            st.warning(literal(f"{run} has no finished model yet."))
        else:
            bases = [model.base_path] if model.base_path is not None else []
            st.session_state[_MODELS] = [str(place) for place in (*bases, model.path)]
            more = [
                str(place) for place in bases if str(place) not in {str(one.path) for one in answering_models.found()}
            ]
            st.session_state[_MORE] = [*st.session_state.get(_MORE, []), *more]
        file = file or question_files.held_out(run)
    if file is not None:
        listed = file in {one.path for one in known}
        st.session_state[_FILE] = str(file) if listed else OTHER
        if not listed:
            st.session_state[f"{_FILE}-path"] = str(file)


def _questions(known: Sequence[QuestionFile]) -> _Asked | None:
    words = {str(one.path): one.words for one in known} | {OTHER: "Another file…"}
    named = st.selectbox("Question file", list(words), format_func=words.__getitem__, key=_FILE)
    path = (
        paths.file_field("Questions in Libra's format, one a line", f"{_FILE}-path", (".jsonl",))
        if named == OTHER
        else Path(named)
    )
    if path is None:
        return None
    first, second = st.columns(2)
    most = question_files.content(path)
    limit = first.number_input(
        "Only the first so many questions (0: all)", 0, None, 0, step=10, key="evaluate-limit",
        help="For a quick look. Below 30 patients hardly anything can be told apart.",
    )  # fmt: skip
    content = question_files.content(path, limit or None) if limit else most
    st.caption(literal(f"{content.words}."))
    apart = question_files.images_of(path)
    with second:
        images = paths.folder_field(
            "Folder of the images", f"evaluate-images-{path}", optional=True, help=f"Without one, {apart}"
        )
    answers = _task(path, content)
    truth = None
    with first:
        if answers == "report":
            truth = _beside(
                "What is true of each study", "evaluate-truth", path, question_files.truths(path, limit or None),
                "read from the reference reports by rules", (".jsonl",),
            )  # fmt: skip
    with second if answers == "report" else first:
        usual = "report" if answers == "report" else "answer"
        training = _beside(
            f"Training file, for the usual {'normal ' if usual == 'report' else ''}{usual}", "evaluate-training", path,
            question_files.trainings(path), f"none: the most frequent reference {usual}", (".json", ".jsonl"),
        )  # fmt: skip
    _references(content, truth, answers)
    found: Task = "report" if truth is not None else content.task
    images = images or (apart if apart != path.parent else None)
    task: Task | Literal[""] = answers if answers != found else ""
    return _Asked(path, images, truth, training, limit or None, task, answers, content.with_prior)


def _task(path: Path, content: Content) -> Task:
    """What the answers are: what the file looks like, unless somebody says otherwise."""
    chosen = st.segmented_control(
        "The answers are", list(TASKS), default=content.task, required=True, format_func=TASKS.__getitem__,
        key=f"evaluate-task-{path}-{content.task}", help=f"Chosen by what the file holds. {vqa.RULE}",
    )  # fmt: skip
    return chosen or content.task


def _references(content: Content, truth: Path | None, answers: Task) -> None:
    missing = content.questions - content.with_reference
    if missing and truth is None:
        what = "report" if answers == "report" else "answer"
        st.warning(
            f"{missing:,} of {content.questions:,} questions have no reference {what} and are answered without being "
            "scored."
        )


def _judge(asked: _Asked | None) -> tuple[Judge | None, str]:
    """Who judges the answers, where they are short; and what is missing before that can be."""
    if asked is None or not asked.short:
        return None, ""
    with st.container(border=True, key="evaluate-judge"), errors.shown():
        st.subheader("Judge", anchor=False)
        return judge_fields.choose("evaluate-judge")
    return None, "Choose another judge."


def _beside(
    label: str, key: str, path: Path, found: Sequence[Path], without: str, suffixes: Sequence[str]
) -> Path | None:
    """A file that belongs to the questions: one that was found beside them, none, or any other."""
    words = {str(one): _near(one, path) for one in found} | {NONE: without, OTHER: "another file…"}
    named = st.selectbox(label, list(words), format_func=words.__getitem__, key=f"{key}-{path}")
    if named == OTHER:
        return paths.file_field(label, f"{key}-other", suffixes)
    return Path(named) if named not in (NONE, None) else None


def _near(file: Path, path: Path) -> str:
    """A file as seen from the folder of another."""
    return str(file.relative_to(path.parent)) if file.is_relative_to(path.parent) else str(file)


def _models() -> tuple[tuple[AnsweringModel, ...], bool]:
    known = {str(one.path): one for one in answering_models.found()}
    for place in st.session_state.get(_MORE, []):
        known.setdefault(place, answering_models.at(Path(place)))
    if not known:
        st.info("No model is installed and no run has finished yet.")
    st.session_state[_MODELS] = [place for place in st.session_state.get(_MODELS, []) if place in known]
    chosen = st.multiselect(
        "Models",
        list(known),
        format_func=lambda place: known[place].words,
        key=_MODELS,
        placeholder="Choose any number",
    )
    with st.expander("A model elsewhere", key="evaluate-elsewhere"):
        folder = paths.folder_field("Folder of a model or an adapter", "evaluate-model-folder")
        if st.button("Add it", key="add-model", disabled=folder is None) and folder is not None:
            with errors.shown():
                answering_models.at(folder)
                st.session_state[_MORE] = [*st.session_state.get(_MORE, []), str(folder)]
                st.toast(literal(f"{folder.name} is in the list of models."))
                st.rerun()
    with_bases = st.toggle(
        "Models that these were made from answer as well",
        value=True,
        key="evaluate-bases",
        help="A tuned model is judged by what the tuning changed.",
    )
    who = answering_models.who_answers([known[place] for place in chosen], with_bases=with_bases)
    if who:
        told = [f"{one.name} (made from {one.base})" if one.base else one.name for one in who]
        st.caption(literal(f"Will answer: {', '.join(told)}."))
    return who, with_bases


def _how(asked: _Asked | None) -> Wanted:
    """How questions are put; who is asked what is still to be filled in."""
    prior: Prior = "true"
    if asked is None or asked.with_prior or not asked.short:
        prior = st.radio(
            "What stands for the prior", list(PRIORS), format_func=PRIORS.__getitem__, key="evaluate-prior"
        )
    # one wording for all would take the place of what each question asks
    wordings = () if asked is not None and asked.short else _wordings()
    with st.expander("Choosing the words", key="evaluate-decoding"):
        first, second = st.columns(2)
        beams = first.number_input(
            "Beams", 1, MOST_BEAMS, 1, key="evaluate-beams", help="1: the likeliest word each time, the fastest."
        )
        longest = second.number_input("Tokens of an answer at most", 16, MOST_TOKENS, 512, 16, key="evaluate-longest")
    return Wanted("", (), Path(), prior=prior, wordings=wordings, beams=int(beams), longest=int(longest))


def _wordings() -> tuple[Wording, ...]:
    """Wordings that are compared like models; () for the file's own alone."""
    numbers: list[int] = st.session_state.setdefault(_WORDINGS, [])
    found = []
    for number in numbers:
        with st.container(horizontal=True, vertical_alignment="bottom", key=f"wording-{number}"):
            name = st.text_input("Name", f"wording-{number}", key=f"wording-name-{number}", max_chars=40, width=160)
            text = st.text_input("The question in this wording", key=f"wording-text-{number}", max_chars=2000)
            st.button("Remove", key=f"wording-remove-{number}", on_click=numbers.remove, args=(number,))
        found.append(Wording(name.strip(), text.strip()))
    st.button(
        "Add a wording of the question",
        key="wording-add",
        on_click=lambda: numbers.append(max(numbers, default=0) + 1),
        help="Every model answers in every wording; they are compared like models. The clinical context stays.",
    )
    if not found:
        return ()
    own = st.toggle("The wording of the file as well", value=True, key="wording-own")
    return (Wording("own"), *found) if own else tuple(found)


def _name(path: Path, models: Sequence[AnsweringModel]) -> str:
    tuned = [one.name for one in models if one.base] or [one.name for one in models]
    named = next((one.set for one in question_files.known() if one.path == path), path.stem)
    base = f"{tuned[0]}-on-{Path(named).name}" if tuned else Path(named).name
    return st.text_input("Name", evaluations.suggested(base), key=f"evaluate-name-{base}", max_chars=64)


def _start(wanted: Wanted, missing: str) -> None:
    runs = tuple(one.path.parent.name for one in wanted.models if one.path.parent.parent == run_folder.runs_folder())
    try:
        for caution in question_files.cautions(wanted.questions, wanted.limit, runs):
            st.warning(literal(caution))
    except DatasetError as error:
        errors.show(error)
    if not wanted.models:
        st.caption("Choose at least one model.")
        return
    empty = [one.name for one in wanted.wordings if not one.text and one.name != "own"]
    if empty:
        st.caption(literal(f"The wording {empty[0]} says nothing yet."))
        return
    if missing:
        st.caption(missing)
        return
    questions = question_files.content(wanted.questions, wanted.limit).questions
    systems = len(wanted.models) * max(1, len(wanted.wordings))
    said = evaluation_words.words(wanted, evaluations.fresh(wanted.name))
    then = "judged and scored" if wanted.judge is not None else "scored"
    st.markdown(f"{systems * questions:,} answers: {systems} × {questions:,} questions. Then they are {then}.")
    st.caption("The same in a terminal")
    st.code(evaluation_words.command(said), language=None, wrap_lines=True)
    if st.button("Start the evaluation", type="primary", key="start-evaluation"):
        evaluations.begin(wanted)
        for name in (RUN, SET, "view"):
            st.query_params.pop(name, None)
        st.query_params[EVALUATION] = wanted.name.strip()
        st.rerun()
