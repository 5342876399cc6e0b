"""Recipes of shared weights: what their training takes of them, and what the fine-tuning does."""

from random import Random

import pytest
import torch
from optuna.trial import FixedTrial
from torch import nn
from torch.nn import functional

import optnas
from optnas.candidate import Candidate
from optnas.errors import StoppedError
from optnas.evaluators import Recipe, Report, SharedWeightsEvaluator, TrainingEvaluator
from optnas.evaluators.feed import ArrayFeed
from optnas.evaluators.supernet_training import SupernetTraining
from optnas.search_spaces import MacroCNNSpace, ModelSpace
from optnas.utils.draft import Draft
from optnas.utils.random_state import seeded

DIGITS = optnas.digits()
CNN = MacroCNNSpace((1, 8, 8), 10, depth=(1, 2), channels=(4, 8))
AUGMENTED = Recipe(learning_rate=0.01, flip=True, shift=1, cutout=2, mixup=0.4, label_smoothing=0.1)


def test_a_step_with_clipping_and_smoothing_equals_one_written_out_by_hand():
    data = optnas.arrays(torch.randn(60, 4).numpy(), (torch.arange(60) % 3).numpy())
    fixed = ModelSpace(lambda width: nn.Linear(4, 3), {"width": [1]}, torch.randn(1, 4))
    recipe = Recipe("sgd", 0.1, 0.0, 1000, max_grad_norm=0.1, label_smoothing=0.2)
    loss = TrainingEvaluator(data).loss
    with seeded(0):
        feed = ArrayFeed(data.train, data.val, torch.device("cpu"))
        one = SupernetTraining(fixed, feed, recipe, loss, steps=1, networks=1, sandwich=False)
        one.train_epoch(lambda: None)
    with seeded(0):
        torch.randperm(len(data.train[0]))  # one batch: the order doesn't matter
        model = nn.Linear(4, 3)
    x, y = data.train
    functional.cross_entropy(model(x), y, label_smoothing=0.2).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    norm = torch.cat([gradient.flatten() for gradient in gradients.values()]).norm()
    assert norm > 0.2
    for name, parameter in model.named_parameters():
        moved = one.supernet.tensors[f"{name} (Linear)"]
        # At its full height; Nesterov's momentum looks 0.9 of a step ahead.
        expected = parameter - 0.1 * 1.9 * gradients[name] * 0.1 / norm
        torch.testing.assert_close(moved, expected, rtol=1e-4, atol=1e-6)


def shared(recipe, folder=None, real=None, **settings):
    real = real or TrainingEvaluator(DIGITS, 1, device="cpu")
    return SharedWeightsEvaluator(real, 8, recipe=recipe, **settings).bind(CNN, folder)


def test_shared_weights_are_trained_on_augmented_images_and_resume(tmp_path):
    whole = shared(AUGMENTED).prepare()
    assert whole != shared(Recipe(learning_rate=0.01)).prepare()
    asked = []

    def stopped():
        asked.append(True)
        return len(asked) == 2

    real = TrainingEvaluator(DIGITS, 1, device="cpu")
    cut = SharedWeightsEvaluator(real, 40, recipe=AUGMENTED).bind(CNN, tmp_path)
    with pytest.raises(StoppedError):
        cut.prepare(stopped=stopped)
    uncut = SharedWeightsEvaluator(real, 40, recipe=AUGMENTED).bind(CNN, tmp_path / "other")
    assert cut.prepare() == uncut.prepare()


def test_fine_tuning_follows_the_recipe_of_the_training():
    real = TrainingEvaluator(
        DIGITS, 1, Recipe(schedule="one_cycle", ema_decay=0.9, mixup=0.2), device="cpu"
    )
    evaluator = shared(Recipe(learning_rate=0.01), real=real, finetune_epochs=2)
    architecture = CNN.suggest(Draft({}, Random(3)))
    candidate = Candidate(architecture, CNN.example_inputs, lambda: CNN.build(architecture), 1)
    report = Report()
    scores = evaluator.evaluate(candidate, evaluator.suggest(FixedTrial({})), report)
    x, y = DIGITS.val
    with torch.no_grad():
        loss = functional.cross_entropy(candidate.model(x), y).item()
    assert scores["val_loss"] == pytest.approx(loss, rel=1e-4)
    assert [entry["step"] for entry in report.curve] == [0, 1]
