"""A bundle of a home full of secrets: none is in it. One whose redaction is broken: there is none."""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import json
import os
import random
import sqlite3
import stat
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from aywa.boot.support import bundle as bundles
from aywa.boot.support.bundle import Refused, made, written
from aywa.boot.support.doctor import read
from aywa.boot.support.place import Place
from aywa.core.support import patterns, redaction, scan, shape
from aywa.core.support.contents import MANIFEST, SHAPES
from aywa.core.support.trial import SAMPLES, filled
from aywa.core.webhooks import Cause
from tests.boot.support.home import HEALTHY, Home, answering, place, running

COUNT, KINDS = 500, 40
PIECE = 8


@dataclass(frozen=True)
class Planted:
    """text: as it is planted; random: what of it must be nowhere."""

    kind: str
    place: str
    text: str
    random: str

    def written(self, how: int) -> str:
        """In one of the ways in which texts are written."""
        data = self.text.encode()
        return (
            self.text,
            json.dumps(self.text)[1:-1],
            quote(self.text, safe=""),
            base64.b64encode(b"u:" + data).decode(),
            data.hex(),
        )[how]

    def remains(self, content: bytes) -> bool:
        """A piece of it, in any of them."""
        data = self.random.encode()
        shown = {
            self.random[:12].encode(),
            self.random[-12:].encode(),
            quote(self.random, safe="")[:12].encode(),
        }
        shown |= {data.hex()[:24].encode(), data.hex()[:24].upper().encode()}
        for before in range(3):
            shown.add(base64.b64encode(bytes(before) + data)[4:16])
        return any(len(piece) >= PIECE and piece in content for piece in shown)


KNOWN_PLACES = ("environment", "address", "file", "credential", "api-key", "server-address")
OPEN_PLACES = (
    "log",
    "reason",
    "event",
    "setting",
    "readiness",
    "trunk",
    "document",
    "assistant",
    "folder",
    "journal",
    "body",
)


def planted() -> list[Planted]:
    chance = random.Random(7).randrange
    kinds = [
        kind
        for kind in SAMPLES
        if kind not in ("card", "mail-address", "telephone-number", "digest", "pem", "opaque")
    ][:KINDS]
    places = KNOWN_PLACES + OPEN_PLACES
    found = []
    for number in range(COUNT):
        kind = kinds[number % len(kinds)]
        text, longest = filled(SAMPLES[kind], chance)
        found.append(Planted(kind, places[number % len(places)], text, longest))
    return found


