"""What every sampler of architectures must do."""

import copy
import math
import pickle

import optuna
import pytest
from optuna.trial import TrialState

from optnas.study.attributes import BASELINE, LOST, RETRY_OF


class SamplerContract:
    """Method: `make(seed)`, a sampler. Attribute: `relative`, whether it samples relatively."""

    relative = True

    @staticmethod
    def objective(trial):
        """Two objectives over a conditional space, deterministic."""
        depth = trial.suggest_int("depth", 1, 3)
        widths = [trial.suggest_categorical(f"layer{i}.width", [1, 2, 4]) for i in range(depth)]
        rate = trial.suggest_float("rate", 1e-3, 1e-1, log=True)
        return abs(math.log10(rate) + 2) + 1 / sum(widths), float(sum(widths))

    def params(self, seed, cuts, total=24):
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
            study.optimize(self.objective, n_trials=cut - done)
            done = cut
        return [trial.params for trial in study.trials]

    def test_resumes_exactly(self):
        whole = self.params(7, [])
        assert self.params(7, [1, 5, 17]) == whole
        assert self.params(8, []) != whole

    def test_an_omitted_seed_is_kept_in_the_study(self):
        study = optuna.create_study(directions=["minimize"] * 2, sampler=self.make(None))
        study.optimize(self.objective, n_trials=2)
        assert study.user_attrs["optnas:seed"] >= 0

    def test_baselines_leave_no_trace(self):
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


def odd_choices(trial):
    trial.suggest_categorical("a", [None, True, "x", 3, 2.5])
    trial.suggest_float("wide", -1e300, 1e300)
    trial.suggest_int("one", 5, 5)
    large = trial.suggest_int("large", 1, 10**12, log=True)
    return large / 1e12, abs(trial.suggest_int("huge", -(10**9), 10**9))


def changing_ranges(trial):
    n = trial.suggest_int("n", 1, 5)
    return trial.suggest_int("x", 0, n + trial.number % 3), n


def infinite_values(trial):
    x = trial.suggest_float("x", 0, 1)
    return math.inf if x < 0.5 else x, -math.inf if x > 0.9 else x


def nothing_to_choose(trial):
    return trial.suggest_int("n", 1, 1), 2.0


def no_parameters(trial):
    return 0.0, 1.0


OTHER_SPACES = [odd_choices, changing_ranges, infinite_values, nothing_to_choose, no_parameters]


