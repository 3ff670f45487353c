"""Where a call's files lie: one folder a call, named by its id. Also the only place that removes them."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from os.path import isfile
from pathlib import Path
from typing import Any

from aywa.core.record import CallRecord
from aywa.media.recorder import Recording
from aywa.ports.calls import CallPlan
from aywa.ports.journal import JournalRecord
from aywa.service.recordings import RECORDING

TRANSCRIPT = "transcript.json"
EVENTS = "events.jsonl.gz"


class Artifacts:
    """ports.store.CallFiles over a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def recording(self, call_id: str) -> Path:
        """Where the call's recording is to be written. Never raises: whoever writes will find out."""
        folder = self._folder / call_id
        with suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder / RECORDING

    def find(self, call_id: str, name: str) -> Path | None:
        """As the port says."""
        folder = self._folder / call_id
        path = folder / name
        # An id is a UUID of ours; a name with a way out of the call's folder is nobody's file.
        return path if self._is_calls(folder) and _is_in(path, folder) and isfile(path) else None

    def remove(self, call_id: str) -> None:
        """As the port says."""
        folder = self._folder / call_id
        if self._is_calls(folder):
            shutil.rmtree(folder, ignore_errors=True)

    def _size(self, call_id: str, name: str) -> int:
        try:
            return (self._folder / call_id / name).stat().st_size
        except OSError:
            return 0

    def _is_calls(self, folder: Path) -> bool:
        return _is_in(folder, self._folder)

    def stored(self, plan: CallPlan, recording: Recording) -> dict[str, Any]:
        """The record of a recording that is complete on disk."""
        return {
            "artifact": "recording",
            "name": RECORDING,
            "rate_hz": recording.rate_hz,
            "seconds": round(recording.seconds, 3),
            "started_s": round(recording.started_s, 3),
            "lost": recording.lost,
            "bytes": self._size(plan.call_id, RECORDING),
            "base_url": _base_url(plan),
        }

    def write_texts(self, records: Sequence[JournalRecord], record: CallRecord) -> None:
        """The transcript with its words' times, and the event log. Blocks; raises OSError."""
        folder = self._folder / record.call_id
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / TRANSCRIPT).write_text(
            json.dumps(_transcript(records, record), ensure_ascii=False, indent=1)
        )
        with gzip.open(folder / EVENTS, "wt", encoding="utf-8") as log:
            for one in records:
                log.write(json.dumps(_line(one), ensure_ascii=False, default=_plain) + "\n")


def _is_in(path: Path, folder: Path) -> bool:
    """Directly in it, links followed."""
    try:
        return path.resolve().parent == folder.resolve()
    except (OSError, ValueError, RuntimeError):
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
