"""Samplers learn from the mean of a network's evaluations, and from how sure it is."""

import numpy as np
import optuna
import pytest
from hypothesis import given, strategies as st
from optuna.distributions import IntDistribution
from optuna.trial import TrialState, create_trial
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from optnas.pareto.confirmed import keep_repeat
from optnas.pareto.noise import interval
from optnas.samplers.acquisition import Predictor
from optnas.samplers.gaussian_process import JITTER, GaussianProcess, Noise, Term
from optnas.samplers.history import History
from optnas.samplers.known import Known
from optnas.samplers.mutation import values_of
from optnas.samplers.repeats import Mean, Networks, relative_errors

WIDTH = IntDistribution(1, 9)


def pooled(trials, means):
    networks = Networks()
    for trial in trials:
        networks.add(trial)
    return networks.pooled(trials, means)


def finished(width, *values, state=TrialState.COMPLETE, number=0, **attrs):
    trial = create_trial(
        state=state,
        params={"width": width},
        distributions={"width": WIDTH},
        values=values or None,
        user_attrs=attrs,
    )
    trial.number = number
    return trial


def study_of(*rows, **kwargs):
    study = optuna.create_study(directions=["minimize"] * 2, **kwargs)
    study.set_metric_names(["loss", "ms"])
    for width, *values in rows:
        study.add_trial(finished(width, *values))
    return study


def history_of(study):
    history = History(study)
    history.update(finished(1, number=-1, state=TrialState.RUNNING))
    return history


class TestGaussianProcess:
    def known(self):
        rng = np.random.default_rng(0)
        x = rng.uniform(-1, 1, (14, 2))
        noise = Noise(rng.integers(1, 6, 14).astype(float), rng.uniform(0, 0.4, 14))
        process = GaussianProcess([Term(("x",))], {"x": x}, np.sin(3 * x).sum(1), 100, noise)
        return process, x, np.sin(3 * x).sum(1), noise

    def test_predicts_as_scikit_learn_does(self):
        process, x, y, noise = self.known()
        fitted, scale, *weights = np.exp(process._theta)
        kernel = ConstantKernel(scale) * Matern(1 / np.sqrt(weights), nu=2.5)
        variance = fitted / noise.evaluations + (noise.errors / y.std()) ** 2 + JITTER
        reference = GaussianProcessRegressor(
            kernel, optimizer=None, alpha=variance, normalize_y=True
        ).fit(x, y)
        asked = np.random.default_rng(1).uniform(-1, 1, (20, 2))
        mean, deviation = process.predict({"x": asked})
        expected, spread = reference.predict(asked, return_std=True)
        assert mean == pytest.approx(expected, abs=1e-6)
        assert deviation == pytest.approx(spread, abs=1e-4)

    def test_its_fit_is_a_mode_of_the_posterior(self):
        process, x, y, noise = self.known()
        scaled = (y - y.mean()) / y.std()
        medians, spreads = process._priors()

        def log_posterior(theta):
            kernel = process._kernel({"x": x}, theta)
            variance = np.exp(theta[0]) / noise.evaluations + (noise.errors / y.std()) ** 2
            kernel += np.diag(variance + JITTER)
            _, determinant = np.linalg.slogdet(kernel)
            fit = scaled @ np.linalg.solve(kernel, scaled)
            return -0.5 * (fit + determinant + (((theta - medians) / spreads) ** 2).sum())

        best = log_posterior(process._theta)
        for direction in np.vstack([np.eye(len(medians)), -np.eye(len(medians))]):
            assert log_posterior(process._theta + 0.05 * direction) < best + 1e-3

    def test_it_believes_a_mean_of_many_more_than_one_evaluation(self):
        x = {"x": np.repeat(np.arange(6.0), 2)[:, None]}
        y = np.tile([0.0, 1.0], 6)
        counts = np.tile([50.0, 1.0], 6)
        mean, _ = GaussianProcess([Term(("x",))], x, y, 100, Noise(counts, np.zeros(12))).predict(x)
        plain, _ = GaussianProcess([Term(("x",))], x, y, 100).predict(x)
        assert plain == pytest.approx(0.5, abs=0.1)
        assert (mean < 0.2).all()


