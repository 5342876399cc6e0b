"""The measures of the benchmarks, where they can be checked without running them."""

import importlib
import time
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
from torch import nn

from optnas.metrics.counting import count_macs
from optnas.search_spaces import NASBench201Space
from optnas.search_spaces.nasbench201 import NASBench201Architecture

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.parametrize(
    ("dataset", "classes", "size"),
    [("cifar10", 10, 32), ("cifar100", 100, 32), ("imagenet16-120", 120, 16)],
)
def test_nasbench201_costs_are_those_of_its_networks(dataset, classes, size):
    import samplers_nb201

    benchmark = samplers_nb201.Benchmark(dataset)
    cell = NASBench201Architecture(
        ("nor_conv_3x3", "nor_conv_1x1", "none", "skip_connect", "nor_conv_1x1", "avg_pool_3x3")
    )
    space = NASBench201Space(classes, (3, size, size))
    network = space.build(cell).eval()
    _, macs, params, _ = benchmark.values[str(cell)]
    assert macs == count_macs(network, space.example_inputs)
    assert params == sum(p.numel() for p in network.parameters())

    values = np.array(list(benchmark.values.values()))
    assert benchmark.share(values) == pytest.approx(1.0)
    assert benchmark.regret(values) == 0.0
    halves = [benchmark.share(half) for half in np.array_split(values, 2)]
    assert 0 < min(halves) <= max(halves) <= 1.0
    hopeless = values[values[:, 0] > 85]
    assert benchmark.share(hopeless) == 0.0


def test_each_script_finds_what_it_imports():
    ours = {"optnas", "common", *(path.stem for path in BENCHMARKS.glob("*.py"))}
    for script in sorted(BENCHMARKS.glob("*.py")):
        try:
            importlib.import_module(script.stem)
        except ModuleNotFoundError as error:  # a package that is compared, and isn't there
            missing = error.name
        else:
            continue
        assert missing.split(".")[0] not in ours


def test_the_share_of_the_best_known_front():
    import samplers_conditional
    from common import comparison

    objective = samplers_conditional.landscape(0).objective
    values = [
        comparison.run_sampler(name, objective, 2, seed=0, budget=30)[0]
        for name in ("evolution", "optuna random")
    ]
    share = comparison.best_known(values)
    assert share(np.vstack(values)) == pytest.approx(1.0)
    assert all(0 <= share(v[:10]) <= share(v) <= 1 + 1e-9 for v in values)


def test_the_share_of_a_front_that_is_one_point_or_varies_in_one_objective():
    from common.comparison import best_known

    share = best_known([np.array([[2.0, 7.0]]), np.array([[3.0, 9.0]])])
    assert share(np.array([[2.0, 7.0]])) == pytest.approx(1)
    assert 0 < share(np.array([[2.1, 7.0]])) < 1
    share = best_known([np.array([[2.0, 7.0, 1.0], [4.0, 5.0, 1.0]])])
    assert share(np.array([[2.0, 7.0, 1.0], [4.0, 5.0, 1.0]])) == pytest.approx(1)


def test_the_shares_of_a_table_count_the_whole_front_or_its_better_half():
    import samplers_tables

    table = samplers_tables.table("regression")
    values = np.array(list(table.values.values()))
    median = np.median(values[:, 0])
    whole, half = samplers_tables.Share(values), samplers_tables.Share(values, median)
    assert whole(values) == pytest.approx(1.0)
    assert half(values) == half(values[values[:, 0] < median]) == pytest.approx(1.0)
    assert half(values[values[:, 0] >= median]) == 0.0
    assert half(np.full((1, 2), np.inf)) == 0.0

    random = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=random)
    study.optimize(table.objective, n_trials=20, catch=ArithmeticError)
    for trial in study.trials:
        if trial.values:
            costs = table.known()["costs"](trial.params)
            assert costs == {1: trial.values[1]}


