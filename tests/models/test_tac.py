"""Laws of the connector that no golden vector states."""

from __future__ import annotations

import pytest
import torch

from engine.models.composite import IGNORED, LibraModel, slots, widen
from engine.models.tac import TemporalAlignmentConnector
from engine.models.tokens import IMAGE_TOKEN

VISION = {"hidden_size": 16, "num_hidden_layers": 12, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}
LANGUAGE = {
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 50,
}


@pytest.fixture
def connector() -> TemporalAlignmentConnector:
    torch.manual_seed(1)
    made = TemporalAlignmentConnector(vision_size=16, text_size=24, heads=4)
    torch.nn.init.constant_(made.LFE_prior_bias, 0.5)
    return made.eval()


@pytest.fixture
def model() -> LibraModel:
    torch.manual_seed(2)
    return LibraModel.from_config(VISION, LANGUAGE)


def test_has_the_published_parameters(connector: TemporalAlignmentConnector) -> None:
    names = connector.state_dict().keys()
    assert len(names) == 54
    assert {"LFE_prior_bias", "cros_attention.bias_k", "LFE.5.weight", "mlp_attn.3.bias", "mlp_final.6.weight"} <= names


def test_published_size() -> None:
    with torch.device("meta"):
        published = TemporalAlignmentConnector(vision_size=768, text_size=4096, heads=32)
    assert round(sum(p.numel() for p in published.parameters()) / 1e6, 2) == 61.77


def test_width_must_be_a_multiple_of_the_heads() -> None:
    with pytest.raises(ValueError, match="multiple"):
        TemporalAlignmentConnector(vision_size=16, text_size=24, heads=5)


def test_likeness_is_one_for_the_same_image_and_at_most_one(connector: TemporalAlignmentConnector) -> None:
    a, b = torch.randn(3, 9, 16), torch.randn(3, 9, 16)
    torch.testing.assert_close(connector.likeness(a, a), torch.ones(3, 1, 1), atol=1e-5, rtol=0)
    assert ((connector.likeness(a, b) >= 0) & (connector.likeness(a, b) <= 1)).all()
    torch.testing.assert_close(connector.likeness(a, -a), torch.zeros(3, 1, 1), atol=1e-5, rtol=0)


def test_rows_do_not_influence_each_other(connector: TemporalAlignmentConnector) -> None:
    current, prior = torch.randn(3, 12, 9, 16), torch.randn(3, 12, 9, 16)
    together = connector(current, prior)
    apart = torch.cat([connector(c[None], p[None]) for c, p in zip(current, prior, strict=True)])
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=1e-5)


def test_same_with_and_without_stored_attention_weights(connector: TemporalAlignmentConnector) -> None:
    """The fused attention is the explicit softmax of the published code."""
    query, memory = torch.randn(2, 9, 16), torch.randn(2, 9, 16)
    fused = connector.cros_attention(query, memory, memory, need_weights=False)[0]
    explicit = connector.cros_attention(query, memory, memory, need_weights=True)[0]
    torch.testing.assert_close(fused, explicit, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_the_first_steps_in_float32(
    connector: TemporalAlignmentConnector, dtype: torch.dtype
) -> None:
    features = torch.randn(1, 12, 9, 16).to(dtype)
    rounded = TemporalAlignmentConnector(16, 24, 4)
    rounded.load_state_dict({k: v.to(dtype).float() for k, v in connector.state_dict().items()})
    half = connector.to(dtype)
    extract = half.extract(features)
    assert extract.dtype == torch.float32
    torch.testing.assert_close(extract, rounded.extract(features.float()))
    assert half.likeness(extract, extract).item() == pytest.approx(1, abs=1e-5)
    assert half(features, features).dtype == dtype


def test_dropout_only_in_training(connector: TemporalAlignmentConnector) -> None:
    features = torch.randn(1, 12, 9, 16)
    assert torch.equal(connector(features, features), connector(features, features))
    connector.train()
    assert not torch.equal(connector(features, features), connector(features, features))


def test_training_reaches_every_parameter(model: LibraModel) -> None:
    model.train()
    torch.nn.init.normal_(model.connector.LFE_prior_bias)
    ids = torch.tensor([[1, 5, IMAGE_TOKEN, 6, 7, 2], [1, IMAGE_TOKEN, 8, 9, 2, 0]])
    labels = ids.masked_fill(ids < 6, IGNORED)
    current, prior = torch.randn(2, 3, 28, 28), torch.randn(2, 3, 28, 28)
    output = model(ids, current, prior, labels=labels, attention_mask=(ids != 0).long())
    assert output.logits.shape == (2, 6 - 1 + 4, 50)
    output.loss.backward()
    # The tower's final norm and its mask token take no part: the features are taken before them.
    idle = {"vision_tower.layernorm.weight", "vision_tower.layernorm.bias", "vision_tower.embeddings.mask_token"}
    assert {name for name, p in model.named_parameters() if p.grad is None} == idle


def test_padding_changes_nothing(model: LibraModel) -> None:
    model.eval()
    images = torch.randn(1, 3, 28, 28), torch.randn(1, 3, 28, 28)
    ids = torch.tensor([[1, 5, IMAGE_TOKEN, 6, 7]])
    padded = torch.nn.functional.pad(ids, (0, 3))
    with torch.no_grad():
        plain = model(ids, *images).logits
        masked = model(padded, *images, attention_mask=(padded != 0).long()).logits
    torch.testing.assert_close(masked[:, : plain.shape[1]], plain, atol=1e-5, rtol=1e-4)


def test_the_image_goes_where_its_slot_is(model: LibraModel) -> None:
    ids = torch.tensor([[IMAGE_TOKEN, 5, 6], [5, 6, IMAGE_TOKEN]])
    image = torch.randn(2, 4, 24)
    embedded = model.embed(ids, image)
    text = model.language_model.get_input_embeddings()(torch.tensor([5, 6]))
    assert torch.equal(embedded[0], torch.cat((image[0], text)))
    assert torch.equal(embedded[1], torch.cat((text, image[1])))
    assert widen(ids, ids, 4, IGNORED).tolist() == [[IGNORED] * 4 + [5, 6], [5, 6] + [IGNORED] * 4]


@pytest.mark.parametrize("row", [[1, 2, 3], [IMAGE_TOKEN, 2, IMAGE_TOKEN]])
def test_exactly_one_slot(row: list[int]) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        slots(torch.tensor([row]))


def test_a_tower_of_another_depth_is_refused() -> None:
    with pytest.raises(ValueError, match="12 blocks"):
        LibraModel.from_config({**VISION, "num_hidden_layers": 6}, LANGUAGE)
