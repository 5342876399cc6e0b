"""An error is told with the line of the user's code that led to it."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import optnas
from optnas.errors import with_place
from optnas.metrics import Macs


def told(call, *args):
    with pytest.raises(ValueError, match=r".") as error:
        call(*args)
    return with_place(error.value)


class Mine(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        return self.layer(x)  # here


def measured(model):
    return Macs().measure(optnas.candidate.Candidate("", torch.zeros(1, 4), lambda: model))


def measured_elsewhere(model):
    """As if optnas's own code had called the network: no line of this file is in the way."""
    with pytest.raises(RuntimeError) as error:
        measured(model)
    inside = error.value.__traceback__
    while not inside.tb_frame.f_code.co_filename.endswith("macs.py"):
        inside = inside.tb_next
    return with_place(error.value.with_traceback(inside))


def test_the_place_is_the_last_line_of_the_users_code():
    lines = Path(__file__).read_text().splitlines()
    here = next(i for i, line in enumerate(lines, 1) if line.endswith("# here"))
    assert measured_elsewhere(Mine()).endswith(f"(test_errors.py, line {here})")
    assert "Expecting value: line 1 column 1 (char 0) (test_errors.py, line" in told(json.loads, "")
    assert "(test_errors.py, line " in told(optnas.digits().prepare, {})


def test_there_is_no_place_where_only_libraries_ran():
    text = measured_elsewhere(nn.Linear(3, 2))
    assert text == "RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x4 and 3x2)"
    assert with_place(ValueError("never raised")) == "ValueError: never raised"
