"""Whether a merged model is the model it was merged from, shown on cases: the certificate that goes with it.

Base with the adapter beside it, and the merged model, read the same prompts and the same following tokens; their
logits are compared position by position, in float32. A file in float32 has to agree to rounding (1e-4 of the largest
logit) and to write the same greedy texts. A file in 16 bits has other weights than base and adapter by its rounding:
there the certificate says how often the likeliest next token is the same and how far the distributions are apart, and
asks for 98 % and 0.01 nats.

A file that is stored quantised is another model, near to base and adapter and not the same: there the same figures are
given without a verdict of sameness. Only a file that is plainly broken does not pass: half of the likeliest tokens
others, or a divergence of a nat, is more than nf4 does to a small model. Whether it is good enough an evaluation says.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.datasets.libra import IMAGE_TEXT, Question
from engine.decoding.session import Session
from engine.drafting import Asking, Comparison, Decoding, Engine
from engine.drafting.question import CONTEXT
from engine.errors import InputError
from engine.imaging.display import to_pil
from engine.imaging.reader import Reader
from engine.models import weights
from engine.models.checkpoint import load_model
from engine.models.loaded import LoadedModel

LARGEST = 1e-4
"""Of the largest logit: what float32 may differ by."""

TOP, DIVERGENCE = 0.98, 0.01
BROKEN_TOP, BROKEN_DIVERGENCE = 0.5, 1.0
"""Of a quantised file: beyond these it was not written as it should have been."""

TOKENS = 64
CASES = 20

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Certificate:
    """What the comparison gave.

    Attributes:
        passed: whether the merged model may stand for base and adapter; of a quantised one, that it is not broken.
        dtype: of the merged file.
        cases, positions: what was compared.
        largest_difference, largest_logit: over all positions, in float32.
        top_agreement: share of the positions whose likeliest next token is the same.
        divergence: Kullback-Leibler divergence of the merged from the other, mean over positions, nats.
        same_texts: cases whose greedy texts are the same to the last token.
        quantization: "none", or how the file's layers are stored; ``dtype`` is then that of everything else.
        sha256, made_of: of the merged weights, and of base and adapter, as drafts name them (``ModelInfo.sha256``).
    """

    passed: bool
    dtype: str
    cases: int
    positions: int
    largest_difference: float
    largest_logit: float
    top_agreement: float
    divergence: float
    same_texts: int
    quantization: str = "none"
    sha256: str = ""
    made_of: str = ""

    @property
    def relative(self) -> float:
        """The largest difference of a logit, of the largest logit."""
        return self.largest_difference / self.largest_logit if self.largest_logit else 0.0

    def words(self) -> str:
        """One sentence for a person."""
        if self.quantization != "none":
            near = "near to base and adapter, not the same" if self.passed else "BROKEN, far from base and adapter"
            verdict = f"Quantised to {self.quantization}: {near} (divergence {self.divergence:.3f} nats)"
        else:
            verdict = "The merged model is base and adapter"
            verdict = verdict if self.passed else verdict.replace(" is ", " is NOT ")
        stored = self.dtype if self.quantization == "none" else f"{self.quantization}, the rest {self.dtype}"
        return (
            f"{verdict}: on {self.cases} cases the logits differ by at most {self.relative:.1e} of the largest, the "
            f"likeliest token is the same at {100 * self.top_agreement:.2f} % of {self.positions} positions, and "
            f"{self.same_texts} of {self.cases} texts are the same ({stored})."
        )


def certify(
    base: str | Path | None,
    adapter: str | Path,
    merged: Path,
    questions: Sequence[Question],
    report: Report = lambda done, total: None,
) -> Certificate:
    """Compare ``merged`` with ``base`` and ``adapter`` on the images and prompts of ``questions``.

    Raises:
        InputError: no question can be asked.
        ModelError, ResourceError: as of loading.
    """
    if not questions:
        raise InputError("There are no cases to compare the merged model on.")
    total = 2 * len(questions)
    first = load_model(adapter, base=base, dtype="float32", device="cpu", merge=False)
    expected, texts = _read(first, questions, None, lambda done: report(done, total))
    made_of = first.info.sha256
    del first
    gc.collect()
    second = load_model(merged, dtype="float32", device="cpu")
    found, written = _read(second, questions, texts, lambda done: report(len(questions) + done, total))
    compared = _compared(expected, found, texts, written, _dtype(merged), second.info.quantization)
    return replace(compared, sha256=second.info.sha256, made_of=made_of)


def _dtype(merged: Path) -> str:
    """The dtype of most of the file's values, those that are stored quantised aside."""
    found = weights.look(merged)
    floats = {name: entry for name, entry in found.entries.items() if "float" in entry.dtype}
    return replace(found, entries=floats).dtype


def _read(
    loaded: LoadedModel, questions: Sequence[Question], forced: list[list[int]] | None, report: Callable[[int], None]
) -> tuple[list[Tensor], list[list[int]]]:
    """The logits after the prompt and each token of ``forced`` (of its own text where None), and its own texts."""
    engine = Engine(loaded)
    logits, texts = [], []
    with Reader() as reader:
        for number, question in enumerate(questions):
            prior = question.images[1] if len(question.images) == 2 else None
            comparison = Comparison.open(question.images[0], prior, reader=reader)
            prompt, _, context = question.text.replace(IMAGE_TEXT, "").strip().partition(CONTEXT)
            asking = Asking(prompt=prompt, context=context)
            draft = engine.draft(comparison, asking, decoding=Decoding(max_new_tokens=TOKENS))
            texts.append(list(draft.token_ids))
            followed = texts[-1] if forced is None else forced[number]
            logits.append(_logits(loaded, engine.asked(comparison, asking)[1], comparison, followed))
            report(number + 1)
    return logits, texts


def _logits(loaded: LoadedModel, ids: list[int], comparison: Comparison, tokens: list[int]) -> Tensor:
    """float32 ``[positions, vocabulary]``: after the prompt, and after each of the tokens."""
    current = loaded.see(to_pil(comparison.current))
    prior = None if comparison.prior is None else loaded.see(to_pil(comparison.prior))
    put = loaded.embed(ids, current, prior)
    session = Session(loaded.language_model, put.embeddings, put.positions, put.next_position)
    after = [session.logits]
    if tokens:
        after.append(session.try_tokens(torch.tensor(tokens, device=loaded.device)))
    return torch.cat(after).cpu()


def _compared(
    expected: Sequence[Tensor],
    found: Sequence[Tensor],
    texts: list[list[int]],
    written: list[list[int]],
    dtype: str,
    quantization: str,
) -> Certificate:
    one, two = torch.cat(list(expected)), torch.cat(list(found))
    difference, scale = float((one - two).abs().max()), float(one.abs().max())
    top = float((one.argmax(1) == two.argmax(1)).float().mean())
    divergence = float(F.kl_div(two.log_softmax(1), one.log_softmax(1), reduction="batchmean", log_target=True))
    same = sum(a == b for a, b in zip(texts, written, strict=True))
    if quantization != "none":
        passed = top >= BROKEN_TOP and divergence <= BROKEN_DIVERGENCE
    elif dtype == "float32":
        passed = difference <= LARGEST * scale and same == len(texts)
    else:
        passed = top >= TOP and divergence <= DIVERGENCE
    return Certificate(
        passed=passed,
        dtype=dtype,
        cases=len(texts),
        positions=len(one),
        largest_difference=difference,
        largest_logit=scale,
        top_agreement=top,
        divergence=max(0.0, divergence),
        same_texts=same,
        quantization=quantization,
    )