class Garden:
    """Where they are planted: each known one also leaks, in every form, through fields that the allow-list names."""

    def __init__(self, tmp: Path) -> None:
        self.planted = planted()
        self.environment: dict[str, str] = {}
        self.folder = tmp / "home"
        self.answers: dict[str, Any] = json.loads(json.dumps(HEALTHY))
        leaked = [
            one.written(number % 5) for number, one in enumerate(self.planted) if one.place in KNOWN_PLACES
        ]
        self.home = Home(
            self.folder,
            calls=self._calls(leaked),
            servers=[
                (f"https://u:{quote(one.text, safe='')}@a{n}.example/h", Cause.ANSWERED, 500)
                for n, one in enumerate(self._of("server-address"))
            ],
            credentials=[("deepgram", {"apiKey": one.text}) for one in self._of("credential")],
            assistants=[
                {
                    "name": one.text,
                    "model": {"provider": one.text},
                    "server": {"url": f"https://a.example/{one.text}"},
                }
                for one in self._of("assistant")
            ],
            keys=[one.text for one in self._of("api-key")],
        )
        self.home.made()
        self._environment()
        self._files(leaked)
        self._answers(leaked)

    def _of(self, where: str) -> list[Planted]:
        return [one for one in self.planted if one.place == where]

    def _calls(self, leaked: list[str]) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = []
        for one, event in zip(self._of("reason"), self._of("event"), strict=False):
            secret = event.text
            data = {"kind": "llm", "route": secret, "code": secret, "message": secret, "text": secret}
            decision = {"machine": secret, "decision": secret, "reason": secret, "details": {"x": secret}}
            calls.append(
                {
                    "endedReason": one.text,
                    "endedMessage": one.text,
                    "messages": [{"role": "user", "message": one.text}],
                    "events": [("RouteFailed", data), ("RecordDecision", decision)],
                }
            )
        for start in range(0, len(leaked), 5):
            some = leaked[start : start + 5]
            events = [("RouteFailed", {"kind": "llm", "route": text, "code": text}) for text in some]
            calls.append({"endedReason": some[0], "events": events})
        for one, body in zip(self._of("document"), self._of("body"), strict=False):
            costs = [{"type": "transcriber", "transcriber": {"provider": one.text}}]
            said = {
                "metadata": {"k": one.text},
                "warnings": [{"code": one.text}],
                "name": one.text,
                "costs": costs,
            }
            overrides = {"headers": {"Authorization": body.text}}
            calls.append({**said, "assistantOverrides": overrides, "startedAt": body.text})
        return calls

    def _environment(self) -> None:
        for number, one in enumerate(self._of("environment")):
            self.environment[f"SERVICE_{number}_API_KEY"] = one.text
        for number, one in enumerate(self._of("address")):
            self.environment[f"URL_{number}"] = (
                f"https://user:{quote(one.text, safe='')}@host{number}.example/path"
            )
        for number, one in enumerate(self._of("setting")):
            self.environment[f"RUNTIME_UNKNOWN_{number}"] = one.text
            self.environment["RUNTIME_SIP_DIGEST"] = one.text
        for one in self._of("setting")[:1]:
            self.environment["RUNTIME_ACCOUNT_WEBHOOK_URL"] = f"http://127.0.0.1:9/{one.text}"

    def _files(self, leaked: list[str]) -> None:
        keys = self._of("file")
        (self.folder / "dev-key").write_text(keys[0].text)
        (self.folder / "sip-password").write_text(keys[1].text)
        (self.folder / "tls").mkdir()
        for number, one in enumerate(keys[2:]):
            (self.folder / "tls" / f"key{number}.pem").write_text(one.text)
        for one in self._of("folder"):
            (self.folder / one.text.replace("/", "_")[:200]).write_text("x")
        lines = [
            {
                "timestamp": "2026-11-23T12:00:00Z",
                "level": "warning",
                "event": text,
                "error": text,
                "reason": text,
                "detail": text,
                "host": text,
            }
            for text in [one.text for one in self._of("log")] + leaked
        ]
        (self.folder / "runtime.log").write_text(
            "".join(json.dumps(line) + "\n" for line in lines) + "plain " + leaked[0]
        )
        with (self.folder / "journal" / "00000001.journal").open("ab") as file:
            for one in self._of("journal"):
                file.write(one.text.encode())

    def _answers(self, leaked: list[str]) -> None:
        checks = {
            f"check{n}": {"ok": False, "problem": f"it said {one.text} then"}
            for n, one in enumerate(self._of("readiness"))
        }
        checks |= {f"leak{n}": {"ok": False, "problem": f"x {text} y"} for n, text in enumerate(leaked[:30])}
        self.answers["/readyz"] = {"status": "not ready", "checks": checks}
        self.answers["/trunks"] = [
            {
                "id": f"t{n}",
                "name": one.text,
                "state": "down",
                "reason": f"403 {one.text}",
                "gateways": [{"ip": one.text}],
            }
            for n, one in enumerate(self._of("trunk"))
        ]


@pytest.fixture(scope="module")
def garden(tmp_path_factory: pytest.TempPathFactory) -> Garden:
    return Garden(tmp_path_factory.mktemp("garden"))


@contextmanager
def at(garden: Garden) -> Iterator[Place]:
    with answering(garden.answers) as url:
        yield Place(garden.folder, garden.environment, url, "key-of-the-tests")


def unpacked(path: Path) -> bytes:
    """All that a reader of the file could see."""
    with gzip.open(path) as packed:
        return packed.read()


