"""`choose`, and the relaxed networks that it makes."""

from functools import partial
from itertools import pairwise
from random import Random

import optuna
import pytest
import torch
from optuna.trial import FixedTrial
from torch import nn

import optnas
from optnas.errors import InputError
from optnas.search_spaces.choice import MixedOperation, RelaxedTrial, mixtures
from optnas.search_spaces.mixture import Mixture, argmax, gumbel, softmax
from optnas.utils.draft import Draft


def relaxed(space, seed=0):
    trial = RelaxedTrial({}, Random(seed), Mixture())
    torch.manual_seed(seed)
    return space.relaxed(trial), trial


def one_hot(chosen):
    """Logits that stand for one option of each choice, by name."""

    def logits(name, count):
        found = torch.zeros(count)
        found[chosen[name]] = 1.0
        return found

    return logits


def test_a_trial_draws_a_label_and_makes_that_operation_alone():
    made = []

    def make(label):
        made.append(label)
        return nn.Identity()

    operations = {label: partial(make, label) for label in ("a", "b", "c")}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trial = study.ask()
    optnas.choose(trial, "block1.op", operations)
    assert made == [trial.params["block1.op"]]
    assert trial.distributions["block1.op"].choices == ("a", "b", "c")


@pytest.mark.parametrize("kind", [softmax, gumbel(0.7)])
def test_values_and_gradients_are_those_of_the_formula(kind):
    """y = Σ wᵢ·oᵢ(x); of the softmax, dL/dlogitᵢ = pᵢ·⟨dL/dy, oᵢ(x) - Σ pⱼ·oⱼ(x)⟩."""
    mixture = Mixture()
    operations = {str(i): partial(nn.Linear, 3, 2) for i in range(4)}
    torch.manual_seed(0)
    mixed = MixedOperation(mixture, "op", operations)
    x, target = torch.randn(5, 3), torch.randn(5, 2)
    logits = torch.randn(4, requires_grad=True)
    torch.manual_seed(1)
    mixture.set(lambda name, count: logits, kind)
    weights, _ = mixture.weights("op", 4)
    outputs = [operation(x) for operation in mixed.branches]
    y = mixed(x)
    expected = sum(w * o for w, o in zip(weights, outputs, strict=True))
    torch.testing.assert_close(y, expected)
    (y - target).square().sum().backward()
    with torch.no_grad():
        slope = 2 * (y - target)
        each = torch.stack([(slope * o).sum() for o in outputs])
        if kind is softmax:
            soft, scale = logits.softmax(0), 1.0
        else:
            # The noise that was drawn: the softmax under it has the same gradient.
            torch.manual_seed(1)
            noise = -torch.empty(4).exponential_().log()
            soft, scale = ((logits + noise) / 0.7).softmax(0), 1 / 0.7
            assert sorted(weights.round().tolist()) == [0, 0, 0, 1]
        closed_form = scale * soft * (each - (soft * each).sum())
    torch.testing.assert_close(logits.grad, closed_form, rtol=1e-4, atol=1e-4)


def test_what_is_not_sampled_gets_no_gradient_in_its_weights():
    mixture = Mixture()
    mixed = MixedOperation(mixture, "op", {"a": lambda: nn.Linear(2, 2), "b": nn.Identity})
    mixture.set(one_hot({"op": 1}), argmax)
    mixed(torch.ones(1, 2)).sum()
    mixture.set(lambda n, c: torch.tensor([-99.0, 99.0], requires_grad=True), gumbel(1.0))
    mixed(torch.ones(1, 2)).sum().backward()
    assert mixed.branches[0].weight.grad is None


class InTraining(nn.Module):
    """Changes its input in training alone, as `nn.Dropout(inplace=True)` does."""

    def forward(self, x):
        return x.mul_(2) if self.training else x


