"""How long a front, a hypervolume and a look at a large study take, compared with Optuna.

    python benchmarks/pareto.py [--trials 10000 30000] [--repeats 5]

In memory: the front of random studies of four objectives (a cost falls as another rises, as with
networks), from their values; Optuna's `study.best_trials`, from its trials. On disk: a study as
optnas writes it (10 parameters, 14 attributes, a curve of 15 epochs) in SQLite; a new process
reads it. `optnas pareto` and `optnas report` are whole commands, started anew each time; the report
is opened in a headless Chromium, if there is one, through Playwright (extra `test`). Prints a table
(median, and range over the repeats) and writes benchmarks/results/pareto.json.
"""

import argparse
import datetime
import json
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, IntDistribution, distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import TrialState, create_trial

from optnas.pareto import dominance, hypervolume

NAMES = ["val_loss", "flops", "params", "latency_ms"]
PARAMS = {f"stage{i}.kernel_size": CategoricalDistribution([3, 5, 7]) for i in range(5)} | {
    f"stage{i}.channels": IntDistribution(8, 64, step=8) for i in range(5)
}
EPOCHS = 15
READ = """
import time; start = time.perf_counter()
import {imports}
study = optuna.load_study(study_name="big", storage={storage})
study.get_trials(deepcopy=False)
print(time.perf_counter() - start)
"""
READERS = {
    "Optuna reads the trials": READ.format(imports="optuna", storage="{url!r}"),
    "optnas reads the trials": READ.format(
        imports="optuna, optnas.storage.open", storage="optnas.storage.open.open_storage({url!r})"
    ),
}


def random_values(trials, seed):
    """Losses that fall with the size of a network, and three costs that rise with it."""
    rng = np.random.default_rng(seed)
    size = rng.random(trials)
    noise = rng.normal(0, 0.1, (trials, 4))
    columns = (
        0.05 + 0.3 * (1 - size) ** 2 + np.abs(noise[:, 0]),
        2e5 * 10 ** (2 * size + noise[:, 1]),
        1e3 * 10 ** (2 * size + noise[:, 2]),
        0.1 + size + np.abs(noise[:, 3]),
    )
    return np.stack(columns, axis=1)


def timed(function, repeats):
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        found = function()
        seconds.append(time.perf_counter() - start)
    return seconds, found


def in_memory(trials, repeats):
    """Seconds for fronts from values, Optuna's own from trials, and for hypervolumes."""
    rows = {}
    values = random_values(trials, seed=0)
    lists = values.tolist()
    directions = [optuna.study.StudyDirection.MINIMIZE] * 4
    rows["front, from values in memory"], mask = timed(
        lambda: dominance.nondominated(dominance.losses(lists, directions)), repeats
    )
    study = optuna.create_study(directions=directions)
    study.add_trials([create_trial(values=v) for v in lists])
    rows["Optuna's study.best_trials"], best = timed(lambda: study.best_trials, min(repeats, 3))
    assert [t.number for t in best] == np.flatnonzero(mask).tolist()
    front = values[mask] / values.max(axis=0)
    rows[f"hypervolume of its {len(front)} members"], exact = timed(
        lambda: hypervolume.hypervolume_of(front, np.full(4, 1.1)), repeats
    )
    rows["the same by Optuna"], theirs = timed(
        lambda: optuna._hypervolume.compute_hypervolume(front, np.full(4, 1.1)), min(repeats, 3)
    )
    assert abs(exact - theirs) < 1e-9
    return rows


def many_objectives(repeats):
    """Seconds for the hypervolume of 500 points that don't dominate each other, and its error."""
    rng = np.random.default_rng(0)
    rows = {}
    for k in (5, 6, 7):
        points = np.abs(rng.normal(size=(500, k)))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        name = "exact" if hypervolume.is_exact(k) else "approximate"
        rows[f"hypervolume of 500 points, {k} objectives ({name})"], found = timed(
            lambda p=points, k=k: hypervolume.hypervolume_of(p, np.full(k, 1.1)), repeats
        )
        if k == 6:
            import moocore

            seconds, exact = timed(lambda p=points: moocore.hypervolume(p, ref=np.full(6, 1.1)), 1)
            rows["hypervolume of 500 points, 6 objectives, exact all the same"] = seconds
            print(f"error of the approximation with 6 objectives: {abs(found / exact - 1):.2e}")
    return rows


