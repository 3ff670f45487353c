"""What looks like a secret is seen, and what our own words look like is not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aywa.core.ended_reasons import of_failure
from aywa.core.support.patterns import KINDS, sightings
from aywa.core.support.trial import SAMPLES, filled
from aywa.core.webhooks import Cause

OURS = [
    "call.in-progress.error-providerfault-outbound-sip-407-proxy-authentication-required",
    "call.in-progress.error-vapifault-worker-died",
    of_failure("llm", "openai/gpt-4.1", "bad_request"),
    *(cause.value for cause in Cause),
    "4f6d6f0e-9c1b-4a57-8f39-0d8b3b1c7a11",
    "2026-11-23T14:18:18.123Z",
    "6.1.0-18-cloud-amd64",
    "deepgram/nova-3",
    "openai/gpt-4o-mini-tts",
    "the journal cannot be written: No space left on device (3 records lost so far)",
    "aywa.db-wal",
    "00000001.journal",
    "no answer within 2 s",
    "RUNTIME_STORE_ENCRYPTION_KEY_PREVIOUS",
    "1764829134123",
    "12345678901234",
    "4111 1111 1111 1112",
    "interruptionLatencyAverageOfTheNewestCalls2",
    "EndpointingAnsweredByTheCustomersModelV2",
]


@pytest.mark.parametrize("kind", SAMPLES)
def test_each_kind_is_seen(kind: str) -> None:
    for seed in range(5):
        text, _ = filled(SAMPLES[kind], random.Random(seed).randrange)
        seen = list(sightings(f"before {text} after"))
        assert kind in {one.kind for one in seen}
        covered = {place for one in seen for place in range(one.start, one.end)}
        assert covered <= set(range(len("before "), len("before ") + len(text) + 1))


def test_every_kind_has_a_sample() -> None:
    assert set(KINDS) == set(SAMPLES)


@pytest.mark.parametrize("text", OURS)
def test_our_own_words_are_none(text: str) -> None:
    assert list(sightings(text)) == []


def test_what_is_random_has_no_kind_for_long() -> None:
    assert [one.kind for one in sightings("x dTpnaHBfaFdBQlBqYjMxandvcGsySkRYaWJsN1RTSg y")] == ["opaque"]


@settings(deadline=None, max_examples=40)
@given(st.uuids(), st.datetimes())
def test_ids_and_times_are_none(uuid: object, time: object) -> None:
    assert list(sightings(f"{uuid} {str(time).replace(' ', 'T')}Z")) == []
