"""What PostgreSQL and Valkey themselves saw of the nodes: who wrote which row from which address, whose the call was just then,
and when each node showed itself. Nothing of it is asked of the runtimes."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import asyncpg

from tests.peers.networks import Machine, inside
from tests.peers.valkey import Valkey

# A deferred trigger looks when the transaction is about to be over: whose the call is by then is what counts.
_SEE = """
CREATE SCHEMA onlooker;
CREATE TABLE onlooker.writes (n bigserial, at_s float8, call_id text, seq bigint, client text, owner text);
CREATE TABLE onlooker.owners (n bigserial, at_s float8, call_id text, owner text);
CREATE TABLE onlooker.beats (at_s float8, node text);
CREATE FUNCTION onlooker.now_s() RETURNS float8 LANGUAGE sql AS 'SELECT extract(epoch FROM clock_timestamp())::float8';
CREATE FUNCTION onlooker.wrote() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO onlooker.writes (at_s, call_id, seq, client, owner) SELECT onlooker.now_s(), NEW.call_id, NEW.seq,
    host(inet_client_addr()), (SELECT lease_owner FROM public.calls WHERE id = NEW.call_id);
  RETURN NULL;
END $$;
CREATE FUNCTION onlooker.owned() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS $$ BEGIN
  IF TG_OP = 'INSERT' OR NEW.lease_owner IS DISTINCT FROM OLD.lease_owner THEN
    INSERT INTO onlooker.owners (at_s, call_id, owner) VALUES (onlooker.now_s(), NEW.id, NEW.lease_owner);
  END IF;
  RETURN NULL;
END $$;
CREATE FUNCTION onlooker.beaten() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO onlooker.beats (at_s, node) VALUES (onlooker.now_s(), NEW.id);
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER onlooker AFTER INSERT ON call_events DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION onlooker.wrote();
CREATE TRIGGER onlooker AFTER INSERT OR UPDATE ON calls FOR EACH ROW EXECUTE FUNCTION onlooker.owned();
CREATE TRIGGER onlooker AFTER INSERT OR UPDATE ON nodes FOR EACH ROW EXECUTE FUNCTION onlooker.beaten();
"""
# `+1700000000.123456 [0 lua] "SET" "aywa:node:NAME" "TOKEN" "PX" "1500"`: a renewal that was taken.
_RENEWED = re.compile(r'\+?(\d+\.\d+) \[\d+ lua\] "SET" "aywa:node:([^"]+)"')


@dataclass(frozen=True)
class Seen:
    """Of some calls. stale: rows that were written from a node's address while the call was another's; doubles: calls that two
    wrote in turn, or that were taken from a node which had shown itself less than dead_s before; taken: calls that changed
    hands."""

    stale: tuple[str, ...] = ()
    doubles: tuple[str, ...] = ()
    taken: frozenset[str] = frozenset()


@dataclass
class Onlooker:
    """database: as its superuser. dead_s: how long a node must be silent."""

    database: str
    dead_s: float
    renewals: list[tuple[float, str]] = field(default_factory=list)

    async def begin(self) -> None:
        """Once the schema is there."""
        connection = await asyncpg.connect(self.database)
        try:
            await connection.execute(_SEE)
        finally:
            await connection.close()

    async def seen(self, calls: Collection[str], names: Mapping[str, str]) -> Seen:
        """names: of the nodes, by the addresses from which they reach the database."""
        connection = await asyncpg.connect(self.database)
        try:
            writes = await connection.fetch(
                "SELECT at_s, call_id, seq, client, owner FROM onlooker.writes WHERE call_id = ANY ($1) ORDER BY n",
                list(calls),
            )
            owners = await connection.fetch(
                "SELECT at_s, call_id, owner FROM onlooker.owners WHERE call_id = ANY ($1) ORDER BY n",
                list(calls),
            )
            beats = await connection.fetch("SELECT at_s, node FROM onlooker.beats")
        finally:
            await connection.close()
        shown = [*self.renewals, *((row["at_s"], row["node"]) for row in beats)]
        return judged(
            [(row["at_s"], row["call_id"], row["seq"], names.get(row["client"], row["client"]), row["owner"]) for row in writes],
            [tuple(row) for row in owners],
            shown,
            self.dead_s,
        )  # fmt: skip

    @contextmanager
    def listening(self, leases: Valkey, machine: Machine) -> Iterator[None]:
        """To every command that Valkey takes, over its restarts."""
        ended = threading.Event()
        thread = threading.Thread(target=self._listen, args=(leases, machine, ended))
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _listen(self, leases: Valkey, machine: Machine, ended: threading.Event) -> None:
        while not ended.wait(0.05):
            try:
                with inside(machine):
                    connection = socket.create_connection((leases.host, leases.port), 1.0)
                with connection:
                    self._follow(connection, ended)
            except OSError:
                continue

    def _follow(self, connection: socket.socket, ended: threading.Event) -> None:
        connection.settimeout(0.2)
        connection.sendall(b"MONITOR\r\n")
        rest = b""
        while not ended.is_set():
            try:
                piece = connection.recv(1 << 16)
            except TimeoutError:
                continue
            if not piece:
                return
            *lines, rest = (rest + piece).split(b"\r\n")
            for line in lines:
                if found := _RENEWED.match(line.decode("utf-8", "replace")):
                    self.renewals.append((float(found[1]), found[2]))


def judged(
    writes: list[tuple[float, str, int, str, str]],
    owners: list[tuple[float, str, str]],
    shown: list[tuple[float, str]],
    dead_s: float,
) -> Seen:
    """writes: when, call, row, by whom, whose it was; owners: when, call, whose it was from then on; shown: when, node. All in
    the order in which they happened."""
    stale = [
        f"{call_id}:{seq} by {by}, was {owner}'s" for _, call_id, seq, by, owner in writes if by != owner
    ]
    held: dict[str, str] = {}
    turns: dict[str, int] = {}
    doubles, taken = [], set()
    for at_s, call_id, owner in owners:
        before = held.get(call_id)
        held[call_id] = owner
        if before is None or before == owner:
            continue
        taken.add(call_id)
        turns[call_id] = turns.get(call_id, 0) + 1
        last_s = max((one_s for one_s, node in shown if node == before and one_s <= at_s), default=0.0)
        if at_s - last_s < dead_s:
            doubles.append(f"{call_id} taken from {before}, which was heard {at_s - last_s:.2f} s before")
    writers: dict[str, list[str]] = {}
    for _, call_id, _, by, _ in writes:
        own = writers.setdefault(call_id, [])
        if not own or own[-1] != by:
            own.append(by)
    doubles += [
        f"{call_id} written by {own}"
        for call_id, own in writers.items()
        if len(own) - 1 > turns.get(call_id, 0)
    ]
    return Seen(tuple(stale), tuple(doubles), frozenset(taken))
