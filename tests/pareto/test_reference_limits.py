"""The reference point: how it is given, kept and changed, and what it does to the hypervolume."""

import math

import numpy as np
import optuna
import pytest
import torch
from hypothesis import given, strategies as st
from optuna.study import StudyDirection

import optnas
from optnas.errors import InputError
from optnas.pareto.reference_box import keep_box
from optnas.pareto.reference_limits import limits_of, limits_text, reference_limits
from optnas.pareto.snapshot import Snapshot
from optnas.study.reference import (
    REFERENCE_POINT,
    Reference,
    check_reference,
    keep_reference_point,
    parse_reference,
    reference_text,
    stored_reference,
)

LIMITS = st.dictionaries(
    st.text("abc_", min_size=1), st.floats(allow_nan=False, allow_infinity=False)
)


@given(LIMITS)
def test_a_reference_survives_its_text(limits):
    assert parse_reference(reference_text(limits), []) == limits


@pytest.mark.parametrize("text", ["", "loss", "loss=", "=1", "loss=a", "loss=1,,b=2", "ResNet"])
def test_another_text_is_refused(text):
    with pytest.raises(InputError, match="NAME=VALUE"):
        parse_reference(text, ["LeNet"])


def test_a_name_is_that_of_a_baseline():
    assert parse_reference("a=1", ["a=1"]) == "a=1"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"flops": 1.0}, "no objective 'flops'"),
        ({"loss": math.nan}, "finite"),
        ({"loss": True}, "number"),
        ({"loss": "1"}, "number"),
        ("ResNet", "LeNet"),
        (3, "limits by objective"),
    ],
)
def test_a_wrong_reference_is_refused_with_what_there_is(given, words):
    with pytest.raises(InputError, match=words):
        check_reference(given, ["loss"], ["LeNet"])


@pytest.mark.parametrize(
    ("reference", "limits"),
    [
        (Reference(), [3.0, -0.5]),  # the worst of the baselines
        (Reference({}), [math.inf, math.inf]),
        (Reference("a"), [1.0, -0.5]),
        (Reference("c"), [math.inf, math.inf]),  # not measured yet
        (Reference({"accuracy": 0.9}), [math.inf, -0.9]),
        (Reference({"accuracy": 0.9}, {"accuracy": 0.95, "loss": 2.0}), [2.0, -0.95]),
        (Reference("", {"loss": 2.0}), [2.0, -0.5]),
    ],
)
def test_limits_are_the_given_ones_or_the_baselines_and_never_worse_than_chance(reference, limits):
    baselines = {"a": (1.0, 0.5), "b": (3.0, 0.8)}
    directions = [StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE]
    found = limits_of(reference, ["loss", "accuracy"], directions, baselines)
    assert found.tolist() == limits


def study_of(values, reference="", chance=None, baselines=()):
    study = optuna.create_study(directions=["minimize", "minimize"])
    study.set_metric_names(["loss", "params"])
    keep_reference_point(study, reference, chance or {})
    for value in baselines:
        study.add_trial(optuna.create_trial(values=value, user_attrs={"baseline": f"b{value}"}))
    for i, value in enumerate(values):
        study.add_trial(
            optuna.create_trial(
                values=value,
                params={"x": i},
                distributions={"x": optuna.distributions.IntDistribution(0, 99)},
            )
        )
    return study


POINTS = [(1.0, 9.0), (2.0, 8.0), (3.0, 1.0)] + [(9.0, 9.0)] * 9


def test_the_hypervolume_is_measured_up_to_the_reference():
    study = study_of(POINTS, {"loss": 4.0, "params": 10.0})
    # By hand: 1 × 3 up to 10, of (2, 8) a further 1 × 2, of (3, 1) a further 7 × 1; of 4 × 10.
    covered = (4 - 1) * (10 - 9) + (4 - 2) * (9 - 8) + (4 - 3) * (8 - 1)
    assert optnas.hypervolume(study) == pytest.approx(covered / 40)
    assert limits_text(study, study.trials) == "loss ≤ 4, params ≤ 10"


def test_what_is_beyond_the_reference_adds_nothing():
    study = study_of(POINTS, {"loss": 4.0})
    before = optnas.hypervolume(study)
    study.add_trial(optuna.create_trial(values=(4.0, 0.5)))
    assert optnas.hypervolume(study) == before
    study.add_trial(optuna.create_trial(values=(3.9, 0.5)))
    assert optnas.hypervolume(study) > before


def test_another_reference_measures_the_same_trials_anew():
    study = study_of(POINTS, {"loss": 4.0, "params": 10.0})
    assert keep_box(study)
    first = optnas.hypervolume(study)
    keep_reference_point(study, {"loss": 8.0, "params": 10.0}, {})
    second = optnas.hypervolume(study)
    assert second > first
    assert keep_box(study)
    assert optnas.hypervolume(study) == second
    kept = stored_reference(study)
    assert (kept.since, kept.before) == (len(study.trials), "loss=4.0,params=10.0")


def test_the_worst_values_of_the_baselines_are_the_reference():
    study = study_of(POINTS, baselines=[(2.0, 7.0), (1.0, 9.0)])
    assert reference_limits(study, study.trials).tolist() == [2.0, 9.0]


def test_a_baseline_that_breaks_a_bound_sets_no_limit():
    study = study_of(POINTS)
    attrs, broken = {"baseline": "big"}, {"params": 1.0}
    study.add_trial(optuna.create_trial(values=(1.0, 1.0), user_attrs=attrs, constraints=broken))
    assert reference_limits(study, study.trials).tolist() == [math.inf, math.inf]


