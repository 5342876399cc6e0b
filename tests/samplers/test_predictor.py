"""The predictor's parts, against something independent, and what it does in a search."""

import math
from dataclasses import replace
from random import Random

import numpy as np
import optuna
import pytest
from hypothesis import given, settings, strategies as st
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import FixedTrial
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

import optnas
from optnas.pareto.hypervolume import gains, hypervolume_of
from optnas.samplers import PredictorSampler
from optnas.samplers.encoding import ABSENT, by_rank, encode
from optnas.samplers.gaussian_process import CHOICES, JITTER, GaussianProcess, Term
from optnas.samplers.learned_space import learned_space
from optnas.samplers.proposals import complete

CONV = CategoricalDistribution(["conv", "pool", "none"])
WIDTH = IntDistribution(8, 64, step=8)


def genes(**values):
    return {n: (WIDTH if "width" in n else CONV, value) for n, value in values.items()}


class TestGaussianProcess:
    def process(self, smooth=True, points=12):
        rng = np.random.default_rng(0)
        x = rng.uniform(-1, 1, (points, 2))
        process = GaussianProcess([Term(("x",), smooth)], {"x": x}, np.sin(3 * x).sum(1), 100)
        return process, x, np.sin(3 * x).sum(1)

    def test_predicts_as_scikit_learn_does(self):
        process, x, y = self.process()
        noise, scale, *weights = np.exp(process._theta)
        kernel = ConstantKernel(scale) * Matern(1 / np.sqrt(weights), nu=2.5)
        reference = GaussianProcessRegressor(
            kernel + WhiteKernel(noise + JITTER), optimizer=None, alpha=0.0, normalize_y=True
        ).fit(x, y)
        asked = np.random.default_rng(1).uniform(-1, 1, (20, 2))
        mean, deviation = process.predict({"x": asked})
        expected, noisy = reference.predict(asked, return_std=True)
        assert mean == pytest.approx(expected, abs=1e-6)
        without_noise = np.sqrt(noisy**2 - (noise + JITTER) * y.std() ** 2)
        assert deviation == pytest.approx(without_noise, abs=1e-4)

    @pytest.mark.parametrize("smooth", [True, False])
    def test_its_fit_is_a_mode_of_the_posterior(self, smooth):
        """A step in any direction from where it is fitted lowers likelihood times prior."""
        process, x, y = self.process(smooth)
        scaled = (y - y.mean()) / y.std()
        medians, spreads = process._priors()

        def log_posterior(theta):
            kernel = process._kernel({"x": x}, theta)
            kernel += (np.exp(theta[0]) + JITTER) * np.eye(len(x))
            _, determinant = np.linalg.slogdet(kernel)
            fit = scaled @ np.linalg.solve(kernel, scaled)
            return -0.5 * (fit + determinant + (((theta - medians) / spreads) ** 2).sum())

        best = log_posterior(process._theta)
        for direction in np.vstack([np.eye(len(medians)), -np.eye(len(medians))]):
            assert log_posterior(process._theta + 0.05 * direction) < best + 1e-3

    def test_leave_one_out_is_what_leaving_one_out_gives(self):
        process, x, _ = self.process(points=7)
        kernel = process._kernel({"x": x}, process._theta)
        kernel += (np.exp(process._theta[0]) + JITTER) * np.eye(7)
        total, y = 0.0, process._targets
        for i in range(7):
            others = [j for j in range(7) if j != i]
            weights = np.linalg.solve(kernel[np.ix_(others, others)], kernel[others, i])
            mean, variance = weights @ y[others], kernel[i, i] - weights @ kernel[others, i]
            total += -0.5 * (math.log(variance) + (y[i] - mean) ** 2 / variance)
        assert process.leave_one_out(0.0) == pytest.approx(total)

    def test_a_covariance_is_the_formula_pair_by_pair(self):
        """Categories, positions in a range, absent parameters and counts, in one kernel."""
        rng = np.random.default_rng(3)
        x = {
            CHOICES: np.hstack(
                [rng.integers(-1, 5, (9, 3)).astype(float), rng.choice([-1, 0.2, 0.5], (9, 2))]
            ),
            "counts": rng.normal(size=(9, 2)),
        }
        terms = [Term((CHOICES, "counts"), smooth=False), Term(("counts",), smooth=False)]
        process = GaussianProcess(terms, x, rng.normal(size=9), 5)
        asked = {name: rows[2:6] for name, rows in x.items()}
        theta = process._theta + rng.normal(size=len(process._theta))
        choice, count, alone = np.exp(theta[2:7]), np.exp(theta[7:9]), np.exp(theta[10:])
        for i, row in enumerate(process._kernel(asked, theta), 2):
            for j, covariance in enumerate(row):
                apart = np.minimum(np.abs(x[CHOICES][i] - x[CHOICES][j]), 1.0)
                squared = (x["counts"][i] - x["counts"][j]) ** 2
                first = np.exp(theta[1] - choice @ apart - count @ squared)
                assert covariance == pytest.approx(first + np.exp(theta[9] - alone @ squared))

    def test_one_target_and_constant_ones(self):
        for y in ([3.0], [2.0, 2.0, 2.0]):
            x = {CHOICES: np.arange(float(len(y)))[:, None]}
            mean, deviation = GaussianProcess([Term((CHOICES,), False)], x, np.array(y), 9).predict(
                x
            )
            assert mean == pytest.approx(y)
            assert np.isfinite(deviation).all()


