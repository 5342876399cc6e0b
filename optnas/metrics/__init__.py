"""Metrics: what can be measured of a network without training it."""

from optnas.metrics.base import Direction, Metric
from optnas.metrics.latency import Latency
from optnas.metrics.macs import Flops, Macs
from optnas.metrics.params import Params

__all__ = ["Direction", "Flops", "Latency", "Macs", "Metric", "Params", "standard_metrics"]


def standard_metrics() -> tuple[Metric, ...]:
    """The metrics that an objective can name without more ado, at their default settings."""
    return (Params(), Macs(), Flops(), Latency())
