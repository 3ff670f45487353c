"""Whether Redis or Valkey answers, lets us in, and keeps what it is given. Writes one key of its own, and takes it away."""

from __future__ import annotations

import asyncio
import secrets

from aywa.boot.finding import Finding
from aywa.boot.production.codes import REDIS, fault

ANSWER_S, ALL_S = 10.0, 20.0
OLDEST = (6, 2)
_URL = f"{REDIS}=rediss://:PASSWORD@HOST:6379/0"
_KEY_MS = 10_000


async def ask_redis(url: str) -> list[Finding]:
    """All that is wrong there."""
    from redis import asyncio as redis
    from redis import exceptions

    try:
        client = redis.Redis.from_url(
            url, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S, decode_responses=True, retry=None
        )
    except ValueError:
        return [fault("redis.unreachable", REDIS, "Redis's address cannot be used", _URL)]
    try:
        async with asyncio.timeout(ALL_S):
            return [*await _writes(client), *await _server(client)]
    except exceptions.AuthenticationError:
        return [fault("redis.password", REDIS, "Redis refuses the user or the password", _URL)]
    except exceptions.RedisError as error:
        # NOAUTH comes as a plain error of the server's where no password was given at all.
        if "NOAUTH" in str(error) or "WRONGPASS" in str(error):
            return [fault("redis.password", REDIS, "Redis wants a password", _URL)]
        return [fault("redis.unreachable", REDIS, f"Redis cannot be reached ({type(error).__name__})", _URL)]
    except (OSError, TimeoutError) as error:
        return [fault("redis.unreachable", REDIS, f"Redis cannot be reached ({type(error).__name__})", _URL)]
    finally:
        await client.aclose()


async def _writes(client: object) -> list[Finding]:
    from redis import exceptions
    from redis.asyncio import Redis

    assert isinstance(client, Redis)
    key = f"aywa:doctor:{secrets.token_hex(8)}"
    try:
        await client.set(key, "1", px=_KEY_MS, nx=True)
        await client.delete(key)
    except exceptions.ReadOnlyError:
        return [
            fault(
                "redis.read_only", REDIS, "Redis is a replica: it takes no writes", f"{_URL} of the primary"
            )
        ]
    except exceptions.NoPermissionError:
        mend = "ACL SETUSER aywa on >PASSWORD ~aywa:* +@all"
        return [fault("redis.read_only", REDIS, "the user may not write there", mend)]
    except exceptions.OutOfMemoryError:
        return [fault("redis.full", REDIS, "Redis's memory is full", "CONFIG SET maxmemory 256mb")]
    except exceptions.ResponseError as error:
        if "MISCONF" in str(error):
            return [
                fault(
                    "redis.read_only",
                    REDIS,
                    "Redis cannot save its snapshot, and takes no writes",
                    "make room there",
                )
            ]
        raise
    return []


async def _server(client: object) -> list[Finding]:
    from redis import exceptions
    from redis.asyncio import Redis

    assert isinstance(client, Redis)
    try:
        memory, server = await client.info("memory"), await client.info("server")
    except exceptions.NoPermissionError:
        return []
    found = []
    policy = str(memory.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        told = f"Redis evicts keys when its memory is full (maxmemory-policy {policy})"
        found.append(fault("redis.evicts", REDIS, told, "CONFIG SET maxmemory-policy noeviction"))
    version = str(server.get("redis_version", "")).split(".")
    if (
        all(part.isdigit() for part in version[:2])
        and len(version) > 1
        and (int(version[0]), int(version[1])) < OLDEST
    ):
        told = f"Redis is {'.'.join(version)[:20]}; {OLDEST[0]}.{OLDEST[1]} is the oldest that is supported"
        found.append(fault("redis.old", REDIS, told, "upgrade it"))
    return found
