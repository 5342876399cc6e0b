"""Networks for tables: counts against a closed form, embeddings, ranges that follow the data."""

import optuna
import pytest
import torch
from optuna.trial import FixedTrial

import optnas
from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.evaluators.slices import parts
from optnas.metrics.counting import count_macs
from optnas.search_spaces import TabularArchitecture, TabularSpace
from optnas.testing import SpaceContract
from optnas.testing.spaces import architectures
from optnas.utils.inputs import call

BOTH = TabularSpace(3, (2, 7), 4, widths=(4, 6), embedding_sizes=(2, 3), hidden_multipliers=(1, 3))


class TestNumbersAndCategories(SpaceContract):
    space = BOTH


class TestNumbersAlone(SpaceContract):
    space = TabularSpace(5, (), 1, widths=(4, 8))
    samples = 10


class TestCategoriesAlone(SpaceContract):
    space = TabularSpace(0, (3,), 2, widths=(4, 8), norms=("batch",), depth=(1, 2))
    samples = 10


def closed_form(space, architecture):
    """Multiply-accumulates and parameters, written out layer by layer."""
    width, size = architecture.width, architecture.embedding_size
    norm = 0 if architecture.norm == "none" else 2 * width
    inputs = space.numbers + size * len(space.categories)
    macs = inputs * width
    params = size * sum(space.categories) + (inputs + 1) * width
    for _ in range(architecture.depth):
        hidden = architecture.hidden
        if hidden:
            macs += 2 * width * hidden
            params += norm + (width + 1) * hidden + (hidden + 1) * width
        else:
            macs += width * width
            params += norm + (width + 1) * width
    return macs + width * space.outputs, params + norm + (width + 1) * space.outputs


@pytest.mark.parametrize("space", [BOTH, TestNumbersAlone.space, TestCategoriesAlone.space])
def test_networks_have_the_counts_of_the_closed_form(space):
    for architecture, _ in architectures(space, 40):
        network = space.build(architecture).eval()
        params = sum(p.numel() for p in network.parameters())
        counted = count_macs(network, space.example_inputs), params
        assert counted == closed_form(space, architecture), architecture


def test_canonical_strings():
    deep = TabularArchitecture(8, 2, 2, 16, "batch", "relu", 0.1)
    assert str(deep) == "embedding2 stem8 | 2×residual hidden16 dropout=0.1 | batch relu"
    flat = TabularArchitecture(8, 0, 0, 0, "none", "gelu", 0.0)
    assert str(flat) == "stem8 | - | none gelu"


def test_the_residual_network_of_the_paper():
    """Gorishniy et al.: Linear(ReLU(BN(x + Linear(ReLU(Linear(BN(x)))))))."""
    space = TabularSpace(3, (), 2, widths=(4,), hidden_multipliers=(2,))
    network = space.build(TabularArchitecture(4, 0, 1, 8, "batch", "relu", 0.0)).eval()
    weights = dict(network.named_parameters())

    def linear(name, x):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x):  # of statistics that begin at 0 and 1
        return x / (1 + 1e-5) ** 0.5

    x = torch.randn(5, 3)
    h = linear("stem", x)
    h = h + linear("block1.output", linear("block1.hidden", norm(h)).relu())
    torch.testing.assert_close(network(x), linear("head", norm(h).relu()))


def test_unseen_and_impossible_codes_are_the_code_0_which_says_nothing():
    architecture = next(architectures(BOTH, 1))[0]
    network = BOTH.build(architecture).eval()
    numbers = torch.randn(4, 3)
    codes = torch.tensor([[0, 0], [-1, 0], [0, 7], [2, 99]])
    outputs = network(numbers[:1].expand(4, -1), codes)
    torch.testing.assert_close(outputs, outputs[:1].expand(4, -1))
    assert not network.embedding(codes).any()
    assert network.embedding(torch.tensor([[1, 6]])).all()


def test_categories_have_vectors_of_their_own():
    """The same code in two categories isn't the same vector, and each moves its own one."""
    space = TabularSpace(0, (3, 3), 1, widths=(4,))
    network = space.build(TabularArchitecture(4, 4, 0, 0, "none", "relu", 0.0))
    network(categories=torch.tensor([[1, 2]])).sum().backward()
    moved = network.embedding.table.weight.grad.abs().sum(1) > 0
    assert moved.tolist() == [False, True, False, False, False, True]


def test_shorter_vectors_use_the_first_columns_of_the_stem():
    """So that networks with inherited weights see the same numbers in the same places."""
    space = TabularSpace(2, (3, 4), 1, widths=(8,), embedding_sizes=(2, 4))
    short, long = (
        space.build(TabularArchitecture(8, size, 0, 0, "none", "relu", 0.0)) for size in (2, 4)
    )
    slices = {part.name: part for part in parts(short)}
    with torch.no_grad():
        for name, parameter in short.named_parameters():
            parameter.copy_(slices[name].of(dict(long.named_parameters())[name]))
        long.embedding.table.weight[:, 2:] = 0.0
    inputs = {"numbers": torch.randn(5, 2), "categories": torch.randint(0, 3, (5, 2))}
    torch.testing.assert_close(call(short, inputs), call(long, inputs))


