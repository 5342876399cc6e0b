"""Networks for a table with numbers, categories and gaps: scikit-learn's breast cancer data.

    optnas run studies/tables.py

The data is made like tables as people have them: the texture is a word, and one value in twelve is
missing. A DataFrame is given in the same way as this dictionary of columns.
"""

import numpy as np
from sklearn.datasets import load_breast_cancer

import optnas

bunch = load_breast_cancer()
rng = np.random.default_rng(0)
table = {
    str(name): [None if rng.random() < 1 / 12 else value for value in column]
    for name, column in zip(bunch.feature_names, bunch.data.T, strict=True)
    if name.startswith("mean")
}
words = ("smooth", "plain", "coarse")
table["mean texture"] = [
    None if value is None else words[int(np.digitize(value, (16.0, 21.0)))]
    for value in table["mean texture"]
]
table["diagnosis"] = [str(bunch.target_names[y]) for y in bunch.target]

data = optnas.frame(table, target="diagnosis", name="breast cancer with gaps")

search = optnas.Search(
    space=optnas.TabularSpace.for_data(data),
    evaluator=optnas.TrainingEvaluator(data, epochs=30, recipe=optnas.Recipe(batch_size=32)),
    objectives=("val_loss", "params", "latency_ms"),
    trials=40,
    seed=0,
)
