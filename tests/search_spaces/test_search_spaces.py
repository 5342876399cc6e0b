import itertools
import math

import pytest
import torch
from docstrings import examples
from hypothesis import given, settings, strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FixedTrial
from torch import nn

import optnas
from optnas import search_spaces
from optnas.errors import InputError
from optnas.metrics.counting import count_macs
from optnas.search_spaces import (
    FunctionSpace,
    MacroCNNSpace,
    MLPSpace,
    ModelSpace,
    NASBench201Space,
    ParameterSpace,
    space_size,
)
from optnas.search_spaces.macro_cnn import ConvLayer, MacroCNNArchitecture
from optnas.search_spaces.mlp import MLPArchitecture
from optnas.search_spaces.nasbench201 import OPERATIONS, NASBench201Architecture
from optnas.testing import SpaceContract
from optnas.testing.spaces import architectures


def build(trial):
    layers, channels = [], 1
    for i in range(trial.suggest_int("depth", 1, 3)):
        width = trial.suggest_categorical(f"block{i}.channels", [2, 4])
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 3))


class Net(nn.Module):
    def __init__(self, width, depth, activation):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(5, width), *(nn.Linear(width, width) for _ in range(depth)), activation()
        )

    def forward(self, x):
        return self.body(x)


class TestMLPSpace(SpaceContract):
    space = MLPSpace((10,), 3)


class TestMacroCNNSpace(SpaceContract):
    space = MacroCNNSpace((3, 8, 8), 10)


class TestMacroCNNSpaceOnStrips(SpaceContract):
    space = MacroCNNSpace((1, 1, 9), 4)


class TestMacroCNNSpaceOfFewLayers(SpaceContract):
    """Strides, heads that see pixels, hidden layers, and perceptrons."""

    space = MacroCNNSpace(
        (3, 7, 9),
        10,
        depth=(0, 3),
        pools=("none", "max", "stride"),
        heads=("mean", "flatten"),
        hidden=(0, 16, 32),
    )


class TestFunctionSpace(SpaceContract):
    space = FunctionSpace(build, torch.zeros(1, 1, 6, 6))


class TestModelSpace(SpaceContract):
    space = ModelSpace(
        Net,
        {
            "width": [4, 8],
            "depth": IntDistribution(0, 2),
            "activation": {"relu": nn.ReLU, "tanh": nn.Tanh},
        },
        torch.zeros(1, 5),
    )


class TestNASBench201Space(SpaceContract):
    space = NASBench201Space(outputs=4, input_shape=(1, 8, 8), channels=4, cells=1)
    samples = 10


@pytest.mark.parametrize(
    "operations",
    [
        ("none",) * 6,
        ("nor_conv_3x3",) * 6,
        ("nor_conv_1x1", "skip_connect", "avg_pool_3x3", "none", "nor_conv_3x3", "nor_conv_1x1"),
    ],
)
def test_nasbench201_has_the_size_of_the_benchmark(operations):
    """The closed forms for CIFAR-10."""
    space = NASBench201Space()
    network = space.build(NASBench201Architecture(operations)).eval()
    n1, n3 = operations.count("nor_conv_1x1"), operations.count("nor_conv_3x3")
    assert sum(p.numel() for p in network.parameters()) == 73_306 + 28_000 * n1 + 243_040 * n3
    macs = 7_783_040 + 3_932_160 * n1 + 35_389_440 * n3
    assert count_macs(network, space.example_inputs) == macs


def test_nasbench201_writes_the_benchmarks_strings():
    architecture = NASBench201Architecture((*OPERATIONS, "none"))
    assert str(architecture) == (
        "|none~0|+|skip_connect~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|none~2|"
    )
    assert space_size(NASBench201Space().suggest, walks=200_000).count == 15_625


