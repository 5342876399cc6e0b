"""What a training may report, and what is refused at once."""

import json
import math

import numpy as np
import pytest
import torch

from optnas.errors import InputError
from optnas.evaluators import Report


@pytest.mark.parametrize("step", [np.int64(3), torch.tensor(3), np.float32(3), 3.0])
def test_steps_of_other_libraries_are_stored_as_pythons(step):
    told = []
    report = Report(listeners=[lambda step, _: told.append(step)])
    report(step, {"loss": np.float32(0.5)})
    assert json.loads(json.dumps(report.curve)) == [{"step": 3, "loss": 0.5}]
    assert json.dumps(told) in ("[3]", "[3.0]")


def test_a_score_beyond_the_largest_float_is_infinite():
    report = Report()
    report(0, {"loss": 10**400, "gain": -(10**400)})
    assert report.curve == [{"step": 0, "loss": math.inf, "gain": -math.inf}]


@pytest.mark.parametrize(
    ("step", "scores", "message"),
    [
        (0, None, "takes a dictionary of scores"),
        (0, 0.5, "takes a dictionary of scores"),
        (0, {"loss": "low"}, "loss must be a number, got 'low'"),
        (0, {"loss": torch.ones(2)}, "loss must be a number"),
        ("last", {"loss": 0.5}, "the step of a report must be a number, got 'last'"),
    ],
)
def test_what_is_no_number_is_named(step, scores, message):
    with pytest.raises(InputError, match=message):
        Report()(step, scores)
