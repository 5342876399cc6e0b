"""A dashboard without log-in answers a browser only for its own name, and its own page."""

import urllib.error
import urllib.request

import optuna
import pytest
from test_dashboard import served

from optnas.dashboard.own_hosts import for_own_hosts, is_own


def answer(url, **headers):
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request) as found:
            return found.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_a_server_answers_its_own_name_and_page_alone():
    study = optuna.create_study(directions=["minimize", "minimize"])
    with served(study) as page:
        url = page.split("/dashboard/")[0]
        own = url.removeprefix("http://")
        port = own.split(":")[1]
        studies = f"{url}/api/studies"
        assert answer(studies) == 200
        assert answer(studies, Host=f"localhost:{port}", Origin=f"http://localhost:{port}") == 200
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "[", ""):
            assert answer(studies, Host=host) == 403, host
        for origin in ("http://evil.example", "null", "", "http://127.0.0.1:1", "https://["):
            assert answer(studies, Origin=origin) == 403, origin


@pytest.mark.parametrize(
    ("host", "own", "foreign"),
    [
        (
            "127.0.0.1",
            ["127.0.0.1", "localhost", "::1"],
            ["evil", "10.0.0.1", "", "localhost.e"],
        ),
        ("localhost", ["localhost", "127.0.0.1"], ["evil", "10.0.0.1"]),
        ("10.0.0.1", ["10.0.0.1"], ["10.0.0.2", "evil", "localhost"]),
        ("0.0.0.0", ["10.0.0.1", "192.168.1.2", "localhost", "127.0.0.1"], ["evil", ""]),
        ("Gpu.Example", ["gpu.example"], ["evil"]),
    ],
)
def test_which_names_are_own(host, own, foreign):
    assert [is_own(name, host) for name in own] == [True] * len(own)
    assert [is_own(name, host) for name in foreign] == [False] * len(foreign)


def test_a_request_without_a_host_gets_nothing():
    started = []
    app = for_own_hosts(lambda request, start: [b"secret"], "127.0.0.1")
    (text,) = app({}, lambda *args: started.append(args))
    assert (started[0][0], b"secret" in text) == ("403 Forbidden", False)
