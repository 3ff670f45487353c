"""One journal file: records one after the other, each with its length and checksum, so that a cut or damaged end shows.

Layout of a record: length (uint32 LE) of the body, CRC-32 of it (uint32 LE), the body in MessagePack:
[call_id, org_id, seq, at_s, role, kind, data].
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ormsgpack

from aywa.ports.journal import JournalRecord

_HEAD = struct.Struct("<II")
MAX_RECORD_BYTES = 8 * 1024 * 1024
_OPTIONS = ormsgpack.OPT_SERIALIZE_NUMPY | ormsgpack.OPT_NON_STR_KEYS


class JournalDamaged(Exception):
    """A journal file cannot be read on from here: names the file and the byte."""

    def __init__(self, path: Path, offset: int, why: str) -> None:
        super().__init__(f"{path.name}: damaged at byte {offset}: {why}")
        self.path = path
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Placed:
    """A record and the byte after it."""

    record: JournalRecord
    end: int


def encode(call_id: str, org_id: str, seq: int, at_s: float, role: str, kind: str, data: object) -> bytes:
    """The record as it stands in the file. data: a mapping or a dataclass."""
    body = ormsgpack.packb([call_id, org_id, seq, at_s, role, kind, data], option=_OPTIONS)
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def decode(body: bytes) -> JournalRecord:
    """The record of a body."""
    call_id, org_id, seq, at_s, role, kind, data = ormsgpack.unpackb(body, option=ormsgpack.OPT_NON_STR_KEYS)
    return JournalRecord(call_id, org_id, seq, at_s, role, kind, data)


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
            if length > MAX_RECORD_BYTES:
                raise JournalDamaged(path, offset, "a length that no record has")
            body = file.read(length)
            if len(body) < length:
                raise JournalDamaged(path, offset, "the last record is cut")
            if zlib.crc32(body) != checksum:
                raise JournalDamaged(path, offset, "the checksum differs")
            offset += _HEAD.size + length
            yield Placed(decode(body), offset)
