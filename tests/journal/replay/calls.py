"""Recorded calls for the tests of replay: simulated ones, as they lie on disk."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aywa.boot.rehearsal import Rehearsal, Utterance
from aywa.journal.segment import body_of, decode, encode
from aywa.ports.journal import JournalRecord
from aywa.ports.llm import LlmRequest
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedStt, ScriptedTts
from aywa.testing.virtual_time import run_virtual

TALK = (
    Utterance(2.5, ("what", "are", "your", "opening", 0.35, "hours")),
    Utterance(5.2, ("mhm",)),
    Utterance(8.5, ("how", "much", "is", "a", "cleaning")),
    Utterance(11.2, ("wait", "a", "second", "please")),
)
"""A question with a pause in it, a backchannel under its answer, another question, its answer talked down."""
ANSWER = "Certainly, that is no trouble. We are here from eight to six. Is there anything else I can do?"


def called(
    assistant: Mapping[str, Any] | None = None,
    script: Sequence[Utterance] = TALK,
    until_s: float = 17.0,
    calls: Callable[[LlmRequest], Sequence[tuple[str, str]]] = lambda request: (),
) -> list[JournalRecord]:
    """The record of a call. calls: the tools that the model wants run."""
    call = Rehearsal(
        {"firstMessage": "Hello, how can I help you?"} | dict(assistant or {}),
        llm=ScriptedLlm(lambda _: ANSWER, 0.25, 0.02, calls=calls),
        tts=ScriptedTts(first_audio_s=0.1),
        stt=ScriptedStt(finalize_s=0.08),
        call_id="call-1",
    )
    run_virtual(call.run(script, until_s))
    return stored(call.journal.records)


def stored(records: Sequence[JournalRecord]) -> list[JournalRecord]:
    """As they come back from the journal."""
    return [
        decode(body_of(encode(r.call_id, r.org_id, r.seq, r.at_s, r.role, r.kind, r.data))) for r in records
    ]


def changed(
    records: Sequence[JournalRecord], which: Callable[[JournalRecord], bool], **fields: Any
) -> list[JournalRecord]:
    """With the first record that fits replaced."""
    found = list(records)
    at = next(index for index, record in enumerate(found) if which(record))
    found[at] = dataclasses.replace(found[at], **fields)
    return found


def decision(name: str) -> Callable[[JournalRecord], bool]:
    """Whether a record is this decision."""
    return lambda record: record.kind == "RecordDecision" and record.data["decision"] == name
