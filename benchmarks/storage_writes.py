"""What private code in the storage gains: trials a second of real studies on SQLite, in turns.

    pip install -c constraints.txt -e '.[benchmark]'
    python benchmarks/storage_writes.py [--repeats 7] [--studies tabular,untrained,trained]

Three storages, all with optnas' settings of SQLite: Optuna's own functions; trials are read as rows
(`optnas/storage/rows.py`); and also written as rows (`optnas/storage/row_writes.py`), which
is what optnas does. Three studies:

- `tabular`: NASBench201 cells that are looked up in their table, 200 trials with evolution;
- `untrained`: `MacroCNNSpace` for digits with a training function that only reports 15 epochs;
- `trained`: networks of that space, trained for 15 epochs.

Each repeat runs the storages in turn, in another order each time. Prints the median of the ratios
within the repeats, by the clock and by the CPU's time, which other programs disturb less; and
writes benchmarks/results/storage_writes.json. About ten minutes.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import optuna
import torch
from optuna.storages import RDBStorage

import optnas
from optnas.evaluators.tabular import nasbench201_table
from optnas.storage.open import close_storage
from optnas.storage.sqlite import SQLiteStorage

RESULTS = Path(__file__).parent / "results" / "storage_writes.json"


class Reads(SQLiteStorage):
    """Trials are read as rows."""

    writes_together = False
    set_trial_user_attr = RDBStorage.set_trial_user_attr
    set_trial_system_attr = RDBStorage.set_trial_system_attr
    _get_prepared_new_trial = RDBStorage._get_prepared_new_trial
    _set_trial_attr_without_commit = RDBStorage._set_trial_attr_without_commit
    _set_trial_value_without_commit = RDBStorage._set_trial_value_without_commit
    _set_trial_param_without_commit = RDBStorage._set_trial_param_without_commit


class Optuna(Reads):
    """Optuna's own functions."""

    get_trial = RDBStorage.get_trial
    get_study_user_attrs = RDBStorage.get_study_user_attrs
    get_study_system_attrs = RDBStorage.get_study_system_attrs
    _get_trials = RDBStorage._get_trials


STORAGES = {"optuna": Optuna, "reads": Reads, "reads and writes": SQLiteStorage}


def tabular():
    table = nasbench201_table("cifar10")
    provides = {"val_error": "minimize", "latency_ms": "minimize"}
    return {
        "space": optnas.NASBench201Space(),
        "evaluator": optnas.TabularEvaluator(table, provides),
        "objectives": ("val_error", "params", "latency_ms"),
        "trials": 200,
    }


def report_only(model, recipe, report):
    """A learning curve without a training."""
    loss = 1.0 / sum(p.numel() for p in model.parameters())
    for epoch in range(15):
        report(epoch, {"val_loss": loss * (1 + 1 / (epoch + 1))})
    return {"val_loss": loss}


def untrained():
    data = optnas.digits()
    return {
        "space": optnas.MacroCNNSpace(data.input_shape, data.outputs),
        "evaluator": optnas.FunctionEvaluator(report_only, {"val_loss": "minimize"}),
        "objectives": ("val_loss", "flops", "params"),
        "trials": 60,
    }


def trained():
    data = optnas.digits()
    recipe = optnas.Recipe(learning_rate=0.01, batch_size=32)
    return {
        "space": optnas.MacroCNNSpace(data.input_shape, data.outputs),
        "evaluator": optnas.TrainingEvaluator(data, epochs=15, recipe=recipe),
        "objectives": ("val_loss", "flops", "params"),
        "trials": 8,
    }


STUDIES = {"tabular": tabular, "untrained": untrained, "trained": trained}


def rate(kind, settings):
    """Trials a second, and a second of the CPU; and their values, which must be the same."""
    with tempfile.TemporaryDirectory() as folder:
        backend = STORAGES[kind](Path(folder) / "study.db", made=False)
        storage = optuna.storages.get_storage(backend)
        search = optnas.Search(
            **settings, storage=storage, name="s", sampler="evolution", seed=0, folder=folder
        )
        start, cpu = time.perf_counter(), time.process_time()
        study = search.run(progress=False)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        values = [t.values for t in study.get_trials(deepcopy=False)]
        close_storage(storage)
    return len(values) / seconds, len(values) / cpu, values


def compare(settings, repeats):
    """Rates by storage, in turns: by the clock, and by the CPU's time."""
    found = {kind: [] for kind in STORAGES}
    by_cpu = {kind: [] for kind in STORAGES}
    rate("optuna", settings | {"trials": 2})  # what is made once in a process
    known = None
    for repeat in range(repeats):
        kinds = list(STORAGES)
        for kind in kinds[repeat % 3 :] + kinds[: repeat % 3]:
            speed, cpu_speed, values = rate(kind, settings)
            assert known is None or values == known
            known = values
            found[kind].append(speed)
            by_cpu[kind].append(cpu_speed)
    return found, by_cpu


def ratio(found, kind, other):
    """The median of the ratios within the repeats, and the least and the largest."""
    ratios = [a / b for a, b in zip(found[kind], found[other], strict=True)]
    return {"median": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--studies", default=",".join(STUDIES))
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    torch.set_num_threads(1)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in args.studies.split(","):
        found, by_cpu = compare(STUDIES[name](), args.repeats)
        speeds = {kind: statistics.median(rates) for kind, rates in found.items()}
        print(name, {kind: round(speed, 2) for kind, speed in speeds.items()}, flush=True)
        results[name] = {"trials_per_second": found, "trials_per_cpu_second": by_cpu}
        for kind, other in (("reads", "optuna"), ("reads and writes", "reads")):
            for clock, rates in (("", found), (", CPU", by_cpu)):
                r = results[name][f"{kind} / {other}{clock}"] = ratio(rates, kind, other)
                text = f"{r['median']:.3f} ({r['least']:.3f} to {r['most']:.3f})"
                print(f"  {kind} / {other}{clock}: {text}", flush=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
