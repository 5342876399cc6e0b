"""Servers: a PostgreSQL database that restarts, and Optuna's proxy in front of one."""

import signal
import socket
import threading
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import optuna
import psycopg
import pytest
import warm
from common import light_workers
from common.light_workers import Job
from common.postgres import database, server
from common.processes import wait_for

import optnas.storage.server
from optnas.errors import InputError
from optnas.runs.loop import run_trials
from optnas.storage.faults import storage_message
from optnas.storage.open import close_storage, open_storage
from optnas.storage.proxy import make_proxy

ROOT = Path(__file__).parents[2]


@pytest.fixture
def postgres_url(request, postgres_server):
    return database(postgres_server, f"p{abs(hash(request.node.nodeid))}")


@pytest.fixture
def proxy(postgres_url):
    """`optnas serve` in a process of its own, and its URL."""
    process = warm.Command("serve", postgres_url, "--port", 0)
    line = process.stdout.readline()
    assert "(Ctrl-C ends)" in line, process.stderr.read()
    yield process, line.split()[0]
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def test_workers_through_the_proxy_and_its_end(proxy, optnas, tmp_path):
    process, url = proxy
    workers = [light_workers.start(Job(url, 30, make=True)) for _ in range(3)]
    assert wait_for(workers) == [0] * 3
    study = light_workers.load_study(url)
    light_workers.checked(study, 30)
    code, out, _ = optnas("status", url)
    assert (code, "30 COMPLETE" in out) == (0, True)
    assert optnas("pareto", url, "--html", "f.html")[0] == 0
    assert list(copy_lines(url)) == ["copied:"]
    code, _, err = optnas("backup", url, "b.db")
    assert (code, "backup copies SQLite files, and this is grpc" in err) == (2, True)

    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 0
    assert "Traceback" not in err
    with pytest.raises(Exception) as raised:  # noqa: PT011
        run_trials(study, light_workers.outcome, trials=40)
    assert "the storage failed (" in storage_message(raised.value)
    study._storage.close()


def copy_lines(url):
    from optnas.storage.urls import Location
    from optnas.study.copy import copy_study

    copied = copy_study(Location.here(url), Location.here("sqlite:///copy.db"))
    return (line.split()[0] for line in copied)


def test_a_study_is_run_and_resumed_through_the_proxy(proxy, optnas, tmp_path):
    _, url = proxy
    (tmp_path / "tiny.py").write_text(
        (Path(__file__).parents[1] / "helpers" / "study_tiny.py").read_text()
    )
    assert optnas("run", "tiny.py", "--storage", url)[0] == 0
    code, out, _ = optnas("resume", url, "--trials", 6)
    assert (code, f"optnas dashboard {url}" in out) == (0, True)


def test_the_dashboard_on_a_journal(optnas, tmp_path):
    from optnas.dashboard.server import make_dashboard

    (tmp_path / "tiny.py").write_text(
        (Path(__file__).parents[1] / "helpers" / "study_tiny.py").read_text()
    )
    url = "journal:///tiny.journal"
    assert optnas("run", "tiny.py", "--storage", url)[0] == 0
    assert optnas("resume", url, "--trials", 6)[0] == 0
    code, out, _ = optnas("status", url)
    assert (code, "6 COMPLETE" in out) == (0, True)
    assert optnas("pareto", url)[0] == 0
    server = make_dashboard(open_storage(url), tmp_path / "tiny_weights", port=0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        page = f"http://127.0.0.1:{server.server_port}/api/studies/0"
        assert "flops" in urllib.request.urlopen(page).read().decode()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:///a.db", "workers on one machine open the file themselves"),
        ("journal:///a.journal", "workers open the journal themselves"),
        ("grpc://localhost:1", "a grpc storage doesn't work behind Optuna's proxy"),
        ("postgresql://localhost:1/x", "can't be opened"),
        (
            "a.db",
            "a sqlite storage doesn't work behind Optuna's proxy: give the URL of",
        ),
        ("a.journal", "workers open the journal themselves"),
        ("a.py", "'a.py', which is no URL, doesn't work behind Optuna's proxy: give the URL of"),
    ],
)
def test_what_cant_be_served(optnas, url, message, tmp_path):
    code, _, err = optnas("serve", url)
    assert (code, message in err) == (2, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "nowhere.invalid", "256.1.1.1", "::2"])
