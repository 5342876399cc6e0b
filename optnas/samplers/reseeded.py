"""Wraps Optuna's own samplers, so that they resume exactly and ignore baselines.

Optuna's samplers keep their random state in the process, so a resumed study with a seed would
repeat its first suggestions. And most of them work on the parameters that all COMPLETE trials
share, so one hand-made network without parameters would switch them off.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optnas.samplers.ask import Ask, Draw
from optnas.study.attributes import is_hand_made
from optnas.study.seeds import derived_seed, study_seed
from optnas.study.trial_order import keep_completion, place
from optnas.utils.checks import check_wholes


class ReseededSampler(BaseSampler):
    """Makes another sampler anew for each trial, seeded by the study's seed and the trial's place.

    Each parameter that is drawn independently has its own seed, derived from its name.

    So a suggestion is a function of seed, place and history, and an interrupted study resumes as if
    it had never stopped. The other sampler doesn't see the trials of baselines.

    Example:
        ```python
        import optuna

        from optnas.samplers import ReseededSampler

        sampler = ReseededSampler(lambda seed: optuna.samplers.TPESampler(seed=seed), seed=0)
        study = optuna.create_study(sampler=sampler)
        ```

    Args:
        make: Makes the sampler from a seed.
        seed: The study's seed. Without one, the sampler takes the seed that the study keeps, or
            draws one and keeps it there.

    Raises:
        ValueError: The seed is no whole number of at least 0.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int | None = None) -> None:
        self._make = make
        check_wholes(seed=seed)
        self.seed = seed
        self._samplers: dict[int, BaseSampler] = {}
        self._seeds: dict[int, Callable[[str], int]] = {}

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Makes the sampler for this trial."""
        seed, at = study_seed(study, self.seed), place(trial, study.get_trials(deepcopy=False))
        self._seeds[trial._trial_id] = seed_for = partial(derived_seed, seed, at)
        self._samplers[trial._trial_id] = sampler = self._make(seed_for("sampler:"))
        sampler.before_trial(_without_baselines(study), trial)

    def start(self, ask: Ask) -> Draw:
        """Returns a draw of the trial's parameters by the other sampler, for a `StagedSampler`.

        What the other sampler draws is skipped where it leads to nothing untried. The parameters in
        `ask.fixed` are left out of what it draws in one go.
        """
        study, trial = _without_baselines(ask.history.study), ask.trial
        sampler = self._make(ask.seed("sampler:"))
        sampler.before_trial(study, trial)
        space = sampler.infer_relative_search_space(study, trial)
        space = {
            name: distribution for name, distribution in space.items() if name not in ask.fixed
        }
        together = sampler.sample_relative(study, trial, space)
        inherited = ask.inherit(together)

        def draw(name: str, distribution: BaseDistribution) -> Any:
            if name in together:
                return inherited(name, distribution)
            sampler = self._make(ask.seed(f"sampler:{name}"))
            value = sampler.sample_independent(study, ask.trial, name, distribution)
            return ask.inherit({name: value})(name, distribution)

        return draw

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Returns what the other sampler infers; nothing for a baseline."""
        if is_hand_made(trial):
            return {}
        sampler = self._samplers[trial._trial_id]
        return sampler.infer_relative_search_space(_without_baselines(study), trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Returns what the other sampler draws."""
        sampler = self._samplers[trial._trial_id]
        return sampler.sample_relative(_without_baselines(study), trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Returns what the other sampler, made anew, draws.

        So parameters that are fixed, such as those of a retry, take no random numbers from others.
        """
        sampler = self._make(self._seeds[trial._trial_id](f"sampler:{param_name}"))
        return sampler.sample_independent(
            _without_baselines(study), trial, param_name, param_distribution
        )

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Lets the other sampler finish the trial, and drops it."""
        keep_completion(study, trial)
        self._seeds.pop(trial._trial_id, None)
        sampler = self._samplers.pop(trial._trial_id, None)
        if sampler is not None and not is_hand_made(trial):
            sampler.after_trial(_without_baselines(study), trial, state, values)

    def __str__(self) -> str:
        return str(self._make(0))


class _StudyWithoutBaselines(Study):
    """A view of a study that hides the trials of baselines.

    Attributes:
        whole: The study.
    """

    whole: Study

    def stop(self) -> None:
        """Ends `study.optimize`, as a grid asks for that has no points left.

        A `Search` counts its trials itself: the rest of them repeat points, and reuse their values.
        """
        with suppress(RuntimeError):  # Optuna's, outside of `study.optimize`
            self.whole.stop()

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        trials = super()._get_trials(deepcopy, states, use_cache)
        return [trial for trial in trials if not is_hand_made(trial)]


def _without_baselines(study: Study) -> Study:
    view = _StudyWithoutBaselines.__new__(_StudyWithoutBaselines)
    view.__dict__.update(study.__dict__)
    view.whole = study
    return view