class TestEncoding:
    def test_choices_differ_by_one_wherever_categories_do(self):
        table, _ = encode(
            [genes(a="conv", width=8), genes(a="none", width=64), genes(width=36), genes(a="pool")]
        )
        distance = np.minimum(np.abs(table[:, None] - table[None]), 1.0)
        assert (distance[:, :, 0] == 1 - np.eye(4)).all()
        assert 0 < distance[0, 1, 1] < 1
        assert (distance[3, :3, 1] == 1).all()
        assert table[3, 1] == ABSENT

    def test_counts_what_parameters_of_one_kind_chose(self):
        _, table = encode(
            [
                genes(**{"layer0.op": "conv", "layer1.op": "conv", "other": "pool", "width": 8}),
                genes(**{"layer1.op": "conv", "layer0.op": "none", "other": "none"}),
                genes(**{"layer0.op": "pool"}),
            ]
        )
        assert table * 0.6 * 2**0.5 == pytest.approx(np.array([[2, 0, 0], [1, 0, 1], [0, 1, 0]]))

    @given(st.lists(st.floats(allow_nan=True), min_size=1, max_size=20))
    def test_ranks_follow_the_values(self, values):
        column = np.array(values)[:, None]
        ranked = by_rank(column)[:, 0]
        assert np.isfinite(ranked).all()
        assert (np.abs(ranked) <= 3**0.5).all()
        finite = [i for i, v in enumerate(values) if math.isfinite(v)]
        for i in finite:
            for j in finite:
                assert values[i] >= values[j] or ranked[i] < ranked[j]


@settings(deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda m: st.tuples(
            st.lists(st.tuples(*[st.integers(0, 5)] * m), max_size=6),
            st.lists(st.tuples(*[st.integers(0, 5)] * m), min_size=1, max_size=5),
        )
    )
)
def test_gains_are_differences_of_hypervolumes(drawn):
    points = np.array(drawn[1], dtype=float)
    front = np.array(drawn[0], dtype=float).reshape(-1, points.shape[1])
    reference = np.full(points.shape[1], 4.5)
    before = hypervolume_of(front, reference)
    expected = [hypervolume_of(np.vstack([front, p]), reference) - before for p in points]
    found = gains(points, front, reference)
    if max(expected) > 1e-9:
        assert found == pytest.approx(expected, abs=1e-9)
    else:
        assert (found <= 0).all()


def conditional(trial):
    for i in range(trial.suggest_int("depth", 1, 3)):
        if trial.suggest_categorical(f"op{i}", ["conv", "pool"]) == "conv":
            trial.suggest_int(f"width{i}", 1, 4)


