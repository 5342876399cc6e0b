"""The training of relaxed networks: costs, what it finds, exact resume, one training for all."""

import itertools
import math
import threading
from random import Random

import pytest
import torch
from filelock import FileLock
from optuna.trial import FixedTrial
from torch import nn

import optnas
from optnas.candidate import Candidate
from optnas.errors import InputError, StoppedError
from optnas.evaluators import checkpoint
from optnas.evaluators.relaxed import Relaxation, check_relaxable
from optnas.evaluators.relaxed.costs import Counter
from optnas.evaluators.relaxed.hypernetwork import Hypernetwork, spread_preferences
from optnas.samplers.gradient import RelaxedSettings
from optnas.search_spaces import RelaxedTrial
from optnas.search_spaces.mixture import Mixture, softmax

MIXTURES = ["gumbel", "softmax"]


class Zero(nn.Module):
    def forward(self, x):
        return 0 * x


def absolute(n=160):
    """Targets that no linear network has: the sum of absolute inputs."""
    x = torch.randn(n, 4, generator=torch.Generator().manual_seed(0))
    return optnas.arrays(x.numpy(), (x.abs().sum(1, keepdim=True) - 3).numpy(), name="absolute")


class Folded(nn.Module):
    """The absolute values of a linear layer's outputs; at first, of its inputs."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        nn.init.eye_(self.linear.weight)

    def forward(self, x):
        return self.linear(x).abs()


def build(trial):
    """One operation is best by far: the others make a linear network, or a constant."""
    operations = {"none": Zero, "skip": nn.Identity, "fold": Folded}
    return nn.Sequential(optnas.choose(trial, "op", operations), nn.Linear(4, 1))


def widths(trial):
    """A width that isn't relaxed, and one that the space can't build."""
    width = trial.suggest_categorical("width", [1, 24, 7])
    if width == 7:
        raise ValueError("seven doesn't work")
    operations = {"relu": nn.ReLU, "tanh": nn.Tanh}
    return nn.Sequential(
        nn.Linear(4, width), optnas.choose(trial, "op", operations), nn.Linear(width, 1)
    )


def relaxation(function=build, objectives=("val_loss", "flops"), folder=None):
    space = optnas.FunctionSpace(function, torch.zeros(1, 4))
    evaluator = optnas.TrainingEvaluator(absolute(), epochs=1)
    objective = optnas.Objective(space, evaluator, objectives, shared=folder)
    return objective.relaxation


def trained(one, stopped=lambda: False, done=lambda: None, seed=0, **settings):
    settings = {"epochs": 20, "preferences": 3, "learning_rate": 0.03} | settings
    kept = []
    one.train(RelaxedSettings(**settings), seed, lambda line: None, stopped, done, kept.append)
    return kept[0]


def nested(trial):
    """Choices in two places, one of them inside of an operation of the other."""

    def deep():
        inner = {"a": lambda: nn.Linear(3, 3), "b": nn.Identity}
        return nn.Sequential(nn.Linear(3, 3), optnas.choose(trial, "inner", inner))

    outer = {"deep": deep, "skip": nn.Identity, "thin": lambda: nn.Linear(3, 3, bias=False)}
    twice = {"x": lambda: nn.Linear(3, 3), "y": lambda: nn.Linear(3, 3, bias=False)}
    return nn.Sequential(
        optnas.choose(trial, "outer", outer),
        optnas.choose(trial, "twice", twice),
        optnas.choose(trial, "twice", twice),
        nn.Linear(3, 2),
    )


def test_expected_costs_are_those_of_all_networks_by_their_probabilities():
    """Brute force over 12 networks, for params, macs and flops; the gradient by differences."""
    space = optnas.FunctionSpace(nested, torch.zeros(1, 3))
    metrics = (optnas.Params(), optnas.Macs(), optnas.Flops())
    mixture = Mixture()
    network = space.relaxed(RelaxedTrial({}, Random(0), mixture))
    tables = Counter(metrics).tables(network, space.example_inputs)
    torch.manual_seed(0)
    logits = {name: torch.randn(n) for name, n in (("outer", 3), ("inner", 2), ("twice", 2))}
    options = {"outer": ["deep", "skip", "thin"], "inner": ["a", "b"], "twice": ["x", "y"]}
    mixture.set(lambda name, count: logits[name], softmax)
    sums = [0.0] * 3
    for labels in itertools.product(*options.values()):
        params = dict(zip(options, labels, strict=True))
        p = math.prod(
            float(logits[n].softmax(0)[options[n].index(label)]) for n, label in params.items()
        )
        made = space.build(space.suggest(FixedTrial(params)))
        one = Candidate("", space.example_inputs, lambda made=made: made)
        for i, metric in enumerate(metrics):
            one.details.clear()
            sums[i] += p * metric.measure(one)
    found = [float(table.expected()) for table in tables]
    assert found == pytest.approx(sums, rel=1e-5)

    logits["outer"].requires_grad_()
    mixture.set(lambda name, count: logits[name], softmax)
    (slope,) = torch.autograd.grad(tables[0].expected(), logits["outer"])
    with torch.no_grad():
        for i in range(3):
            ends = []
            for step in (0.01, -0.01):
                logits["outer"][i] += step
                mixture.set(lambda name, count: logits[name], softmax)
                ends.append(float(tables[0].expected()))
                logits["outer"][i] -= step
            assert float(slope[i]) == pytest.approx((ends[0] - ends[1]) / 0.02, rel=0.02, abs=0.02)


@pytest.mark.parametrize("seed", range(2))
def test_costs_of_a_discretised_cell_are_those_of_the_network(seed):
    space = optnas.NASBench201Space(3, (1, 8, 8), channels=2, cells=2)
    mixture, rng = Mixture(), Random(seed)
    trial = RelaxedTrial({}, rng, mixture)
    network = space.relaxed(trial)
    metrics = (optnas.Params(), optnas.Flops())
    tables = Counter(metrics).tables(network, space.example_inputs)
    params = {name: rng.choice(labels) for name, labels in trial.relaxed.items()}
    built = space.build(space.suggest(FixedTrial(params)))
    one = Candidate("", space.example_inputs, lambda: built)
    sure = {n: trial.relaxed[n].index(label) for n, label in params.items()}
    mixture.set(lambda n, c: 1e3 * nn.functional.one_hot(torch.tensor(sure[n]), c), softmax)
    mixture.probabilities = lambda n, c: (mixture.logits(n, c) > 0).float()
    found = [float(table.expected()) for table in tables]
    assert found == [metric.measure(one) for metric in metrics]


def test_a_latency_is_measured_once_for_each_kind_of_operation(monkeypatch):
    """Here it is the number of rows of its weight, so that sums can be told."""
    measured = []

    def measure(metric, candidate):
        measured.append(str(candidate))
        return float(sum(p.shape[0] for p in candidate.model.parameters() if p.ndim == 2))

    monkeypatch.setattr(optnas.Latency, "measure", measure)
    space = optnas.FunctionSpace(nested, torch.zeros(1, 3))
    mixture = Mixture()
    network = space.relaxed(RelaxedTrial({}, Random(0), mixture))
    (table,) = Counter([optnas.Latency()]).tables(network, space.example_inputs)
    # outer: (3 + 3/2) / 3 + 3 / 3; twice: 3 each; the last layer: 2.
    assert float(table.expected()) == pytest.approx(2.5 + 6 + 2)
    assert len(measured) == len(set(measured)) == 3  # with and without bias, and the last layer


def test_the_best_operation_is_found_for_the_loss_and_the_cheapest_for_the_cost():
    found = trained(relaxation(), epochs=40)
    best = max(found.proposals, key=lambda p: p.preference[0])
    cheapest = max(found.proposals, key=lambda p: p.preference[1])
    assert best.params == {"op": "fold"}
    assert cheapest.params["op"] in ("none", "skip")
    assert best.discretised_loss < cheapest.discretised_loss
    for proposal in found.proposals:  # discretised is the option with the largest logit
        ((key, logits),) = proposal.logits.items()
        assert key == "op#3"
        assert proposal.params["op"] == ("none", "skip", "fold")[logits.index(max(logits))]
        assert proposal.skips == (proposal.params["op"] == "skip")


def test_widths_are_learned_too_and_what_cannot_be_built_is_drawn_anew():
    found = trained(relaxation(widths), epochs=30)
    best = max(found.proposals, key=lambda p: p.preference[0])
    cheapest = max(found.proposals, key=lambda p: p.preference[1])
    assert cheapest.params["width"] == 1
    assert best.params["width"] == 24


@pytest.mark.parametrize("mixture", MIXTURES)
def test_an_interrupted_training_resumes_exactly(tmp_path, monkeypatch, mixture):
    """Stopped after some epochs, and killed in the middle of one after its last checkpoint."""
    settings = {"epochs": 6, "mixture": mixture, "beta": 1.0, "warm_up": 0.3}
    whole = trained(relaxation(widths), **settings)
    looks = itertools.count()
    with pytest.raises(StoppedError):
        trained(relaxation(widths, folder=tmp_path), lambda: next(looks) == 2, **settings)
    assert list(tmp_path.glob("relaxed-*/training.pt"))

    monkeypatch.setattr(checkpoint, "STORE_SECONDS", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)
    one = relaxation(widths, folder=tmp_path)
    passes = itertools.count()

    class Killed(BaseException):
        pass

    def killed(self):
        if next(passes) == 7:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("optnas.evaluators.once.Sharing.give_way", killed)
        with pytest.raises(Killed):
            trained(one, **settings)
    resumed = trained(relaxation(widths, folder=tmp_path), **settings)
    assert resumed == whole
    assert trained(relaxation(widths), seed=1, **settings).proposals != whole.proposals


def test_another_process_waits_and_takes_its_result(tmp_path):
    one = relaxation(folder=tmp_path)
    first = trained(one, epochs=1)
    (folder,) = tmp_path.glob("relaxed-*")
    results, lines = [None], []
    lock = FileLock(folder / "lock", thread_local=False)
    lock.acquire()

    def say(line):
        lines.append(line)
        results[0] = first
        lock.release()

    def wait():
        settings = RelaxedSettings(epochs=1, preferences=3, learning_rate=0.03)
        one.train(settings, 0, say, None, lambda: results[0], results.append)

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join()
    assert results == [first]  # nothing was trained, or kept anew
    assert lines == ["another process trains the relaxed network: waiting for it"]


def test_it_ends_early_once_skips_are_likeliest():
    def skips(trial):
        operations = {"skip": nn.Identity, "linear": lambda: nn.Linear(4, 4)}
        return nn.Sequential(optnas.choose(trial, "op", operations), nn.Linear(4, 1))

    found = trained(relaxation(skips), epochs=30, most_skips=0.5)
    assert 2 < found.epochs < 30
    assert "ended early because" in found.ended
    assert trained(relaxation(skips), epochs=5, most_skips=1.0).epochs == 5


def test_regularisation_keeps_logits_close():
    """β-DARTS: the gradient of logsumexp is the softmax, so the largest logit falls fastest."""

    def spread(beta):
        found = trained(relaxation(), epochs=20, beta=beta)
        return sum(max(row) - min(row) for p in found.proposals for row in p.logits.values())

    assert spread(50.0) < 0.7 * spread(0.0)


def test_logits_depend_on_the_preference():
    anchors = spread_preferences(3, 6)
    assert len(set(anchors)) == 6
    assert all(sum(p) == pytest.approx(1, abs=1e-4) for p in anchors)
    assert spread_preferences(1, 6) == [(1.0,)]
    hyper = Hypernetwork(anchors, 0.1, torch.device("cpu"))
    for _ in range(20):
        for i, anchor in enumerate(anchors):
            logits = hyper.logits("op", 6, hyper.features(torch.tensor(anchor)))
            loss = nn.functional.cross_entropy(logits, torch.tensor(i))
            hyper.update(hyper.gradient(loss))
    for i, anchor in enumerate(anchors):
        (row,) = hyper.table(hyper.features(torch.tensor(anchor))).values()
        assert row.index(max(row)) == i


def test_objectives_without_a_table_are_named():
    lines = []
    one = relaxation(objectives=("val_loss", "params", "peak_activation_mb"))
    kept = []
    one.train(RelaxedSettings(epochs=1), 0, lines.append, None, lambda: None, kept.append)
    (found,) = kept
    assert found.minimised == ("loss", "params")
    assert found.ignored == ("peak_activation_mb",)
    assert "isn't told of peak_activation_mb" in lines[0]


def test_what_cannot_be_relaxed_is_refused():
    evaluator = optnas.TrainingEvaluator(absolute(), epochs=1)
    plain = optnas.FunctionSpace(
        lambda trial: nn.Linear(4, trial.suggest_int("n", 1, 1)), torch.zeros(1, 4)
    )
    good = optnas.FunctionSpace(build, torch.zeros(1, 4))
    check_relaxable(good, evaluator)
    check_relaxable(good, optnas.SharedWeightsEvaluator(evaluator))
    for space in (plain, optnas.MLPSpace((4,), 1)):
        with pytest.raises(InputError, match=r"nothing that gradients can choose.*optnas\.choose"):
            check_relaxable(space, evaluator)

    def reads(trial):
        operation = optnas.choose(trial, "op", {"a": nn.Identity, "b": nn.ReLU})
        return nn.Sequential(operation, nn.Linear(4, 1 if trial.params["op"] == "a" else 2))

    with pytest.raises(InputError, match=r"none of 20 relaxed .*KeyError: 'op' \(test_relaxed\.py"):
        check_relaxable(optnas.FunctionSpace(reads, torch.zeros(1, 4)), evaluator)
    function = optnas.FunctionEvaluator(lambda m, r, report: {}, {"val_loss": "minimize"})
    with pytest.raises(InputError, match="a FunctionEvaluator has no training"):
        check_relaxable(good, function)
    loader = torch.utils.data.DataLoader([(torch.zeros(4), torch.zeros(1))] * 4, 2)
    loaders = optnas.Loaders(loader, loader, task="regression", name="zeros")
    with pytest.raises(InputError, match="halves the training part"):
        check_relaxable(good, optnas.TrainingEvaluator(loaders, epochs=1))


def test_a_diverged_loss_says_what_to_do():
    with pytest.raises(InputError, match=r"diverged.*lower learning_rate than 1e"):
        trained(relaxation(), learning_rate=1e30)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mixture": "hard"}, "mixture must be gumbel or softmax"),
        ({"temperature": (0.1, 1.0)}, "0 < last <= first"),
        ({"temperature": 3}, "0 < last <= first"),
        ({"epochs": 0}, "epochs must be"),
        ({"preferences": 0}, "preferences must be"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"warm_up": 1.0}, "warm_up"),
        ({"most_skips": 1.5}, "most_skips"),
        ({"beta": -1.0}, "beta"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        optnas.GradientSampler(**settings)


def test_names_tell_trainings_apart():
    def names(**settings):
        return dict(relaxation().names(RelaxedSettings(**settings), 0))

    assert names() == names()
    assert names(beta=1.0) != names()
    other = Relaxation(
        optnas.NASBench201Space(10, (1, 8, 8)),
        optnas.TrainingEvaluator(optnas.digits(), epochs=1),
        ("val_loss",),
        (),
        None,
    )
    assert other.names(RelaxedSettings(), 0)["space"] != names()["space"]
