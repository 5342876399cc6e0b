"""Requests that a page of somebody else makes a browser send get nothing from the dashboard.

A browser lets any page send requests to this machine. A page whose name is made to lead here (DNS
rebinding) sends that name as Host; any other foreign page sends itself as Origin.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def for_own_hosts(app: App, host: str) -> App:
    """An application that answers only requests for the hosts that it listens on.

    Args:
        app: The application.
        host: The address that is listened on.
    """

    def guarded(request: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        asked, origin = request.get("HTTP_HOST", ""), request.get("HTTP_ORIGIN")
        if not is_own(_name(asked), host):
            reason = f"the dashboard listens on {host}, and answers for no other host"
        elif origin is not None and origin.partition("://")[2].lower() != asked.lower():
            reason = "the dashboard answers no page but its own"
        else:
            return app(request, start)
        start("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{reason}\n".encode()]

    return guarded


def is_own(name: str, host: str) -> bool:
    """Whether a name in a request is one of a server's own.

    Args:
        name: The name or address that a browser was given, in lower case.
        host: The address that the server listens on. For all addresses of the machine, any address
            will do: only a name can be made to lead here.
    """
    if name == host.lower():
        return True
    listens, asked = _address(host), _address(name)
    if listens is not None and listens.is_unspecified:
        return asked is not None or name in ("localhost", *_machine())
    if listens is None or listens.is_loopback:  # a name may be localhost
        return name == "localhost" or (asked is not None and asked.is_loopback)
    return listens == asked


def _name(host: str) -> str:
    """The name in a Host header, without the port; empty for a header that makes no sense."""
    with suppress(ValueError):
        return urlsplit(f"//{host}").hostname or ""
    return ""


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    with suppress(ValueError):
        return ipaddress.ip_address(text)
    return None


def _machine() -> tuple[str, ...]:
    return socket.gethostname().lower(), socket.getfqdn().lower()
