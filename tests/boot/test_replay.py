"""What `aywa replay` asks for: settings are refused with field, range and value; reports and sums; spans of time; logs."""

from __future__ import annotations

import dataclasses
import gzip
import json
from typing import Any

import pytest

from aywa.boot.engine_version import engine_version
from aywa.boot.replay import (
    DAMAGED,
    DIFFERS,
    SAME,
    Change,
    Refused,
    exit_code,
    read_change,
    read_log,
    replay,
    since_ms,
    sum_up,
)
from aywa.core.events import CallStarted
from aywa.ports.journal import JournalRecord
from aywa.service.timeline import _gzip
from tests.journal.replay.calls import called, changed, decision


@pytest.fixture(scope="module")
def records() -> list[JournalRecord]:
    return called()


def taken_by(records: list[JournalRecord], version: str) -> list[JournalRecord]:
    started = records[0]
    return [dataclasses.replace(started, data={**started.data, "engine_version": version}), *records[1:]]


def decided_otherwise(records: list[JournalRecord]) -> list[JournalRecord]:
    taken = next(r for r in records if decision("turn_taken")(r))
    return changed(records, lambda r: r is taken, data={**taken.data, "reason": "short_answer"})


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("stopSpeakingPlan.numWords=99", 'stopSpeakingPlan.numWords must not be greater than 10, got 99'),
        ("startSpeakingPlan.waitSeconds=-1", "startSpeakingPlan.waitSeconds must not be less than 0, got -1"),
        ("startSpeakingPlan.waitSeconds=soon", 'startSpeakingPlan.waitSeconds must be a number, got "soon"'),
        ("stopSpeakingPlan.numWord=2", "stopSpeakingPlan.numWord is not a setting; did you mean numWords?"),
        ("stopSpeakingPlan.numWords.x=2", "stopSpeakingPlan.numWords has no fields"),
        ("speakingPlan=2", "speakingPlan is not a setting"),
        ("stopSpeakingPlan.numWords", "--set must be FIELD=VALUE"),
        ("=2", "--set must be FIELD=VALUE"),
    ],
)  # fmt: skip
def test_settings_are_refused_with_field_range_and_value(text: str, told: str) -> None:
    with pytest.raises(Refused) as refused:
        read_change([text])
    assert told in refused.value.problems[0]


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(Refused) as refused:
        read_change(["a=1", "b"], {"stopSpeakingPlan": {"numWords": 99}, "nonsense": 1})
    assert len(refused.value.problems) == 4


def test_values_are_json_or_text_and_null_is_the_default() -> None:
    change = read_change(
        ["stopSpeakingPlan.numWords=2", "firstMessage=Hello there", "stopSpeakingPlan.voiceSeconds=null"]
    )
    assert change.overrides == {
        "stopSpeakingPlan": {"numWords": 2, "voiceSeconds": None},
        "firstMessage": "Hello there",
    }
    started = CallStarted("c", "o", 0, {"stopSpeakingPlan": {"voiceSeconds": 0.1, "backoffSeconds": 1}})
    assert change.of(started) == {
        "firstMessage": "Hello there",
        "stopSpeakingPlan": {"numWords": 2, "backoffSeconds": 1},
    }
    assert change
    assert not Change()


def test_a_draft_takes_the_calls_place_with_the_calls_variables() -> None:
    change = read_change(
        [], {"id": "a", "firstMessage": "Hello {{name}}", "stopSpeakingPlan": {"numWords": 1}}
    )
    assert change.of(CallStarted("c", "o", 0, {"name": "old"}, {"name": "Ann"})) == {
        "id": "a",
        "firstMessage": "Hello Ann",
        "stopSpeakingPlan": {"numWords": 1},
    }


def test_what_only_a_whole_object_needs_is_asked_for_with_the_calls_own_settings() -> None:
    change = read_change(["startSpeakingPlan.smartEndpointingPlan.waitFunction=200 + x"])
    with pytest.raises(Refused, match="provider is required"):
        change.of(CallStarted("c", "o", 0, {}))


# --- reports ---------------------------------------------------------------------------------------------------------


