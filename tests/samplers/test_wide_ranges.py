"""Ranges whose width, or the distance between two of whose values, is larger than any float."""

import sys
from random import Random

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution

import optnas
from optnas.utils.distributions import (
    as_key,
    contains,
    from_unit,
    option,
    option_number,
    options,
    to_unit,
)
from optnas.utils.draws import draw, move

LARGEST = sys.float_info.max
WIDE = [
    FloatDistribution(-1e308, 1e308),
    FloatDistribution(-LARGEST, LARGEST),
    FloatDistribution(-1e308, 1e308, step=1e307),
    FloatDistribution(-1.7e308, 1.7e308, step=1.7e308),
    FloatDistribution(0, 1.79e308, step=1.79e307),
    FloatDistribution(5e-324, LARGEST, log=True),
    IntDistribution(-(10**307), 10**308),
]


@pytest.mark.parametrize("distribution", WIDE, ids=str)
def test_positions_are_shares_of_the_range(distribution):
    low, high = distribution.low, distribution.high
    ends = [to_unit(distribution, value) for value in (low, high)]
    half_a_step = 0.5 / options(distribution) if distribution.step else 0.0
    assert ends == pytest.approx([half_a_step, 1 - half_a_step])
    assert from_unit(distribution, 0.0) == pytest.approx(low)
    assert from_unit(distribution, 1.0) == pytest.approx(high)
    assert to_unit(distribution, from_unit(distribution, 0.5)) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("distribution", WIDE, ids=str)
def test_values_are_drawn_from_all_of_the_range(distribution):
    rng = Random(0)
    drawn = [draw(rng, distribution) for _ in range(300)]
    moved = [move(rng, distribution, value) for value in drawn]
    for value in [*drawn, *moved]:
        assert contains(distribution, value)
    assert all(before != after for before, after in zip(drawn, moved, strict=True))
    units = [to_unit(distribution, value) for value in drawn]
    assert min(units) < 0.25
    assert max(units) > 0.75


def test_steps_are_counted():
    distribution = FloatDistribution(-1e308, 1e308, step=1e307)
    assert options(distribution) == 21
    values = [option(distribution, i) for i in range(21)]
    assert values == pytest.approx([(i - 10) * 1e307 for i in range(21)])
    assert [option_number(distribution, value) for value in values] == list(range(21))
    assert not contains(distribution, 5e306)
    assert not contains(distribution, float("inf"))
    assert as_key(distribution, values[3]) == values[3]


@pytest.mark.parametrize(
    "sampler",
    [
        optnas.ReinforceSampler,
        optnas.QLearningSampler,
        optnas.RegularizedEvolutionSampler,
        optnas.LocalSearchSampler,
        optnas.PredictorSampler,
    ],
)
def test_samplers_search_wide_ranges(sampler):
    def objective(trial):
        x = trial.suggest_float("x", -1e308, 1e308)
        y = trial.suggest_float("y", -1e308, 1e308, step=1e307)
        z = trial.suggest_float("z", 5e-324, LARGEST, log=True)
        return abs(x / 4 - y / 4), z

    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler(seed=0))
    study.optimize(objective, n_trials=25)
    for name in ("x", "y", "z"):
        assert len({trial.params[name] for trial in study.trials}) > 3
    assert min(trial.params["x"] for trial in study.trials) < -1e307
    assert max(trial.params["x"] for trial in study.trials) > 1e307
