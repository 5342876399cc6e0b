"""Slips in what `frame` is asked for: they are accepted where they can mean one thing only."""

import numpy as np
import pytest

import optnas
from optnas.errors import InputError
from optnas.search_spaces import TabularSpace

N = 60
TABLE = {
    "age": [20 + i % 9 for i in range(N)],
    "city": ["Rome", "Oslo"] * 30,
    "y": list("abc") * 20,
}
MANY = [f"{i / 7:.3f}" for i in range(N)]


def test_names_may_be_numbers():
    table = dict(enumerate(TABLE.values()))
    named = {str(i): column for i, column in table.items()}
    pandas = pytest.importorskip("pandas")

    def same(given, target, **settings):
        wanted = optnas.frame(named, "2", **{name: ["0"] for name in settings})
        return optnas.frame(given, target, **settings).fingerprint == wanted.fingerprint

    assert same(table, 2, categories=[0])
    assert same(table, "2", categories=0)
    assert same(table, 2, drop=0)
    assert same(pandas.DataFrame(table), 2, categories=0)


@pytest.mark.parametrize("setting", ["categories", "drop"])
def test_a_single_name_needs_no_tuple(setting):
    one, other = (optnas.frame(TABLE, "y", **{setting: given}) for given in ("age", ("age",)))
    assert one.fingerprint == other.fingerprint != optnas.frame(TABLE, "y").fingerprint


@pytest.mark.parametrize(
    ("columns", "settings", "message"),
    [
        (
            TABLE,
            {"target": "Y"},
            r"no column is called 'Y'; .* age, city, y \(did you mean y",
        ),
        (TABLE, {"drop": "agee"}, r"'agee'; .* \(did you mean age\?\)"),
        (TABLE, {"target": ["age", "y"]}, r"name of one column, got a list: .* optnas\.arrays"),
        (TABLE, {"target": np.zeros(N)}, "name of one column, got a ndarray"),
        (
            {**TABLE, "z": MANY},
            {},
            r"column z holds numbers as text, such as '\d\.\d+': give pd\.to_numeric\(df\['z'\]\)",
        ),
        (
            {**TABLE, "z": [*MANY[:-2], "?", "?"]},
            {"seed": 1},
            r"such as .*, and '\?': give pd\.to_numeric\(df\['z'\], errors='coerce'\)",
        ),
        ({**TABLE, "z": [f"name {i}" for i in range(N)]}, {}, "names rows more than it groups"),
        (
            {**TABLE, "y": ["a"] * 59 + ["b"]},
            {},
            "by class: class b has a single example, and two parts need two: .*leave it out$",
        ),
        (
            {**TABLE, "y": np.arange(N)},
            {"task": "classification"},
            "the classes 0, 1, 2, 3, 4 and 55 more have a single example",
        ),
        ({**TABLE, "z": 3}, {}, r"column z is a single value, 3: .* \{'z': \[3\], …\} for one row"),
    ],
)
def test_slips_are_told_with_the_way_out(columns, settings, message):
    with pytest.raises(InputError, match=message):
        optnas.frame(columns, **{"target": "y", **settings})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, "1", 2], r"holds 1 \(int\) and '1' \(str\), which have one text"),
        (["1", 1.0, 2], r"holds '1' \(str\) and 1\.0 \(float\)"),
        ([None, "True", True], r"holds 'True' \(str\) and True \(bool\)"),
    ],
)
def test_values_of_one_text_arent_merged(values, message):
    column = values * 20
    with pytest.raises(InputError, match=message):
        optnas.frame({**TABLE, "z": column}, "y", categories="z")
    if None not in values:
        with pytest.raises(InputError, match=message):
            optnas.frame({**TABLE, "z": column}, "z")
    text = [None if value is None else str(value) for value in column]
    assert optnas.frame({**TABLE, "z": text}, "y", categories="z")
    assert optnas.frame({**TABLE, "z": [1, 1.0, np.int64(2)] * 20}, "y", categories="z")


def test_a_pandas_category_of_values_of_one_text_is_refused():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({**TABLE, "z": [1, "1", 2] * 20}).astype({"z": "category"})
    with pytest.raises(InputError, match=r"column z holds 1 \(int\) and '1' \(str\)"):
        optnas.frame(table, "y")


@pytest.mark.parametrize("size", ["0.2", None, [0.2]])
@pytest.mark.parametrize("part", ["val", "test"])
def test_sizes_of_parts_are_numbers(part, size):
    words = np.arange(N) % 3
    for make in (
        lambda **sizes: optnas.frame(TABLE, "y", **sizes),
        lambda **sizes: optnas.arrays(np.arange(N)[:, None], words, **sizes),
        lambda **sizes: optnas.text("to be or not to be " * 20, length=4, **sizes),
        lambda **sizes: optnas.tokens(words, length=4, **sizes),
    ):
        with pytest.raises(InputError, match=rf"{part} must be a share between .*, got"):
            make(**{part: size})
        assert make(**{part: np.float64(0.2)})


def test_rows_to_prepare_are_columns():
    data = optnas.frame(TABLE, "y")
    assert len(data.prepare({"age": [3], "city": ["Rome"]})["numbers"]) == 1
    with pytest.raises(InputError, match=r"column age is a single value, 3: .*\{'age': \[3\], …\}"):
        data.prepare({"age": 3, "city": "Rome"})
    with pytest.raises(InputError, match=r"column city is a single value, 'Rome': "):
        data.prepare({"age": [3], "city": "Rome"})
    with pytest.raises(InputError, match="column age is a single value"):
        data.prepare({"age": np.array(3), "city": ["Rome"]})
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(TABLE)
    with pytest.raises(InputError, match=r"got a Series, which is one row: df\.iloc\[\[0\]\]"):
        data.prepare(frame.iloc[0])
    assert len(data.prepare(frame.iloc[[0]])["numbers"]) == 1
    with pytest.raises(InputError, match=r"target is a column, .* give target='y'"):
        optnas.frame(frame, frame["y"])
    with pytest.raises(InputError, match=r"optnas\.frame\(df, target\) .* got a DataFrame"):
        TabularSpace.for_data(frame)


def test_the_way_to_a_space_for_categories_is_told():
    with pytest.raises(InputError, match=r"optnas\.TabularSpace\.for_data\(data\) makes a space"):
        _ = optnas.frame(TABLE, "y").input_shape


def test_the_name_of_a_file_is_no_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "poem.txt").write_text("to be or not to be " * 20)
    with pytest.raises(InputError, match=r"name of a file, .* give Path\('poem\.txt'\)\.read_text"):
        optnas.text("poem.txt", length=1)
    assert optnas.text("poem.text" * 9, length=4)
