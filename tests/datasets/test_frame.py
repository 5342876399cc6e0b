"""Tables as data: what columns become, what is refused, and that the training part alone is learnt.

The oracle is scikit-learn's own `transform`, which the package doesn't call.
"""

import json
import logging

import numpy as np
import pytest
import torch
from docstrings import examples
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.preprocessing import OrdinalEncoder, QuantileTransformer, StandardScaler

import optnas
from optnas.datasets.dataset import Dataset
from optnas.datasets.preparation import MOST_QUANTILES
from optnas.errors import InputError


def table(n=120, seed=0):
    """Numbers with gaps and a long tail, a category with gaps, booleans, and a class."""
    rng = np.random.default_rng(seed)
    age = rng.normal(40, 9, n)
    return {
        "row": np.arange(n),
        "age": [None if rng.random() < 0.2 else value for value in age],
        "income": rng.lognormal(3, 1, n),
        "city": [rng.choice(["Rome", "Oslo", "Lima", None]) for _ in range(n)],
        "member": rng.random(n) < 0.5,
        "zip": rng.integers(1, 5, n) * 1000,
        "buys": np.where(age > 40, "yes", "no"),
    }


def split_of(columns, **settings):
    """The rows of each part, found by the targets' own values."""
    numbered = {"y": np.arange(len(columns["buys"]), dtype=float), "x": columns["income"]}
    data = optnas.frame(numbered, "y", task="regression", **settings)
    return [data.denormalize(part[1])[:, 0].round().long().numpy() for part in parts(data)]


def parts(data):
    return data.train, data.val, data.test


