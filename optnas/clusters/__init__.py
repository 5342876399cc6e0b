"""Clusters: workers that Ray or SLURM starts on other machines."""

from optnas.clusters.base import Cluster
from optnas.clusters.ray import RayCluster
from optnas.clusters.slurm import SlurmCluster

__all__ = ["Cluster", "RayCluster", "SlurmCluster"]
