"""Figures of how a search went: history, importance, learning curves, timeline."""

import math
import random
import re
from datetime import datetime, timedelta

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from optnas.errors import InputError
from optnas.plots import (
    curves_data,
    curves_figure,
    history_data,
    history_figure,
    importance_data,
    importance_figure,
    timeline_data,
    timeline_figure,
)
from optnas.study.attributes import (
    BASELINE,
    CURVE,
    DUPLICATE_OF,
    FAILURE,
    LEASE,
    LOST,
    PRUNED,
    SURPLUS,
)
from optnas.study.record import RECORD
from optnas.study.trial_order import PRECEDES

START = datetime(2026, 3, 1, 9)


def make(names, directions=None):
    study = optuna.create_study(study_name="s", directions=directions or ["minimize"] * len(names))
    study.set_metric_names(list(names))
    return study


def put(study, values=None, *, at=0.0, seconds=1.0, state=TrialState.COMPLETE, **attrs):
    """A trial with its times, in seconds since the start."""
    excess, precedes = attrs.pop("excess", 0.0), attrs.pop("precedes", None)
    trial = create_trial(
        state=state if state.is_finished() else TrialState.WAITING,
        values=values,
        user_attrs=attrs,
        system_attrs={} if precedes is None else {PRECEDES: precedes},
        constraints={"params": excess} if values else None,
    )
    trial.state = state
    trial.datetime_start = START + timedelta(seconds=at)
    trial.datetime_complete = trial.datetime_start + timedelta(seconds=seconds)
    if not state.is_finished():
        trial.datetime_complete = None
    study._storage.create_new_trial(study._study_id, template_trial=trial)


def words(figure):
    """The title of a figure without its tags."""
    return " ".join(re.sub("<[^>]*>", " ", figure.layout.title.text).split())


def test_history_keeps_the_best_so_far_by_completion():
    study = make(["loss", "accuracy"], ["minimize", "maximize"])
    put(study, [3.0, 0.5], at=20, precedes=4)
    put(study, [2.0, 0.5], at=0)
    put(study, [0.1, 1.0], at=5, excess=1.0)
    put(study, [0.2, 0.9], at=10, **{BASELINE: "net"})
    put(study, [1.0, 0.7], at=30)
    data = history_data(study)
    assert data.trials == 4
    assert [(s.trials, s.number, s.value) for s in data.best[0]] == [(1, 1, 2.0), (4, 4, 1.0)]
    assert [(s.trials, s.number, s.value) for s in data.best[1]] == [(1, 1, 0.5), (4, 4, 0.7)]
    assert [tuple(b) for b in data.baselines] == [("net", 3, (0.2, 0.9))]
    assert data.hypervolume[-1] == (4, 1.0)  # the baseline is the best of all
    figure = history_figure(data)
    steps = [t for t in figure.data if t.name == "best so far"]
    assert [list(t.customdata) for t in steps] == [[1, 4], [1, 4]]
    assert [t.y[0] for t in figure.data if t.name == "baselines"] == [0.2, 0.9]
    assert "best value of each objective among the 4 feasible trials;" in words(figure)
    assert words(figure).startswith("s: best values after 4 trials ")  # 1.000 says nothing yet


def test_history_shows_the_hypervolume_and_goes_on_to_the_end():
    study = make(["a", "b"])
    for i in range(12):
        put(study, [float(10 - min(i, 5)), float(i)], at=i)
    data = history_data(study)
    assert [count for count, _ in data.hypervolume] == list(range(1, 13))
    assert [v for _, v in data.hypervolume] == sorted(v for _, v in data.hypervolume)
    figure = history_figure(data)
    assert f"hypervolume {data.hypervolume[-1][1]:.3f} after 12 trials" in figure.layout.title.text
    assert list(figure.data[1].x) == [1, 2, 3, 4, 5, 6, 12]
    assert list(figure.data[1].y) == [10, 9, 8, 7, 6, 5, 5]
    # The end of the line is no place of a trial: the report would mark it there, too.
    assert list(figure.data[1].customdata) == [0, 1, 2, 3, 4, 5, None]


def test_a_hypervolume_of_many_objectives_is_said_to_be_approximate():
    study = make([f"o{i}" for i in range(6)])
    rng = random.Random(0)
    for i in range(30):
        put(study, [rng.random() for _ in range(6)], at=i)
    data = history_data(study)
    assert not data.exact
    assert len(data.hypervolume) == 20
    title = words(history_figure(data))
    assert "hypervolume about" in title
    assert "approximated beyond 5 objectives" in title


