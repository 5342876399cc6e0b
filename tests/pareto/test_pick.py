import math
import sys

import optuna
import pytest
from optuna.trial import create_trial

from optnas.cli.pick_table import pick_table
from optnas.errors import InputError
from optnas.pareto.pick import measured, pick
from optnas.study.attributes import ARCHITECTURE
from optnas.study.reference import keep_reference_point

NAMES = ["val_accuracy", "flops", "latency_ms"]


def make_study(rows, names=NAMES, directions=("maximize", "minimize", "minimize")):
    study = optuna.create_study(study_name="s", directions=list(directions))
    study.set_metric_names(names)
    for values, attrs, excess in rows:
        attrs = {ARCHITECTURE: f"net {len(study.trials)}"} | attrs
        study.add_trial(create_trial(values=values, user_attrs=attrs, constraints={"c": excess}))
    return study


@pytest.fixture
def study():
    return make_study(
        [
            ([0.99, 1e6, 4.0], {"params": 9e4, "note": "x", "yes": True}, 0.0),
            ([0.95, 1e5, 2.0], {"params": 2e4}, 0.0),
            ([0.80, 1e4, 1.0], {"params": 1e3}, 0.0),
            ([0.94, 2e5, 2.5], {"params": 1e4}, 0.0),  # dominated
            ([1.00, 1e3, 0.1], {"params": 1.0}, 1.0),  # infeasible
        ]
    )


def test_with_nothing_asked_it_is_the_knee(study):
    found = pick(study)
    assert found.entry.trial.number == 1
    assert found.why == (
        "closest to the ideal point (the best value of each objective) of 3 networks on the front; "
        "distance from their best (0%) to their worst value (100%): val_accuracy 21%, flops 50%, "
        "latency_ms 33%"
    )


def test_what_is_worse_than_the_reference_is_left_out_while_others_remain(study):
    """A tiny network of no use is near the best in all that it costs."""
    study.add_trial(create_trial(values=[0.1, 1e2, 0.05], user_attrs={ARCHITECTURE: "tiny"}))
    assert pick(study, weights={"latency_ms": -1}).entry.trial.number == 5
    keep_reference_point(study, {"val_accuracy": 0.9}, {})
    found = pick(study)
    assert found.entry.trial.number == 1
    reference = "of 2 networks on the front within the reference val_accuracy ≥ 0.9; distance"
    assert reference in found.why
    assert pick(study, weights={"latency_ms": -1}).entry.trial.number == 1
    assert pick(study, at_most={"flops": 1e4}).entry.trial.number == 2  # none is within it


def test_equally_close_networks_are_named():
    """Of two networks each is the best in one objective."""
    rows = [([2.0, 1.0], {}, 0.0), ([1.0, 2.0], {}, 0.0)]
    study = make_study(rows, ["loss", "flops"], ["minimize"] * 2)
    found = pick(study)
    assert found.entry.number == 1
    assert found.why.endswith(
        "(100%): loss 0%, flops 100%; trials 0 and 1 are equally close: trial 1 is taken for its "
        "loss; give limits or weights to choose"
    )
    found = pick(make_study([*rows[1:] * 2], ["loss", "flops"], ["minimize"] * 2))
    assert "trials 0 and 1 are equally close: trial 0 is taken as the first; give" in found.why
    assert "equally" not in pick(study, at_most={"loss": 1.5}, by_knee=True).why


def test_the_table_has_the_range_that_the_reason_is_about(study):
    """Of the candidates alone: networks beyond a limit or the reference are on the front, too."""
    found = pick(study, at_least={"val_accuracy": 0.9}, by_knee=True)
    assert "val_accuracy 100%, flops 0%, latency_ms 0%" in found.why
    table = pick_table(study, found)
    columns = {str(column.header): list(column.cells) for column in table.columns}
    assert columns[""] == NAMES
    assert columns["best of 2 networks"] == ["0.99", "100,000", "2"]
    assert columns["worst of these"] == ["0.95", "1,000,000", "4"]
    assert columns["this"] == ["0.95", "100,000", "2"]


@pytest.mark.parametrize(
    ("limits", "number"),
    [
        ({"at_most": {"latency_ms": 2.0}}, 1),
        ({"at_most": {"latency_ms": 1.5}}, 2),
        ({"at_most": {"params": 1e5}}, 0),
        ({"at_most": {"params": 1.5e4}}, 3),  # on the front of those within the limits
        ({"at_least": {"val_accuracy": 0.9}}, 0),
        ({"at_least": {"val_accuracy": 0.9}, "by_knee": True}, 1),
        ({"at_most": {"flops": 1e6}, "at_least": {"latency_ms": 2.0}}, 0),
        ({"weights": {"val_accuracy": 1, "flops": -0.1}}, 0),
        ({"weights": {"val_accuracy": 1, "flops": -3}}, 1),
        ({"weights": {"latency_ms": -1}}, 2),
    ],
)
def test_limits_and_weights(study, limits, number):
    assert pick(study, **limits).entry.trial.number == number


