"""Tiny networks, and a stand-in for their training, for tests and the study files they write."""

import torch


class TwoInputs(torch.nn.Module):
    """Takes `a` of shape (1, 3) and `b` of shape (1, 2)."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)

    def forward(self, a, b):
        return self.layer(a) + b


TWO_INPUTS = [
    (torch.zeros(1, 3), torch.zeros(1, 2)),
    {"a": torch.zeros(1, 3), "b": torch.zeros(1, 2)},
    {"b": torch.zeros(1, 2), "a": torch.zeros(1, 3)},
]
"""The inputs of `TwoInputs` by position, and by name in both orders."""


def build_linear(trial):
    """A space of 12 networks: 1 to 3 inputs' worth of width, two activations, a switch."""
    width = trial.suggest_int("width", 1, 3)
    layers = [torch.nn.Linear(2, width)]
    if trial.suggest_categorical("deep", [False, True]):
        layers.append(trial_activation(trial)())
        layers.append(torch.nn.Linear(width, width))
    return torch.nn.Sequential(*layers, torch.nn.Linear(width, 1))


def trial_activation(trial):
    names = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "none": torch.nn.Identity}
    return names[trial.suggest_categorical("activation", list(names))]


def score(model, recipe, report):
    """A deterministic stand-in for training: more parameters, less loss."""
    loss = 1.0 / sum(p.numel() for p in model.parameters())
    report(0, {"loss": 2 * loss})
    report(1, {"loss": loss})
    return {"loss": loss}
