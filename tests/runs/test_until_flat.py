"""A run that ends once its study is flat."""

import shutil
from dataclasses import replace

import optuna
import pytest
import study_tiny
from optuna.trial import TrialState
from others import running

from optnas.errors import InputError
from optnas.runs.loop import run_trials
from optnas.runs.recovery import give_up
from optnas.search.run import ended_flat
from optnas.study.attributes import RETRY_OF


@pytest.fixture
def study():
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(0))


def falling(until):
    """An objective that falls by 1 a trial until that trial, and is level from then on."""
    return lambda trial: [-float(min(trial.number, until))]


def test_a_run_ends_once_the_latest_trials_added_nothing(study):
    run_trials(study, falling(14), trials=100, until_flat=5)
    assert len(study.trials) == 14 + 1 + 5
    run_trials(study, falling(14), trials=100, until_flat=5)  # it is flat already
    assert len(study.trials) == 20
    run_trials(study, falling(14), trials=100, until_flat=8)
    assert len(study.trials) == 23
    run_trials(study, falling(14), trials=25, until_flat=11)
    assert len(study.trials) == 25
    run_trials(study, falling(14), trials=30)
    assert len(study.trials) == 30


def test_trials_of_others_are_waited_for_and_may_improve_a_flat_study(study, monkeypatch):
    run_trials(study, falling(0), trials=100, until_flat=10)
    assert len(study.trials) == 11
    others = [running(study), running(study)]
    seen = []

    def end_one(_):
        seen.append(len(study.trials))
        other = others.pop()
        study.tell(other, [-9.0 if others else 0.0])

    monkeypatch.setattr("optnas.runs.loop.time.sleep", end_one)
    run_trials(study, falling(0), trials=100, until_flat=10)
    # Waited for the first, which improved the study; then ran ten; then waited for the second.
    assert seen == [13, 23]
    assert [t.value for t in study.trials] == [0.0] * 12 + [-9.0] + [0.0] * 10


def test_lost_and_queued_trials_are_run_before_a_flat_study_ends(study):
    run_trials(study, falling(0), trials=100, until_flat=10)
    lost = running(study)
    give_up(study, study.trials[lost.number])
    study.enqueue_trial({})
    run_trials(study, falling(0), trials=100, until_flat=10)
    states = [trial.state for trial in study.trials[11:]]
    assert states == [TrialState.FAIL, TrialState.COMPLETE, TrialState.COMPLETE]
    assert [t.user_attrs.get(RETRY_OF) for t in study.trials[11:]] == [None, None, 11]


def test_a_search_says_that_it_is_flat_and_how_to_continue(search, capsys):
    flat = replace(search, trials=60, until_flat=10)
    study = flat.run()
    there = len(study.trials)
    assert 10 < there < 60
    for _ in range(2):
        err = capsys.readouterr().err
        assert "the last 10 trials added nothing to the hypervolume" in err
        assert "until_flat=0 continues to 60 trials" in err
        flat.run()
    assert len(study.trials) == there
    assert ended_flat(replace(flat, trials=there), study) is None  # the number of trials ended it
    capsys.readouterr()
    study = replace(search, trials=there + 1).run()
    assert "until_flat" not in capsys.readouterr().err
    assert len(study.trials) == there + 1


@pytest.mark.parametrize("wrong", [-1, 0.5, "20", None, float("nan")])
def test_the_number_must_be_whole(search, wrong):
    with pytest.raises(InputError, match="until_flat must be"):
        replace(search, until_flat=wrong)


def test_the_command_ends_a_flat_study_and_remembers_it(optnas, tmp_path):
    shutil.copyfile(study_tiny.__file__, tmp_path / "tiny.py")
    code, out, err = optnas("run", "tiny.py", "--trials", 60, "--until-flat", 12)
    assert code == 0
    assert "flat:          the last 12 trials added " in out
    assert "so the run ends (--until-flat 12)" in out
    assert "the rest:      optnas resume sqlite:///tiny.db --until-flat 0" in out
    _, out, err = optnas("resume", "sqlite:///tiny.db")
    assert "remembered from earlier runs: --trials 60 --until-flat 12" in err
    assert "so the run ends" in out
    _, out, _ = optnas("resume", "sqlite:///tiny.db", "--until-flat", 0, "--trials", 35)
    assert "latest:        the last 20 trials added" in out
    assert "more trials:   optnas resume sqlite:///tiny.db --trials 70" in out
