"""Values on one step of a range are one value, however they are written: 0.3 and 0.1 * 3."""

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

import optnas
from optnas.samplers.ask import Ask
from optnas.samplers.encoding import encode
from optnas.samplers.history import History
from optnas.samplers.mutation import genes_of, was_tried
from optnas.samplers.repeats import Networks
from optnas.utils.distributions import as_key, holds, on_step, option, options

TENTHS = FloatDistribution(0, 1, step=0.1)
WRITTEN, COMPUTED = 0.3, 0.1 * 3


def with_x(x, distribution=TENTHS, state=TrialState.COMPLETE):
    values = [0.0] if state == TrialState.COMPLETE else None
    return create_trial(
        params={"x": x}, distributions={"x": distribution}, values=values, state=state
    )


def history(*trials):
    study = optuna.create_study()
    study.add_trials(trials)
    found, own = History(study), study.ask()
    found.update(study._storage.get_trial(own._trial_id))
    return found, study._storage.get_trial(own._trial_id)


@pytest.mark.parametrize(
    "sampler",
    [
        optnas.RegularizedEvolutionSampler,
        optnas.LocalSearchSampler,
        optnas.ReinforceSampler,
        optnas.QLearningSampler,
        optnas.PredictorSampler,
    ],
)
def test_no_sampler_draws_a_step_again_that_was_enqueued(sampler):
    study = optuna.create_study(sampler=sampler(seed=0))
    for x in (0.3, 0.6, 0.7):
        study.enqueue_trial({"x": x})
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1, step=0.1), n_trials=11)
    assert sorted(round(10 * trial.params["x"]) for trial in study.trials) == list(range(11))


def test_a_wider_range_has_the_steps_of_a_narrow_one():
    narrow, wide = FloatDistribution(0, 0.3, step=0.1), TENTHS
    found, _ = history(with_x(0.3, narrow), with_x(0.0, wide))
    assert was_tried(found.tried.root, genes_of(with_x(COMPUTED, wide)))


@pytest.mark.filterwarnings("ignore:The distribution is specified by:UserWarning")
@pytest.mark.parametrize("low", [0.0, 0.1 + 0.2, 1 / 3, -20.0, 1e-9])
@pytest.mark.parametrize("step", [0.1, 1 / 3, 1e-3, 2e7])
def test_each_step_has_one_key(low, step):
    distribution = FloatDistribution(low, low + 20 * step, step=step)
    n = options(distribution)
    drawn = [option(distribution, i) for i in range(n)]
    keys = {as_key(distribution, value) for value in drawn}
    assert len(keys) == n
    assert all(holds(distribution, key) for key in keys)
    assert [on_step(distribution, value) for value in drawn] == drawn
    assert {as_key(distribution, float(f"{value:.15g}")) for value in drawn[1:-1]} < keys


def test_values_between_the_steps_stay_as_they_are():
    found, _ = history(with_x(WRITTEN))
    assert not was_tried(found.tried.root, {"x": (TENTHS, 0.30001)})
    assert not was_tried(found.tried.root, {"x": (FloatDistribution(0, 1), COMPUTED)})


def test_a_value_that_was_fixed_is_found_by_its_step():
    trials = [with_x(0.1 * i) for i in range(11)]
    found, own = history(*trials)
    assert not Ask(found, 0, own).fix({"x": WRITTEN})


def test_trials_on_one_step_are_evaluations_of_one_network():
    networks = Networks()
    for x in (WRITTEN, COMPUTED, 0.4):
        networks.add(with_x(x))
    assert [len(group) for group in networks.repeated] == [2]


def test_the_predictor_sees_no_difference():
    codes, _ = encode([genes_of(with_x(x)) for x in (WRITTEN, COMPUTED, 0.4)])
    assert codes[0] == codes[1]
    assert codes[1] != codes[2]
    np.testing.assert_allclose(codes[:, 0] * 11, [3.5, 3.5, 4.5])


def test_failures_on_one_step_are_counted_together():
    xy = {"x": TENTHS, "y": TENTHS}
    whole = create_trial(params={"x": 0.0, "y": 0.0}, distributions=xy, values=[0.0])
    failed = [with_x(x, state=TrialState.FAIL) for x in (WRITTEN, COMPUTED, WRITTEN)]
    found, _ = history(whole, *failed)
    assert was_tried(found.tried.root, {"x": (TENTHS, COMPUTED)})