class HistorySamplerContract(SamplerContract):
    """For samplers that derive from `HistorySampler`."""

    relative = False

    def study(self, seed=7, directions=("minimize", "minimize"), trials=0, objective=None):
        study = optuna.create_study(directions=list(directions), sampler=self.make(seed))
        study.optimize(objective or self.objective, n_trials=trials)
        return study

    def ask(self, study):
        """The parameters of the next trial, which is left running."""
        trial = study.ask()
        self.objective(trial)
        return trial.params

    @staticmethod
    def small(trial):
        """A conditional space of 12 settings."""
        if trial.suggest_categorical("kind", ["conv", "none"]) == "none":
            return 0.5, trial.suggest_int("pool", 1, 2)
        width = trial.suggest_int("width", 1, 2)
        return 1 / width, width + trial.suggest_float("dropout", 0.0, 0.4, step=0.1)

    def test_repeats_nothing_while_something_is_left(self):
        study = self.study(trials=12, objective=self.small)
        assert len({str(t.params) for t in study.trials}) == 12
        study.optimize(self.small, n_trials=3)
        assert len({str(t.params) for t in study.trials}) == 12

    def test_proposes_nothing_that_is_running(self):
        """Ask and tell: a batch is asked before anything is told, and told in another order."""
        study = self.study(trials=2, objective=self.small)
        batch = [study.ask() for _ in range(10)]
        values = [self.small(trial) for trial in batch]
        assert len({str(t.params) for t in study.trials}) == 12
        for trial, value in reversed(list(zip(batch, values, strict=True))):
            study.tell(trial, value)
        study.optimize(self.small, n_trials=1)
        assert all(t.state == TrialState.COMPLETE for t in study.trials)

    def test_failed_trials_were_tried_and_have_no_children(self):
        study = self.study(trials=0)
        for params in ({"kind": "none", "pool": 1}, {"kind": "none", "pool": 2}):
            study.enqueue_trial(params)
            trial = study.ask()
            self.small(trial)
            study.tell(trial, state=TrialState.FAIL)
        study.optimize(self.small, n_trials=10)
        assert all(t.params["kind"] == "conv" for t in study.trials[2:])

    def test_pruned_trials_are_gone_on_from(self):
        def objective(trial):
            values = self.objective(trial)
            if trial.number % 3 == 0:
                raise optuna.TrialPruned
            return values

        trials = self.study(trials=30, objective=objective).trials
        assert len({str(t.params) for t in trials}) == 30

    def test_lost_trials_leave_no_trace(self):
        whole = self.params(7, [], total=16)
        study = self.study(trials=14)
        lost = study.ask()
        self.objective(lost)
        lost.set_user_attr(LOST, "killed")
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
                lost.set_user_attr(LOST, "killed")
                study.tell(lost, state=TrialState.FAIL)
        study.tell(retry, self.objective(retry))
        assert self.ask(study) == whole[15]

    def test_constraints_are_learned(self):
        def objective(trial):
            values = self.objective(trial)
            trial.set_constraint("size", values[1] - 3)
            if values[1] > 8:
                raise optuna.TrialPruned
            return values

        study = self.study(trials=80, objective=objective)
        feasible = [t.constraints["size"] <= 0 for t in study.trials]
        sampler = optuna.samplers.RandomSampler(seed=7)
        plain = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
        plain.optimize(objective, n_trials=80)
        by_chance = [t.constraints["size"] <= 0 for t in plain.trials]
        assert sum(feasible[20:]) > sum(by_chance[20:])

    @pytest.mark.parametrize("directions", [("maximize",) * 2, ("minimize", "maximize")])
    def test_directions_are_signs(self, directions):
        signs = [-1 if d == "maximize" else 1 for d in directions]

        def objective(trial):
            values = self.objective(trial)
            return [s * v for s, v in zip(signs, values, strict=True)]

        study = self.study(directions=directions, trials=24, objective=objective)
        assert [t.params for t in study.trials] == self.params(7, [])

    def test_one_objective_gets_better(self):
        def objective(trial):
            return self.objective(trial)[0]

        values = [t.value for t in self.study(3, ["minimize"], 60, objective).trials]
        assert sum(values[-20:]) < sum(values[:20])

    def test_fixed_parameters_are_taken_and_consume_no_draws(self):
        params = self.params(7, [], total=15)
        study = self.study(trials=14)
        study.enqueue_trial({"rate": params[14]["rate"]})
        assert self.ask(study) == params[14]
        study.enqueue_trial({"depth": 2, "layer1.width": 4})
        taken = self.ask(study)
        assert (taken["depth"], taken["layer1.width"]) == (2, 4)

    def test_trials_of_other_samplers_count(self):
        study = self.study(trials=0)
        study.add_trial(
            optuna.create_trial(
                values=[1.0, 2.0],
                params={"kind": "none", "pool": 1},
                distributions={
                    "kind": optuna.distributions.CategoricalDistribution(["conv", "none"]),
                    "pool": optuna.distributions.IntDistribution(1, 2),
                },
            )
        )
        study.optimize(self.small, n_trials=11)
        assert len({str(t.params) for t in study.trials}) == 12

    @pytest.mark.parametrize("objective", OTHER_SPACES)
    def test_odd_spaces_and_values(self, objective):
        trials = self.study(trials=50, objective=objective).trials
        assert all(t.state == TrialState.COMPLETE for t in trials)

    def test_many_objectives(self):
        def objective(trial):
            xs = [trial.suggest_float(f"x{i}", 0, 1) for i in range(4)]
            return [sum((x - i / 6) ** 2 for x in xs) for i in range(6)]

        self.study(directions=["minimize"] * 6, trials=40, objective=objective)

    def test_a_late_arrival_is_taken_in_where_it_belongs(self):
        """Another worker's trial has an earlier time than trials that were seen before it."""
        asked = []
        for fresh in (False, True):
            study = self.study(trials=20)
            late = copy.deepcopy(study.trials[12])
            late.datetime_complete = study.trials[2].datetime_complete
            late.values = [0.0, 0.5]
            study.add_trial(late)
            if fresh:
                study.sampler = self.make(7)
            asked.append(self.ask(study))
        assert asked[0] == asked[1]

    def test_pickles(self):
        study = self.study(trials=14)
        study.sampler = pickle.loads(pickle.dumps(study.sampler))
        assert self.ask(study) == self.params(7, [], total=15)[14]

    def test_baselines_may_draw_a_recipe(self):
        study = self.study(trials=12)
        study.add_trial(
            optuna.create_trial(state=TrialState.WAITING, user_attrs={BASELINE: "hand-made"})
        )
        baseline = study.ask()
        baseline.suggest_float("rate", 1e-3, 1e-1, log=True)
        study.tell(baseline, [0.0, 0.0])
        study.optimize(self.objective, n_trials=3)
        assert all("depth" in t.params for t in study.trials[13:])

    def test_fixed_distributions(self):
        study = self.study(trials=14)
        space = {
            "depth": optuna.distributions.IntDistribution(1, 3),
            "new": optuna.distributions.FloatDistribution(0, 1),
        }
        assert study.ask(space).params.keys() == space.keys()

    def test_serves_one_study_after_the_other(self):
        sampler = self.make(7)
        first = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
        first.optimize(self.objective, n_trials=14)
        other = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
        other.optimize(self.objective, n_trials=3)
        assert self.ask(first) == self.params(7, [], total=15)[14]

    def test_runs_in_threads(self):
        study = optuna.create_study(directions=["minimize"] * 2, sampler=self.make(7))
        study.optimize(self.objective, n_trials=40, n_jobs=4)
        assert all(t.state == TrialState.COMPLETE for t in study.trials)


class ChildContract:
    """For history samplers whose suggestions are past trials with one decision changed."""

    def test_a_child_differs_in_the_changed_decision_only(self):
        def objective(trial):
            depth = trial.suggest_int("depth", 1, 6)
            total = 0
            for i in range(depth):
                total += trial.suggest_int(f"layer{i}.width", 1, 64)
                if trial.suggest_categorical(f"layer{i}.kind", ["conv", "pool"]) == "conv":
                    total += trial.suggest_categorical(f"layer{i}.kernel", [3, 5, 7])
            return abs(total - 100), depth

        trials = self.study(trials=60, objective=objective).trials
        for trial in trials[10:]:
            changed = [
                sum(trial.params[k] != p.params[k] for k in trial.params.keys() & p.params.keys())
                for p in trials[: trial.number]
            ]
            assert 1 in changed
