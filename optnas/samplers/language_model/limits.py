"""Bounds what an attempt at a request takes, in time and bytes (part of `language_model`).

The HTTP packages bound the time of each read, and no size: an endpoint that sends a byte now and
then holds a request for good, be it in headers, in an error or in an encoding. Here all reads and
writes of an attempt, with its redirects, share one deadline and one number of bytes.

This module needs the package `openai`, which builds on `httpx2` and `httpcore2`; older versions of
it build on `httpx` and `httpcore`, which have the same interface.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from importlib import import_module
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.request import getproxies

import openai

http: Any = import_module(openai.DefaultHttpxClient.__base__.__module__)
core: Any = import_module(http.__name__.replace("httpx", "httpcore"))

PIECE = 2**14
"""Bytes of a read or a write, after which the deadline is looked at again."""
USED_HEADERS = (b"location", b"retry-after", b"retry-after-ms", b"x-should-retry")
"""The headers of an answer that are passed on: those that say what to do next."""
LIMITS = "optnas_limits"
FAULTS = (
    core.NetworkError,
    core.ProtocolError,
    core.ProxyError,
    core.UnsupportedProtocol,
    OSError,
)


class TooLongError(Exception):
    """The endpoint sent more bytes than are allowed."""


class Limits:
    """The time and the bytes that are left to an attempt.

    Args:
        seconds: From now.
        most_bytes: Of all that is received, headers included.
    """

    def __init__(self, seconds: float, most_bytes: int) -> None:
        self._end = time.monotonic() + seconds
        self._bytes = most_bytes

    def seconds(self) -> float:
        """What is left, above 0; an error if nothing is."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise core.ReadTimeout
        return left

    def count(self, received: bytes) -> bytes:
        """Returns what was received; an error if it is too much."""
        self._bytes -= len(received)
        if self._bytes < 0:
            raise TooLongError
        return received


class LimitedStream(core.NetworkStream):  # type: ignore[misc]  # of one package or the other
    """A connection within limits; `timeout` is the limits' own."""

    def __init__(self, inner: Any, limits: Limits) -> None:
        self._inner, self._limits = inner, limits

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Some of what the endpoint sends."""
        return self._limits.count(self._inner.read(min(max_bytes, PIECE), self._limits.seconds()))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Sends all of it."""
        # The inner stream allows this time to each part that the endpoint takes.
        for start in range(0, len(buffer), PIECE):
            self._inner.write(buffer[start : start + PIECE], self._limits.seconds())

    def close(self) -> None:
        """Ends the connection."""
        self._inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> LimitedStream:
        """The encrypted connection, within the same limits."""
        inner = self._inner.start_tls(ssl_context, server_hostname, self._limits.seconds())
        return LimitedStream(inner, self._limits)

    def get_extra_info(self, info: str) -> Any:
        """What the inner stream says."""
        return self._inner.get_extra_info(info)


class LimitedBackend(core.NetworkBackend):  # type: ignore[misc]
    """Opens connections within limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> LimitedStream:
        """Tries the host's addresses one after the other."""
        # Here, not in `SyncBackend`: that allows the time to each of the addresses.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        error: Exception = core.ConnectError()
        for address in dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found):
            try:
                inner = core.SyncBackend().connect_tcp(
                    address, port, self._limits.seconds(), local_address, socket_options
                )
            except core.ConnectError as refused:
                error = refused
            else:
                return LimitedStream(inner, self._limits)
        raise error


class LimitedTransport(http.BaseTransport):  # type: ignore[misc]
    """Sends requests, each over a connection of its own, within limits.

    The body of an error isn't read, and no other encoding than the plain one is asked for or
    decoded: a megabyte can decode to terabytes.

    Args:
        timeout: Seconds that an attempt may take. A request's own `timeout` may shorten it.
        most_bytes: The most bytes that are received of an attempt.
    """

    def __init__(self, timeout: float, most_bytes: int) -> None:
        self._timeout, self._most_bytes = timeout, most_bytes
        self._tls = http.create_ssl_context()

    def handle_request(self, request: Any) -> Any:
        """The answer to a request; errors hold no text of the endpoint's."""
        own = request.extensions.get("timeout", {}).get("read")
        seconds = min(self._timeout, own or self._timeout)
        # The request that follows a redirect inherits them.
        limits = request.extensions.setdefault(LIMITS, Limits(seconds, self._most_bytes))
        request.headers["Accept-Encoding"] = "identity"
        pool = core.ConnectionPool(
            ssl_context=self._tls, network_backend=LimitedBackend(limits), **proxy_for(request.url)
        )
        asked = {"headers": request.headers.raw, "content": request.read()}
        try:
            with pool, pool.stream(request.method, raw_url(request.url), **asked) as answer:
                well = 200 <= answer.status < 300
                body = b"".join(answer.iter_stream()) if well else b""
        except core.TimeoutException as error:
            raise http.ReadTimeout(type(error).__name__) from None
        except FAULTS as error:
            raise http.ReadError(type(error).__name__) from None
        headers = [(name, text) for name, text in answer.headers if name.lower() in USED_HEADERS]
        return http.Response(answer.status, headers=headers, content=body)


def raw_url(url: Any) -> Any:
    """A URL of the package of the client as one of the package of connections."""
    return core.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def proxy_for(url: Any) -> dict[str, Any]:
    """The environment's proxy for a URL, as an argument of `ConnectionPool`; or none."""
    given = getproxies()
    address = given.get(url.scheme) or given.get("all")
    if not address or any(_matches(url, name) for name in given.get("no", "").split(",")):
        return {}
    proxy = http.Proxy(address if "://" in address else f"http://{address}")
    return {
        "proxy": core.Proxy(
            raw_url(proxy.url),
            auth=proxy.raw_auth,
            headers=proxy.headers.raw,
            ssl_context=proxy.ssl_context,
        )
    }


def _matches(url: Any, name: str) -> bool:
    """Whether a name of NO_PROXY is the host's: `*`, a domain, an address, or a network."""
    name, host = name.strip().lower(), url.host.lower()
    domain = name.lstrip("*.")
    ends = (f".{host}", f".{host}:{url.port}")
    if name == "*" or (domain and any(end.endswith(f".{domain}") for end in ends)):
        return True
    try:
        return ip_address(host) in ip_network(name.strip("[]"), strict=False)
    except ValueError:
        return False
