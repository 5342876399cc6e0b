"""Batches of example inputs."""

import pytest
import torch

from optnas.errors import InputError
from optnas.utils.inputs import batch_of


def test_examples_are_repeated_and_what_has_no_dimensions_is_shared():
    x, step = torch.arange(3.0)[None], torch.tensor(5)
    images, steps = batch_of((x, step), 4)
    assert torch.equal(images, x.repeat(4, 1))
    assert torch.equal(steps, step)
    named = batch_of({"x": x, "step": step}, 2)
    assert (named["x"].shape, named["step"].shape) == ((2, 3), ())
    images[0] = 7  # each example has memory of its own
    assert torch.equal(images[1], x[0])


def test_a_graph_is_one_batch_and_never_another_graph():
    nodes, edges = torch.zeros(10, 16), torch.zeros(2, 30, dtype=torch.long)
    alone = batch_of((nodes, edges), 1)
    assert [tuple(t.shape) for t in alone] == [(10, 16), (2, 30)]
    with pytest.raises(InputError, match=r"a batch of 8 .* shape \(10, 16\).*take batch size 1"):
        batch_of((nodes, edges), 8)
