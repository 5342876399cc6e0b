"""Networks with several heads: one loss and scores for each, and their weighted sum."""

import numpy as np
import optuna
import pytest
import torch
from optuna.distributions import FloatDistribution
from optuna.trial import FixedTrial
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, StackDataset

import optnas
from optnas.candidate import Candidate
from optnas.datasets.pixels import MeanIoU, PixelAccuracy, PixelCrossEntropy, PixelDice
from optnas.errors import InputError
from optnas.evaluators import Recipe, RecipeSpace, Report, TrainingEvaluator
from optnas.evaluators.heads import Heads as HeadLosses
from optnas.export import export_model

X = torch.randn(90, 4, generator=torch.Generator().manual_seed(0))
DIGIT, AGE = torch.arange(90) % 3, X[:, :1] * 2
LOSSES = {"digit": "cross_entropy", "age": "mse_loss"}


class Heads(nn.Module):
    def __init__(self, width=8, form=dict):
        super().__init__()
        self.body, self.form = nn.Linear(4, width), form
        self.digit, self.age = nn.Linear(width, 3), nn.Linear(width, 1)

    def forward(self, x):
        x = self.body(x).relu()
        if self.form is tuple:
            return self.digit(x), self.age(x)
        return {"age": self.age(x), "digit": self.digit(x)}


def network(**settings):
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return Heads(**settings)


def loaders(form=dict):
    def part(rows, **settings):
        x, digit, age = X[rows], DIGIT[rows], AGE[rows]
        pair = StackDataset(digit=digit, age=age) if form is dict else StackDataset(digit, age)
        return DataLoader(StackDataset(x, pair), **settings)

    kinds = {
        "train": part(slice(60), batch_size=60),
        "val": part(slice(60, 75), batch_size=10),
        "train_val": part(slice(75), batch_size=25, shuffle=True),
        "test": part(slice(75, 90), batch_size=15),
    }
    return optnas.Loaders(**kinds, task="classification", name="heads v1")


def train(evaluator, model, params=None):
    candidate = Candidate("", X[:1], lambda: model, 11)
    return evaluator.evaluate(candidate, evaluator.suggest(FixedTrial(params or {})), Report())


def sum_of_losses(model, rows, digit=1.0, age=1.0):
    outputs = model(X[rows])
    outputs = outputs if isinstance(outputs, dict) else dict(zip(LOSSES, outputs, strict=True))
    parts = {
        "digit": functional.cross_entropy(outputs["digit"], DIGIT[rows]),
        "age": functional.mse_loss(outputs["age"], AGE[rows]),
    }
    return digit * parts["digit"] + age * parts["age"], parts, outputs


@pytest.mark.parametrize("outputs", [dict, tuple])
@pytest.mark.parametrize("targets", [dict, tuple])
def test_each_head_has_its_scores_and_steps_take_the_gradient_of_the_sum(outputs, targets):
    recipe = Recipe("sgd", schedule="constant", head_weights={"age": 0.25})
    evaluator = TrainingEvaluator(loaders(targets), 1, recipe, loss=LOSSES, device="cpu")
    model, twin = network(form=outputs), network(form=outputs)
    scores = train(evaluator, model)
    optimizer = recipe.make_optimizer(twin.parameters())
    sum_of_losses(twin, slice(60), age=0.25)[0].backward()
    optimizer.step()
    torch.testing.assert_close(model.body.weight, twin.body.weight)

    rows = slice(60, 75)
    with torch.no_grad():
        total, parts, out = sum_of_losses(model, rows)
    assert evaluator.provides == {
        "val_loss": "minimize",
        "val_loss.digit": "minimize",
        "val_accuracy.digit": "maximize",
        "val_loss.age": "minimize",
    }
    assert scores == pytest.approx(
        {
            "val_loss": total.item(),
            "val_loss.digit": parts["digit"].item(),
            "val_accuracy.digit": (out["digit"].argmax(1) == DIGIT[rows]).float().mean().item(),
            "val_loss.age": parts["age"].item(),
        },
        rel=1e-5,
    )


def test_the_targets_of_a_dataset_are_parted_by_a_step():
    """The digit and whether it is even, of class numbers in one tensor."""
    data = optnas.arrays(X.numpy(), DIGIT.numpy(), name="digits")
    evaluator = TrainingEvaluator(
        data,
        1,
        step=lambda model, batch: (model(batch[0]), {"digit": batch[1], "age": batch[1][:, None]}),
        loss=LOSSES | {"age": lambda outputs, targets: (outputs - targets).abs().mean()},
        scores={"val_accuracy.digit": None},
        device="cpu",
    )
    scores = train(evaluator, network())
    assert list(scores) == ["val_loss", "val_loss.digit", "val_loss.age"]
    assert scores["val_loss"] == pytest.approx(scores["val_loss.digit"] + scores["val_loss.age"])
    assert set(evaluator.retraining().provides) == {
        "test_loss",
        "test_loss.digit",
        "test_loss.age",
    }


