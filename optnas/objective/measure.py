"""Measurements for an objective that isn't optnas's."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from optuna import TrialPruned
from optuna.study import Study
from optuna.trial import FixedTrial, Trial
from torch import nn

from optnas.candidate import Candidate, copy_of
from optnas.errors import CandidateError, InputError
from optnas.evaluators.evaluation import finite
from optnas.metrics import Metric, standard_metrics
from optnas.objective.bounds import Bounds
from optnas.objective.choose_metrics import (
    by_metric_name,
    cheapest_first,
    check_bounds,
    check_names,
    settings_of,
)
from optnas.pareto.held_bounds import newer_bounds
from optnas.study import attributes as attr
from optnas.study.fingerprint import note_settings
from optnas.study.objectives import Direction, maximized, name_objectives
from optnas.study.record import RECORD, record_of
from optnas.utils.inputs import Inputs, checked_inputs, map_inputs
from optnas.utils.random_state import preserved
from optnas.utils.text import there_are

log = logging.getLogger("optnas")


def measure(
    model: nn.Module,
    inputs: Inputs,
    names: Sequence[str] = ("flops", "params", "latency_ms"),
    *,
    metrics: Iterable[Metric] = (),
    device: str = "auto",
) -> dict[str, float]:
    """Measures a model, as a study of optnas does.

    A copy is measured: the model keeps its weights, mode, device and gradients, and the random
    generators their states. Zero-cost proxies are those of the weights that it has.

    Example:
        ```python
        import torch
        import optnas

        optnas.measure(torch.nn.Linear(8, 2), torch.zeros(1, 8), ("flops", "params"))
        # {"flops": 32.0, "params": 18.0}
        ```

    Args:
        model: The network, on any device.
        inputs: One example with its batch dimension: a tensor, or a tuple or dictionary of tensors
            that the model takes by position or by name. Values are of one pass over all that is
            given: eight examples have the MACs, activations and time of eight.
        names: Names of metrics (see `Objective`).
        metrics: In addition to the standard ones, or instead of one with the same name:
            `[optnas.Latency(batch_size=8)]`. A name calls for it.
        device: Where times are measured: `auto`, `cpu`, `cuda`, …

    Returns:
        The values by name, in the order of the names.

    Raises:
        ValueError: A name is unknown.
        TypeError: An argument is of another type.
        InputError: The model can't be copied, or the inputs are in none of the three forms.
        CandidateError: A value is NaN or infinite, or the network has none.
    """
    chosen = _chosen(names, metrics, device)
    with _measuring(model, inputs) as candidate:
        found = {m.name: finite(m.name, m.measure(candidate)) for m in cheapest_first(chosen)}
    if unknown := candidate.details.get("macs", {}).get("not_counted"):
        log.warning(
            "%s leaves out %s, for which there is no formula (such as Fourier transforms, and "
            "quantised, sparse and custom operations)",
            " and ".join(name for name in names if name in ("macs", "flops")),
            ", ".join(unknown),
        )
    return {name: found[name] for name in names}


def measure_and_constrain(
    trial: Trial | FixedTrial,
    model: nn.Module,
    inputs: Inputs,
    limits: Mapping[str, float | None],
    *,
    objectives: Sequence[str] = (),
    metrics: Iterable[Metric] = (),
    device: str = "auto",
    prune: bool = True,
) -> dict[str, float]:
    """Measures a model, and keeps values and constraints in its trial.

    Call it in an objective of your own, before the training. Tables, figures and the report then
    read the study as one of optnas: each value is a user attribute of the trial, with how it was
    measured; each limit is a constraint, which Optuna's samplers read; and the study keeps the
    settings of the measurements.

    Example:
        ```python
        import optuna
        import torch
        import optnas

        def objective(trial):
            width = trial.suggest_int("width", 4, 64)
            model = torch.nn.Sequential(torch.nn.Linear(16, width), torch.nn.Linear(width, 1))
            costs = optnas.measure_and_constrain(
                trial,
                model,
                torch.zeros(1, 16),
                {"flops": 2000, "params": None},
                objectives=("val_loss", "flops"),
            )
            loss = 1 / width  # train the model here
            return loss, costs["flops"]

        study = optuna.create_study(directions=["minimize", "minimize"])
        study.optimize(objective, n_trials=3)
        ```

    Args:
        trial: The running trial.
        model: As in `measure`.
        inputs: As in `measure`.
        limits: The names of the metrics to measure, each with its limit or None: an upper one for
            what is minimised, a lower one for what is maximised.
        objectives: The names of what the objective returns, in its order. The study gets them,
            unless that is left out (`study.set_metric_names` does the same).
        metrics: As in `measure`.
        device: As in `measure`.
        prune: Whether a broken limit ends the trial before the training. TPE learns from such
            trials; give False for Optuna's NSGA-II and GP, which learn from complete ones alone.

    Returns:
        The values by name, in the order of the limits.

    Raises:
        optuna.TrialPruned: A limit is broken.
        ValueError: A name is unknown, a limit isn't finite, or is below all values of its
            metric, or the objectives don't fit the study.
        TypeError: An argument is of another type.
        InputError: As in `measure`.
        CandidateError: As in `measure`.
    """
    if not isinstance(limits, Mapping):
        raise TypeError(
            f"limits must be a dictionary of names and limits (or None), got {limits!r}"
        )
    chosen = cheapest_first(_chosen(tuple(limits), metrics, device))
    directions = {metric.name: metric.direction for metric in chosen}
    bounds = Bounds({n: v for n, v in limits.items() if v is not None}, directions)
    check_bounds(bounds.limits, by_metric_name(chosen))
    check_names(limits)
    if isinstance(trial, Trial):  # the others have no study
        if objectives:
            _name_objectives(trial.study, tuple(objectives), directions)
        _note(trial, chosen, bounds, [n for n in objectives if n not in directions])
    found = {}
    with _measuring(model, inputs) as candidate, _ending_noted(trial, candidate):
        for metric in chosen:
            found[metric.name] = finite(metric.name, metric.measure(candidate))
            trial.set_user_attr(metric.name, found[metric.name])
            if bounds.store(trial, metric.name, found[metric.name]) > 0 and prune:
                raise TrialPruned(bounds.broken(metric.name, found[metric.name]))
        for metric in chosen:
            metric.check(candidate)
    return {name: found[name] for name in limits}


def _chosen(names: Sequence[str], metrics: Iterable[Metric], device: str) -> list[Metric]:
    if not isinstance(names, (list, tuple)) or not names:
        raise TypeError(f"names must be a tuple of names of metrics, got {names!r}")
    available = by_metric_name(standard_metrics()) | by_metric_name(metrics)
    for name in names:
        if isinstance(name, Metric):
            raise TypeError(f"names must be names: give {name.name!r}, and metrics=[{name!r}]")
        if name not in available:
            raise ValueError(f"unknown metric {name!r}; {there_are(name, sorted(available))}")
    return [available[name].on(device) for name in dict.fromkeys(names)]


@contextmanager
def _measuring(model: nn.Module, inputs: Inputs) -> Iterator[Candidate]:
    """A candidate of a copy of the model, in a block that leaves no trace in the process."""
    with preserved(), torch.inference_mode(False), torch.enable_grad():
        copied = copy_of(model).cpu()
        example = map_inputs(lambda t: t.detach().to("cpu", copy=True), checked_inputs(inputs))
        yield Candidate(type(model).__name__, example, lambda: copied)


@contextmanager
def _ending_noted(trial: Trial | FixedTrial, candidate: Candidate) -> Iterator[None]:
    """Stores on the trial how the values were measured, and why the block ended it."""
    try:
        yield
    except TrialPruned as pruned:
        trial.set_user_attr(attr.PRUNED, str(pruned))
        raise
    except CandidateError as error:
        trial.set_user_attr(attr.FAILURE, str(error))
        raise
    finally:
        for name, detail in candidate.details.items():
            trial.set_user_attr(f"{attr.DETAIL}{name}", detail)


def _name_objectives(
    study: Study, names: Sequence[str], directions: Mapping[str, Direction]
) -> None:
    there = ["maximize" if more else "minimize" for more in maximized(study)]
    if len(names) != len(there):
        raise InputError(
            f"objectives= names {len(names)} ({', '.join(map(str, names))}), and the study has "
            f"{len(there)} ({', '.join(there)}): name each value that the objective returns, in "
            "its order"
        )
    for name, direction in zip(names, there, strict=True):
        if directions.get(name, direction) != direction:
            raise InputError(
                f"the study is to {direction} {name}, of which {directions[name]} is better: put "
                f"{directions[name]!r} at its place in create_study(directions=…)"
            )
    name_objectives(study, names)


def _note(trial: Trial, chosen: Sequence[Metric], bounds: Bounds, scores: Sequence[str]) -> None:
    """Keeps the settings in the study, and says if they aren't the first ones."""
    known = {metric.name for metric in standard_metrics()}
    own = [metric.name for metric in chosen if metric.name not in known]
    settings = dict(settings_of(chosen, bounds.limits))
    kept = record_of(trial.study).fingerprint
    newer = [name for name in bounds.limits if f"bound on {name}" not in kept]
    changes = note_settings(trial.study, trial.number, settings, [*scores, *own])
    if changes:
        log.warning(
            "numbers of study %r can't be compared without care (%s): start another study, or go "
            "back to its settings",
            trial.study.study_name,
            changes,
        )
    if newer and RECORD not in trial.study.user_attrs:
        earlier = trial.study.get_trials(deepcopy=False)
        for text in newer_bounds(earlier, bounds.among(newer).limits, bounds.directions):
            log.warning("%s", text)