def test_the_true_front_of_a_landscape(monkeypatch):
    from itertools import product

    import samplers_conditional as conditional

    small = {"DEPTH": 3, "KERNELS": (1, 3), "WIDTHS": (8, 32)}
    for name, value in small.items():
        monkeypatch.setattr(conditional, name, value)
    landscape = conditional.Landscape(1)
    convolutions = product(("conv", "sep"), (1, 3), (8, 32))
    layers = [{"kind": k, "kernel": n, "width": w} for k, n, w in convolutions]
    layers += [{"kind": "pool", "pool": pool} for pool in conditional.POOLS] + [{"kind": "skip"}]
    values = []
    for depth in range(1, 4):
        for chosen in product(layers, repeat=depth):
            params = {f"layer{i}.{k}": v for i, of in enumerate(chosen) for k, v in of.items()}
            trial = optuna.trial.FixedTrial({"depth": depth, **params})
            values.append(landscape.objective(trial))
    values = np.array(values)
    dominated = [((values <= v).all(axis=1) & (values < v).any(axis=1)).any() for v in values]
    front = np.unique(values[~np.array(dominated)], axis=0)
    found = landscape.front()
    assert len(values) == 11 + 11**2 + 11**3
    assert np.allclose(found[np.argsort(found[:, 0])], front)


@pytest.mark.parametrize("name", ["cora", "proteins"])
def test_the_graph_networks_that_are_drawn_are_in_the_table(name):
    pytest.importorskip("nas_bench_graph")
    import samplers_tables

    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(directions=["minimize"] * 3, sampler=sampler)
    objective = samplers_tables.table(name).objective
    study.optimize(objective, n_trials=40, catch=ArithmeticError)
    assert sum(trial.state.is_finished() and bool(trial.values) for trial in study.trials) >= 38


def test_a_row_of_a_table_is_kept_if_it_goes_as_far():
    from samplers_tables import kept

    row = {"different": [9], "whole": [{25: 0.1, 50: 0.2}], "half": [{25: 0.1, 50: 0.1}]}
    assert kept(row, 50) is row
    assert kept(row, 100) == kept(None, 25) == {"different": [], "whole": [], "half": []}


def test_the_table_of_the_regression_study():
    import regression_mlp

    assert len(regression_mlp.losses()) == 3600
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(regression_mlp.objective, n_trials=100)
    values = np.array([t.values or [np.inf] for t in study.trials])
    assert 0 < regression_mlp.regret(values) < regression_mlp.regret(values[:5])

    # Evaluations of a second each that begin late: at 10 seconds, 4 are done.
    late = regression_mlp.by_time(values, [5.5 + 0.001 * i for i in range(100)], training=1.0)
    assert late[10] == pytest.approx(regression_mlp.regret(values[:4]), abs=1e-5)
    assert set(late) == {10, 20, 50, 100}


def test_a_scripted_model_varies_what_it_sees():
    from common.scripted import scripted_sampler, values

    assert values({"choices": ["a", "b"]}) == ["a", "b"]
    assert values({"type": "int", "low": 1, "high": 3}) == [1, 2, 3]
    assert values({"type": "float", "low": 0.0, "high": 0.6, "step": 0.3}) == [0.0, 0.3, 0.6]
    study = optuna.create_study(sampler=scripted_sampler(0))
    study.optimize(lambda trial: abs(trial.suggest_int("x", 1, 99) - 20), n_trials=20)
    assert [
        t.user_attrs["language_model"] for t in study.trials if "language_model" in t.user_attrs
    ]
    assert study.best_value < 10


def test_the_overhead_of_a_sampler():
    import sampler_overhead

    storage = optuna.storages.InMemoryStorage()
    sampler_overhead.filled(storage, 20)
    random = sampler_overhead.SAMPLERS["optuna RandomSampler"]()
    found = sampler_overhead.measure(storage, random, time.perf_counter)
    assert 0 < found["median_ms"] <= found["p90_ms"]


def test_paired_tests_are_one_sided():
    from common import comparison

    better = [{50: 0.9 + 0.001 * i} for i in range(12)]
    worse = [{50: 0.8 + 0.002 * i} for i in range(12)]
    curves = {"evolution": better, "optuna random": worse}
    gain, p = comparison.paired(curves, "evolution", "optuna random", 50, larger_is_better=True)
    assert gain > 0.05
    assert p < 0.001
    _, p = comparison.paired(curves, "evolution", "optuna random", 50, larger_is_better=False)
    assert p > 0.99