def test_a_report_says_what_the_issue_asks_for(records: list[JournalRecord]) -> None:
    found = replay(
        "call-1", taken_by(records, engine_version()), read_change(["startSpeakingPlan.waitSeconds=1.2"])
    )
    assert json.loads(json.dumps(found)) == found
    assert (found["identical"], found["first_difference"], found["damage"]) == (True, None, [])
    assert found["decisions"] > 100
    assert found["changes"]
    assert found["what_if"]["reproduced"]
    assert found["what_if"]["effective"]
    assert found["engine_version"] == {"recorded": engine_version(), "replayed": engine_version()}
    assert exit_code([found]) == SAME


def test_a_setting_that_the_call_had_anyway_is_told(records: list[JournalRecord]) -> None:
    found = replay("call-1", records, read_change(["name=Other", "firstMessage=Hello, how can I help you?"]))
    assert found["what_if"]["effective"]
    same = replay("call-1", records, read_change(["firstMessage=Hello, how can I help you?"]))
    assert not same["what_if"]["effective"]
    assert same["changes"] == []


def test_a_difference_is_an_error_only_under_the_same_version(records: list[JournalRecord]) -> None:
    same = replay("call-1", taken_by(decided_otherwise(records), engine_version()))
    assert same["first_difference"]["machine"] == "floor"
    assert exit_code([same]) == DIFFERS
    other = replay("call-1", taken_by(decided_otherwise(records), "0.0.1"))
    assert other["identical"] is False
    assert exit_code([other]) == SAME


def test_damage_has_an_exit_code_of_its_own(records: list[JournalRecord]) -> None:
    cut = replay("call-1", records[:80])
    assert cut["damage"][0]["seq"] == 81
    assert exit_code([cut]) == DAMAGED
    headless = replay("call-1", records[1:], read_change(["name=x"]))
    assert (headless["identical"], headless["what_if"]) == (None, None)
    assert exit_code([headless]) == DAMAGED


def test_many_calls_are_summed_up(records: list[JournalRecord]) -> None:
    change = read_change(["startSpeakingPlan.waitSeconds=1.2"])
    reports: list[dict[str, Any]] = [
        replay("a", records, change),
        replay("b", decided_otherwise(records), change),
        replay("c", records[1:], change),
    ]
    total = sum_up(reports)
    assert [total[name] for name in ("calls", "identical", "different", "damaged")] == [3, 1, 1, 1]
    assert total["machines"] == {"floor": 1}
    tried = total["what_if"]
    assert (tried["calls"], tried["calls_changed"], tried["replies_earlier"]) == (2, 2, 0)
    assert tried["replies_later"] >= 4
    assert tried["new"]["latency_ms_mean"] > tried["recorded"]["latency_ms_mean"]
    assert sum_up([])["what_if"] is None


# --- time and logs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ms"),
    [("30m", 1_800_000), ("12h", 43_200_000), ("7d", 604_800_000), ("2w", 1_209_600_000), ("90s", 90_000)],
)
def test_lengths_of_time_count_back_from_now(text: str, ms: int) -> None:
    assert since_ms(text, 10**12) == 10**12 - ms


def test_dates_are_taken_and_nonsense_is_not() -> None:
    assert since_ms("1970-01-02", 0) == 86_400_000
    assert since_ms("1970-01-01T01:00Z", 0) == 3_600_000
    assert since_ms("1970-01-01T01:00+01:00", 0) == 0
    for bad in ("", "7", "d", "soon", "-7d", "2026-13-01"):
        with pytest.raises(ValueError):
            since_ms(bad, 0)


def test_a_log_from_a_runtime_is_the_record(records: list[JournalRecord]) -> None:
    assert replay("call-1", read_log("call-1", _gzip(records)))["identical"]


def test_a_log_that_is_cut_or_damaged_is_replayed_as_far_as_it_goes(records: list[JournalRecord]) -> None:
    content = _gzip(records)
    cut = replay("call-1", read_log("call-1", content[: len(content) // 2]))
    assert cut["damage"]
    assert cut["decisions"] > 10
    lines = gzip.decompress(content).splitlines()
    lines[40] = b"{oops"
    damaged = replay("call-1", read_log("call-1", b"\n".join(lines)))
    assert damaged["damage"][0]["seq"] == 41
    assert read_log("call-1", b"\x1f\x8bnonsense") == []
    assert read_log("call-1", b"oops")[0].seq == 1
