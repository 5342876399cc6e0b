"""Targets that are no masks of their images are refused with the line that makes them so."""

import re

import numpy as np
import pytest

import optnas
from optnas.errors import InputError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3, 12, 16))
Y = RNG.integers(0, 2, (20, 12, 16))
HOT = np.eye(2, dtype=int)[Y]


@pytest.mark.parametrize("task", [None, "segmentation"])
@pytest.mark.parametrize(
    ("x", "y"),
    [
        (X, Y[:, None]),
        (X, Y[..., None]),
        (X, HOT.transpose(0, 3, 1, 2)),
        (X, HOT),
        (X, HOT.astype(float)),
        (X, Y.transpose(0, 2, 1)),
        (X, Y.astype(float)),
        (X, Y[:, None].astype(float)),
        (X[:, 0], Y),
        (X.transpose(0, 2, 3, 1), Y),
        (X.transpose(0, 2, 3, 1), Y.astype(float)),
    ],
)
def test_the_line_of_the_message_makes_masks_of_the_images(x, y, task):
    with pytest.raises(InputError) as caught:
        optnas.arrays(x, y, task=task)
    # "(n, height, width)": the line follows the last "give" of what was given
    line = re.search(
        r"(?:: |classes )give ((?:[xy](?:[.\[]\S.*?[)\]])+(?: and )?|y and )+)", str(caught.value)
    )
    assert line, str(caught.value)
    for part in line[1].split(" and "):
        if part.startswith("x"):
            x = eval(part, {"x": x})
        else:
            y = eval(part, {"y": y})
    data = optnas.arrays(x, y, task=task)
    assert (data.task, data.outputs, data.train[1].shape[1:]) == ("segmentation", 2, (12, 16))
    if x.shape[1] == 3 and x is not X:
        assert (data.train[0] == optnas.arrays(X, Y).train[0]).all()


@pytest.mark.parametrize(
    ("x", "y", "settings", "message"),
    [
        (X, Y[:, :10], {}, "images have 12 × 16 pixels, and their targets 10 × 16: give both one"),
        (X, np.stack([Y * 255] * 3, -1), {}, "give one class a pixel, no colours"),
        (X, Y, {"task": "classification"}, "class for each pixel: give task='segmentation'"),
        (X, np.zeros_like(Y), {}, "all pixels that are counted have class 0: two classes"),
        (X, np.where(Y == 1, -1, 0), {}, "all pixels that are counted have class 0: two classes"),
        (X, np.zeros_like(Y), {"classes": 1}, "two classes are needed"),
        (X, np.zeros(20, int), {}, "all examples have class 0: two classes are needed"),
    ],
)
def test_what_makes_no_masks_is_told(x, y, settings, message):
    with pytest.raises(InputError, match=message):
        optnas.arrays(x, y, **settings)


def test_a_second_class_may_be_declared():
    assert optnas.arrays(X, np.zeros_like(Y), classes=2).outputs == 2
    assert optnas.arrays(X, np.zeros(20, int), classes=2).outputs == 2
