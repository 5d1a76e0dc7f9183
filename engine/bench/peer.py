"""The peer: transformers' own ``generate`` on the same weights, called the way Libra's code calls it.

That is, of Libra 1.0.3 and the transformers version pinned here:

* images go into ``generate`` beside the prompt and are expanded with it, once for every beam, so that the tower sees
  each image ``num_beams`` times; a missing prior is the current image, which it sees again;
* TAC's attention stores its weights (``need_weights=True``, the default its code leaves);
* the prompt is computed once for every beam, with logits for each of its positions;
* the cache is a DynamicCache of every beam's whole prompt, copied as it grows and reordered as a whole;
* with beams no 3-gram may come twice; the ban counts the prompt's ids; the length penalty is as given.

Left out is what would make the peer slower still without being its decoding: Libra decodes the last tokens to text
after every step to look for its stop text. Weights and pictures come from this project's loader, so that both sides
have the same values; none of its decoding is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM, StoppingCriteria

from engine.bench.material import CONTEXT, Pair
from engine.bench.measure import Measured, Run, elsewhere, now, watched
from engine.bench.ours import open_all
from engine.bench.task import Task, precision_options
from engine.drafting import Comparison
from engine.drafting.question import Asking, ask
from engine.imaging.display import to_pil
from engine.models.checkpoint import LoadedLibra, load_model
from engine.models.composite import LibraModel
from engine.models.preprocessing import prepare

NO_REPEAT_NGRAM, LENGTH_PENALTY = 3, 1.0
"""Of Libra's beam search, and the engine's default."""


def measure(task: Task, pairs: Sequence[Pair]) -> Measured:
    """Load, draft once to get warm, then draft from each further pair; of two questions only the second.

    It keeps nothing from one call to the next, so that a second question costs it what a first one does.
    """
    comparisons = open_all(pairs, prior=task.kind.prior)
    section = "impression" if task.kind.second else "findings"
    with watched(task.device) as watch:
        loaded = load_model(task.model, device=task.device, **precision_options(task.precision))
        assert isinstance(loaded, LoadedLibra)
        watch.mark_loaded()
        peer = Peer(loaded, task.device)
        peer.draft(comparisons[0], section, beams=1, new_tokens=2)
        runs = [peer.draft(one, section, beams=task.kind.beams, new_tokens=task.new_tokens) for one in comparisons[1:]]
    return Measured(tuple(runs), watch.memory())


class Peer:
    """A loaded model behind ``generate``."""

    def __init__(self, loaded: LoadedLibra, device: str) -> None:
        self._loaded = loaded
        self._device = device
        self._model: Any = LibraLike(loaded.model, device)

    def draft(self, comparison: Comparison, section: str, *, beams: int, new_tokens: int) -> Run:
        """One draft with its times."""
        busy, began = elsewhere(), now(self._device)
        question, _ = ask(Asking(section, context=CONTEXT), lambda text: text)
        _, ids = self._loaded.ask(question, has_prior=comparison.prior is not None)
        current, prior = (self._pixels(image) for image in (comparison.current, comparison.prior or comparison.current))
        prepared = now(self._device)
        steps = Steps(self._device)
        model = self._model
        model.encode_s = model.prefill_s = 0.0
        beam_search = {"no_repeat_ngram_size": NO_REPEAT_NGRAM, "length_penalty": LENGTH_PENALTY} if beams > 1 else {}
        with torch.inference_mode():
            output = model.generate(
                torch.tensor([ids], device=self._device),
                current=current,
                prior=prior,
                do_sample=False,
                num_beams=beams,
                max_new_tokens=new_tokens,
                use_cache=True,
                eos_token_id=list(self._loaded.stop_ids),
                pad_token_id=self._loaded.stop_ids[0],
                stopping_criteria=[steps],
                **beam_search,
            )
        tokens = tuple(output[0, len(ids) :].tolist())
        self._loaded.tokenizer.decode(list(tokens), skip_special_tokens=True)
        total = now(self._device) - began
        first = steps.times[0] - began
        return Run(
            encode_s=prepared - began + model.encode_s,
            prefill_s=model.prefill_s,
            first_token_s=first,
            step_s=(steps.times[-1] - steps.times[0]) / max(1, len(steps.times) - 1),
            total_s=total,
            tokens=tokens,
            positions=len(ids) - 1 + self._loaded.model.patches,
            passes=len(steps.times) - 1,
            others=(elsewhere() - busy) / total,
        )

    def _pixels(self, image: Any) -> Tensor:
        return torch.from_numpy(prepare(to_pil(image), self._loaded.processor))[None].to(self._device)


class LibraLike(LlamaForCausalLM):  # type: ignore[no-untyped-call]
    """A llama whose prompt may hold a pair of images, as Libra's is: the images come with every call of ``generate``.

    ``encode_s``, ``prefill_s``: of the last prompt.
    """

    encode_s = 0.0
    prefill_s = 0.0

    def __init__(self, libra: LibraModel, device: str) -> None:
        language: Any = libra.language_model
        with torch.device("meta"):  # its own weights are never made: those of the loaded model take their place
            super().__init__(language.config)
        self.model, self.lm_head = language.model, language.lm_head
        self.generation_config = language.generation_config
        self._libra = [libra]  # in a list, so that it is no submodule of this one
        self._on = device
        for module in libra.connector.modules():
            if isinstance(module, nn.MultiheadAttention):
                module.register_forward_pre_hook(_with_weights, with_kwargs=True)
        self.train(False)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        past_key_values: Any = None,
        use_cache: bool | None = None,
        current: Tensor | None = None,
        prior: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """The prompt with its images, or one token more of each row; logits of every position that is computed.

        There is no ``logits_to_keep`` and no ``position_ids`` among the arguments: ``generate`` counts without the
        image's positions, the model itself counts with them.
        """
        kwargs.pop("position_ids", None)
        if past_key_values.get_seq_length():
            return super().forward(input_ids=input_ids, past_key_values=past_key_values, use_cache=use_cache)
        assert current is not None and prior is not None
        libra = self._libra[0]
        began = now(self._on)
        extracts = [libra.connector.extract(libra.encode(pixels)) for pixels in (current, prior)]
        encoded = now(self._on)
        embeddings = libra.embed(input_ids, libra.connector.align(*extracts))
        output = super().forward(inputs_embeds=embeddings, past_key_values=past_key_values, use_cache=use_cache)
        self.encode_s, self.prefill_s = encoded - began, now(self._on) - encoded
        return output


def _with_weights(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return args, {**kwargs, "need_weights": True}


class Steps(StoppingCriteria):
    """Stops nothing; notes when each token is known."""

    def __init__(self, device: str) -> None:
        self.times: list[float] = []
        self._device = device

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        self.times.append(now(self._device))
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
