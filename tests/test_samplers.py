import optuna
import pytest
from contracts import SamplerContract

from optnas.errors import InputError
from optnas.samplers import SAMPLERS, PlacedSampler, make_sampler


class TestRandom(SamplerContract):
    relative = False

    def make(self, seed):
        return make_sampler("random", seed)


class TestTPE(SamplerContract):
    relative = False

    def make(self, seed):
        return make_sampler("tpe", seed)


class TestMultivariateTPE(SamplerContract):
    def make(self, seed):
        return PlacedSampler(
            lambda s: optuna.samplers.TPESampler(seed=s, multivariate=True, n_startup_trials=5),
            seed,
        )


class TestNSGAII(SamplerContract):
    def make(self, seed):
        return PlacedSampler(
            lambda s: optuna.samplers.NSGAIISampler(seed=s, population_size=6), seed
        )


class TestNSGAIII(SamplerContract):
    def make(self, seed):
        return make_sampler("nsgaiii", seed)


class TestGP(SamplerContract):
    def make(self, seed):
        return make_sampler("gp", seed)

    def params(self, seed, cuts, total=13):
        return super().params(seed, [c for c in cuts if c < total], total)


def test_a_name_that_is_unknown():
    assert set(SAMPLERS) == {"random", "tpe", "nsgaii", "nsgaiii", "gp"}
    with pytest.raises(InputError, match="unknown sampler 'tpee'; there are: random, tpe"):
        make_sampler("tpee")