def test_the_summary_of_latencies():
    """Three processes, two networks: the second one's intervals miss the median once."""
    import latency

    def a_round(first, second, width):
        values = [first, second]
        return {
            "optnas": values,
            "autorange": values,
            "mean": [2 * v for v in values],
            "interval": [[v - width, v + width] for v in values],
            "alone": [True, True],
            "seconds": [0.5, 0.5],
        }

    idle = [a_round(1.0, 4.0, 0.1), a_round(1.05, 4.05, 0.1), a_round(0.95, 5.0, 0.1)]
    busy = [a_round(1.1, 4.4, 0.1)] * 3
    found = latency.summary("cpu", idle, busy)
    assert found["coverage"] == pytest.approx(5 / 6)
    assert found["optnas"]["variation_idle"] == found["autorange"]["variation_idle"] > 0.05
    assert found["optnas"]["variation_busy"] == 0
    assert found["optnas"]["rank_correlation"] == pytest.approx((1.0, 1.0))
    assert found["optnas"]["busy_over_idle"] == pytest.approx((1.1 + 4.4 / 4.05) / 2)
    assert found["mean"]["optnas_over_it"] == pytest.approx([0.5, 0.5, 0.5])
    assert latency.rounded([[0.12345678], None, True]) == [[0.123457], None, True]


def test_what_early_stopping_saves_and_loses():
    import early_stopping

    run = early_stopping.work("random", 0, True, trials=2, epochs=1)
    assert run["values"].shape == (2, 3)
    assert (run["epochs"], run["stopped"]) == (2, 0)
    front = np.array([[1.0, 4.0], [2.0, 2.0], [4.0, 1.0]])
    runs = {
        ("random", 0, False): {"values": front, "epochs": 45, "stopped": 0, "seconds": 3.0},
        ("random", 0, True): {"values": front[:2], "epochs": 33, "stopped": 1, "seconds": 2.0},
    }
    found = early_stopping.summary(runs)["random"]
    assert found["epochs saved"] == [pytest.approx(12 / 45, abs=1e-5)]
    assert found["hypervolume without"] == [1.0]
    assert 0 < found["hypervolume lost"][0] < 1
    assert "epochs saved" in early_stopping.table({"random": found})


def test_the_tasks_of_shared_weights():
    import shared_weights
    from common import sharing

    found = sharing.architectures("digits", 30)
    assert len({str(a) for a in found}) == 30
    assert found[:10] == sharing.architectures("digits", 10)
    assert shared_weights.tau([1.0, 2.0, float("nan"), 4.0], [1, 3, 0, 9]) == 1.0
    values, milliseconds = shared_weights.measured("digits", 2)
    assert all(len(v) == 2 for v in values.values())
    assert set(values) == set(milliseconds) > {"params", "flops", "synflow", "snip, data"}


def test_proxies_are_summed_and_compared_by_their_ranks():
    import proxies_nb201

    values = {name: np.arange(4.0) for parts in proxies_nb201.SUMS.values() for name in parts}
    values["params"] = np.array([-np.inf, 1.0, 1.0, 9.0])
    found = proxies_nb201.with_sums(values)
    first = found["AZ-NAS (the three of blocks, params)"]
    assert first == pytest.approx(
        3 * np.log([0.25, 0.5, 0.75, 1]) + np.log([0.25, 0.625, 0.625, 1])
    )
    accuracy = np.array([10.0, 20.0, 40.0, 30.0])
    tau = proxies_nb201.correlations(values, accuracy)["synflow"]
    assert tau == pytest.approx([4 / 6, -1.0])  # five pairs of six agree; of the better two, none


def test_a_search_with_shared_weights_against_one_that_trains(monkeypatch):
    import shared_search
    from common import sharing

    from optnas.evaluators.supernet_training import SupernetTraining

    monkeypatch.setitem(shared_search.EPOCHS, "digits", 1)
    monkeypatch.setitem(sharing.STEPS, "digits", 3)
    epochs = []
    train_epoch = SupernetTraining.train_epoch
    monkeypatch.setattr(
        SupernetTraining,
        "train_epoch",
        lambda self, give_way: epochs.append(self.step) or train_epoch(self, give_way),
    )
    shared, ordinary, seconds = shared_search.work("digits", 0, 4, 1, 2)
    assert epochs == [0]  # the supernet is trained once
    assert np.shape(shared) == (1, 3)
    assert np.shape(ordinary) == (2, 3)
    found = shared_search.summary([(shared, ordinary, seconds)] * 2)
    assert max(*found["shared"], *found["ordinary"]) <= 1.0
    parts = seconds["supernet"] + seconds["scores"] + seconds["trainings"]
    assert parts == pytest.approx(seconds["shared"])


