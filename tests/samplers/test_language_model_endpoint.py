"""The package `openai` against a server on this machine that answers well, badly, or not at all."""

import json
import logging
import pickle
import socket
import sqlite3
import traceback

import optuna
import pytest
from language_model import Endpoint, endpoint, says

import optnas
from optnas.errors import InputError
from optnas.samplers.language_model.client import MOST_BYTES, RequestError
from optnas.study.attributes import LANGUAGE_MODEL
from optnas.testing import SamplerContract

pytest.importorskip("openai")

KEY = "sk-secret-0123456789abcdef"
WHOLE = {"depth": 2, "layer0.width": 4, "layer1.width": 1, "rate": 0.05}


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with endpoint() as served:
        yield served


def sampler(server: Endpoint, **given):
    # Nothing is waited for: the server says that a retry may follow after a millisecond.
    settings = {"n_startup_trials": 1, "note_every": 0, "retries": 0, "timeout": 20.0}
    return optnas.LanguageModelSampler("a-model", base_url=server.url, **settings | given)


def study_of(server, trials=2, storage=None, **given):
    study = optuna.create_study(
        directions=["minimize"] * 2, sampler=sampler(server, **given), storage=storage
    )
    study.optimize(SamplerContract.objective, n_trials=trials)
    return study


def made(study):
    return study.trials[-1].user_attrs[LANGUAGE_MODEL]


def test_an_answer_becomes_a_trial(server):
    server.answer = lambda body: says(json.dumps(WHOLE), tokens=77)
    study = study_of(server, options={"temperature": 0.5})
    assert study.trials[1].params == WHOLE
    assert made(study) == "4 of 4 parameters as answered"
    (body,) = server.asked
    assert (body["model"], body["temperature"]) == ("a-model", 0.5)
    assert [m["role"] for m in body["messages"]] == ["system", "user"]
    assert server.keys == [f"Bearer {KEY}"]
    assert study.trials[1].system_attrs["optnas:language_model"]["tokens"] == 77


def test_by_default_the_answer_is_bounded(server):
    study_of(server)
    assert server.asked[0]["max_tokens"] == 2048


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, says("no idea")[1], "no parameters in it"),
        (200, b"not JSON", "unreadable"),
        (200, b"[]", "unreadable"),
        (200, b'{"choices": []}', "unreadable"),
        (200, b'{"choices": [{"message": {"content": null}}]}', "unreadable"),
        (200, b"[" * 200_000, "unreadable"),
        (200, b" " * (MOST_BYTES + 1), "too long"),
        (401, b'{"error": {"message": "Incorrect API key: ' + KEY.encode() + b'"}}', "status 401"),
        (404, b"", "status 404"),
        (429, b"{}", "status 429"),
        (500, b"<script>alert(1)</script>", "status 500"),
    ],
)
def test_a_bad_answer_leaves_the_trial_to_evolution(server, status, body, reason, caplog):
    caplog.set_level(logging.INFO)
    server.answer = lambda _: (status, body)
    study = study_of(server)
    assert made(study) == f"evolution ({reason})"
    assert study.trials[-1].state == optuna.trial.TrialState.COMPLETE
    assert KEY not in caplog.text
    assert "script" not in str(study.trials)


def test_a_busy_endpoint_is_asked_again_a_bounded_number_of_times(server):
    server.headers = {"retry-after-ms": "1"}
    answers = [(429, b"{}"), (500, b""), says(json.dumps(WHOLE))]
    server.answer = lambda _: answers[min(len(server.asked), 3) - 1]
    assert study_of(server, retries=2).trials[1].params == WHOLE
    assert len(server.asked) == 3
    server.asked.clear()
    server.answer = lambda _: (500, b"")
    assert made(study_of(server, retries=2)) == "evolution (status 500)"
    assert len(server.asked) == 3


def test_a_late_answer_leaves_the_trial_to_evolution(server):
    def hold(body):
        server.ended.wait(30)
        return says("late")

    server.answer = hold
    assert made(study_of(server, timeout=0.1)) == "evolution (late)"


def test_an_endpoint_that_is_not_there(server):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server.url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        assert made(study_of(server)) == "evolution (unreachable)"


def test_the_key_is_nowhere(server, tmp_path, caplog, capsys):
    """Neither in the database, nor in the log, what is shown, an error, or a pickle."""
    caplog.set_level(logging.DEBUG)
    answers = iter([says(json.dumps(WHOLE)), (401, KEY.encode()), (500, KEY.encode())])
    server.answer = lambda _: next(answers, says("{}"))
    path = tmp_path / "study.db"
    study = study_of(server, 5, f"sqlite:///{path}", note_every=2)
    assert server.keys
    assert set(server.keys) == {f"Bearer {KEY}"}
    again = study.sampler
    shown = [repr(again), repr(vars(again)), repr(pickle.dumps(again)), caplog.text]
    shown += [*capsys.readouterr(), repr(study.trials), repr(study.user_attrs)]
    study._storage.remove_session()
    with sqlite3.connect(path) as database:
        shown.append("\n".join(database.iterdump()))
    database.close()
    for status in (400, 401, 200):
        server.answer = lambda _, status=status: (status, KEY.encode())
        with pytest.raises(RequestError) as failed:
            again._client([{"role": "user", "content": "hello"}])
        shown += ["".join(traceback.format_exception(failed.value)), repr(failed.value)]
        assert failed.value.__context__ is failed.value.__cause__ is None
    shown += [file.read_bytes().decode("latin-1") for file in tmp_path.iterdir()]
    secret = KEY.removeprefix("sk-")
    assert len(shown) > 14
    assert not any(secret in text for text in shown)
    assert pickle.loads(pickle.dumps(again))


def test_an_endpoint_of_your_own_needs_no_key(server, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    server.answer = lambda body: says(json.dumps(WHOLE))
    assert study_of(server).trials[1].params == WHOLE
    assert server.keys == ["Bearer none"]
    monkeypatch.setenv("MY_KEY", "mine")
    study_of(server, key_variable="MY_KEY")
    assert server.keys[1:] == ["Bearer mine"]


def test_without_a_key_the_first_trial_says_so(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    study = optuna.create_study(sampler=optnas.LanguageModelSampler("a-model"))
    with pytest.raises(InputError, match="set the environment variable OPENAI_API_KEY"):
        study.ask()


@pytest.mark.parametrize("wrong", [KEY + "\n", f" {KEY}", f"{KEY[:9]} {KEY[9:]}", f"{KEY}é"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(server, wrong, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OPENAI_API_KEY", wrong)
    with pytest.raises(InputError, match="variable OPENAI_API_KEY must have visible") as refused:
        study_of(server)
    assert KEY[9:] not in "".join(traceback.format_exception(refused.value)) + caplog.text
    assert not server.asked


def test_workers_share_answers_notes_and_limits(server, tmp_path):
    """Two studies' handles on one database, by turns: as two processes have them."""
    server.answer = lambda body: says(json.dumps(WHOLE))
    url = f"sqlite:///{tmp_path / 'study.db'}"
    first = study_of(server, 2, url, note_every=3, max_requests=6, seed=1)
    second = optuna.load_study(
        study_name=first.study_name,
        storage=url,
        sampler=sampler(server, note_every=3, max_requests=6, seed=1),
    )
    for _ in range(5):
        trials = [first.ask(), second.ask()]
        values = [SamplerContract.objective(trial) for trial in trials]
        for study, trial, value in zip((first, second), trials, values, strict=True):
            study.tell(trial, value)
    assert len(server.asked) == 6
    assert len({str(t.params) for t in first.trials}) == 12
    assert made(second) == "evolution (max_requests reached)"
