"""Confirming the front: fresh evaluations, what is kept of them, and the verdicts."""

import math

import numpy as np
import optuna
import pytest
import torch
from hypothesis import given, strategies as st
from networks import build_linear
from optuna.trial import create_trial
from scipy.stats import ttest_ind

import optnas
from optnas.cli.network_tables import confirmed_table, standing_line
from optnas.errors import CandidateError, InputError
from optnas.evaluators import FunctionEvaluator
from optnas.metrics import FunctionMetric
from optnas.pareto.confirmed import CONFIRMED, Confirmed, _noise, confirmed, standing
from optnas.search_spaces import FunctionSpace
from optnas.study.seeds import derived_seed
from optnas.utils.mean_sd import Spread


def noisy(model, recipe, report):
    loss = 1.0 / sum(p.numel() for p in model.parameters()) + 0.01 * float(torch.rand(1))
    report(0, {"loss": loss})
    return {"loss": loss, "spare": float(torch.rand(1))}


DIRECTIONS = {"loss": "minimize", "spare": "maximize"}


def search_of(fn=noisy, **kwargs):
    settings = {
        "space": FunctionSpace(build_linear, torch.zeros(1, 2)),
        "evaluator": FunctionEvaluator(fn, DIRECTIONS),
        "objectives": ("loss", "params"),
        "sampler": "random",
        "trials": 8,
        "seed": 1,
        "name": "noisy",
    }
    return optnas.Search(**(settings | kwargs))


def confirm(study, search, **kwargs):
    return optnas.confirm(study, search, progress=False, **kwargs)


def front_of(study):
    return [t.number for t in optnas.front(study)]


def test_fresh_seeds_are_kept_and_nothing_is_repeated(monkeypatch):
    search = search_of()
    study = search.run(progress=False)
    seeds = []

    def recording(evaluator, candidate, recipe, report, evaluate=FunctionEvaluator.evaluate):
        seeds.append(candidate.seed)
        return evaluate(evaluator, candidate, recipe, report)

    monkeypatch.setattr(FunctionEvaluator, "evaluate", recording)
    members = front_of(study)
    assert len(members) > 1
    found = confirm(study, search, seeds=2)
    assert list(found) == members
    # All members get a seed before any gets the next one.
    assert seeds == [derived_seed(1, n, f"confirm {k}") for k in range(2) for n in members]
    assert confirm(study, search, seeds=2) == found
    assert confirm(study, search, seeds=1) == found
    assert len(seeds) == 2 * len(members)
    more = confirm(study, search, seeds=3, trials=[members[0]])
    assert len(seeds) == 2 * len(members) + 1
    assert more[members[0]].repeats[:2] == found[members[0]].repeats
    assert more[members[0]].seeds == (0, 1, 2)

    for number, member in found.items():
        trial = study.trials[number]
        assert member.search == tuple(trial.values)
        assert member.again == (True, False)
        assert member.like_search == member.repeats
        losses = [values[0] for values in member.repeats]
        assert len({*losses, trial.values[0]}) == 3
        assert member.spreads[0] == pytest.approx((np.mean(losses), np.std(losses, ddof=1), 2))
        assert member.spreads[1] == Spread(trial.values[1], 0.0, 2)
        # All scores are kept, including those that are no objectives.
        notes = study.user_attrs[f"{CONFIRMED}:{number}"]
        assert {name for note in notes for name in note["values"]} == {"loss", "spare"}


def test_metrics_that_are_not_exact_are_measured_again():
    calls = []
    noise = FunctionMetric("noise", lambda c: float(len(calls.append(0) or calls)))
    count = FunctionMetric("count", lambda c: 7.0, exact=True)
    search = search_of(metrics=[noise, count], objectives=("loss", "noise", "count"), trials=3)
    study = search.run(progress=False)
    before = len(calls)
    found = confirm(study, search, seeds=2, trials=[0])
    assert len(calls) == before + 2
    assert [values[1:] for values in found[0].repeats] == [(before + 1, 7.0), (before + 2, 7.0)]
    assert found[0].again == (True, True, False)