def test_five_hundred_secrets_of_forty_kinds_and_none_survives(garden: Garden, tmp_path: Path) -> None:
    assert len(garden.planted) == COUNT
    assert len({one.kind for one in garden.planted}) == KINDS
    assert len({one.place for one in garden.planted}) >= 12
    with at(garden) as where:
        began_s = time.monotonic()
        bundle = made(where)
        size = written(bundle, tmp_path / "b.tar.gz")
    assert time.monotonic() - began_s < 60
    assert size < 50 * 1024 * 1024
    content = unpacked(tmp_path / "b.tar.gz")
    assert [one for one in garden.planted if one.remains(content)] == []
    # It is not empty for that: what was asked for is there.
    files = read(tmp_path / "b.tar.gz")
    assert bundle.missing == {}
    assert len(files["calls.json"]["newest"]) == len(garden.home.calls) <= 100
    assert len(files["runtime.json"]["readiness"]["checks"]) > 30
    assert files["store.json"]["sealed"]["opened"] == files["store.json"]["sealed"]["rows"] > 50
    assert bundle.removed["known-secret"] > 100
    assert len(bundle.removed) > 15


def test_without_the_allow_list_the_passes_alone_leave_none(garden: Garden) -> None:
    """What the list would have stopped is taken out, too: each pass is one more, and none a decoration."""
    with at(garden) as where:
        found, _ = bundles._collected(where)
    known, _ = found.pop("secrets")
    assert len([one for one in garden.planted if one.remains(json.dumps(found).encode())]) > 300
    passes = redaction.KnownSecrets(known), redaction.LooksSecret()
    content = json.dumps(redaction.redacted(found, passes)).encode()
    assert [one for one in garden.planted if one.remains(content)] == []
    assert scan.leaks({"all": content.decode()}, known) == []


# --- a redaction that is broken --------------------------------------------------------------------------------------

Sabotage = Callable[[pytest.MonkeyPatch], None]


def same(_self: object, texts: list[str]) -> list[str]:
    return list(texts)


def without(kind: str) -> Sabotage:
    left = tuple(one for one in patterns._COMPILED if one[0] != kind)
    return lambda patch: patch.setattr(patterns, "_COMPILED", left)


SABOTAGE: Mapping[str, Sabotage] = {
    "known secrets are let through": lambda patch: patch.setattr(redaction.KnownSecrets, "__call__", same),
    "nothing looks like a secret": lambda patch: patch.setattr(redaction.LooksSecret, "__call__", same),
    "one pattern is gone": without("assignment"),
    "another one is": without("aws-id"),
    "the allow-list names everything": lambda patch: patch.setattr(
        shape, "kept", lambda value, of: (value, 0)
    ),
    "the last look sees nothing": lambda patch: patch.setattr(scan, "leaks", lambda files, secrets: []),
    "secrets are looked for as they are": lambda patch: patch.setattr(
        redaction, "forms", lambda one: {one.encode()}
    ),
    "nothing is known": lambda patch: patch.setattr(bundles, "known_secrets", lambda where: 1 / 0),
}