def test_weights_can_be_searched():
    space = RecipeSpace(
        learning_rate=(0.1, 0.01),
        head_weights={"age": FloatDistribution(0.1, 10.0, log=True), "digit": (0.5, 1.0)},
    )
    evaluator = TrainingEvaluator(loaders(), 1, space, loss=LOSSES, device="cpu")
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    recipe = evaluator.suggest(trial)
    drawn = {n: trial.params[f"recipe.head_weights.{n}"] for n in ("age", "digit")}
    assert dict(recipe.head_weights) == drawn
    assert len(trial.params) == 3
    assert evaluator.suggest(FixedTrial(trial.params)) == recipe
    assert hash(recipe) == hash(evaluator.suggest(FixedTrial(trial.params)))
    assert f"head_weights=(('age', {drawn['age']!r})" in str(recipe)
    assert "head_weights" not in str(Recipe(head_weights={}))


def test_a_head_of_pixels_has_its_losses_and_scores_by_name():
    outputs = {"mask": torch.randn(3, 2, 5, 5), "age": torch.zeros(3, 1)}
    targets = {"mask": torch.randint(-1, 2, (3, 5, 5)), "age": torch.ones(3, 1)}
    heads = HeadLosses({"mask": "cross_entropy+dice", "age": "mse_loss"})
    pixels = PixelCrossEntropy()(outputs["mask"], targets["mask"])
    assert heads(outputs, targets) == pixels + PixelDice()(outputs["mask"], targets["mask"]) + 1
    scores = heads.scores(accuracy=True)
    assert [*scores] == ["val_loss.mask", "val_accuracy.mask", "val_mean_iou.mask", "val_loss.age"]
    for name, score in (("val_accuracy.mask", PixelAccuracy()), ("val_mean_iou.mask", MeanIoU())):
        function, direction = scores[name]
        assert direction == "maximize"
        assert function(outputs, targets) == pytest.approx(
            float(score(outputs["mask"], targets["mask"])), rel=1e-6
        )
    assert [*heads.scores(accuracy=False)] == ["val_loss.mask", "val_loss.age"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": {}}, "loss is an empty dictionary"),
        ({"loss": {"digit": "focal"}}, "the head 'digit' must be one of cross_entropy, dice, "),
        ({"recipe": Recipe(head_weights={"size": 2.0})}, "has size, and the heads are digit, age"),
        ({"recipe": Recipe(loss="cross_entropy")}, "takes the place of the losses of all heads"),
        ({"recipe": Recipe(mixup=0.1)}, "mixup changes a built-in loss"),
        ({"scores": {"val_accuracy.age": None}}, "dropped: val_accuracy, val_accuracy.digit"),
    ],
)
def test_settings_that_do_not_fit_the_heads_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TrainingEvaluator(loaders(), 1, **{"loss": LOSSES, **settings})


@pytest.mark.parametrize(
    ("model", "losses", "message"),
    [
        (nn.Linear(4, 3), LOSSES, r"the model returns a tensor of shape .* for the heads digit, a"),
        (network(), {"size": "mse_loss"}, "the model returns a dict of age, digit, and there are"),
        (network(), {"age": "mse_loss", "digit": "mse_loss"}, "as many outputs as targets"),
    ],
)
def test_outputs_without_a_head_are_refused_before_training(model, losses, message):
    with pytest.raises(InputError, match=message):
        train(TrainingEvaluator(loaders(), 1, loss=losses, device="cpu"), model)


def test_a_study_of_two_heads_from_its_search_to_its_file(tmp_path):
    search = optnas.Search(
        space=optnas.ModelSpace(Heads, {"width": [2, 4, 8]}, X[:1]),
        evaluator=TrainingEvaluator(loaders(), 1, loss=LOSSES, device="cpu"),
        objectives=("val_accuracy.digit", "val_loss.age", "params"),
        sampler="random",
        trials=3,
        name="heads",
        storage=f"sqlite:///{tmp_path}/heads.db",
    )
    study = search.run()
    assert [str(d) for d in study.directions] == ["2", "1", "1"]
    number = study.best_trials[0].number
    run = optnas.retrain(study, search, number, seeds=1, epochs=1).runs[0]
    assert set(run.scores) == {
        "test_loss",
        "test_loss.digit",
        "test_accuracy.digit",
        "test_loss.age",
    }
    done = export_model(study, search, number, tmp_path / "heads.pt2")
    text = done.card.read_text()
    assert "output_digit" in text
    assert "output_age" in text
    assert np.isfinite(done.agreement.difference)


def test_what_the_loss_of_a_head_leaves_out_is_no_error_of_its_accuracy():
    heads = HeadLosses({"kind": "cross_entropy"})
    targets = torch.tensor([0, 1, 2, -100, -100])
    outputs = torch.eye(3)[targets.clamp(min=0)]
    (accuracy, _) = heads.scores(accuracy=True)["val_accuracy.kind"]
    assert accuracy({"kind": outputs}, {"kind": targets}) == 1.0
