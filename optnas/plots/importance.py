"""Which decisions matter for which objective."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optnas.errors import InputError
from optnas.pareto.dominance import losses
from optnas.pareto.snapshot import Snapshot
from optnas.plots.scales import axis_title
from optnas.plots.style import BLUE, GREY, figure, spread, stacked
from optnas.plots.texts import broken, short, told_apart
from optnas.study.attributes import BASELINE
from optnas.study.record import record_of
from optnas.utils.text import plural

FEWEST = 20
"""The smallest number of trials."""
MOST, WORK = 3000, 100_000
"""The largest number of trials that are read, and of trials · parameters · objectives: 1 s."""
BEST, BEST_TRIALS = 0.1, 10
"""The share of the trials that counts as the best, and the smallest number of them."""
ROWS = 20
"""The number of decisions that have a row; the others share one."""
RECIPE_PREFIX = "recipe."
"""The prefix of searched settings of the training."""


class Decision(NamedTuple):
    """A parameter: whether only some trials have it, and its importance for each objective.

    The importance is None where there can be none: of the training for a metric that needs none.
    """

    name: str
    conditional: bool
    shares: tuple[float | None, ...]


class ImportanceData(NamedTuple):
    """The data of the importances.

    Attributes:
        study_name: Of the study.
        names: Of the objectives.
        trials: The number of trials that were read.
        of: The number of trials that there are.
        best: The share of them that counts as the best.
        decisions: The most important first, by the mean over the objectives. For each objective
            the shares sum to 1, or are all 0 where the trials show no difference.
    """

    study_name: str
    names: list[str]
    trials: int
    of: int
    best: float
    decisions: list[Decision]


def importance_data(study: Study | Snapshot) -> ImportanceData:
    """The importance of each parameter for each objective, by (conditional) PED-ANOVA.

    It compares the best trials of each objective with all trials. A parameter that only some trials
    have is compared among these, and its presence among all. Sources:
    Watanabe, Bansal, Hutter, PED-ANOVA, IJCAI 2023 (arXiv 2304.10255), and Optuna's extension to
    conditional parameters (arXiv 2601.20800).

    Raises:
        InputError: There are fewer than 20 COMPLETE trials with parameters, or nothing that sets
            the best of them apart.
    """
    seen = Snapshot.of(study)
    trials = [t for t in seen.complete if t.params and BASELINE not in t.user_attrs]
    if len(trials) < FEWEST:
        count = plural(len(trials), "COMPLETE trial")
        raise InputError(
            f"study {seen.study.study_name!r} has {count} with parameters: importances take at "
            f"least {FEWEST}"
        )
    params = len({name for trial in trials for name in trial.params})
    affordable = WORK // (params * len(seen.names))
    sample = spread(trials, max(min(MOST, affordable), 10 * FEWEST))
    best = max(BEST, BEST_TRIALS / len(sample))
    names = seen.names
    scores = record_of(seen.study).scores or names
    sampled = _Sample(seen.study, sample)
    points = losses([trial.values for trial in sample], seen.directions)
    counts = Counter(name for trial in sample for name in trial.params)
    found = []
    for name, column in zip(names, points.T.tolist(), strict=True):
        trained = name in scores
        known = [p for p in counts if trained or not p.startswith(RECIPE_PREFIX)]
        numbers = (trial.number for trial in sample)
        found.append(_shares(sampled, known, dict(zip(numbers, column, strict=True)), best))
    decisions = [
        Decision(name, count < len(sample), tuple(shares.get(name) for shares in found))
        for name, count in counts.items()
    ]
    if not any(share for decision in decisions for share in decision.shares):
        raise InputError(
            f"nothing is left to draw: no decision sets the best trials of study "
            f"{seen.study.study_name!r} apart from the others"
        )
    return ImportanceData(
        study_name=seen.study.study_name,
        names=names,
        trials=len(sample),
        of=len(trials),
        best=best,
        decisions=sorted(decisions, key=lambda d: -sum(s or 0.0 for s in d.shares)),
    )


class _Sample(Study):
    """A study with some of its trials: Optuna's evaluators read all trials of a study."""

    def __init__(self, study: Study, trials: Sequence[FrozenTrial]) -> None:
        super().__init__(study.study_name, study._storage)
        self._sample = list(trials)

    def get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return self._sample


