"""Zero-cost proxies: closed forms, networks without them, and their use in a study."""

import math
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import TrialState
from torch import nn

import optnas
from optnas import ZeroCost
from optnas.candidate import Candidate
from optnas.cli.front_table import front_table
from optnas.cli.network_tables import metrics_table
from optnas.finished.decode import decode
from optnas.finished.measure import measure_again
from optnas.metrics.zero_cost import PROXIES
from optnas.report.labels import Meanings
from optnas.study.attributes import FAILURE
from optnas.testing import MetricContract
from optnas.utils.random_state import seeded

IMAGES = optnas.arrays(
    np.random.default_rng(0).normal(size=(60, 3, 16, 16)), np.arange(60) % 10, name="images"
)
POINTS = optnas.arrays(
    np.random.default_rng(0).normal(size=(20, 4)),
    np.random.default_rng(1).normal(size=(20, 2)),
    name="points",
)
EVERY_POINT = len(POINTS.train[0])
"""With all examples in the batch, their order doesn't matter."""


class TestSynflow(MetricContract):
    metric = ZeroCost("synflow")


class TestNaswot(MetricContract):
    metric = ZeroCost("naswot")


class TestNaswotOnData(MetricContract):
    metric = ZeroCost("naswot", data=IMAGES, batch_size=32, label="images")


class TestGradNorm(MetricContract):
    metric = ZeroCost("grad_norm")


class TestGradNormOnData(MetricContract):
    metric = ZeroCost("grad_norm", data=IMAGES)


class TestSnip(MetricContract):
    metric = ZeroCost("snip")


class TestSnipOnData(MetricContract):
    metric = ZeroCost("snip", data=IMAGES)


def linear(*sizes, bias=False):
    return nn.Sequential(*(nn.Linear(a, b, bias=bias) for a, b in pairwise(sizes)))


def rectified(*sizes):
    parts = [part for layer in linear(*sizes, bias=True) for part in (layer, nn.ReLU())]
    return nn.Sequential(*parts[:-1])


def candidate_of(build, inputs=None, seed=0):
    return Candidate("a", torch.randn(1, 4) if inputs is None else inputs, build, seed)


def measure(metric, build, inputs=None, seed=0):
    return metric.measure(candidate_of(build, inputs, seed))


def initial(build):
    """The network whose proxies are measured."""
    return candidate_of(build).untrained()


@pytest.mark.parametrize("sizes", [(3, 2), (3, 5, 2), (3, 8, 8, 4, 1)])
def test_synflow_of_linear_layers_in_closed_form(sizes):
    """R = 1ᵀ|W_L| … |W₁|1, and θ · ∂R/∂θ sums to R for each of the L layers."""
    build = partial(linear, *sizes)
    flow = torch.ones(3, dtype=torch.float64)
    for layer in initial(build):
        flow = layer.weight.detach().double().abs() @ flow
    expected = math.log((len(sizes) - 1) * flow.sum())
    assert measure(ZeroCost("synflow"), build, torch.randn(1, 3)) == pytest.approx(expected)


def test_synflow_ignores_running_statistics():
    def build(scale):
        norm = nn.BatchNorm1d(5)
        norm.running_var.fill_(scale)
        return nn.Sequential(nn.Linear(4, 5), norm, nn.Linear(5, 2))

    metric = ZeroCost("synflow")
    assert measure(metric, partial(build, 1.0)) == measure(metric, partial(build, 100.0))


def test_grad_norm_and_snip_of_a_linear_layer_in_closed_form():
    """L = mean((XWᵀ - Y)²), so ∂L/∂W = 2 (XWᵀ - Y)ᵀX / (elements of Y)."""
    build = partial(linear, 4, 2)
    x, y = (part.double().numpy() for part in POINTS.train)
    weight = initial(build)[0].weight.detach().double().numpy()
    gradient = 2 * (x @ weight.T - y).T @ x / y.size
    for proxy, expected in (
        ("grad_norm", np.linalg.norm(gradient)),
        ("snip", np.abs(weight * gradient).sum()),
    ):
        metric = ZeroCost(proxy, data=POINTS, batch_size=EVERY_POINT)
        assert measure(metric, build) == pytest.approx(math.log(expected), rel=1e-5)


def test_grad_norm_and_snip_of_a_classifier_by_hand():
    """Parameter by parameter, with cross-entropy written out; a batch larger than the data."""
    examples = np.random.default_rng(0).normal(size=(30, 4))
    data = optnas.arrays(examples, np.arange(30) % 3, name="classes")
    build = partial(rectified, 4, 8, 3)
    x, y = data.train
    norm = salience = 0.0
    for name, _ in initial(build).named_parameters():
        model = initial(build)
        probabilities = model(x).softmax(1)
        (-probabilities[range(len(y)), y].log().mean()).backward()
        parameter = model.get_parameter(name)
        norm += math.sqrt((parameter.grad**2).sum())
        salience += (parameter * parameter.grad).abs().sum().item()
    for proxy, expected in (("grad_norm", norm), ("snip", salience)):
        metric = ZeroCost(proxy, data=data, batch_size=500)
        assert measure(metric, build) == pytest.approx(math.log(expected), rel=1e-5)


