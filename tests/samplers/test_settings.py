"""Settings of samplers that are out of range, or no numbers, are named at once."""

import math

import pytest

import optnas
from optnas.samplers import QLearningSampler, RegularizedEvolutionSampler, ReseededSampler
from optnas.samplers.gradient import RelaxedSettings

SAMPLERS = [
    optnas.GradientSampler,
    optnas.LocalSearchSampler,
    optnas.PredictorSampler,
    optnas.QLearningSampler,
    optnas.RegularizedEvolutionSampler,
    optnas.ReinforceSampler,
    lambda seed: ReseededSampler(lambda _: None, seed),
]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("seed", ["1", 1.5, -1, math.nan])
def test_a_seed_is_a_whole_number(sampler, seed):
    with pytest.raises(ValueError, match=rf"^seed must be a whole number of .* 0, got {seed!r}"):
        sampler(seed=seed)
    assert sampler(seed=2**70).seed == 2**70


@pytest.mark.parametrize(
    ("sampler", "setting", "wrong"),
    [
        (optnas.ReinforceSampler, "learning_rate", ("x", math.nan, math.inf, 0)),
        (optnas.ReinforceSampler, "entropy", ("x", math.nan, math.inf, -1)),
        (optnas.ReinforceSampler, "exponent", ("x", math.nan, -math.inf, 0)),
        (RelaxedSettings, "most_skips", ("x", math.nan, 2)),
        (QLearningSampler, "learning_rate", ("x", math.nan, 2)),
        (QLearningSampler, "random_share", ("x", math.nan, 1)),
        (QLearningSampler, "replays", ("x", math.nan, 1.5, -1)),
        (QLearningSampler, "memory", ("x", math.inf, 1.5, -1)),
        (RegularizedEvolutionSampler, "crossover", ("x", math.nan, 2)),
        (RegularizedEvolutionSampler, "population_size", ("x", math.inf, 50.5)),
        (RegularizedEvolutionSampler, "tournament_size", ("x", math.nan, 0)),
    ],
)
def test_a_number_that_cant_be_used_is_named(sampler, setting, wrong):
    for value in wrong:
        with pytest.raises(ValueError, match=rf"^{setting} .*{value}"):
            sampler(**{setting: value})


@pytest.mark.parametrize("targets", [[1], "flops", 3])
def test_targets_are_a_dictionary(targets):
    with pytest.raises(TypeError, match=r"targets must be a dictionary such as {'flops': 1e6}"):
        optnas.ReinforceSampler(targets=targets)


@pytest.mark.parametrize("target", ["x", math.nan, math.inf, 0])
def test_a_target_is_a_number(target):
    with pytest.raises(ValueError, match=rf"^targets\[1\] must be .*{target}"):
        optnas.ReinforceSampler(targets={1: target})


@pytest.mark.parametrize("key", [True, 1.0, -1, "macs"])
def test_a_target_is_for_an_objective(key):
    import optuna

    sampler = optnas.ReinforceSampler(targets={key: 1.0}, seed=0)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    with pytest.raises(ValueError, match=rf"targets: no objective {key!r}; there are: objective 0"):
        study.ask()
