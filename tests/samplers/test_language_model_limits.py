"""Endpoints that send without end: a request keeps to its time and its bytes all the same."""

import json
import socket
import time
from types import SimpleNamespace

import optuna
import pytest
from language_model import endpoint, says
from raw_server import Raw

import optnas
from optnas.samplers.language_model.client import MOST_BYTES, OpenAIClient, RequestError
from optnas.study.attributes import LANGUAGE_MODEL
from optnas.testing import SamplerContract

pytest.importorskip("openai")
from optnas.samplers.language_model import limits  # it needs the package

WHOLE = {"depth": 2, "layer0.width": 4, "layer1.width": 1, "rate": 0.05}
BODY = says(json.dumps(WHOLE))[1]
ANSWER = b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
OK, CHUNKED = b"HTTP/1.1 200 OK\r\n", b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKED_ANSWER = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
MESSAGES = [{"role": "user", "content": "hello"}]


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a-key")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    raw = Raw()
    yield raw
    raw.close()


def made(server, **given):
    """What a study of two trials says of the second one, which asks the endpoint."""
    settings = {"n_startup_trials": 1, "note_every": 0, "retries": 0, "timeout": 0.2}
    sampler = optnas.LanguageModelSampler("a-model", base_url=server.url, **settings | given)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    study.optimize(SamplerContract.objective, n_trials=2)
    assert study.trials[1].state == optuna.trial.TrialState.COMPLETE
    return study.trials[1].user_attrs[LANGUAGE_MODEL]


GZIP = CHUNKED.replace(b"Tr", b"Content-Encoding: gzip\r\nTr", 1)
DRIPS = {
    "status line": (b"HTTP/1.1 200 ", b"O", OK[15:] + ANSWER),
    "headers": (OK, lambda n: b"X-%d: b\r\n" % n, ANSWER),
    "100 Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n", OK + ANSWER),
    "body": (OK + CHUNKED, b"1\r\n \r\n", CHUNKED_ANSWER),
    "extension of a chunk": (OK + CHUNKED + b"1;", b"n", b"\r\n \r\n" + CHUNKED_ANSWER),
    "trailer": (
        OK + CHUNKED + CHUNKED_ANSWER[:-2],
        lambda n: b"X-%d: b\r\n" % n,
        b"\r\n",
    ),
    "name in a gzip header": (
        OK + GZIP + b"a\r\n\x1f\x8b\x08\x08\0\0\0\0\0\x03\r\n",
        b"1\r\nn\r\n",
        b"0\r\n\r\n",
    ),
}


@pytest.mark.parametrize("part", DRIPS)
def test_an_endpoint_that_sends_a_byte_now_and_then_is_late(server, part):
    first, again, end = DRIPS[part]
    server.scripts = [(first, again, 60, 0.05, end)]
    assert made(server) == "evolution (late)"
    assert not server.finished.is_set()


def test_an_answer_that_drips_within_the_time_is_taken(server):
    first, again, end = DRIPS["headers"]
    server.scripts = [(first, again, 12, 0.001, end)]
    assert made(server, timeout=20.0) == "4 of 4 parameters as answered"
    assert b"accept-encoding: identity" in server.requests[0].lower()


def test_the_body_of_an_error_is_not_waited_for(server):
    server.scripts = [(b"HTTP/1.1 400 Bad\r\n" + CHUNKED, b"1\r\n \r\n", 60, 0.05, b"0\r\n\r\n")]
    assert made(server, timeout=20.0) == "evolution (status 400)"
    assert not server.finished.is_set()


def test_the_body_of_an_error_is_not_read(server):
    size = 2**20
    head = b"HTTP/1.1 400 Bad\r\nContent-Length: %d\r\n\r\n" % (64 * size)
    server.scripts = [(head, b"x" * size, 64, 0, b"")]
    assert made(server, timeout=20.0) == "evolution (status 400)"
    assert not server.finished.is_set()


