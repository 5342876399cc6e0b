import gc
import json
import math
import threading
import time
import weakref

import optuna
import pytest
import torch
from networks import build_linear, score
from optuna.trial import TrialState
from safetensors.torch import load_file, save_file
from torch import nn

import optnas
from optnas.devices.sharing import exclusive
from optnas.errors import CandidateError, InputError
from optnas.evaluators import FunctionEvaluator
from optnas.finished.decode import decode, rebuild
from optnas.metrics import FunctionMetric
from optnas.pareto.front import front
from optnas.samplers import make_sampler
from optnas.search_spaces import FunctionSpace
from optnas.study.artifacts import WeightStore
from optnas.study.attributes import BASELINE, CURVE, DUPLICATE_OF, FAILURE, LOST, PRUNED

SMALL = {"width": 1, "deep": False}
LARGE = {"width": 3, "deep": True, "activation": "relu"}


def make_study(objective, *params, sampler=None):
    study = optuna.create_study(
        directions=objective.directions, sampler=sampler or optuna.samplers.RandomSampler(seed=0)
    )
    for chosen in params:
        study.enqueue_trial(chosen)
    return study


def evaluator_of(fn):
    return FunctionEvaluator(fn, {"loss": "minimize"})


def test_runs_in_plain_optuna_and_stores_what_it_measured(space, evaluator):
    objective = optnas.Objective(space, evaluator, ("loss", "flops", "latency_ms"))
    assert objective.directions == ["minimize"] * 3
    study = make_study(objective, LARGE)
    study.optimize(objective, n_trials=1)
    (trial,) = study.trials
    params = 3 * 3 + 3 * 4 + 4
    assert trial.values[:2] == [1 / params, 2 * (6 + 9 + 3)]
    attrs = trial.user_attrs
    assert attrs["architecture"] == "width=3 deep=True activation=relu"
    assert attrs["params"] == params
    assert attrs["latency_ms"] == trial.values[2]
    assert attrs["detail:latency_ms"]["passes"] >= 10
    assert attrs["detail:macs"]["macs"] == 18
    assert [entry["loss"] for entry in attrs[CURVE]] == [2 / params, 1 / params]
    assert attrs["train_seconds"] >= 0


def test_metrics_are_measured_in_order_of_cost(space, evaluator):
    objective = optnas.Objective(space, evaluator, ("latency_ms", "loss", "params", "macs"))
    assert [m.name for m in objective.metrics] == ["macs", "params", "latency_ms"]


def test_the_same_architecture_and_recipe_is_not_trained_twice(space):
    calls = []

    def counted(model, recipe, report):
        calls.append(recipe)
        return {"loss": 1.0}

    evaluator = FunctionEvaluator(
        counted, {"loss": "minimize"}, lambda t: {"rate": t.suggest_categorical("rate", [1, 2])}
    )
    objective = optnas.Objective(space, evaluator, ("loss", "params"))
    study = make_study(
        objective, SMALL | {"rate": 1}, LARGE | {"rate": 1}, SMALL | {"rate": 1},
        SMALL | {"rate": 2},
    )  # fmt: skip
    study.optimize(objective, n_trials=4)
    assert [t.user_attrs.get(DUPLICATE_OF) for t in study.trials] == [None, None, 0, None]
    assert study.trials[2].values == study.trials[0].values
    assert study.trials[2].user_attrs["params"] == study.trials[0].user_attrs["params"]
    assert len(calls) == 3


def test_a_broken_bound_ends_the_trial_before_training(space):
    def never(model, recipe, report):
        raise AssertionError("trained")

    objective = optnas.Objective(
        space, evaluator_of(never), ("loss", "params"), constraints={"params": 10, "macs": 100}
    )
    study = make_study(objective, LARGE)
    study.optimize(objective, n_trials=1)
    (trial,) = study.trials
    assert trial.state == TrialState.PRUNED
    assert trial.constraints == {"macs": 18 - 100, "params": 25 - 10}
    assert trial.user_attrs["params"] == 25
    assert trial.user_attrs[PRUNED] == "params is 25, its bound 10"