def test_an_interruption_keeps_finished_evaluations():
    search = search_of()
    study = search.run(progress=False)
    members = front_of(study)
    left = [len(members) + 1]

    def stops(model, recipe, report):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return noisy(model, recipe, report)

    whole = confirm(search_of().run(progress=False), search, seeds=2)
    for trial in list(study.user_attrs):
        if trial.startswith(CONFIRMED):
            study.set_user_attr(trial, [])
    stopping = search_of(stops)
    with pytest.raises(KeyboardInterrupt):
        confirm(study, stopping, seeds=2, accept_changes=True)
    assert sum(m.n for m in confirmed(study).values()) == len(members) + 1
    again = confirm(study, search, seeds=2)
    assert {n: m.repeats for n, m in again.items()} == {n: m.repeats for n, m in whole.items()}


def test_failures_are_reported_and_not_repeated():
    outcomes, calls = [], []

    def fails(model, recipe, report):
        if outcomes:
            calls.append(0)
            outcome = outcomes.pop(0)
            if outcome is not None:
                raise outcome
        return noisy(model, recipe, report)

    search = search_of(fails, trials=4)
    study = search.run(progress=False)
    nan = CandidateError("diverged: loss is nan")
    outcomes[:] = [nan, None, nan, optuna.TrialPruned()]
    found = confirm(study, search, trials=[0], seeds=4)[0]
    assert found.failures == {
        0: "diverged: loss is nan",
        2: "diverged: loss is nan",
        3: "the evaluator ended it",
    }
    assert (found.seeds, found.n) == ((1,), 1)
    outcomes.append(None)
    confirm(study, search, trials=[0], seeds=4)
    assert len(calls) == 4

    def broken(model, recipe, report):
        raise RuntimeError("not enough memory: you tried to allocate memory")

    with pytest.raises(InputError, match=r"trial 1, fresh seed 0: out of memory"):
        confirm(study, search_of(broken, trials=4), trials=[1], accept_changes=True)


def test_changed_settings_are_refused():
    study = search_of().run(progress=False)

    def other(model, recipe, report):
        return noisy(model, recipe, report)

    changed = search_of(other)
    with pytest.raises(InputError, match=r"was run with other settings \(evaluator function: "):
        confirm(study, changed)
    assert confirmed(study) == {}
    confirm(study, changed, seeds=1, accept_changes=True)
    notes = study.user_attrs[f"{CONFIRMED}:{front_of(study)[0]}"]
    assert notes[0]["changes"].startswith("evaluator function: ")
    assert all(member.n == 1 and not member.like_search for member in confirmed(study).values())


def test_what_cannot_be_confirmed_is_refused():
    search = search_of()
    study = search.open()
    with pytest.raises(InputError, match=r"'noisy' has no COMPLETE trial yet"):
        confirm(study, search)
    with pytest.raises(InputError, match=r"seeds must be at least 1"):
        confirm(study, search, seeds=0)
    with pytest.raises(InputError, match=r"there is no trial 3"):
        confirm(study, search, trials=[3])


def test_scores_that_no_seed_changes_show_nothing_of_luck(caplog):
    """A script may set a seed of its own; a latency still differs then."""

    def unseeded(model, recipe, report):
        return {"loss": 1.0 / sum(p.numel() for p in model.parameters()), "spare": 0.0}

    search = search_of(unseeded, trials=1, objectives=("loss", "latency_ms"))
    study = search.run(progress=False)
    confirm(study, search, seeds=1)
    assert "every seed" not in caplog.text
    confirm(study, search, seeds=2)
    assert "trial 0: every seed gave exactly the same scores" in caplog.text
    assert "{seed} in a command" in caplog.text
    caplog.clear()
    other = search_of(trials=1, name="other")
    confirm(other.run(progress=False), other, seeds=2)
    assert "every seed" not in caplog.text


