"""What doesn't fit is found before any training, in a sentence that names the way out."""

import collections
import random
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from optuna.trial import FixedTrial
from row_data import N, Rows
from torch import nn
from torch.utils.data import DataLoader

import optnas
from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.evaluators import Report, SharedWeightsEvaluator, TrainingEvaluator
from optnas.search_spaces import FunctionSpace

IDS = torch.randint(1, 9, (N, 6), generator=torch.Generator().manual_seed(0))
Y = torch.arange(N) % 3


class Output(collections.OrderedDict):
    """As models of transformers return."""


class Tokens(nn.Module):
    def __init__(self, outputs=3, pooled=True, wrap=lambda logits: logits):
        super().__init__()
        self.embedding, self.head = nn.Embedding(9, 4), nn.Linear(4, outputs)
        self.pooled, self.wrap, self.steps = pooled, wrap, 0

    def forward(self, input_ids, mask=None):
        self.steps += self.training
        x = self.embedding(input_ids)
        if mask is not None:
            x = x * mask[..., None]
        return self.wrap(self.head(x.mean(1) if self.pooled else x))


def loaders(row, task="classification"):
    loader = DataLoader(Rows(row), 8)
    return optnas.Loaders(loader, loader, task, "rows")


def evaluate(evaluator, model, example=IDS[:1]):
    recipe = evaluator.suggest(FixedTrial({}))
    candidate = Candidate("", example, lambda: model)
    return evaluator.evaluate(candidate, recipe, Report())


def pair(i):
    return IDS[i], Y[i]


@pytest.mark.parametrize(
    ("row", "example"),
    [
        (lambda i: ((IDS[i], torch.ones(6)), Y[i]), (IDS[:1], torch.ones(1, 6))),
        (
            lambda i: ({"mask": torch.ones(6), "input_ids": IDS[i]}, Y[i]),
            {"input_ids": IDS[:1], "mask": torch.ones(1, 6)},
        ),
    ],
)
def test_inputs_by_position_and_by_name_train_as_a_single_tensor_does(row, example):
    def scores(data, example):
        torch.manual_seed(0)
        return evaluate(TrainingEvaluator(data, 2, device="cpu"), Tokens(), example)

    assert scores(loaders(row), example) == scores(loaders(pair), IDS[:1])


def test_inputs_by_name_share_weights_too():
    data = loaders(lambda i: ({"input_ids": IDS[i]}, Y[i]))
    training = TrainingEvaluator(data, 1, device="cpu")
    space = FunctionSpace(lambda trial: Tokens(), {"input_ids": IDS[:1]})
    evaluator = SharedWeightsEvaluator(training, steps=3).bind(space, None)
    candidate = Candidate("", {"input_ids": IDS[:1]}, Tokens)
    scores = evaluator.evaluate(candidate, evaluator.suggest(FixedTrial({})), Report())
    assert set(scores) == {"val_loss", "val_accuracy"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (lambda i: {"input_ids": IDS[i], "labels": Y[i]}, "is a dict of input_ids, labels; it"),
        (lambda i: (IDS[i], IDS[i], Y[i]), "is a list of 3; it must be a pair"),
        (lambda i: IDS[i], r"is a tensor of shape \(8, 6\); it must be a pair"),
        (
            lambda i: (IDS[i], {"boxes": {"left": Y[i]}}),
            "is a pair of a tensor .* and a dict of boxes; it",
        ),
        (lambda i: (IDS[i], {"boxes": Y[i]}), "the targets are a dict of boxes, and .*loss={"),
        (lambda i: ({"a": {"b": IDS[i]}}, Y[i]), "is a pair of a dict of a and a tensor"),
    ],
)
def test_batches_of_another_form_are_refused_with_the_form_to_give(row, message):
    model = Tokens()
    with pytest.raises(InputError, match=message):
        evaluate(TrainingEvaluator(loaders(row), device="cpu"), model)
    assert model.steps == 0


OWN = {"loss": lambda outputs, y: nn.functional.cross_entropy(outputs["logits"], y)}
BINARY = {"loss": nn.functional.binary_cross_entropy_with_logits}
LANGUAGE = {"loss": lambda o, t: nn.functional.cross_entropy(o.flatten(0, 1), t.flatten())}