def with_decisions(count=60, **record):
    """Loss by `recipe.rate`, size by `width`; `extra` is decided by half of them."""
    study = make(["loss", "size", "accuracy"], ["minimize", "minimize", "maximize"])
    study.set_user_attr(RECORD, record)
    rng = random.Random(1)
    for i in range(count):
        params = {"recipe.rate": rng.random(), "width": rng.random()}
        if i % 2:
            params["extra"] = rng.random()
        values = [params["recipe.rate"], params["width"], params["recipe.rate"]]
        study.add_trial(
            create_trial(
                values=values,
                params=params,
                distributions={name: FloatDistribution(0, 1) for name in params},
            )
        )
    put(study, [0.0, 0.0, 9.0], **{BASELINE: "without decisions"})
    return study


def test_importance_of_each_decision_for_each_objective():
    data = importance_data(with_decisions())
    assert (data.trials, data.of, data.best) == (60, 60, pytest.approx(1 / 6))
    found = {d.name: d for d in data.decisions}
    assert [name for name, d in found.items() if d.conditional] == ["extra"]
    rate, width = found["recipe.rate"].shares, found["width"].shares
    assert min(rate[0], rate[2], width[1]) > 0.7
    assert max(rate[1], width[0], width[2]) < 0.2
    for i in range(3):
        assert sum(d.shares[i] for d in data.decisions) == pytest.approx(1)
    figure = importance_figure(data)
    assert figure.layout.yaxis.ticktext[0] == "recipe.rate"
    assert "<i>extra</i>" in figure.layout.yaxis.ticktext
    assert "best 17% of 60 trials" in figure.layout.title.text


def test_training_has_no_influence_on_what_is_measured():
    data = importance_data(with_decisions(scores=["loss", "accuracy"]))
    rate = next(d for d in data.decisions if d.name == "recipe.rate")
    assert [share is None for share in rate.shares] == [False, True, False]
    assert "recipe.* counts only" in importance_figure(data).layout.title.text


def test_an_objective_that_never_varies_tells_nothing():
    def study_of(first):
        study = optuna.create_study(directions=["minimize", "minimize"])
        for i in range(30):
            study.add_trial(
                create_trial(
                    values=[first(i), 1.0],
                    params={"x": i / 30},
                    distributions={"x": FloatDistribution(0, 1)},
                )
            )
        return study

    assert [d.shares for d in importance_data(study_of(float)).decisions] == [(1.0, 0.0)]
    for same in (1.0, math.inf):
        with pytest.raises(InputError, match="nothing is left to draw: no decision sets the best"):
            importance_data(study_of(lambda i, same=same: same))


def test_most_decisions_share_a_row():
    study = optuna.create_study(direction="minimize")
    rng = random.Random(0)
    space = {f"p{i}": FloatDistribution(0, 1) for i in range(30)}
    for _ in range(40):
        params = {name: rng.random() for name in space}
        study.add_trial(create_trial(values=[params["p7"]], params=params, distributions=space))
    figure = importance_figure(importance_data(study))
    assert figure.layout.yaxis.ticktext[0] == "p7"
    assert figure.layout.yaxis.ticktext[-1] == "10 others"
    assert sum(figure.data[0].x) == pytest.approx(100)


def test_curves_of_the_first_objective_that_was_reported():
    study = make(["params", "loss"])
    rows = [{"step": 0, "acc": 0.1, "loss": 2.0}, {"step": 1, "acc": 0.5, "loss": float("nan")}]
    put(study, [5.0, 1.0], **{CURVE: rows})
    put(study, [9.0, 2.0], **{CURVE: [{"step": 0, "loss": 3.0}, "spoiled", {"loss": 1.0}]})
    put(study, state=TrialState.PRUNED, **{CURVE: [{"step": 0, "loss": 4.0}]})
    put(study, [1.0, 9.0], **{CURVE: [{"step": 0, "loss": 9.0}], BASELINE: "net"})
    put(study, [7.0, 7.0], **{CURVE: "spoiled"})
    data = curves_data(study)
    assert (data.score, data.better, data.by) == ("loss", False, "params")
    assert [(c.number, c.steps, c.scores, c.by) for c in data.curves] == [
        (0, (0, 1), (2.0, None), 5.0),
        (1, (0,), (3.0,), 9.0),
        (2, (0,), (4.0,), None),
        (3, (0,), (9.0,), 1.0),
    ]
    assert [c.on_front for c in data.curves] == [True, False, False, True]
    figure = curves_figure(data)
    assert [(t.name, list(t.customdata)) for t in figure.data[:3]] == [
        ("others", [1, 1, 2, 2]),
        ("front", [0, 0]),
        ("baselines", [3]),
    ]
    assert curves_data(study, "acc").better is None
    assert curves_figure(curves_data(study, "acc")).layout.yaxis.title.text == "acc"
    with pytest.raises(InputError, match="no score 'ms' was reported; there are: acc, loss"):
        curves_data(study, "ms")


