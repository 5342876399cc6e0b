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


class AtATime(torch.nn.Module):
    """Takes `x` of shape (1, 8), and a time step `t` without dimensions, as in diffusion models."""

    def __init__(self):
        super().__init__()
        self.layer, self.activation = torch.nn.Linear(8, 8), torch.nn.ReLU()

    def forward(self, x, t):
        return self.activation(self.layer(x) + t) * t


AT_A_TIME = (torch.ones(1, 8), torch.tensor(3.0))


class OfAGraph(torch.nn.Module):
    """Takes nodes of shape (n, 8) and edges of shape (2, m): there is no batch dimension."""

    def __init__(self):
        super().__init__()
        self.layer, self.activation = torch.nn.Linear(8, 8), torch.nn.ReLU()

    def forward(self, nodes, edges):
        return self.activation(self.layer(nodes)).index_select(0, edges[0]).sum(0, keepdim=True)


A_GRAPH = (torch.ones(10, 8), torch.zeros(2, 5, dtype=torch.long))


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
