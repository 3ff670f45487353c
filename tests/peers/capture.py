"""Whoever is sent a packet out of a network namespace (packet(7)), whatever sent it and however: inside a program of its own, and
outside `captured`."""

from __future__ import annotations

import ipaddress
import json
import signal
import socket
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.peers.netns import Namespace

STOP_S = 10.0
_POLL_S = 0.1
_BUFFER_BYTES = 8 << 20
_TCP, _UDP = 6, 17
_IPV4, _ARP, _IPV6 = 0x0800, 0x0806, 0x86DD
# asm-generic/socket.h, linux/socket.h, linux/if_packet.h: what `socket` has no names for.
_SO_RCVBUFFORCE, _SOL_PACKET, _PACKET_STATISTICS = 33, 263, 6


@dataclass
class Capture:
    """What was sent, once the context is over. packets: in all, this machine's to itself included. contacts: address and port, 0
    where there is none, with the number of packets; without this machine itself."""

    packets: int = 0
    contacts: dict[tuple[str, int], int] = field(default_factory=dict)


@contextmanager
def captured(apart: Namespace) -> Iterator[Capture]:
    """From now until the end of the context. Fails if a packet was lost."""
    capture = Capture()
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        apart.command(sys.executable, "-m", "tests.peers.capture"),
        cwd=root,
        env={"PYTHONPATH": f"{root}:{root / 'src'}"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "taking\n"
        try:
            yield capture
        finally:
            process.send_signal(signal.SIGTERM)
            told = json.loads(process.communicate(timeout=STOP_S)[0])
    assert told["lost"] == 0, f"{told['lost']} packets were not seen"
    for host, port, count in told["sent"]:
        capture.packets += count
        if not ipaddress.ip_address(host).is_loopback:
            capture.contacts[host, port] = count


def destination(kind: int, packet: bytes) -> tuple[str, int] | None:
    """To whom, by its kind (an EtherType); None for what this does not know."""
    if kind == _ARP:
        # Who is looked for in vain is contacted, too (RFC 826).
        return socket.inet_ntop(socket.AF_INET, packet[24:28]), 0
    if kind == _IPV4:
        host, head, protocol = (
            socket.inet_ntop(socket.AF_INET, packet[16:20]),
            (packet[0] & 15) * 4,
            packet[9],
        )
    elif kind == _IPV6:
        host, head, protocol = socket.inet_ntop(socket.AF_INET6, packet[24:40]), 40, packet[6]
    else:
        return None
    return host, int.from_bytes(packet[head + 2 : head + 4], "big") if protocol in (_TCP, _UDP) else 0


def _take() -> None:
    """Until SIGTERM; then tells what was sent, as JSON."""
    going = [True]
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    sent: Counter[tuple[str, int]] = Counter()
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3)) as taken:
        taken.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        taken.settimeout(_POLL_S)
        print("taking", flush=True)
        while True:
            try:
                packet, place = taken.recvfrom(65535)
            except TimeoutError:
                # What was sent before the signal is still read.
                if not going:
                    break
                continue
            to = destination(place[1], packet) if place[2] == socket.PACKET_OUTGOING else None
            if to is not None:
                sent[to] += 1
        _, lost = struct.unpack("II", taken.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
    print(json.dumps({"sent": [(*to, count) for to, count in sent.items()], "lost": lost}), flush=True)


if __name__ == "__main__":
    _take()