def test_a_broken_cheap_bound_saves_the_expensive_metrics(space):
    """Cheapest first: nothing is measured after the broken bound."""
    measured = []

    def slow(candidate):
        measured.append(str(candidate))
        return 1.0

    objective = optnas.Objective(
        space,
        evaluator_of(lambda *_: {"loss": 1.0}),
        ("loss", "latency_ms", "slow"),
        metrics=[FunctionMetric("slow", slow)],
        constraints={"peak_activation_mb": 1e-6 * 4 * 5},
    )
    assert [m.name for m in objective.metrics] == [
        "params",
        "peak_activation_mb",
        "latency_ms",
        "slow",
    ]
    study = make_study(objective, LARGE, SMALL)
    study.optimize(objective, n_trials=2)
    large, small = study.trials
    assert large.state == TrialState.PRUNED
    assert large.user_attrs["params"] == 25
    assert "latency_ms" not in large.user_attrs
    assert large.constraints["peak_activation_mb"] > 0
    assert small.state == TrialState.COMPLETE
    assert measured == [small.user_attrs["architecture"]]


@pytest.mark.parametrize("sampler", ["evolution", "local_search", "reinforce", "tpe"])
def test_samplers_learn_from_trials_that_a_bound_ended(sampler):
    """Of the later trials, far fewer break the bound than by chance (3 of 4)."""

    def build(trial):
        width = sum(trial.suggest_int(f"w{i}", 1, 8) for i in range(4))
        return nn.Linear(1, width)

    objective = optnas.Objective(
        FunctionSpace(build, torch.zeros(1, 1)),
        evaluator_of(lambda model, *_: {"loss": 1 / model.out_features}),
        ("loss", "params"),
        constraints={"params": 2 * 14},
        device="cpu",
    )
    study = make_study(objective, sampler=make_sampler(sampler, 0))
    study.optimize(objective, n_trials=60)
    pruned = [t.state == TrialState.PRUNED for t in study.trials]
    assert sum(pruned[30:]) < 15


def test_lazy_modules_are_given_their_shapes(evaluator):
    def build(trial):
        width = trial.suggest_int("width", 2, 4)
        return nn.Sequential(nn.LazyLinear(width), nn.LazyBatchNorm1d(), nn.LazyLinear(1))

    space = FunctionSpace(build, torch.zeros(1, 3))
    objective = optnas.Objective(space, evaluator, ("loss", "params", "flops"), seed=1)
    study = make_study(objective, {"width": 2})
    study.optimize(objective, n_trials=1)
    assert study.trials[0].values[1:] == [8 + 4 + 3, 2 * (6 + 2)]
    assert objective.preview({"width": 2}).values == {1: 15.0, 2: 16.0}
    candidates = [decode(objective, study.trials[0]).model for _ in range(2)]
    assert all(module.training for module in candidates[0].modules())
    first, second = (next(c.parameters()) for c in candidates)
    assert torch.equal(first, second)


def test_several_latencies_stand_side_by_side(space, evaluator):
    batch = optnas.Latency(batch_size=4, max_seconds=0.05, label="batch4")
    single = optnas.Latency(max_seconds=0.05)
    objective = optnas.Objective(
        space,
        evaluator,
        ("loss", "latency_ms", "latency_ms.batch4"),
        metrics=[batch, single, optnas.metrics.Throughput(batch)],
        device="cpu",
    )
    study = make_study(objective, LARGE)
    study.optimize(objective, n_trials=1)
    attrs = study.trials[0].user_attrs
    assert attrs["throughput.batch4"] == 4000 / attrs["latency_ms.batch4"]  # measured once
    assert attrs["detail:latency_ms"]["alone"] is True
    assert attrs["detail:latency_ms.batch4"]["passes"] > 0
    fingerprints = {m.name: m.fingerprint for m in objective.metrics}
    assert fingerprints["latency_ms"]["batch_size"] == 1
    assert fingerprints["latency_ms.batch4"]["batch_size"] == 4


