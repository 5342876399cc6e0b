"""A study file that takes a second."""

import torch
from networks import build_linear, score

import optnas

search = optnas.Search(
    space=optnas.FunctionSpace(build_linear, torch.zeros(1, 2)),
    evaluator=optnas.FunctionEvaluator(score, {"loss": "minimize"}),
    objectives=("loss", "params", "flops"),
    sampler="random",
    trials=4,
    seed=3,
)
