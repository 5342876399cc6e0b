"""Networks for sequences: counts against a closed form, lengths, causality, and what is refused."""

import optuna
import pytest
import torch
from optuna.trial import FixedTrial
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import optnas
from optnas.errors import InputError
from optnas.evaluators.slices import parts
from optnas.metrics.counting import count_pass
from optnas.search_spaces import SequenceArchitecture, SequenceSpace
from optnas.testing import SpaceContract
from optnas.testing.spaces import architectures

SMALL = {"widths": (3, 4), "tcn_widths": (4, 5), "tcn_depth": (1, 3), "embedding_sizes": (2, 4)}
NUMBERS = SequenceSpace((9, 3), 2, lengths=True, **SMALL)
TOKENS = SequenceSpace((7,), 3, vocabulary=11, **SMALL)


class TestNumbersWithLengths(SpaceContract):
    space = NUMBERS
    samples = 15


class TestTokens(SpaceContract):
    space = TOKENS
    samples = 10


class TestTwoSteps(SpaceContract):
    space = SequenceSpace((2, 1), 1, kinds=("tcn", "gru"), **SMALL)
    samples = 10


def closed_form(space, architecture):
    """Multiply-accumulates and parameters, written out layer by layer."""
    length = space.input_shape[0]
    features, params, macs = space.input_shape[-1], 0, 0
    if space.vocabulary:
        features = architecture.embedding_size
        params += space.vocabulary * features
    width = architecture.width
    for _ in range(architecture.depth):
        if architecture.kind == "tcn":
            kernel = architecture.kernel_size
            for inputs in (features, width):
                macs += length * kernel * inputs * width
                params += kernel * inputs * width + width + 2 * width
            if features != width:
                macs += length * features * width
                params += (features + 1) * width
            features = width
        else:
            gates = {"lstm": 4, "gru": 3}[architecture.kind]
            directions = 2 if architecture.bidirectional else 1
            macs += directions * length * gates * width * (features + width)
            params += directions * gates * width * (features + width + 2)
            features = directions * width
    return macs + features * space.outputs, params + (features + 1) * space.outputs


@pytest.mark.parametrize("space", [NUMBERS, TOKENS], ids=["numbers", "tokens"])
def test_networks_have_the_counts_of_the_closed_form(space):
    for architecture, _ in architectures(space, 50):
        network = space.build(architecture).eval()
        params = sum(p.numel() for p in network.parameters())
        counted = count_pass(network, space.example_inputs).macs, params
        assert counted == closed_form(space, architecture), architecture


def test_what_stands_behind_the_length_changes_nothing():
    x, lengths = torch.randn(5, 9, 3), torch.tensor([9, 1, 4, 8, 2])
    other = x.clone()
    for row, length in enumerate(lengths):
        other[row, length:] = float("nan") if row % 2 else 3.0
    for architecture, _ in architectures(NUMBERS, 20, seed=1):
        network = NUMBERS.build(architecture).eval()
        outputs = network(x, lengths)
        torch.testing.assert_close(network(other, lengths), outputs)
        for row, length in enumerate(lengths):  # and nothing is padded at all
            alone = network(x[row : row + 1, :length])
            torch.testing.assert_close(alone, outputs[row : row + 1], rtol=1e-4, atol=1e-5)
        earlier = x.clone()
        earlier[2, 3] += 1  # the last valid step does change something
        assert not torch.equal(network(earlier, lengths)[2], outputs[2])


@pytest.mark.parametrize("number", [torch.uint8, torch.int16, torch.int32])
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_lengths_are_whole_numbers_of_any_size(number, pooling):
    space = SequenceSpace((300, 1), 2, lengths=True)
    network = space.build(SequenceArchitecture("gru", 1, 4, pooling, 0.0, bidirectional=True))
    x, lengths = torch.randn(3, 300, 1), torch.tensor([200, 1, 9])
    network.check_inputs(x, lengths.to(number))
    assert torch.equal(network(x, lengths.to(number)), network(x, lengths))


def test_tokens_behind_the_length_may_be_any_number():
    space = SequenceSpace((7,), 3, vocabulary=11, lengths=True, **SMALL)
    x, lengths = torch.randint(0, 11, (3, 7)), torch.tensor([2, 7, 5])
    other = x.clone()
    other[0, 2:], other[2, 5:] = -1, 500
    for architecture, _ in architectures(space, 10):
        network = space.build(architecture).eval()
        torch.testing.assert_close(network(other, lengths), network(x, lengths))