@pytest.mark.parametrize("kind", [softmax, gumbel(0.7), argmax])
@pytest.mark.parametrize("first", [partial(nn.ReLU, inplace=True), InTraining])
def test_an_operation_that_changes_its_input_leaves_that_of_the_others(kind, first):
    mixture = Mixture()
    operations = {"first": first, "skip": nn.Identity, "linear": partial(nn.Linear, 3, 3)}
    mixed = MixedOperation(mixture, "op", operations)
    logits = torch.randn(3, requires_grad=True)
    given = torch.randn(5, 3)
    for _ in range(3):
        for training in (False, True):
            mixed.train(training)
            mixture.set(lambda name, count: logits, kind)
            weights, _ = mixture.weights("op", 3)
            outputs = [operation(given.clone()) for operation in mixed.branches]
            x = nn.functional.linear(given, torch.eye(3, requires_grad=True))
            y = mixed(x)
            torch.testing.assert_close(y, sum(w * o for w, o in zip(weights, outputs, strict=True)))
            y.sum().backward()


def test_samples_have_the_probabilities_of_the_softmax():
    """The largest of logits with Gumbel noise is a sample of their softmax."""
    torch.manual_seed(0)
    logits = torch.tensor([1.0, 0.0, -1.0])
    weigh = gumbel(0.5)
    counts = sum(weigh(logits) for _ in range(3000))
    torch.testing.assert_close(counts / 3000, logits.softmax(0), rtol=0, atol=0.03)


def test_operations_of_different_shapes_are_refused():
    mixed = MixedOperation(
        Mixture(), "op", {"wide": lambda: nn.Linear(2, 3), "narrow": lambda: nn.Linear(2, 1)}
    )
    with pytest.raises(InputError, match=r"'narrow' returns the shape \(1, 1\).*\(1, 3\)"):
        mixed(torch.ones(1, 2))


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        ({}, "at least one entry"),
        ([nn.Identity], "must be a dictionary"),
        ({3: nn.Identity}, "must be a string, got 3"),
        ({"a": nn.Identity()}, "must be a function that makes a module"),
        ({"a": lambda: 3}, "must make a torch.nn.Module, got int"),
    ],
)
@pytest.mark.parametrize("trial", [FixedTrial({"op": "a"}), RelaxedTrial({}, Random(0), Mixture())])
def test_wrong_operations_are_refused(operations, message, trial):
    with pytest.raises(InputError, match=message):
        optnas.choose(trial, "op", operations)


def test_one_name_stands_for_one_choice():
    trial = RelaxedTrial({}, Random(0), Mixture())
    optnas.choose(trial, "op", {"a": nn.Identity, "b": nn.Tanh})
    with pytest.raises(InputError, match="give the two choices different names"):
        optnas.choose(trial, "op", {"a": nn.Identity, "c": nn.Tanh})


@pytest.mark.parametrize("labels", [("a b", "a_b", "a_b_", "a_b_0"), ("", "_", "__", "é", "a.b")])
def test_labels_that_look_alike_have_an_operation_each(labels):
    trial = RelaxedTrial({}, Random(0), Mixture())
    made = optnas.choose(trial, "x", dict.fromkeys(labels, nn.Identity))
    assert made.labels == labels
    assert len(made.branches) == len(labels)


def test_labels_may_be_any_text():
    operations = {"3.5": nn.Identity, "3_5": nn.Tanh, "keys": nn.ReLU}
    mixed = MixedOperation(Mixture(), "op", operations)
    assert [type(m) for m in mixed.branches] == [nn.Identity, nn.Tanh, nn.ReLU]


def noted(seen, name, count):
    """Equal logits; notes the choice."""
    seen[name] = count
    return torch.zeros(count)


def copied(into, mixed_network, chosen):
    """Gives a network the weights of a relaxed one, whose choices are made."""
    state = {}
    for name, tensor in mixed_network.state_dict().items():
        state[name] = tensor
    for name, mixed in mixtures(mixed_network):
        own = mixed.branches[chosen[mixed.name]].state_dict()
        state = {k: v for k, v in state.items() if not k.startswith(f"{name}.")}
        state |= {f"{name}.{k}": v for k, v in own.items()}
    into.load_state_dict(state)