def test_gradients_and_shared_weights_in_equal_time(monkeypatch, capsys):
    from itertools import count
    from types import SimpleNamespace

    import gradient_cells

    sizes = gradient_cells.Sizes(seconds=8.0, epochs=1, relaxed_epochs=1, steps=3)
    monkeypatch.setitem(gradient_cells.SIZES, "digits", sizes)
    seconds = map(float, count())  # each look at the clock takes one
    monkeypatch.setattr(gradient_cells, "time", SimpleNamespace(perf_counter=lambda: next(seconds)))
    gradient_cells.training.cache_clear()
    run = gradient_cells.work("digits", 0, "shared", seconds=8.0)
    gradient_cells.training.cache_clear()
    assert run["values"]
    relaxed = {"skips": [0.5], "relaxed": [1.0], "discretised": [1.25], "different": 1, "epochs": 1}
    done = {
        "digits, shared, seed 0": run,
        "digits, gradient, seed 0": run | relaxed,
        "digits, relaxed by softmax, early, seed 0": relaxed | {"prepared": 2.0},
    }
    gradient_cells.compared("digits", done)
    gradient_cells.collapsed("digits", done)
    shown = capsys.readouterr().out
    assert "gap 0.250 ± 0.000" in shown
    assert [line.split()[0] for line in shown.splitlines()] == [
        "digits:", "gradient", "shared", "digits:", "gumbel", "softmax,",
    ]  # fmt: skip


def test_a_baseline_is_beaten_by_a_network_that_fresh_seeds_confirm():
    import beat_baselines

    import optnas
    from optnas.finished.confirm import confirm

    def score(model, recipe, report):
        return {"loss": abs(model.out_features - 5.0)}

    search = optnas.Search(
        space=optnas.FunctionSpace(
            lambda trial: torch.nn.Linear(2, trial.suggest_int("width", 3, 8)), torch.zeros(1, 2)
        ),
        evaluator=optnas.FunctionEvaluator(score, {"loss": "minimize"}),
        objectives=("loss", "params"),
        baselines={
            "wide": lambda: torch.nn.Linear(2, 9),
            "best": lambda: torch.nn.Linear(2, 5, bias=False),
        },
        sampler="evolution",
        trials=8,
        seed=0,
        storage=optuna.storages.InMemoryStorage(),
    )
    study = search.run(progress=False)
    confirm(study, search, trials=range(8), seeds=1, progress=False)
    found = beat_baselines.outcome(study)
    # The first network that is no wider than 8 and no narrower than 3 dominates the wide one.
    assert found["beaten"] == {"wide": 1}
    # Of width 3: the others that dominate it are dominated by the other baseline.
    assert found["by"]["wide"]["its means"] == [2.0, 9.0]
    assert found["by"]["wide"]["own"] == [4.0, 27.0]
    assert list(found["not beaten"]) == ["best"]
    assert "has params 15 (not 10)" in found["not beaten"]["best"]


def test_the_closed_form_of_transformers_is_that_of_pytorchs_layer():
    from real_networks import WORDS, transformer_macs

    layer = nn.TransformerEncoderLayer(32, 4, 48, batch_first=True)
    assert count_macs(layer, torch.zeros(1, WORDS, 32)) == transformer_macs(1, 32, 48)


