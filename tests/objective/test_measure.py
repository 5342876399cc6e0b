"""Measuring in an objective that isn't optnas's."""

import logging
import random

import optuna
import pytest
import torch
from optuna.trial import FixedTrial, TrialState
from torch import nn

import optnas
from optnas.cli.front_table import front_table
from optnas.errors import CandidateError, InputError
from optnas.pareto.snapshot import Snapshot
from optnas.report.data import report_data
from optnas.study.record import MEASURED, record_of

QUICK = optnas.Latency(max_seconds=0.01)
NAMES = ("val_loss", "flops", "latency_ms")


class Two(nn.Module):
    """A network of two inputs, whose outputs are random and which writes into its input."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 5)

    def forward(self, x, scale):
        return self.layer(x.add_(1)) * scale + torch.rand(1) + random.random()


class Transformed(nn.Linear):
    """A linear layer after a Fourier transform, which has no formula."""

    def forward(self, x):
        return super().forward(torch.fft.rfft(x).abs())


def objective(trial, limits=None, **options):
    width = trial.suggest_int("width", 1, 40)
    model = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 1))
    costs = optnas.measure_and_constrain(
        trial,
        model,
        torch.zeros(1, 4),
        limits or {"latency_ms": None, "flops": 200, "params": None},
        metrics=[QUICK],
        **options,
    )
    return 1 / width, costs["flops"], costs.get("latency_ms", 0.1)


def study_of(*widths, storage=None, **options):
    study = optuna.create_study(directions=["minimize"] * 3, storage=storage)
    for width in widths:
        study.enqueue_trial({"width": width})
    study.optimize(lambda trial: objective(trial, **options), n_trials=len(widths))
    return study


def test_values_are_those_of_the_definitions_in_the_order_of_the_names():
    model = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 1))
    throughput = optnas.metrics.Throughput(QUICK)
    found = optnas.measure(
        model,
        torch.zeros(1, 4),
        ("latency_ms", "params", "flops", "throughput"),
        metrics=[QUICK, throughput],
    )
    assert list(found) == ["latency_ms", "params", "flops", "throughput"]
    assert (found["params"], found["flops"]) == (4 * 10 + 10 + 10 + 1, 2 * (40 + 10))
    assert found["throughput"] == pytest.approx(1000 / found["latency_ms"])


def test_metrics_have_options_as_in_a_search():
    latency = optnas.Latency(batch_size=8, max_seconds=0.01, label="eight")
    depth = optnas.FunctionMetric("depth", lambda candidate: len(list(candidate.model.modules())))
    found = optnas.measure(
        nn.Linear(4, 2), torch.zeros(1, 4), ["latency_ms.eight", "depth"], metrics=[latency, depth]
    )
    assert found["depth"] == 1
    assert found["latency_ms.eight"] > 0


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_model_and_the_process_stay_as_they_were(mode):
    model, x = Two(), torch.zeros(1, 3, requires_grad=True)
    model(x * 1, torch.ones(1)).sum().backward()
    seen = []
    model.layer.register_forward_hook(lambda *_: seen.append(1))
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    grads = [p.grad.clone() for p in model.parameters()]
    hooks = list(model.layer._forward_hooks)
    torch.manual_seed(3)
    random.seed(3)
    with mode():
        found = optnas.measure(
            model, {"x": x, "scale": torch.ones(1)}, ("flops", "latency_ms"), metrics=[QUICK]
        )
        drawn = torch.rand(1).item(), random.random()
    assert found["flops"] == 2 * 15
    torch.manual_seed(3)
    random.seed(3)
    assert drawn == (torch.rand(1).item(), random.random())
    assert model.training
    assert model.layer.training
    assert (hooks, x.tolist()) == (list(model.layer._forward_hooks), [[0, 0, 0]])
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    assert all(map(torch.equal, grads, (p.grad for p in model.parameters())))


def test_inputs_are_a_tensor_or_several_by_position_or_by_name():
    inputs = torch.zeros(1, 3), torch.ones(1)
    by_name = dict(zip(("x", "scale"), inputs, strict=True))
    for given in (inputs, by_name):
        assert optnas.measure(Two(), given, ("macs",)) == {"macs": 15}
    with pytest.raises(InputError, match=r"must be a tensor, or a tuple or dictionary of tensors"):
        optnas.measure(Two(), [1, 2], ("macs",))


def test_a_lazy_model_stays_lazy():
    model = nn.LazyLinear(2)
    assert optnas.measure(model, torch.zeros(1, 4), ("params",)) == {"params": 10}
    assert model.has_uninitialized_params()


def test_a_wrong_name_is_an_error_with_the_nearest():
    with pytest.raises(ValueError, match=r"unknown metric 'flop';.*did you mean flops"):
        optnas.measure(nn.Linear(4, 2), torch.zeros(1, 4), ("flop",))
    with pytest.raises(TypeError, match=r"must be a tuple of names of metrics, got 'flops'"):
        optnas.measure(nn.Linear(4, 2), torch.zeros(1, 4), "flops")
    with pytest.raises(TypeError, match=r"give 'latency_ms', and metrics=\[Latency"):
        optnas.measure(nn.Linear(4, 2), torch.zeros(1, 4), [QUICK])


def test_a_value_that_is_not_finite_fails_the_trial_with_its_reason():
    endless = optnas.FunctionMetric("depth", lambda candidate: float("inf"))
    study = optuna.create_study()
    trial = study.ask()
    with pytest.raises(CandidateError, match="depth is inf"):
        optnas.measure_and_constrain(
            trial, nn.Linear(4, 2), torch.zeros(1, 4), {"depth": None}, metrics=[endless]
        )
    assert study.trials[0].user_attrs["failure"] == "depth is inf"


def test_tables_and_report_read_the_study_as_one_of_optnas():
    study = study_of(4, 10, 40, objectives=NAMES)
    small, large, broken = study.trials
    assert small.user_attrs["params"] == 4 * 4 + 4 + 4 + 1
    assert small.user_attrs["latency_ms"] == small.values[2]
    assert small.user_attrs["detail:latency_ms"]["passes"] >= 10
    assert small.user_attrs["detail:macs"]["macs_thop"] == 20
    assert (large.constraints, large.state) == ({"flops": -100}, TrialState.COMPLETE)
    assert (broken.constraints, broken.state) == ({"flops": 200}, TrialState.PRUNED)
    assert broken.user_attrs["pruned"] == "flops is 400, its bound 200"
    assert "latency_ms" not in broken.user_attrs  # the cheapest are measured first

    seen = Snapshot.of(study)
    assert seen.names == list(NAMES)
    assert [r.number for r in seen.architectures if r.on_front] == [0, 1]
    headers = [column.header for column in front_table(study).columns]
    assert headers == ["trial", *NAMES, "architecture"]
    assert optnas.pick(study, at_most={"params": 30}).entry.number == 0
    assert record_of(study).fingerprint["bound on flops"] == "200"
    assert record_of(study).retrains is False  # so that `optnas pick` doesn't lead there
    assert optnas.compare({"one": study, "other": study}).names == list(NAMES)
    page = report_data(study)
    assert page.facts["Bounds"] == "flops ≤ 200 (2 of 3 trials within)"
    assert page.facts["Device"]
    (latency,) = (m for m in page.measurings if m.name == "latency_ms")
    assert latency.settings["batch_size"] == "1"
    assert [g.meaning != "" for g in page.goals] == [False, True, True]


def test_a_broken_limit_may_leave_the_trial_to_go_on():
    study = study_of(40, objectives=NAMES, prune=False)
    (trial,) = study.trials
    assert (trial.constraints, trial.state) == ({"flops": 200}, TrialState.COMPLETE)
    assert optnas.front(study) == []


def test_a_limit_is_a_lower_one_for_what_is_maximised():
    trial = FixedTrial({})
    found = optnas.measure_and_constrain(
        trial,
        nn.Linear(4, 2),
        torch.zeros(1, 4),
        {"throughput": 1.0},
        metrics=[optnas.metrics.Throughput(QUICK)],
    )
    assert trial.constraints == {"throughput": 1.0 - found["throughput"]}


def test_changed_settings_are_said_and_kept_once(caplog):
    study = study_of(4, objectives=NAMES)
    with caplog.at_level(logging.WARNING, "optnas"):
        for limit in (300, 200, 300):
            study.optimize(lambda t, n=limit: objective(t, {"flops": n}), n_trials=1)
    assert record_of(study).accepted == ("from trial 1: bound on flops: 200 there, 300 here",)
    assert [r.message.count("300 here") for r in caplog.records] == [1]


def test_a_search_takes_over_no_such_study(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    study = study_of(4, storage=url, objectives=NAMES)
    assert MEASURED in study.user_attrs
    search = optnas.Search(
        space=optnas.MLPSpace((4,), 1, depth=(1, 1)),
        evaluator=optnas.FunctionEvaluator(lambda *_: {"val_loss": 1.0}, {"val_loss": "minimize"}),
        objectives=NAMES,
        storage=url,
        name=study.study_name,
    )
    with pytest.raises(InputError, match="which wasn't made by optnas"):
        search.open()
    assert len(study.get_trials()) == 1


def test_objectives_must_fit_the_study():
    study = optuna.create_study(directions=["minimize", "minimize"])
    limits = {"flops": None, "throughput": None}

    def named(*names):
        optnas.measure_and_constrain(
            study.ask(), nn.Linear(4, 2), torch.zeros(1, 4), limits, objectives=names
        )

    message = r"^objectives= names 3 \(val_loss, flops, params\), .* has 2 \(minimize, minimize\): "
    with pytest.raises(InputError, match=message):
        named("val_loss", "flops", "params")
    with pytest.raises(InputError, match=r"names 1 \(loss\), .*: name each value that the"):
        named("loss")
    with pytest.raises(InputError, match=r"minimize throughput.*put 'maximize' at its place"):
        named("val_loss", "throughput")


def test_limits_are_checked():
    for limits, error in (
        (("flops",), TypeError),
        ({"flops": float("nan")}, ValueError),
        ({"flop": 3}, ValueError),
    ):
        with pytest.raises(error):
            optnas.measure_and_constrain(FixedTrial({}), nn.Linear(4, 2), torch.zeros(1, 4), limits)


def test_operations_that_are_not_counted_are_named(caplog):
    x, model = torch.zeros(1, 8), Transformed(5, 2)
    assert optnas.measure(model, x, ("flops", "params"))["flops"] == 20
    assert "flops leaves out aten::_fft_r2c, for which there is no formula" in caplog.text
    caplog.clear()
    assert optnas.measure(model, x, ("params",)) == {"params": 12}
    assert optnas.measure(nn.Linear(8, 2), x, ("macs", "flops")) == {"macs": 16, "flops": 32}
    assert not caplog.records
