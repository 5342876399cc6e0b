"""Every command copes with studies of every kind, or says why not."""

import re
import shutil

import pytest
from odd_studies import STUDIES

COMMANDS = [
    ["status"],
    ["pareto"],
    ["pareto", "--html", "f.html"],
    ["pick"],
    ["pick", "--knee"],
    ["compare", "other.db", "--html", "f.html"],
    ["report", "-o", "f.html"],
    ["measure"],
    ["retrain", "--trial", "0"],
    ["export", "--trial", "0"],
    ["confirm"],
]
NOTHING = {"empty", "failed"}
NO_FRONT = NOTHING | {"infeasible"}
REASONS = {
    "pareto": (NO_FRONT, "COMPLETE trial yet|breaks a bound"),
    "pareto --html f.html": (
        NO_FRONT | {"one_objective"},
        "COMPLETE trial yet|breaks a bound|single objective",
    ),
    "pick": (NO_FRONT, "COMPLETE trial yet|breaks a bound"),
    "pick --knee": (NO_FRONT, "COMPLETE trial yet|breaks a bound"),
    "compare other.db --html f.html": (
        NO_FRONT | {"one_objective"},
        "COMPLETE trial yet|breaks a bound|share a single objective",
    ),
    "measure": (set(STUDIES), "remembers no study file"),
    "retrain --trial 0": (set(STUDIES), "remembers no study file"),
    "export --trial 0": (set(STUDIES), "remembers no study file"),
    "confirm": (set(STUDIES), "remembers no study file"),
}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("kind", STUDIES)
def test_commands(optnas, tmp_path, kind, command):
    STUDIES[kind]("sqlite:///odd.db")
    shutil.copy("odd.db", "other.db")
    name, *options = command
    code, out, err = optnas(name, "odd.db", *options)
    refused, reason = REASONS.get(" ".join(command), (set(), ""))
    if kind in refused:
        assert (code, out) == (2, "")
        assert re.search(reason, err), err
    else:
        assert code == 0, err
        assert out
    for path in tmp_path.glob("*.html"):
        assert "<script>hacked" not in path.read_text()
