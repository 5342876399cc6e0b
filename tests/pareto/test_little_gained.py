"""Whether a front is mostly one of networks that learned little."""

import optuna
import pytest

from optnas.pareto.little_gained import little_gained
from optnas.pareto.snapshot import Snapshot
from optnas.study.objectives import name_objectives
from optnas.study.reference import keep_reference_point


def study_of(values, directions, given="", chance=None):
    study = optuna.create_study(directions=directions)
    name_objectives(study, ["score", "params"])
    keep_reference_point(study, given, {"score": 0.1} if chance is None else chance)
    for value in values:
        study.add_trial(optuna.trial.create_trial(values=value))
    return study


UP = ["maximize", "minimize"]
POOR = [(0.9, 100), (0.4, 50), (0.3, 20), (0.2, 10)]


def test_most_of_a_front_below_half_of_the_best_gain_is_told_with_the_limit():
    far = little_gained(Snapshot.of(study_of(POOR, UP)))
    assert (far.members, far.front, far.score) == (3, 4, "score")
    assert far.limit == pytest.approx(0.5)


def test_a_loss_is_measured_from_chance_down():
    values = [(0.1, 100), (1.9, 50), (2.0, 20), (2.2, 10)]
    far = little_gained(Snapshot.of(study_of(values, ["minimize"] * 2, chance={"score": 2.3})))
    assert far.members == 3
    assert far.limit == pytest.approx(1.2)


@pytest.mark.parametrize(
    "study",
    [
        study_of([(0.9, 100), (0.8, 50), (0.3, 20)], UP),
        study_of(POOR, UP, given={"score": 0.15}),
        study_of(POOR, UP, chance={}),
        study_of([], UP),
    ],
    ids=("most gain", "a reference was given", "chance is unknown", "no trial"),
)
def test_otherwise_there_is_nothing_to_say(study):
    assert little_gained(Snapshot.of(study)) is None
