"""What every sampler that derives from `HistorySampler` must do."""

from __future__ import annotations

import datetime
import math
import pickle
import random
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import Study
from optuna.trial import BaseTrial, TrialState

from optnas.study.attributes import BASELINE, KILLED, LOST, RETRY_OF
from optnas.study.objectives import Direction
from optnas.testing.given_parameters import GivenParametersContract
from optnas.testing.samplers import OTHER_SPACES, Objective


class HistorySamplerContract(GivenParametersContract):
    """What a `HistorySampler` must do: the study is its state, and it repeats nothing.

    In conditional spaces, with any directions and number of objectives, with constraints, and with
    trials that failed, were pruned, lost, enqueued, or come from other samplers and workers.

    To define: `make(seed)`, which returns a new sampler.

    Example:
        ```python
        import optnas
        from optnas.samplers.ranking import best_first, may_be_parent
        from optnas.testing import HistorySamplerContract


        class KeepMostSampler(optnas.HistorySampler):
            def start(self, ask):
                trials = [trial for trial in ask.history.trials if may_be_parent(trial)]
                if len(trials) < 10:
                    return ask.inherit({})
                best = trials[best_first(trials, ask.history.study.directions)[0]]
                rng = ask.rng("keep")
                return ask.inherit({n: v for n, v in best.params.items() if rng.random() < 0.8})


        class TestKeepMost(HistorySamplerContract):
            def make(self, seed):
                return KeepMostSampler(seed)
        ```
    """

    relative = False

    def ask(self, study: Study) -> dict[str, Any]:
        """The parameters of the next trial, which is left running."""
        trial = study.ask()
        self.objective(trial)
        return trial.params

    @staticmethod
    def small(trial: BaseTrial) -> tuple[float, float]:
        """Two objectives over a conditional space of 12 settings."""
        if trial.suggest_categorical("kind", ["conv", "none"]) == "none":
            return 0.5, trial.suggest_int("pool", 1, 2)
        width = trial.suggest_int("width", 1, 2)
        return 1 / width, width + trial.suggest_float("dropout", 0.0, 0.4, step=0.1)

    def test_repeats_nothing_while_something_is_left(self) -> None:
        study = self.study(trials=12, objective=self.small)
        assert _different(study) == 12
        study.optimize(self.small, n_trials=3)
        assert _different(study) == 12

    @pytest.mark.parametrize("log", [False, True])
    def test_the_last_value_of_a_range_is_found(self, log: bool) -> None:
        def objective(trial: optuna.Trial) -> float:
            return abs(trial.suggest_int("width", 1, 40, log=log) - 12)

        study = self.study(directions=["minimize"], trials=40, objective=objective)
        assert _different(study) == 40

    def test_proposes_nothing_that_is_running(self) -> None:
        """Ask and tell: a batch is asked before anything is told, and told in another order."""
        study = self.study(trials=2, objective=self.small)
        batch = [study.ask() for _ in range(10)]
        values = [self.small(trial) for trial in batch]
        assert _different(study) == 12
        for trial, value in reversed(list(zip(batch, values, strict=True))):
            study.tell(trial, value)
        study.optimize(self.small, n_trials=1)
        assert all(t.state == TrialState.COMPLETE for t in study.trials)

    def test_failed_trials_were_tried_and_have_no_children(self) -> None:
        study = self.study(trials=0)
        for params in ({"kind": "none", "pool": 1}, {"kind": "none", "pool": 2}):
            study.enqueue_trial(params)
            trial = study.ask()
            self.small(trial)
            study.tell(trial, state=TrialState.FAIL)
        study.optimize(self.small, n_trials=10)
        assert all(t.params["kind"] == "conv" for t in study.trials[2:])

    def test_values_may_be_infinite_or_huge(self) -> None:
        """Of a foreign study, say; nothing overflows, and the process lives on."""
        largest = sys.float_info.max
        for values in ((math.inf, -math.inf, 1.0, 2.0), (largest, -largest, 1e200, 0.0)):

            def objective(
                trial: optuna.Trial, values: Sequence[float] = values
            ) -> tuple[float, float, float]:
                self.objective(trial)
                trial.set_constraint("bound", values[trial.number % 3] if trial.number > 8 else 0.0)
                rng = random.Random(trial.number)
                return rng.choice(values), rng.choice(values), rng.choice(values)

            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                directions: Sequence[Direction] = ("minimize", "maximize", "minimize")
                study = self.study(directions=directions, trials=14, objective=objective)
            assert all(t.state == TrialState.COMPLETE for t in study.trials)

    def test_pruned_trials_are_not_repeated(self) -> None:
        def objective(trial: optuna.Trial) -> tuple[float, float]:
            values = self.objective(trial)
            if trial.number % 3 == 0:
                raise optuna.TrialPruned
            return values

        assert _different(self.study(trials=18, objective=objective)) == 18

    def test_lost_trials_leave_no_trace(self) -> None:
        """A retry has the same parameters, fixed or drawn again, and what follows is the same."""
        whole = self.params(7, [])
        study = self.after(14)
        lost = study.ask()
        self.objective(lost)
        lost.set_user_attr(LOST, KILLED)
        study.tell(lost, state=TrialState.FAIL)
        for fixed in ({}, lost.params):
            study.add_trial(
                optuna.create_trial(
                    state=TrialState.WAITING,
                    user_attrs={RETRY_OF: lost.number},
                    system_attrs={"fixed_params": fixed},
                )
            )
            retry = study.ask()
            self.objective(retry)
            assert retry.params == lost.params == whole[14]
            lost = retry
            if not fixed:
                lost.set_user_attr(LOST, KILLED)
                study.tell(lost, state=TrialState.FAIL)
        study.tell(retry, self.objective(retry))
        assert self.ask(study) == whole[15]

    def test_constraints_are_learned(self) -> None:
        """More of the later trials are feasible than the 28 of 81 of random ones.

        Of 30 random trials, more than 16 are feasible once in a hundred times.
        """

        def objective(trial: optuna.Trial) -> tuple[float, float]:
            values = self.objective(trial)
            trial.set_constraint("size", values[1] - 3)
            if values[1] > 8:
                raise optuna.TrialPruned
            return values

        study = self.study(trials=50, objective=objective)
        feasible = [t.constraints["size"] <= 0 for t in study.trials]
        assert sum(feasible[20:]) > 16

    @pytest.mark.parametrize("directions", [("maximize",) * 2, ("minimize", "maximize")])
    def test_directions_are_signs(self, directions: Sequence[Direction]) -> None:
        signs = [-1 if d == "maximize" else 1 for d in directions]

        def objective(trial: optuna.Trial) -> list[float]:
            values = self.objective(trial)
            return [s * v for s, v in zip(signs, values, strict=True)]

        study = self.study(directions=directions, trials=24, objective=objective)
        assert [t.params for t in study.trials] == self.params(7, [])

    def test_one_objective_gets_better(self) -> None:
        def objective(trial: optuna.Trial) -> float:
            return self.objective(trial)[0]

        trials = self.study(3, ["minimize"], 36, objective).trials
        values = [t.values[0] for t in trials]
        assert sum(values[-12:]) < 0.9 * sum(values[:12])

    def test_fixed_parameters_are_taken_and_consume_no_draws(self) -> None:
        params = self.params(7, [])
        study = self.after(14)
        study.enqueue_trial({"rate": params[14]["rate"]})
        assert self.ask(study) == params[14]
        study.enqueue_trial({"depth": 2, "layer1.width": 4})
        taken = self.ask(study)
        assert (taken["depth"], taken["layer1.width"]) == (2, 4)

    def test_trials_of_other_samplers_count(self) -> None:
        study = self.study(trials=0)
        study.add_trial(
            optuna.create_trial(
                values=[1.0, 2.0],
                params={"kind": "none", "pool": 1},
                distributions={
                    "kind": CategoricalDistribution(["conv", "none"]),
                    "pool": IntDistribution(1, 2),
                },
            )
        )
        study.optimize(self.small, n_trials=11)
        assert _different(study) == 12

    @pytest.mark.parametrize("objective", OTHER_SPACES)
    def test_odd_spaces_and_values(self, objective: Objective) -> None:
        trials = self.study(trials=24, objective=objective).trials
        assert all(t.state == TrialState.COMPLETE for t in trials)

    def test_many_objectives(self) -> None:
        def objective(trial: optuna.Trial) -> list[float]:
            xs = [trial.suggest_float(f"x{i}", 0, 1) for i in range(4)]
            return [sum((x - i / 6) ** 2 for x in xs) for i in range(6)]

        self.study(directions=["minimize"] * 6, trials=20, objective=objective)

    def test_no_clock_decides(self) -> None:
        """Somebody sets it back, summer time ends, or the machine is in another time zone."""
        study = optuna.create_study(directions=["minimize"] * 2, sampler=self.make(7))
        for trial in self.after(14).get_trials():
            assert trial.datetime_complete is not None
            trial.datetime_complete -= datetime.timedelta(hours=trial.number)
            study.add_trial(trial)
        assert self.ask(study) == self.params(7, [])[14]

    def test_a_late_arrival_is_taken_in_where_it_belongs(self) -> None:
        """Another worker's trial belongs before trials that were seen before it."""
        asked = []
        for fresh in (False, True):
            study = self.after(12)
            late = study.ask()
            values = [0.0, *self.objective(late)[1:]]
            study.optimize(self.objective, n_trials=7)
            study._storage.set_trial_state_values(late._trial_id, TrialState.COMPLETE, values)
            study.sampler = self.make(7) if fresh else study.sampler
            asked.append(self.ask(study))
        assert asked[0] == asked[1]

    def test_pickles(self) -> None:
        """Optuna sends samplers to other processes."""
        study = self.study(trials=14)
        study.sampler = pickle.loads(pickle.dumps(study.sampler))
        assert self.ask(study) == self.params(7, [])[14]

    def test_baselines_may_draw_a_recipe(self) -> None:
        study = self.after(12)
        study.add_trial(
            optuna.create_trial(state=TrialState.WAITING, user_attrs={BASELINE: "hand-made"})
        )
        baseline = study.ask()
        baseline.suggest_float("rate", 1e-3, 1e-1, log=True)
        study.tell(baseline, [0.0, 0.0])
        study.optimize(self.objective, n_trials=3)
        assert all("depth" in t.params for t in study.trials[13:])

    def test_fixed_distributions(self) -> None:
        """Optuna's `study.ask(distributions)` draws parameters that are known beforehand."""
        study = self.after(14)
        trial = study.ask({"depth": IntDistribution(1, 3), "new": FloatDistribution(0, 1)})
        assert trial.params.keys() == {"depth", "new"}

    def test_serves_one_study_after_the_other(self) -> None:
        sampler = self.make(7)
        first = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
        first.optimize(self.objective, n_trials=14)
        other = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
        other.optimize(self.objective, n_trials=3)
        assert self.ask(first) == self.params(7, [])[14]

    def test_runs_in_threads(self) -> None:
        study = optuna.create_study(directions=["minimize"] * 2, sampler=self.make(7))
        study.optimize(self.objective, n_trials=24, n_jobs=4)
        assert all(t.state == TrialState.COMPLETE for t in study.trials)


def _different(study: Study) -> int:
    """How many different sets of parameters a study has tried."""
    return len({str(trial.params) for trial in study.trials})
