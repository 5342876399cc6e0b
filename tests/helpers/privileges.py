"""Processes that may only do what the permissions of files allow."""

import ctypes
import os


def without_privileges():
    """Root may write everywhere; without CAP_DAC_OVERRIDE it may what its files allow."""
    if os.geteuid() == 0 and ctypes.CDLL(None).prctl(24, 1, 0, 0, 0):  # PR_CAPBSET_DROP
        raise OSError