def test_naswot_is_the_determinant_of_a_kernel_made_by_hand():
    """K[i, j] = activations - those in which the codes of i and j differ (a Hamming distance)."""
    build = partial(rectified, 4, 30, 20, 2)
    first, _, second, *_ = initial(build)
    x = POINTS.train[0]
    hidden = first(x)
    codes = torch.cat([hidden > 0, second(hidden.clamp(min=0)) > 0], dim=1).tolist()
    kernel = [[50 - sum(a != b for a, b in zip(r, s, strict=True)) for r in codes] for s in codes]
    metric = ZeroCost("naswot", data=POINTS, batch_size=EVERY_POINT)
    expected = math.log(abs(np.linalg.det(np.array(kernel, dtype=float))))
    assert measure(metric, build) == pytest.approx(expected)


@pytest.mark.parametrize("activation", [nn.Tanh, nn.GELU, partial(nn.ReLU, inplace=True)])
def test_naswot_uses_the_inputs_of_an_activation(activation):
    """All of these change at 0, so their codes are equal."""

    def build(kind):
        return nn.Sequential(nn.Linear(4, 32), kind(), nn.Linear(32, 2))

    metric = ZeroCost("naswot")
    assert measure(metric, partial(build, activation)) == measure(metric, partial(build, nn.ReLU))


@pytest.mark.parametrize("proxy", PROXIES)
def test_the_trial_s_seed_and_training_change_nothing(proxy):
    build, metric = partial(rectified, 4, 32, 32, 2), ZeroCost(proxy)
    value = measure(metric, build)
    assert measure(metric, build, seed=5) == value
    trained = candidate_of(build)
    with torch.no_grad():
        trained.model[0].weight.zero_()
    assert metric.measure(trained) == value
    with seeded(3):
        assert measure(metric, build) == value


def test_networks_that_share_modules_are_left_alone():
    shared = rectified(4, 32, 2)
    before = [p.clone() for p in shared.parameters()]
    measure(ZeroCost("synflow"), lambda: shared)
    assert all(torch.equal(a, b) for a, b in zip(before, shared.parameters(), strict=True))


WIDTHS = [24, 32, 48]


def draw_mlp(trial):
    return rectified(4, trial.suggest_categorical("width", WIDTHS), 8, 1)


@pytest.fixture
def spaces():
    inputs = torch.zeros(1, 4)
    by_class = optnas.ModelSpace(lambda width: rectified(4, width, 8, 1), {"width": WIDTHS}, inputs)
    return optnas.FunctionSpace(draw_mlp, inputs), by_class


def study_of(space, evaluator, seed, **settings):
    objective = optnas.Objective(space, evaluator, seed=seed, **settings)
    study = optuna.create_study(
        directions=objective.directions, sampler=optuna.samplers.RandomSampler(seed=0)
    )
    for width in WIDTHS:
        study.enqueue_trial({"width": width})
    study.optimize(objective, n_trials=3)
    return objective, study


def test_proxies_are_objectives_by_name_and_known_before_training(spaces, evaluator):
    for space in spaces:
        found = []
        for seed in (1, 2):
            objective, study = study_of(space, evaluator, seed, objectives=("loss", *PROXIES))
            assert objective.directions == ["minimize", *["maximize"] * 7]
            found.append([trial.values[1:] for trial in study.trials])
            for trial in study.trials:
                costs = objective.preview(trial.params).values
                assert [costs[i] for i in range(1, 8)] == trial.values[1:]
        assert found[0] == found[1]
        assert len({tuple(values) for values in found[0]}) == 3


def test_a_bound_is_a_lower_one_and_ends_a_trial_before_training(spaces, evaluator):
    every = study_of(spaces[0], evaluator, 0, objectives=("loss", "synflow"))[1].trials
    least = sorted(trial.values[1] for trial in every)[1]
    settings = {"objectives": ("loss", "params"), "constraints": {"synflow": least}}
    _, study = study_of(spaces[0], evaluator, 0, **settings)
    for trial, other in zip(study.trials, every, strict=True):
        feasible = other.values[1] >= least
        assert trial.state == (TrialState.COMPLETE if feasible else TrialState.PRUNED)
        assert trial.user_attrs["synflow"] == other.values[1]


def test_tables_and_the_report_show_proxies(search):
    given = replace(
        search,
        objectives=("loss", "synflow"),
        metrics=[ZeroCost("snip", label="x")],
        sampler="predictor",
        trials=8,
    )
    study = given.run(progress=False)
    headers = [str(column.header).split(" ")[0] for column in front_table(study).columns]
    assert {"synflow", "snip.x"} <= set(headers)
    assert "untrained" in Meanings(study, study.trials).short("synflow")


