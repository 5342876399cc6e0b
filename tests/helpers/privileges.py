"""Processes that may only do what the permissions of files allow."""

import ctypes
import os


def lose_privileges():
    """This process may from now on what its files allow, even if it is root's."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this thread
    if os.geteuid() == 0 and ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)()):
        raise OSError


def without_privileges():
    """Root may write everywhere; without CAP_DAC_OVERRIDE it may what its files allow.

    To call before a program is executed, whose process then lacks it.
    """
    if os.geteuid() == 0 and ctypes.CDLL(None).prctl(24, 1, 0, 0, 0):  # PR_CAPBSET_DROP
        raise OSError