def test_looked_up_scores_have_no_noise(caplog):
    table = {f"width={w}": {"loss": 1.0 / w} for w in (1, 2, 3)}

    def build(trial):
        return torch.nn.Linear(2, trial.suggest_int("width", 1, 3))

    search = search_of(
        space=FunctionSpace(build, torch.zeros(1, 2)),
        evaluator=optnas.TabularEvaluator(table, {"loss": "minimize"}),
    )
    study = search.run(progress=False)
    confirm(study, search, seeds=2)
    line = standing_line(study)
    assert line.startswith("3 of 3 confirmed networks stand; every fresh seed gave the same values")
    assert "every seed" not in caplog.text


def made(trials, directions=("minimize", "minimize"), names=("loss", "params")):
    """A study whose trials have fresh values: of `loss` as given, of `params` the count."""
    study = optuna.create_study(directions=list(directions))
    study.set_metric_names(list(names))
    for number, (losses, params) in enumerate(trials):
        study.add_trial(create_trial(values=[0.0, params]))
        notes = [
            {"seed": k, "values": {"loss": loss}, "failure": "", "changes": ""}
            if loss is not None
            else {"seed": k, "values": {}, "failure": "diverged", "changes": ""}
            for k, loss in enumerate(losses)
        ]
        study.set_user_attr(f"{CONFIRMED}:{number}", notes)
    return study


def verdicts(study):
    return [(s.verdict, s.by) for s in standing(study)]


def test_verdicts():
    study = made(
        [
            ([1.0, 1.1, 0.9], 10),  # the best of its size
            ([2.0, 2.1, 1.9], 10),  # surely worse
            ([1.05, 1.2, 0.95], 10),  # worse by less than the noise
            ([3.0, 3.1, 2.9], 5),  # smaller: nothing dominates it
            ([1.0, 1.1, 0.9], 11),  # the same losses, which vary, and larger
            ([None, None], 1),
        ]
    )
    assert verdicts(study) == [
        ("stands", None),
        ("falls", 0),
        ("stands within noise", 0),
        ("stands", None),
        ("stands within noise", 0),
        ("failed", None),
    ]
    assert standing_line(study) == (
        "2 of 6 confirmed networks stand, 2 within noise, 1 falls, 1 failed"
    )
    values = [[1.0], [2.0], [3.0]]
    single = made([(losses, 10) for losses in values])
    assert verdicts(single) == [
        ("stands by one seed", None),
        ("stands within noise", 0),
        ("stands within noise", 0),
    ]
    assert standing_line(single) == "0 of 3 confirmed networks stand, 1 by one seed, 2 within noise"


def test_one_seed_is_said_to_give_no_spread():
    one = "search → one fresh seed; one seed gives no spread: --seeds 3 evaluates with more"
    both = "search → mean ± standard deviation over the fresh seeds alone"
    assert confirmed_table(made([([1.0], 10)])).caption == one
    assert confirmed_table(made([([1.0, 1.1], 10)])).caption == both
    mixed = confirmed_table(made([([1.0, 1.1], 10), ([2.0], 9)])).caption
    assert mixed.startswith(f"{both}; one seed gives no spread")
    assert confirmed_table(made([([None], 1)])).caption == "search → no fresh seed succeeded"


def test_without_variance_the_verdict_is_certain():
    study = made([([1.0, 1.0], 10), ([1.0, 1.0], 11), ([1.0, 1.0], 10), ([0.5, 0.5], 12)])
    assert verdicts(study) == [("stands", None), ("falls", 0), ("stands", None), ("stands", None)]


def test_verdicts_with_a_maximised_objective():
    study = made([([0.9, 0.91], 10), ([0.1, 0.11], 10)], ("maximize", "minimize"))
    assert verdicts(study) == [("stands", None), ("falls", 0)]


def test_the_value_of_the_search_is_not_in_the_mean():
    """The search's value of 0 would be the best of all."""
    study = made([([1.0, 1.2], 10)])
    assert confirmed(study)[0].spreads[0].mean == pytest.approx(1.1)
    assert confirmed(study)[0].search == (0.0, 10.0)


