"""The options of `optnas run` for clusters, and the same in Python."""

import pytest
from nodes import Nodes

from optnas.errors import InputError


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--on kubernetes --workers 2", "--on kubernetes is no cluster; there are: ray, slurm"),
        ("--on ray", "--on ray starts workers on a cluster: give --workers, 2 at least"),
        ("--on slurm --workers 1", "--on slurm starts workers on a cluster: give --workers"),
        ("--slurm time=4h --workers 2", "--slurm is for slurm: give --on slurm too"),
        ("--on ray --slurm time=4h --workers 2", "--slurm is for slurm: give --on slurm too"),
        ("--on ray --detach --workers 2", "--detach is for slurm: give --on slurm too"),
        ("--on slurm --ray-address a:1 --workers 2", "--ray-address is for ray: give --on ray too"),
        ("--gpus-per-worker 0.5 --workers 2", "--gpus-per-worker is for ray: give --on ray too"),
        ("--on ray --gpus-per-worker 1.5 --workers 2", "must be a share of one GPU (0.5) or a wh"),
        ("--on ray --ray-working-dir no --workers 2", "there is no folder no: give another"),
        ("--on slurm --slurm tiem=4h --workers 2", "has no key 'tiem'; there are: partition"),
        ("--on slurm --workers 2 --slurm gpus=1 --slurm gpus=2", "gives gpus twice"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_loaded(optnas, options, said):
    code, _, err = optnas("run", "nowhere.py", *options.split())
    assert code == 2
    assert said in err
    assert "loading" not in err


def test_settings_of_slurm_may_be_given_several_times():
    from optnas.cli.cluster_options import chosen_cluster

    none = {"ray_address": None, "ray_working_dir": None, "gpus_per_worker": None, "detach": False}
    found = chosen_cluster("slurm", 2, slurm=["partition=gpu,gpus=1", "time=4h"], **none)
    assert (found.partition, found.gpus, found.time) == ("gpu", 1, "4h")


def test_a_cluster_needs_several_workers_and_a_file(search):
    with pytest.raises(InputError, match="this search has none: put it into a file"):
        search.run(workers=2, on=Nodes())
    with pytest.raises(InputError, match="a run on a cluster needs workers=1 to be at least 2"):
        search.run(on=Nodes())
    with pytest.raises(InputError, match=r"on='rya'` is no cluster.*did you mean ray"):
        search.run(workers=2, on="rya")
