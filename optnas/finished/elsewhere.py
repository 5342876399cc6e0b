"""Networks of a study are measured again, on another device."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from optuna.study import Study

from optnas.devices.device import cpu_threads, release_memory
from optnas.errors import InputError, NetworkError, fault_of_candidate
from optnas.evaluators.evaluation import finite
from optnas.finished.decode import decode
from optnas.finished.device_model import predicted
from optnas.metrics import Metric
from optnas.objective.objective import Objective
from optnas.pareto.architectures import ArchitectureRecord
from optnas.pareto.elsewhere import DeviceComparison, compare_device
from optnas.pareto.front import why_no_front
from optnas.pareto.snapshot import Snapshot
from optnas.search.search import Search
from optnas.study.elsewhere import (
    OtherDevice,
    There,
    device_file,
    keep_measurement,
    read_device,
    write_device,
)
from optnas.utils.progress_bar import Steps
from optnas.utils.terminal import Terminal
from optnas.utils.text import named_numbers, plural, there_are


def measure_elsewhere(
    study: Study,
    search: Search,
    metric: Metric,
    *,
    replaces: str | None = None,
    networks: int | None = None,
    label: str = "",
    predict: bool = False,
    progress: bool = True,
) -> DeviceComparison:
    """Measures a study's front again on another device, and compares both.

    The study stays as it is. Each measurement is kept at once, in a file of the folder
    `NAME_elsewhere` next to the study, and isn't repeated; one that failed is tried again at the
    next call.

    Args:
        study: The study. It may have been run on another machine.
        search: The search that it was run with.
        metric: How to measure there: `optnas.Latency(device="cuda")`, one with
            `runtime="onnxruntime"`, `optnas.Latency.command("./on_board {onnx}")`, an
            `optnas.Energy`, or a metric of your own.
        replaces: The objective whose place it takes on the other device; by default the one of the
            same name, labels aside.
        networks: Number of networks to measure, if that is more than the front: others are added
            that are spread over the values of the replaced objective.
        label: What people call the device; by default its model, or the command. A command says
            nothing of the device behind it, so each label stands for another one there.
        predict: Whether to predict the values of the study's other networks from those that were
            measured, of which there must be 20 at least (`optnas.finished.device_model` explains
            how). The error is stated wherever they stand.
        progress: Whether to show progress.

    Returns:
        The networks here and there, with their ranks and both fronts.

    Raises:
        InputError: There is no front, no such objective or device, the metric can't take the
            objective's place, the code makes other networks by now, the first network can't be
            measured for a reason that is none of its own (a program that isn't there), nothing
            could be measured, too little for a prediction, or the command has measured several
            devices and there is no label.

    Example:
        ```python
        import optnas

        search = optnas.load_search("study.py")
        on_board = optnas.Latency.command("./on_board {onnx}")
        found = optnas.measure_elsewhere(search.run(), search, on_board, label="board")
        print(found.text())
        ```
    """
    objective, seen = search.objective(), Snapshot.of(study)
    if networks is not None and networks < 1:
        raise InputError(f"networks must be at least 1, got {networks}")
    if not seen.front:
        raise InputError(why_no_front(study))
    at = seen.names.index(_replaced(objective, seen, metric, replaces))
    how = {name: str(value) for name, value in metric.fingerprint.items()}
    device = OtherDevice(label or _label(how, metric), metric.name, seen.names[at], how)
    path = device_file(study, search.location, device, label)
    known = read_device(path)
    if known is not None:
        same = known.replaces == device.replaces  # a prediction rests on that objective
        device = replace(
            device,
            label=label or known.label,
            measured=known.measured,
            predicted=known.predicted if same else None,
        )
    done = {one.architecture for one in device.measured if not one.failure}
    chosen = _chosen(seen, at, networks)
    missing = [record for record in chosen if record.architecture not in done]
    console = Terminal(stderr=True, quiet=not progress)
    with cpu_threads(search.threads), Steps(len(missing), "networks", console) as display:
        if there := len(chosen) - len(missing):
            where = search.location.shown(path)
            display.say(f"{there} of {plural(len(chosen), 'network')} measured before, in {where}")
        works = False
        for record in missing:
            display.running(f"trial {record.number}")
            network = _measured(objective, record, metric, works=works)
            device = keep_measurement(path, device, network)
            if not network.failure:
                works, done = True, done | {record.architecture}
            value = {} if network.value is None else {metric.name: network.value}
            outcome = named_numbers(value) or f"failed: {network.failure}"
            display.done(f"trial {record.number}  {outcome}")
    if not done:
        raise InputError(f"none of the networks could be measured: {device.measured[-1].failure}")
    if predict:
        device = predicted(objective, seen, device)
    if device != read_device(path):
        write_device(path, device)
    found = compare_device(seen, device)
    assert found is not None
    return found


def _replaced(objective: Objective, study: Snapshot, metric: Metric, replaces: str | None) -> str:
    """The objective whose place the metric takes.

    Raises:
        InputError: There is no such objective, or several, or less is better in one of the two.
    """
    names = study.names
    if replaces is None:
        same = [name for name in names if _kind(name) == _kind(metric.name)]
        if len(same) != 1:
            what = f"no objective is called {_kind(metric.name)}"
            several = f"{', '.join(same)} could each be meant"
            raise InputError(
                f"{several if same else what}: name the objective whose place {metric.name} takes "
                f"with `replaces=` (of {', '.join(names)})"
            )
        replaces = same[0]
    if replaces not in names:
        raise InputError(f"unknown objective {replaces!r}; {there_are(replaces, names)}")
    if objective.known.get(replaces, metric.direction) != metric.direction:
        raise InputError(
            f"{metric.name} can't take the place of {replaces}: less is better in only one of them"
        )
    return replaces


def _kind(name: str) -> str:
    return name.partition(".")[0]


def _label(how: dict[str, str], metric: Metric) -> str:
    """What a device is called if nobody gives it a name."""
    _, _, label = metric.name.partition(".")
    if label or "command" in how:
        return label or how["command"]
    device = how.get("device_name") or how.get("device") or type(metric).__name__
    runtime = how.get("runtime", "torch")
    return device if runtime == "torch" else f"{device}, {runtime}"


def _chosen(study: Snapshot, at: int, networks: int | None) -> list[ArchitectureRecord]:
    """The front, and further feasible networks up to a number.

    Each further one is that whose value lies farthest from those of the chosen ones, on a log scale
    where all are above 0.
    """
    feasible = [record for record in study.architectures if record.feasible]
    chosen = [record for record in feasible if record.on_front]
    rest = [record for record in feasible if not record.on_front]
    values = np.array([record.values[at] for record in (*chosen, *rest)])
    if (values > 0).all():
        values = np.log(values)
    of_rest = values[len(chosen) :]
    distance = np.abs(of_rest[:, None] - values[None, : len(chosen)]).min(axis=1)
    while rest and len(chosen) < (networks or 0):
        i = int(distance.argmax())
        if distance[i] < 0:
            break
        chosen.append(rest[i])
        distance = np.minimum(distance, np.abs(of_rest - of_rest[i]))
        distance[i] = -1.0
    return chosen


def _measured(
    objective: Objective, record: ArchitectureRecord, metric: Metric, *, works: bool
) -> There:
    """Measures a network; an error of the input is its own only if the metric is known to work."""
    candidate = decode(objective, record.trial)
    value, failure = None, ""
    try:
        value = finite(metric.name, metric.measure(candidate))
    except InputError as error:
        if not works and not isinstance(error, NetworkError):
            raise
        failure = str(error)
    except Exception as error:
        reason = fault_of_candidate(error)
        failure = reason or f"{type(error).__name__}: {error}"
        if reason is not None:  # it may be out of memory
            release_memory(error)
    ends = candidate.details.get(metric.name, {}).get("interval")
    return There(
        record.architecture,
        record.number,
        value,
        (float(ends[0]), float(ends[1])) if ends and value is not None else None,
        " ".join(failure.split())[:500],
        datetime.now(UTC).isoformat(timespec="seconds"),
    )
