"""The objective: equal to the model's own loss, frozen parts stay as they were, truth targets mean what they say."""

import pytest
import torch

from engine.errors import DatasetError
from engine.models.composite import LibraModel
from engine.models.tokens import IMAGE_TOKEN
from engine.training.auxiliary import BANDS, CHANGES, AuxiliaryHeads, TruthTable
from engine.training.objective import Objective
from engine.training.recipe import AuxiliaryWeights, Stage

PARTS = ("vision_tower", "connector", "language_model")
LINES = [
    {
        "id": "a",
        "has_prior": True,
        "findings": [
            {"finding": "pleural effusion", "side": "bilateral", "size": 0.3, "change": "worse",
             "prior_side": "left", "prior_size": 0.2},
            {"finding": "cardiomegaly", "side": "", "size": 0.0, "change": "resolved",
             "prior_side": "", "prior_size": 0.9},
        ],
        "masks": {"current": {"pleural effusion": [0.5, 0, 0, 0]},
                  "prior": {"pleural effusion": [0.1, 0, 0, 0], "cardiomegaly": [0, 0, 0, 1.0]}},
    },
    {"id": "b", "has_prior": False, "findings": [], "masks": {"current": {}}},
]  # fmt: skip


@pytest.fixture
def truth():
    return TruthTable(LINES)


@pytest.fixture
def objective(truth):
    torch.manual_seed(0)
    model = LibraModel.from_config(
        {"hidden_size": 16, "num_hidden_layers": 12, "num_attention_heads": 2, "image_size": 28, "patch_size": 14},
        {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
         "num_attention_heads": 2, "num_key_value_heads": 2},
    )  # fmt: skip
    return Objective(model, AuxiliaryHeads(truth, 16, 16))


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(3, 40, (2, 9), generator=generator)
    ids[:, 3] = IMAGE_TOKEN
    labels = ids.clone()
    labels[:, :5] = -100
    labels[1, 7:] = -100  # the shorter row's padding
    pixels = torch.randn(3, 3, 28, 28, generator=generator)
    return {"pixels": pixels, "current": torch.tensor([0, 2]), "prior": torch.tensor([1, 2]), "input_ids": ids,
            "labels": labels}  # fmt: skip


def targets(truth):
    a, b = truth["a"], truth["b"]
    images = (a.current, a.prior, b.current)
    return {
        "bands": torch.stack([image.bands for image in images]),
        "regions": torch.stack([image.regions for image in images]),
        "changes": torch.stack([a.changes, b.changes]),
    }


def stage(train=PARTS, text=True, **weights):
    return Stage("s", tuple(train), 1, 2, 1e-3, text=text, auxiliary=AuxiliaryWeights(**weights))


def test_text_loss_equals_the_models_own(objective, batch):
    objective.begin(stage())
    objective.eval()
    loss = objective(**batch)["loss"]
    pixels = batch["pixels"]
    expected = objective.model(batch["input_ids"], pixels[batch["current"]], pixels[batch["prior"]], batch["labels"])
    # The model's own loss averages over all supervised positions of the batch, as ours does.
    torch.testing.assert_close(loss, expected.loss, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("trained", [("connector",), ("vision_tower",), ("language_model",), PARTS])
def test_only_the_stages_parts_learn(objective, batch, truth, trained):
    objective.begin(stage(trained, findings=1.0, regions=1.0, change=1.0))
    objective.train()
    objective(**batch, **targets(truth))["loss"].backward()
    for part in PARTS:
        module = getattr(objective.model, part)
        moved = any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in module.parameters())
        assert moved == (part in trained)
        assert module.training == (part in trained), "no dropout in a frozen part"


def test_a_stage_without_text_does_not_touch_the_language_model(objective, batch, truth):
    objective.begin(stage(text=False, findings=1.0))
    objective(**batch, **targets(truth))["loss"].backward()
    assert all(p.grad is None for p in objective.model.language_model.parameters())


def test_learning_lowers_every_part_of_the_loss(objective, batch, truth):
    objective.begin(stage(findings=1.0, regions=1.0, change=1.0))
    objective.train()
    optimiser = torch.optim.AdamW(objective.parameters(), 3e-3)
    history = []
    for _ in range(40):
        out = objective(**batch, **targets(truth))
        out["loss"].backward()
        optimiser.step()
        optimiser.zero_grad()
        history.append({name: float(value.detach()) for name, value in out.items()})
    assert all(history[-1][name] < 0.5 * history[0][name] for name in ("text_loss", "image_loss", "change_loss"))


def test_truth_becomes_targets(truth):
    assert truth.findings == ("cardiomegaly", "pleural effusion")
    assert truth.slots == (("cardiomegaly", ""), ("pleural effusion", "left"), ("pleural effusion", "right"))
    case = truth["a"]
    subtle, plain = BANDS.index("subtle"), BANDS.index("plain")
    assert case.current.bands.tolist() == [0, subtle, subtle]
    assert case.prior.bands.tolist() == [plain, subtle, 0]
    assert [CHANGES[value] for value in case.changes] == ["resolved", "worse"]
    assert case.current.regions[1].tolist() == [0.5, 0, 0, 0]
    assert case.prior.regions[0].tolist() == [0, 0, 0, 1.0]
    assert truth["b"].prior is None
    assert truth["b"].changes.tolist() == [0, 0]


def test_masks_of_two_sizes_are_refused():
    other = {**LINES[0], "id": "c", "masks": {"current": {"pleural effusion": [0.5]}}}
    with pytest.raises(DatasetError):
        TruthTable([LINES[0], other])