def test_lengths_out_of_range_are_the_nearest_possible_ones():
    x = torch.randn(1, 9, 3)
    for architecture, _ in architectures(NUMBERS, 5):
        network = NUMBERS.build(architecture).eval()
        for given, taken in ((0, 1), (-3, 1), (99, 9)):
            torch.testing.assert_close(
                network(x, torch.tensor([given])), network(x, torch.tensor([taken]))
            )


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_a_bidirectional_network_is_that_of_pytorch_with_packed_sequences(kind):
    network = NUMBERS.build(SequenceArchitecture(kind, 1, 4, "mean", 0.0, True)).eval()
    theirs = {"lstm": nn.LSTM, "gru": nn.GRU}[kind](3, 4, batch_first=True, bidirectional=True)
    own = network.get_submodule("layer1")
    for name, parameter in theirs.named_parameters():
        source = own.backwards if name.endswith("_reverse") else own.forwards
        parameter.data.copy_(source.get_parameter(name.removesuffix("_reverse")))
    x, lengths = torch.randn(4, 9, 3), torch.tensor([9, 2, 5, 1])
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    y, _ = pad_packed_sequence(theirs(packed)[0], batch_first=True)
    mean = (y.sum(1) / lengths[:, None]).unflatten(1, (2, 4))  # directions apart
    wanted = network.head(mean.transpose(1, 2).flatten(1))
    torch.testing.assert_close(network(x, lengths), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_a_narrower_network_is_what_the_first_columns_of_a_wider_one_are(kind, pooling):
    """So that networks with inherited weights see the same numbers in the same places."""
    narrow, wide = (
        NUMBERS.build(SequenceArchitecture(kind, 2, width, pooling, 0.0, True)).eval()
        for width in (3, 4)
    )
    slices = {part.name: part for part in parts(narrow)}
    with torch.no_grad():
        for name, parameter in narrow.named_parameters():
            source = dict(wide.named_parameters())[name]
            parameter.copy_(slices[name].of(source))
            if source.ndim == 2:
                source[:, parameter.shape[1] :] = 0.0
    x, lengths = torch.randn(3, 9, 3), torch.tensor([9, 4, 1])
    torch.testing.assert_close(narrow(x, lengths), wide(x, lengths), rtol=1e-4, atol=1e-6)


def test_causal_convolutions_see_no_later_step_and_centred_ones_do():
    x = torch.randn(1, 9, 3)
    later = x.clone()
    later[0, 5:] += 1
    for causal in (True, False):
        architecture = SequenceArchitecture("tcn", 2, 4, "last", 0.0, False, 3, causal)
        network = NUMBERS.build(architecture).eval()
        seen = []
        network.get_submodule("causal_block2" if causal else "block2").register_forward_hook(
            lambda module, inputs, output, seen=seen: seen.append(output)
        )
        network(x), network(later)
        assert torch.equal(seen[0][:, :5], seen[1][:, :5]) == causal


def test_dilations_double_and_stay_inside_of_the_sequence():
    space = SequenceSpace((9, 3), 2, kinds=("tcn",), tcn_depth=(1, 9))
    deepest = max((a for a, _ in architectures(space, 40)), key=lambda a: a.depth)
    network = space.build(deepest)
    convs = [m for m in network.modules() if isinstance(m, nn.Conv1d)]
    assert [conv.dilation[0] for conv in convs] == [1, 1, 2, 2, 4, 4, 8, 8]
    with pytest.raises(ValueError, match="tcn_depth begins at 5, and for sequences of 9 steps at "):
        SequenceSpace((9, 3), 2, tcn_depth=(5, 6))
    short = SequenceSpace((3, 1), 2, kinds=("tcn",), kernel_sizes=(3, 5, 7), causals=(True,))
    assert {a.kernel_size for a, _ in architectures(short, 20)} == {3}


def test_layers_keep_their_names_in_networks_of_other_depths():
    for kind, more in (("lstm", {"bidirectional": True}), ("tcn", {"kernel_size": 3})):
        names = []
        for depth in (1, 3):
            network = NUMBERS.build(SequenceArchitecture(kind, depth, 4, "last", 0.0, **more))
            names.append({name: p.shape for name, p in network.named_parameters()})
        assert names[0].items() <= names[1].items()


def test_canonical_strings_and_params():
    space = SequenceSpace((7,), 3, vocabulary=11, **SMALL)
    lstm = SequenceArchitecture("lstm", 2, 4, "mean", 0.1, True, embedding_size=2)
    tcn = SequenceArchitecture("tcn", 1, 5, "last", 0.0, False, 3, True, 4)
    assert str(lstm) == "embedding2 | 2×lstm 4 bidirectional dropout=0.1 | mean"
    assert str(tcn) == "embedding4 | 1×tcn 5 k3 causal dropout=0 | last"
    for architecture in (lstm, tcn):
        assert space.suggest(FixedTrial(space.params_of(architecture))) == architecture
    with pytest.raises(InputError, match=r"rnn.width is 5 .* one of 3, 4"):
        space.params_of(SequenceArchitecture("gru", 2, 5, "mean", 0.1, embedding_size=2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"input_shape": (9,)}, "input_shape must be .* got .* with vocabulary=None"),
        ({"input_shape": (9, 2), "vocabulary": 5}, "with a vocabulary"),
        ({"input_shape": (1, 3)}, "a length of at least 2"),
        ({"kinds": ("rnn",)}, "kinds must be among lstm, gru, tcn"),
        ({"poolings": ()}, "poolings must be among last, mean"),
        ({"kernel_sizes": (2, 4)}, "kernel_sizes must be odd"),
        ({"bidirectionals": ()}, "bidirectionals must be False, True or both"),
        ({"depth": (0, 2)}, "depth must be"),
        ({"outputs": 0}, "outputs must be"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SequenceSpace(**{"input_shape": (9, 3), "outputs": 2, **settings})


def test_training_scores_sequences_of_different_lengths(tmp_path):
    """The class is the sign of the first step, which a mean over padding would drown."""
    torch.manual_seed(0)

    def part(n):
        x = torch.randn(n, 9, 3)
        x[:, 0, 0] += 2 * x[:, 0, 0].sign()
        lengths = torch.randint(1, 4, (n,))
        x[torch.arange(9) >= lengths[:, None]] = 50.0
        return {"x": x, "lengths": lengths}, (x[:, 0, 0] > 0).long()

    data = optnas.Dataset("signs", "classification", part(192), part(64), part(64), 2)
    search = optnas.Search(
        space=SequenceSpace(
            (9, 3), 2, lengths=True, kinds=("gru", "tcn"), dropout=(0.0, 0.0), depth=(1, 1)
        ),
        evaluator=optnas.TrainingEvaluator(
            data, epochs=8, recipe=optnas.Recipe(learning_rate=0.03), device="cpu"
        ),
        objectives=("val_accuracy", "params"),
        trials=2,
        sampler="random",
        storage=str(tmp_path / "study.db"),
    )
    study = search.run()
    assert max(trial.values[0] for trial in study.trials) > 0.9
    optnas.retrain(study, search, study.trials[0].number, seeds=1, epochs=1, progress=False)


def test_a_kernel_of_one_step_is_causal_and_centred_at_once():
    space = SequenceSpace(
        (5, 2),
        3,
        kinds=("tcn",),
        kernel_sizes=(1, 3),
        dropout=(0, 0),
        tcn_depth=(1, 1),
        tcn_widths=(4,),
        poolings=("last",),
    )
    drawn = [
        space.suggest(FixedTrial({"tcn.kernel_size": size, "tcn.causal": causal}))
        for size in (1, 3)
        for causal in (False, True)
    ]
    assert drawn[0] == drawn[1]
    assert len(set(map(str, drawn))) == 3
    for architecture in drawn:
        assert space.suggest(FixedTrial(space.params_of(architecture))) == architecture


def test_sequences_with_lengths_need_a_space_that_has_them():
    """The costs and the export would be those of a network that never sees the lengths."""

    def part(n):
        x = {"x": torch.randn(n, 12, 3), "lengths": torch.randint(4, 13, (n,))}
        return x, torch.arange(n) % 2

    data = optnas.Dataset("walks", "classification", part(24), part(8), part(8), outputs=2)
    evaluator = optnas.TrainingEvaluator(data, 1, device="cpu")
    small = {"widths": (8,), "kinds": ("tcn",), "tcn_depth": (1, 1)}
    for shape, lengths in (((12, 3), False), ((10, 3), True)):
        space = SequenceSpace(shape, 2, lengths=lengths, **small)
        objective = optnas.Objective(space, evaluator, ("val_loss", "flops"))
        study = optuna.create_study(directions=objective.directions)
        with pytest.raises(InputError, match=r"has other inputs .*lengths=True"):
            study.optimize(objective, 1)
