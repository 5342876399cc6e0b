"""Running trials: the loop, its tally, recovery of lost trials, worker processes."""