def test_an_architecture_is_timed_once_even_if_its_first_trial_failed_before_it(space):
    """Noise in a latency must not decide between recipes."""
    timings = []

    def timed(candidate):
        timings.append(float(len(timings)))
        if len(timings) == 1:
            raise CandidateError("not this time")
        return timings[-1]

    evaluator = FunctionEvaluator(
        lambda *_: {"loss": 1.0},
        {"loss": "minimize"},
        lambda trial: trial.suggest_int("rate", 1, 9),
    )
    objective = optnas.Objective(
        space, evaluator, ("loss", "timed"), metrics=[FunctionMetric("timed", timed)]
    )
    study = make_study(objective, *(SMALL | {"rate": rate} for rate in range(1, 5)))
    study.optimize(objective, n_trials=4)
    assert [t.user_attrs.get("timed") for t in study.trials] == [None, 1.0, 1.0, 1.0]


def test_thops_number_is_kept_once_the_bounds_hold(space, evaluator):
    objective = optnas.Objective(
        space, evaluator, ("loss", "flops", "macs"), constraints={"params": 10}
    )
    study = make_study(objective, LARGE, SMALL)
    study.optimize(objective, n_trials=2)
    broken, whole = study.trials
    assert "detail:macs" in whole.user_attrs
    assert whole.user_attrs["detail:macs"]["macs_thop"] == whole.user_attrs["macs"] == 3
    assert "macs_thop" not in broken.user_attrs["detail:macs"]


def test_waiting_for_a_measurement_is_no_training_time(space, monkeypatch):
    """A measurement that comes in the middle of a training has the device to itself."""
    seen, clock = [], [0.0]

    def measure():
        with exclusive(torch.device("cpu"), patience=60) as made_room:
            clock[0] += 1000.0  # the measurement takes its time
            seen.append(made_room)

    def train(model, recipe, report):
        measurer = threading.Thread(target=measure)
        measurer.start()
        while not seen:
            report.give_way()
        measurer.join()
        return {"loss": 1.0}

    objective = optnas.Objective(space, evaluator_of(train), ("loss", "params"), device="cpu")
    study = make_study(objective, SMALL)
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    study.optimize(objective, n_trials=1)
    assert seen == [True]
    assert study.trials[0].user_attrs["train_seconds"] < 500


def test_a_bound_on_a_score_is_held_after_training(space):
    evaluator = FunctionEvaluator(lambda *_: {"accuracy": 0.7}, {"accuracy": "maximize"})
    objective = optnas.Objective(
        space, evaluator, ("accuracy", "params"), constraints={"accuracy": 0.9}
    )
    assert objective.directions == ["maximize", "minimize"]
    study = make_study(objective, SMALL)
    study.optimize(objective, n_trials=1)
    assert study.trials[0].state == TrialState.COMPLETE
    assert study.trials[0].constraints == {"accuracy": pytest.approx(0.2)}
    assert front(study) == []


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (CandidateError("diverged: val_loss is nan"), "diverged: val_loss is nan"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "out of memory: CUDA out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 4 TB"), "out of memory"),
    ],
)
def test_an_architecture_at_fault_fails_its_trial_and_the_study_continues(space, raised, reason):
    def fails(model, recipe, report):
        report(0, {"loss": 9.0})
        raise raised

    objective = optnas.Objective(space, evaluator_of(fails), ("loss", "params"))
    study = make_study(objective, SMALL, LARGE)
    study.optimize(objective, n_trials=2)
    assert [t.state for t in study.trials] == [TrialState.FAIL] * 2
    assert study.trials[0].user_attrs[FAILURE].startswith(reason)
    assert study.trials[0].user_attrs[CURVE] == [{"step": 0, "loss": 9.0}]
    assert study.trials[0].user_attrs["params"] == 5


