"""What is on its way to the bucket: nothing is forgotten that is not stored, and what was deleted never comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.shipment import (
    FIRST_S,
    JITTER,
    PAUSE_MOST_S,
    RETRY_MOST_S,
    Kind,
    Shipment,
    Task,
    begun,
    call_key,
    failed,
    put_off,
    removal,
    shipment_of,
    stored,
    tried,
    wait_s,
    with_names,
)

NAMES = ("recording.wav", "mono.wav", "transcript.json")


def shipment(**changes: object) -> Shipment:
    made = Shipment("call", "org", Kind.CALLS, Task.STORE, NAMES, {"mono.wav": "u1"}, 1000, 2000)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_keys_begin_with_whose_they_are() -> None:
    assert shipment().key("mono.wav") == call_key("org", "call", "mono.wav") == "calls/org/call/mono.wav"
    assert replace(shipment(), kind=Kind.FILES).prefix == "files/org/call"


def test_it_is_read_as_it_was_written() -> None:
    one = shipment(tries=3, problem="gone")
    assert shipment_of(one.document()) == one


@pytest.mark.parametrize("field", ["kind", "task", "uploads", "id", "tries"])
def test_what_is_none_is_not_read(field: str) -> None:
    document = shipment().document() | {field: {"uploads": None}.get(field, "other")}
    if field == "id":
        del document["id"]
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        shipment_of(document)


def test_it_is_over_when_every_object_is_stored() -> None:
    one = shipment()
    for name in NAMES:
        assert not one.over
        one = stored(one, name)
    assert one.over
    assert one.uploads == {}
    assert not removal(one, 5).over


def test_what_is_written_again_is_stored_again_and_at_once() -> None:
    one = with_names(stored(shipment(), "mono.wav"), ["mono.wav", "mono.wav", "events.jsonl.gz"], 1500)
    assert one.names == ("recording.wav", "transcript.json", "mono.wav", "events.jsonl.gz")
    assert one.due_ms == 1500
    assert with_names(one, [], 9000).due_ms == 1500


def test_an_upload_in_parts_is_remembered_by_its_object() -> None:
    assert begun(shipment(), "recording.wav", "u2").uploads == {"mono.wav": "u1", "recording.wav": "u2"}
    assert begun(shipment(), "other", "u3") == shipment()


def test_one_that_fails_comes_back_later_and_later() -> None:
    one, waits = shipment(), []
    for _ in range(15):
        one = failed(tried(one), 10_000, "x" * 1000, 0.5)
        waits.append(one.due_ms - 10_000)
    assert waits[:3] == [1000, 2000, 4000]
    assert waits[-1] == RETRY_MOST_S * 1000
    assert len(one.problem) == 300


def test_a_bucket_that_is_away_is_not_counted_against_it() -> None:
    one = put_off(tried(shipment()), 7000, "s3_unreachable")
    assert (one.tries, one.due_ms, one.problem) == (0, 7000, "s3_unreachable")


@given(st.integers(1, 10_000), st.floats(0, 1), st.sampled_from([PAUSE_MOST_S, RETRY_MOST_S]))
def test_a_wait_is_never_past_its_bounds(tries: int, chance: float, most_s: float) -> None:
    assert FIRST_S * (1 - JITTER) <= wait_s(tries, chance, most_s) <= most_s * (1 + JITTER)


Step = Callable[[Shipment], Shipment]
STEPS: list[tuple[str, Step]] = [
    *((f"store {name}", lambda s, name=name: stored(s, name)) for name in NAMES),
    *((f"add {name}", lambda s, name=name: with_names(s, [name], 5)) for name in NAMES),
    ("begin", lambda s: begun(s, "mono.wav", "u")),
    ("try", tried),
    ("fail", lambda s: failed(s, 5, "p", 0.1)),
    ("put off", lambda s: put_off(s, 5, "p")),
    ("remove", lambda s: removal(s, 5)),
]


@given(st.lists(st.sampled_from(STEPS)))
def test_nothing_is_forgotten_and_what_is_removed_stays_so(steps: list[tuple[str, Step]]) -> None:
    one = Shipment("call", "org", Kind.CALLS, Task.STORE)
    owed: set[str] = set()
    removed = False
    for word, step in steps:
        one = step(one)
        verb, _, name = word.partition(" ")
        match verb:
            case "store":
                owed.discard(name)
            case "add" if one.task is Task.STORE:
                owed.add(name)
            case "remove":
                owed.clear()
                removed = True
            case _:
                pass
        assert set(one.names) == owed
        assert len(one.names) == len(owed)
        assert one.uploads.keys() <= owed
        assert one.tries >= 0
        assert (one.task is Task.REMOVE) == removed
        assert shipment_of(one.document()) == one
    assert one.over == (one.task is Task.STORE and not owed)