class TestPooled:
    @given(
        st.lists(
            st.tuples(st.integers(1, 3), st.floats(-1e3, 1e3), st.integers(1, 5)),
            min_size=1,
            max_size=12,
        )
    )
    def test_it_is_the_mean_of_all_evaluations(self, rows):
        trials = [finished(w, v, 7.0, number=i) for i, (w, v, _) in enumerate(rows)]
        means = {i: Mean((v, 7.0), n) for i, (_, v, n) in enumerate(rows) if n > 1}
        found, counts = pooled(trials, means)
        assert [t.params["width"] for t in found] == list(dict.fromkeys(w for w, *_ in rows))
        for trial in found:
            every = [x for w, v, n in rows if w == trial.params["width"] for x in [v] * n]
            assert trial.values == pytest.approx([np.mean(every), 7.0])
            assert trial.values[1] == 7.0  # a count stays exact
            assert counts.get(trial.number, 1) == len(every)

    def test_only_feasible_complete_trials_are_pooled(self):
        trials = [
            finished(3, 1.0, 1.0, number=0),
            finished(3, state=TrialState.PRUNED, number=1),
            finished(3, 5.0, 1.0, number=2),
            finished(3, 9.0, 1.0, number=3),
        ]
        trials[3].set_constraint("size", 1.0)
        found, counts = pooled(trials, {})
        assert [t.number for t in found] == [0, 1, 3]
        assert found[0].values == [3.0, 1.0]
        assert counts == {0: 2}
        assert trials[0].values == [1.0, 1.0]  # the study's own trial is as it was

    def test_choices_that_cannot_be_hashed(self):
        with pytest.warns(UserWarning, match="Choices for a categorical distribution should be"):
            kinds = optuna.distributions.CategoricalDistribution([[3, 5], [7]])
        trials = [
            create_trial(params={"k": k}, distributions={"k": kinds}, values=[value])
            for k, value in (([3, 5], 1.0), ([7], 2.0), ([3, 5], 3.0))
        ]
        for number, trial in enumerate(trials):
            trial.number = number
        found, counts = pooled(trials, {})
        assert [t.values for t in found] == [[2.0], [2.0]]
        assert counts == {0: 2}

    def test_infinite_values_have_a_mean(self):
        found = Mean.of([(np.inf, 1.0), (2.0, 1.0)], [1, 1])
        assert found == Mean((np.inf, 1.0), 2)


class TestHistory:
    def test_a_confirmed_trial_has_the_mean_of_its_evaluations(self):
        study = study_of((1, 0.2, 4.0), (2, 0.5, 3.0))
        history = history_of(study)
        for seed, loss in enumerate([0.5, 0.8]):
            keep_repeat(study, 0, seed, {"loss": loss}, like_search=True)
        keep_repeat(study, 1, 0, {"loss": 9.0, "ms": 1.0})  # with other settings
        for found in (history, history_of(study)):
            found.update(finished(1, number=-1, state=TrialState.RUNNING))
            assert [t.values for t in found.trials] == [[pytest.approx(0.5), 4.0], [0.5, 3.0]]
            assert {n: mean.n for n, mean in found.repeats.means.items()} == {0: 3}
        assert study.trials[0].values == [0.2, 4.0]

    def test_what_was_learned_before_is_learned_again(self):
        study = study_of((1, 0.2, 4.0), (2, 0.5, 3.0))
        history = history_of(study)

        def losses(history):
            return history.fold(start, lambda seen, trial: seen.append(trial.values[0]))

        def start(history):
            return []

        assert losses(history) == [0.2, 0.5]
        keep_repeat(study, 0, 0, {"loss": 0.6}, like_search=True)
        history.update(finished(1, number=-1, state=TrialState.RUNNING))
        assert losses(history) == pytest.approx([0.4, 0.5])