def test_a_network_that_ran_out_of_memory_is_freed_at_once(space):
    """Not when the next garbage collection happens to come: the next network needs the memory."""
    held = []

    def fit(model, recipe, report):
        tensor = torch.empty(9)
        held.extend([weakref.ref(model), weakref.ref(tensor)])
        raise MemoryError("no more")

    objective = optnas.Objective(space, evaluator_of(fit), ("loss", "params"))
    study = make_study(objective, SMALL)
    gc.disable()
    try:
        study.optimize(objective, n_trials=1)
    finally:
        gc.enable()
    assert study.trials[0].user_attrs[FAILURE] == "out of memory: no more"
    assert [ref() for ref in held] == [None, None]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_without_memory_left_fails_the_trial_and_the_next_one_has_it_all(space):
    """The failed network's memory is free for the next one."""

    def fit(model, recipe, report):
        before.append(torch.cuda.memory_reserved())
        kept = [torch.empty(2**24, device="cuda")]
        if len(before) == 1:
            kept.append(torch.empty(2**45, device="cuda"))
        return {"loss": 1.0}

    before = []
    torch.cuda.empty_cache()
    objective = optnas.Objective(space, evaluator_of(fit), ("loss", "params"), device="cuda")
    study = make_study(objective, SMALL, LARGE)
    study.optimize(objective, n_trials=2)
    assert [t.state for t in study.trials] == [TrialState.FAIL, TrialState.COMPLETE]
    assert study.trials[0].user_attrs[FAILURE].startswith("out of memory: CUDA out of memory")
    assert before[1] <= before[0]


def test_a_score_that_is_nan_fails_the_trial(space):
    objective = optnas.Objective(
        space, evaluator_of(lambda *_: {"loss": math.nan}), ("loss", "params")
    )
    study = make_study(objective, SMALL)
    study.optimize(objective, n_trials=1)
    assert study.trials[0].user_attrs[FAILURE] == "loss is nan"


def test_a_mistake_in_the_code_is_raised_with_its_reason_kept(space):
    objective = optnas.Objective(space, evaluator_of(lambda *_: {"lost": 1.0}), ("loss", "params"))
    study = make_study(objective, SMALL)
    with pytest.raises(ValueError, match="no score 'loss', it returned lost"):
        study.optimize(objective, n_trials=1)
    assert "no score 'loss'" in study.trials[0].user_attrs[FAILURE]


@pytest.mark.parametrize(
    ("returned", "way"),
    [
        ({"accuracy": 1}, "return 'accuracy' as 'acc', or name the objective 'accuracy'"),
        ({"accuracy": 1, "f1": 1}, "return one of them as 'acc', or name the objective as one of"),
        ({}, "return it, too, or leave it out of the objectives"),
    ],
)
def test_a_score_of_another_name_is_named_with_both_ways_out(space, returned, way):
    names = {"val_loss": "minimize", "acc": "maximize"}
    objective = optnas.Objective(space, lambda *_: {"val_loss": 1} | returned, names)
    with pytest.raises(InputError) as error:
        make_study(objective, SMALL).optimize(objective, n_trials=1)
    assert way in str(error.value)
    assert "the evaluator gave no score 'acc', it returned val_loss" in str(error.value)


def test_an_interrupted_trial_is_marked_lost(space):
    def interrupted(model, recipe, report):
        raise KeyboardInterrupt

    objective = optnas.Objective(space, evaluator_of(interrupted), ("loss", "params"))
    study = make_study(objective, SMALL)
    with pytest.raises(KeyboardInterrupt):
        study.optimize(objective, n_trials=1)
    assert study.trials[0].user_attrs[LOST] == "interrupted"


