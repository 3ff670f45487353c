"""What is kept of a call, as its assistant wants it (contract 13.2, 13.4), and a record without what was said in it.

Where a compliance plan forbids to keep words, every text of a record goes but those that are known to be ours, so that a kind
of record that comes later gives nothing away. Figures stay: when somebody spoke, how long, and what it cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

DAY_MS = 86_400_000
DAYS_MOST = 36_500


@dataclass(frozen=True, slots=True)
class Retention:
    """recording: the audio. log: the event log as a file and in the API. words: what was said, in whatever shape; without it
    there is neither of the two. days: after so many all of it goes; 0: as soon as the report is delivered, None: never."""

    recording: bool = True
    log: bool = True
    words: bool = True
    days: int | None = None

    def expires_ms(self, ended_ms: int) -> int | None:
        """Until when a call that ended then is kept, in Unix milliseconds; None for good."""
        return None if self.days is None else ended_ms + self.days * DAY_MS

    def joined(self, later: Retention) -> Retention:
        """Of a call that this assistant passed to that one: who has it withheld, and who has it kept shortest, counts."""
        kept = later if not later.words else self
        days = [each.days for each in (self, later) if each.days is not None]
        return replace(kept, days=min(days, default=None))


def read_retention(assistant: Mapping[str, Any]) -> Retention:
    """Of a resolved assistant; older fields count where the plans are silent (contract 4.1)."""
    artifacts, compliance = _mapping(assistant.get("artifactPlan")), _mapping(assistant.get("compliancePlan"))
    recording = artifacts.get("recordingEnabled", assistant.get("recordingEnabled"))
    hipaa = compliance.get("hipaaEnabled", assistant.get("hipaaEnabled"))
    words = hipaa is not True and compliance.get("pciEnabled") is not True
    return Retention(
        recording=words and recording is not False,
        log=words and artifacts.get("loggingEnabled") is not False,
        words=words,
        days=_days(artifacts.get("retentionDays")),
    )


def _days(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= DAYS_MOST:
        return None
    return int(value)


_OURS = frozenset(
    "adapter artifact at base_url call_id cause child code codec control decision endedReason engine_version epoch from id kind"
    " language leg_id machine mode model name on org_id provider reason role route rubric source state status step tool"
    " toolCallId tool_call_id type unit url voiceId who".split()
)
"""Names of fields whose texts are the runtime's own, or the assistant's settings."""
_EMPTIED = frozenset(
    "analysis arguments body parameters result results structuredData variableValues variables words".split()
)
"""Names of fields that hold what was said in a shape of its own."""
_WHOLE = frozenset("call prices webhooks".split())
"""Names of fields that hold what the call was asked for with, which its document shows anyway."""
DEPTH_MAX = 40


def redacted(data: Mapping[str, Any]) -> dict[str, Any]:
    """A record's data without what was said."""
    return {name: value if name in _WHOLE else _redacted(name, value, 0) for name, value in data.items()}


def redacted_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """A call's document without what was said."""
    artifact = {
        **_mapping(document.get("artifact")),
        "messages": [],
        "messagesOpenAIFormatted": [],
        "transcript": "",
        "variableValues": {},
    }
    rest = {name: value for name, value in document.items() if name != "analysis"}
    warnings = [redacted(warning) for warning in document.get("warnings") or ()]
    return {**rest, "messages": [], "artifact": artifact, "warnings": warnings}


def _redacted(name: str, value: Any, depth: int) -> Any:
    if name in _EMPTIED or depth > DEPTH_MAX:
        return _empty(value)
    if isinstance(value, Mapping):
        return {key: _redacted(str(key), item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(name, item, depth + 1) for item in value]
    return "" if isinstance(value, str) and name not in _OURS else value


def _empty(value: Any) -> Any:
    """Of the same shape, so that whoever reads it finds what it looks for."""
    if isinstance(value, Mapping):
        return {}
    if isinstance(value, list | tuple):
        return []
    return "" if isinstance(value, str) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