def _shares(
    study: Study, params: list[str], losses: Mapping[int, float], best: float
) -> dict[str, float]:
    """The importance of parameters for one objective, as shares of all.

    Args:
        study: The sampled trials.
        params: The names of the parameters.
        losses: Of one objective, by the number of the trial.
        best: The share of the trials that counts as the best.
    """
    # Not above: it brings scikit-learn's forests, which take most of a second.
    from optuna.importance import PedAnovaImportanceEvaluator

    evaluator = PedAnovaImportanceEvaluator(target_quantile=best)
    with warnings.catch_warnings():
        # It warns that low values are the better ones, and of parameters that few trials have.
        warnings.simplefilter("ignore")
        found = evaluator.evaluate(study, params, target=lambda t: losses[t.number])
    total = sum(found.values())
    return {name: float(value / total) if total > 0 else 0.0 for name, value in found.items()}


def importance_figure(data: ImportanceData) -> go.Figure:
    """A bar for each parameter, in a panel for each objective."""
    shown, rest = data.decisions[:ROWS], data.decisions[ROWS:]
    short_names = told_apart([d.name for d in shown], 32)
    names = [
        f"<i>{name}</i>" if d.conditional else name
        for d, name in zip(shown, short_names, strict=True)
    ]
    shares = [d.shares for d in shown]
    if rest:
        names.append(f"{len(rest)} others")
        shares.append(tuple(sum(d.shares[i] or 0.0 for d in rest) for i in range(len(data.names))))
    titles = [broken(name) for name in data.names]
    spans = stacked([1] * len(titles), 0.03)
    longest = max(share or 0.0 for row in shares for share in row)
    traces = []
    layout: dict[str, Any] = {}
    for i, title in enumerate(titles):
        percent = [None if share is None else 100 * share for share in (row[i] for row in shares)]
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "x": percent,
                "y": list(range(len(names))),
                "xaxis": f"x{i + 1}",
                "marker": {"color": [BLUE] * len(shown) + [GREY] * bool(rest)},
                "text": ["" if value is None else f"{value:.0f}" for value in percent],
                "textposition": "outside",
                "textfont": {"size": 10},
                "cliponaxis": False,
                "hovertext": names,
                "hovertemplate": "%{hovertext}: %{x:.1f} %<extra></extra>",
            }
        )
        layout[f"xaxis{i + 1}"] = {
            "domain": spans[i],
            "title": axis_title(title, 12),
            "side": "top",
            "range": [0, (120 + 10 * len(titles)) * longest],  # room for the numbers
            "showticklabels": False,
            "showgrid": False,
        }
    return figure(
        traces,
        f"{short(data.study_name, 50)}: which decisions matter",
        lines=_lines(data),
        above=15 * max(title.count("<br>") + 1 for title in titles),
        height=190 + 24 * len(names),
        showlegend=False,
        yaxis={
            "tickvals": list(range(len(names))),
            "ticktext": names,
            "autorange": "reversed",
            "automargin": True,
            "tickfont": {"size": 11},
            "showgrid": False,
        },
        **layout,
    )


def _lines(data: ImportanceData) -> list[str]:
    looked = f"{data.trials} of {data.of}" if data.trials < data.of else str(data.of)
    lines = [
        f"what sets the best {data.best:.0%} of {looked} trials apart, by PED-ANOVA; in %, which "
        "sum to 100 for each objective"
    ]
    if any(d.conditional for d in data.decisions[:ROWS]):
        lines.append("in italics: what only some architectures decide")
    if any(None in d.shares for d in data.decisions):
        lines.append(f"{RECIPE_PREFIX}* counts only for what is known from training")
    return lines
