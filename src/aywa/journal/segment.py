"""One journal file: records one after the other, each with its length and checksum, so that a cut or damaged end shows.

Layout of a record: length (uint32 LE) of the body, CRC-32 of it (uint32 LE), the body in MessagePack:
[call_id, org_id, seq, at_s, role, kind, data].
"""

from __future__ import annotations

import dataclasses
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ormsgpack

from aywa.ports.journal import JournalRecord

_HEAD = struct.Struct("<II")
MAX_RECORD_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 64
_OPTIONS = ormsgpack.OPT_SERIALIZE_NUMPY | ormsgpack.OPT_NON_STR_KEYS


class JournalDamaged(Exception):
    """A journal file cannot be read on from here: names the file and the byte.

    next: where reading may be tried again when only this one record is bad; None when its end is not known.
    """

    def __init__(self, path: Path, offset: int, why: str, next_: int | None = None) -> None:
        super().__init__(f"{path.name}: damaged at byte {offset}: {why}")
        self.path = path
        self.offset = offset
        self.next = next_


@dataclass(frozen=True, slots=True)
class Placed:
    """A record and the byte after it."""

    record: JournalRecord
    end: int


def encode(call_id: str, org_id: str, seq: int, at_s: float, role: str, kind: str, data: object) -> bytes:
    """The record as it stands in the file. data: a mapping or a dataclass. Never raises: what MessagePack cannot hold (a
    client's number of 70 bits, half a surrogate pair) is kept as text, and data past the limit by its size alone."""
    head = (call_id, org_id, seq, at_s, role, kind)
    try:
        body = ormsgpack.packb([*head, data], option=_OPTIONS)
    except TypeError:
        body = ormsgpack.packb(_storable([*head, data]), option=_OPTIONS)
    if len(body) > MAX_RECORD_BYTES:
        body = ormsgpack.packb(_storable([*head, {"dropped_bytes": len(body)}]), option=_OPTIONS)
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def decode(body: bytes) -> JournalRecord:
    """The record of a body. Raises ValueError."""
    fields = ormsgpack.unpackb(body, option=ormsgpack.OPT_NON_STR_KEYS)
    if not isinstance(fields, list) or len(fields) != 7 or not isinstance(fields[6], dict):
        raise ValueError("not a record")
    return JournalRecord(*fields)


def body_of(framed: bytes) -> bytes:
    """The body of one encoded record."""
    return framed[_HEAD.size :]


def read_segment(path: Path, offset: int = 0) -> Iterator[Placed]:
    """The file's records from the offset on. Raises JournalDamaged where it cannot go on; what came before counts."""
    with path.open("rb") as file:
        file.seek(offset)
        while head := file.read(_HEAD.size):
            if len(head) < _HEAD.size:
                raise JournalDamaged(path, offset, "the last record is cut")
            length, checksum = _HEAD.unpack(head)
            if not 0 < length <= MAX_RECORD_BYTES:
                raise JournalDamaged(path, offset, "a length that no record has")
            body = file.read(length)
            if len(body) < length:
                raise JournalDamaged(path, offset, "the last record is cut")
            end = offset + _HEAD.size + length
            if zlib.crc32(body) != checksum:
                raise JournalDamaged(path, offset, "the checksum differs", end)
            try:
                record = decode(body)
            except ValueError:
                raise JournalDamaged(path, offset, "not a record", end) from None
            offset = end
            yield Placed(record, offset)


def _storable(value: Any, depth: int = 0) -> Any:
    """The value as far as MessagePack can hold it."""
    if value is None or isinstance(value, bool | float | bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int):
        # Not str(value): Python refuses to write out very long numbers in decimal.
        return value if -(2**63) <= value < 2**64 else hex(value)[:100]
    if depth >= MAX_DEPTH:
        return "…"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {_storable(key, MAX_DEPTH): _storable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset):
        return [_storable(item, depth + 1) for item in value]
    return value.__class__.__name__
