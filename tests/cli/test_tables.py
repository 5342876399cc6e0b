"""The tables of the command line, of studies that are made by hand."""

import io

import optuna
import pytest
from rich.console import Console

import optnas
from optnas.cli.console import show
from optnas.cli.front_table import front_table
from optnas.cli.pick_table import pick_table
from optnas.cli.status_table import status_table
from optnas.pareto.pick import pick
from optnas.runs.progress import Progress
from optnas.study.attributes import FAILURE, RECIPE
from optnas.study.record import RECORD, Overrides, StudyRecord
from optnas.study.reference import keep_reference_point
from optnas.utils.terminal import Terminal


def text(table):
    console = Console(file=io.StringIO(), width=200)
    console.print(table)
    return console.file.getvalue()


@pytest.fixture
def study():
    """One network within the bound on params, and one failed trial."""
    study = optuna.create_study(directions=["minimize", "minimize"])

    def objective(trial):
        trial.set_user_attr("params", 1234)
        trial.set_user_attr(RECIPE, str({"lr": 0.0029600051698838547, "steps": 3}))
        trial.set_constraint("params", -1.0)
        return 0.5, 2.0

    study.optimize(objective, n_trials=1)
    failed = optuna.trial.TrialState.FAIL
    study.add_trial(optuna.create_trial(state=failed, user_attrs={FAILURE: "it diverged"}))
    return study


def test_a_metric_with_a_bound_has_a_column(study):
    assert "params" in text(front_table(study))
    assert "1,234" in text(front_table(study))
    assert "1,234" in text(pick_table(study, pick(study)))


def test_a_recipe_of_your_own_is_shown_with_the_digits_that_are_read(study):
    assert "{'lr': 0.00296, 'steps': 3}" in text(front_table(study))


@pytest.mark.parametrize("recipes", [("fast", "fast"), ("fast", "slow"), ("fast", "")])
def test_a_recipe_that_all_share_stands_below_the_table(recipes):
    """As a column it would make the table wide, and tell no network from another."""
    study = optuna.create_study(directions=["minimize"] * 2)
    for value, recipe in enumerate(recipes):
        user_attrs = {RECIPE: recipe} if recipe else {}
        study.add_trial(optuna.create_trial(values=[value, -value], user_attrs=user_attrs))
    same = len(set(recipes)) == 1
    shown = text(front_table(study))
    assert ("recipe: fast" in shown) == same
    assert shown.count("fast") == 1
    html = optnas.front(study)._repr_html_()
    assert ("recipe: fast" in html) == same
    assert html.count("fast") == 1


def test_one_of_a_thing_is_no_plural(study):
    shown = text(status_table(study))
    assert "1 trial\n" in shown.replace(" " * 2, "").replace(" \n", "\n")
    assert "1 trial; most often (1): it diverged" in shown
    assert "1 trials" not in shown


def test_failures_are_one_reason_if_only_numbers_differ(study):
    failed = optuna.trial.TrialState.FAIL
    for reason in ("no such file", "lr 0.1 is nan", "lr 0.2 is nan"):
        study.add_trial(optuna.create_trial(state=failed, user_attrs={FAILURE: reason}))
    assert "4 trials; most often (2): lr 0.1 is nan" in text(status_table(study))


def test_a_pick_is_shown_in_a_line(study):
    shown = repr(pick(study))
    assert shown.startswith("Pick(trial 0: (no parameters); the only network on the front)")


def test_members_beyond_the_reference_are_told_from_the_others():
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.set_metric_names(["accuracy", "ms"])
    for values in ([0.9, 4.0], [0.8, 3.0], [0.3, 1.0], [0.95, 9.0]):
        study.add_trial(optuna.create_trial(values=values))
    assert "reference" not in text(front_table(study)) + text(status_table(study))
    keep_reference_point(study, {"accuracy": 0.8, "ms": 5.0}, {})
    assert "4 trials, 2 of them within the reference" in text(status_table(study))
    columns = {str(column.header): list(column.cells) for column in front_table(study).columns}
    beyond = dict(zip(columns["trial"], columns["beyond the reference in"], strict=True))
    assert beyond == {"3": "ms", "0": "", "1": "", "2": "accuracy"}


def test_options_that_a_study_remembers_are_shown_as_they_were_given(study):
    given = Overrides(
        device="[bold]cpu", warm_start="old[/x].db", settings={"space.kinds": "[a, b]"}
    )
    study.set_user_attr(RECORD, StudyRecord(overrides=given).stored())
    lines = [line.split() for line in text(status_table(study)).splitlines()]
    assert ["--device", "[bold]cpu"] in lines
    assert ["--warm-start", "old[/x].db"] in lines
    assert ["--set=space.kinds=[a,", "b]"] in lines


def test_colons_in_names_make_no_pictures(capsys):
    study = optuna.create_study(study_name="widths:100:8", direction="minimize")
    study.add_trial(optuna.create_trial(values=[1.0]))
    show(status_table(study))
    assert "widths:100:8" in capsys.readouterr().out
    Progress(Terminal(stderr=True)).say("widths:100:8")
    assert "widths:100:8" in capsys.readouterr().err
