"""Muon and AdamW as one optimiser: every parameter once, one schedule for both, a state that can be restored."""

import copy

import pytest
import torch
from torch import nn

from engine.training.optimiser import MUON_RATE, Both, build
from engine.training.recipe import Stage


@pytest.fixture
def module():
    torch.manual_seed(0)
    return nn.ModuleDict({"hidden": nn.Linear(6, 6), "embed": nn.Embedding(5, 6), "frozen": nn.Linear(6, 6)})


def stage(optimiser, rate=0.01):
    return Stage(
        name="s",
        train=("connector",),
        epochs=1,
        batch_size=1,
        learning_rate=rate,
        optimiser=optimiser,
        weight_decay=0.0,
    )


def loss(module):
    return module["hidden"](module["embed"](torch.arange(5))).square().sum()


def steps(module, optimiser, count):
    for _ in range(count):
        loss(module).backward()
        optimiser.step()
        optimiser.zero_grad()


def test_every_learning_parameter_belongs_to_one_part(module):
    module["frozen"].requires_grad_(False)
    optimiser = build(stage("muon"), module)
    assert isinstance(optimiser, Both)
    muon, rest = ([id(p) for g in part.param_groups for p in g["params"]] for part in optimiser.parts)
    assert muon == [id(module["hidden"].weight)]
    assert sorted(rest) == sorted([id(module["hidden"].bias), id(module["embed"].weight)])


def test_a_schedule_reaches_both_parts(module):
    optimiser = build(stage("muon"), module)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 0.5)
    assert [g["lr"] for part in optimiser.parts for g in part.param_groups] == [0.01 * MUON_RATE * 0.5, 0.005]
    steps(module, optimiser, 1)
    schedule.step()


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_it_learns(module, name):
    before = float(loss(module).detach())
    steps(module, build(stage(name), module), 30)
    assert float(loss(module).detach()) < 0.5 * before


def test_a_restored_state_goes_on_as_if_nothing_happened(module):
    optimiser = build(stage("muon"), module)
    steps(module, optimiser, 3)
    twin = copy.deepcopy(module)
    restored = build(stage("muon", rate=0.5), twin)
    restored.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    steps(module, optimiser, 3)
    steps(twin, restored, 3)
    for one, two in zip(module.parameters(), twin.parameters(), strict=True):
        assert torch.equal(one, two)
