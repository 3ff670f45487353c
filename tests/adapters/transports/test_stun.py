"""STUN's socket against a server on loopback: what it sees, what is lost, what is refused."""

from __future__ import annotations

import asyncio
import shutil
import socket
from pathlib import Path

import pytest

from aywa.adapters.transports.stun import StunSocket, Told, ask_all, public_host
from aywa.core.stun import Mapped, Refused, Timers, Unanswered
from tests.adapters.transports.stun_server import stun_server

LOCAL = ("127.0.0.1", 0)
QUICK = Timers(rto_s=0.02, sends=3, last_wait=2)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_server_says_where_it_sees_us(host: str) -> None:
    async with stun_server(host=host) as server, StunSocket((host, 0)) as ours:
        assert await ours.ask(server.place) == Mapped(*ours.local)
        assert server.asked == [ours.local]


async def test_what_is_lost_is_asked_again() -> None:
    async with stun_server(("203.0.113.9", 4711), deaf=2) as server:
        assert await ask_all(LOCAL, [server.place], QUICK) == [
            Told(server.place, Mapped("203.0.113.9", 4711))
        ]
        assert len(server.asked) == 3


async def test_all_are_asked_from_one_port_and_at_once() -> None:
    async with (
        stun_server(("203.0.113.9", 1)) as one,
        stun_server(error=500) as two,
        stun_server(deaf=99) as three,
    ):
        told = await ask_all(LOCAL, [one.place, two.place, three.place], QUICK)
        assert [each.outcome for each in told] == [
            Mapped("203.0.113.9", 1),
            Refused(500, "No"),
            Unanswered("it does not answer"),
        ]
        assert len({*one.asked, *two.asked, *three.asked}) == 1


async def test_the_first_that_answers_counts() -> None:
    async with stun_server(deaf=99) as mute, stun_server(("203.0.113.9", 1)) as server:
        assert await public_host(LOCAL, [mute.place, server.place], QUICK) == "203.0.113.9"
        assert await public_host(LOCAL, [mute.place], QUICK) == Told(
            mute.place, Unanswered("it does not answer")
        )


async def test_a_server_without_an_address_of_our_kind() -> None:
    async with StunSocket(LOCAL, QUICK) as ours:
        for name in ("::1", "nobody.invalid", "x" * 80 + ".example"):
            assert await ours.ask((name, 3478)) == Unanswered("it has no address of our kind")


async def test_a_port_that_is_taken_is_an_error_of_the_system() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(LOCAL)
        with pytest.raises(OSError, match="in use"):
            await ask_all(taken.getsockname(), [("127.0.0.1", 9)], QUICK)


@pytest.mark.skipif(shutil.which("turnserver") is None, reason="needs Debian's coturn")
@pytest.mark.all
async def test_a_real_server(tmp_path: Path) -> None:
    """coturn, which is nobody's idea of ours."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(LOCAL)
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        "turnserver", "-S", "-n", "-L", "127.0.0.1", "-p", str(port), "--no-cli", "--no-tls", "--no-dtls",
        "--no-stdout-log", "--log-file", str(tmp_path / "log"), "--pidfile", str(tmp_path / "pid"),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        # It takes a moment to listen; what is sent before that is lost, as on any network.
        async with StunSocket(LOCAL, Timers(sends=7)) as ours:
            assert await ours.ask(("127.0.0.1", port)) == Mapped(*ours.local)
    finally:
        process.terminate()
        await process.wait()
