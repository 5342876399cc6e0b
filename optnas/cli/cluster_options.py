"""The cluster that the options of `optnas run` describe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from optnas.errors import InputError

if TYPE_CHECKING:
    from optnas.clusters import Cluster


def chosen_cluster(
    on: str | None,
    workers: int,
    *,
    ray_address: str | None,
    ray_working_dir: Path | None,
    gpus_per_worker: float | None,
    slurm: list[str] | None,
    detach: bool,
) -> Cluster | None:
    """The cluster that the workers are started on; None for this machine.

    Args:
        on: The option --on.
        workers: The option --workers.
        ray_address: The option --ray-address.
        ray_working_dir: The option --ray-working-dir.
        gpus_per_worker: The option --gpus-per-worker.
        slurm: The options --slurm.
        detach: The option --detach.

    Raises:
        InputError: There is no such cluster, an option is for another one, or its value is wrong.
    """
    given: dict[str, dict[str, object]] = {
        "ray": {
            "--ray-address": ray_address,
            "--ray-working-dir": ray_working_dir,
            "--gpus-per-worker": gpus_per_worker,
        },
        "slurm": {"--slurm": slurm or None, "--detach": detach or None},
    }
    for cluster, options in given.items():
        used = next((option for option, value in options.items() if value is not None), None)
        if used and on != cluster:
            raise InputError(f"{used} is for {cluster}: give --on {cluster} too")
    if on is None:
        return None
    if workers < 2:
        raise InputError(f"--on {on} starts workers on a cluster: give --workers, 2 at least")
    from optnas.clusters import RayCluster, SlurmCluster
    from optnas.clusters.named import named_cluster

    if on == "ray":
        return RayCluster(ray_address or "", gpus_per_worker, ray_working_dir or "")
    if on == "slurm":
        return SlurmCluster.of_text(",".join(slurm or ()), detach=detach)
    return named_cluster(on)
