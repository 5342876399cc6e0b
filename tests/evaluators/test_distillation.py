"""Networks that learn the outputs of a trained network."""

from functools import partial

import numpy as np
import pytest
import torch
from optuna.trial import FixedTrial
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import optnas
from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.evaluators import Distillation, Recipe, SharedWeightsEvaluator, TrainingEvaluator
from optnas.evaluators.augmentation import Mixed
from optnas.evaluators.distillation import Teacher
from optnas.testing import EvaluatorContract
from optnas.utils.random_state import seeded

RNG = np.random.default_rng(0)
Y = np.arange(90) % 3
X = (RNG.normal(size=(90, 4)) + 2 * Y[:, None]).astype("float32")
BLOBS = optnas.arrays(X, Y, name="blobs", normalize=False)
LINE = optnas.arrays(X, X[:, :2].copy(), task="regression", name="line", normalize=False)
STEP = Recipe("sgd", 0.1, 0.0, batch_size=len(BLOBS.train[1]), schedule="constant")


def made(make, *args, seed=1):
    with seeded(seed):
        return make(*args)


class Noisy(nn.Module):
    """In training, its outputs and its state change."""

    def __init__(self, outputs=3):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5))
        self.head = nn.Linear(8, outputs)

    def forward(self, x):
        return self.head(self.body(x))


def train(evaluator, model=None, seed=0):
    model = made(nn.Linear, 4, 3) if model is None else model
    candidate = Candidate("", torch.zeros(1, 4), lambda: model, seed)
    scores = evaluator.evaluate(candidate, evaluator.suggest(FixedTrial({})), optnas.Report())
    return scores, candidate.model


class TestClasses(EvaluatorContract):
    evaluator = TrainingEvaluator(
        BLOBS, 2, device="cpu", distillation=Distillation(made(Noisy), 2.0, 0.5)
    )
    space = optnas.MLPSpace((4,), 3, width=(8, 16), width_step=8)


class TestNumbers(EvaluatorContract):
    evaluator = TrainingEvaluator(LINE, 2, device="cpu", distillation=Distillation(made(Noisy, 2)))
    space = optnas.MLPSpace((4,), 2, width=(8, 16), width_step=8)


def soft_loss(task, outputs, soft):
    if task == "regression":
        return functional.mse_loss(outputs, soft)
    targets = (soft / 2).softmax(1)  # Hinton et al.: cross-entropy, with the gradients times T²
    return 4 * -(targets * (outputs / 2).log_softmax(1)).sum(1).mean()


@pytest.mark.parametrize(("data", "heat"), [(BLOBS, 2.0), (LINE, None)])
def test_a_step_is_that_of_the_mixed_loss(data, heat):
    task, outputs = data.task, 3 if data is BLOBS else 2
    teacher, student = made(Noisy, outputs).train(), made(nn.Linear, 4, outputs, seed=2)
    x, y = data.train
    wanted = made(nn.Linear, 4, outputs, seed=2)
    with torch.no_grad():
        soft = made(Noisy, outputs).eval()(x)
    hard = functional.cross_entropy if data is BLOBS else functional.mse_loss
    loss = 0.7 * hard(wanted(x), y) + 0.3 * soft_loss(task, wanted(x), soft)
    loss.backward()
    with torch.no_grad():
        for p in wanted.parameters():
            p -= 0.1 * 1.9 * p.grad  # Nesterov momentum 0.9 in the first step
    before = {n: t.clone() for n, t in teacher.state_dict().items()}
    evaluator = TrainingEvaluator(
        data, 1, STEP, device="cpu", distillation=Distillation(teacher, heat, weight=0.3)
    )
    _, found = train(evaluator, student)
    torch.testing.assert_close(found.weight, wanted.weight)
    torch.testing.assert_close(found.bias, wanted.bias)
    assert teacher.training
    assert all(torch.equal(before[n], t) for n, t in teacher.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in teacher.parameters())


class Constant(nn.Module):
    """Says class 0, whatever the inputs are."""

    def __init__(self, logits=(9.0, 0.0, 0.0)):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, x):
        return self.logits.expand(len(x), 3)


WRONG = TrainingEvaluator(
    BLOBS,
    40,
    Recipe(learning_rate=0.05, batch_size=6),
    device="cpu",
    distillation=Distillation(Constant(), temperature=1.0, weight=1.0),
)


def bound(evaluator):
    return evaluator.bind(optnas.FunctionSpace(lambda _: nn.Linear(4, 3), torch.zeros(1, 4)), None)


@pytest.mark.parametrize(
    "evaluator",
    [
        WRONG,
        WRONG.retraining(),
        bound(SharedWeightsEvaluator(WRONG, steps=2, finetune_epochs=40)),
    ],
)
def test_networks_that_learn_from_the_teacher_alone_say_what_it_says(evaluator):
    _, model = train(evaluator)
    assert set(model(torch.from_numpy(X)).argmax(1).tolist()) == {0}
    assert list(dict(model.named_modules())) == [""]


