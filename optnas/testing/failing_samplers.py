"""What a sampler must do whose study has trials that failed."""

from __future__ import annotations

import math

import optuna
from optuna.trial import BaseTrial, TrialState

from optnas.study.attributes import KILLED, LOST, RETRY_OF
from optnas.testing.samplers import SamplerContract


class FailureContract(SamplerContract):
    """What a `HistorySampler` must do where a part of the space fails.

    `HistorySamplerContract` has these tests.

    To define: `make(seed)`, which returns a new sampler.

    Example:
        ```python
        import optnas
        from optnas.testing.failing_samplers import FailureContract


        class TestLocalSearch(FailureContract):
            def make(self, seed):
                return optnas.LocalSearchSampler(seed=seed)
        ```
    """

    def failing(self, trial: BaseTrial) -> tuple[float, float]:
        """The objective, with NaN for the wider half of the space."""
        values = self.objective(trial)
        return (math.nan, values[1]) if values[1] > 4 else values

    def pruned(self, trial: BaseTrial) -> tuple[float, float]:
        """The objective; the wider half of the space is pruned."""
        values = self.failing(trial)
        if math.isnan(values[0]):
            raise optuna.TrialPruned
        return values

    def test_what_fails_is_avoided(self) -> None:
        """By chance 11 of 25 fail."""
        study = optuna.create_study(directions=["minimize"] * 2, sampler=self.make(7))
        study.optimize(self.failing, n_trials=35)
        failed = [trial.state != TrialState.COMPLETE for trial in study.trials]
        assert sum(failed[10:]) <= 6
        drawn = [trial.params for trial in study.trials]
        assert self.params(7, [], 18, self.pruned) == drawn[:18]

    def test_resumes_exactly_after_failures(self) -> None:
        """Also if a trial was lost: its retry draws the same again."""
        trials = self.trials(7, [], 18, self.failing)
        whole = [trial.params for trial in trials]
        assert self.params(7, [3, 11], 18, self.failing) == whole
        study = optuna.create_study(directions=["minimize"] * 2, sampler=self.make(7))
        study.add_trials(trials[:14])
        lost = study.ask()
        self.failing(lost)
        lost.set_user_attr(LOST, KILLED)
        study.tell(lost, state=TrialState.FAIL)
        study.add_trial(
            optuna.create_trial(state=TrialState.WAITING, user_attrs={RETRY_OF: lost.number})
        )
        study.optimize(self.failing, n_trials=4)
        assert [trial.params for trial in study.trials[15:]] == whole[14:]