def test_layers_keep_their_names_in_networks_of_other_depths():
    space = TabularSpace(3, (), 2)
    names = []
    for depth in (1, 3):
        architecture = TabularArchitecture(16, 0, depth, 32, "batch", "relu", 0.1)
        network = space.build(architecture)
        names.append({name: p.shape for name, p in network.named_parameters()})
    assert names[0].items() <= names[1].items()


@pytest.mark.parametrize(
    ("rows", "widest", "deepest"), [(100, 16, 2), (400, 32, 2), (2_000, 64, 4), (20_000, 256, 6)]
)
def test_ranges_follow_the_number_of_rows(rows, widest, deepest):
    part = {"numbers": torch.zeros(rows, 30)}, torch.zeros(rows, 1)
    data = optnas.Dataset("rows", "regression", part, part, part, 1)
    space = TabularSpace.for_data(data)
    assert (max(space.widths), space.depth) == (widest, (0, deepest))
    largest = TabularArchitecture(widest, 0, deepest, 2 * widest, "batch", "relu", 0.0)
    # Not a network of 300,000 weights for 400 rows.
    assert closed_form(space, largest)[1] < 100 * rows


def test_spaces_for_data():
    columns = {"x": [0.5, 1.0] * 30, "word": ["a", "b", "c"] * 20, "y": ["n", "y"] * 30}
    data = optnas.frame(columns, "y")
    space = TabularSpace.for_data(data, depth=(1, 1), norms=("layer",))
    assert (space.numbers, space.categories, space.outputs) == (1, (4,), 2)
    assert (space.depth, space.norms) == ((1, 1), ("layer",))
    assert TabularSpace.for_data(optnas.diabetes()).example_inputs.shape == (1, 10)
    with pytest.raises(InputError, match="is no table of numbers and categories"):
        TabularSpace.for_data(optnas.digits())


def test_params_of_names_what_the_space_lacks():
    for architecture, params in architectures(BOTH, 20):
        assert BOTH.params_of(architecture) == pytest.approx(params)
    with pytest.raises(InputError, match=r"hidden_multiplier is 2.0 .* one of 1, 3"):
        BOTH.params_of(TabularArchitecture(4, 2, 1, 8, "none", "relu", 0.0))
    fixed = TabularSpace(2, (), 1, widths=(8,), residuals=(False,), dropout=(0.1, 0.1))
    assert fixed.suggest(FixedTrial({"depth": 1, "norm": "none", "activation": "relu"})) == (
        TabularArchitecture(8, 0, 1, 0, "none", "relu", 0.1)
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"numbers": 0, "categories": ()}, "numbers or categories, got numbers=0"),
        ({"categories": (1,)}, "categories must be whole numbers of at least 2"),
        ({"categories": (3,), "embedding_sizes": ()}, "embedding_sizes must be"),
        ({"norms": ("group",)}, "norms must be among none, batch, layer"),
        ({"residuals": ()}, "residuals must be False, True or both"),
        ({"dropout": (0.0, 1.0)}, "dropout must stay below 1"),
        ({"dropout_step": 0.0}, "dropout_step must be above 0"),
        ({"outputs": 0}, "outputs must be"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TabularSpace(**{"numbers": 2, "categories": (), "outputs": 1, **settings})


def test_a_study_on_a_table_with_gaps_goes_to_a_front(tmp_path):
    """Training, shared weights, a metric that looks at data: all take two inputs by name."""
    columns = {
        "x": [None if i % 7 == 0 else i % 11 for i in range(120)],
        "word": [("a", "b", None)[i % 3] for i in range(120)],
        "y": ["odd" if i % 11 % 2 else "even" for i in range(120)],
    }
    data = optnas.frame(columns, "y")
    training = optnas.TrainingEvaluator(data, epochs=2, device="cpu")
    search = optnas.Search(
        space=TabularSpace.for_data(data),
        evaluator=optnas.SharedWeightsEvaluator(training, steps=4),
        objectives=("val_loss", "params", "grad_norm"),
        metrics=(optnas.ZeroCost("grad_norm", data=data),),
        trials=3,
        sampler="random",
        storage=str(tmp_path / "study.db"),
    )
    study = search.run()
    assert len(optnas.front(study)) >= 1
    assert study.trials[0].state == optuna.trial.TrialState.COMPLETE
    space = search.space
    architecture, _ = next(architectures(space, 1))
    candidate = Candidate(architecture, space.example_inputs, lambda: space.build(architecture))
    wrong = optnas.Dataset(
        "w",
        "classification",
        *[({"numbers": torch.zeros(4, 2)}, torch.tensor([0, 1, 0, 1]))] * 3,
        2,
    )
    with pytest.raises(InputError, match="the network takes inputs of shape numbers "):
        optnas.ZeroCost("grad_norm", data=wrong).measure(candidate)


def test_what_is_for_one_tensor_is_refused_for_several():
    part = {"numbers": torch.zeros(4, 2), "categories": torch.ones(4, 1)}, torch.zeros(4, 1)
    data = optnas.Dataset("rows", "regression", part, part, part, 1)
    for setting in ({"mixup": 0.2}, {"flip": True}):
        with pytest.raises(ValueError, match=r"means of one tensor|numbers \(2,\), categories"):
            optnas.TrainingEvaluator(data, recipe=optnas.Recipe(**setting))
