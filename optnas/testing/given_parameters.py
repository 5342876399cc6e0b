"""What a sampler must do where somebody else gives parameters to a trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna
import pytest
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import PartialFixedSampler
from optuna.study import Study
from optuna.trial import TrialState

from optnas.study.attributes import KILLED, LOST, RETRY_OF
from optnas.testing.resumed_samplers import ResumeContract

GIVEN = [({"kind": "pool"}, 12), ({"width": 2}, 9), ({"depth": 1, "kind": "conv"}, 4)]
"""Parameters of `_objective`, and how many networks have them."""


class GivenParametersContract(ResumeContract):
    """What a `HistorySampler` must do where parameters are given, by a queue or another sampler.

    `HistorySamplerContract` has these tests.

    To define: `make(seed)`, which returns a new sampler.

    Example:
        ```python
        import optnas
        from optnas.testing.given_parameters import GivenParametersContract


        class TestLocalSearch(GivenParametersContract):
            def make(self, seed):
                return optnas.LocalSearchSampler(seed=seed)
        ```
    """

    @pytest.mark.parametrize(("given", "number"), GIVEN)
    def test_nothing_is_repeated_with_queued_parameters(
        self, given: Mapping[str, Any], number: int
    ) -> None:
        study = self.study(3, ("minimize",))
        for _ in range(number):
            study.enqueue_trial(dict(given))
        study.optimize(_objective, n_trials=number)
        assert len(_with(study, given)) == number

    @pytest.mark.parametrize(("given", "number"), GIVEN)
    def test_nothing_is_repeated_with_parameters_that_another_sampler_holds(
        self, given: Mapping[str, Any], number: int
    ) -> None:
        study = self.study(3, ("minimize",))
        ours = study.sampler
        with pytest.warns(ExperimentalWarning):
            study.sampler = PartialFixedSampler(dict(given), ours)
        study.optimize(_objective, n_trials=number)
        assert len(_with(study, given)) == number
        study.sampler = ours
        study.optimize(_objective, n_trials=36 - number)
        assert len(_with(study, {})) == 36

    def test_a_retry_is_given_what_the_lost_trial_was(self) -> None:
        study = self.study(3, ("minimize",))
        study.optimize(_objective, n_trials=12)
        study.enqueue_trial({"kind": "pool"})
        lost = study.ask()
        _objective(lost)
        lost.set_user_attr(LOST, KILLED)
        study.tell(lost, state=TrialState.FAIL)
        study.add_trial(
            optuna.create_trial(
                state=TrialState.WAITING,
                user_attrs={RETRY_OF: lost.number},
                system_attrs={"fixed_params": {"kind": "pool"}},
            )
        )
        retry = study.ask()
        _objective(retry)
        assert retry.params == lost.params


def _objective(trial: optuna.Trial) -> float:
    """36 networks."""
    depth = trial.suggest_int("depth", 1, 3)
    kind = trial.suggest_categorical("kind", ["conv", "pool", "none"])
    return depth + abs(trial.suggest_int("width", 1, 4) - 2) + (kind != "conv")


def _with(study: Study, given: Mapping[str, Any]) -> set[str]:
    """The different networks of a study that have the given parameters."""
    return {str(t.params) for t in study.trials if given.items() <= t.params.items()}
