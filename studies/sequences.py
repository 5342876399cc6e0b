"""LSTMs, GRUs and temporal convolutions for digits that are read column by column.

    optnas run studies/sequences.py

A sequence has a step for each column of the image, from the left to the last one that isn't blank,
so their lengths vary from 5 to 8 steps of 8 pixels.
"""

from dataclasses import replace

from sklearn.datasets import load_digits

import optnas


def as_sequences(part):
    images, classes = part
    columns = images[:, 0].transpose(1, 2) / 16
    inked = columns.sum(2) > 0
    lengths = 8 - inked.flip(1).int().argmax(1)
    return {"x": columns, "lengths": lengths}, classes


images, classes = load_digits(return_X_y=True)
digits = optnas.arrays(images.reshape(-1, 1, 8, 8), classes, normalize=False)
data = replace(
    digits,
    name="digits by column",
    train=as_sequences(digits.train),
    val=as_sequences(digits.val),
    test=as_sequences(digits.test),
)

search = optnas.Search(
    space=optnas.SequenceSpace((8, 8), data.outputs, lengths=True, depth=(1, 2)),
    evaluator=optnas.TrainingEvaluator(data, epochs=10, recipe=optnas.Recipe(learning_rate=0.01)),
    objectives=("val_loss", "flops", "params"),
    trials=40,
    seed=0,
)