@pytest.mark.parametrize(
    ("model", "row", "settings", "message"),
    [
        (
            Tokens(wrap=lambda o: Output(last=o)),
            pair,
            {},
            "returns a Output of last, and the usual",
        ),
        (Tokens(wrap=lambda o: (o, o)), pair, {}, "returns a tuple of 2, and the usual loss"),
        (Tokens(wrap=lambda o: o.numpy(force=True)), pair, {}, "returns a ndarray, and the usual"),
        (Tokens(3), lambda i: (IDS[i], Y[i][None]), {}, "must be whole numbers of shape"),
        (Tokens(2), lambda i: (IDS[i], Y[i].float()), {}, r"got torch.float32 .* y.long\(\)"),
        (Tokens(wrap=lambda o: o[:, 0]), pair, {}, r"returns shape \(8,\) for 2 classes"),
        (Tokens(pooled=False), pair, {}, "one class for each example needs"),
        (Tokens(2), pair, {}, "a target is class 2, and the model has 2 outputs"),
        (
            Tokens(1, wrap=lambda o: o[:, 0]),
            lambda i: (IDS[i], (Y[i] > 0).float()),
            BINARY,
            "val_accuracy takes outputs .* switch it off",
        ),
        (
            Tokens(1),
            lambda i: (IDS[i], (Y[i : i + 1] > 0).float()),
            BINARY,
            r"val_accuracy takes .*accuracy=False",
        ),
        (
            Tokens(3),
            lambda i: (IDS[i], nn.functional.one_hot(Y[i], 3).float()),
            {},
            r"give y.argmax\(1\) of one-hot rows, or switch it off",
        ),
        (Tokens(9, False), lambda i: (IDS[i], IDS[i]), LANGUAGE, r"switch it off \(accuracy=False"),
        (
            Tokens(),
            pair,
            {"loss": nn.CrossEntropyLoss(reduction="none")},
            r"one element, got shape \(8,\): take the mean",
        ),
    ],
)
def test_an_output_that_does_not_fit_is_refused_before_any_training(model, row, settings, message):
    evaluator = TrainingEvaluator(loaders(row), device="cpu", **settings)
    with pytest.raises(InputError, match=message):
        evaluate(evaluator, model)
    assert model.steps == 0


@pytest.mark.parametrize(
    ("model", "row", "loss"),
    [
        (
            Tokens(1, wrap=lambda o: o[:, 0]),
            lambda i: (IDS[i], (Y[i] > 0).float()),
            nn.functional.binary_cross_entropy_with_logits,
        ),
        (Tokens(9, False), lambda i: (IDS[i], IDS[i]), LANGUAGE["loss"]),
    ],
)
def test_single_logits_and_language_models_train_without_accuracy(model, row, loss):
    evaluator = TrainingEvaluator(loaders(row), 1, loss=loss, accuracy=False, device="cpu")
    assert set(evaluator.provides) == set(evaluate(evaluator, model)) == {"val_loss"}


@pytest.mark.parametrize("settings", [{}, OWN])
def test_logits_in_a_dictionary_train_as_logits_alone_do(settings):
    def scores(wrap, **settings):
        torch.manual_seed(0)
        model = Tokens(wrap=wrap)
        return evaluate(TrainingEvaluator(loaders(pair), 2, device="cpu", **settings), model)

    with_a_loss = scores(lambda o: {"logits": o, "loss": o.mean(), "cache": None}, **settings)
    assert with_a_loss == scores(lambda o: o)


def test_a_loss_of_your_own_takes_tuples_of_several_outputs():
    def loss(outputs, targets):
        return sum(nn.functional.cross_entropy(o, targets) for o in outputs) / 2

    evaluator = TrainingEvaluator(loaders(pair), 2, loss=loss, accuracy=False, device="cpu")
    torch.manual_seed(0)
    double = evaluate(evaluator, Tokens(wrap=lambda o: (o, o)))
    torch.manual_seed(0)
    single = evaluate(TrainingEvaluator(loaders(pair), 2, device="cpu"), Tokens())
    assert double["val_loss"] == pytest.approx(single["val_loss"])


def test_targets_of_one_column_get_the_line_for_a_regression():
    evaluator = TrainingEvaluator(loaders(lambda i: (IDS[i], Y[i].float()), "regression"))
    with pytest.raises(InputError, match=r"targets have \(8,\): give y\[:, None\]"):
        evaluate(evaluator, Tokens(1))


def test_batches_that_differ_from_the_example_inputs_are_named():
    evaluator = TrainingEvaluator(loaders(lambda i: (IDS[i].double(), Y[i])), device="cpu")
    message = r"\(float64 of shape \(n, 6\)\), whose form differs .* \(float32 of shape \(n, 5\)\)"
    with pytest.raises(InputError, match=message):
        evaluate(evaluator, nn.Linear(5, 3), torch.zeros(1, 5))


