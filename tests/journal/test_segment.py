"""What was written is read again, and damage is named by file and byte."""

from __future__ import annotations

import json
import struct
import types
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.journal import segment
from aywa.journal.segment import JournalDamaged, body_of, decode, encode, read_segment
from aywa.ports.journal import JournalRecord
from tests.journal.stores import framed, said, started

HEAD_BYTES = 8


def read(path: Path, offset: int = 0) -> tuple[list[JournalRecord], JournalDamaged | None]:
    records: list[JournalRecord] = []
    try:
        for placed in read_segment(path, offset):
            records.append(placed.record)  # noqa: PERF401 - what came before the damage counts
    except JournalDamaged as damage:
        return records, damage
    return records, None


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "00000001.journal"
    path.write_bytes(data)
    return path


def test_records_come_back_in_order_and_from_any_record_on(tmp_path: Path) -> None:
    path = write(tmp_path, framed(started(), said(2), said(3)))
    placed = list(read_segment(path))
    assert [p.record.seq for p in placed] == [1, 2, 3]
    assert placed[-1].end == path.stat().st_size
    assert [r.seq for r in read(path, placed[0].end)[0]] == [2, 3]
    assert read(path, placed[-1].end) == ([], None)
    assert read(path, 10_000) == ([], None)


STORED = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(data=st.dictionaries(st.text(), STORED, max_size=4), at_s=st.floats(0, 1e6), text=st.text())
def test_a_round_trip_changes_nothing(data: dict[str, Any], at_s: float, text: str) -> None:
    record = ("c", text, 7, at_s, "event", "Kind", data)
    assert decode(body_of(encode(*record))) == JournalRecord(*record)


@dataclass(frozen=True, slots=True)
class Words:
    words: tuple[tuple[str, float], ...]
    sound: bytes


def test_a_dataclass_is_kept_by_its_fields() -> None:
    written = encode("c", "o", 1, 0.0, "event", "Words", Words((("mhm", 0.5),), b"\x00\xff"))
    assert decode(body_of(written)).data == {"words": [["mhm", 0.5]], "sound": b"\x00\xff"}


HOSTILE: list[tuple[Any, Any]] = [
    # Numbers and halves of surrogate pairs that a client's JSON may hold.
    (json.loads("1180591620717411303424"), "0x400000000000000000"),
    (json.loads("-1180591620717411303424"), "-0x400000000000000000"),
    (json.loads(r'"\ud800 hello"'), "\\ud800 hello"),
    (json.loads(r'{"\udfff": 1}'), {"\\udfff": 1}),
    (10**100_000, hex(10**100_000)[:100]),
    (types.MappingProxyType({"a": 1}), {"a": 1}),
    ({1}, [1]),
    (object(), "object"),
    (Words((("\ud800", 1.0),), b""), {"words": [["\\ud800", 1.0]], "sound": b""}),
]


@pytest.mark.parametrize(("given_", "kept"), HOSTILE, ids=range(len(HOSTILE)))
def test_what_the_encoding_cannot_hold_is_kept_as_text(given_: Any, kept: Any) -> None:
    written = encode("c", "o", 1, 0.0, "event", "ClientMessageReceived", {"message": given_})
    assert decode(body_of(written)).data == {"message": kept}


def test_nesting_without_end_is_cut() -> None:
    deep: Sequence[Any] = []
    for _ in range(5000):
        deep = [deep]
    data = decode(body_of(encode("c", "o", 1, 0.0, "event", "Kind", {"deep": deep}))).data["deep"]
    depth = 0
    while isinstance(data, list):
        data, depth = data[0], depth + 1
    assert data == "…"
    assert depth < 100


def test_a_record_past_the_limit_keeps_its_place_and_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "MAX_RECORD_BYTES", 1000)
    record = decode(body_of(encode("c", "o", 5, 1.5, "event", "Kind", {"text": "x" * 2000})))
    assert (record.seq, record.kind) == (5, "Kind")
    assert record.data["dropped_bytes"] > 2000


# --- damage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [1, HEAD_BYTES - 1, HEAD_BYTES, HEAD_BYTES + 1])
def test_a_cut_tail_is_named_and_costs_only_itself(tmp_path: Path, left: int) -> None:
    whole = framed(started(), said(2))
    path = write(tmp_path, whole + framed(said(3))[:left])
    records, damage = read(path)
    assert [r.seq for r in records] == [1, 2]
    assert damage is not None
    assert str(damage) == f"00000001.journal: damaged at byte {len(whole)}: the last record is cut"
    assert damage.next is None


@given(place=st.integers(0, 10_000), mask=st.integers(1, 255))
def test_any_damaged_byte_is_found(tmp_path_factory: pytest.TempPathFactory, place: int, mask: int) -> None:
    data = bytearray(framed(started(), said(2), said(3)))
    place %= len(data)
    data[place] ^= mask
    path = write(tmp_path_factory.mktemp("damaged"), bytes(data))
    records, damage = read(path)
    assert damage is not None
    assert damage.path == path
    assert damage.offset <= place
    assert [r.seq for r in records] == list(range(1, len(records) + 1))
    assert len(records) < 3


def test_after_one_bad_record_reading_can_go_on(tmp_path: Path) -> None:
    first, second = framed(started()), framed(said(2))
    path = write(tmp_path, first + second[:-1] + bytes([second[-1] ^ 1]) + framed(said(3)))
    _, damage = read(path)
    assert damage is not None
    assert damage.next == len(first) + len(second)
    assert [r.seq for r in read(path, damage.next)[0]] == [3]


@pytest.mark.parametrize("length", [0, segment.MAX_RECORD_BYTES + 1, 2**32 - 1])
def test_a_length_that_no_record_has(tmp_path: Path, length: int) -> None:
    path = write(tmp_path, framed(started()) + struct.pack("<II", length, 0) + b"x" * 100)
    records, damage = read(path)
    assert [r.seq for r in records] == [1]
    assert damage is not None
    assert "a length that no record has" in str(damage)


def test_a_tail_of_zeros_as_a_power_cut_leaves_it(tmp_path: Path) -> None:
    path = write(tmp_path, framed(started()) + bytes(4096))
    records, damage = read(path)
    assert [r.seq for r in records] == [1]
    assert damage is not None


@pytest.mark.parametrize("body", [b"\xc1", b"\x01", b"\x91\x01", b"\x97" + b"\x01" * 7])
def test_a_body_that_is_whole_but_not_a_record(tmp_path: Path, body: bytes) -> None:
    head = struct.pack("<II", len(body), zlib.crc32(body))
    path = write(tmp_path, head + body + framed(said(3)))
    records, damage = read(path)
    assert records == []
    assert damage is not None
    assert damage.next == HEAD_BYTES + len(body)
