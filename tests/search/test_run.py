"""A run makes one objective, which the study, its sampler and its trials share."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import study_tiny

import optnas
from optnas.cli.worker_job import work
from optnas.runs.observer import Observer
from optnas.runs.stop import Stop
from optnas.runs.worker_process import Job
from optnas.search.job import overrides_for_workers


@pytest.fixture
def made(monkeypatch):
    """The objectives that have been made."""
    found = []
    init = optnas.Objective.__init__

    def counting(self, *args, **kwargs):
        found.append(self)
        init(self, *args, **kwargs)

    monkeypatch.setattr(optnas.Objective, "__init__", counting)
    return found


@pytest.mark.parametrize("sampler", ["random", "predictor"])
def test_a_run_makes_one_objective(search, made, sampler):
    study = replace(search, trials=2, sampler=sampler).run(progress=False)
    assert len(study.trials) == 2
    assert len(made) == 1


def test_a_command_makes_one_objective(optnas, made, tmp_path):
    shutil.copyfile(study_tiny.__file__, tmp_path / "tiny.py")
    assert optnas("run", "tiny.py", "--trials", 2)[0] == 0
    assert len(made) == 1


def test_a_worker_makes_one_objective(made, tmp_path):
    shutil.copyfile(study_tiny.__file__, tmp_path / "tiny.py")
    search = replace(optnas.load_search(Path("tiny.py")), trials=2)
    study = search.open()
    made.clear()
    overrides = overrides_for_workers(search)
    job = Job(str(search.file), search.url, search.study_name, overrides, accept_changes=False)
    work(job, Observer(), Stop())
    assert len(study.trials) == 2
    assert len(made) == 1