def test_a_nasbench201_cell_adds_what_its_edges_give():
    """Against the sums written out, for a cell of skips and poolings."""
    network = NASBench201Space(channels=4, cells=1).build(
        NASBench201Architecture(
            ("skip_connect", "none", "avg_pool_3x3", "skip_connect", "skip_connect", "skip_connect")
        )
    )
    x = torch.randn(2, 4, 8, 8)
    node1 = x
    node2 = nn.functional.avg_pool2d(node1, 3, 1, 1, count_include_pad=False)
    torch.testing.assert_close(network[2](x), x + node1 + node2)


def test_mlp_has_the_parameters_of_its_widths():
    network = MLPSpace((2, 5), 3).build(MLPArchitecture((32, 64), "relu", 0.2))
    assert sum(p.numel() for p in network.parameters()) == 11 * 32 + 33 * 64 + 65 * 3
    assert network(torch.zeros(7, 2, 5)).shape == (7, 3)


def test_cnn_macs_equal_the_closed_form():
    layers = (
        ConvLayer("conv", 5, 8, "relu", True, "max"),
        ConvLayer("sepconv", 3, 16, "gelu", True, "avg"),
        ConvLayer("sepconv", 3, 16, "tanh", True, "none"),
    )
    network = MacroCNNSpace((3, 8, 8), 10).build(MacroCNNArchitecture(layers))
    first = 64 * (25 * 3 * 8 + 3 * 8)
    second = 16 * (9 * 8 + 8 * 16 + 8 * 16)
    third = 4 * (9 * 16 + 16 * 16)
    assert count_macs(network, torch.zeros(1, 3, 8, 8)) == first + second + third + 160


def test_a_cnn_of_strides_and_linear_layers_has_the_counts_of_the_closed_form():
    layers = (
        ConvLayer("conv", 5, 16, "relu", False, "stride"),
        ConvLayer("sepconv", 3, 24, "relu", True, "stride"),
    )
    architecture = MacroCNNArchitecture(layers, "flatten", 32)
    network = MacroCNNSpace((1, 28, 28), 10).build(architecture)
    first = 14 * 14 * 25 * 16
    second = 7 * 7 * (9 * 16 + 16 * 24 + 16 * 24)  # the skip connection has a 1×1 convolution
    linear = 24 * 49 * 32 + 320
    assert count_macs(network, torch.zeros(1, 1, 28, 28)) == first + second + linear
    biases = 2 * 16 + 2 * 24 + 32 + 10  # those of the norms, too
    weights = 25 * 16 + 9 * 16 + 2 * 16 * 24 + linear
    assert sum(p.numel() for p in network.parameters()) == weights + biases
    assert str(architecture) == "conv5-16-relu/stride sepconv3-24-relu+skip/stride flatten hidden32"


@pytest.mark.parametrize("pool", ["max", "avg", "stride"])
def test_odd_images_are_reduced_as_the_layers_do_it(pool):
    layers = (ConvLayer("conv", 3, 8, "relu", True, pool),) * 2
    network = MacroCNNSpace((2, 9, 13), 4).build(MacroCNNArchitecture(layers, "flatten"))
    height, width = (3, 4) if pool == "stride" else (2, 3)
    assert network(torch.zeros(2, 2, 9, 13)).shape == (2, 4)
    assert network.get_submodule(f"head{height}x{width}").in_features == 8 * height * width


def test_a_cnn_without_layers_is_a_perceptron():
    space = MacroCNNSpace((1, 8, 8), 10, depth=(0, 0), heads=("mean", "flatten"), hidden=(0, 16))
    found = {str(architecture) for architecture, _ in architectures(space, 20)}
    assert found == {"flatten", "flatten hidden16"}


def test_settings_that_came_later_stand_in_a_fingerprint_where_they_are_used():
    """So a study from before there were these settings resumes."""
    assert MacroCNNSpace((1, 8, 8), 10, channels=(4, 8)).fingerprint == (
        "MacroCNNSpace(input_shape=(1, 8, 8), outputs=10, depth=(1, 6), channels=(4, 8), "
        "kernel_sizes=(3, 7), activations=('relu', 'leaky_relu', 'tanh', 'gelu'))"
    )
    assert MacroCNNSpace((1, 8, 8), 10, hidden=(0, 4)).fingerprint.endswith("hidden=(0, 4))")