def write_study(url, trials):
    """A study as optnas writes it, table by table."""
    optuna.create_study(study_name="big", storage=url, directions=["minimize"] * 4)
    storage = optuna.storages.RDBStorage(url)
    study = optuna.load_study(study_name="big", storage=storage)
    study.set_metric_names(NAMES)
    rng = np.random.default_rng(0)
    start = datetime.datetime(2026, 1, 1)
    tables = {
        model: []
        for model in (
            models.TrialModel,
            models.TrialValueModel,
            models.TrialParamModel,
            models.TrialUserAttributeModel,
            models.TrialSystemAttributeModel,
        )
    }
    trial_rows, value_rows, param_rows, user_rows, system_rows = tables.values()
    for number, values in enumerate(random_values(trials, seed=0).tolist()):
        key = {"trial_id": number + 1}
        began = start + datetime.timedelta(seconds=30 * number)
        trial_rows.append(
            key
            | {"number": number, "study_id": study._study_id, "state": TrialState.COMPLETE}
            | {"datetime_start": began}
            | {"datetime_complete": began + datetime.timedelta(seconds=29)}
        )
        value_rows += [
            key | {"objective": i, "value": value, "value_type": "FINITE"}
            for i, value in enumerate(values)
        ]
        chosen = {}
        for name, distribution in PARAMS.items():
            if isinstance(distribution, CategoricalDistribution):
                stored = float(rng.integers(3))
            else:
                stored = float(8 * rng.integers(1, 9))
            chosen[name] = distribution.to_external_repr(stored)
            param_rows.append(
                key
                | {"param_name": name, "param_value": stored}
                | {"distribution_json": distribution_to_json(distribution)}
            )
        user_rows += [
            key | {"key": name, "value_json": json.dumps(value)}
            for name, value in attributes(values, chosen).items()
        ]
        system_rows.append(
            key | {"key": "constraints:params", "value_json": json.dumps(values[2] - 1e5)}
        )
    with storage.engine.begin() as connection:
        for model, rows in tables.items():
            connection.execute(model.__table__.insert(), rows)
    storage.engine.dispose()


def attributes(values, chosen):
    """What optnas writes on a trial."""
    loss, flops, params, latency = values
    return {
        "architecture": " ".join(f"{name}={value}" for name, value in chosen.items()),
        "recipe": "Recipe(optimizer='adamw', learning_rate=0.01, weight_decay=0.01, "
        "batch_size=32, seed=0, epochs=15, precision='float32', loss='cross_entropy')",
        "params": int(params),
        "model_size_mb": params * 4e-6,
        "macs": int(flops / 2),
        "flops": int(flops),
        "peak_memory_mb": 1.25,
        "latency_ms": latency,
        "detail:latency_ms": {"interval": [latency * 0.99, latency * 1.01], "passes": 400},
        "val_loss": loss,
        "val_accuracy": 1 - loss,
        "train_seconds": 12.5,
        "curve": [
            {"step": e, "val_loss": loss + 1 / (e + 1), "val_accuracy": 1 - loss}
            for e in range(EPOCHS)
        ],
        "lease": "host/123/456",
    }


def on_disk(trials, repeats):
    """Seconds that new processes need for a study in SQLite."""
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/big.db"
        write_study(url, trials)
        for name, code in READERS.items():
            script = code.replace("{url!r}", repr(url))
            times = repeats if "optnas" in name else min(repeats, 2)
            rows[name] = [float(output(["-c", script])) for _ in range(times)]
        commands = {
            "optnas pareto": ["pareto", url],
            "optnas report": ["report", url, "-o", f"{folder}/report.html"],
        }
        for name, arguments in commands.items():
            rows[name], _ = timed(lambda a=arguments: output(["-m", "optnas", *a]), repeats)
        rows |= opened(Path(folder, "report.html"), repeats)
    return rows


def opened(page, repeats):
    """Seconds until a fresh browser shows the report's table, and the figure of the front."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None or find_spec("playwright") is None:
        return {}
    from playwright.sync_api import sync_playwright

    shown = {"the report's table is there": "#networks tbody tr"}
    shown |= {"the report's front is drawn": "#holder-pareto.drawn"}
    rows = {name: [] for name in shown}
    with sync_playwright() as playwright:
        for _ in range(repeats):
            with playwright.chromium.launch(
                executable_path=path, args=["--no-sandbox", "--disable-gpu"]
            ) as browser:
                tab = browser.new_page(viewport={"width": 1280, "height": 900})
                start = time.perf_counter()
                tab.goto(page.as_uri(), wait_until="commit")
                for name, selector in shown.items():
                    tab.wait_for_selector(selector)
                    rows[name].append(time.perf_counter() - start)
    return rows


def output(arguments):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[10_000, 30_000])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    results = []
    for trials in arguments.trials:
        rows = in_memory(trials, arguments.repeats) | on_disk(trials, arguments.repeats)
        results += report(trials, rows)
    results += report(500, many_objectives(arguments.repeats))
    path = Path(__file__).parent / "results" / "pareto.json"
    machine = {"python": platform.python_version(), "optuna": optuna.__version__}
    path.write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n")
    print(f"wrote {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")


def report(trials, rows):
    for name, seconds in rows.items():
        print(
            f"{trials:6} {name:60} {statistics.median(seconds):9.4f} s "
            f"({min(seconds):.4f} to {max(seconds):.4f})",
            flush=True,
        )
    return [{"trials": trials, "what": name, "seconds": s} for name, s in rows.items()]


if __name__ == "__main__":
    main()
