import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import TrialState
from report_studies import HOSTILE, OTHER, add, make_study

import optnas
from optnas.pareto import front as front_module
from optnas.pareto.confirmed import keep_repeat
from optnas.pareto.snapshot import Snapshot
from optnas.report import write_report
from optnas.report.data import report_data
from optnas.report.failures import endings
from optnas.report.labels import Meanings, readable_size
from optnas.report.networks import networks
from optnas.study.attributes import (
    ARCHITECTURE,
    FAILURE,
    LOST,
    PRUNED,
    RETRY_OF,
    SURPLUS,
)
from optnas.study.describe import facts_text
from optnas.study.retrainings import Run, keep_run
from optnas.utils.text import ranges


def test_data_has_a_row_for_each_architecture(study):
    table = report_data(study).networks
    assert [(column.name, column.better, column.log) for column in table.columns] == [
        ("loss", "less", True), ("flops", "less", True), ("size", "less", True),
    ]  # fmt: skip
    assert [(row.trial, row.trials, row.place) for row in table.rows] == [
        (4, (4,), "infeasible"),
        (0, (0,), "front"),
        (1, (1, 5), "front"),
        (2, (2,), "front"),
        (3, (3,), "dominated"),
        (6, (6,), "dominated"),
    ]
    assert table.rows[-1].baseline == "net"
    assert table.rows[-1].dominated_by == (0, 1, 2)
    assert table.rows[1].values == (1.0, 10.0, 5.0)


def test_data_says_what_was_asked_and_found(study):
    data = report_data(study)
    assert data.summary.startswith(
        "Which networks offer the best trade-offs between loss, flops and size? 6 networks were "
        "tried; 3 of them are on the Pareto front"
    )
    assert [(goal.name, goal.best, goal.worst, goal.trial) for goal in data.goals] == [
        ("loss", 1.0, 2.0, 0), ("flops", 5.0, 10.0, 1), ("size", 1.0, 5.0, 2),
    ]  # fmt: skip
    assert data.facts["Trials"] == "7 finished, 1 of them with the values of an earlier, equal one"
    assert data.facts["Bounds"] == "flops (6 of 7 trials within)"


def test_data_of_a_study_that_optnas_ran(search):
    study = search.run(progress=False)
    data = report_data(study, search=search)
    assert "networks of 12 possible were tried" in data.summary
    assert (data.facts["Sampler"], data.facts["Seed"]) == ("random", "1")
    assert data.facts["Search space"] == "FunctionSpace: 12 architectures"
    by_name = {one.name: one for one in data.measurings}
    assert by_name["params"].definition.startswith("Elements of all parameters")
    assert by_name["loss"].definition == ""
    detail = data.details[0]
    assert detail["curve"]["step"] == [0, 1]
    assert detail["decisions"] == study.trials[0].params
    assert detail["facts"]["seed of weights and order"].isdigit()
    assert [name for name, _, _ in detail["numbers"]][:2] == ["loss", "params"]
    assert data.reproducing.fingerprint["objectives"] == "loss (minimize), params (minimize)"


def test_networks_are_drawn_the_front_first(search, monkeypatch):
    study = search.run(progress=False)
    data = report_data(study, search=search)
    drawn = {n for n, detail in enumerate(data.details) if "drawing" in detail}
    assert drawn == {row.trial for row in data.networks.rows}
    assert data.details[0]["drawing"].startswith("<svg")
    assert data.undrawn == ""

    monkeypatch.setattr("optnas.report.drawings.MOST", 1)
    data = report_data(study, search=search)
    (only,) = [n for n, detail in enumerate(data.details) if "drawing" in detail]
    assert next(row.place for row in data.networks.rows if row.trial == only) == "front"
    assert re.fullmatch(r"1 of \d networks are drawn, the front first", data.undrawn)


def test_fresh_seeds_have_their_say(study):
    for trial, losses in ((0, (1.2, 1.22)), (2, (0.1, 0.1))):
        for seed, loss in enumerate(losses):
            values = {"loss": loss, "flops": 1.0, "size": 1.0} if trial == 2 else {"loss": loss}
            keep_repeat(study, trial, seed, values)
    data = report_data(study)
    assert data.facts["Fresh seeds"] == "2 networks evaluated again: 1 falls, 1 stands"
    again = {row.trial: row.again for row in data.networks.rows if row.again}
    assert again[0] == ("falls", 2, 2, ("1.210 ± 0.014", "", ""))
    assert again[2].verdict == "stands"
    assert data.details[0]["facts"]["with fresh seeds"] == "falls, dominated by trial 2 (2 seeds)"
    assert data.details[0]["numbers"][0] == ("loss", 1.0, "fresh seeds: 1.210 ± 0.014")


