"""A model of another device's latency, learned from the networks that were measured there.

It is a ridge regression of the logarithm of the value there on the logarithms of what is known of a
network without the other device: its value here, MACs, parameters, peak activation memory, and the
number of its layers. The strength of the ridge is chosen by leave-one-out errors (scikit-learn's
`RidgeCV`). About 20 networks carry so few coefficients, and no model with more.

The stated error is that of leave-one-out, in which the choice of the strength is made again without
the network that is left out: the median of the relative errors, and Kendall's τ of the predictions
with what was measured. Both are those of networks like the measured ones. Predictions for networks
beyond their range are worse, so measured networks should be spread over all values
(`measure_elsewhere` sees to that with `networks`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from optnas.candidate import Candidate
from optnas.errors import InputError
from optnas.finished.decode import decode
from optnas.metrics import Macs, Params, PeakActivation
from optnas.objective.objective import Objective
from optnas.pareto.architectures import ArchitectureRecord, by_architecture
from optnas.pareto.dominance import Array
from optnas.pareto.snapshot import Snapshot
from optnas.study.describe import number_of
from optnas.study.elsewhere import OtherDevice, Predicted, There
from optnas.utils.text import plural

LEAST = 20
"""Fewer networks tell too little of a device, and of the error."""
_COSTS = (Macs(), Params(), PeakActivation())


def predicted(objective: Objective, study: Snapshot, device: OtherDevice) -> OtherDevice:
    """The same device with predictions for all feasible networks that weren't measured there.

    Args:
        objective: The objective, made as when the trials ran.
        study: The study.
        device: The device, with at least 20 measured networks of the study.

    Raises:
        InputError: There are fewer, a value isn't above 0, or today's code makes other networks.
    """
    at = study.names.index(device.replaces)
    records = by_architecture([r for r in study.architectures if r.feasible])
    known = {
        one.architecture: one.value
        for one in device.measured
        if one.architecture in records and one.value is not None
    }
    if len(known) < LEAST:
        raise InputError(
            f"a prediction learns from at least {LEAST} measured networks, and "
            f"{plural(len(known), 'network')} of this study {'is' if len(known) == 1 else 'are'} "
            f"measured on {device.label}: measure more (`networks={LEAST}`)"
        )
    learned = [records[name] for name in known]
    others = [record for name, record in records.items() if name not in known]
    if any(value <= 0 for value in (*known.values(), *(r.values[at] for r in records.values()))):
        raise InputError(
            f"a prediction takes logarithms of {device.replaces} and {device.metric}, of which "
            "some values aren't above 0"
        )
    features = np.array([_features(objective, record, at) for record in (*learned, *others)])
    own, values = features[: len(learned)], np.array(list(known.values()))
    left_out = _left_out(own, np.log(values))
    from scipy.stats import kendalltau  # not above: it takes a second

    tau = float(kendalltau(left_out, values).statistic)
    told = np.exp(_model(own, np.log(values)).predict(features[len(learned) :])) if others else []
    networks = tuple(
        There(record.architecture, record.number, float(value))
        for record, value in zip(others, told, strict=True)
    )
    return replace(
        device,
        predicted=Predicted(
            model=f"ridge regression of logarithms on {device.replaces} here, macs, params, peak "
            "activation memory and layers",
            learned=len(learned),
            error=float(np.median(np.abs(np.exp(left_out) / values - 1))),
            tau=0.0 if math.isnan(tau) else tau,
            networks=networks,
        ),
    )


def _features(objective: Objective, record: ArchitectureRecord, at: int) -> list[float]:
    """The logarithms of what is known of a network."""
    candidate = decode(objective, record.trial)
    macs, params, megabytes = (_cost(candidate, record, metric) for metric in _COSTS)
    layers = sum(
        any(True for _ in module.parameters(recurse=False)) for module in candidate.model.modules()
    )
    counts = (macs, params, 1e6 * megabytes, layers)
    return [math.log(record.values[at]), *map(math.log1p, counts)]


def _cost(candidate: Candidate, record: ArchitectureRecord, metric: Any) -> float:
    """What the trial has stored, else what is counted now."""
    stored = number_of(record.trial, metric.name)
    return float(metric.measure(candidate) if stored is None else stored)


def _model(features: Array, values: Array) -> Any:
    from sklearn.linear_model import RidgeCV  # not above: it takes a second
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-3, 3, 13)))
    return model.fit(features, values)


def _left_out(features: Array, values: Array) -> Array:
    """For each network the prediction of a model that hasn't learned from it."""
    rows: Sequence[int] = range(len(values))
    found = []
    for i in rows:
        others = [j for j in rows if j != i]
        found.append(float(_model(features[others], values[others]).predict(features[[i]])[0]))
    return np.array(found)