def test_why(study):
    found = pick(study, at_most={"latency_ms": 2, "params": 1e5})
    assert found.why == (
        "best val_accuracy (0.95) of 2 networks on the front with latency_ms ≤ 2, params ≤ 100,000"
    )
    found = pick(study, weights={"val_accuracy": 1, "flops": -0.1})
    assert found.why == (
        "largest weighted sum (val_accuracy 1, flops -0.1; each scaled to its range) of 3 networks "
        "on the front"
    )


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"at_most": {"speed": 1}}, "no network has 'speed'; there are: val_accuracy, flops, "
         "latency_ms, params$"),
        ({"at_most": {"latency_ms": 0.5}}, "no network on record has latency_ms ≤ 0.5: the "
         "nearest is trial 2 with latency_ms 1; relax a limit"),
        ({"at_most": {"latency_ms": 1, "flops": 5}}, "has flops ≤ 5 and latency_ms ≤ 1: the "
         "nearest is trial 2 with flops 10,000"),
        ({"weights": {"flops": 1}}, "flops is minimised, so its weight must be below 0, got 1"),
        ({"weights": {"val_accuracy": -1}}, "val_accuracy is maximised, so its weight must be"),
        ({"weights": {"val_accuracy": 0}}, "must be above 0, got 0"),
        ({"weights": {"params": -1}}, "weight of unknown objective 'params'; there are: val_acc"),
        ({"weights": {"flops": -math.inf}}, "weight of flops must be finite, got -inf"),
        ({"weights": {"flops": -1}, "by_knee": True}, "by the knee or by weights"),
    ],
)  # fmt: skip
def test_what_cannot_be_picked(study, limits, message):
    with pytest.raises(InputError, match=message):
        pick(study, **limits)


def test_nothing_to_pick_from():
    with pytest.raises(InputError, match="'s' has no COMPLETE trial yet"):
        pick(make_study([]))
    with pytest.raises(
        InputError, match=r"has no front: each of its COMPLETE trials \(1\) breaks a bound"
    ):
        pick(make_study([([1.0, 1.0, 1.0], {}, 1.0)]))


def test_the_only_network_is_compared_with_none():
    study = optuna.create_study(directions=["minimize", "minimize"])
    study.add_trial(create_trial(values=[1.0, 2.0]))
    assert pick(study).why == "the only network on the front"
    assert pick(study, at_most={"objective 1": 2}, by_knee=True).why == (
        "the only network on the front with objective 1 ≤ 2"
    )


def test_one_trial_and_one_objective():
    assert pick(make_study([([1.0, 1.0, 1.0], {}, 0.0)])).entry.trial.number == 0
    rows = [([2.0], {}, 0.0), ([1.0], {}, 0.0)]
    assert pick(make_study(rows, ["loss"], ["minimize"])).entry.trial.number == 1


def test_what_was_measured(study):
    trial = study.trials[0]
    assert measured(NAMES, trial, "flops") == 1e6
    assert measured(NAMES, trial, "params") == 9e4
    assert [measured(NAMES, trial, name) for name in ("note", "yes", "none")] == [None] * 3


LARGEST = sys.float_info.max
ENDLESS = [([math.inf, 0.0], {}, 0.0), ([1.0, 0.5], {}, 0.0), ([2.0, 0.4], {}, 0.0)]


@pytest.mark.parametrize(
    "how",
    [{"weights": {"loss": -1}}, {"by_knee": True}, {"at_most": {"flops": 0.5}}, {},
     {"weights": {"loss": -0.001, "flops": -1}}, {"weights": {"flops": -1}}],
)  # fmt: skip
def test_a_network_with_an_infinitely_bad_value_is_not_picked(how):
    directions = ["minimize", "minimize"]
    assert pick(make_study(ENDLESS, ["loss", "flops"], directions), **how).entry.trial.number > 0
    upwards = [([-values[0], values[1]], *rest) for values, *rest in ENDLESS]
    how = {k: {"loss": 1} if "loss" in str(v) else v for k, v in how.items()}
    study = make_study(upwards, ["loss", "flops"], ["maximize", "minimize"])
    assert pick(study, **how).entry.trial.number > 0
    alone = make_study(ENDLESS[:1], ["loss", "flops"], directions)
    assert pick(alone).entry.trial.number == 0


@pytest.mark.parametrize("how", [{"weights": {"loss": -1, "flops": -1}}, {"by_knee": True}, {}])
def test_an_infinitely_good_value_wins(how):
    rows = [([1.0, 0.0], {}, 0.0), ([-math.inf, 5.0], {}, 0.0), ([0.5, 0.1], {}, 0.0)]
    study = make_study(rows, ["loss", "flops"], ["minimize", "minimize"])
    assert pick(study, **how).entry.trial.number == 1


@pytest.mark.parametrize("how", [{"weights": {"loss": -1, "flops": -0.1}}, {"by_knee": True}])
def test_values_near_the_largest_float_are_scaled_like_others(how):
    rows = [[-1.0, 1.0], [-0.9, -0.5], [1.0, -1.0]]
    small = [(values, {}, 0.0) for values in rows]
    large = [([v * LARGEST for v in values], {}, 0.0) for values in rows]
    names, directions = ["loss", "flops"], ["minimize", "minimize"]
    found = [pick(make_study(r, names, directions), **how) for r in (small, large)]
    assert found[0].entry.trial.number == found[1].entry.trial.number