def test_the_test_part_has_its_say(study):
    assert "On the test part" not in report_data(study).facts
    for seed, loss in enumerate((0.5, 0.7)):
        run = Run("s", "net", "recipe", {"epochs": "9"}, seed, seed, {"test_loss": loss})
        keep_run(study, 1, run)
    said = report_data(study).facts["On the test part"]
    assert said == "trial 1: test_loss 0.60 ± 0.14 (9 epochs, 2 seeds)"


def test_numbers_say_how_they_were_measured():
    attrs = {
        "latency_ms": 2.0,
        "detail:latency_ms": {"interval": [1.9, 2.1], "p95": 3.0, "passes": 40, "alone": False},
    }
    study = make_study([([1.0, 2.0], attrs, -1.0)], names=("loss", "latency_ms"))
    data = report_data(study)
    (latency,) = [one for one in data.measurings if one.name == "latency_ms"]
    assert latency.remarks == [
        "95 % interval: ± 5.0% (median of 1 network), ± 5.0% at worst",
        "1 network timed during a training: take with care",
    ]
    assert data.details[0]["numbers"][1] == (
        "latency_ms",
        2.0,
        "95 % interval 1.9 to 2.1 · 95 of 100 passes within 3 ms · 40 passes · during a training",
    )


def test_a_latency_without_a_training_next_to_it_is_not_called_undisturbed():
    """Other programs may have disturbed it, as its interval shows."""
    detail = {"interval": [0.0, 6.0], "passes": 40, "alone": True}
    attrs = {"latency_ms": 2.0, "detail:latency_ms": detail}
    data = report_data(make_study([([1.0, 2.0], attrs, -1.0)], names=("loss", "latency_ms")))
    said = "no training by optnas at the same time"
    assert data.details[0]["numbers"][1][2] == f"95 % interval 0 to 6 · 40 passes · {said}"
    assert facts_text(detail) == f"95 % interval 0 to 6, 40 passes, {said}"


def test_what_another_counter_says_is_told_in_words():
    kinds = {"kind": "Conv2d", "modules": ["a"], "times": 1, "macs": 740, "macs_thop": 700}
    detail = {"macs": 740, "macs_thop": 1700, "no_rule": ["Tanh", "GELU"]}
    told = "thop counts 1,700{0}thop has no rule for Tanh, GELU"
    attrs = {"macs": 740, "detail:macs": detail}
    data = report_data(make_study([([1.0, 740.0], attrs, -1.0)], names=("loss", "macs")))
    assert data.details[0]["numbers"][1][2] == told.format(" · ")
    assert facts_text(detail) == f"macs 740, {told.format(', ')}"
    assert facts_text({"differences": [kinds], "not_counted": ["a", "b"]}) == (
        "thop counts 700 in Conv2d, which has 740, not counted, for want of a formula: a, b"
    )
    assert facts_text({"shape": [3, 8], "bound": 0.5}) == "shape 3, 8, bound 0.5"


def test_endings_are_counted_by_reason(study):
    add(study, TrialState.FAIL, {FAILURE: "diverged"})
    add(study, TrialState.FAIL, {FAILURE: "no memory"})
    add(study, TrialState.FAIL, {FAILURE: "no memory"})
    add(study, TrialState.PRUNED, {PRUNED: "flops is 9, its bound 6"}, excess=3.0)
    add(study, TrialState.FAIL, {LOST: "killed"})
    add(study, TrialState.FAIL, {LOST: "killed", RETRY_OF: 11})
    add(study, TrialState.FAIL, {SURPLUS: "enough"})
    add(study, TrialState.WAITING)
    found = endings(study.get_trials())
    assert [(e.kind, e.reason, e.times, e.trials) for e in found] == [
        ("failed", "no memory", 2, "8, 9"),
        ("failed", "diverged", 1, "7"),
        ("trained, but not allowed", "breaks the bound on flops", 1, "4"),
        ("ended before training", "breaks the bound on flops", 1, "10"),
        ("lost", "its process was killed; repeated by a later trial", 1, "11"),
        ("lost", "its process was killed; not repeated", 1, "12"),
        ("not needed", "enough", 1, "13"),
        ("waiting", "queued when this page was made", 1, "14"),
        ("not trained again", "same network and training as an earlier trial", 1, "5"),
    ]
    data = report_data(study)
    assert data.failed == 3
    assert data.details[7]["ending"] == "failed: diverged"


