import random
import subprocess
import sys

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from optnas.samplers.success import has_failed, success_model
from optnas.study.attributes import CURVE, STOPPED

SPACE = {f"op{i}": CategoricalDistribution(["a", "b", "c"]) for i in range(4)} | {
    "width": IntDistribution(8, 256, log=True)
}


def drawn(rng):
    """A finished trial, drawn at random."""
    params = {f"op{i}": rng.choice("abc") for i in range(4)}
    params["width"] = round(8 * 32 ** rng.random())
    return create_trial(value=1.0, params=params, distributions=SPACE)


def genes(trial):
    return {name: (trial.distributions[name], value) for name, value in trial.params.items()}


def likely(trials, failed, asked):
    """Which of some trials are more likely to succeed than to fail."""
    return success_model(trials, failed).probability([genes(t) for t in asked]) >= 0.5


@pytest.mark.parametrize("seed", range(3))
def test_it_finds_where_the_space_fails(seed):
    rng = random.Random(seed)
    trials, asked = ([drawn(rng) for _ in range(n)] for n in (40, 100))
    failed = [t.params["width"] > 64 for t in trials]
    right = likely(trials, failed, asked) == [t.params["width"] <= 64 for t in asked]
    assert np.mean(right) > 0.9


def test_failures_by_chance_condemn_little():
    share = []
    for seed in range(5):
        rng = random.Random(seed)
        trials, asked = ([drawn(rng) for _ in range(n)] for n in (60, 100))
        share += list(likely(trials, [rng.random() < 0.1 for _ in trials], asked))
    assert np.mean(share) > 0.85


@pytest.mark.parametrize("before", [0, 15])
def test_failures_whose_cause_was_mended_are_forgotten(before):
    rng = random.Random(0)
    trials = [drawn(rng) for _ in range(before + 20 + 5)]
    failed = [before <= i < before + 20 for i in range(len(trials))]
    assert np.mean(likely(trials, failed, [drawn(rng) for _ in range(100)])) > 0.95
    asked = trials[before : before + 20]  # those that failed
    assert np.mean(likely(trials, failed, asked)) > 0.7


def test_nothing_is_learned_until_some_fail_and_some_succeed():
    rng = random.Random(0)
    trials = [drawn(rng) for _ in range(3)]
    assert success_model([], []) is None
    assert success_model(trials, [False] * 3) is None
    assert success_model(trials, [True] * 3) is None
    single = create_trial(value=1.0, params={"n": 1}, distributions={"n": IntDistribution(1, 1)})
    assert success_model([single] * 2, [True, False]) is None


def test_parameters_that_no_trial_had_or_that_had_no_choice_tell_nothing():
    rng = random.Random(0)
    trials = [drawn(rng) for _ in range(10)]
    for trial in trials[:3]:  # its range grew since
        trial.params = {**trial.params, "n": 1}
        trial.distributions = {**trial.distributions, "n": IntDistribution(1, 1)}
    for trial in trials[3:]:
        trial.params = {**trial.params, "n": 2}
        trial.distributions = {**trial.distributions, "n": IntDistribution(1, 3)}
    model = success_model(trials, [i % 3 == 0 for i in range(10)])
    known = genes(trials[5])
    new = known | {f"op{i}": (CategoricalDistribution(["a", "b", "c"]), "a") for i in (7, 8)}
    one, other = model.probability([known, new])
    assert one == other == model.probability([known])[0]


@pytest.mark.parametrize(
    ("trial", "failed"),
    [
        ({"value": 1.0}, False),
        ({"state": TrialState.FAIL}, True),
        ({"state": TrialState.PRUNED}, True),
        ({"state": TrialState.PRUNED, "constraints": {"size": 1.0}}, False),
        ({"state": TrialState.PRUNED, "constraints": {"size": -1.0}}, True),
        ({"state": TrialState.PRUNED, "intermediate_values": {0: 1.0}}, False),
        ({"state": TrialState.PRUNED, "intermediate_values": {0: 1.0, 1: float("nan")}}, True),
        ({"state": TrialState.PRUNED, "user_attrs": {STOPPED: {"at_best": [1.0]}}}, False),
        ({"state": TrialState.PRUNED, "user_attrs": {CURVE: [{"step": 1, "loss": 1.0}]}}, False),
    ],
)
def test_what_counts_as_a_failure(trial, failed):
    constraints = trial.pop("constraints", {})
    study = optuna.create_study()
    study.add_trial(create_trial(**({"state": TrialState.COMPLETE} | trial)))
    if constraints:
        study = optuna.create_study()
        running = study.ask()
        for name, value in constraints.items():
            running.set_constraint(name, value)
        study.tell(running, state=TrialState.PRUNED)
    assert has_failed(study.trials[0]) == failed


def test_a_study_without_failures_imports_no_scipy_for_them():
    code = """
import sys, optuna, optnas
study = optuna.create_study(sampler=optnas.RegularizedEvolutionSampler(seed=0))
study.optimize(lambda trial: trial.suggest_int("x", 1, 9), n_trials=15)
assert "scipy.optimize" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_newest_200_trials_are_learned_from():
    rng = random.Random(0)
    trials = [drawn(rng) for _ in range(230)]
    assert success_model(trials, [i < 30 for i in range(230)]) is None
    assert success_model(trials, [i < 31 for i in range(230)]) is not None
