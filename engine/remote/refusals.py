"""What a server says when it does not answer -> an error with a sentence for the user.

The server's own words are looked at and never repeated: servers quote the request in them, and with it the patient.
"""

from __future__ import annotations

import json

from engine.errors import IntervalError, ModelError, ResourceError, TooLong
from engine.remote.transport import Fault, Transport

BUSY = frozenset({408, 409, 425, 429, 502, 503, 504})
"""Statuses of a server that may answer a little later."""

_CONTEXT = ("context length", "context_length", "context size", "context_size", "maximum context", "max_model_len",
            "maximum model length", "longer than the maximum")  # fmt: skip
_PICTURES = ("at most", "image")
_BLIND = ("not a multimodal", "does not support image", "image input is not supported", "image_url is not supported",
          "does not support vision", "mmproj")  # fmt: skip


def unanswered(transport: Transport, fault: Fault) -> IntervalError:
    """The error for a request that got no answer."""
    place = transport.address.place
    if fault == "absent":
        return ModelError(f"No server answers at {place}. Start it, or correct its address.")
    if fault == "certificate":
        return ModelError(f"The certificate of the server at {place} cannot be verified; nothing was sent to it.")
    if fault == "slow":
        return ResourceError(
            f"The server at {place} did not answer in time. It may be busy or still loading its model; try again."
        )
    if fault == "large":
        return ModelError(f"The server at {place} sent more than any answer is long; it was not read.")
    return ModelError(f"The server at {place} broke off its answer. Its own log may say why; try again.")


def refused(transport: Transport, status: int, content: object, model: str) -> IntervalError:
    """The error for an answer with another status than 200; ``content`` is its JSON."""
    place = transport.address.place
    said = json.dumps(content).lower()[:20_000]
    if 300 <= status < 400:
        return ModelError(f"The server at {place} sends us elsewhere, which is not followed; give that address.")
    if status in (401, 403):
        return ModelError(f"The server at {place} wants a key: put it into the environment variable {transport.key}.")
    if status < 500 and any(words in said for words in _CONTEXT):
        return TooLong(
            f"Images, question and answer do not fit into the context of the model at {place}. Shorten the clinical "
            "context or the conversation, ask for fewer tokens, or start the server with a longer context."
        )
    if status in (404, 405):
        return ModelError(
            f"The server at {place} has no model '{model}', or no {transport.address.path}/chat/completions."
        )
    if status == 413:
        return ModelError(f"The server at {place} does not take requests as large as two pictures; raise its limit.")
    if any(words in said for words in _BLIND):
        return ModelError(f"The model '{model}' at {place} does not take pictures.")
    if status < 500 and all(words in said for words in _PICTURES):
        return ModelError(
            f"The server at {place} takes fewer pictures in a question than a comparison has: start it so that it "
            "takes two (vLLM: --limit-mm-per-prompt)."
        )
    if status in BUSY:
        return ResourceError(f"The server at {place} is busy (status {status}). Try again in a moment.")
    if status >= 500:
        return ModelError(f"The server at {place} failed (status {status}). Its own log may say why.")
    return ModelError(f"The server at {place} refused the question (status {status}). Its own log may say why.")


def unreadable(transport: Transport) -> ModelError:
    """The error for an answer that is no chat completion."""
    return ModelError(f"What answers at {transport.address.place} does not speak OpenAI's chat completions.")
