"""Machines in network namespaces of their own, and the networks between them: a bridge each, a cable from each machine to each
network it is on. A cable can be pulled and plugged in again. Needs root, and iproute2's `ip`.

A pulled cable is a hole, as in real life: what is sent disappears, and nobody is told.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.peers.netns import NoNamespace, ip

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_NAME_LENGTH = 15
"""Of a network interface's."""
_OURS = 1
"""The last part of this process's own address; machines have those after it."""


@dataclass(frozen=True)
class Machine:
    """addresses: on each of its networks."""

    name: str
    namespace: str
    addresses: dict[str, str]

    def at(self, network: str) -> str:
        """Its address there."""
        return self.addresses[network]


@dataclass
class Networks:
    """names: of the networks; the first is the one that this process is on as well."""

    names: Sequence[str]
    machines: dict[str, Machine] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Of RFC 2544's range for tests of networks; netns.py has the lower half of it.
        self._third = os.getpid() % 31 * 8
        self._hub = f"aywa{os.getpid()}hub"

    @property
    def all(self) -> str:
        """Every address there is here."""
        return f"198.19.{self._third}.0/21"

    @property
    def own(self) -> str:
        """This process's address on the first network."""
        return self._address(0, _OURS)

    def machine(self, name: str, *on: str) -> Machine:
        """Makes one with a cable to each of these networks. Raises NoNamespace."""
        last = _OURS + 1 + len(self.machines)
        addresses = {network: self._address(self.names.index(network), last) for network in on}
        made = Machine(name, f"aywa{os.getpid()}{name}", addresses)
        ip("netns", "add", made.namespace)
        self.machines[name] = made
        ip("-n", made.namespace, "link", "set", "lo", "up")
        for network, address in addresses.items():
            port = _port(made, network)
            _cable((port, self._hub), (network, made.namespace))
            ip("-n", self._hub, "link", "set", port, "master", network, "up")
            ip("-n", made.namespace, "addr", "add", f"{address}/24", "dev", network)
            ip("-n", made.namespace, "link", "set", network, "up")
        return made

    def pull(self, machine: Machine, *networks: str) -> None:
        """Out of the switch, so that the machine's own addresses and routes stay as they are."""
        for network in networks:
            ip("-n", self._hub, "link", "set", _port(machine, network), "down")

    def plug(self, machine: Machine, *networks: str) -> None:
        """In again."""
        for network in networks:
            ip("-n", self._hub, "link", "set", _port(machine, network), "up")

    def open(self) -> None:
        """Raises NoNamespace."""
        ip("netns", "add", self._hub)
        for name in self.names:
            # Without a delay a cable that is plugged in carries at once.
            ip("-n", self._hub, "link", "add", name, "type", "bridge", "forward_delay", "0", "stp_state", "0")
            ip("-n", self._hub, "link", "set", name, "up")
        ours = self._our_end
        _cable(("ours", self._hub), (ours, ""))
        ip("-n", self._hub, "link", "set", "ours", "master", self.names[0], "up")
        ip("addr", "add", f"{self.own}/24", "dev", ours)
        ip("link", "set", ours, "up")

    def close(self) -> None:
        """Everything is gone."""
        for namespace in (*(one.namespace for one in self.machines.values()), self._hub):
            with suppress(NoNamespace):
                ip("netns", "del", namespace)
        with suppress(NoNamespace):
            # It goes with its other end; where that was never made, by itself.
            ip("link", "del", self._our_end)

    @property
    def _our_end(self) -> str:
        return f"ay{os.getpid()}"[:_NAME_LENGTH]

    def _address(self, network: int, last: int) -> str:
        return f"198.19.{self._third + network}.{last}"


@contextmanager
def networks(*names: str) -> Iterator[Networks]:
    """These, for a while. Raises NoNamespace."""
    made = Networks(names)
    try:
        made.open()
        yield made
    finally:
        made.close()


@contextmanager
def inside(machine: Machine) -> Iterator[None]:
    """What this thread opens and starts meanwhile is there. Nothing must be awaited in it: the loop's thread is this one."""
    with (
        Path("/proc/thread-self/ns/net").open() as ours,
        Path(f"/run/netns/{machine.namespace}").open() as there,
    ):
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(ours.fileno())


def _enter(namespace: int) -> None:
    if _LIBC.setns(namespace, _CLONE_NEWNET):
        raise NoNamespace(f"setns: {os.strerror(ctypes.get_errno())}")


def _cable(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Between two namespaces, an interface in each; the empty one is this process's."""
    there = ("netns", other[1]) if other[1] else ("netns", str(os.getpid()))
    ip("-n", one[1], "link", "add", one[0], "type", "veth", "peer", "name", other[0], *there)


def _port(machine: Machine, network: str) -> str:
    return f"{machine.name}-{network}"[:_NAME_LENGTH]
