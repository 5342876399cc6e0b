"""The proxies that the predictor reads of a network: `optnas.metrics.zero_cost`."""

import math

import optuna
import pytest
import torch

from optnas.candidate import Candidate
from optnas.metrics.zero_cost import zero_cost


class Branches(torch.nn.Module):
    """Two convolutions, of which the second one's output may be thrown away."""

    def __init__(self, dead):
        super().__init__()
        self.first = torch.nn.Conv2d(1, 4, 3)
        self.second = torch.nn.Conv2d(1, 4, 3)
        self.act = torch.nn.ReLU()
        self.head = torch.nn.Linear(4, 3)
        self.dead = dead

    def forward(self, x):
        y = self.act(self.first(x)) + self.act(self.second(x)) * (0.0 if self.dead else 1.0)
        return self.head(y.mean((2, 3)))


def proxies(model, inputs):
    return zero_cost(Candidate("a", inputs, lambda: model))


def test_live_params_leave_out_what_goes_nowhere():
    inputs = torch.randn(1, 1, 8, 8)
    alive, dead = (proxies(Branches(dead), inputs)["live_params"] for dead in (False, True))
    assert (alive, dead) == (40 + 40 + 15, 40 + 15)


def test_synflow_of_a_linear_network_in_closed_form():
    """R = 1ᵀ|W₂||W₁|1, and θ·∂R/∂θ sums to R for each of the two layers."""
    first, second = torch.nn.Linear(3, 5, bias=False), torch.nn.Linear(5, 2, bias=False)
    flow = (second.weight.abs() @ first.weight.abs()).double().sum().item()
    found = proxies(torch.nn.Sequential(first, second), torch.randn(1, 3))
    assert found["synflow"] == pytest.approx(math.log(2 * flow), rel=1e-6)
    assert math.isnan(found["naswot"])


def test_they_repeat_and_leave_the_model_alone():
    torch.manual_seed(0)
    model = Branches(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    first, again = (proxies(model, torch.randn(1, 1, 8, 8)) for _ in range(2))
    assert first == again
    assert all(torch.equal(before[n], v) for n, v in model.state_dict().items())
    torch.set_rng_state(state)


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (
            torch.nn.Sequential(torch.nn.Embedding(9, 4), torch.nn.Flatten()),
            torch.ones(1, 3).long(),
        ),
        (torch.nn.LSTM(4, 3), torch.randn(1, 5, 4)),
        (torch.nn.Identity(), torch.randn(1, 3)),
    ],
)
def test_odd_networks_have_what_can_be_had(model, inputs):
    found = proxies(model, inputs)
    assert set(found) == {"synflow", "live_params", "naswot", "grad_norm"}


def test_they_tell_small_from_large(space):
    sizes, flows = [], []
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(12):
        architecture = space.suggest(study.ask())
        model = space.build(architecture)
        found = zero_cost(Candidate(architecture, space.example_inputs, lambda m=model: m))
        sizes.append(sum(p.numel() for p in model.parameters()))
        flows.append(found["live_params"])
    assert flows == pytest.approx(sizes)


@pytest.mark.parametrize(
    ("shape", "examples"),
    [((2,), 8), ((3, 32, 32), 8), ((2, 4096), 2), ((3, 64, 32), 4), ((3, 224, 224), 2)],
)
def test_large_examples_are_fewer(shape, examples):
    batches = []
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(math.prod(shape), 2))
    model.register_forward_pre_hook(lambda _, args: batches.append(len(args[0])))
    proxies(model, torch.zeros(1, *shape))
    assert sorted(batches) == [1, examples]
