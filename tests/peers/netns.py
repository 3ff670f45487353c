"""A network namespace with one cable to this one, for peers that bind every address there is. Needs root, and iproute2's `ip`."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

# Of RFC 2544's range for tests of networks, which nothing else here uses.
_NETWORKS = (f"198.18.{number}" for number in itertools.count(os.getpid() % 200))


class NoNamespace(RuntimeError):
    """None can be made here. The text says why."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """host: this side's address; peer: that inside."""

    name: str
    host: str
    peer: str

    def command(self, *command: str) -> tuple[str, ...]:
        """As it is run inside."""
        return ("ip", "netns", "exec", self.name, *command)


def ip(*words: str) -> None:
    """Runs it. Raises NoNamespace with what it said."""
    try:
        subprocess.run(("ip", *words), check=True, capture_output=True, text=True, timeout=10)
    except subprocess.CalledProcessError as error:
        raise NoNamespace(f"`ip {' '.join(words)}`: {error.stderr.strip()}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoNamespace(f"`ip` cannot be run: {error}") from error


@contextmanager
def namespace() -> Iterator[Namespace]:
    """Made, and gone at the end with its cable. Raises NoNamespace."""
    network = next(_NETWORKS)
    name = f"aywa{os.getpid()}n{network.rpartition('.')[2]}"
    made = Namespace(name, f"{network}.1", f"{network}.2")
    outer, inner = f"ay{name[-8:]}o", f"ay{name[-8:]}i"
    ip("netns", "add", name)
    try:
        ip("link", "add", outer, "type", "veth", "peer", "name", inner)
        ip("link", "set", inner, "netns", name)
        ip("addr", "add", f"{made.host}/30", "dev", outer)
        ip("link", "set", outer, "up")
        for words in (
            ("link", "set", "lo", "up"),
            ("addr", "add", f"{made.peer}/30", "dev", inner),
            ("link", "set", inner, "up"),
            # Programs that look for a way out find one; nobody at its end knows those addresses.
            ("route", "add", "default", "dev", inner),
        ):
            ip("-n", name, *words)
        yield made
    finally:
        # The cable goes with it; where it was never plugged in, by itself.
        with suppress(NoNamespace):
            ip("netns", "del", name)
        with suppress(NoNamespace):
            ip("link", "del", outer)
