"""The score that every other trial of the predictor looks beyond."""

import math

import numpy as np
import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.study import StudyDirection

from optnas.samplers.aim import median_loss
from optnas.samplers.scaling import signed_log

WIDTH = IntDistribution(1, 40)
SAMPLE = [{"width": (WIDTH, width)} for width in range(1, 41)]


def median_of(loss, widths=range(1, 41, 2), direction=StudyDirection.MINIMIZE):
    trials = [
        optuna.create_trial(
            params={"width": w}, distributions={"width": WIDTH}, values=[loss(w), 1.0]
        )
        for w in widths
    ]
    return median_loss(trials, SAMPLE, (direction, StudyDirection.MINIMIZE), 0)


def test_it_is_the_median_of_random_networks_wherever_the_trials_lie():
    assert median_of(float) == pytest.approx(20.5, rel=0.05)
    assert median_of(float, [*range(1, 10), 20, 30, 40]) == pytest.approx(20.5, rel=0.1)
    assert median_of(float, direction=StudyDirection.MAXIMIZE) == pytest.approx(-20.5, rel=0.05)


@pytest.mark.parametrize("loss", [0.0, 1.0, -1.0, math.inf, -math.inf])
def test_scores_that_are_all_the_same_set_no_limit(loss):
    assert median_of(lambda width: loss) == math.inf


def test_a_score_that_most_networks_reach_is_no_limit_or_a_worse_one():
    assert median_of(lambda width: 0.0 if width > 10 else 1.0) > 0.0


def test_excesses_over_a_limit_of_any_size_are_scaled():
    scaled = signed_log(np.array([-1e-309, 1e-309, 3e-309, 1e308]))
    assert np.isfinite(scaled).all()
    assert (np.diff(scaled) >= 0).all()
    assert signed_log(np.array([0.0, -2.0, 2.0])) == pytest.approx([0, -math.log(2), math.log(2)])
