"""Networks that have parts without a gradient: in some steps, or always; and those of none."""

import pytest
import torch
from torch import nn

from optnas.candidate import Candidate
from optnas.datasets import Dataset
from optnas.errors import InputError
from optnas.evaluators import Recipe, TrainingEvaluator
from optnas.evaluators.epoch_report import Report


class LateBranch(nn.Module):
    """Leaves a branch out in its first training steps, as stochastic depth may."""

    def __init__(self):
        super().__init__()
        self.stem, self.branch, self.head = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2)
        self.unused, self.steps = nn.Linear(3, 3), 0

    def forward(self, x):
        x = self.stem(x)
        self.steps += self.training
        return self.head(x if self.training and self.steps < 3 else x + self.branch(x))


def trained(build, **settings):
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    part = x, (x.sum(1) > 0).long()
    data = Dataset("made", "classification", part, part, part, outputs=2)
    recipe = Recipe(batch_size=8, epochs=2, **settings)
    evaluator = TrainingEvaluator(data, 2, recipe, device="cpu")
    candidate = Candidate("network", x[:1], build, seed=1)
    return candidate.model, evaluator.evaluate(candidate, recipe, Report())


@pytest.mark.parametrize("settings", [{}, {"ema_decay": 0.9}, {"precision": "float16"}], ids=str)
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop"])
def test_a_branch_may_get_its_first_gradient_later(optimizer, settings):
    model, scores = trained(LateBranch, optimizer=optimizer, **settings)
    assert scores["val_accuracy"] > 0.3
    assert model.steps == 10


def test_sgd_of_all_parameters_at_once_is_sgd_of_each():
    def sgd(model):
        return torch.optim.SGD(model.parameters(), 0.01, 0.9, nesterov=True, fused=False)

    ours, _ = trained(LateBranch, optimizer="sgd", learning_rate=0.01, weight_decay=0.0)
    theirs, _ = trained(LateBranch, optimizer=sgd)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def of_the_recipe(model):
    return torch.optim.SGD(model.parameters(), 0.01)


@pytest.mark.parametrize(
    "settings",
    [{}, {"optimizer": "sgd"}, {"ema_decay": 0.9}, {"max_grad_norm": 1.0},
     {"precision": "float16"}, {"optimizer": of_the_recipe},
     {"scheduler": lambda optimizer, steps: torch.optim.lr_scheduler.LinearLR(optimizer)}],
    ids=lambda settings: next(iter(settings), "defaults"),
)  # fmt: skip
def test_a_network_without_parameters_is_scored(settings):
    model, scores = trained(nn.Identity, **settings)
    assert not list(model.parameters())
    assert 0 <= scores["val_accuracy"] <= 1


def test_sparse_gradients_are_refused_with_what_to_do():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.head = nn.Embedding(9, 4, sparse=True), nn.Linear(12, 2)

        def forward(self, x):
            return self.head(self.embedding(x.abs().long().clamp(max=8)).flatten(1))

    for optimizer in ("adam", "sgd"):
        with pytest.raises(InputError, match=r"embedding.*sparse=True.*leave it out, or"):
            trained(Tokens, optimizer=optimizer)
    trained(Tokens, optimizer=of_the_recipe)
