"""Studies that commands and figures must cope with, by name."""

import math
import random
import sys

import optuna
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from optnas.study.attributes import (
    ARCHITECTURE,
    BASELINE,
    CURVE,
    DETAIL,
    DUPLICATE_OF,
    FAILURE,
    LEASE,
    LOST,
    PRUNED,
    RECIPE,
)
from optnas.study.objectives import name_objectives

NAMES = ("val_loss", "flops", "params", "latency_ms")
HOSTILE = """</script><script>hacked=1</script>"><img src=x onerror="hacked=1">'`${hacked}` & ünï"""
SPACE = {
    "depth": IntDistribution(1, 3),
    "block1.kernel_size": CategoricalDistribution([3, 5, 7]),
    "block1.activation": CategoricalDistribution(["relu", "gelu"]),
}


def make(names=NAMES, directions=None, study_name="odd", storage=None):
    study = optuna.create_study(
        study_name=study_name,
        storage=storage,
        directions=directions or ["minimize"] * len(names),
    )
    name_objectives(study, names)
    return study


def add(study, number, *, values=(), excess=0.0, text="", state=TrialState.COMPLETE, **attrs):
    """A trial as optnas writes it."""
    rng = random.Random(number)
    names = study.metric_names
    params = {name: rng.choice(list(_choices(d))) for name, d in SPACE.items()}
    size = rng.random()
    values = values or [
        (0.1 + (1 - size) if i % 2 == 0 else 10 ** (1 + 3 * size)) for i in range(len(names))
    ]
    curve = [{"step": e, names[0]: values[0] + 1 / (e + 1)} for e in range(3)]
    known = {
        ARCHITECTURE: f"net{number} {text}".strip(),
        RECIPE: "Recipe(optimizer='adamw')",
        CURVE: curve,
        LEASE: f"host{text}/boot/{number % 2}/1",
        f"{DETAIL}latency_ms": {"interval": [1.0, 2.0], "device": f"cpu{text}"},
        **dict(zip(names, values, strict=True)),
    }
    study.add_trial(
        create_trial(
            state=state,
            values=values if state == TrialState.COMPLETE else None,
            params=params,
            distributions=SPACE,
            user_attrs=known | attrs,
            constraints={names[-1]: excess},
        )
    )


def _choices(distribution):
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    return range(distribution.low, distribution.high + 1)


def empty(storage=None):
    return make(storage=storage)


def one(storage=None):
    study = make(storage=storage)
    add(study, 0)
    return study


def infeasible(storage=None):
    study = make(storage=storage)
    for i in range(12):
        add(study, i, excess=1.0)
    return study


def failed(storage=None):
    study = make(storage=storage)
    for i in range(4):
        add(study, i, state=TrialState.FAIL, **{FAILURE: "it diverged: the loss was nan"})
    add(study, 4, state=TrialState.PRUNED, excess=2.0, **{PRUNED: "params is 9, its bound 7"})
    add(study, 5, state=TrialState.FAIL, **{LOST: "killed"})
    study.enqueue_trial({"depth": 1})
    study.ask()
    return study


def one_objective(storage=None):
    study = make(["val_accuracy"], ["maximize"], storage=storage)
    for i in range(12):
        add(study, i)
    return study


def seven_objectives(storage=None):
    study = make([f"objective{i}" for i in range(7)], storage=storage)
    for i in range(15):
        add(study, i)
    return study


def plain(storage=None):
    """What Optuna writes by itself: no names, no attributes of ours, a conditional space."""
    study = optuna.create_study(
        study_name="plain",
        storage=storage,
        directions=["minimize", "maximize"],
        sampler=optuna.samplers.RandomSampler(seed=0),
    )

    def objective(trial):
        x = trial.suggest_float("x", 1e-3, 1.0, log=True)
        if trial.suggest_categorical("deep", [True, False]):
            x += trial.suggest_int("layers", 1, 4)
        return x, 1 / x

    study.optimize(objective, n_trials=15)
    return study


def hostile(storage=None):
    """Whatever a person may name is a script."""
    names = [f"{HOSTILE} {i}" for i in range(3)]
    study = make(names, study_name=HOSTILE, storage=storage)
    for i in range(12):
        add(study, i, text=HOSTILE)
    add(study, 12, **{BASELINE: HOSTILE, ARCHITECTURE: f"baseline {HOSTILE}"})
    add(study, 13, state=TrialState.FAIL, text=HOSTILE, **{FAILURE: HOSTILE})
    add(study, 14, state=TrialState.PRUNED, excess=1.0, **{PRUNED: HOSTILE})
    return study


def usual(storage=None):
    """Some of everything."""
    study = make(storage=storage)
    for i in range(14):
        add(study, i)
    add(study, 3, **{DUPLICATE_OF: 3})
    add(study, 20, **{BASELINE: "tiny", ARCHITECTURE: "baseline tiny"})
    add(study, 21, excess=1.0)
    add(study, 22, state=TrialState.FAIL, **{FAILURE: "out of memory"})
    add(study, 23, state=TrialState.PRUNED, excess=3.0, **{PRUNED: "latency_ms is 3, its bound 1"})
    return study


def endless(storage=None):
    """Infinite values, and values near the largest float, among ordinary ones."""
    study = make(storage=storage)
    for i in range(24):
        add(study, i, values=[ODD[i % 8], ODD[i * 5 % 7], ODD[i // 3], ODD[i * 3 % 5]])
    add(study, 30, values=[math.inf] * 4, **{BASELINE: "bad", ARCHITECTURE: "baseline bad"})
    return study


def nothing_finite(storage=None):
    """Neither values nor scores that a figure could show."""
    study = make(storage=storage)
    for i in range(3):
        values = [math.inf, sys.float_info.max, -math.inf, math.inf]
        add(study, i, values=values, **{CURVE: [{"step": e, "val_loss": math.nan} for e in (0, 1)]})
    return study


ODD = (1.0, math.inf, 2.0, -math.inf, 1e-3, sys.float_info.max, -1.0, -sys.float_info.max)

STUDIES = {
    made.__name__: made
    for made in (
        empty,
        one,
        infeasible,
        failed,
        one_objective,
        seven_objectives,
        plain,
        hostile,
        usual,
        endless,
        nothing_finite,
    )
}