def test_of_many_curves_some_are_drawn():
    study = make(["loss"])
    for i in range(300):
        put(study, [float(i)], **{CURVE: [{"step": s, "loss": float(i)} for s in range(900)]})
    data = curves_data(study)
    assert len(data.curves) == 300
    assert len(data.curves[0].steps) == 300
    figure = curves_figure(data)
    assert len(set(figure.data[0].customdata)) == 200
    assert "200 of 299 curves are drawn: others" in figure.layout.legend.title.text


def lease(pid, host="alpha"):
    return {"host": f"{host}/id", "pid": pid, "worker": f"{host}{pid}", "renewed": 0.0}


def test_timeline_has_a_row_for_each_worker_at_once():
    study = make(["loss"])
    put(study, [1.0], at=0, seconds=10, **{LEASE: lease(1)})
    put(study, [1.0], at=1, seconds=5, **{LEASE: lease(2)})
    put(study, [1.0], at=2, seconds=5, **{LEASE: lease(3, "beta")})
    put(study, [1.0], at=11, seconds=4, **{LEASE: lease(1)})
    put(study, [1.0], at=8, seconds=4, **{LEASE: lease(4)})  # after worker 2
    data = timeline_data(study)
    assert data.lanes == ["alpha 1", "alpha 2", "beta 1"]
    assert [(b.numbers, b.lane, b.start, b.seconds) for b in data.bars] == [
        ((0,), 0, 0, 10), ((1,), 1, 1, 5), ((2,), 2, 2, 5), ((4,), 1, 8, 4), ((3,), 0, 11, 4),
    ]  # fmt: skip
    assert data.bars[3].worker == "alpha, process 4"
    assert (data.seconds, data.began) == (15, START)
    assert data.busy == pytest.approx(28 / 45)
    assert timeline_figure(data).layout.yaxis.ticktext == ("alpha 1", "alpha 2", "beta 1")


def test_timeline_tells_how_trials_ended():
    study = make(["loss"])
    put(study, [1.0], at=0)
    put(study, [1.0], at=1, **{DUPLICATE_OF: 0})
    put(study, at=2, state=TrialState.PRUNED, **{PRUNED: "params is 9, its bound 7"})
    put(study, at=3, state=TrialState.FAIL, **{FAILURE: "<b>nan</b>"})
    put(study, at=4, state=TrialState.FAIL, **{LOST: "killed"})
    put(study, at=5, state=TrialState.FAIL, **{SURPLUS: "enough"})
    put(study, at=6, state=TrialState.RUNNING, **{LEASE: lease(1) | {"renewed": "spoiled"}})
    study.enqueue_trial({})
    data = timeline_data(study)
    assert {b.numbers[0]: (b.kind, b.reason) for b in data.bars} == {
        0: ("complete", ""),
        1: ("reused", "has the values of trial 0"),
        2: ("pruned", "params is 9, its bound 7"),
        3: ("failed", "<b>nan</b>"),
        4: ("lost", "killed"),
        6: ("running", ""),
    }
    assert data.counts["waiting"] == 1
    figure = timeline_figure(data)
    marks = {t.name: t for t in figure.data if t.type == "scatter"}
    assert set(marks) == {"reused", "pruned", "failed", "lost"}
    assert "&lt;b&gt;nan&lt;/b&gt;" in marks["failed"].hovertext[0]
    assert list(marks["failed"].customdata) == [3]


def test_timeline_cuts_pauses_out():
    study = make(["loss"])
    for at in (0, 100, 100_000, 100_100):
        put(study, [1.0], at=at, seconds=100)
    data = timeline_data(study)
    cut = 0.015 * 400
    assert [b.start for b in data.bars] == [0, 100, 200 + cut, 300 + cut]
    assert data.pauses == [(200 + cut / 2, 99_800)]
    assert data.seconds == 400 + cut
    figure = timeline_figure(data)
    assert figure.layout.annotations[0].text == "pause 27:43:20"


def test_threads_of_one_process_have_a_row_each():
    study = make(["loss"])
    held = {LEASE: {"host": "h", "pid": 1, "started": 2.0}}
    for at in (0, 1, 6):
        put(study, [1.0], at=at, seconds=5, **held)
    assert [b.lane for b in timeline_data(study).bars] == [0, 1, 0]


def test_many_trials_share_bars():
    study = make(["loss"])
    for i in range(3000):
        put(study, [1.0], at=i, seconds=1)
    data = timeline_data(study)
    assert len(data.bars) <= 2500
    assert sorted(n for bar in data.bars for n in bar.numbers) == list(range(3000))
    assert sum(bar.seconds for bar in data.bars) == 3000
    assert "trials that lie close together are one bar" in timeline_figure(data).layout.title.text
