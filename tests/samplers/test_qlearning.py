import math

import numpy as np
import optuna
import pytest

from optnas.samplers import QLearningSampler
from optnas.samplers.policy import Action
from optnas.samplers.qlearning import STEPS, _Table


def layers(worth):
    """An objective: the sum of what each layer's choice is worth; worth has shape (layers, 4)."""

    def objective(trial):
        return sum(
            row["abcd".index(trial.suggest_categorical(f"layer{i}", list("abcd")))]
            for i, row in enumerate(worth)
        )

    return objective


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_trials_concentrate_on_good_paths(seed):
    """Though none is repeated: of 1024 paths, the best 50 are worth more and more of the trials."""
    worth = np.random.default_rng(seed).random((5, 4))
    sampler = QLearningSampler(seed=seed, schedule=100)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(layers(worth), n_trials=150)
    values = [t.value for t in study.trials]
    gain = np.mean(values[-50:]) - np.mean(values[:50])
    assert gain > 4 * np.std(values[:50]) / 50**0.5
    assert study.best_value > 0.95 * worth.max(axis=1).sum()


def test_the_table_leads_to_the_best_path():
    """With all of 64 paths tried, and all decisions before remembered, it is exact."""
    worth = np.random.default_rng(3).random((3, 4))
    sampler = QLearningSampler(seed=0, memory=None, replays=100)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(layers(worth), n_trials=64)
    study.ask().suggest_categorical("layer0", list("abcd"))
    values = sampler._history.fold(sampler._new_table, _Table.add).values
    done = ()
    for i, row in enumerate(worth):
        best = int(np.argmax(values[f"layer{i}", 4, done][:, 0]))
        assert best == np.argmax(row)
        done = (*done, Action(f"layer{i}", 4, best))


def epsilon(finished, **settings):
    return QLearningSampler(**settings)._epsilon(finished)


def test_exploration_falls_in_steps_of_a_tenth():
    """As in the paper, with its numbers of networks: 1.0 for 1500 of 2700, and then less."""
    settings = {"schedule": 2700, "random_share": 1500 / 2700}
    assert [epsilon(n, **settings) for n in (0, 1499)] == [1.0, 1.0]
    steps = [epsilon(1500 + 1200 * i / STEPS, **settings) for i in range(STEPS)]
    assert steps == [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert epsilon(2699, **settings) == epsilon(10_000, **settings) == 0.1


def test_failed_trials_count_for_the_schedule_and_teach():
    """The choice with which all trials fail is worth less than any other, below 0."""

    def objective(trial):
        first = trial.suggest_categorical("first", ["fails", "good"])
        return math.nan if first == "fails" else 1.0

    sampler = QLearningSampler(seed=0)
    study = optuna.create_study(sampler=sampler)
    for first in ["fails", "good", "fails"]:
        study.enqueue_trial({"first": first})
    study.optimize(objective, n_trials=3)
    study.ask().suggest_categorical("first", ["fails", "good"])
    assert len(sampler._history.trials) == 3
    values = sampler._history.fold(sampler._new_table, _Table.add).values["first", 2, ()]
    fails, good = values[:, 0]
    assert fails < 0 < 0.9 < good


@pytest.mark.parametrize("memory", [0, 1, 2, None])
def test_values_follow_the_update_rule(memory):
    """With a learning rate of 1 and no replays, a value is the reward of the trial seen last."""
    sampler = QLearningSampler(seed=0, learning_rate=1.0, replays=0, memory=memory)
    study = optuna.create_study(sampler=sampler)
    for x, y, value in [(0, 1, 3.0), (1, 0, 1.0), (0, 1, 2.0)]:
        study.enqueue_trial({"x": x, "y": y})
        study.optimize(
            lambda trial, value=value: (
                (trial.suggest_int("x", 0, 2) + trial.suggest_int("y", 0, 2)) * 0 + value
            ),
            n_trials=1,
        )
    trial = study.ask()
    trial.suggest_int("x", 0, 2)
    table = sampler._history.fold(sampler._new_table, _Table.add)
    by_name = {}
    for (name, _, done), values in table.values.items():
        by_name.setdefault(name, []).append(values[:, 0].tolist())
        assert len(done) == (0 if name == "x" or memory == 0 else 1)
    # Ranks among the trials so far: the first trial's is 1, the second's 1, the third's 1 / 2.
    third = 1 - 1 / 3
    if memory == 0:  # y = 0 of the second trial is still known, and is the best
        assert by_name["y"] == [[1.0, third, 0.5]]
        assert by_name["x"] == [[1.0, 1.0, 0.5]]
    else:
        assert sorted(by_name["y"]) == sorted([[0.5, third, 0.5], [1.0, 0.5, 0.5]])
        assert by_name["x"] == [[third, 1.0, 0.5]]


def test_many_categories_have_an_action_each():
    """Of more categories than trials, those that disappointed are left for untried ones."""
    sampler = QLearningSampler(seed=0, schedule=20)
    study = optuna.create_study(sampler=sampler)
    choices = [f"option{i}" for i in range(500)]

    def objective(trial):
        trial.suggest_int("x", 1, 9)
        return int(trial.suggest_categorical("many", choices)[6:]) % 100

    study.optimize(objective, n_trials=60)
    values = [t.value for t in study.trials]
    assert len({t.params["many"] for t in study.trials}) > 20
    assert np.mean(values[-20:]) < np.mean(values[:20])


def test_a_bin_of_which_all_was_tried_is_left():
    """The best values fill a bin, and nothing that is left is as good as they were."""
    study = optuna.create_study(sampler=QLearningSampler(seed=0, schedule=20))

    def objective(trial):
        kind = trial.suggest_categorical("kind", ["conv", "pool", "none"])
        return {"conv": 0, "pool": 90, "none": 90}[kind] + trial.suggest_int("width", 8, 128)

    study.optimize(objective, n_trials=150)
    assert len({str(t.params) for t in study.trials}) == 150


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"schedule": 0}, "schedule must be a whole number of at least 1, got 0"),
        ({"random_share": 1.0}, "random_share must be from 0 to below 1, got 1.0"),
        ({"learning_rate": 0.0}, "above 0 and at most 1, got 0.0"),
        ({"replays": -1}, "replays must be a whole number of at least 0, got -1"),
        ({"memory": -1}, "memory must be a whole number of at least 0, got -1"),
        ({"preferences": 0}, "preferences must be a whole number"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        QLearningSampler(**settings)