@pytest.mark.parametrize("seed", range(3))
def test_a_discretised_cell_of_the_benchmark_is_the_network_that_is_built(seed):
    space = optnas.NASBench201Space(3, (1, 8, 8), channels=2, cells=1)
    network, trial = relaxed(space, seed)
    draft = Draft({}, Random(seed))
    built = space.build(space.suggest(draft))
    assert list(trial.relaxed) == list(draft.params)
    chosen = {name: trial.relaxed[name].index(label) for name, label in draft.params.items()}
    copied(built, network, chosen)
    trial.mixture.set(one_hot(chosen), argmax)
    x = torch.randn(4, 1, 8, 8)
    torch.testing.assert_close(network(x), built(x))


@pytest.mark.parametrize(
    ("space", "names"),
    [
        (optnas.CellSpace.small((1, 8, 8), 3), ("operation", "input")),
        (optnas.CellSpace.darts((1, 8, 8), 3, width=4, cells=1), ("operation", "input")),
        (optnas.CellSpace.darts((1, 7, 5), 3, width=4, cells=1), ("operation", "input")),
    ],
)
def test_choices_of_cells_have_the_names_and_options_of_their_parameters(space, names):
    for seed in range(4):
        network, trial = relaxed(space, seed)
        seen = {}
        trial.mixture.set(partial(noted, seen), softmax)
        assert network(space.example_inputs.repeat(2, 1, 1, 1)).shape == (2, 3)
        given = {**trial.params}
        for name, labels in trial.relaxed.items():
            given[name] = next(label for label in labels if label != "none")
        draft = Draft(given, Random(seed))
        space.suggest(draft)
        drawn = {n: d for n, d in draft.distributions.items() if n.rstrip("12").endswith(names)}
        assert seen == {name: len(d.choices) for name, d in drawn.items()}


def test_a_discretised_cell_computes_what_is_built():
    """A cell that reads what it may, in its own order, so that layers have the same places."""
    space = optnas.CellSpace(
        (1, 8, 8), 3, widths=(4,), stages=(1, 1), cells=(1, 1), nodes=(2, 2), stem_multiplier=1
    )
    params = {}
    nodes = (
        (("sep_conv_3x3", 0), ("dil_conv_3x3", 1)),
        (("max_pool_3x3", 2), ("sep_conv_5x5", 2)),
    )
    for number, node in enumerate(nodes, 2):
        for i, (operation, source) in enumerate(node, 1):
            params[f"normal.node{number}.operation{i}"] = operation
            params[f"normal.node{number}.input{i}"] = source
    architecture = space.suggest(FixedTrial(params))
    built = space.build(architecture)
    network, trial = relaxed(space)
    chosen = {
        name: trial.relaxed[name].index(value) if name in trial.relaxed else value
        for name, value in params.items()
    }
    built.stem.load_state_dict(network.stem.state_dict())
    built.classifier.load_state_dict(network.classifier.state_dict())
    own, other = built.cells["stage1_cell1"], network.cells["stage1_cell1"]
    own.inputs.load_state_dict(other.inputs.state_dict())
    for (number, node), (before, after) in zip(
        enumerate(architecture.normal.nodes, 2), pairwise((2, 3, 4)), strict=True
    ):
        assert (before, after) == (number, number + 1)
        for name, source in node:
            where = next(
                (n, i)
                for n, edges in enumerate(nodes, 2)
                for i, edge in enumerate(edges)
                if edge == (name, source)
            )
            layer = own.nodes[f"node{number}"][f"{name}_of_{source}"]
            mixed = other.nodes[f"node{where[0]}"][where[1]].mixed[0]
            layer.load_state_dict(mixed.branches[mixed.labels.index(name)].state_dict())
    trial.mixture.set(one_hot(chosen), argmax)
    x = torch.randn(4, 1, 8, 8)
    torch.testing.assert_close(network(x), built(x))
