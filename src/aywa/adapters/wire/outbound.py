"""Connections for requests that customers steer: no socket is made to an internal address, unless the operator allows it.

Judged is what the socket is about to be connected to, so a redirect, a name that changes its mind (DNS rebinding) and every
spelling of an address come to the same. Proxies from the environment are not used: they would connect for us.
"""

from __future__ import annotations

import socket
from typing import Any

import aiohttp

from aywa.adapters.wire.guard import InternalAddress
from aywa.core.outbound import NOBODY, Allowed, why_internal


class Outbound:
    """allowed: internal addresses that may be reached all the same."""

    def __init__(self, allowed: Allowed = NOBODY) -> None:
        self._allowed = allowed

    def socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        """For aiohttp's `socket_factory`. Raises InternalAddress."""
        family, kind, protocol, _, target = address
        self.check(str(target[0]), int(target[1]))
        return socket.socket(family, kind, protocol)

    def check(self, host: str, port: int) -> None:
        """host: an address. Raises InternalAddress."""
        if why_internal(host) and not self._allowed.permits(host, port):
            raise InternalAddress

    def connector(self, **settings: Any) -> aiohttp.TCPConnector:
        """aiohttp's, with these settings of its own."""
        return aiohttp.TCPConnector(**{"socket_factory": self.socket} | settings)


def is_internal(error: BaseException) -> bool:
    """Whether a failure of aiohttp's comes from the guard: alone, or for each address that a name had."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, InternalAddress):
            return True
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, aiohttp.ClientConnectorError):
            waiting.append(one.os_error)
        if isinstance(one, BaseExceptionGroup):
            waiting.extend(one.exceptions)
    return False
