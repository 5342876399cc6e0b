"""Every command copes with studies of every kind, or says why not."""

import functools
import re
import shutil

import pytest
from odd_studies import STUDIES

from optnas.storage.open import close_storage

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
        NO_FRONT | {"one_objective", "nothing_finite"},
        "COMPLETE trial yet|breaks a bound|single objective|nothing is left to draw",
    ),
    "pick": (NO_FRONT, "COMPLETE trial yet|breaks a bound"),
    "pick --knee": (NO_FRONT, "COMPLETE trial yet|breaks a bound"),
    "compare other.db --html f.html": (
        NO_FRONT | {"one_objective", "nothing_finite", "endless"},
        "COMPLETE trial yet|breaks a bound|share a single objective|nothing is left to draw",
    ),
    "measure": (set(STUDIES), "remembers no study file"),
    "retrain --trial 0": (set(STUDIES), "remembers no study file"),
    "export --trial 0": (set(STUDIES), "remembers no study file"),
    "confirm": (set(STUDIES), "remembers no study file"),
}


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Gives the file of a study, which is made once."""
    folder = tmp_path_factory.mktemp("odd")

    @functools.cache
    def make(kind):
        close_storage(STUDIES[kind](f"sqlite:///{folder}/{kind}.db")._storage)
        return folder / f"{kind}.db"

    return make


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("kind", STUDIES)
def test_commands(optnas, tmp_path, make, kind, command):
    for name in ("odd.db", "other.db"):
        shutil.copy(make(kind), name)
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
