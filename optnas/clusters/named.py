"""The cluster that a name stands for."""

from __future__ import annotations

from optnas.clusters.base import Cluster
from optnas.clusters.ray import RayCluster
from optnas.clusters.slurm import SlurmCluster
from optnas.errors import InputError
from optnas.utils.text import there_are

CLUSTERS: dict[str, type[RayCluster] | type[SlurmCluster]] = {
    "ray": RayCluster,
    "slurm": SlurmCluster,
}


def named_cluster(on: str | Cluster | None) -> Cluster | None:
    """The cluster with default settings that a name stands for; a cluster stays as it is.

    Raises:
        InputError: There is none of this name.
    """
    if on is None or isinstance(on, Cluster):
        return on
    if on not in CLUSTERS:
        raise InputError(f"`on={on!r}` is no cluster; {there_are(on, CLUSTERS)}")
    return CLUSTERS[on]()
