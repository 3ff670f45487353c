"""Leases in Redis or Valkey: a key for each node that expires by itself (SET with PX; the server's own clock).

Commands: Redis' documentation of SET, EVAL, MGET. A key that a process with a greater token has set is left alone, which two
commands could not do; so renewing is one script.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from aywa.ports.leases import LeasesUnavailable, Usurped

PREFIX: Final = "aywa:node:"
ANSWER_S: Final = 1.0
"""So long may Redis take to answer, or to be reached."""

_RENEW: Final = """
local held = redis.call('GET', KEYS[1])
if held and tonumber(held) > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RELEASE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""


class RedisLeases:
    """ports.leases.Leases. url: redis://, rediss:// or unix://, as redis-py reads it."""

    def __init__(self, url: str, answer_s: float = ANSWER_S) -> None:
        # Who asks goes on without an answer, and asks again with the next beat: no retries beneath.
        self._redis: Any = Redis.from_url(
            url, socket_timeout=answer_s, socket_connect_timeout=answer_s, decode_responses=True, retry=None
        )

    async def renew(self, node: str, token: int, ttl_s: float) -> None:
        with _Translated():
            taken = await self._redis.eval(_RENEW, 1, PREFIX + node, token, round(ttl_s * 1000))
        if not taken:
            raise Usurped(f"another process has the name {node}")

    async def standing(self, nodes: Collection[str]) -> frozenset[str]:
        if not nodes:
            # All the same it must be known whether there is an answer.
            with _Translated():
                await self._redis.ping()
            return frozenset()
        asked = sorted(nodes)
        with _Translated():
            found = [await self._redis.get(PREFIX + node) for node in asked]
        return frozenset(node for node, held in zip(asked, found, strict=True) if held is not None)

    async def release(self, node: str, token: int) -> None:
        with _Translated():
            await self._redis.eval(_RELEASE, 1, PREFIX + node, token)

    async def close(self) -> None:
        await self._redis.aclose()


class _Translated:
    """Turns the driver's errors into the port's."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, RedisError | OSError | TimeoutError):
            # The text may quote the address, with its password.
            raise LeasesUnavailable(f"Redis: {type(error).__name__}") from None