def test_many_reasons_are_told_in_short(study):
    for i in range(40):
        add(study, TrialState.FAIL, {FAILURE: f"reason {i}"})
    found = endings(study.get_trials())
    assert len(found) == 26
    assert sum(ending.times for ending in found) == 42


def test_ranges():
    assert ranges([1, 2, 3, 5, 7, 8]) == "1–3, 5, 7, 8"
    assert ranges(range(0, 100, 2), most=3) == "0, 2, 4 and 47 more"
    assert ranges([]) == ""


@pytest.mark.parametrize(
    ("size", "text"),
    [
        ("1,234", "1,234"),
        ("about 2.7e+15 (± 9%)", "about 2.7\u00a0·\u00a010¹⁵"),
        ("infinite (a parameter is continuous)", ""),
        ("unknown (KeyError while counting: 'a')", ""),
    ],
)
def test_readable_size(size, text):
    assert readable_size(size) == text


def test_changes_that_were_accepted_stand_at_the_top(study):
    study.set_user_attr("optnas", {"accepted": ["from trial 3: evaluator epochs: 2 there, 4 here"]})
    data = report_data(study)
    assert "from trial 3: evaluator epochs" in data.notes[0]
    assert data.reproducing.accepted == ["from trial 3: evaluator epochs: 2 there, 4 here"]


def test_other_devices_have_their_say(study):
    (part,) = report_data(study, devices=[OTHER]).elsewhere
    assert [(row.trial, row.there, row.ranks) for row in part.rows] == [
        (0, "1 ± 10%", ("2", "1")),
        (1, "4 ± 2%", ("1", "2")),
        (6, "≈ 0.5, predicted", ("", "")),
    ]
    assert [row.changed for row in part.rows] == ["1 up", "1 down", ""]
    assert [(row.front_here, row.front_there, row.by) for row in part.rows] == [
        (True, True, None),
        (True, False, 0),  # it is better in flops alone
        (False, True, None),
    ]
    assert part.failed == [f"trial 2: no memory {HOSTILE}"]
    assert "2 of 2 measured networks have another rank" in part.text
    assert "It is off by 7.0% (median; τ 0.90)" in part.text
    traces = json.loads(part.figure.json)["data"]
    left, right = (
        [t for t in traces if t.get("xaxis") == x and t["mode"] == "markers"] for x in ("x", "x2")
    )
    assert sorted(n for t in left for n in t["customdata"]) == [0, 1]
    assert sorted(n for t in right for n in t["customdata"]) == [0, 1, 6]
    symbols = {n: t["marker"]["symbol"] for t in right for n in t["customdata"]}
    assert symbols == {0: "circle", 1: "circle-open", 6: "x"}
    assert report_data(study).elsewhere == []
    assert report_data(study, devices=[replace(OTHER, replaces="none")]).elsewhere == []
    single = make_study([([1.0], {ARCHITECTURE: "a"}, -1.0)], names=("flops",))
    (part,) = report_data(single, devices=[OTHER]).elsewhere
    assert part.figure.why == "flops is the only objective: no plane to draw"


def test_the_front_is_computed_once_for_a_report(study, monkeypatch, tmp_path):
    """Tables, figures, facts and details share it: other searches are of planes and of boxes."""
    found = []
    computed = front_module.front_of

    def counted(trials, directions):
        found.append(len(trials))
        return computed(trials, directions)

    monkeypatch.setattr(front_module, "front_of", counted)
    write_report(study, tmp_path / "report.html")
    assert found == [5], "the feasible trials without the one that reused values"


def test_no_file_but_one_tests_dominance_or_flips_signs():
    """`dominates` and `losses` of optnas.pareto.dominance are the only ones."""
    by_hand = re.compile(
        r"\(\w+ <= \w+\)\.all|np\.all\(\w+ <= \w+|-1(\.0)? if (more|maximi|\w+ == StudyDirection)"
    )
    package = Path(optnas.__file__).parent
    rooms = ("pareto", "plots", "report", "dashboard", "cli", "finished", "study")
    files = [path for room in rooms for path in (package / room).glob("*.py")]
    found = {path.name for path in files if by_hand.search(path.read_text())}
    assert found == {"dominance.py"}


def test_the_table_shows_the_error_of_a_measurement():
    study = make_study(
        [
            ([1.0, 10.0], {"detail:latency_ms": {"interval": [8.5, 11.5]}}, -1.0),
            ([2.0, 5.0], {"detail:latency_ms": {"interval": [4.99, 5.01]}}, -1.0),
        ],
        ["loss", "latency_ms"],
    )
    rows = networks(Snapshot.of(study), Meanings(study, study.trials), {}).rows
    assert [row.errors for row in rows] == [("", "±15%"), ("", "")]
