"""Where a call's files lie on this machine: one folder a call, named by its id. Also the only place that removes them."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from os.path import dirname, isfile, join, realpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aywa.core.record import CallRecord
from aywa.core.shipment import call_key
from aywa.media.recorder import Recording
from aywa.ports.artifacts import Source
from aywa.ports.calls import CallPlan
from aywa.ports.journal import JournalRecord
from aywa.service.recordings import RECORDING, BadRecording, open_recording
from aywa.service.shipped import EVENTS, OBJECTS, TRANSCRIPT

if TYPE_CHECKING:
    from aywa.service.shipper import Shipper

_READ_BYTES = 1 << 18
_SIDES = {name: side for side, name in OBJECTS.items()}
_BEHIND: Mapping[str, frozenset[str]] = {
    RECORDING: frozenset(_SIDES),
    TRANSCRIPT: frozenset((TRANSCRIPT,)),
    EVENTS: frozenset((EVENTS,)),
}
"""Each file, and the objects that are made of it."""
_OBJECTS = frozenset().union(*_BEHIND.values())


@dataclass(frozen=True, slots=True)
class _File:
    """ports.artifacts.Source: a whole file."""

    path: Path
    size: int

    def read(self, start: int, end: int) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            file.seek(start)
            while start < end and (block := file.read(min(_READ_BYTES, end - start))):
                yield block
                start += len(block)


class Artifacts:
    """ports.store.CallFiles and ports.artifacts.LocalArtifacts over a folder. shipper: carries the files into the bucket, where
    there is one; who opens it sets it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.shipper: Shipper | None = None

    def _of(self, call_id: str) -> str:
        """The call's folder. Text, not a path: pathlib interns every part of each, and the interpreter's table of what was
        interned never shrinks."""
        return join(self._folder, call_id)

    def recording(self, call_id: str) -> str:
        """Where the call's recording is to be written. Never raises: whoever writes will find out."""
        folder = self._of(call_id)
        with suppress(OSError):
            os.makedirs(folder, mode=0o700, exist_ok=True)
        return join(folder, RECORDING)

    def find(self, call_id: str, name: str) -> Path | None:
        """As the port says."""
        folder = self._of(call_id)
        path = join(folder, name)
        # An id is a UUID of ours; a name with a way out of the call's folder is nobody's file.
        return Path(path) if self._is_calls(folder) and _is_in(path, folder) and isfile(path) else None

    async def remove(self, org_id: str, call_id: str) -> None:
        """As the port says."""
        if self.shipper is None:
            await asyncio.to_thread(self.forget, call_id)
        else:
            await self.shipper.remove(org_id, call_id)

    def forget(self, call_id: str) -> None:
        """As the port says."""
        folder = self._of(call_id)
        if self._is_calls(folder):
            shutil.rmtree(folder, ignore_errors=True)

    def calls(self) -> list[str]:
        """Ids of the calls that have files here."""
        try:
            return sorted(path.name for path in self._folder.iterdir() if path.is_dir())
        except OSError:
            return []

    def names(self, call_id: str) -> Sequence[str]:
        """As the port says."""
        there = [file for file in _BEHIND if self.find(call_id, file) is not None]
        return [name for file in there for name in sorted(_BEHIND[file])]

    def source(self, call_id: str, name: str) -> Source | None:
        """As the port says."""
        side = _SIDES.get(name)
        path = self.find(call_id, name if side is None else RECORDING) if name in _OBJECTS else None
        if path is None:
            return None
        try:
            return _File(path, path.stat().st_size) if side is None else open_recording(path, side)
        except BadRecording:
            # What a crash left of one is kept as it is; it has no sides.
            return _File(path, path.stat().st_size) if name == RECORDING else None

    def stamp(self, call_id: str) -> Mapping[str, object]:
        """As the port says."""
        paths = {file: self.find(call_id, file) for file in _BEHIND}
        return {file: _stamp(path) for file, path in paths.items() if path is not None}

    def drop(self, call_id: str, names: Collection[str], stamp: Mapping[str, object]) -> None:
        """As the port says."""
        for file, behind in _BEHIND.items():
            path = self.find(call_id, file)
            if path is not None and behind <= set(names) and _stamp(path) == stamp.get(file):
                path.unlink(missing_ok=True)
        folder = self._of(call_id)
        if self._is_calls(folder):
            with suppress(OSError):
                os.rmdir(folder)

    def _size(self, call_id: str, name: str) -> int:
        try:
            return os.stat(join(self._of(call_id), name)).st_size
        except OSError:
            return 0

    def _is_calls(self, folder: str) -> bool:
        return _is_in(folder, self._folder)

    def stored(self, plan: CallPlan, recording: Recording) -> dict[str, Any]:
        """The record of a recording that is complete on disk. objects: the keys under which it will lie in the bucket."""
        record: dict[str, Any] = {
            "artifact": "recording",
            "name": RECORDING,
            "rate_hz": recording.rate_hz,
            "seconds": round(recording.seconds, 3),
            "started_s": round(recording.started_s, 3),
            "lost": recording.lost,
            "bytes": self._size(plan.call_id, RECORDING),
            "base_url": _base_url(plan),
        }
        if self.shipper is not None:
            record["objects"] = [call_key(plan.org_id, plan.call_id, name) for name in OBJECTS.values()]
        return record

    def write_texts(self, records: Sequence[JournalRecord], record: CallRecord) -> None:
        """The transcript with its words' times, and the event log, as far as the assistant has them kept. Blocks; raises
        OSError."""
        folder = self._of(record.call_id)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if record.transcript_plan.enabled:
            with open(join(folder, TRANSCRIPT), "w", encoding="utf-8") as file:
                file.write(json.dumps(_transcript(records, record), ensure_ascii=False, indent=1))
        if not record.retention.log:
            return
        with gzip.open(join(folder, EVENTS), "wt", encoding="utf-8") as log:
            for one in records:
                log.write(json.dumps(_line(one), ensure_ascii=False, default=_plain) + "\n")


def _stamp(path: Path) -> object:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _is_in(path: str, folder: str | Path) -> bool:
    """Directly in it, links followed."""
    try:
        return dirname(realpath(path)) == realpath(folder)
    except (OSError, ValueError):
        return False


def _base_url(plan: CallPlan) -> str:
    return str(plan.call.get("artifactBaseUrl") or f"/call/{plan.call_id}")


def _transcript(records: Sequence[JournalRecord], record: CallRecord) -> dict[str, Any]:
    entries = [
        {
            **r.data["message"],
            "words": [{"word": w, "start": s, "end": e} for w, s, e in r.data.get("words") or ()],
        }
        for r in records
        if r.kind == "RecordMessage"
    ]
    return {"callId": record.call_id, "text": record.transcript(), "messages": entries}


def _line(record: JournalRecord) -> Mapping[str, Any]:
    return {
        "seq": record.seq,
        "at": round(record.at_s, 6),
        "role": record.role,
        "kind": record.kind,
        "data": record.data,
    }


def _plain(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
