"""Every event comes back from its record exactly, whichever classes there are."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import typing
from types import NoneType, UnionType
from typing import Any

import ormsgpack
import pytest

from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.codec import EVENTS, NotDecoded, UnknownKind, decode, plain


def sample(wanted: Any) -> Any:
    """A value of a field's type that MessagePack or a careless reader could bend."""
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is UnionType:
        return sample(next(each for each in arguments if each is not NoneType))
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return (sample(arguments[0]), sample(arguments[0]))
        return tuple(sample(each) for each in arguments)
    if dataclasses.is_dataclass(wanted):
        types = typing.get_type_hints(wanted)
        return typing.cast("Any", wanted)(**{name: sample(kind) for name, kind in types.items()})
    plainly = {str: "né\n", int: 2**40 + 1, float: 0.1 + 0.2, bool: True, bytes: bytes(range(256))}
    return plainly.get(wanted, {"a": [1.0, None, {"b": math.pi}]})


def whole(kind: type[Any]) -> Any:
    types = typing.get_type_hints(kind)
    return kind(**{field.name: sample(types[field.name]) for field in dataclasses.fields(kind)})


@pytest.mark.parametrize("kind", typing.get_args(ev.Event), ids=lambda kind: kind.__name__)
def test_every_event_comes_back_from_messagepack_and_from_json(kind: type[Any]) -> None:
    event = whole(kind)
    packed = ormsgpack.unpackb(ormsgpack.packb(event))
    assert decode(kind.__name__, packed) == (event, ())
    written = json.dumps(plain(event), default=lambda value: base64.b64encode(value).decode())
    assert decode(kind.__name__, json.loads(written)) == (event, ())


def test_every_event_class_is_known_by_its_name() -> None:
    classes = {
        name
        for name, kind in vars(ev).items()
        if dataclasses.is_dataclass(kind) and name not in ("HeardWord", "Price", "ToolCall")
    }
    assert set(EVENTS) == classes


@pytest.mark.parametrize("kind", typing.get_args(do.Command), ids=lambda kind: kind.__name__)
def test_commands_are_put_down_as_a_record_has_them(kind: type[Any]) -> None:
    command = whole(kind)
    assert plain(command) == ormsgpack.unpackb(ormsgpack.packb(command))


def test_what_is_absent_takes_its_default() -> None:
    assert decode("LegEnded", {"leg_id": "l", "cause": "lost"})[0] == ev.LegEnded("l", "lost")
    told = decode("TranscriptReceived", {"leg_id": "l", "text": "", "is_final": False, "confidence": None})[0]
    assert told == ev.TranscriptReceived("l", "", is_final=False)
    assert decode("CallStarted", {"call_id": "c", "org_id": "o", "epoch_ms": 1})[0] == ev.CallStarted(
        "c", "o", 1
    )


def test_a_later_versions_field_is_left_out_and_named() -> None:
    event, unknown = decode("VoiceStarted", {"leg_id": "l", "at_s": 1, "loudness": -20})
    assert (event, unknown) == (ev.VoiceStarted("l", 1.0), ("loudness",))
    assert isinstance(getattr(event, "at_s", None), float)


@pytest.mark.parametrize(
    ("kind", "data", "told"),
    [
        ("VoiceShouted", {}, "no event VoiceShouted"),
        ("VoiceStarted", {"leg_id": "l"}, "VoiceStarted lacks at_s"),
        ("VoiceStarted", {"leg_id": "l", "at_s": "x"}, "VoiceStarted.at_s is str, not float"),
        ("VoiceStarted", {"leg_id": "l", "at_s": True}, "VoiceStarted.at_s is bool, not float"),
        ("TranscriptReceived", {"leg_id": "l", "text": "", "is_final": 1}, "is_final is int, not bool"),
        ("ClauseSynthesized", {"words": 3}, "words is int, not a list"),
        ("ClauseSynthesized", {"words": [{"text": "a", "start": 1}]}, "holds something that is no HeardWord"),
        ("ClauseSynthesized", {"words": ["a"]}, "holds something that is no HeardWord"),
        ("TranscriptReceived", {"words": [["a", 1.0]]}, "an entry of 2 values, not 3"),
        ("VoiceScored", {"probabilities": "n!"}, "VoiceScored.probabilities is not base64"),
        ("CallStarted", {"assistant": []}, "CallStarted.assistant is list, not Mapping"),
    ],
)
def test_what_is_no_such_event_is_named(kind: str, data: dict[str, Any], told: str) -> None:
    with pytest.raises(NotDecoded, match=told) as raised:
        decode(kind, data)
    assert isinstance(raised.value, UnknownKind) is (kind not in EVENTS)