@pytest.mark.parametrize("scale", ["standard", "quantile"])
def test_all_parts_are_what_scikit_learn_fitted_on_the_training_rows_makes_of_them(scale):
    columns = table(150)
    columns["y"] = np.arange(150, dtype=float)
    del columns["buys"], columns["row"]
    data = optnas.frame(columns, "y", task="regression", categories=["zip"], scale=scale)
    where = [data.denormalize(y)[:, 0].round().long().numpy() for _, y in parts(data)]
    assert sorted(np.concatenate(where)) == list(range(150))
    train = where[0]
    numbers = np.array([columns["age"], columns["income"], columns["member"]], float).T
    imputer = SimpleImputer(strategy="median").fit(numbers[train])
    scaler = StandardScaler()
    if scale == "quantile":
        ranks = QuantileTransformer(
            n_quantiles=min(MOST_QUANTILES, len(train)), output_distribution="normal"
        )
        # The booleans, which are the last of three, aren't ranked.
        scaler = ColumnTransformer([("ranks", ranks, [0, 1]), ("two", StandardScaler(), [2])])
    scaler.fit(imputer.transform(numbers[train]))
    gaps = MissingIndicator().fit(numbers[train])
    texts = np.array([columns["city"], [str(z) for z in columns["zip"]]], object).T
    encoder = OrdinalEncoder(encoded_missing_value=3).fit(texts[train])
    for rows, (x, _) in zip(where, parts(data), strict=True):
        wanted = [scaler.transform(imputer.transform(numbers[rows])), gaps.transform(numbers[rows])]
        np.testing.assert_allclose(x["numbers"], np.hstack(wanted), rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(x["categories"], encoder.transform(texts[rows]) + 1)
    assert data.category_sizes == (5, 5)


def test_what_validation_and_test_rows_hold_changes_nothing_of_what_is_learnt():
    columns = table()
    train, val, _ = split_of(columns)
    del columns["buys"]
    columns["y"] = np.arange(120, dtype=float)
    learnt = json.loads(optnas.frame(columns, "y", task="regression").preparation)
    for row in val:
        columns["income"][row] = 1e9
        columns["age"][row] = None
        columns["city"][row] = "elsewhere"
    data = optnas.frame(columns, "y", task="regression")
    assert json.loads(data.preparation) == learnt
    assert (data.val[0]["categories"] == 0).all()  # never seen
    assert len(train) == len(data.train[1])


def test_classes_keep_their_names_and_shares():
    data = optnas.frame(table(), "buys", drop=["row"], val=0.25, test=30)
    assert data.classes == ("no", "yes")
    assert (data.task, data.outputs) == ("classification", 2)
    assert [len(y) for _, y in parts(data)] == [60, 30, 30]
    share = [float(y.float().mean()) for _, y in parts(data)]
    assert max(share) - min(share) < 0.05
    numbers = optnas.frame({"x": range(40), "y": [2, 10] * 20}, "y")
    assert numbers.classes == ("2", "10")  # in the order of numbers, not of text


def test_a_target_of_numbers_is_normalised_by_the_training_part():
    columns = {"x": np.arange(50.0), "y": np.arange(50) * 3.7}
    data = optnas.frame(columns, "y")
    assert data.task == "regression"
    assert float(data.train[1].mean()) == pytest.approx(0, abs=1e-6)
    assert float(data.train[1].std(correction=0)) == pytest.approx(1, abs=1e-5)
    assert sorted(data.denormalize(torch.cat([y for _, y in parts(data)]))[:, 0].tolist()) == (
        pytest.approx(columns["y"].tolist(), abs=1e-3)
    )


def test_forms_of_inputs():
    words = {"word": ["a", "b", None, "b"] * 10, "y": [0, 1] * 20}
    assert list(optnas.frame(words, "y").train[0]) == ["categories"]
    numbers = {"x": np.arange(40.0), "y": [0, 1] * 20}
    assert optnas.frame(numbers, "y").train[0].shape == (24, 1)
    assert optnas.frame(numbers, "y").input_shape == (1,)
    both = optnas.frame({**words, **numbers}, "y")
    assert list(both.example_inputs) == ["numbers", "categories"]
    with pytest.raises(InputError, match=r"more than one tensor .*TabularSpace\.for_data"):
        _ = both.input_shape
    assert "categories: int64 of shape (n, 1)" in repr(both)


def test_columns_that_say_nothing_are_left_out_and_named(caplog):
    columns = {
        "x": np.arange(40.0),
        "same": [7.0] * 40,
        "word": ["a"] * 40,
        "empty": [None] * 40,
        "known": [1.0, None] * 20,  # a gap says something, the number doesn't
        "y": [0, 1] * 20,
    }
    with caplog.at_level(logging.WARNING, "optnas"):
        data = optnas.frame(columns, "y")
    assert "same (constant), word (constant), empty (empty)" in caplog.text
    assert data.train[0].shape == (24, 2)
    with pytest.raises(InputError, match="no column but the target varies in the 24"):
        optnas.frame({"same": [7.0] * 40, "y": [0, 1] * 20}, "y")


def test_new_rows_are_prepared_in_the_same_way():
    columns = table()
    data = optnas.frame(columns, "buys", drop=["row"])
    again = data.prepare(columns)
    seen = torch.cat([x["numbers"] for x, _ in parts(data)])
    assert sorted(again["numbers"].tolist()) == sorted(seen.tolist())
    one = data.prepare(
        {"age": [None], "income": [20], "city": ["Paris"], "member": [True], "zip": [1000]}
    )
    assert one["categories"].tolist() == [[0]]
    with pytest.raises(InputError, match="the rows lack the columns age, income"):
        data.prepare({"member": [True], "zip": [1000], "city": ["Rome"]})
    with pytest.raises(InputError, match=r"column income must hold numbers, .*, got text"):
        data.prepare({**columns, "income": ["much"] * 120})
    with pytest.raises(InputError, match="digits was not made of a table"):
        optnas.digits().prepare(columns)
    with pytest.raises(InputError, match="prepared by prepare"):
        data.normalize([[1.0]])


def test_the_preparation_is_part_of_the_fingerprint():
    columns = {"x": np.arange(40.0), "word": ["a", "b"] * 20, "y": [0, 1] * 20}
    one = optnas.frame(columns, "y")
    other = optnas.frame({**columns, "word": ["a", "c"] * 20}, "y")
    assert torch.equal(one.train[0]["categories"], other.train[0]["categories"])
    assert one.fingerprint != other.fingerprint
    assert one.fingerprint == optnas.frame(columns, "y").fingerprint


def test_a_dataset_of_several_inputs_has_as_many_of_each():
    x = {"x": torch.zeros(4, 2), "lengths": torch.ones(3)}
    part = torch.zeros(4, 2), torch.zeros(4, dtype=torch.long)
    with pytest.raises(
        InputError, match="the part val have 4, 3 examples, and there are 4 targets"
    ):
        Dataset("odd", "classification", part, (x, part[1]), part, 2)


@pytest.mark.parametrize("place", ["frame.frame", "dataset.Dataset"])
def test_examples_in_docstrings_run(place):
    exec(dict(examples(optnas.datasets))[place], {})


FORTY = {"x": np.arange(40.0), "y": [0, 1] * 20}


@pytest.mark.parametrize(
    ("columns", "settings", "message"),
    [
        ([[1, 2]], {}, r"give a pandas DataFrame \(pip install .*, got a list"),
        ({}, {}, "of one length, at least 1, got no columns"),
        ({**FORTY, "z": [1]}, {}, "of one length, at least 1, got x 40, y 40, z 1"),
        ({1: [1], "1": [2]}, {}, "two columns are called 1"),
        (FORTY, {"target": "w"}, "no column is called 'w'; there are: x, y"),
        (FORTY, {"drop": ["y"]}, "y is the target"),
        (FORTY, {"scale": "log"}, "one of standard, quantile"),
        (FORTY, {"task": "ranking"}, "one of classification, regression"),
        ({**FORTY, "y": [None, 1.0, 2, float("nan")] * 10}, {}, "20 of 40 rows have no value of"),
        ({**FORTY, "y": ["a"] * 40}, {}, "all rows have the target a"),
        ({**FORTY, "y": ["a", "b"] * 20}, {"task": "regression"}, "regression needs numbers"),
        ({**FORTY, "y": [0.0, 1] * 20}, {}, "2 different numbers, which may be classes or not"),
        ({**FORTY, "y": ["a"] * 39 + ["b"]}, {}, "can't split off"),
        ({**FORTY, "z": [float("inf")] * 40}, {}, "column z has an infinite number in row 0"),
        ({**FORTY, "z": [1, "one"] * 20}, {}, "values of the kinds number, text"),
        ({**FORTY, "z": [1j] * 40}, {}, "values of the kinds complex"),
        ({**FORTY, "z": np.arange(40).astype("M8[ns]")}, {}, r"dates, .* drop=\('z',\)"),
        ({**FORTY, "z": [f"name {i}" for i in range(40)]}, {}, "24 different texts in 24 training"),
        ({**FORTY, "z": [2**62 + i for i in range(40)]}, {}, "beyond 9007199254740992, of which"),
        ({**FORTY, "z": [1e300 * i for i in range(40)]}, {}, "column z has numbers so large"),
        ({**FORTY, "z": [*range(39), 10**400]}, {}, "z has an infinite number in row 39, or one"),
        ({**FORTY, "y": [1e300 * i for i in range(40)]}, {"task": "regression"}, "the target y: s"),
    ],
)
def test_tables_that_are_refused(columns, settings, message):
    with pytest.raises(InputError, match=message):
        optnas.frame(columns, **{"target": "y", **settings})


def test_a_class_that_training_does_not_have_is_refused():
    columns = {"x": np.arange(60.0), "y": ["a"] * 29 + ["b"] * 29 + ["rare"] * 2}
    assert optnas.frame(columns, "y").outputs == 3
    with pytest.raises(InputError, match="none of the 2 rows of class 'rare' is in the training"):
        optnas.frame(columns, "y", val=45)


def test_a_dataframe_is_what_its_columns_are():
    pandas = pytest.importorskip("pandas")
    columns = table()
    frame = pandas.DataFrame(columns, index=range(500, 620))
    one = optnas.frame(columns, "buys", drop=["row"], categories=["zip"])
    frame["city"] = frame["city"].astype("category")
    frame["zip"] = frame["zip"].astype("category")
    frame["age"] = frame["age"].astype("Float64")
    frame["member"] = frame["member"].astype("boolean")
    frame["buys"] = frame["buys"].astype("string")
    other = optnas.frame(frame, "buys", drop=["row"])
    assert one.fingerprint == other.fingerprint
    for kind in ("Int64", "int8"):
        assert optnas.frame(frame.assign(small=1).astype({"small": kind}), "buys", drop=["row"])
    new = frame.drop(columns="buys").head(3)
    assert torch.equal(one.prepare(new)["numbers"], other.prepare(new)["numbers"])
    with pytest.raises(InputError, match="column when holds dates"):
        optnas.frame(frame.assign(when=pandas.Timestamp("2024-01-01")), "buys")
    gaps = frame.assign(buys=frame["buys"].where(frame["member"].astype(bool)))
    with pytest.raises(InputError, match=r"rows have no value of the target buys: .*dropna"):
        optnas.frame(gaps, "buys")
    with pytest.raises(InputError, match="two columns are called zip"):
        optnas.frame(pandas.concat([frame, frame[["zip"]]], axis=1), "buys")
    intervals = frame.assign(band=pandas.cut(frame["income"], 3))
    assert len(optnas.frame(intervals, "buys", drop=["row"]).category_sizes) == 3


@pytest.mark.parametrize("unit", [1.0, 1e-9, 1e-200, 1e200])
def test_ranks_do_not_depend_on_the_unit(unit):
    rng = np.random.default_rng(0)
    x, y = np.exp(rng.normal(size=300)), np.arange(300) % 2
    wanted = optnas.frame({"x": x, "y": y}, "y", scale="quantile").train[0]
    found = optnas.frame({"x": x * unit, "y": y}, "y", scale="quantile").train[0]
    assert len(found.unique()) == len(wanted.unique()) == 180
    assert torch.allclose(found, wanted, atol=1e-5)