def test_another_machine_may_round_otherwise(spaces, evaluator):
    objective, study = study_of(spaces[0], evaluator, 0, objectives=("loss", "snip"))
    (trial, *_) = study.trials
    value = trial.user_attrs["snip"]
    trial.user_attrs["snip"] = value * (1 + 1e-6)
    decode(objective, trial)
    trial.user_attrs["snip"] = value * 1.1
    with pytest.raises(optnas.InputError, match=r"has snip .* but today's code makes"):
        decode(objective, trial)


def test_a_trial_that_failed_without_a_proxy_can_be_measured_again(evaluator):
    space = optnas.FunctionSpace(lambda trial: linear(4, 1), torch.zeros(1, 4))
    objective = optnas.Objective(space, evaluator, ("loss", "naswot"))
    study = optuna.create_study(directions=objective.directions)
    study.optimize(objective, n_trials=1)
    (trial,) = study.trials
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs[FAILURE].startswith("naswot is -inf")
    found = measure_again(objective, trial)
    (naswot,) = [metric for metric in found.metrics if metric.name == "naswot"]
    assert (naswot.stored, naswot.now) == (None, None)
    assert naswot.how == {"none:": trial.user_attrs[FAILURE]}
    assert metrics_table(found.metrics).row_count == 2


def test_the_fingerprint_has_the_data_and_the_batch_size():
    assert ZeroCost("synflow").fingerprint == {}
    assert ZeroCost("snip").fingerprint == {"data": "noise", "batch_size": 16}
    found = ZeroCost("naswot", data=POINTS, batch_size=4).fingerprint
    assert found == {"data": POINTS.fingerprint, "batch_size": 4}


@pytest.mark.parametrize(
    ("build", "inputs"),
    [
        (partial(nn.LSTM, 4, 32), torch.randn(1, 5, 4)),
        (partial(nn.TransformerEncoderLayer, 4, 2, 64, batch_first=True), torch.randn(1, 5, 4)),
        (
            lambda: nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), *rectified(12, 32, 2)),
            torch.arange(3)[None],
        ),
        (lambda: nn.Bilinear(4, 3, 2), (torch.randn(1, 4), torch.randn(1, 3))),
    ],
)
@pytest.mark.parametrize("proxy", ["synflow", "grad_norm", "snip"])
def test_other_layers_and_inputs(proxy, build, inputs):
    assert math.isfinite(measure(ZeroCost(proxy), build, inputs))


class Halved(nn.Module):
    """Returns class numbers, which have no gradient."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x).argmax(1)


def dead():
    model = linear(4, 3, 2)
    nn.init.zeros_(model[0].weight)
    nn.init.zeros_(model[1].weight)
    return model


@pytest.mark.parametrize(
    ("metric", "build", "message"),
    [
        (ZeroCost("synflow"), dead, "synflow is -inf: nothing flows from its inputs"),
        (ZeroCost("snip"), dead, "snip is -inf: no gradient reaches its weights"),
        (ZeroCost("naswot", label="x"), partial(linear, 4, 2), "naswot.x is -inf: its activations"),
        (ZeroCost("naswot"), partial(rectified, 4, 3, 2), "a smaller batch_size for ZeroCost"),
        (
            ZeroCost("grad_norm"),
            Halved,
            "grad_norm can't be computed for this network: .*leave grad_norm out",
        ),
        (ZeroCost("synflow"), Halved, "synflow can't be computed for this network"),
        (ZeroCost("synflow"), nn.Identity, "synflow can't be computed for this network"),
    ],
)
def test_a_network_without_the_number_is_at_fault(metric, build, message):
    with pytest.raises(optnas.CandidateError, match=message):
        measure(metric, build)


def test_data_that_do_not_fit_are_refused():
    with pytest.raises(optnas.InputError, match=r"shape \(1, 4\), one example of images .*16, 16"):
        measure(ZeroCost("snip", data=IMAGES), partial(linear, 4, 2))
    with pytest.raises(optnas.InputError, match="as many outputs as targets"):
        measure(ZeroCost("snip", data=POINTS), partial(linear, 4, 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ZeroCost("zen"), "proxy must be one of synflow, naswot, .*, trainability, got"),
        (lambda: ZeroCost("snip", batch_size=0), "batch_size must be a whole number of at least 1"),
        (lambda: ZeroCost("snip", data=POINTS.train), r"data must be a Dataset \(optnas.arrays"),
        (lambda: ZeroCost("synflow", data=POINTS), "synflow looks at no data"),
    ],
)
def test_wrong_settings_are_refused(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_an_unknown_name_is_refused_with_the_known_ones(space, evaluator):
    with pytest.raises(ValueError, match=r"unknown .*'synflo'.*grad_norm.*naswot.*snip.*synflow"):
        optnas.Objective(space, evaluator, ("loss", "synflo"))