@pytest.mark.parametrize(
    ("given", "example", "way"),
    [
        (IDS.double(), torch.zeros(1, 6), "let the data be x.float()"),
        (IDS.long(), torch.zeros(1, 6), "let the data be x.float()"),
        (IDS.float(), IDS[:1], "let the data be x.long()"),
    ],
)
def test_a_batch_of_another_type_gets_the_call_that_turns_it(given, example, way):
    evaluator = TrainingEvaluator(loaders(lambda i: (given[i], Y[i])), device="cpu")
    model = Tokens() if example.dtype == torch.long else nn.Linear(6, 3)
    with pytest.raises(InputError) as error:
        evaluate(evaluator, model, example)
    assert str(error.value).endswith(way)


def test_each_of_several_inputs_gets_its_call():
    row = {"mask": torch.ones(6), "input_ids": IDS[0].float()}
    evaluator = TrainingEvaluator(loaders(lambda i: (row, Y[i])), device="cpu")
    example = {"input_ids": IDS[:1], "mask": torch.ones(1, 6).double()}
    with pytest.raises(InputError) as error:
        evaluate(evaluator, Tokens(), example)
    assert str(error.value).endswith("let the data be mask.double(), input_ids.long()")


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([nn.Linear(4, 5)], "has 5 outputs for the 3 classes of small"),
        ([nn.Linear(4, 3), nn.Softmax(1)], "outputs are probabilities, and cross-entropy takes"),
        ([nn.Linear(4, 3)], None),
        ([nn.Linear(4, 3), nn.LogSoftmax(1)], None),
    ],
)
def test_what_only_trains_badly_gets_one_warning(layers, message, caplog):
    data = optnas.arrays(np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 3)
    data = optnas.Dataset("small", data.task, data.train, data.val, data.test, data.outputs)
    evaluator = TrainingEvaluator(data, 1, device="cpu")
    for _ in range(2):
        evaluate(evaluator, nn.Sequential(*layers), torch.zeros(1, 4))
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == (message is not None)
    assert all(message in text for text in said)


def test_the_look_leaves_no_trace_in_generators_modes_or_statistics():
    data = optnas.arrays(np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 3)
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 3)).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    evaluator = TrainingEvaluator(data, device="cpu")
    evaluator.look(model, torch.zeros(1, 4), optnas.Recipe())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (random.getstate(), np.random.get_state()[1].tolist())


def test_shared_weights_are_not_trained_for_an_output_that_does_not_fit():
    data = loaders(lambda i: (IDS[i], IDS[i]))
    training = TrainingEvaluator(data, loss=LANGUAGE["loss"], device="cpu")
    space = FunctionSpace(lambda trial: Tokens(9, False), IDS[:1])
    evaluator = SharedWeightsEvaluator(training, steps=3).bind(space, None)
    with pytest.raises(InputError, match="accuracy=False"):
        evaluator.prepare()


class Viewed(nn.Module):
    """Code that takes the usual memory layout alone."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 16, 3), nn.Linear(64, 3)

    def flat(self, x):
        return x.view(len(x), -1)

    def forward(self, x):
        return self.head(self.flat(self.conv(x)))


class Reshaped(Viewed):
    def flat(self, x):
        return x.reshape(len(x), -1)


@pytest.mark.parametrize("own", [False, True])
def test_a_model_that_views_its_images_trains_as_one_that_reshapes_them(own):
    images = torch.randn(N, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    data = optnas.arrays(images.numpy().repeat(4, 0), Y.numpy().repeat(4))
    given = loaders(lambda i: (images[i], Y[i])) if own else data

    def scores(model):
        torch.manual_seed(0)
        return evaluate(TrainingEvaluator(given, 2, device="cpu"), model(), images[:1])

    assert scores(Viewed) == pytest.approx(scores(Reshaped), rel=1e-4)


@dataclass
class Fields:
    logits: torch.Tensor
    penalty: torch.Tensor


@pytest.mark.parametrize(
    ("wrap", "get"),
    [
        (lambda o: {"logits": o, "penalty": o.mean()}, lambda out, name: out[name]),
        (lambda o: Fields(o, o.mean()), getattr),
        (lambda o: (o, o.mean()), lambda out, name: out[name == "penalty"]),
    ],
)
def test_a_number_that_the_model_returns_is_the_mean_over_all_batches(wrap, get):
    def loss(outputs, y):
        return nn.functional.cross_entropy(get(outputs, "logits"), y) + get(outputs, "penalty")

    def whole(outputs, y):
        return nn.functional.cross_entropy(outputs, y) + outputs.mean()

    def scores(loss, wrap):
        torch.manual_seed(0)
        evaluator = TrainingEvaluator(loaders(pair), 2, loss=loss, accuracy=False, device="cpu")
        return evaluate(evaluator, Tokens(wrap=wrap))

    assert scores(loss, wrap) == pytest.approx(scores(whole, lambda o: o))
