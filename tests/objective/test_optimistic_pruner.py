"""A pruner for several objectives, asked by an objective of plain Optuna."""

import optuna
import pytest
from optuna.trial import TrialState

import optnas
from optnas.errors import InputError
from optnas.study.attributes import CURVE, STOPPED

BOTH = {"loss": "minimize", "size": "minimize"}
HALVES = (1.0, 0.5, 0.25)


def study_of(curves, sizes, study=None, **pruned):
    """Trains networks of these sizes, along the curve of their size, or HALVES."""
    pruner = optnas.OptimisticPruner(**{"objectives": BOTH, "scores": ["loss"]} | pruned)

    def objective(trial):
        size = trial.suggest_int("size", 1, 99)
        for step, loss in enumerate(curves.get(size, HALVES)):
            pruner(trial, step, {"loss": loss, "other": 1.0}, costs={"size": size})
        return loss, size

    study = study or optuna.create_study(directions=["minimize", "minimize"])
    for size in sizes:
        study.enqueue_trial({"size": size})
    study.optimize(objective, n_trials=len(sizes))
    return study


def test_what_is_dominated_at_its_best_is_pruned():
    """From 0.8, halving at most, it may reach 0.4 with size 50, and size 1 has 0.25."""
    study = study_of({50: (0.9, 0.8, 0.0)}, [*range(1, 9), 50])
    *first, last = study.trials
    assert {trial.state for trial in first} == {TrialState.COMPLETE}
    assert last.state == TrialState.PRUNED
    assert last.user_attrs[STOPPED]["dominated_by"] == 0
    assert [row["loss"] for row in last.user_attrs[CURVE]] == [0.9, 0.8]


def test_what_may_still_be_better_in_one_objective_is_trained_to_the_end():
    study = study_of({50: (0.9, 0.45, 0.2)}, [*range(1, 9), 50])  # at best 0.225
    assert study.trials[-1].values == [0.2, 50]


def test_nothing_is_pruned_before_eight_trials_went_further():
    study = study_of({50: (9.0, 9.0, 9.0)}, [*range(1, 8), 50])
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}


def test_another_process_learns_from_the_curves_that_the_study_keeps():
    study = study_of({}, range(1, 9))
    study_of({60: (0.9, 0.8, 0.0)}, [60], study)
    assert study.trials[-1].state == TrialState.PRUNED


def test_more_is_better_where_the_direction_says_so():
    directions = {"loss": "maximize", "size": "minimize"}
    study = optuna.create_study(directions=["maximize", "minimize"])
    rising = dict.fromkeys(range(1, 9), (0.5, 0.7, 0.8))
    study_of(rising | {50: (0.1, 0.1, 0.9)}, [*range(1, 9), 50], study, objectives=directions)
    assert study.trials[-1].state == TrialState.PRUNED


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objectives": {"loss": "down"}}, "minimize or maximize"),
        ({"scores": []}, "scores must be the names"),
        ({"scores": "loss"}, "scores must be the names"),
        ({"scores": ["lss"]}, "no objective; there are: loss, size .*mean loss"),
        ({"objectives": {"loss": "minimize"}}, "directions are minimize, minimize"),
        ({"objectives": BOTH | {"size": "maximize"}}, r"size \(maximize\)"),
        ({"scores": ["loss", "size"]}, "scores lack size"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        study_of({}, [1], **settings)


def test_a_cost_that_is_missing_and_a_step_that_falls_are_refused():
    pruner = optnas.OptimisticPruner(BOTH, ["loss"])
    trial = optuna.create_study(directions=["minimize", "minimize"]).ask()
    with pytest.raises(InputError, match="costs lack size"):
        pruner(trial, 0, {"loss": 1})
    pruner(trial, 1, {"loss": 1}, costs={"size": 1})
    with pytest.raises(InputError, match="step must rise, got 1 after 1"):
        pruner(trial, 1, {"loss": 1}, costs={"size": 1})