def test_one_pixel_has_no_choice_of_head():
    space = MacroCNNSpace((1, 2, 2), 2, depth=(1, 2), heads=("mean", "flatten"))
    for architecture, params in architectures(space, 40):
        pooled = any(layer.pool != "none" for layer in architecture.layers)
        assert ("head" in params) != pooled
        assert architecture.head == "mean" or not pooled


def test_never_pools_below_one_pixel():
    space = MacroCNNSpace((1, 4, 4), 2, depth=(6, 6))
    for architecture, params in architectures(space, 40):
        assert sum(layer.pool != "none" for layer in architecture.layers) <= 2
        size = 4
        for i, layer in enumerate(architecture.layers, start=1):
            assert layer.kernel_size <= max(2 * size - 1, 1)
            assert (f"layer{i}.pool" in params) == (size >= 2)
            assert (f"layer{i}.operation" in params) == (size >= 2)
            size = size // 2 if layer.pool != "none" else size


@pytest.mark.parametrize(
    ("space", "architecture", "message"),
    [
        (
            MLPSpace((3,), 1),
            MLPArchitecture((32, 40), "relu", 0.0),
            r"layer2.width is 40 in the architecture, and from 32 to 512 in steps of 32 in the",
        ),
        (
            MacroCNNSpace((1, 8, 8), 2),
            MacroCNNArchitecture((ConvLayer("conv", 3, 8, "relu", False, "avg"),) * 7),
            "depth is 7 in the architecture, and from 1 to 6 in the space",
        ),
        (
            MacroCNNSpace((1, 1, 1), 2),
            MacroCNNArchitecture((ConvLayer("conv", 3, 8, "relu", False, "none"),)),
            "layer1.kernel_size is 3 in the architecture, and 1 in the space",
        ),
        (
            NASBench201Space(),
            NASBench201Architecture(("conv", *["none"] * 5)),
            "edge0-1 is conv in the architecture, and one of none, skip_connect, nor_conv_1x1",
        ),
    ],
)
def test_params_of_names_what_the_space_lacks(space, architecture, message):
    with pytest.raises(InputError, match=message):
        space.params_of(architecture)


def test_function_space_keeps_the_model_that_suggest_made():
    made = []

    def build_once(trial):
        model = build(trial)
        made.append(model)
        return model

    space = FunctionSpace(build_once, torch.zeros(1, 1, 6, 6))
    params = {"depth": 1, "block0.channels": 4}
    architecture = space.suggest(FixedTrial(params))
    assert space.build(architecture) is made[0]
    assert len(made) == 1
    assert space.build(architecture) is made[1]


def test_function_space_draws_on_the_trial_only_its_own_parameters():
    space = FunctionSpace(build, torch.zeros(1, 1, 6, 6))
    trial = FixedTrial({"depth": 1, "block0.channels": 4, "recipe.rate": 0.1})
    trial.suggest_float("recipe.rate", 0, 1)
    assert str(space.suggest(trial)) == "depth=1 block0.channels=4"


def test_function_space_refuses_what_is_no_module():
    with pytest.raises(ValueError, match=r"must return a torch\.nn\.Module, got int"):
        FunctionSpace(lambda trial: 3, torch.zeros(1)).suggest(FixedTrial({}))


class Odd(nn.Module):
    """A network of another size for each choice."""

    def __init__(self, kind):
        super().__init__()
        self.body = nn.Linear(5, 1 + KINDS.index(kind))

    def forward(self, x):
        return self.body(x)


KINDS = [1, "1", 2, "2", None, "None", "False", False, 0.5, "0.5", "1 other=2", "'1'"]


class TestModelSpaceOfOddChoices(SpaceContract):
    space = ModelSpace(Odd, {"kind": KINDS}, torch.zeros(1, 5))


class TestFunctionSpaceOfOddChoices(SpaceContract):
    space = FunctionSpace(
        lambda trial: Odd(trial.suggest_categorical("kind", KINDS)), torch.zeros(1, 5)
    )


