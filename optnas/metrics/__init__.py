"""Metrics: properties of a network that are measured without training it."""

from optnas.metrics.base import Metric
from optnas.metrics.command import CommandLatency
from optnas.metrics.energy import Energy
from optnas.metrics.function import FunctionMetric
from optnas.metrics.int8 import Int8Flash, Int8PeakActivation
from optnas.metrics.int8_size import Int8Size
from optnas.metrics.latency import Latency, Throughput
from optnas.metrics.layers import Profile, profile
from optnas.metrics.macs import Flops, Macs
from optnas.metrics.memory import CudaPeakMemory, PeakActivation, PeakMemory
from optnas.metrics.params import ModelSize, Params, TrainableParams
from optnas.metrics.zero_cost import PROXIES, ZeroCost
from optnas.study.objectives import Direction

__all__ = [
    "CommandLatency",
    "CudaPeakMemory",
    "Direction",
    "Energy",
    "Flops",
    "FunctionMetric",
    "Int8Flash",
    "Int8PeakActivation",
    "Int8Size",
    "Latency",
    "Macs",
    "Metric",
    "ModelSize",
    "Params",
    "PeakActivation",
    "PeakMemory",
    "Profile",
    "Throughput",
    "TrainableParams",
    "ZeroCost",
    "profile",
    "standard_metrics",
]


def standard_metrics() -> tuple[Metric, ...]:
    """The metrics that an objective can use by name, with their default settings."""
    return (
        Params(),
        TrainableParams(),
        ModelSize(),
        Macs(),
        Flops(),
        PeakMemory(),
        PeakActivation(),
        Int8PeakActivation(),
        Int8Flash(),
        Latency(),
        Throughput(),
        Energy(),
        Latency("cpu", dtype="int8", runtime="onnxruntime", label="int8"),
        Int8Size(),
        *map(ZeroCost, PROXIES),
    )


def __dir__() -> list[str]:
    return __all__
