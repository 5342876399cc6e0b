"""Architectures with several trials on the front, each with another recipe."""

import optuna
import pytest
from command_line import exit_code
from optuna.trial import create_trial

import optnas
from optnas.pareto.baselines import baseline_standings
from optnas.pareto.compare import compare
from optnas.pareto.confirmed import keep_repeat
from optnas.pareto.pick import pick
from optnas.pareto.rows import architecture_rows
from optnas.pareto.snapshot import Snapshot
from optnas.plots import comparison_figure, matrix_data, matrix_figure, pareto_figure
from optnas.plots.pareto import pareto_data
from optnas.report.labels import Meanings
from optnas.report.networks import networks
from optnas.report.summary import goals
from optnas.study.attributes import ARCHITECTURE, BASELINE, DUPLICATE_OF, RECIPE


def study_of(*rows, names=("val_loss", "latency_ms"), **settings):
    study = optuna.create_study(directions=["minimize"] * len(names), **settings)
    study.set_metric_names(list(names))
    for architecture, recipe, values, attrs in rows:
        attrs = {ARCHITECTURE: architecture, RECIPE: recipe} | attrs
        study.add_trial(create_trial(values=values, user_attrs=attrs))
    return study


ROWS = (
    ("hand-made", "lr=0.1", [0.50, 5.10], {BASELINE: "LeNet"}),
    ("A", "lr=0.1", [0.60, 5.01], {}),  # represents A
    ("A", "lr=0.01", [0.40, 5.03], {"epochs_run": 3}),
    ("A", "lr=0.01", [0.40, 5.03], {DUPLICATE_OF: 2, "epochs_run": 3}),
)


def test_the_second_recipe_of_an_architecture_can_be_picked():
    study = study_of(*ROWS)
    for limits in ({"val_loss": 0.45}, {"epochs_run": 3}):
        found = pick(study, at_most=limits)
        assert (found.entry.number, found.entry.values) == (2, (0.4, 5.03))
        assert (found.entry.architecture, found.entry.others) == ("A", [1, 3])
        assert "of 1 network on the front" in found.why
    assert pick(study, weights={"latency_ms": -1}).entry.number == 1
    found = pick(study, at_most={"latency_ms": 6})
    assert found.entry.number == 2
    assert "best val_loss (0.4) of 2 trials on the front" in found.why


def test_the_command_names_the_recipe_that_was_picked(capsys):
    study_of(*ROWS, storage="sqlite:///recipes.db", study_name="s")
    assert exit_code(["pick", "recipes.db", "--max", "val_loss=0.45"]) == 0
    assert capsys.readouterr().out.startswith("trial 2: A\nrecipe: lr=0.01\nbest val_loss (0.4) of")


def test_fronts_are_compared_with_all_their_trials():
    study = study_of(*ROWS)
    found = compare({"a": study, "b": study_of(*ROWS[:2])})
    first, second = found.studies
    assert [(m.trial, m.recipe) for m in first.front] == [(1, "lr=0.1"), (2, "lr=0.01")]
    assert [(m.trial, m.recipe) for m in second.front] == [(0, ""), (1, "")]
    assert second.dominates == {"a": 0.0}
    assert first.dominates == {"b": 0.5}
    alone = compare({"a": study, "b": study})
    assert {own.hypervolume for own in alone.studies} == {optnas.hypervolume(study)}
    points = next(trace for trace in comparison_figure(found).data if trace.mode == "markers")
    assert "A lr=0.01" in points.hovertext[1]


def test_trials_of_an_architecture_with_equal_values_are_one_network():
    study = study_of(*ROWS[1:3], ("A", "lr=0.02", [0.40, 5.03], {}))
    assert [m.trial for m in compare({"a": study, "b": study}).studies[0].front] == [0, 1]
    assert "of 2 trials on the front" in pick(study).why
    three = study_of(
        ("A", "lr=0.1", [1.0, 1.0, 2.0], {}),
        ("A", "lr=0.2", [1.0, 1.0, 1.0], {}),
        names=("val_loss", "latency_ms", "size"),
    )
    found = compare({"a": three, "b": study})  # by what both have
    assert [m.trial for m in found.studies[0].front] == [0]


def test_a_baseline_is_dominated_by_any_trial_of_the_front():
    seen = Snapshot.of(study_of(*ROWS))
    (standing,) = baseline_standings(seen)
    assert standing.text() == "dominated by trial 2"
    data = pareto_data(seen)
    assert (data.dominating, data.missing) == ({"LeNet": (2,)}, {})


def test_the_nearest_to_a_baseline_may_be_a_second_recipe():
    study = study_of(ROWS[0], ROWS[1], ("A", "lr=0.01", [0.51, 5.03], {}))
    (standing,) = baseline_standings(Snapshot.of(study))
    assert standing.text() == ("not dominated: the nearest, trial 2, has val_loss 0.51 (not 0.5)")


def test_the_report_names_the_best_value_of_all_trials():
    study = study_of(*ROWS)
    best, _ = goals(Snapshot.of(study), Meanings(study, study.trials))
    assert (best.best, best.worst, best.trial) == (0.4, 0.6, 2)


def test_a_study_of_reused_values_alone_has_a_network():
    """The trial that they are from may be in the study that this one was made from."""
    study = study_of(("A", "lr=0.1", [1.0, 1.0], {DUPLICATE_OF: 7}))
    assert pick(study).entry.number == 0
    with pytest.raises(optnas.InputError, match="no network on record has val_loss"):
        pick(study, at_most={"val_loss": 0.5})


def test_tables_and_figures_show_each_trial_of_the_front(capsys):
    study = study_of(*ROWS, storage="sqlite:///recipes.db", study_name="s")
    seen = Snapshot.of(study)
    assert [row["trial"] for row in architecture_rows(seen, front=True)] == [2, 1]
    assert [p.number for p in pareto_data(seen).points] == [0, 1, 2]
    title = "s: 1 of 2 architectures on the front, with 2 trials"
    assert title in pareto_figure(pareto_data(seen)).layout.title.text
    title = "1 of 1 feasible architectures are on the front of all 2, with 2 trials"
    assert title in matrix_figure(matrix_data(seen)).layout.title.text.replace("<br>", " ")
    rows = networks(seen, Meanings(study, seen.trials), {}).rows
    assert [(row.trial, row.values[0], row.place) for row in rows] == [
        (2, 0.4, "front"),
        (0, 0.5, "dominated"),
        (1, 0.6, "front"),
    ]
    assert exit_code(["pareto", "recipes.db"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[1] for line in lines if len(line) > 3 and line[1].isdigit()] == ["2", "1", "0"]


def test_fresh_seeds_speak_for_the_trial_that_they_repeat():
    study = study_of(*ROWS)
    for trial, loss in ((1, 0.7), (2, 0.3)):
        for seed in (1, 2):
            values = {"val_loss": loss, "latency_ms": 5.0 + trial / 100}
            keep_repeat(study, trial, seed, values)
    confirmed = {row["trial"]: row["confirmed"] for row in architecture_rows(study)}
    assert confirmed == {0: None, 1: "stands", 2: "stands"}
    keep_repeat(study, 1, 3, {"val_loss": 0.7, "latency_ms": 9.0})
    confirmed = {row["trial"]: row["confirmed"] for row in architecture_rows(study)}
    assert confirmed == {0: None, 1: "stands within noise", 2: "stands"}
