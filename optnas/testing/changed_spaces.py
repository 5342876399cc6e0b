"""What a sampler must do where trials drew less, more or other than the next one draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
import pytest
from optuna.study import Study
from optuna.trial import TrialState

from optnas.study.objectives import Direction
from optnas.testing.failing_samplers import FailureContract
from optnas.testing.samplers import Objective

Suggest = Callable[[optuna.Trial], None]
Network = tuple[tuple[str, Any], ...]


class ChangedSpaceContract(FailureContract):
    """What a `HistorySampler` must do where what trials draw changes on the way.

    `HistorySamplerContract` has these tests.

    To define: `make(seed)`, which returns a new sampler.
    """

    def study(
        self,
        seed: int = 7,
        directions: Sequence[Direction] = ("minimize", "minimize"),
        trials: int = 0,
        objective: Objective | None = None,
    ) -> Study:
        """A study in memory with a new sampler, after a number of trials."""
        study = optuna.create_study(directions=list(directions), sampler=self.make(seed))
        study.optimize(objective or self.objective, n_trials=trials)
        return study

    @pytest.mark.parametrize("ending", ["failed", "interrupted", "still running"])
    def test_what_was_cut_short_while_it_was_drawn_is_drawn_again(self, ending: str) -> None:
        study = self.study(3, ("minimize",))

        def cut_short(trial: optuna.Trial) -> float:
            trial.suggest_categorical("kind", ["conv", "pool"])
            raise KeyboardInterrupt if ending == "interrupted" else RuntimeError("no data yet")

        if ending == "still running":
            study.ask().suggest_categorical("kind", ["conv", "pool"])
        elif ending == "failed":
            study.optimize(cut_short, n_trials=1, catch=(RuntimeError,))
        else:
            with pytest.raises(KeyboardInterrupt):
                study.optimize(cut_short, n_trials=1)
        drawn = _networks(study, _kind_and_width, 6)
        assert len(set(drawn)) == 6

    def test_what_fails_each_time_before_all_is_drawn_is_given_up(self) -> None:
        study = self.study(3, ("minimize",))

        def objective(trial: optuna.Trial) -> float:
            if trial.suggest_categorical("kind", ["conv", "pool"]) == "pool":
                raise RuntimeError("it has no kernel")
            return float(trial.suggest_int("width", 1, 3))

        study.optimize(objective, n_trials=6, catch=(RuntimeError,))
        complete = study.get_trials(states=(TrialState.COMPLETE,))
        assert {trial.params["width"] for trial in complete} == {1, 2, 3}

    def test_a_range_may_be_shifted(self) -> None:
        study = self.study(3, ("minimize",))
        assert len(set(_networks(study, _width(1, 4), 4))) == 4
        later = _networks(study, _width(3, 8), 4)
        assert {dict(network)["width"] for network in later} == {5, 6, 7, 8}

    def test_a_range_may_shrink(self) -> None:
        study = self.study(3, ("minimize",))
        first = {dict(network)["width"] for network in _networks(study, _width(1, 12), 6)}
        left = set(range(1, 5)) - first
        drawn = {dict(network)["width"] for network in _networks(study, _width(1, 4), len(left))}
        assert drawn == left

    @pytest.mark.parametrize("width", [12, -50])
    def test_a_queued_value_outside_of_its_range_ends_no_study(self, width: int) -> None:
        self._goes_on_after({"width": width})

    @pytest.mark.parametrize("rate", [math.inf, -math.inf])
    def test_a_queued_value_may_be_infinite(self, rate: float) -> None:
        self._goes_on_after({"rate": rate})

    def _goes_on_after(self, queued: dict[str, Any]) -> None:
        def suggest(trial: optuna.Trial) -> None:
            trial.suggest_int("width", 1, 10)
            trial.suggest_float("rate", 0.0, 1.0, step=0.25)
            trial.suggest_int("depth", 1, 2)

        study = self.study(3, ("minimize",))
        study.enqueue_trial(queued)
        with pytest.warns(UserWarning, match="out of range"):
            _networks(study, suggest, 1)
        assert len(set(_networks(study, suggest, 24))) == 24

    def test_a_parameter_may_be_added_in_front_of_the_others(self) -> None:
        study = self.study(3, ("minimize",))
        assert len(set(_networks(study, _kind_and_width, 6))) == 6

        def with_one_more(trial: optuna.Trial) -> None:
            trial.suggest_int("depth", 1, 2)
            _kind_and_width(trial)

        assert len(set(_networks(study, with_one_more, 12))) == 12


def _kind_and_width(trial: optuna.Trial) -> None:
    trial.suggest_categorical("kind", ["conv", "pool"])
    trial.suggest_int("width", 1, 3)


def _width(low: int, high: int) -> Suggest:
    def suggest(trial: optuna.Trial) -> None:
        trial.suggest_int("width", low, high)

    return suggest


def _networks(study: Study, suggest: Suggest, number: int) -> list[Network]:
    """What the next trials draw; a larger width and depth is a little better."""
    drawn: list[Network] = []

    def objective(trial: optuna.Trial) -> float:
        suggest(trial)
        drawn.append(_sorted(trial.params))
        numbers = [value for value in trial.params.values() if isinstance(value, int)]
        return 1.0 / (1 + sum(numbers))

    study.optimize(objective, n_trials=number)
    return drawn


def _sorted(params: Mapping[str, Any]) -> Network:
    return tuple(sorted(params.items()))
