"""Settings of every space: one value in place of several is refused, with the way out."""

from dataclasses import fields, replace

import pytest

import optnas
from optnas.search_spaces import (
    CellSpace,
    GPTSpace,
    MacroCNNSpace,
    MobileSpace,
    ResNetSpace,
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
