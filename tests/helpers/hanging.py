"""A worker that hangs looks late, and no other one does, however slow the machine is."""

from pathlib import Path

from optnas.runs.worker import Worker

SAYS_SO = """
    Path("hangs.part").write_text(str(os.getpid()))
    os.replace("hangs.part", "hangs")
"""
"""What the process that is about to hang does first, within a block of its code."""


def is_late(worker, trial_timeout):
    """In place of `Worker.hanging`: the trial of the process that has said that it hangs."""
    if not Path("hangs").exists():
        return None
    process = getattr(worker.process, "_process", worker.process)  # a forked one, or a Popen
    return worker.running if process.pid == int(Path("hangs").read_text()) else None


def patch(monkeypatch):
    """From now on, no clock decides which worker hangs."""
    monkeypatch.setattr(Worker, "hanging", is_late)
