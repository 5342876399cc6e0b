"""What every sampler must do, so that studies resume exactly and may hold baselines."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import BaseTrial, FrozenTrial

from optnas.study.attributes import BASELINE, SEED
from optnas.testing.common import missing

Objective = Callable[[optuna.Trial], float | Sequence[float]]
"""What `study.optimize` calls on each trial."""

SEED_OF_WHOLE = 7
"""The seed of the study that others are compared with."""


class SamplerContract:
    """What any sampler of optnas must do, one of Optuna's in a `ReseededSampler` included.

    To define: `make(seed)`, which returns a new sampler.

    Attributes:
        relative: Whether the sampler gives the parameters that all trials have in one go
            (`infer_relative_search_space` isn't empty).

    Example:
        ```python
        import optuna

        from optnas.samplers import ReseededSampler
        from optnas.testing import SamplerContract


        class TestMySampler(SamplerContract):
            relative = False

            def make(self, seed):
                return ReseededSampler(lambda s: optuna.samplers.TPESampler(seed=s), seed)
        ```
    """

    relative: bool = True
    _whole: list[FrozenTrial]

    def make(self, seed: int | None) -> BaseSampler:
        """Returns a new sampler with this seed; with None it takes the one that the study keeps."""
        raise NotImplementedError(missing(self, "make(seed), which returns a new sampler"))

    @staticmethod
    def objective(trial: BaseTrial) -> tuple[float, float]:
        """Two objectives over a conditional space, deterministic."""
        depth = trial.suggest_int("depth", 1, 3)
        widths = [trial.suggest_categorical(f"layer{i}.width", [1, 2, 4]) for i in range(depth)]
        rate = trial.suggest_float("rate", 1e-3, 1e-1, log=True)
        return abs(math.log10(rate) + 2) + 1 / sum(widths), float(sum(widths))

    def params(
        self,
        seed: int,
        cuts: Sequence[int],
        total: int = 24,
        objective: Objective | None = None,
    ) -> list[dict[str, Any]]:
        """The parameters of a study's trials, which are run in pieces.

        Args:
            seed: The sampler's.
            cuts: Numbers of trials after which the study is opened anew, with a new sampler.
            total: How many trials there are in the end.
            objective: What they run, if it isn't `objective` of this class.
        """
        if seed == SEED_OF_WHOLE and not cuts and objective is None:
            return [trial.params for trial in self.whole(total)]
        return [trial.params for trial in self.trials(seed, cuts, total, objective)]

    def whole(self, total: int = 24) -> list[FrozenTrial]:
        """The trials of a study with seed 7 that nothing interrupts; a class runs them once."""
        known: list[FrozenTrial] = vars(type(self)).get("_whole", [])
        if len(known) < total:
            known = self.trials(SEED_OF_WHOLE, [], total)
            type(self)._whole = known
        return known[:total]

    def after(self, trials: int) -> Study:
        """A study in memory with a new sampler, after the first trials of `whole`."""
        study = optuna.create_study(directions=["minimize"] * 2, sampler=self.make(SEED_OF_WHOLE))
        study.add_trials(self.whole()[:trials])
        return study

    def trials(
        self,
        seed: int,
        cuts: Sequence[int],
        total: int,
        objective: Objective | None = None,
    ) -> list[FrozenTrial]:
        """The trials of a study that is run in pieces; the arguments are those of `params`."""
        storage = optuna.storages.InMemoryStorage()
        done = 0
        for cut in [*cuts, total]:
            study = optuna.create_study(
                study_name="s",
                storage=storage,
                directions=["minimize"] * 2,
                sampler=self.make(seed),
                load_if_exists=True,
            )
            study.optimize(objective or self.objective, n_trials=cut - done)
            done = cut
        return study.trials

    def test_resumes_exactly(self) -> None:
        whole = self.params(7, [])
        assert self.params(7, [1, 5, 17]) == whole
        assert self.params(8, [], 3) != whole[:3]

    def test_an_omitted_seed_is_kept_in_the_study(self) -> None:
        study = optuna.create_study(directions=["minimize"] * 2, sampler=self.make(None))
        study.optimize(self.objective, n_trials=2)
        assert study.user_attrs[SEED] >= 0

    def test_baselines_leave_no_trace(self) -> None:
        """With trials of hand-made networks, the same parameters are sampled relatively."""
        spaces = []
        for baselines in (0, 2):
            study = optuna.create_study(directions=["minimize"] * 2, sampler=self.make(7))
            for i in range(baselines):
                study.add_trial(
                    optuna.create_trial(values=[0.1, i], params={}, user_attrs={BASELINE: str(i)})
                )
            study.optimize(self.objective, n_trials=14)
            frozen = study.ask()._cached_frozen_trial
            spaces.append(study.sampler.infer_relative_search_space(study, frozen))
        assert spaces[0].keys() == spaces[1].keys()
        assert ("rate" in spaces[0]) == self.relative


def odd_choices(trial: optuna.Trial) -> tuple[float, float]:
    """Categories of several types, huge and logarithmic ranges, and a single value."""
    trial.suggest_categorical("a", [None, True, "x", 3, 2.5])
    trial.suggest_float("wide", -1e300, 1e300)
    trial.suggest_int("one", 5, 5)
    large = trial.suggest_int("large", 1, 10**12, log=True)
    return large / 1e12, abs(trial.suggest_int("huge", -(10**9), 10**9))


def many_categories(trial: optuna.Trial) -> tuple[float, float]:
    """Hundreds of operations, each of which is another one."""
    first = trial.suggest_categorical("first", [f"op{i}" for i in range(600)])
    second = trial.suggest_categorical("second", [f"op{i}" for i in range(600)])
    return float(first[2:]), float(second[2:])


def changing_ranges(trial: optuna.Trial) -> tuple[float, float]:
    """A range that depends on another parameter and on the trial's number."""
    n = trial.suggest_int("n", 1, 5)
    return trial.suggest_int("x", 0, n + trial.number % 3), n


def infinite_values(trial: optuna.Trial) -> tuple[float, float]:
    """Objectives that are infinite in part of the space."""
    x = trial.suggest_float("x", 0, 1)
    return math.inf if x < 0.5 else x, -math.inf if x > 0.9 else x


def nothing_to_choose(trial: optuna.Trial) -> tuple[float, float]:
    """A single architecture."""
    return trial.suggest_int("n", 1, 1), 2.0


def no_parameters(trial: optuna.Trial) -> tuple[float, float]:
    """Draws nothing at all."""
    return 0.0, 1.0


OTHER_SPACES = [
    odd_choices,
    many_categories,
    changing_ranges,
    infinite_values,
    nothing_to_choose,
    no_parameters,
]
"""Objectives over odd spaces, which no sampler may fail on."""
