"""The architectures of a study as rows, and the files that `optnas table` makes of them."""

import csv
import json
import math
import sys
from pathlib import Path

import optuna
import pytest
from command_line import exit_code
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import create_trial

import optnas
from optnas.cli.rows_file import _one_type, write_parquet
from optnas.pareto.rows import architecture_rows
from optnas.study.attributes import ARCHITECTURE, BASELINE, DETAIL, DUPLICATE_OF, TRAIN_SECONDS

DEPTH, OP = IntDistribution(1, 3), CategoricalDistribution(["conv", 3, None, True])
URL = "sqlite:///rows.db"
FIXED = ["trial", "place", "baseline", "architecture", "recipe", "trials", "train_seconds"]


@pytest.fixture
def study():
    """Two networks of the front, a dominated one, one over a bound, a second trial and a loss."""
    study = optuna.create_study(directions=["minimize", "maximize"], storage=URL, study_name="rows")
    study.set_metric_names(["latency_ms", "trial"])

    def add(values, architecture, params, **attrs):
        distributions = {"depth": DEPTH, "op": OP, "recipe.lr": FloatDistribution(0, 1)}
        study.add_trial(
            create_trial(
                values=values,
                params=params,
                distributions={name: distributions[name] for name in params},
                user_attrs={ARCHITECTURE: architecture, TRAIN_SECONDS: 2.5} | attrs,
            )
        )

    add([3.0, 0.5], "slow", {"depth": 3, "op": "conv"}, flops=70, **{"trial": 4.0})
    interval = {f"{DETAIL}latency_ms": {"interval": [0.9, 1.25]}}
    add([1.0, 0.5], '=quick, "small"', {"depth": 1, "op": 3}, flops=30, val_f1=0.25, **interval)
    add(
        [2.0, math.inf],
        "bölder",
        {"depth": 2, "op": None, "recipe.lr": 0.25},
        **{BASELINE: "LeNet"},
    )
    add([1.0, 0.5], '=quick, "small"', {"depth": 1, "op": 3}, **{DUPLICATE_OF: 1})
    study.add_trial(create_trial(state=optuna.trial.TrialState.FAIL))
    return study


def test_a_row_has_all_that_is_known_of_a_network(study):
    rows = architecture_rows(study)
    assert [row["trial"] for row in rows] == [1, 2, 0]
    assert [row["place"] for row in rows] == ["front", "front", "dominated"]
    objectives = ["latency_ms", "trial_", "flops", "val_f1", "latency_ms_low", "latency_ms_high"]
    params = ["params_depth", "params_op", "params_recipe.lr"]
    for row in rows:
        assert list(row) == [*FIXED, *objectives, *params]
    quick, bold, slow = rows
    assert quick["trials"] == 2
    assert (quick["latency_ms"], quick["trial_"], quick["val_f1"]) == (1.0, 0.5, 0.25)
    assert (quick["latency_ms_low"], quick["latency_ms_high"]) == (0.9, 1.25)
    assert (bold["baseline"], bold["params_op"], bold["flops"]) == ("LeNet", "None", None)
    assert (bold["recipe"], bold["params_recipe.lr"]) == ("lr=0.25", 0.25)
    assert (slow["trial_"], slow["train_seconds"]) == (0.5, 2.5)


def test_none_as_a_choice_is_told_from_what_was_not_drawn(capsys):
    study = optuna.create_study(direction="minimize", storage=URL, study_name="rows")
    choices = CategoricalDistribution([None, "None", "pool"])
    for value, op in enumerate([None, "None", "pool", "absent"]):
        drawn = {} if op == "absent" else {"op": op}
        distributions = dict.fromkeys(drawn, choices)
        trial = create_trial(value=value, params=drawn, distributions=distributions)
        study.add_trial(trial)
    cells = ["None", "'None'", "pool", None]
    assert [row["params_op"] for row in architecture_rows(study)] == cells
    assert exit_code(["table", "rows.db"]) == 0
    read = csv.DictReader(capsys.readouterr().out.splitlines())
    assert [row["params_op"] for row in read] == ["None", "'None'", "pool", ""]


