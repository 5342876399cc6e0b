"""Baselines whose architecture the search finds, too."""

import optuna
from optuna.trial import create_trial

from optnas.finished.elsewhere import _chosen
from optnas.pareto.baselines import baseline_standings
from optnas.pareto.elsewhere import compare_device
from optnas.pareto.pick import pick
from optnas.pareto.rows import architecture_rows
from optnas.pareto.snapshot import Snapshot
from optnas.report.summary import summary
from optnas.study.attributes import ARCHITECTURE, BASELINE, DUPLICATE_OF, IN_SPACE, RECIPE
from optnas.study.elsewhere import OtherDevice, There


def snapshot_of(*rows):
    study = optuna.create_study(directions=["minimize", "minimize"])
    study.set_metric_names(["val_loss", "latency_ms"])
    for architecture, recipe, values, attrs in rows:
        attrs = {ARCHITECTURE: architecture, RECIPE: recipe} | attrs
        study.add_trial(create_trial(values=values, user_attrs=attrs))
    return Snapshot.of(study)


LENET = {BASELINE: "lenet", IN_SPACE: True}
ROWS = (
    ("LeNet", "lr=0.1", [0.5, 2.0], LENET),
    ("LeNet", "lr=0.1", [0.5, 2.0], {DUPLICATE_OF: 0}),
    ("LeNet", "lr=0.01", [0.4, 2.0], {}),
    ("B", "lr=0.01", [0.9, 1.0], {}),
)


def test_a_baseline_stays_when_the_search_finds_it_with_a_better_recipe():
    seen = snapshot_of(*ROWS)
    assert [(r.number, r.trials, r.baseline) for r in seen.architectures] == [
        (0, (0, 1), "lenet"),  # what reused its values is the baseline
        (2, (2,), None),
        (3, (3,), None),
    ]
    assert [r.place for r in seen.architectures] == ["dominated", "front", "front"]
    (standing,) = baseline_standings(seen)
    assert standing.text() == "dominated by trial 2"
    assert [(row["trial"], row["baseline"]) for row in architecture_rows(seen)] == [
        (2, None),
        (3, None),
        (0, "lenet"),
    ]
    assert "2 networks were tried; 2 of them are on the Pareto front" in summary(seen)


def test_a_baseline_that_reuses_what_the_search_found_stays_with_its_place():
    seen = snapshot_of(
        ("LeNet", "lr=0.1", [0.5, 2.0], {}),
        ("LeNet", "lr=0.1", [0.5, 2.0], {DUPLICATE_OF: 0} | LENET),
        ("LeNet", "lr=0.1", [0.5, 2.0], {DUPLICATE_OF: 0} | LENET | {BASELINE: "mine"}),
    )
    found = [(r.number, r.baseline, r.place) for r in seen.architectures]
    assert found == [(0, None, "front"), (1, "lenet", "front"), (2, "mine", "front")]
    texts = [standing.text() for standing in baseline_standings(seen)]
    assert texts == ["not dominated: trial 0 equals it"] * 2
    assert "1 network was tried; 1 of them is on" in summary(seen)
    assert pick(seen).why == "the only network on the front"


def test_what_other_programs_wrote_as_the_trial_that_was_reused_is_no_matter():
    seen = snapshot_of(*((a, r, v, {DUPLICATE_OF: odd}) for (a, r, v, _), odd in zip(
        ROWS, ([1], "0", 77, None), strict=True)))  # fmt: skip
    assert [r.trials for r in seen.architectures] == [(0, 1, 2), (3,)]


def test_another_device_measures_and_ranks_an_architecture_once():
    seen = snapshot_of(*ROWS)
    assert [r.number for r in _chosen(seen, 1, None)] == [2, 3]
    assert [r.number for r in _chosen(seen, 1, 4)] == [2, 3]
    measured = (There("LeNet", 0, 7.0), There("B", 3, 9.0))
    found = compare_device(seen, OtherDevice("board", "latency_ms", "latency_ms", {}, measured))
    assert [(one.trial, one.rank_here, one.rank_there) for one in found.measured] == [
        (2, 2, 1),
        (3, 1, 2),
    ]
    assert [one.by for one in found.measured] == [None, 2]
    assert found.tau == -1.0