def test_a_function_cant_draw_what_a_study_stores_as_something_else():
    space = FunctionSpace(lambda t: Odd(t.suggest_categorical("a", [1, True])), torch.zeros(1, 5))
    with pytest.raises(InputError, match="'a' hold 1 and True, which are equal"):
        space.suggest(FixedTrial({"a": 1}))


@pytest.mark.parametrize(("place", "example"), list(examples(search_spaces)))
def test_examples_run(place, example):
    exec(compile(example, place, "exec"), {"__name__": place})


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({}, "choices is empty"),
        ({"a": []}, "'a' are empty"),
        ({"a": [nn.ReLU]}, "give other objects a label"),
        ({"a": "relu"}, "must be a sequence"),
        ({"a": [0, 1, True]}, "'a' hold 1 and True, which are equal"),
        ({"a": {1.0: nn.ReLU, 2: nn.Tanh}, "b": CategoricalDistribution([2, 2.0])}, "2 and 2.0"),
    ],
)
def test_model_space_says_what_is_wrong(choices, message):
    with pytest.raises((TypeError, ValueError), match=message):
        ModelSpace(Net, choices, torch.zeros(1, 5))


@pytest.mark.parametrize(
    "make",
    [
        lambda: MLPSpace((3,), 1, depth=(3, 2)),
        lambda: MLPSpace((3,), 1, activations=("swish",)),
        lambda: MLPSpace((3,), 1, dropout=(0.0, 1.0)),
        lambda: MacroCNNSpace((1, 8, 8), 10, kernel_sizes=(2, 4)),
        lambda: MacroCNNSpace((1, 8, 8), 10, channels=()),
        lambda: MacroCNNSpace((1, 8, 8), 10, depth=(-1, 2)),
        lambda: MacroCNNSpace((1, 8, 8), 10, pools=("mean",)),
        lambda: MacroCNNSpace((1, 8, 8), 10, heads="flatten"),
        lambda: MacroCNNSpace((1, 8, 8), 10, hidden=(-1,)),
        lambda: MacroCNNSpace((8, 8), 10),
    ],
)
def test_spaces_refuse_impossible_settings(make):
    with pytest.raises(ValueError, match="must"):
        make()


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
def test_size_counts_trees_exactly(branching):
    """Depth d (of up to 4) has the d first factors: the sum of their products."""

    def suggest(trial):
        for i in range(trial.suggest_int("depth", 1, len(branching))):
            trial.suggest_int(f"p{i}", 1, branching[i])

    size = space_size(suggest, max_seconds=60)
    assert size.error == 0
    assert size.count == sum(itertools.accumulate(branching, lambda a, b: a * b))


def test_size_is_estimated_within_its_error():
    size = space_size(MLPSpace((3,), 1).suggest, max_seconds=60)
    true = 28 * sum(16**d for d in range(1, 6))
    assert 0 < size.error < 0.05
    assert abs(size.count / true - 1) < 4 * size.error
    assert str(size).startswith("about 3.")


def test_size_of_continuous_spaces_is_infinite():
    space = ModelSpace(Net, {"rate": FloatDistribution(0.0, 1.0)}, torch.zeros(1))
    assert math.isinf(space_size(space.suggest).count)
    assert space_size(lambda trial: trial.suggest_float("x", 0, 1, step=0.25)).count == 5


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            {"ids": torch.zeros(1, 3), "fast": False},
            "a dict of ids, fast whose part 'fast' is False",
        ),
        ((torch.zeros(1, 3), None), "a tuple of 2 whose part 1 is a NoneType"),
        (({"ids": torch.zeros(1, 3)},), "whose part 0 is a dict of ids"),
        (torch.zeros(1, 3).numpy(), r"got a ndarray: give arrays as torch\.from_numpy"),
        ((), "got a tuple of 0"),
        ((1, 3, 32, 32), "whose part 0 is 1"),
    ],
)
def test_example_inputs_that_are_no_tensors_are_refused_where_they_are_given(inputs, message):
    for make in (
        lambda: FunctionSpace(lambda trial: None, inputs),
        lambda: ModelSpace(torch.nn.Linear, {"in_features": [3]}, inputs),
    ):
        with pytest.raises(InputError, match=message):
            make()