def test_a_real_network_whose_package_is_missing_is_skipped_with_the_reason():
    from real_networks import attempt, package

    assert attempt(lambda: package("no_such_package")) == (
        "skipped: No module named 'no_such_package'"
    )
    assert (
        attempt(lambda: 1 // 0) == "failed: ZeroDivisionError: integer division or modulo by zero"
    )


def test_misleading_studies_have_the_same_architectures_and_ranges():
    import warm_start

    study = warm_start.study_of("cifar10", 4, 0, 3)
    values = np.array([trial.values for trial in study.trials])
    for arm in (warm_start.SHUFFLED, warm_start.TURNED):
        other = warm_start.misleading(study, arm, 1)
        found = np.array([trial.values for trial in other.trials])
        assert [t.params for t in other.trials] == [t.params for t in study.trials]
        assert not np.array_equal(found, values)
        assert found.min(axis=0) == pytest.approx(values.min(axis=0))
        assert found.max(axis=0) == pytest.approx(values.max(axis=0))
    assert found.argmin(axis=0).tolist() == values.argmax(axis=0).tolist()


def test_a_warm_study_has_reached_the_cold_ones_end_once_its_mean_has():
    from warm_start import COLD, WARM, reached

    curves = {
        COLD: [{50: 0.5, 100: 0.7}, {50: 0.5, 100: 0.9}],
        WARM: [{50: 0.9, 100: 1.0}, {50: 0.6, 100: 0.8}],
    }
    assert reached(curves, True) == (pytest.approx(0.8), 100)
    curves[WARM][1][50] = 0.7
    assert reached(curves, True) == (pytest.approx(0.8), 50)
    assert reached(curves, False) == (pytest.approx(0.8), 50)


def test_one_ratio_for_all_groups_is_the_least_that_leaves_few_enough_flops():
    import slimming
    from slim_networks import seeded

    import optnas

    images = torch.zeros(2, 1, 28, 28)
    part = (images, torch.tensor([0, 1]))
    data = optnas.Dataset("images", "classification", part, part, part, outputs=10)
    model = seeded(slimming.resnet8)
    whole = slimming.flops(model, data)
    found = slimming.uniform(model, data, 0.6 * whole)
    few = [slimming.flops(slimming.pruned(model, data, n), data) for n in range(18, 21)]
    assert few[0] > 0.6 * whole >= few[-1]
    assert slimming.flops(found, data) == next(n for n in few if n <= 0.6 * whole)
    # The same importance: the same channels as of the search's own space.
    space = optnas.SlimSpace(model, images[:1], widths=(0.75, 1))
    ours, theirs = space.build(space.uniform(0.75)), slimming.pruned(model, data, 25)
    assert torch.equal(ours.eval()(images), theirs.eval()(images))


def test_the_table_of_slimmed_networks():
    from slimming import table

    row = {"network": "ResNet-8", "original: accuracy": "0.9", "front": "9"}
    row |= {"searched: accuracy": "0.895", "searched: flops": "0.58"}
    row |= {"uniform: accuracy": "0.88", "uniform: flops": "0.599"}
    other = row | {"original: accuracy": "0.88", "front": "11"}
    _, line = table([row, other]).splitlines()
    accuracies = "89.00 ± 1.41 89.50 ± 0.00 58.0% -0.50 ± 1.41 88.00 ± 0.00 59.9% 1.00 ± 1.41"
    assert " ".join(line.split()) == f"ResNet-8 2 {accuracies} 10.00 ± 1.41"


def test_the_row_of_a_real_network_that_is_made_slimmer(monkeypatch):
    import slim_real_networks
    from slim_networks import VECTOR, perceptron

    exports = iter([{"batches": "any", "difference": 1e-7}, {"batches": "none", "refused": "so"}])
    monkeypatch.setattr(slim_real_networks, "exported", lambda model, inputs: next(exports))
    found = slim_real_networks.row((lambda fused: perceptron(), VECTOR), 3, 2)
    assert (found["groups"], found["left_alone"]) == (2, 0)
    assert (found["built"], found["ran"], found["counted"]) == (3, 3, 3)
    assert (found["exported"], found["exports_tried"]) == (1, 2)
    assert (found["batches"], found["worst_difference"]) == ("any none", "1.0e-07")
    assert found["why"] == "1 not exported: AssertionError: so"
    assert 0 < found["least_share_of_macs"] < 1


@pytest.mark.parametrize("name", ["Syne Tune MO-REA", "Ax"])
def test_samplers_that_are_asked_and_told(name):
    from common.asked import distributions, run_asked

    pytest.importorskip("syne_tune" if name.startswith("Syne") else "ax")

    def objective(trial):
        width = trial.suggest_int("width", 1, 4)
        if trial.suggest_categorical("kind", ["a", "b"]) == "b":
            trial.suggest_float("rate", 0.0, 0.6, step=0.2)
        if width == 1:
            raise ArithmeticError("too narrow")
        return width, -width

    assert list(distributions(objective, 2)) == ["kind", "rate", "width"]
    values, repeats = run_asked(name, objective, 2, seed=0, budget=7)
    assert values.shape == (7, 2)
    assert set(map(tuple, values)) <= {(2, -2), (3, -3), (4, -4), (np.inf, np.inf)}
    assert 0 <= repeats < 1
