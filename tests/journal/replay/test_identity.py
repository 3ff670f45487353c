"""A recorded call is decided the same way again, bit for bit; what is not is named, and damage is named with its place."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import pytest

from aywa.core.conversation import Conversation
from aywa.core.turns.endings import Ending
from aywa.core.turns.endpointing import WAITS
from aywa.journal.replay.identity import compare
from aywa.journal.replay.recording import read_recording
from aywa.ports.journal import JournalRecord
from tests.journal.replay.calls import called, changed, decision


@pytest.fixture(scope="module")
def records() -> list[JournalRecord]:
    return called()


def seq_of(records: list[JournalRecord], kind: str) -> int:
    return next(record.seq for record in records if record.kind == kind)


def test_a_call_is_decided_the_same_way_again(records: list[JournalRecord]) -> None:
    recording = read_recording("call-1", reversed(records))
    found = compare(recording)
    assert not recording.damage
    assert found.identical
    assert found.decisions == found.same == sum(record.role == "command" for record in records) > 100
    decided = [r.data["decision"] for r in records if r.kind == "RecordDecision"]
    assert {"turn_taken", "kept", "yielded"} <= set(decided)


@pytest.mark.parametrize("patience", [15, 3])
def test_a_call_that_nobody_joined_is_replayed_with_its_own_patience(patience: int) -> None:
    started = {
        "call_id": "c",
        "org_id": "o",
        "epoch_ms": 0,
        "assistant": {"customerJoinTimeoutSeconds": patience},
    }
    end = {"reason": "x", "message": ""}
    rows: list[tuple[float, str, str, dict[str, Any]]] = [
        (0.0, "event", "CallStarted", started),
        (patience - 0.01, "event", "Woken", {}),
        (float(patience), "event", "Woken", {}),
        (float(patience), "command", "TellClient", {}),
        (float(patience), "command", "EndCall", end),
    ]
    found = compare(read_recording("c", [JournalRecord("c", "o", n, *row) for n, row in enumerate(rows, 1)]))
    assert [len(cmds) for cmds in found.commands] == [0, 0, 2]


def test_the_first_decision_that_differs_is_named_with_its_machine(records: list[JournalRecord]) -> None:
    taken = next(r for r in records if decision("turn_taken")(r))
    other = changed(records, lambda r: r is taken, data={**taken.data, "reason": "short_answer"})
    found = compare(read_recording("call-1", other))
    assert found.difference is not None
    assert (found.difference.seq, found.difference.machine) == (taken.seq, "floor")
    assert found.difference.at_s == taken.at_s
    assert "turn_taken: short_answer" in found.difference.recorded
    assert f"turn_taken: {taken.data['reason']}" in found.difference.new
    assert not found.difference.after_damage
    assert found.decisions - found.same == 1


def test_a_machine_that_decides_otherwise_now_is_found(
    records: list[JournalRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    for ending in (Ending.SETTLED, Ending.ASKED, Ending.OPEN):
        monkeypatch.setitem(cast("dict[str, tuple[float, float, float]]", WAITS), ending, (0.5, 0.55, 0.6))
    found = compare(read_recording("call-1", records))
    assert found.difference is not None
    assert (found.difference.machine, found.difference.after) == ("floor", "TranscriptReceived")


def test_a_decision_that_nobody_waited_for_then_is_a_difference_now(
    records: list[JournalRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Conversation, "_max_by_s", lambda _: 6.0)
    found = compare(read_recording("call-1", records))
    assert found.difference is not None
    assert (found.difference.at_s, found.difference.recorded) == (6.0, "nothing")
    assert found.difference.after == "waking at 6.000 s"
    assert "exceeded-max-duration" in found.difference.new


def test_a_machine_that_breaks_is_a_difference_and_not_the_end(
    records: list[JournalRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = Conversation.handle

    def broken(self: Conversation, event: Any, now: float) -> Any:
        if type(event).__name__ == "ReplyCompleted":
            raise KeyError("x")
        return handle(self, event, now)

    monkeypatch.setattr(Conversation, "handle", broken)
    found = compare(read_recording("call-1", records))
    assert found.difference is not None
    assert found.difference.new == "KeyError in a machine"


def test_an_older_record_without_what_was_added_since_is_still_the_same(records: list[JournalRecord]) -> None:
    older = [
        dataclasses.replace(r, data={k: v for k, v in r.data.items() if k != "speculative"})
        if r.kind == "StartReply" and not r.data["speculative"]
        else r
        for r in records
    ]
    assert compare(read_recording("call-1", older)).identical


# --- damage ----------------------------------------------------------------------------------------------------------


def test_a_cut_record_says_where_and_what_is_left_is_replayed(records: list[JournalRecord]) -> None:
    left = records[: len(records) // 2]
    recording = read_recording("call-1", left)
    (damage,) = recording.damage
    assert (damage.seq, damage.at_s) == (left[-1].seq + 1, left[-1].at_s)
    assert "cut, or the call still runs" in damage.what
    found = compare(recording)
    assert found.same >= sum(r.role == "command" for r in left) - 1


@pytest.mark.parametrize("kind", ["RecordDecision", "TellClient", "VoiceScored", "PlayoutAdvanced"])
def test_a_gap_where_nothing_was_decided_hides_nothing_else(records: list[JournalRecord], kind: str) -> None:
    lost = [r.seq for r in records if r.kind == kind][:1]
    recording = read_recording("call-1", [r for r in records if r.seq not in lost])
    found = compare(recording)
    assert [each.seq for each in recording.damage] == lost
    assert found.difference is None or found.difference.after_damage
    if kind != "PlayoutAdvanced":
        assert found.identical


def test_after_a_lost_event_a_difference_says_that_this_may_be_why(records: list[JournalRecord]) -> None:
    lost = seq_of(records, "VoiceStarted")
    recording = read_recording("call-1", [r for r in records if r.seq != lost])
    assert recording.damage[0].seq == lost
    assert recording.damage[0].what == f"record {lost} is missing"
    found = compare(recording)
    assert found.difference is not None
    assert found.difference.after_damage


def test_without_its_beginning_nothing_can_be_replayed(records: list[JournalRecord]) -> None:
    recording = read_recording("call-1", [r for r in records if r.kind != "CallStarted"])
    assert any("beginning" in each.what for each in recording.damage)
    assert compare(recording).decisions == 0
    nothing = read_recording("call-1", [])
    assert [each.seq for each in nothing.damage] == [1]
    assert compare(nothing).decisions == 0


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"kind": "VoiceShouted"}, "VoiceShouted is not known here"),
        ({"data": {"leg_id": "caller"}}, "lacks at_s"),
        ({"data": {"leg_id": "caller", "at_s": "soon"}}, "at_s is str, not float"),
        ({"data": {"damaged_bytes": 12}}, "the content of this VoiceStarted is lost"),
        ({"data": None}, "content cannot be read"),
        ({"at_s": float("nan")}, "time is not a number"),
        ({"role": "rumour"}, "role 'rumour' is not known"),
        ({"seq": "x"}, "a record without a number"),
    ],
)
def test_a_record_that_cannot_be_read_is_named_and_the_rest_replayed(
    records: list[JournalRecord], fields: dict[str, Any], told: str
) -> None:
    bad = changed(records, lambda r: r.kind == "VoiceStarted", **fields)
    recording = read_recording("call-1", bad)
    assert any(told in each.what for each in recording.damage)
    assert compare(recording).same > 10


def test_a_later_versions_field_is_named_and_does_not_stop_the_replay(records: list[JournalRecord]) -> None:
    voice = next(r for r in records if r.kind == "VoiceStarted")
    recording = read_recording(
        "call-1", changed(records, lambda r: r is voice, data={**voice.data, "loudness": 3})
    )
    assert [(each.seq, each.what) for each in recording.damage] == [
        (voice.seq, "VoiceStarted has fields of a later version, left out: loudness")
    ]
    assert compare(recording).identical


def test_time_that_goes_back_and_a_command_without_a_cause_are_named(records: list[JournalRecord]) -> None:
    late = next(r for r in records if r.kind == "VoiceStopped")
    found = read_recording("call-1", changed(records, lambda r: r is late, at_s=0.5))
    assert any("time goes back" in each.what for each in found.damage)
    orphan = read_recording("call-1", [r for r in records if r.role == "command"][:3])
    assert any("no event precedes" in each.what for each in orphan.damage)


def test_an_end_that_the_runtime_wrote_after_its_process_died_is_nobodys_decision(
    records: list[JournalRecord],
) -> None:
    left = records[: seq_of(records, "VoiceStopped") - 1]
    reason = "call.in-progress.error-vapifault-worker-died"
    last, data = left[-1], {"reason": reason, "message": "x"}
    end = dataclasses.replace(last, seq=last.seq + 1, role="command", kind="EndCall", data=data)
    recording = read_recording("call-1", [*left, end])
    assert not recording.damage
    assert compare(recording).identical


def test_a_call_whose_words_were_not_kept_is_not_said_to_differ(records: list[JournalRecord]) -> None:
    last = records[-1]
    note = JournalRecord(last.call_id, last.org_id, last.seq + 1, last.at_s, "note", "WordsWithheld", {})
    stripped = changed(records, lambda record: record.kind == "TellClient", data={})
    recording = read_recording("call-1", [*stripped, note])
    found = compare(recording)
    assert (found.decisions, found.difference) == (0, None)
    assert [damage.what for damage in recording.damage] == [
        "the words of this call were not kept (compliancePlan): it cannot be decided again"
    ]
