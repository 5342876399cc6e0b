"""Ranges, stages, strides and multipliers are checked where a space is made."""

from dataclasses import replace

import pytest
from optuna.trial import FixedTrial

import optnas
from optnas.search_spaces import (
    CellSpace,
    GPTSpace,
    MacroCNNSpace,
    MLPSpace,
    MobileSpace,
    MobileStage,
    ResNetSpace,
    ResNetStage,
    SequenceSpace,
    TabularSpace,
    UNetSpace,
)

RANGES = [
    (CellSpace.small((1, 8, 8), 2), ("stages", "cells", "nodes")),
    (GPTSpace.small(5, 8), ("depth",)),
    (MacroCNNSpace((1, 8, 8), 2), ("depth", "kernel_sizes")),
    (MLPSpace((4,), 2), ("depth", "width")),
    (MobileStage((1, 2), (8,)), ("depth",)),
    (ResNetStage((1, 2), (8,)), ("depth",)),
    (SequenceSpace((8, 2), 2), ("depth", "tcn_depth")),
    (TabularSpace(2, (), 2), ("depth",)),
    (UNetSpace((1, 8, 8), 2), ("levels", "convolutions")),
]
CASES = [(space, name) for space, names in RANGES for name in names]


@pytest.mark.parametrize("bounds", [(1, 2.5), (1.0, 3.0), ("1", "3")])
@pytest.mark.parametrize(
    ("space", "name"), CASES, ids=[f"{type(s).__name__}.{n}" for s, n in CASES]
)
def test_a_range_of_numbers_of_things_has_whole_numbers(space, name, bounds):
    with pytest.raises(ValueError, match=rf"^{name} must be whole numbers \(low, high\) with . <="):
        replace(space, **{name: bounds})


def test_a_range_of_probabilities_has_any_numbers():
    assert TabularSpace(2, (), 2, dropout=(0, 0.5)).dropout == (0, 0.5)


@pytest.mark.parametrize("numbers", [2.5, "3", None, -1])
def test_the_number_of_columns_is_whole(numbers):
    with pytest.raises(ValueError, match=r"^numbers must be a whole number of at least 0"):
        TabularSpace(numbers, (3,), 2)


@pytest.mark.parametrize("space", [MobileSpace, ResNetSpace])
def test_stages_are_stages_of_the_space(space):
    own, other = MobileStage((1, 1), (8,)), ResNetStage((1, 1), (8,))
    if space is ResNetSpace:
        own, other = other, own
    with pytest.raises(ValueError, match=r"^stages must be a tuple of .*: give \(stage,\) for one"):
        space((1, 8, 8), 2, own)
    for wrong in ((8,), (own, other), 3):
        with pytest.raises(ValueError, match=f"^stages must be a tuple of {type(own).__name__}, "):
            space((1, 8, 8), 2, wrong)
    drawn = FixedTrial({"stage1.block1.kernel_size": 3, "stage1.block1.expansion": 3})
    assert space((1, 8, 8), 2, [own]).suggest(drawn).stages


@pytest.mark.parametrize("operation", ["mb1.2.3_k3", "mb._k3", "mb6.0_k3", "mb6._k3", "mb_k3"])
def test_an_operation_has_one_name(operation):
    with pytest.raises(ValueError, match=r"^operations must be identity or such as mb6_k3"):
        MobileStage((1, 1), (8,), operations=(operation,))
    assert MobileStage((1, 1), (8,), operations=("mb1.25_k3", "mb10_k5"))


PUBLISHED = [
    optnas.ResNetSpace.resnet18,
    optnas.ResNetSpace.resnet50,
    optnas.MobileSpace.mobilenet_v2,
    optnas.MobileSpace.mobilenet_v3_large,
]


@pytest.mark.parametrize("make", PUBLISHED)
@pytest.mark.parametrize("width", [0, -1, float("nan"), "1"])
def test_a_published_network_is_scaled_by_a_number_above_0(make, width):
    with pytest.raises(ValueError, match=r"^width must be numbers above 0"):
        make((3, 32, 32), width=width)


@pytest.mark.parametrize("make", PUBLISHED)
@pytest.mark.parametrize("stride", [0, -1, 1.5])
def test_the_strides_of_a_published_network_are_whole_numbers(make, stride):
    number = {"resnet": 5, "mobilenet_v2": 8, "mobilenet_v3_large": 7}
    length = number["resnet" if "resnet" in make.__name__ else make.__name__]
    with pytest.raises(ValueError, match=r"^strides must be whole numbers of at least 1"):
        make((3, 32, 32), strides=(stride,) * length)
