"""What another process does to a study, done in this one."""

from optnas.runs.take import take_trial
from optnas.study.leases import lease


def running(study, **lease_changes):
    """A trial that another living worker runs."""
    return take_trial(study, lease() | {"worker": "another"} | lease_changes, [])