@given(
    st.lists(st.tuples(*[st.floats(0.1, 100)] * 2), min_size=10, max_size=20),
    st.tuples(*[st.floats(0.1, 100)] * 2),
)
def test_a_hypervolume_of_positive_values_up_to_a_reference_is_a_share(points, limits):
    study = study_of(points, dict(zip(("loss", "params"), limits, strict=True)))
    assert 0 <= optnas.hypervolume(study) <= 1


def test_a_study_made_without_a_reference_keeps_none():
    study = optuna.create_study(directions=["minimize", "minimize"])
    study.set_metric_names(["loss", "params"])
    study.add_trial(optuna.create_trial(values=(1.0, 1.0), user_attrs={"baseline": "a"}))
    keep_reference_point(study, "", {"loss": 0.5})
    assert stored_reference(study) is None
    assert limits_text(study, study.trials) == ""
    keep_reference_point(study, {"loss": 0.4}, {"loss": 0.5})
    assert limits_text(study, study.trials) == "loss ≤ 0.4"
    assert stored_reference(study).before == "the baselines"


@pytest.mark.parametrize(
    "kept",
    [
        3,
        [],
        {},
        {"given": 3},
        {"given": {"loss": "a"}},
        {"given": None, "chance": [1], "since": "x"},
        {"given": {"loss": float("inf")}, "before": 1, "more": 2},
    ],
)
def test_what_other_code_wrote_is_left_out(kept):
    study = study_of(POINTS)
    study._storage.set_study_system_attr(study._study_id, REFERENCE_POINT, kept)
    assert limits_text(study, study.trials) == ""
    assert optnas.hypervolume(study) > 0
    sampler = optnas.RegularizedEvolutionSampler(seed=0)
    study.sampler = sampler
    study.optimize(lambda trial: (trial.suggest_int("x", 0, 99), 1.0), n_trials=1)


def test_a_constant_prediction_is_chance():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    data = optnas.arrays(rng.normal(size=(100, 4)).astype("float32"), labels)
    chance = optnas.TrainingEvaluator(data, epochs=1).chance
    train, val = (np.bincount(part[1], minlength=3) for part in (data.train, data.val))
    assert chance["val_accuracy"] == pytest.approx(val[train.argmax()] / val.sum())
    log = np.log((train + 1) / (train + 1).sum())
    assert chance["val_loss"] == pytest.approx(-(val * log).sum() / val.sum(), rel=1e-5)
    own = optnas.TrainingEvaluator(data, epochs=1, loss=lambda outputs, targets: outputs.mean())
    assert list(own.chance) == ["val_accuracy"]
    numbers = optnas.arrays(rng.normal(size=(100, 4)).astype("float32"), rng.normal(size=(100, 1)))
    mean = numbers.train[1].mean()
    expected = float(((numbers.val[1] - mean) ** 2).mean())
    found = optnas.TrainingEvaluator(numbers, epochs=1).chance
    assert found == {"val_loss": pytest.approx(expected, rel=1e-5)}


def test_targets_of_a_form_of_their_own_have_no_chance_of_the_usual_scores():
    x = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    several = (x[:, :3] > 0).float()
    part = x, several
    data = optnas.Dataset("several labels", "classification", part, part, part, 3)
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    assert optnas.TrainingEvaluator(data, epochs=1, loss=loss, accuracy=False).chance == {}


def test_the_chance_of_shares_is_their_mean():
    rng = np.random.default_rng(0)
    shares = torch.tensor(rng.dirichlet([1, 2, 3], 60), dtype=torch.float32)
    x = torch.zeros(60, 4)
    train, val = (x[:40], shares[:40]), (x[40:], shares[40:])
    data = optnas.Dataset("shares", "classification", train, val, val, 3)
    found = optnas.TrainingEvaluator(data, epochs=1, accuracy=False).chance
    mean = (shares[:40].double().sum(0) + 1) / 43
    expected = -float((shares[40:].double() * mean.log()).sum(1).mean())
    assert found == {"val_loss": pytest.approx(expected, rel=1e-5)}


def test_the_chance_of_whole_targets_of_a_regression():
    part = torch.zeros(6, 4), torch.arange(6)[:, None]
    data = optnas.Dataset("ages", "regression", part, part, part, 1)
    assert optnas.TrainingEvaluator(data, epochs=1).chance == {"val_loss": pytest.approx(35 / 12)}


def test_a_baseline_that_another_one_dominates_is_still_to_be_beaten():
    from optnas.pareto.baselines import baseline_standings

    study = study_of([(2.0, 9.0)], baselines=[(3.0, 4.0), (1.0, 3.0)])
    found = [standing.text() for standing in baseline_standings(Snapshot.of(study))]
    assert found[0] == "not dominated: the nearest, trial 2, has params 9 (not 4)"


def test_baselines_say_who_dominates_them_and_what_is_missing():
    from optnas.pareto.baselines import baseline_standings

    study = study_of([(1.0, 9.0), (2.0, 3.0)], baselines=[(2.0, 4.0), (0.9, 9.5), (1.0, 9.0)])
    found = [standing.text() for standing in baseline_standings(Snapshot.of(study))]
    assert found == [
        "dominated by trial 4",
        "not dominated: the nearest, trial 3, has loss 1 (not 0.9)",
        "not dominated: trial 3 equals it",
    ]