def test_a_space_is_learned_from_its_trials():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    rng, seen = Random(0), []
    for _ in range(60):
        seen.append(complete(conditional, {}, rng)[0])
    suggest = learned_space(seen)
    for _ in range(40):
        trial = study.ask()
        suggest(trial)
        fixed = FixedTrial(trial.params)
        conditional(fixed)
        assert fixed.params.keys() == trial.params.keys()


def test_what_a_space_gives_up_on_is_not_proposed():
    def space(trial):
        if trial.suggest_categorical("a", list("xyz")) == "x":
            raise optuna.TrialPruned
        trial.suggest_categorical("b", list("uvw"))

    def objective(trial):
        space(trial)
        return len(trial.params), 1.0

    study = optuna.create_study(
        directions=["minimize"] * 2, sampler=PredictorSampler(space, seed=0)
    )
    study.optimize(objective, n_trials=6)
    assert all(t.params["a"] != "x" for t in study.trials)


def test_costs_are_taken_as_exact():
    """Once the error is understood, nothing that costs more than what is known is tried."""
    names = [f"edge{i}" for i in range(5)]
    sizes = {"none": 0, "small": 1, "large": 100}
    asked = []

    def space(trial):
        return [trial.suggest_categorical(name, list(sizes)) for name in names]

    def costs(params):
        asked.append(str(params))
        return {1: 1.0 + sum(sizes[params[name]] for name in names)}

    def objective(trial):
        drawn = space(trial)
        return 10.0 - drawn.count("small"), costs(trial.params)[1]

    study = optuna.create_study(
        directions=["minimize"] * 2, sampler=PredictorSampler(space, costs, seed=1)
    )
    study.optimize(objective, n_trials=25)
    best = {tuple(t.values) for t in study.best_trials}
    assert {(10.0 - n, 1.0 + n) for n in range(6)} == best
    # Those that the sampler asks for are remembered; the objective asks once more for each trial.
    assert len(asked) <= len(set(asked)) + 25


def test_a_mistake_in_the_costs_shows():
    def costs(params):
        return {1: params["typo"]}

    sampler = PredictorSampler(batch_space, costs, n_startup_trials=3, seed=0)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    with pytest.raises(KeyError, match="typo"):
        study.optimize(batch_objective, n_trials=5)


def test_a_batch_is_diverse():
    """What runs counts as if it had turned out as predicted: the next is something else."""
    study = optuna.create_study(
        directions=["minimize"] * 2, sampler=PredictorSampler(batch_space, seed=0)
    )
    study.optimize(batch_objective, n_trials=20)
    batch = [study.ask() for _ in range(6)]
    values = {tuple(np.round(batch_objective(trial), 6)) for trial in batch}
    assert len({str(t.params) for t in batch}) == 6
    assert len(values) > 3


def batch_space(trial):
    return [trial.suggest_int(f"x{i}", 0, 9) for i in range(3)]


def batch_objective(trial):
    x = batch_space(trial)
    return sum((v - 2) ** 2 for v in x) + 1.0, sum((v - 7) ** 2 for v in x) + 1.0


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (
            {"n_startup_trials": 0},
            ValueError,
            "n_startup_trials must be a whole number",
        ),
        ({"n_candidates": 0}, ValueError, "n_candidates must be"),
        ({"space": 3}, TypeError, "space must be a SearchSpace or a function"),
        ({"costs": {}}, TypeError, "costs must be a function"),
    ],
)
def test_wrong_settings(wrong, error, message):
    with pytest.raises(error, match=message):
        PredictorSampler(**wrong)


def test_a_search_gives_it_what_it_knows(search):
    given = replace(search, sampler="predictor", trials=9)
    study = given.run(progress=False)
    named = [t.params for t in study.trials]
    given = replace(search, sampler=optnas.PredictorSampler(), trials=9, storage=InMemoryStorage())
    assert [t.params for t in given.run(progress=False).trials] == named
    sampler = given.open().sampler
    params = named[0]
    assert sampler._costs(params) == {1: study.trials[0].values[1]}
    assert set(sampler._proxies(params)) == {"synflow", "live_params", "naswot", "grad_norm"}