def test_listeners_hear_every_epoch_and_may_prune(space, evaluator):
    heard = []

    def listener(trial, step, scores):
        heard.append((trial.number, step, scores["loss"]))
        if step == 1 and trial.number == 1:
            raise optuna.TrialPruned("hopeless")

    objective = optnas.Objective(space, evaluator, ("loss", "params"), listeners=[listener])
    study = make_study(objective, SMALL, LARGE)
    study.optimize(objective, n_trials=2)
    assert heard == [(0, 0, 0.4), (0, 1, 0.2), (1, 0, 0.08), (1, 1, 0.04)]
    assert study.trials[1].state == TrialState.PRUNED
    assert study.trials[1].user_attrs[PRUNED] == "hopeless"
    assert len(study.trials[1].user_attrs[CURVE]) == 2


def test_weights_and_training_are_seeded_by_the_place():
    def build(trial):
        trial.suggest_categorical("x", list(range(8)))
        return nn.Linear(3, 1)

    def first_weight(model, recipe, report):
        return {"loss": model.weight[0, 0].item(), "draw": float(torch.rand(1))}

    evaluator = FunctionEvaluator(first_weight, {"loss": "minimize", "draw": "minimize"})
    runs = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(runs))
        objective = optnas.Objective(
            FunctionSpace(build, torch.zeros(1, 3)), evaluator, ("loss", "draw"), seed=seed
        )
        study = make_study(objective, {"x": 0}, {"x": 1})
        study.optimize(objective, n_trials=2)
        runs.append([t.values for t in study.trials])
    assert runs[0] == runs[1] != runs[2]
    assert runs[0][0] != runs[0][1]


def test_a_seed_that_is_left_out_is_kept_in_the_study(space, evaluator):
    objective = optnas.Objective(space, evaluator, ("loss", "params"))
    study = make_study(objective, SMALL)
    study.optimize(objective, n_trials=1)
    kept = study.user_attrs["optnas:seed"]
    other = optnas.Objective(space, evaluator, ("loss", "params"), seed=kept + 1)
    with pytest.raises(InputError, match=f"has seed {kept}, and {kept + 1} was given"):
        study.optimize(other, n_trials=1)


def test_baselines_are_trials_without_parameters(space, evaluator):
    objective = optnas.Objective(
        space, evaluator, ("loss", "params"), baselines={"line": lambda: nn.Linear(2, 1)}
    )
    study = make_study(objective)
    for name in ("line", "circle"):
        study.add_trial(optuna.create_trial(state=TrialState.WAITING, user_attrs={BASELINE: name}))
    study.optimize(objective, n_trials=1)
    assert study.trials[0].values == [1 / 3, 3.0]
    assert study.trials[0].params == {}
    assert study.trials[0].user_attrs["architecture"] == "baseline line"
    with pytest.raises(InputError, match="unknown baseline 'circle'; there are: line"):
        study.optimize(objective, n_trials=1)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"objectives": ("val_los", "params")}, "unknown objective or constraint 'val_los'; .*los"),
        ({"objectives": ("loss",), "constraints": {"size": 3}}, "'size'"),
        ({"objectives": ()}, "must be a tuple of names"),
        ({"objectives": "loss"}, "must be a tuple of names, got 'loss'"),
        ({"objectives": ("loss", "loss")}, "stands twice"),
        ({"objectives": ("loss",), "space": 3}, "space must be a SearchSpace, got int"),
        ({"objectives": ("loss",), "evaluator": len}, "evaluator must be an Evaluator"),
    ],
)
def test_bad_settings_are_refused(space, evaluator, kwargs, message):
    settings = {"space": space, "evaluator": evaluator} | kwargs
    with pytest.raises((TypeError, ValueError), match=message):
        optnas.Objective(**settings)


