"""Data or weights that are drawn at each import: the message says so, and names the seed."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

import optnas
from optnas.errors import InputError
from optnas.search.open import join_study, open_study
from optnas.search.study_file import load_search

SEED = r"drawn at random at each import, set a seed .*\(torch\.manual_seed\(0\)\)"


def data(name="walks", n=24):
    part = torch.randn(n, 4), torch.arange(n) % 2
    return optnas.Dataset(name, "classification", part, part, part, 2)


def searched(storage, given, space=None):
    return optnas.Search(
        space=space or optnas.MLPSpace((4,), 2, depth=(1, 1), width=(2, 4), width_step=2),
        evaluator=optnas.TrainingEvaluator(given, 1),
        objectives=("val_loss", "params"),
        trials=1,
        name="drawn",
        storage=storage,
    )


def adapters(weight):
    network = nn.Sequential(nn.Linear(4, 2))
    nn.init.constant_(network[0].weight, weight)
    return optnas.LoRASpace(network, torch.zeros(1, 4), targets=("0",), ranks=(0, 1))


DRAWN = """
import numpy as np, optnas
x = np.random.default_rng(SEED).normal(size=(60, 4))
search = optnas.Search(
    space=optnas.MLPSpace((4,), 3, depth=(1, 1), width=(2, 4), width_step=2),
    evaluator=optnas.TrainingEvaluator(optnas.arrays(x, np.arange(60) % 3, name="walks"), 1),
    objectives=("val_loss", "params"), sampler="random", trials=2, seed=1, device="cpu",
)
"""


@pytest.fixture
def storage(tmp_path):
    return tmp_path / "study.db"


def test_data_that_differ_in_their_numbers_alone_want_a_seed(storage):
    searched(storage, data()).run(progress=False)
    with pytest.raises(InputError, match=rf"evaluator data: walks 24/24/24 .*{SEED}"):
        searched(storage, data()).run(progress=False)
    with pytest.raises(InputError, match=r"accept_changes=True`$"):
        searched(storage, data(n=12)).run(progress=False)  # other data, as of another file
    with pytest.raises(InputError, match=r"accept_changes=True`$"):
        searched(storage, data("runs")).run(progress=False)


def test_weights_that_differ_are_named_apart_from_the_code(storage):
    given = data()
    searched(storage, given, adapters(0.1)).run(progress=False)
    with pytest.raises(InputError, match=rf"\(weights given to the space: .*{SEED}") as caught:
        searched(storage, given, adapters(0.2)).run(progress=False)
    assert "code of the space" not in str(caught.value)


def test_a_worker_process_speaks_of_the_import_and_of_no_older_study(storage):
    first, anew = (searched(storage, data()) for _ in range(2))
    open_study(first, first.objective())
    with pytest.raises(InputError, match=rf"a worker process finds .*{SEED}") as caught:
        join_study(anew, anew.objective())
    assert "already" not in str(caught.value)
    assert join_study(first, first.objective())


def test_a_run_of_workers_with_other_data_in_each_is_refused_before_there_is_a_study(optnas):
    Path("drawn.py").write_text(DRAWN.replace("SEED", ""))
    before = {*Path().iterdir()}
    code, out, err = optnas("run", "drawn.py", "--workers", 2)
    assert (code, out) == (2, "")
    assert re.search(rf"a worker process finds .*evaluator data: walks .*{SEED}", err), err
    code, out, _ = optnas("run", "drawn.py", "--workers", 2, "--dry-run")
    assert code == 2
    assert re.search(rf"refused: +a worker process finds .*{SEED}", out), out
    with pytest.raises(InputError, match=SEED):
        load_search("drawn.py").run(workers=2, progress=False)
    assert {*Path().iterdir()} - {Path("__pycache__")} == before

    Path("drawn.py").write_text(DRAWN.replace("SEED", "0"))
    code, _, err = optnas("run", "drawn.py", "--workers", 2)
    assert code == 0, err


def test_a_study_file_that_a_worker_cant_import_leaves_no_study(monkeypatch):
    text = DRAWN.replace("SEED", "0")
    Path("drawn.py").write_text(f"import os\nif 'WORKER' in os.environ: no_such_data\n{text}")
    found = optnas.load_search("drawn.py")
    monkeypatch.setenv("WORKER", "1")
    with pytest.raises(InputError, match=r"line 2: NameError: name 'no_such_data'"):
        found.run(workers=2, progress=False)
    assert not Path("drawn.db").exists()
