"""Studies that reports are made of: a usual one, and odd ones."""

import optuna
from optuna.trial import TrialState, create_trial

from optnas.study.attributes import (
    ARCHITECTURE,
    BASELINE,
    CURVE,
    DUPLICATE_OF,
    FAILURE,
    RETRY_OF,
)
from optnas.study.elsewhere import OtherDevice, Predicted, There

HOSTILE = "</script><script>window.hacked=1</script><!--&amp;<img src=x onerror=hacked=1>`\u2028'\""


def make_study(rows=(), names=("loss", "flops", "size"), directions=None, name="s"):
    """A study as anybody makes one: values, attributes, how far beyond a bound."""
    study = optuna.create_study(study_name=name, directions=directions or ["minimize"] * len(names))
    study.set_metric_names(list(names))
    for values, attrs, excess in rows:
        trial = create_trial(values=values, user_attrs=attrs, constraints={"flops": excess})
        study.add_trial(trial)
    return study


def add(study, state, attrs=None, excess=None, values=None):
    constraints = {} if excess is None else {"flops": excess}
    study.add_trial(
        create_trial(state=state, values=values, user_attrs=attrs or {}, constraints=constraints)
    )


ROWS = [
    ([1.0, 10.0, 5.0], {ARCHITECTURE: "a", "acc": 0.5}, -1.0),
    ([2.0, 5.0, 5.0], {ARCHITECTURE: "b"}, -1.0),
    ([2.0, 6.0, 1.0], {ARCHITECTURE: "c"}, -1.0),
    ([3.0, 7.0, 6.0], {}, -1.0),
    ([0.1, 0.1, 0.1], {ARCHITECTURE: "e"}, 3.0),
    ([2.0, 5.0, 5.0], {ARCHITECTURE: "b", DUPLICATE_OF: 1}, -1.0),
    ([9.0, 900.0, 5.0], {ARCHITECTURE: "baseline net", BASELINE: "net"}, -1.0),
]


def odd_studies():
    """Studies that have little, much, or something strange to show, by name."""
    infinite = [([float("inf"), 1.0], {"odd": float("inf")}, -1.0), ([1.0, 2.0], {}, -1.0)]
    failed, waiting = make_study(name="failed"), make_study(ROWS[:2], name="waiting")
    add(failed, TrialState.FAIL, {FAILURE: HOSTILE})
    add(waiting, TrialState.WAITING)
    waiting.ask()
    plain = optuna.create_study(study_name="plain")
    plain.optimize(
        lambda trial: trial.suggest_float("x", 0, 1) ** trial.suggest_int("n", 1, 2), n_trials=4
    )
    strange = make_study(name="strange")
    odd = {
        CURVE: "none",
        "detail:loss": [1, 2],
        "optnas:lease": 3,
        BASELINE: {"a": 1},
        RETRY_OF: "x",
        "detail:latency_ms": {"interval": ["a", None], "p95": None, "alone": "yes"},
        "latency_ms": 0,
    }
    strange.add_trial(create_trial(values=[1.0, 2.0, 3.0], user_attrs=odd))
    strange.set_user_attr("optnas", {"size": "?", "scores": ["loss", "acc"], "fingerprint": {}})
    seven = [[float(i * k % 11) for k in range(1, 8)] for i in range(1, 12)]
    return {
        "empty": make_study(name="empty"),
        "one trial": make_study(ROWS[:1], name="one trial"),
        "infeasible": make_study([ROWS[4]], name="infeasible"),
        "failed": failed,
        "waiting": waiting,
        "single": make_study([([v], {}, -1.0) for v in (3.0, 1.0)], ["loss"], name="single"),
        "seven": make_study([(v, {}, -1.0) for v in seven], list("abcdefg"), name="seven"),
        "infinite": make_study(infinite, ["a", "b"], name="infinite"),
        "plain": plain,
        "strange": strange,
    }


OTHER = OtherDevice(
    label=f"pixel {HOSTILE}",
    metric="latency_ms",
    replaces="flops",
    how={"command": HOSTILE},
    measured=(
        There("a", 0, 1.0, (0.9, 1.1)),
        There("b", 1, 4.0, (3.9, 4.1)),
        There("c", 2, None, failure=f"no memory {HOSTILE}"),
    ),
    predicted=Predicted("ridge regression", 20, 0.07, 0.9, (There("baseline net", 6, 0.5),)),
)
