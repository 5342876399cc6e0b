"""A space of one class, of a partial of one, or of configurations, and choices that don't fit."""

import functools
from dataclasses import dataclass

import optuna
import pytest
import torch
from optuna.trial import FixedTrial
from torch import nn

import optnas
from optnas.errors import CandidateError, InputError
from optnas.search_spaces import ModelSpace
from optnas.testing import SpaceContract

EXAMPLE = torch.zeros(1, 3, 12)


@dataclass
class Config:
    hidden_size: int = 12
    heads: int = 1
    activation: type = nn.ReLU
    classes: int = 2


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        if config.hidden_size > 12:
            raise ValueError("hidden_size is too large")
        self.into = nn.Linear(12, config.hidden_size)
        self.attention = nn.MultiheadAttention(config.hidden_size, config.heads, batch_first=True)
        self.head = nn.Sequential(
            config.activation(), nn.Linear(config.hidden_size, config.classes)
        )

    def forward(self, x):
        x = self.into(x)
        return self.head(self.attention(x, x, x)[0].mean(1))


CHOICES = {
    "hidden_size": [6, 12],
    "heads": [1, 3],
    "activation": {"relu": nn.ReLU, "tanh": nn.Tanh},
}


class TestSpaceOfConfigurations(SpaceContract):
    space = ModelSpace.from_config(Config, CHOICES, Attention, EXAMPLE)


def built(space, **params):
    return space.build(space.suggest(FixedTrial(params)))


def test_a_configuration_is_made_of_the_choices_and_of_what_stays_the_same():
    fixed = functools.partial(Config, classes=7, heads=3)
    space = ModelSpace.from_config(fixed, {"hidden_size": [6, 12]}, Attention, EXAMPLE)
    model = built(space, hidden_size=6)
    assert (model.attention.num_heads, model.head[1].in_features) == (3, 6)
    assert model(EXAMPLE).shape == (1, 7)
    assert repr(space).startswith("ModelSpace(Attention of Config, {'hidden_size': Categ")


def test_another_configuration_or_network_is_another_space():
    class Other(Attention):
        pass

    spaces = [
        ModelSpace.from_config(config, CHOICES, build, EXAMPLE)
        for config, build in (
            (Config, Attention),
            (functools.partial(Config, classes=3), Attention),
            (functools.partial(Config, classes=4), Attention),
            (Config, Other),
        )
    ]
    assert len({space.code for space in spaces}) == 4
    again = ModelSpace.from_config(Config, CHOICES, Attention, EXAMPLE)
    assert (again.code, again.fingerprint) == (spaces[0].code, spaces[0].fingerprint)


def test_a_partial_is_a_space_of_its_function():
    def create(name, width, num_classes):
        return nn.Linear({"one": 4, "two": 5}[name], num_classes * width)

    spaces = [
        ModelSpace(
            functools.partial(create, num_classes=n), {"name": ["one"], "width": [2]}, EXAMPLE
        )
        for n in (10, 10, 3)
    ]
    assert spaces[0].code == spaces[1].code != spaces[2].code
    assert repr(spaces[0]).startswith("ModelSpace(test_a_partial_is_a_space_of_its_function.<lo")
    assert built(spaces[2], name="one", width=2).out_features == 6


def test_choices_that_do_not_fit_together_fail_their_trial_alone():
    """The first trial of a study, too, and whether the code raises or asserts."""
    space = ModelSpace.from_config(
        Config, {"hidden_size": [6, 13, 14], "heads": [1, 4]}, Attention, EXAMPLE
    )
    with pytest.raises(CandidateError, match=r"ValueError: hidden_size is too large \(test_model_"):
        built(space, hidden_size=13, heads=1)
    given = {"score": "minimize", "params": "minimize"}
    objective = optnas.Objective(space, lambda m, r, p: 0.5, given)
    study = optuna.create_study(directions=objective.directions)
    for params in ((6, 4), (14, 1), (6, 1)):
        study.enqueue_trial(dict(zip(("hidden_size", "heads"), params, strict=True)))
    study.optimize(objective, n_trials=3)
    assert [trial.state.name for trial in study.trials] == ["FAIL", "FAIL", "COMPLETE"]
    reasons = [trial.user_attrs["failure"] for trial in study.trials[:2]]
    assert reasons[0].startswith("AssertionError: embed_dim must be divisible by num_heads")
    assert reasons[1].startswith("ValueError: hidden_size is too large")


def test_mistakes_are_raised():
    space = ModelSpace.from_config(Config, {"hiden_size": [6]}, Attention, EXAMPLE)
    with pytest.raises(TypeError, match="unexpected keyword argument 'hiden_size'"):
        built(space, hiden_size=6)

    def refuses(width):
        raise InputError("no such file")

    with pytest.raises(InputError, match="no such file"):
        built(ModelSpace(refuses, {"width": [1]}, EXAMPLE), width=1)
    for config, build, name in ((Config(), Attention, "config"), (Config, Config(), "build")):
        with pytest.raises(TypeError, match=f"{name} must be a class or a function, got Config"):
            ModelSpace.from_config(config, CHOICES, build, EXAMPLE)
