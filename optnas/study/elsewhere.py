"""What networks of a study were measured at on other devices, in a folder next to its database.

The folder `NAME_elsewhere` has a file for each device and its settings. Nothing of the study itself
changes. A measurement belongs to an architecture, so it is of use whichever trial has that one, and
is ignored once no trial has it any more.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from optuna.study import Study

from optnas.errors import InputError
from optnas.storage.urls import Location
from optnas.study.folders import ELSEWHERE, files_of
from optnas.utils.whole_file import not_written, whole_file

ABOUT = "networks of a study, measured on another device"
"""Begins each file."""


@dataclass(frozen=True)
class There:
    """A network on another device.

    Attributes:
        architecture: Its canonical string.
        trial: The number of a trial that has it.
        value: What was measured, or predicted; None where that failed.
        interval: The 95 % interval of a measured value; None where it isn't known.
        failure: Why there is no value; else empty.
        finished: When, as ISO 8601 in UTC; empty for what is predicted.
    """

    architecture: str
    trial: int
    value: float | None
    interval: tuple[float, float] | None = None
    failure: str = ""
    finished: str = ""


@dataclass(frozen=True)
class Predicted:
    """What a model says of the networks that weren't measured on the other device.

    Attributes:
        model: The model, in words.
        learned: The number of measured networks that it learned from.
        error: Median relative error on networks that it hasn't learned from (leave-one-out).
        tau: Kendall's rank correlation of those predictions with the measurements.
        networks: The predictions.
    """

    model: str
    learned: int
    error: float
    tau: float
    networks: tuple[There, ...]


@dataclass(frozen=True)
class OtherDevice:
    """A device other than the study's, and what was measured there.

    Attributes:
        label: What people call it.
        metric: The name of what is measured, with its unit.
        replaces: The objective of the study whose place it takes.
        how: Device and settings: the fingerprint of the metric.
        measured: The networks that were measured, in the order of the measurements.
        predicted: What is predicted from them; None where nothing is.
    """

    label: str
    metric: str
    replaces: str
    how: Mapping[str, str]
    measured: tuple[There, ...] = ()
    predicted: Predicted | None = None


def other_devices(study: Study, location: Location) -> list[OtherDevice]:
    """The devices on which networks of a study were measured, by label.

    Files in another form are ignored.
    """
    folder = files_of(study, location).path(ELSEWHERE)
    found = (read_device(path) for path in sorted(folder.glob("*.json")))
    return sorted((device for device in found if device), key=lambda device: device.label)


def device_file(study: Study, location: Location, device: OtherDevice, label: str = "") -> Path:
    """The file of a device: that of the same metric with the same settings.

    A command doesn't say what it measures on: its devices are told apart by their labels.

    Args:
        study: The study.
        location: Its storage.
        device: The device.
        label: What the user calls it; empty if they don't say.

    Raises:
        InputError: The command has measured several devices, and the user doesn't say which.
    """
    folder = files_of(study, location).path(ELSEWHERE)
    decides: list[Any] = [device.metric, sorted(device.how.items())]
    if "command" in device.how:
        files = ((path, read_device(path)) for path in sorted(folder.glob("*.json")))
        same = {
            one.label: path
            for path, one in files
            if one and (one.metric, one.how) == (device.metric, device.how)
        }
        if device.label in same:
            return same[device.label]
        if not label and len(same) == 1:
            return next(iter(same.values()))
        if not label and same:
            labels = ", ".join(sorted(same))
            raise InputError(f"this command has measured several devices ({labels}): give `label=`")
        decides += [label] if label else []
    digest = hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:8]
    return folder / f"{digest}.json"


def read_device(path: Path) -> OtherDevice | None:
    """What a file says; None if there is none, or it has another form."""
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return _device(json.loads(path.read_text("utf-8")))
    return None


def keep_measurement(path: Path, device: OtherDevice, network: There) -> OtherDevice:
    """Adds a measurement to what a file has of a device; returns all of it.

    It replaces an earlier one of the network. Predictions go: they were made without it.

    Raises:
        InputError: The file can't be written.
    """
    known = read_device(path) or device  # another process may measure there, too
    others = [one for one in known.measured if one.architecture != network.architecture]
    device = replace(device, measured=(*others, network), predicted=None)
    write_device(path, device)
    return device


def write_device(path: Path, device: OtherDevice) -> None:
    """Writes the file of a device.

    Raises:
        InputError: It can't be written.
    """
    try:
        path.parent.mkdir(exist_ok=True)
        with whole_file(path) as part:
            content = json.dumps({"about": ABOUT, **asdict(device)}, indent=1, allow_nan=False)
            part.write_text(content, "utf-8")
    except OSError as error:
        raise not_written(path, error) from error


def _device(found: Mapping[str, Any]) -> OtherDevice:
    """Raises what a wrong index, name or type raises where it has another form."""
    predicted = found["predicted"]
    return OtherDevice(
        **{name: _text(found[name]) for name in ("label", "metric", "replaces")},
        how={_text(key): _text(value) for key, value in found["how"].items()},
        measured=_networks(found["measured"]),
        predicted=None
        if predicted is None
        else Predicted(
            _text(predicted["model"]),
            int(predicted["learned"]),
            _finite(predicted["error"]),
            _finite(predicted["tau"]),
            _networks(predicted["networks"]),
        ),
    )


def _networks(found: Sequence[Mapping[str, Any]]) -> tuple[There, ...]:
    return tuple(
        _network({field.name: one[field.name] for field in fields(There)}) for one in found
    )


def _network(found: Mapping[str, Any]) -> There:
    value, ends = found["value"], found["interval"]
    failure = _text(found["failure"])
    if (value is None) != bool(failure):
        raise ValueError("either a value or a failure")
    return There(
        _text(found["architecture"]),
        int(found["trial"]),
        None if value is None else _finite(value),
        None if ends is None else (_finite(ends[0]), _finite(ends[1])),
        failure,
        _text(found["finished"]),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} isn't finite")
    return number
