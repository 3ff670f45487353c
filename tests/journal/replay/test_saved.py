"""A call kept as a test: it is replayed the same, names nobody, and can do without its words."""

from __future__ import annotations

import dataclasses
import gzip
import json

import pytest

from aywa.boot.rehearsal import Utterance
from aywa.journal.replay.identity import compare
from aywa.journal.replay.recording import read_recording
from aywa.journal.replay.saved import BadTest, NotRedacted, load, save
from tests.journal.replay.calls import ANSWER, called

SECRETS = {
    "name": "Front desk",
    "server": {"url": "https://hooks.example", "secret": "s3cret"},
    "model": {
        "provider": "openai",
        "messages": [{"role": "system", "content": "Answer for Miller."}],
        "headers": {"X-Key": "k3y"},
    },
    "endCallPhrases": ["goodbye"],
}


def test_a_kept_call_is_replayed_the_same_and_names_nobody() -> None:
    recording = read_recording("call-1", called(SECRETS))
    content, kept_short = save(recording)
    again = load(content)
    found = compare(again)
    assert found.identical
    assert found.decisions == compare(recording).decisions
    assert not again.damage
    assert not kept_short
    text = gzip.decompress(content).decode()
    assert "opening" in text
    for name in ("call-1", "org-1", "s3cret", "k3y", "hooks.example"):
        assert name not in text
    assert len(content) < 20_000


def test_redacted_it_holds_none_of_the_words_and_is_decided_the_same() -> None:
    recording = read_recording("call-1", called(SECRETS))
    content, kept_short = save(recording, redact=True)
    text = gzip.decompress(content).decode()
    for word in ("opening", "hours", "cleaning", "Certainly", "trouble", "Miller"):
        assert word not in text
    again = load(content)
    assert compare(again).identical
    decided = [r.data for step in again.steps for r in step.commands if r.kind == "RecordDecision"]
    before = [r.data for step in recording.steps for r in step.commands if r.kind == "RecordDecision"]
    assert decided == before
    assert kept_short  # "wait", "mhm"


def test_without_words_that_decide_nothing_may_stay() -> None:
    script = (Utterance(2.5, ("opening", "hours", "tomorrow", "morning")),)
    recording = read_recording("call-1", called(script=script, until_s=9.0))
    assert save(recording, redact=True)[1] is False


def test_what_cannot_do_without_its_words_is_refused() -> None:
    script = (Utterance(2.5, ("seven", "fourteen", "seventeen")),)
    recording = read_recording("call-1", called(script=script, until_s=9.0))
    with pytest.raises(NotRedacted, match="without --redact"):
        save(recording, redact=True)


def test_a_call_that_is_decided_otherwise_now_tests_nothing() -> None:
    records = called()
    taken = next(r for r in records if r.kind == "RecordDecision")
    other = [dataclasses.replace(r, data={**r.data, "reason": "?"}) if r is taken else r for r in records]
    with pytest.raises(BadTest, match="not decided the same way"):
        save(read_recording("call-1", other))
    with pytest.raises(BadTest, match="beginning"):
        save(read_recording("call-1", records[1:]))


def test_a_file_that_is_none_or_of_later_or_cut_says_so() -> None:
    content, _ = save(read_recording("call-1", called()))
    for bad, told in (
        (b"hello", "no gzipped file"),
        (content[: len(content) // 2], "it is cut"),
        (gzip.compress(b""), "its first line"),
        (gzip.compress(b'{"format": 99}\n'), "format 99, of a later version"),
    ):
        with pytest.raises(BadTest, match=told):
            load(bad)
    lines = gzip.decompress(content).decode().splitlines()
    lines[5] = lines[5][:10]
    damaged = load(gzip.compress("\n".join(lines).encode()))
    assert [each.seq for each in damaged.damage] == [5, 5]
    assert compare(damaged).same > 50
    assert json.loads(lines[0])["redacted"] is False
    assert ANSWER.split()[0] in "".join(lines)
