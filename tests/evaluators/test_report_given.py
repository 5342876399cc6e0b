"""What a training function reports after an epoch: taken as numbers, or refused with what to do."""

import json
import math

import numpy as np
import pytest
import torch

from optnas.errors import InputError
from optnas.evaluators.epoch_report import Report


@pytest.mark.parametrize(
    ("step", "stored"),
    [(2, 2), (np.int64(2), 2), (torch.tensor(2), 2), (0.5, 0.5), (np.float32(0.5), 0.5)],
)
def test_a_step_of_any_kind_of_number_can_be_stored(step, stored):
    report, heard = Report(listeners=[lambda *given: heard.append(given)]), []
    report(step, {"val_loss": np.float32(0.25), "val_accuracy": torch.tensor([0.5])})
    row = {"step": stored, "val_loss": 0.25, "val_accuracy": 0.5}
    assert json.loads(json.dumps(report.curve)) == [row]
    assert heard == [(stored, {"val_loss": 0.25, "val_accuracy": 0.5})]
    assert type(report.curve[0]["step"]) is type(stored)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((0, 0.3), r"report\(step, scores\) takes scores by name, .*\{'val_loss': 0.3\}.*got 0.3"),
        (({"val_loss": 0.3}, 0), r"report\(step, scores\) takes .* got 0"),
        (("first", {"val_loss": 0.3}), r"the step of report\(.* a number, got 'first'"),
        ((0, {"val_loss": None}), r"the reported val_loss must be a number, got None"),
        ((0, {"val_loss": torch.ones(2)}), r"the reported val_loss must be a number, got tensor"),
    ],
)
def test_anything_else_is_refused_with_what_to_give(given, message):
    report = Report()
    with pytest.raises(InputError, match=message):
        report(*given)
    assert not report.curve


def test_a_whole_number_beyond_the_largest_float_is_infinite():
    report = Report()
    report(0, {"loss": 10**400, "gain": -(10**400)})
    assert report.curve == [{"step": 0, "loss": math.inf, "gain": -math.inf}]
