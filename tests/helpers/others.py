"""What another process does to a study, done in this one."""

import subprocess
import sys

from optnas.runs.take import take_trial
from optnas.study.leases import lease


def running(study, **lease_changes):
    """A trial that another living worker runs."""
    return take_trial(study, lease() | {"worker": "another"} | lease_changes, [])


def dead_lease():
    """Of a process that has just ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return lease() | {"pid": process.pid}
