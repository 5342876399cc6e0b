"""Settings of every space: one value in place of several is refused, with the way out."""

from dataclasses import fields, replace

import pytest
import torch
from optuna.distributions import CategoricalDistribution
from optuna.trial import FixedTrial
from torch import nn

import optnas
from optnas.search_spaces import (
    CellSpace,
    FunctionSpace,
    GPTSpace,
    MacroCNNSpace,
    MobileSpace,
    MobileStage,
    ResNetSpace,
    ResNetStage,
    SequenceSpace,
    TabularSpace,
    UNetSpace,
    ViTSpace,
)

SPACES = [
    CellSpace.small((1, 8, 8), 2),
    GPTSpace.small(5, 8),
    MacroCNNSpace((1, 8, 8), 2),
    MobileSpace.small((1, 32, 32), 2),
    ResNetSpace.small((1, 32, 32), 2),
    SequenceSpace((8,), 2, vocabulary=5),
    TabularSpace(2, (3,), 2),
    UNetSpace((1, 8, 8), 2),
    ViTSpace.small((1, 8, 8), 2),
]
CHOICES = [
    (space, field.name)
    for space in SPACES
    for field in fields(space)
    if isinstance(value := getattr(space, field.name), tuple)
    and value
    and isinstance(value[0], (int, float, str))
    and field.name not in ("input_shape", "categories")
]


def test_each_space_has_choices():
    assert {type(space) for space, _ in CHOICES} == {type(space) for space in SPACES}


@pytest.mark.parametrize(
    ("space", "name"), CHOICES, ids=[f"{type(s).__name__}.{n}" for s, n in CHOICES]
)
def test_one_value_in_place_of_several_is_refused_with_the_tuple_to_give(space, name):
    one = getattr(space, name)[0]
    with pytest.raises(ValueError, match=rf"^{name} must be .*, got {one!r}: give \(") as caught:
        replace(space, **{name: one})
    line = str(caught.value).rpartition(": give ")[2].partition(" for one")[0]
    assert eval(line) in ((one,), (one, one))
    with pytest.raises(ValueError, match=name.removesuffix("s").removesuffix("e")):
        replace(space, **{name: ("no such choice",)})


STAGES = [MobileStage((1, 2), (8, 16), operations=("mb3_k3",)), ResNetStage((1, 2), (8, 16))]
TWICE = CHOICES + [
    (stage, field.name)
    for stage in STAGES
    for field in fields(stage)
    if isinstance(getattr(stage, field.name), tuple) and field.name != "shared"
]


@pytest.mark.parametrize(
    ("space", "name"), TWICE, ids=[f"{type(s).__name__}.{n}" for s, n in TWICE]
)
def test_a_choice_that_is_given_twice_is_named(space, name):
    first, *others = getattr(space, name)
    is_range = r"must be (whole numbers )?\(low, high\)"
    with pytest.raises(ValueError, match=rf"^{name} (has the choice {first!r} twice|{is_range})"):
        replace(space, **{name: (first, *others, first)})


def network():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: optnas.ModelSpace(nn.Linear, {"bias": (True, True)}, torch.zeros(1, 4)), "bias"),
        (lambda: optnas.RecipeSpace(optimizer=("sgd", "adam", "sgd")), "optimizer"),
        (lambda: optnas.RecipeSpace(warmup=CategoricalDistribution((0.1, 0.1))), "warmup"),
        (lambda: optnas.LoRASpace(network(), torch.zeros(1, 4), ("0",), (0, 2, 2)), "ranks"),
        (lambda: optnas.SlimSpace(network(), torch.zeros(1, 4), (0.5, 0.5, 1.0)), "widths"),
        (
            lambda: FunctionSpace(
                lambda trial: nn.Linear(4, trial.suggest_categorical("width", (8, 8, 16))),
                torch.zeros(1, 4),
            ).suggest(FixedTrial({"width": 8})),
            "width",
        ),
    ],
)
def test_spaces_of_your_own_networks_refuse_it_too(make, named):
    with pytest.raises(ValueError, match=rf"^{named} has the choice .* twice"):
        make()


@pytest.mark.parametrize("given", [8, (8, 8), "188"])
def test_the_shape_of_images_is_told(given):
    with pytest.raises(ValueError, match=r"input_shape must be \(channels, height, width\)"):
        UNetSpace(given, 2)


NUMBERS = ("learning_rate", "weight_decay", "batch_size", "warmup", "max_grad_norm")


@pytest.mark.parametrize("setting", [*NUMBERS, "label_smoothing", "ema_decay", "mixup"])
def test_numbers_of_a_recipe_are_no_text(setting):
    with pytest.raises(ValueError, match=f"^{setting} must be a number, got '1', which is text"):
        optnas.Recipe(**{setting: "1"})


@pytest.mark.parametrize("epochs", ["5", 5.0, None])
def test_epochs_are_a_whole_number(epochs):
    with pytest.raises(ValueError, match=f"^epochs must be a whole number .*, got {epochs!r}"):
        optnas.TrainingEvaluator(optnas.digits(), epochs)


@pytest.mark.parametrize("storage", [None, 3])
def test_a_storage_is_a_place(storage):
    data = optnas.digits()
    with pytest.raises(ValueError, match=f"storage must be a file, .*got {storage}: leave it out"):
        optnas.Search(
            space=MacroCNNSpace(data.input_shape, 10),
            evaluator=optnas.TrainingEvaluator(data, 1),
            objectives=("val_loss", "params"),
            storage=storage,
        )


def test_the_name_of_a_sampler_is_made_one():
    stages = [optnas.Stage("depth", 2)]
    with pytest.raises(TypeError, match=r"samplers\.make_sampler\('evolution'\)") as caught:
        optnas.StagedSampler("evolution", stages)
    line = str(caught.value).rpartition("give ")[2]
    assert optnas.StagedSampler(eval(line, {"optnas": optnas}), stages)