@pytest.mark.parametrize("how", SABOTAGE)
def test_a_broken_redaction_leaves_no_file(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    SABOTAGE[how](monkeypatch)
    with pytest.raises(Refused) as refused:
        _ = made(place(tmp_path / "home"))
    assert str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_what_a_pass_overlooks_the_last_look_finds(garden: Garden, monkeypatch: pytest.MonkeyPatch) -> None:
    """The passes prove themselves on samples, and then one forgets a secret of this very runtime."""
    forgotten = next(one for one in garden.planted if one.place == "credential" and len(one.random) > 20)
    built = redaction.KnownSecrets.__init__

    def forgets(self: redaction.KnownSecrets, secrets: Any) -> None:
        built(self, {one for one in secrets if forgotten.text not in one})

    monkeypatch.setattr(redaction.KnownSecrets, "__init__", forgets)
    monkeypatch.setattr(redaction.LooksSecret, "_once", lambda self, text: text)
    monkeypatch.setattr(bundles, "_try", lambda *_: None)
    with at(garden) as where, pytest.raises(Refused, match="still holds"):
        _ = made(where)


# --- what is broken elsewhere ----------------------------------------------------------------------------------------


def test_with_the_database_locked_by_somebody(garden: Garden) -> None:
    holder = sqlite3.connect(garden.folder / "aywa.db", isolation_level=None)
    try:
        holder.execute("PRAGMA locking_mode=EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        with at(garden) as where:
            bundle = made(where)
    finally:
        holder.close()
    content = "".join(bundle.files.values()).encode()
    assert [one for one in garden.planted if one.remains(content)] == []
    assert json.loads(bundle.files["store.json"])["problem"] == "locked"
    assert json.loads(bundle.files[MANIFEST])["secrets_of_the_store"] == "not known"


def test_with_a_database_that_takes_too_long(garden: Garden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aywa.boot.support.rows.QUERY_S", 0.0)
    monkeypatch.setattr("aywa.boot.support.rows.CHECK_EVERY", 1)
    with at(garden) as where:
        bundle = made(where)
    assert bundle.missing == {}
    assert json.loads(bundle.files["store.json"])["problem"] == "timed_out"
    assert json.loads(bundle.files["calls.json"])["newest"] == []
    assert json.loads(bundle.files[MANIFEST])["secrets_of_the_store"] == "not known"


def test_a_section_that_hangs_or_fails_does_not_take_the_others_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_place: Place) -> Mapping[str, Any]:
        raise ValueError("a secret may stand here")

    over = threading.Event()

    def hangs(_place: Place) -> Mapping[str, Any]:
        over.wait(30)
        return {}

    monkeypatch.setattr(bundles, "SECTIONS", {**bundles.SECTIONS, "calls.json": fails, "log.json": hangs})
    where = replace(place(tmp_path), until_s=time.monotonic() + 1.0)
    bundle = made(where)
    over.set()
    assert bundle.missing == {"calls.json": "ValueError", "log.json": "not there in time"}
    assert {"machine.json", "settings.json"} <= set(bundle.files)


def test_what_is_too_long_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "FILE_BYTES_MAX", 2000)
    monkeypatch.setattr(
        bundles, "SECTIONS", {"log.json": lambda _: {"lines": [{"event": f"e{n}"} for n in range(999)]}}
    )
    bundle = made(place(tmp_path))
    assert 10 < len(json.loads(bundle.files["log.json"])["lines"]) < 100
    monkeypatch.setattr(
        bundles, "SECTIONS", {"log.json": lambda _: {"events": {f"e{n}": n for n in range(999)}}}
    )
    assert json.loads(made(place(tmp_path)).files["log.json"]) is None


def test_it_is_written_whole_for_this_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = made(place(tmp_path))
    path = tmp_path / "b.tar.gz"
    written(bundle, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with tarfile.open(fileobj=io.BytesIO(unpacked(path))) as tar:
        names = {name.removeprefix("aywa-support/") for name in tar.getnames()}
    assert names == {*SHAPES, MANIFEST}
    monkeypatch.setattr(bundles, "BYTES_MAX", 100)
    with pytest.raises(Refused, match="larger"):
        written(bundle, tmp_path / "large.tar.gz")
    monkeypatch.undo()

    def full(_descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        written(bundle, tmp_path / "full.tar.gz")
    assert [each.name for each in tmp_path.iterdir()] == ["b.tar.gz"]


def test_a_runtime_that_runs_is_not_disturbed(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").made()
    with running(home) as where:
        bundle = made(where)
    assert json.loads(bundle.files["folder.json"])["lock"]["held"] is True
    assert asyncio.run(_rows(home)) == 1


async def _rows(home: Home) -> int:
    from aywa.adapters.stores.sqlite import open_sqlite

    store = await open_sqlite(home.folder / "aywa.db")
    try:
        return len(await store.organisations.list())
    finally:
        await store.close()