def test_a_list_of_tensors_is_taken_as_a_tuple():
    inputs = [torch.zeros(1, 3), torch.zeros(1, 2)]
    assert FunctionSpace(lambda trial: None, inputs).example_inputs == tuple(inputs)


def test_choices_alone_are_drawn_decoded_and_never_built():
    choices = {"width": [1, "1"], "rate": FloatDistribution(0.0, 1.0)}
    space = ParameterSpace(choices)
    for architecture, params in architectures(space, 10):
        again = space.suggest(FixedTrial(params))
        assert (again, str(again), dict(again.choices)) == (architecture, str(architecture), params)
    assert str(space.suggest(FixedTrial({"width": "1", "rate": 0.5}))) == "width='1' rate=0.5"
    assert (
        space.fingerprint == ParameterSpace(dict(choices)).fingerprint != ParameterSpace({"a": [1]})
    )
    with pytest.raises(InputError, match="has no networks: give a space that builds them"):
        space.build(architecture)
    with pytest.raises(ValueError, match="choices is empty"):
        ParameterSpace({})
    with pytest.raises(TypeError, match=r"'amp' are a dictionary.*a list \(\['', '--amp'\]\)"):
        ParameterSpace({"amp": {"no": "", "yes": "--amp"}})


def test_steps_lead_from_the_least_to_the_greatest_value():
    """Optuna would lower the greatest one, and only warn."""
    assert MLPSpace((4,), 3, width=(8, 32)).width_step == 8
    assert repr(MLPSpace((4,), 3)) == repr(MLPSpace((4,), 3, width_step=32))
    assert MLPSpace((4,), 3, width=(5, 5)).width_step == 32
    with pytest.raises(ValueError, match=r"width \(8, 32\) with width_step 16 would end at 24"):
        MLPSpace((4,), 3, width=(8, 32), width_step=16)
    with pytest.raises(ValueError, match=r"dropout \(0.0, 0.25\) with dropout_step 0.1 would end"):
        MLPSpace((4,), 3, dropout=(0.0, 0.25))


def weights(widths, inputs=10, outputs=1):
    sizes = [inputs, *widths, outputs]
    return sum(a * b + b for a, b in itertools.pairwise(sizes))


@pytest.mark.parametrize(
    ("rows", "widest", "deepest"), [(40, 16, 2), (265, 32, 2), (5_000, 128, 4), (80_000, 512, 6)]
)
def test_perceptrons_are_as_large_as_the_data_is(rows, widest, deepest):
    part = torch.zeros(rows, 10), torch.zeros(rows, 1)
    data = optnas.Dataset("rows", "regression", part, part, part, 1)
    space = MLPSpace.for_data(data)
    assert (space.width, space.depth) == ((widest // 8, widest), (1, deepest))
    assert space.width_step == widest // 8
    assert weights([widest] * deepest) < 30 * rows


def test_perceptrons_for_data_of_a_task_that_they_have():
    space = MLPSpace.for_data(optnas.diabetes())
    sizes = {
        (depth, width): sum(
            p.numel()
            for p in space.build(MLPArchitecture((width,) * depth, "relu", 0)).parameters()
        )
        for depth in space.depth
        for width in space.width
    }
    assert (min(sizes.values()), max(sizes.values())) == (49, 1441)
    own = MLPSpace.for_data(optnas.digits(), width=(8, 24), depth=(2, 2))
    assert (own.input_shape, own.outputs) == ((1, 8, 8), 10)
    assert (own.width, own.width_step, own.depth) == ((8, 24), 16, (2, 2))
    with pytest.raises(InputError, match="got a Loaders"):
        MLPSpace.for_data(optnas.Loaders([1], [1], "regression", "mine"))
    tokens = optnas.tokens(torch.arange(99) % 5, length=3)
    with pytest.raises(InputError, match="one output for an example"):
        MLPSpace.for_data(tokens)