def test_an_address_that_cant_be_listened_on(postgres_url, host):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="try another `port=` or `host=`"):
            make_proxy(postgres_url, host, taken.getsockname()[1])


def test_a_port_is_served_once(proxy, postgres_url):
    port = int(proxy[1].rpartition(":")[2])
    with pytest.raises(InputError, match="try another `port=`"):
        make_proxy(postgres_url, "127.0.0.1", port)


def test_what_a_server_refuses(postgres_server):
    none = postgres_server.replace("/postgres", "/none").replace("+psycopg", "")
    with pytest.raises(InputError, match='database "none" does not exist'):
        open_storage(none, create=True)
    nobody = none.replace("optnas@", "nobody:geheim@")
    with pytest.raises(InputError, match='role "nobody" does not exist') as raised:
        open_storage(nobody)
    assert "geheim" not in str(raised.value)


def test_an_empty_database_has_no_study(postgres_url):
    with pytest.raises(InputError, match="there is no study in"):
        open_storage(postgres_url)


def test_a_run_waits_for_a_server_that_restarts(monkeypatch):
    with server() as postgres:
        if postgres is None:
            pytest.skip("no PostgreSQL is installed here")
        study = light_workers.make_study(database(postgres.url, "restart"))
        said = []

        def start_again(message, *args):
            said.append(message % args)
            postgres.start()

        monkeypatch.setattr(optnas.storage.server.log, "warning", start_again)
        postgres.stop()
        run_trials(study, light_workers.outcome, trials=3)
        assert len(said) == 1
        assert said[0].startswith("the database is away; waiting for it (connection failed")

        monkeypatch.setattr(
            optnas.storage.server, "AWAY", replace(optnas.storage.server.AWAY, seconds=-1.0)
        )
        postgres.stop()
        with pytest.raises(Exception) as raised:  # noqa: PT011
            run_trials(study, light_workers.outcome, trials=6)
        assert storage_message(raised.value).startswith("the storage failed (connection failed")
        postgres.start()
        run_trials(study, light_workers.outcome, trials=6)
        states = [t.state for t in study.trials]
        assert states.count(optuna.trial.TrialState.COMPLETE) == 6
        close_storage(study._storage)


def take_all(url):
    """Takes the connections that a server has left, and those that it is about to get back."""
    taken, refused = [], 0
    while refused < 10:
        try:
            taken.append(psycopg.connect(url))
            refused = 0
        except psycopg.OperationalError:
            refused += 1
            time.sleep(0.05)
    return taken


def test_one_connection_at_rest_and_a_full_server_is_waited_for(monkeypatch):
    """Readers keep none. The server's connections are taken by hand until the run has said so."""
    settings = "-c max_connections=6 -c superuser_reserved_connections=0"
    with server(settings=settings) as postgres:
        if postgres is None:
            pytest.skip("no PostgreSQL is installed here")
        url = database(postgres.url, "few")
        watcher = psycopg.connect(url, autocommit=True)
        counted = "SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = 'few'"
        study = light_workers.make_study(url)
        run_trials(study, light_workers.outcome, trials=3)
        read = optuna.load_study(study_name="light workers", storage=open_storage(url))
        assert len(read.trials) >= 3
        deadline = time.monotonic() + 60
        while watcher.execute(counted).fetchone()[0] != 1:  # the server needs a moment to see it
            assert time.monotonic() < deadline

        others, said = take_all(url), []

        def let_go(message, *args):
            said.append(message % args)
            others.pop().close()

        monkeypatch.setattr(optnas.storage.server.log, "warning", let_go)
        full = replace(optnas.storage.server.FULL, quiet=0.0)
        monkeypatch.setattr(optnas.storage.server, "FULL", full)
        second = light_workers.load_study(url)
        assert said[0].startswith("the database server has no connection left; waiting for one (")
        others += take_all(url)
        monkeypatch.setattr(optnas.storage.server, "FULL", replace(full, seconds=-1.0))
        with pytest.raises(InputError, match=r"no connection left for 0 s .*optnas serve"):
            open_storage(url)
        for connection in [*others, watcher]:
            connection.close()
        light_workers.close(second)
        light_workers.close(study)