@given(
    st.lists(st.integers(1, 30), min_size=2, max_size=5, unique=True),
    st.lists(st.integers(1, 30), min_size=2, max_size=5, unique=True),
)
def test_the_noise_equals_welchs_test(a, b):
    one, other = Spread.of(a), Spread.of(b)
    noise = _noise(one, other)
    p = ttest_ind(a, b, equal_var=False).pvalue
    gap = abs(one.mean - other.mean)
    assert (gap > noise) == (p < 0.05) or gap == pytest.approx(noise)
    for size in (1e300, 1e-300):
        scaled = _noise(*(Spread.of([size * v for v in values]) for values in (a, b)))
        assert scaled / size == pytest.approx(noise)


@pytest.mark.parametrize(
    "value",
    [
        "text",
        {"a": 1},
        [None, 3, "x", []],
        [{"seed": 0}],
        [{"seed": "0", "values": {"loss": 1.0}, "failure": ""}],
        [{"seed": 0, "values": {"loss": "1"}, "failure": ""}],
        [{"seed": 0, "values": {"loss": float("nan")}, "failure": ""}],
        [{"seed": 0, "values": {}, "failure": ""}],
        [{"seed": 0, "values": {"loss": 1.0}, "failure": 3}],
    ],
)
def test_notes_in_another_form_are_ignored(value):
    study = made([([1.0, 2.0], 10), ([1.0], 9)])
    good = confirmed(study)
    study.set_user_attr(f"{CONFIRMED}:1", value)
    study.set_user_attr(f"{CONFIRMED}:9", study.user_attrs[f"{CONFIRMED}:0"])
    study.set_user_attr(f"{CONFIRMED}:x", value)
    assert confirmed(study) == {0: good[0]}
    assert verdicts(study) == [("stands", None)]
    assert confirmed_table(study).row_count == 1
    notes = study.user_attrs[f"{CONFIRMED}:0"]
    partly = [*notes, {"seed": 2, "values": {"other": 1.0}, "failure": ""}]
    study.set_user_attr(f"{CONFIRMED}:0", partly)
    assert confirmed(study)[0].seeds == (0, 1)


def test_a_study_without_notes_has_nothing_confirmed():
    study = optuna.create_study()
    assert (confirmed(study), standing(study)) == ({}, [])
    assert isinstance(made([([1.0], 1)]).user_attrs["confirmed:0"], list)
    assert math.isnan(confirmed(made([([1.0], 1)]))[0].spreads[0].deviation)
    assert isinstance(confirmed(made([([1.0], 1)]))[0], Confirmed)


FILE = """
import torch, optnas
from networks import build_linear
from test_confirm import DIRECTIONS, noisy

search = optnas.Search(
    space=optnas.FunctionSpace(build_linear, torch.zeros(1, 2)),
    evaluator=optnas.FunctionEvaluator(noisy, DIRECTIONS),
    objectives=("loss", "params", "latency_ms"),
    metrics=[optnas.Latency(max_seconds=0.01)],
    sampler="random", trials=4, seed=3,
)
"""


HEADER = "study mine in sqlite:///mine.db, on cpu\n"


def test_the_command_line(optnas, tmp_path):
    (tmp_path / "mine.py").write_text(FILE)
    assert optnas("run", "mine.py")[0] == 0
    code, out, err = optnas("confirm", "mine.py", "--seeds", 2, "--trials", "0,1")
    assert code == 0
    assert "[4/4] trial 1, fresh seed 1  latency_ms " in err
    for text in ("Confirmed members", "search → mean", "width=", "±", "confirmed networks stand"):
        assert text in out
    assert optnas("confirm", "sqlite:///mine.db", "--seeds", 2, "--trials", "0,1")[2] == HEADER
    for arguments, message in (
        (["--trials", "a"], "must be numbers with commas, such as 3,7"),
        (["--trials", "99"], "there is no trial 99"),
        (["--seeds", "0"], "seeds must be at least 1"),
    ):
        code, _, err = optnas("confirm", "mine.py", *arguments)
        assert (code, message in err) == (2, True)
