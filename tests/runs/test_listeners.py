"""Who is told that a run begins and ends."""

import pytest

from optnas.runs.listeners import listening


class Told:
    def __init__(self, log, *, fails=False):
        self.log, self.fails = log, fails

    def opened(self, study, objective, *, joined):
        self.log.append("opened")

    def epoch(self, trial, step, scores):
        pass

    def __call__(self, study, trial):
        pass

    def closed(self, study, error):
        self.log.append(error)
        if self.fails:
            raise OSError("no room")


def test_all_are_told_of_the_end_although_one_of_them_fails_then():
    log = []
    end = ValueError("the run's")
    with (
        pytest.raises(OSError, match="no room") as raised,
        listening([Told(log, fails=True), Told(log)], None, None),
    ):
        raise end
    assert log == ["opened", "opened", end, end]
    assert raised.value.__context__ is end
