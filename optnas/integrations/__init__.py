"""Callbacks that report to a trial from the loops of other packages; each needs its package."""
