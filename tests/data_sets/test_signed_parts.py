"""The question out of a prompt, the changes of a review, and text in real pixels."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont
from signed_desk import PROMPT, edit, keep, reject, write

from engine.datasets.phantoms import render as phantom_film
from engine.datasets.phantoms import sample_case, show
from engine.datasets.signed.burned_in import text_lines
from engine.datasets.signed.corrections import Sentences, counted
from engine.datasets.signed.questions import put_question
from engine.imaging import Reader, to_pil
from engine.models.conversation import TEMPLATES, render, render_labelled
from engine.records import Revision, Sentence

QUESTIONS = st.just(PROMPT) | st.text(
    st.characters(codec="utf-8", exclude_characters="<>|", exclude_categories=["Cc", "Cs"]), min_size=1
).map(str.strip).filter(bool)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(TEMPLATES)),
    QUESTIONS,
    st.sampled_from([("", ""), ("<im_start>", "<im_end>")]),
    st.sampled_from(["", "Indication: chest pain.\nHistory: USER: none ASSISTANT:"]),
)
def test_the_question_comes_out_of_any_prompt(name: str, question: str, marks: tuple[str, str], context: str) -> None:
    asked = f"{question} Following clinical context: {context}" if context else question
    template = TEMPLATES[name]
    assert put_question(render(template, asked, marks)) == asked
    for has_prior in (True, False):
        for place, gap in (("<image>", "\n"), ("<|vision_start|><|image_pad|><|vision_end|>", "")):
            prompt = render_labelled(template, asked, place, has_prior=has_prior, gap=gap)
            assert put_question(prompt) == asked


@pytest.mark.parametrize("prompt", ["Findings?", "", "USER: hello ASSISTANT:", "<image>"])
def test_what_no_template_made_gives_no_question(prompt: str) -> None:
    assert put_question(prompt) is None


def test_sentences_are_counted_by_what_became_of_them() -> None:
    drafted = tuple(Sentence(str(n), f"Sentence {n}.", "ai", "unreviewed") for n in range(4))
    for review, expected in (
        (keep, Sentences(4, 0, 0, 0)),
        (edit(1, "Other."), Sentences(3, 1, 0, 0)),
        (reject(2), Sentences(3, 0, 1, 0)),
        (write("Own."), Sentences(4, 0, 0, 1)),
    ):
        revision = Revision("r", 2, None, "w", None, "", review(drafted))  # type: ignore[arg-type]
        assert counted(revision) == expected
        assert expected.changes == sum(vars(expected).values()) - expected.kept
    withdrawn = (*keep(drafted), Sentence("own", "Own.", "human", "rejected"))
    assert counted(Revision("r", 2, None, "w", None, "", withdrawn)) == Sentences(4, 0, 0, 0)  # type: ignore[arg-type]


def written_on(picture: Image.Image, text: str, size: int, grey: int, jpeg: bool = False) -> Image.Image:
    marked = picture.copy()
    place = (round(picture.width * 0.05), round(picture.height * 0.03))
    ImageDraw.Draw(marked).text(place, text, fill=grey, font=ImageFont.load_default(size))
    if not jpeg:
        return marked
    packed = BytesIO()
    marked.save(packed, "JPEG", quality=85)
    return Image.open(packed)


@pytest.mark.parametrize("name", ["nih_00000001_000.png", "rsna_chest.dcm", "pair_prior.jpg", "cr_chest_j2k_15bit.dcm"])
def test_text_is_found_on_real_films_and_markers_are_not_text(shared: Path, name: str) -> None:
    """These films have side markers, initials, wires, clips and sutures, and no burned-in text."""
    with Reader() as reader:
        film = to_pil(reader.read(shared / "data" / name))
    film = film.resize((768, 768 * film.height // film.width))  # as large as tests have time for
    assert text_lines(film) == ()
    dark = float(np.asarray(film)[: film.height // 10].mean()) < 128
    marked = written_on(film, "DOE, JANE  1950-03-02  ID 4471", 16, 255 if dark else 0, jpeg=True)
    assert text_lines(marked)
    (line, *_) = text_lines(written_on(film, "DOE, JANE  1950-03-02  ID 4471", 24, 255 if dark else 0))
    assert line.top < film.height * 0.1 and line.left < film.width * 0.5


def test_text_of_any_kind_is_found_on_phantoms_and_noise_is_not_text() -> None:
    film = Image.fromarray(show(phantom_film(sample_case(3).current, 512)))
    noise = np.random.default_rng(0).normal(0, 25, (film.height, film.width))
    grainy = Image.fromarray(np.clip(np.asarray(film) + noise, 0, 255).astype(np.uint8))
    for clean in (film, grainy):
        assert text_lines(clean) == ()
    marked = written_on(film, "Smith^John M 044Y", 14, 255)
    assert text_lines(marked) and text_lines(marked.rotate(90, expand=True))
    assert text_lines(written_on(film, "SMITH", 20, 255)) and not text_lines(written_on(film, "L HSA", 20, 255))
    white = Image.fromarray(255 - np.asarray(film))
    assert text_lines(written_on(white, "Smith^John M 044Y", 14, 0))
