"""The options that several benchmarks have."""

import importlib
import sys

import pytest

SCRIPTS = (
    "beat_baselines",
    "early_stopping",
    "predictor_ablation",
    "regression_mlp",
    "sampler_overhead",
    "samplers_conditional",
    "samplers_digits",
    "samplers_nb201",
    "samplers_tables",
    "warm_start",
)


@pytest.mark.parametrize("name", SCRIPTS)
def test_without_names_no_sampler_is_run_and_nothing_is_written(name, monkeypatch, capsys):
    from common import comparison

    script = importlib.import_module(name)

    def run_all(_work, tasks, _jobs):
        assert not list(tasks)
        return []

    monkeypatch.setattr(script, "run_all", run_all, raising=False)
    for module in (comparison, script):  # tests take the time, and are tested elsewhere
        monkeypatch.setattr(module, "paired", lambda *_, **__: (0.0, 1.0), raising=False)
    for used in ("measure", "training_seconds"):
        monkeypatch.setattr(script, used, None, raising=False)
    monkeypatch.setattr(sys, "argv", [name, "--samplers"])
    before = {path: path.stat().st_mtime_ns for path in comparison.RESULTS.iterdir()}
    script.main()
    assert {path: path.stat().st_mtime_ns for path in comparison.RESULTS.iterdir()} == before
    assert len(capsys.readouterr().out.splitlines()) > 4
