import math

import optuna
import pytest
from docstrings import examples
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)
from optuna.trial import FixedTrial

from optnas import samplers
from optnas.errors import InputError
from optnas.samplers import (
    SAMPLERS,
    LocalSearchSampler,
    PredictorSampler,
    QLearningSampler,
    RegularizedEvolutionSampler,
    ReinforceSampler,
    ReseededSampler,
    Stage,
    StagedSampler,
    make_sampler,
)
from optnas.testing import ChildContract, HistorySamplerContract, SamplerContract
from optnas.testing.samplers import OTHER_SPACES


class OptunaSuite(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    """What Optuna asks of every sampler."""

    @pytest.fixture
    def sampler(self):
        return lambda: self.make(0)


class TestEvolution(HistorySamplerContract, ChildContract, OptunaSuite):
    def make(self, seed):
        return RegularizedEvolutionSampler(seed=seed)


class TestGeneticAlgorithm(HistorySamplerContract, OptunaSuite):
    def make(self, seed):
        return RegularizedEvolutionSampler(
            seed=seed,
            aging=False,
            population_size=6,
            tournament_size=3,
            n_startup_trials=4,
            crossover=0.5,
        )


class TestLocalSearch(HistorySamplerContract, ChildContract, OptunaSuite):
    def make(self, seed):
        return LocalSearchSampler(seed=seed)


# Of the default 200, 40 it takes eight times as long; test_processes and test_predictor have those.
FEW = {"n_candidates": 24, "n_checked": 6}


class TestPredictor(HistorySamplerContract, OptunaSuite):
    """As it is in plain Optuna: everything is predicted."""

    def make(self, seed):
        return PredictorSampler(seed=seed, **FEW)


class TestPredictorThatKnows(HistorySamplerContract):
    """With the space, the second objective's exact value, and a proxy."""

    def make(self, seed, sign=1):
        def costs(params):
            return {1: sign * self.objective(FixedTrial(params))[1]}

        def proxies(params):
            return {"width": params["layer0.width"], "unknown": math.nan}

        return PredictorSampler(self.objective, costs, proxies=proxies, seed=seed, **FEW)

    def study(self, seed=7, directions=("minimize", "minimize"), trials=0, objective=None):
        sampler = self.make(seed, -1 if directions[-1] == "maximize" else 1)
        # With no trials to run, the test will run those of another space.
        other = objective in OTHER_SPACES or objective == self.small or not trials
        if other or len(directions) != 2:
            sampler = PredictorSampler(objective, seed=seed, **FEW)
        study = optuna.create_study(directions=list(directions), sampler=sampler)
        study.optimize(objective or self.objective, n_trials=trials)
        return study

    test_pickles = None  # what a test defines on the spot doesn't


class TestReinforce(HistorySamplerContract, OptunaSuite):
    def make(self, seed):
        return ReinforceSampler(seed=seed)


class TestQLearning(HistorySamplerContract, OptunaSuite):
    def make(self, seed):
        return QLearningSampler(seed=seed, schedule=20)


STAGES = [Stage("depth|kind|x.*", 8), Stage(".*width|n|rate", 8)]


@pytest.mark.filterwarnings("ignore:stages. no parameter")  # not each space has these
class TestStagedEvolution(HistorySamplerContract, OptunaSuite):
    def make(self, seed):
        return StagedSampler(RegularizedEvolutionSampler(seed=seed, n_startup_trials=4), STAGES)


@pytest.mark.filterwarnings("ignore:stages. no parameter")
class TestStagedTPE(HistorySamplerContract):
    """It repeats nothing either, which TPE alone does."""

    def make(self, seed):
        inner = ReseededSampler(
            lambda s: optuna.samplers.TPESampler(seed=s, multivariate=True, n_startup_trials=5)
        )
        return StagedSampler(inner, STAGES, seed=seed)

    test_pickles = None  # a function that is defined on the spot doesn't
    test_values_may_be_infinite_or_huge = None  # TPE overflows
    test_a_queued_value_may_be_infinite = None
    test_what_fails_is_avoided = None  # a hundred attempts of TPE take two seconds
    test_pruned_trials_are_not_repeated = None
    test_resumes_exactly_after_failures = None


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
        return ReseededSampler(
            lambda s: optuna.samplers.TPESampler(seed=s, multivariate=True, n_startup_trials=5),
            seed,
        )


class TestNSGAII(SamplerContract):
    def make(self, seed):
        return ReseededSampler(
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


@pytest.mark.parametrize(("place", "example"), list(examples(samplers)))
def test_examples_run(place, example):
    exec(compile(example, place, "exec"), {"__name__": place})


def test_a_name_that_is_unknown():
    ours = {"evolution", "gradient", "local_search", "predictor", "qlearning", "reinforce"}
    assert set(SAMPLERS) == ours | {"random", "tpe", "nsgaii", "nsgaiii", "gp"}
    with pytest.raises(InputError, match="unknown sampler 'tpee'; there are: predictor, "):
        make_sampler("tpee")
