"""One question to a served model and what has come of its answer; the times of one, and of many at once."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from engine.drafting.checks import check
from engine.drafting.comparison import Comparison
from engine.drafting.draft import Draft, Finish, ImageUse, ModelInfo, Scored, Timings
from engine.drafting.request import images
from engine.drafting.settings import Decoding
from engine.errors import ModelError
from engine.remote.address import Address
from engine.remote.chat import Piece, Whole

FINISHES: dict[str, Finish] = {"stop": "stop", "length": "length"}


@dataclass(frozen=True)
class Request:
    """A question about a comparison: what is asked, as words, and every setting as it is used."""

    comparison: Comparison
    stops: tuple[str, ...]
    question: str
    earlier: tuple[tuple[str, str], ...]
    prompt: str
    decoding: Decoding
    language: str


class Answer:
    """What has come of an answer, or of several samples of it."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._texts = [""] * request.decoding.num_return_sequences
        self._pieces = 0
        self._tokens: int | None = None

    def add(self, piece: Piece) -> None:
        """Some more of it."""
        self._texts[piece.choice] += piece.text
        self._pieces += 1

    def end(self, whole: Whole, address: Address) -> Finish:
        """It is over; how. Raises ModelError where the server did not let the model finish."""
        self._tokens = whole.tokens
        finished = FINISHES.get(whole.reasons[0])
        if finished is None:
            raise ModelError(
                f"The server at {address.place} withheld or broke off the answer. Its own log may say why."
            )
        return finished

    @property
    def text_so_far(self) -> str:
        """What to show of the first."""
        return self._clean(self._texts[0])

    @property
    def count(self) -> int:
        """Tokens of all; as many as there were pieces where the server does not say."""
        return self._pieces if self._tokens is None else self._tokens

    def draft(self, model: ModelInfo, finished: Finish, timings: Timings) -> Draft:
        """The draft that it makes."""
        request = self._request
        has_prior = request.comparison.prior is not None
        text, *others = map(self._clean, self._texts)
        return Draft(
            text=text,
            token_ids=(),
            prompt_token_ids=(),
            sequences=tuple(Scored(one, (), None) for one in (text, *others)),
            model=model,
            decoding=request.decoding,
            prompt=request.prompt,
            images=tuple(ImageUse(image.sha256, role, image.view.value) for role, image in images(request.comparison)),
            checks=check(text, has_prior=has_prior, finished=finished, language=request.language),
            timings=timings,
            has_prior=has_prior,
            finished=finished,
            language=request.language,
        )

    def _clean(self, text: str) -> str:
        """Cut at a stop text, as our own engine does it, and stripped."""
        for stop in self._request.stops:
            text = text.split(stop, 1)[0]
        return text.strip()


@dataclass
class Clock:
    """Takes the times of one draft."""

    load_s: float
    began: float = field(default_factory=time.perf_counter)
    encode_s: float = 0.0
    first_token_s: float = 0.0

    def mark(self, stage: str) -> None:
        """The images are ready."""
        self.encode_s = time.perf_counter() - self.began

    def token(self) -> bool:
        """Some text has come; whether it is the first."""
        first = not self.first_token_s
        if first:
            self.first_token_s = time.perf_counter() - self.began
        return first

    def timings(self, tokens: int) -> Timings:
        """All of it. The server's memory is not known."""
        total = time.perf_counter() - self.began
        first = self.first_token_s or total
        return Timings(self.load_s, self.encode_s, first - self.encode_s, first, total - first, total, tokens, 0)


class Shares:
    """Divides the time that passes among the requests that run in it."""

    def __init__(self) -> None:
        self._running: dict[int, tuple[float, int]] = {}
        self._ended: dict[int, tuple[float, int]] = {}
        self._last = time.perf_counter()

    def begin(self, place: int) -> None:
        """A request begins."""
        self._pass()
        self._running[place] = 0.0, 0

    def end(self, place: int) -> tuple[float, int]:
        """It has ended: its share of the seconds, and how many ran at once at most. Harmless when asked again."""
        if place in self._running:
            self._pass()
            self._ended[place] = self._running.pop(place)
        return self._ended[place]

    def _pass(self) -> None:
        now = time.perf_counter()
        count = len(self._running)
        for place, (seconds, most) in self._running.items():
            self._running[place] = seconds + (now - self._last) / count, max(most, count)
        self._last = now
