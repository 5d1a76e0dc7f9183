"""Tower, connector and language model as one module: the only model code of our own besides the connectors.

The tower and the language model are transformers' classes. For inference a caller takes the parts one by one
(``encode``, ``connector.extract``, ``connector.align``, ``embed``), so that each is done once; for training ``forward``
does them all and gives the loss. The module knows token ids and pixels, not text, files or prompts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from engine.models.projectors import Connector
from engine.models.tac import LAYERS, TemporalAlignmentConnector
from engine.models.tokens import IMAGE_TOKEN
from engine.models.towers import Selection

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from transformers.modeling_outputs import CausalLMOutputWithPast

IGNORED = -100
"""Label of a position that is not learnt."""


class LibraModel(nn.Module):
    """A vision tower, a connector (TAC or a projector) and a causal language model.

    Shapes: B samples, N patches, D the tower's width, H the language model's, T prompt ids of which one is the image's,
    L the layers of features the connector gets (12 for TAC, 1 for projectors).
    """

    def __init__(
        self,
        vision_tower: PreTrainedModel,
        connector: Connector,
        language_model: PreTrainedModel,
        selection: Selection | None = None,
    ) -> None:
        super().__init__()
        self.vision_tower: Any = vision_tower
        self.connector = connector
        self.language_model: Any = language_model
        self.selection = selection or Selection()

    @classmethod
    def from_config(
        cls, vision: Mapping[str, Any], language: Mapping[str, Any], *, connector_heads: int | None = None
    ) -> LibraModel:
        """A DINOv2 tower, TAC and a llama with fresh random weights (seed torch first).

        Args:
            vision, language: fields of a Dinov2Config and a LlamaConfig.
            connector_heads: the language model's number of heads unless given.
        """
        from transformers import Dinov2Config, Dinov2Model, LlamaConfig, LlamaForCausalLM

        vision_config, language_config = Dinov2Config(**vision), LlamaConfig(**language)
        if vision_config.num_hidden_layers != LAYERS:
            raise ValueError(f"TAC needs a tower of {LAYERS} blocks, not {vision_config.num_hidden_layers}")
        connector = TemporalAlignmentConnector(
            vision_config.hidden_size,
            language_config.hidden_size,
            connector_heads or language_config.num_attention_heads,
        )
        return cls(Dinov2Model(vision_config), connector, LlamaForCausalLM(language_config))

    @property
    def patches(self) -> int:
        """Image tokens N for the tower's own image size."""
        return self.selection.patches(self.vision_tower.config)

    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels ``[B, 3, height, width]`` -> the features the connector gets, ``[B, L, N, D]``.

        Of a block: the class token is dropped and the final layer norm is not applied, as published.
        """
        return self.selection.features(self.vision_tower, pixels.to(self.vision_tower.dtype))

    def connect(self, current: Tensor, prior: Tensor) -> Tensor:
        """Features of both images ``[B, L, N, D]`` -> image tokens ``[B, N, H]``; no prior: the current twice."""
        tokens: Tensor = self.connector(current, prior)
        return tokens

    def embed(self, input_ids: Tensor, image_tokens: Tensor) -> Tensor:
        """Ids ``[B, T]``, each row holding IMAGE_TOKEN once, and image tokens -> embeddings ``[B, T - 1 + N, H]``."""
        embedding = self.language_model.get_input_embeddings()
        text = embedding(input_ids.masked_fill(input_ids == IMAGE_TOKEN, 0))
        # Gemma scales its embeddings. Where Libra's code ran, the model did so to all of its input, the image included.
        image = image_tokens.to(text.dtype) * getattr(embedding, "scalar_embed_scale", 1.0)
        return torch.stack(
            [torch.cat((t[:at], i, t[at + 1 :])) for t, i, at in zip(text, image, slots(input_ids), strict=True)]
        )

    def forward(
        self,
        input_ids: Tensor,
        current: Tensor,
        prior: Tensor,
        labels: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> CausalLMOutputWithPast:
        """One training pass over right-padded rows; returns logits ``[B, T - 1 + N, vocabulary]`` and the loss.

        Args:
            input_ids: ``[B, T]`` with IMAGE_TOKEN once per row.
            current, prior: pixels ``[B, 3, height, width]``.
            labels: ``[B, T]`` with IGNORED where nothing is learnt; the image's positions are ignored by themselves.
            attention_mask: ``[B, T]``, 0 on padding.
        """
        # One pass of the tower over both images; where they are the same picture the caller may encode by itself.
        features = self.encode(torch.cat((current, prior)))
        image_tokens = self.connect(*features.chunk(2))
        count = image_tokens.shape[1]
        output: CausalLMOutputWithPast = self.language_model(
            inputs_embeds=self.embed(input_ids, image_tokens),
            attention_mask=None if attention_mask is None else widen(attention_mask, input_ids, count, 1),
            labels=None if labels is None else widen(labels, input_ids, count, IGNORED),
        )
        return output


def slots(input_ids: Tensor) -> list[int]:
    """The position of IMAGE_TOKEN in each row of ``[B, T]``. ValueError unless every row holds exactly one."""
    found = input_ids == IMAGE_TOKEN
    if not bool((found.sum(dim=1) == 1).all()):
        raise ValueError("every row of ids needs exactly one image slot")
    positions: list[int] = found.int().argmax(dim=1).tolist()
    return positions


def widen(values: Tensor, input_ids: Tensor, count: int, fill: int) -> Tensor:
    """A per-id tensor ``[B, T]`` (labels, a mask) as one per position ``[B, T - 1 + count]``, ``fill`` on the image."""
    image = values.new_full((count,), fill)
    return torch.stack(
        [torch.cat((v[:at], image, v[at + 1 :])) for v, at in zip(values, slots(input_ids), strict=True)]
    )
