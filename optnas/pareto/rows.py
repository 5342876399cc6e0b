"""The architectures of a study as rows of a table, for pandas, spreadsheets and other programs."""

from __future__ import annotations

from collections.abc import Collection
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from optuna.study import Study

from optnas.errors import InputError
from optnas.pareto.architectures import ArchitectureRecord
from optnas.pareto.noise import interval
from optnas.pareto.snapshot import Snapshot
from optnas.study.attributes import TRAIN_SECONDS
from optnas.study.describe import measurement_of, number_of, recipe_text
from optnas.utils.distributions import choices_of

if TYPE_CHECKING:  # it is optional
    from pandas import DataFrame

Row = dict[str, Any]


def architecture_rows(study: Study | Snapshot, *, front: bool = False) -> list[Row]:
    """One row for each architecture with a COMPLETE trial; all rows have the same columns.

    An architecture with several trials on the front has a row for each of these, as their values
    differ.

    Args:
        study: Any Optuna study.
        front: Whether to leave out all but those of the Pareto front.

    Returns:
        The rows, the front first, each sorted by the first objective. A row has `trial` (its
        number), `place` (`front`, `dominated`, or `infeasible` where it breaks a bound), `baseline`
        (the name of a hand-made network), `architecture`, `recipe`, `trials` (how many COMPLETE
        trials the architecture has), `train_seconds`; the objectives, scores and metrics by name,
        and the ends of their 95 % intervals as `NAME_low` and `NAME_high`; and the trial's
        parameters as `params_NAME`, as in Optuna's `trials_dataframe`. None stands for what the
        trial hasn't; a choice that is None is the text "None". `confirmed` says whether fresh seeds
        confirmed the architecture (`stands`, `falls`, …), where some did.
    """
    seen = Snapshot.of(study)
    records = sorted(seen.shown, key=lambda r: (not r.on_front, r.losses[0], r.number))
    rows = [_row(seen, record) for record in records if record.on_front or not front]
    columns = sorted(dict.fromkeys(c for row in rows for c in row), key=itemgetter(0))
    return [{column[1]: row.get(column) for column in columns} for row in rows]


def to_frame(study: Study | Snapshot, *, front: bool = False) -> DataFrame:
    """The architectures of a study as the rows of a pandas DataFrame (`architecture_rows`).

    Args:
        study: Any Optuna study.
        front: Whether to leave out all architectures but those of the Pareto front.

    Raises:
        InputError: pandas isn't installed.

    Example:
        ```python
        import optuna

        import optnas

        study = optuna.create_study(directions=["minimize", "minimize"])
        study.optimize(lambda t: (t.suggest_float("x", 0, 1), -t.params["x"]), n_trials=5)
        print(optnas.to_frame(study, front=True))
        ```
    """
    try:
        import pandas
    except ImportError as error:
        raise InputError(
            f"to_frame needs pandas: pip install 'optnas[frame]' ({error}); `optnas table` writes "
            "CSV and JSON without it"
        ) from error
    return pandas.DataFrame(architecture_rows(study, front=front))


def _row(seen: Snapshot, record: ArchitectureRecord) -> dict[tuple[int, str], Any]:
    """The cells by column: the number of its group, by which columns are sorted, and its name."""
    trial = record.trial
    facts = {
        "trial": record.number,
        "place": record.place,
        "baseline": record.baseline,
        "architecture": record.architecture,
        "recipe": recipe_text(trial) or None,
        "trials": len(record.trials),
        "train_seconds": number_of(trial, TRAIN_SECONDS),
    }
    if standing := seen.standing_of(record):
        facts["confirmed"] = standing.verdict
    values = dict(zip(seen.names, record.values, strict=True))
    others = {
        name: value
        for name in trial.user_attrs
        if name not in values and (value := measurement_of(trial, name)) is not None
    }
    intervals = {}
    for name in (*values, *others):
        if found := interval(trial, name):
            intervals[f"{name}_low"], intervals[f"{name}_high"] = found
    params = {
        f"params_{name}": _choice(value, choices_of(trial.distributions[name]))
        for name, value in trial.params.items()
    }
    cells: dict[tuple[int, str], Any] = {(0, name): value for name, value in facts.items()}
    for number, group in enumerate((values, others, intervals, params), 1):
        for name, value in group.items():
            cells[number, f"{name}_" if name in _FACTS else name] = value
    return cells


def _choice(value: Any, choices: Collection[Any]) -> Any:
    """A parameter's value: None as one of the choices is a text, as it stands for what isn't there.

    Next to it, the text "None" as another choice is quoted.
    """
    if value is None:
        return "None"
    return repr(value) if value == "None" and None in choices else value


_FACTS = (
    "trial",
    "place",
    "baseline",
    "architecture",
    "recipe",
    "trials",
    "train_seconds",
    "confirmed",
)
"""The columns of every study: an objective, score or metric of such a name gets an underscore."""