def test_loaders_have_a_teacher_too():
    part = DataLoader(TensorDataset(*BLOBS.train), batch_size=6)
    loaders = optnas.Loaders(part, part, "classification", name="blobs")
    evaluator = TrainingEvaluator(
        loaders, 40, Recipe(learning_rate=0.05), device="cpu", distillation=WRONG._distillation
    )
    assert set(train(evaluator)[1](torch.from_numpy(X)).argmax(1).tolist()) == {0}


@pytest.mark.parametrize(("task", "dim"), [("segmentation", 1), ("language", 2)])
def test_pixels_and_tokens_that_are_not_counted_teach_nothing(task, dim):
    outputs, soft = torch.randn(2, 2, 5, 4, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[0, -1, 2, 1, 0], [1, -100, -1, 2, 0]])
    kept = targets >= 0

    class Feed:
        device = torch.device("cpu")

        def layout(self, model, precision):
            return torch.contiguous_format

    teacher = Teacher(Distillation(nn.Identity(), 3.0, 1.0), task, Feed(), "float32")
    logs, shares = ((t[kept] / 3).log_softmax(1) for t in (outputs, soft))
    wanted = 9 * functional.kl_div(logs, shares, log_target=True, reduction="batchmean")
    places = (outputs.movedim(2, dim), soft.movedim(2, dim))
    loss = partial(teacher.loss, torch.tensor(7.0), *places)
    torch.testing.assert_close(loss(targets), wanted)
    torch.testing.assert_close(loss(Mixed(targets.clamp(min=0), targets, 0.4)), wanted)


def evaluator_with(distillation, data=BLOBS, **settings):
    return TrainingEvaluator(data, 1, device="cpu", distillation=distillation, **settings)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Distillation("resnet"), "must be a torch.nn.Module"),
        (lambda: Distillation(Constant(), 0), "temperature must be above 0, got 0"),
        (lambda: Distillation(Constant(), weight=1.5), "above 0 and at most 1, got 1.5"),
        (lambda: Distillation(Constant(), "4"), "temperature must be a number, got '4'"),
        (lambda: evaluator_with(Constant()), "write distillation=optnas.Distillation"),
        (lambda: evaluator_with(Distillation(Noisy(2), 4), LINE), "temperature=4 is for classes"),
        (
            lambda: evaluator_with(Distillation(Constant()), step=lambda model, batch: None),
            "let step run the teacher too",
        ),
        (
            lambda: evaluator_with(
                Distillation(Constant()), loss={"a": "cross_entropy", "b": "cross_entropy"}
            ),
            "the loss of several heads",
        ),
    ],
)
def test_settings_that_can_not_be_used_are_refused(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


class Dictionary(nn.Linear):
    def forward(self, x):
        return {"scores": super().forward(x)}


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (nn.Linear(4, 5), r"teacher's outputs have the shape \(\d+, 5\), and those of a network"),
        (nn.Linear(7, 3), r"the teacher can't take a batch of the data \(\(\d+, 4\)\): mat1"),
        (Dictionary(4, 3), "the teacher returns a dict of scores"),
        (Constant((float("nan"), 0.0, 0.0)), "the teacher's outputs are NaN"),
    ],
)
def test_a_teacher_that_fits_no_network_is_refused_before_the_training(teacher, message):
    with pytest.raises(InputError, match=message):
        train(evaluator_with(Distillation(teacher)))


def test_single_logits_have_no_soft_targets():
    data = optnas.arrays(X, Y > 1, normalize=False)
    evaluator = evaluator_with(
        Distillation(nn.Linear(4, 1)),
        data,
        loss=lambda o, y: functional.binary_cross_entropy_with_logits(o[:, 0], y.float()),
        accuracy=False,
    )
    with pytest.raises(InputError, match="a logit for each class"):
        train(evaluator, nn.Linear(4, 1))


def test_a_study_remembers_the_teacher(tmp_path):
    def study(seed, weight=0.5):
        return optnas.Search(
            space=optnas.MLPSpace((4,), 3),
            evaluator=evaluator_with(Distillation(made(Noisy, seed=seed), weight=weight)),
            objectives=("val_loss", "params"),
            sampler="random",
            trials=1,
            storage=f"sqlite:///{tmp_path}/taught.db",
        )

    study(1).run()
    study(1).run()
    with pytest.raises(InputError, match=r"distillation.*set a seed before they are made"):
        study(2).run()
    with pytest.raises(InputError, match=r"distillation.*weight=0\.5.*weight=0\.6"):
        study(1, 0.6).run()