def test_the_error_of_a_measured_value_is_a_quarter_of_its_interval():
    trials = [
        finished(1, 0.5, 4.0, **{"detail:ms": {"interval": [3.0, 5.0]}}),
        finished(2, 0.5, 4.0),
    ]
    assert relative_errors(trials, ["loss", "ms"]) == pytest.approx(
        np.array([[0, 0.25 / 1.96], [0, 0]])
    )
    assert relative_errors([], ["loss", "ms"]).shape == (0, 2)


def parents(study):
    history = history_of(study)
    tried, counts = pooled(history.trials, history.repeats.means)
    limits = np.full(2, np.inf)
    predictor = Predictor(tried, [], study, counts, Known(None, None), limits, None, None)
    return [values_of(genes)["width"] for genes in predictor.parents]


def test_a_lucky_network_is_no_parent_once_it_was_confirmed():
    study = study_of((1, 0.2, 4.0), (2, 0.5, 3.0), (3, 0.4, 3.5))
    assert parents(study) == [1, 2, 3]
    for seed in range(3):
        keep_repeat(study, 0, seed, {"loss": 0.6}, like_search=True)
    assert parents(study) == [2, 3]


def test_a_lucky_network_is_no_parent_once_it_was_drawn_again():
    study = study_of((1, 0.2, 4.0), (2, 0.5, 3.0), (3, 0.4, 3.5), (1, 0.8, 4.0))
    assert parents(study) == [2, 3]


def test_a_member_of_the_front_by_noise_is_no_parent():
    study = study_of((1, 0.2, 4.0), (2, 0.5, 3.0))
    measured = {"detail:ms": {"interval": [3.4, 4.4]}}
    study.add_trial(finished(3, 0.3, 3.9, **measured))
    assert parents(study) == [1, 2]
    study.add_trial(finished(4, 0.3, 3.9))
    assert parents(study) == [1, 2, 4]


def test_the_interval_of_a_mean_is_that_of_a_measurement_over_the_root_of_their_number():
    study = study_of((1, 0.4, 4.0), (2, 0.5, 3.0))
    detail = {"interval": [3.0, 5.0], "passes": 9}
    study.add_trial(finished(3, 0.3, 4.0, **{"detail:ms": detail}))
    for seed in range(3):
        values = {"loss": 0.3, "ms": 6.0} if seed < 2 else {"loss": 0.3, "ms": 4.0}
        keep_repeat(study, 2, seed, values, like_search=True)
    history = history_of(study)
    trial = next(t for t in history.trials if t.number == 2)
    assert trial.values == [pytest.approx(0.3), 5.0]
    assert interval(trial, "ms") == (4.5, 5.5)  # ±1 of one measurement, of four
    assert relative_errors([trial], ["loss", "ms"])[0, 1] == pytest.approx(0.1 / 1.96)
    assert trial.user_attrs["detail:ms"]["passes"] == 9
    assert interval(study.trials[2], "ms") == (3.0, 5.0)


def test_the_interval_stays_of_what_was_not_measured_again():
    study = study_of((1, 0.4, 4.0))
    study.add_trial(finished(2, 0.3, 4.0, **{"detail:ms": {"interval": [3.0, 5.0]}}))
    keep_repeat(study, 1, 0, {"loss": 0.5}, like_search=True)
    trial = history_of(study).trials[1]
    assert trial.values == [0.4, 4.0]
    assert interval(trial, "ms") == (3.0, 5.0)


def test_a_confirmed_network_is_compared_by_the_interval_of_its_mean():
    study = study_of((2, 0.5, 1.0))
    study.add_trial(finished(1, 0.4, 3.5, **{"detail:ms": {"interval": [2.0, 5.0]}}))
    study.add_trial(finished(3, 0.3, 6.0, **{"detail:ms": {"interval": [4.5, 7.5]}}))
    assert parents(study) == [2, 3]  # 3 may be as fast as 1, and loses less
    for seed in range(8):
        keep_repeat(study, 1, seed, {"loss": 0.4, "ms": 3.5}, like_search=True)
        keep_repeat(study, 2, seed, {"loss": 0.3, "ms": 6.0}, like_search=True)
    assert parents(study) == [2, 1, 3]
