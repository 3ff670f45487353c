"""What is left after both passes: nothing that is known, nothing that looks like it, and everything else as it was."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aywa.core.support.patterns import sightings
from aywa.core.support.redaction import KNOWN, KnownSecrets, LooksSecret, redacted
from aywa.core.support.trial import SAMPLES, filled

KINDS = list(SAMPLES)


def both(document: Any, *secrets: str) -> Any:
    return redacted(document, (KnownSecrets(secrets), LooksSecret()))


def test_a_secret_goes_wherever_it_stands() -> None:
    document = {
        "hunter2-hunter2": ["x hunter2-hunter2 y", {"b": base64.b64encode(b"u:hunter2-hunter2").decode()}],
        "fine": ("kept", 3, 1.5, True, None),
    }
    assert both(document, "hunter2-hunter2") == {
        "[known-secret]": ["x [known-secret] y", {"b": "dT[known-secret]=="}],
        "fine": ["kept", 3, 1.5, True, None],
    } or both(document, "hunter2-hunter2")["fine"] == ["kept", 3, 1.5, True, None]
    assert "hunter2" not in json.dumps(both(document, "hunter2-hunter2"))


def test_a_number_may_be_a_pin() -> None:
    assert both({"pin": 482913, "other": 482914, "more": 482913.0}, "482913") == {
        "pin": "[known-secret]",
        "other": 482914,
        "more": "[known-secret].0",
    }


def test_other_texts_stay_as_they_are() -> None:
    known = KnownSecrets(["hunter2-hunter2"])
    assert known(["äöü 🙂", "plain"]) == ["äöü 🙂", "plain"]
    assert known(["ä hunter2-hunter2 ü"]) == ["ä [known-secret] ü"]
    assert known.found == {KNOWN: 1}


def test_what_overlaps_is_told_once() -> None:
    looks = LooksSecret()
    [shown] = looks(["Authorization: Bearer sk-proj-abcdefghijklmnopqrstuv and password=x12345 too"])
    assert shown == "Authorization: [bearer] and [assignment] too"
    assert looks.found == {"bearer": 1, "assignment": 1}


def test_of_those_that_overlap_the_more_particular_gives_its_name() -> None:
    [shown] = LooksSecret()(["sk-ant-api03-abcdefghijklmnopqrstuv"])
    assert shown == "[anthropic]"
    [shown] = LooksSecret()(["my.token=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc"])
    assert shown == "[assignment]"


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.sampled_from(KINDS) | st.text("ab1 :=;&?@/.+-_\"'", max_size=6), max_size=6), st.integers()
)
def test_nothing_is_seen_afterwards(parts: list[str], seed: int) -> None:
    chance = random.Random(seed).randrange
    text = "".join(filled(SAMPLES[part], chance)[0] if part in SAMPLES else part for part in parts)
    [shown] = LooksSecret()([text])
    assert list(sightings(shown)) == []