def nudge(model, recipe, report):
    """Training that leaves a mark in the weights."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float(sum(p.numel() for p in model.parameters())))
    return score(model, recipe, report)


def test_weights_are_kept_for_the_front_and_dropped_with_it(space, tmp_path):
    store = WeightStore(tmp_path / "weights")

    def loss(model, recipe, report):
        nudge(model, recipe, report)
        return {"loss": losses.pop(0)}

    losses = [3.0, 2.0, 2.5, 1.0]
    objective = optnas.Objective(space, evaluator_of(loss), ("loss", "params"), weights=store)
    middle = {"width": 2, "deep": False}
    study = make_study(
        objective, middle, SMALL, LARGE, SMALL | {"deep": True, "activation": "tanh"}
    )
    study.optimize(objective, n_trials=2)
    assert [t.number for t in front(study)] == [1]
    assert len(list(store.folder.iterdir())) == 1  # trial 0 was dominated by trial 1
    study.optimize(objective, n_trials=2)
    assert [t.number for t in front(study)] == [1, 3]
    assert len(list(store.folder.iterdir())) == 2
    model = rebuild(study, objective, study.trials[3])
    assert {p.mean().item() for p in model.parameters()} == {7.0}
    assert not model.training
    with pytest.raises(InputError, match="no weights are kept"):
        rebuild(study, objective, study.trials[0])
    untrained = decode(objective, study.trials[0]).model
    assert untrained(torch.zeros(1, 2)).shape == (1, 1)


def test_tied_weights_are_kept_once_and_tied_again(tmp_path):
    def build(trial):
        model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        model[1].weight = model[0].weight
        trial.suggest_int("x", 0, 1)
        return model

    objective = optnas.Objective(
        FunctionSpace(build, torch.zeros(1, 3)),
        evaluator_of(nudge),
        ("loss", "params"),
        weights=WeightStore(tmp_path / "weights"),
    )
    study = make_study(objective)
    study.optimize(objective, n_trials=1)
    model = rebuild(study, objective, study.trials[0])
    assert model[0].weight is model[1].weight
    assert model[0].weight.mean().item() == 15.0


def test_an_edited_space_is_noticed_when_a_trial_is_decoded(evaluator, tmp_path):
    def edited(trial):
        model = build_linear(trial)
        return nn.Sequential(model, nn.Linear(1, 1))

    store = WeightStore(tmp_path / "weights")
    spaces = [FunctionSpace(fn, torch.zeros(1, 2)) for fn in (build_linear, edited)]
    then, now = (optnas.Objective(s, evaluator, ("loss", "macs"), weights=store) for s in spaces)
    study = make_study(then, SMALL)
    study.optimize(then, n_trials=1)
    with pytest.raises(InputError, match=r"trial 0 has macs 3.0, but today's code makes 4.0"):
        rebuild(study, now, study.trials[0])


def test_values_survive_where_weights_cannot_be_kept(space, evaluator, tmp_path, caplog):
    (tmp_path / "file").touch()
    store = WeightStore(tmp_path / "file" / "weights")
    objective = optnas.Objective(space, evaluator, ("loss", "params"), weights=store)
    study = make_study(objective, SMALL)
    study.optimize(objective, n_trials=1)
    assert study.trials[0].values == [0.2, 5.0]
    assert "not kept" in study.trials[0].user_attrs["detail:weights"]
    assert "not kept" in caplog.text


def test_the_reason_why_weights_are_not_kept_is_told_to_whoever_asks_for_them(evaluator, tmp_path):
    class Odd(nn.Linear):
        def get_extra_state(self):
            return object

        def set_extra_state(self, state):
            pass

    space = FunctionSpace(lambda trial: Odd(2, trial.suggest_int("n", 1, 1)), torch.zeros(1, 2))
    objective = optnas.Objective(space, evaluator, ("loss",), weights=tmp_path / "weights")
    study = make_study(objective)
    study.optimize(objective, n_trials=1)
    with pytest.raises(
        InputError, match=r"\(not kept: .* reading \"_extra_state\" \(builtins.type\)"
    ):
        rebuild(study, objective, study.trials[0])


def test_weights_that_were_changed_since_are_refused(space, evaluator, tmp_path):
    store = WeightStore(tmp_path / "weights")
    objective = optnas.Objective(space, evaluator, ("loss",), weights=store)
    study = make_study(objective, SMALL)
    study.optimize(objective, n_trials=1)
    path = store.weights_path(study, study.trials[0]._trial_id)
    own = load_file(path)
    save_file({name: tensor * 0 + 1 for name, tensor in own.items()}, path)
    with pytest.raises(InputError, match=r"weights of trial 0, .*, was changed since the search"):
        rebuild(study, objective, study.trials[0])
    # Entries of older versions have no hash.
    ((key, entry),) = store_entries(study).items()
    entry = {name: value for name, value in entry.items() if name != "sha256"}
    study._storage.set_study_system_attr(study._study_id, key, json.dumps(entry))
    assert {p.mean().item() for p in rebuild(study, objective, study.trials[0]).parameters()} == {1}


def store_entries(study):
    found = study._storage.get_study_system_attrs(study._study_id)
    return {key: json.loads(text) for key, text in found.items() if "artifacts" in key}


def test_an_architecture_is_timed_once(space):
    evaluator = FunctionEvaluator(
        lambda model, recipe, report: {"loss": 1.0 / recipe},
        {"loss": "minimize"},
        lambda trial: trial.suggest_int("rate", 1, 9),
    )
    objective = optnas.Objective(space, evaluator, ("loss", "latency_ms"))
    study = make_study(objective, SMALL | {"rate": 1}, SMALL | {"rate": 2})
    study.optimize(objective, n_trials=2)
    first, second = study.trials
    assert first.values[0] != second.values[0]
    assert first.values[1] == second.values[1] == second.user_attrs["latency_ms"]


@pytest.mark.parametrize("name", ["retry_of", "architecture", "detail:x", ""])
def test_scores_cannot_have_names_that_optnas_uses(space, name):
    evaluator = FunctionEvaluator(score, {name: "minimize"})
    with pytest.raises(ValueError, match="can't be the name of a score"):
        optnas.Objective(space, evaluator, (name, "params"))


@pytest.mark.parametrize(
    ("returned", "message"),
    [("good", "loss must be a number, got 'good'"), (None, "loss must be a number, got None")],
)
def test_scores_that_are_no_numbers(space, returned, message):
    objective = optnas.Objective(
        space, evaluator_of(lambda *_: {"loss": returned}), ("loss", "params")
    )
    with pytest.raises(InputError, match=message):
        make_study(objective).optimize(objective, n_trials=1)


def test_evaluators_that_return_no_scores(space):
    objective = optnas.Objective(space, evaluator_of(lambda *_: "low"), ("loss", "params"))
    with pytest.raises(InputError, match="must return a dictionary of scores"):
        make_study(objective).optimize(objective, n_trials=1)


def test_inputs_must_have_the_shape_of_the_data(space):
    evaluator = optnas.TrainingEvaluator(optnas.diabetes(), 1)
    with pytest.raises(ValueError, match=r"takes inputs of shape \(1, 2\), .* has \(1, 10\)"):
        optnas.Objective(space, evaluator, ("val_loss", "params"))


def test_a_network_with_too_few_outputs_raises_what_is_wrong():
    space = FunctionSpace(
        lambda t: nn.Sequential(nn.Flatten(), nn.Linear(64, 9)), torch.zeros(1, 1, 8, 8)
    )
    objective = optnas.Objective(
        space, optnas.TrainingEvaluator(optnas.digits(), 1), ("val_loss", "params")
    )
    with pytest.raises(InputError, match=r"returns shape \(359, 9\) for 10 classes"):
        make_study(objective).optimize(objective, n_trials=1)