@pytest.mark.parametrize(
    ("first", "again", "end"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\nX: " + b"x" * 50_000 + b"\r\n\r\n", OK + ANSWER),
        (OK + CHUNKED, b"c350\r\n" + b" " * 50_000 + b"\r\n", CHUNKED_ANSWER),
    ],
    ids=["headers", "body"],
)
def test_a_flood_is_too_long(server, first, again, end):
    server.scripts = [(first, again, 2 + MOST_BYTES // 50_000, 0, end)]
    assert made(server, timeout=20.0) == "evolution (too long)"


def test_redirects_share_the_time(server):
    hop = b"HTTP/1.1 307 On\r\nLocation: /v1/on\r\nContent-Length: 0\r\n\r\n"
    server.scripts = [(b"", hop, 1, 0.05, b"")] * 6 + [(OK + ANSWER, b"", 0, 0, b"")]
    assert made(server) == "evolution (late)"
    assert len(server.requests) < 7
    server.requests.clear()
    assert made(server, timeout=20.0) == "4 of 4 parameters as answered"


def test_each_retry_has_the_time_again_and_pauses_are_at_most_two_minutes(server, monkeypatch):
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    first, again, end = DRIPS["headers"]
    server.scripts = [(first, again, 60, 0.05, end), (OK + ANSWER, b"", 0, 0, b"")]
    assert made(server, retries=3) == "4 of 4 parameters as answered"
    for asked in (b"50", b"121", b"1e9", b"inf", b"nan", b"Fri, 31 Dec 2100 23:59:59 GMT"):
        busy = b"HTTP/1.1 429 Busy\r\nRetry-After: %b\r\nContent-Length: 0\r\n\r\n" % asked
        server.requests.clear()
        server.scripts = [(busy, b"", 0, 0, b"")]
        assert made(server, retries=2, timeout=20.0) == "evolution (status 429)"
        assert len(server.requests) <= 3
    assert 50.0 in pauses  # the endpoint's wish is heeded
    assert max(pauses) <= 120.0


def test_a_timeout_among_the_options_shortens_the_time(server):
    first, again, end = DRIPS["body"]
    server.scripts = [(first, again, 12, 0.05, end)]
    client = OpenAIClient("m", server.url, "OPENAI_API_KEY", 20.0, 0, {"timeout": 0.1})
    with pytest.raises(RequestError, match="late"):
        client(MESSAGES)


def test_an_answer_in_another_encoding_is_not_decoded(server):
    head = OK + b"Content-Encoding: gzip, gzip\r\n"
    server.scripts = [(head + ANSWER, b"", 0, 0, b"")]
    # What says that it is encoded is plain: decoding would fail.
    assert made(server, timeout=20.0) == "4 of 4 parameters as answered"


def test_a_slow_reader_is_bounded_and_tls_shares_the_limits(monkeypatch):
    clock = SimpleNamespace(now=0.0, given=[])
    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: clock.now))

    class Slow:
        def write(self, buffer, timeout):
            clock.given.append(timeout)
            clock.now += 1

        def read(self, most, timeout):
            return b"x" * most

        def start_tls(self, context, name, timeout):
            clock.given.append((context, name, timeout))
            return self

    plain = limits.LimitedStream(Slow(), limits.Limits(10.0, 3 * limits.PIECE))
    secret = plain.start_tls("context", server_hostname="name", timeout=60.0)
    assert clock.given == [("context", "name", 10.0)]
    assert len(plain.read(2**20)) == len(secret.read(2**20)) == limits.PIECE
    secret.read(limits.PIECE)
    with pytest.raises(limits.TooLongError):
        plain.read(1)
    clock.given.clear()
    secret.write(b"x" * (2 * limits.PIECE + 1), timeout=60.0)
    assert clock.given == [10.0, 9.0, 8.0]
    with pytest.raises(limits.core.TimeoutException):
        secret.write(b"x" * 8 * limits.PIECE)
    assert clock.now == 10.0


def test_the_addresses_of_a_host_share_the_time(server, monkeypatch):
    look_up, addresses = socket.getaddrinfo, ["127.0.0.2", "127.0.0.1"]

    def found(host, *args, **kwargs):
        hosts = addresses if host == "model.invalid" else [host]
        return [one for host in hosts for one in look_up(host, *args, **kwargs)]

    def connect(seconds):
        backend = limits.LimitedBackend(limits.Limits(seconds, MOST_BYTES))
        return backend.connect_tcp("model.invalid", server.port)

    monkeypatch.setattr(socket, "getaddrinfo", found)
    stream = connect(20.0)
    assert stream.get_extra_info("server_addr") == ("127.0.0.1", server.port)
    stream.close()
    with pytest.raises(limits.core.TimeoutException):
        connect(0.0)
    addresses.pop()
    with pytest.raises(limits.core.ConnectError):
        connect(20.0)


def test_the_environments_proxy_is_used(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a-key")
    monkeypatch.setenv("NO_PROXY", "")
    with endpoint() as proxy:
        proxy.answer = lambda _: says("{}", 9)
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        client = OpenAIClient("m", "http://model.invalid/v1", "OPENAI_API_KEY", 20.0, 0, {})
        assert client(MESSAGES) == ("{}", 9)


@pytest.mark.parametrize(
    ("no", "url", "direct"),
    [
        ("*", "http://a.org", True),
        ("a.org, b.org", "http://x.b.org", True),
        (".a.org", "http://x.a.org", True),
        ("*.a.org", "https://x.a.org", True),
        ("a.org", "http://ba.org", False),
        ("a.org:81", "http://a.org:81", True),
        ("a.org:81", "http://a.org:82", False),
        ("10.0.0.0/8", "http://10.1.2.3:8000", True),
        ("10.0.0.0/8", "http://11.1.2.3", False),
        ("::1", "http://[::1]:80", True),
        ("[::1]", "http://[::1]", True),
        ("", "http://a.org", False),
    ],
)
def test_no_proxy_names_domains_addresses_and_networks(no, url, direct, monkeypatch):
    monkeypatch.setenv("no_proxy", no)
    monkeypatch.setenv("all_proxy", "user:word@a-proxy:3128")
    given = limits.proxy_for(limits.http.URL(url))
    assert (given == {}) == direct
    if not direct:
        assert (given["proxy"].url.host, given["proxy"].url.port) == (b"a-proxy", 3128)
        assert given["proxy"].auth == (b"user", b"word")