def test_a_data_frame_has_the_rows(study):
    pandas = pytest.importorskip("pandas")
    frame = optnas.to_frame(study)
    assert frame["trial"].tolist() == [1, 2, 0]
    assert frame.loc[frame["place"] == "front", "architecture"].tolist() == [
        '=quick, "small"',
        "bölder",
    ]
    assert frame["flops"].dtype.kind == "f"
    assert pandas.isna(frame["flops"][1])
    front = optnas.to_frame(study, front=True)
    assert 0 < len(front) < len(frame)
    assert set(front["place"]) == {"front"}
    assert optnas.to_frame(optuna.create_study()).empty


def test_without_pandas_there_is_a_way_out(study, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(optnas.InputError, match=r"pip install 'optnas\[frame\]'.*optnas table"):
        optnas.to_frame(study)
    assert exit_code(["table", "rows.db", "--csv", "rows.csv"]) == 0


def test_files_and_standard_output_hold_the_rows(study, capsys):
    assert exit_code(["table", "rows.db", "--csv", "a.csv", "--json", "a.json"]) == 0
    assert capsys.readouterr().out == "3 networks: a.csv\n3 networks: a.json\n"
    rows = architecture_rows(study)
    with Path("a.csv").open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert read == [
        {name: "" if cell is None else str(cell) for name, cell in row.items()} for row in rows
    ]
    text = Path("a.json").read_text(encoding="utf-8")
    objects = json.loads(text, parse_constant=pytest.fail)
    assert objects == [row | {"trial_": None} if row["trial"] == 2 else row for row in rows]
    assert exit_code(["table", "rows.db", "--front"]) == 0
    out = capsys.readouterr().out
    assert out == "".join(Path("a.csv").read_text(encoding="utf-8").splitlines(True)[:3])


def test_a_parquet_file_holds_the_rows(study):
    pandas, _ = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    assert exit_code(["table", "rows.db", "--parquet", "a.parquet"]) == 0
    frame = pandas.read_parquet("a.parquet")
    assert list(frame) == list(architecture_rows(study)[0])
    assert frame["latency_ms"].tolist() == [1.0, 2.0, 3.0]
    assert frame["params_op"].tolist() == ["3", "None", "conv"]


@pytest.mark.parametrize(
    ("numbers", "kept"),
    [
        ([1, 2**63 - 1], [1, 2**63 - 1]),
        ([1, 2**64 - 1], [1, 2**64 - 1]),
        ([-1, 2**63], ["-1", "9223372036854775808"]),
        ([1, 10**400], ["1", "1" + 400 * "0"]),
        ([0.5, 2**53], [0.5, 2.0**53]),
        ([0.5, 2**53 + 1], ["0.5", "9007199254740993"]),
        ([None, 2**53 + 1], [None, "9007199254740993"]),
        ([0.5, 10**400], ["0.5", "1" + 400 * "0"]),
    ],
)
def test_a_column_keeps_the_digits_of_large_numbers(numbers, kept):
    pandas = pytest.importorskip("pandas")
    column = _one_type(numbers)
    assert column == kept
    if None not in kept:
        assert pandas.Series(column).tolist() == kept


def test_a_parquet_file_keeps_the_digits_of_large_numbers():
    pandas, _ = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    write_parquet([{"x": -1, "y": 1}, {"x": 2**63, "y": 2}], Path("a.parquet"))
    frame = pandas.read_parquet("a.parquet")
    assert frame["x"].tolist() == ["-1", "9223372036854775808"]
    assert frame["y"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rows.db", "--csv", "a.txt"], "--csv a.txt must end in .csv: the file is overwritten"),
        (["rows.db", "--json", "no/a.json"], "there is no folder no: make it first"),
        (["empty.db"], "there is no COMPLETE trial yet"),
    ],
)
def test_what_cannot_be_written_is_told(study, arguments, message, capsys):
    optuna.create_study(storage="sqlite:///empty.db")
    assert exit_code(["table", *arguments]) == 2
    assert message in capsys.readouterr().err
