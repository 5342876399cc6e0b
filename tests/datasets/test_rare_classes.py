"""A part that lacks a class says so: no score there is of that class."""

import logging

import numpy as np

import optnas

X = np.arange(200.0).reshape(50, 4)


def test_a_class_that_the_validation_part_lacks_is_named(caplog):
    optnas.arrays(X, [0] * 48 + [1] * 2, name="rare")
    assert [r.message for r in caplog.records if r.levelno == logging.WARNING] == [
        "rare: the part test has no example of class 1, so no score there is of it: give more "
        "examples of it, or a larger test=",
        "rare: the part val has no example of class 1, so no score there is of it: give more "
        "examples of it, or a larger val=",
    ]


def test_names_of_classes_are_told(caplog):
    columns = {"x": X[:, 0], "y": ["much"] * 46 + ["few"] * 2 + ["less"] * 2}
    optnas.frame(columns, "y", test=3, val=20)
    assert "the part test has no example of the classes few, less, so no score" in caplog.text


def test_parts_with_all_classes_say_nothing(caplog):
    optnas.arrays(X, [0] * 30 + [1] * 20)
    optnas.arrays(X, X[:, 0] / 7)
    assert not caplog.records
