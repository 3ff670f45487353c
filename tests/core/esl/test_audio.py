from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.esl import audio
from aywa.core.esl.audio import AudioModule, AudioNews, Back
from aywa.core.esl.commands import Unsendable
from aywa.core.esl.event import Event
from tests.core.feed import examples

USAGE = "<uuid> [start | stop ] [wss-url | path] [mono | mixed | stereo] [8000] [bugname] [metadata]"
BACK = f"-USAGE: {USAGE} [bidrectionalAduo_enabled] [bidrectionalAduo_stream_enabled]"
URL = "ws://10.0.0.1:8081/media/audio_fork/c-1/tok?rate=8000&back=stream"


@pytest.mark.parametrize(
    ("name", "said", "found"),
    [
        (audio.FORK, f"-USAGE: {USAGE}\n", AudioModule(audio.FORK, Back.FILES)),
        (audio.FORK, BACK, AudioModule(audio.FORK, Back.STREAMED)),
        (audio.FORK, "-USAGE: x [bidirectionalAudio_enabled]", AudioModule(audio.FORK, Back.STREAMED)),
        (audio.STREAM, f"-USAGE: {USAGE}", AudioModule(audio.STREAM, Back.UNTOLD)),
        (audio.STREAM, "-ERR Operation Failed", AudioModule(audio.STREAM, Back.UNTOLD)),
        (audio.FORK, "-ERR uuid_audio_fork Command not found!\n", None),
        (audio.FORK, "", None),
    ],
)
def test_what_is_there(name: str, said: str, found: AudioModule | None) -> None:
    assert audio.module(name, said) == found


def test_what_a_person_is_told_of_each() -> None:
    notes = {AudioModule(audio.FORK, back).note for back in Back}
    assert len(notes) == len(Back)
    assert all("mod_audio_fork" in note for note in notes)


def test_how_it_begins_and_ends() -> None:
    streamed = AudioModule(audio.FORK, Back.STREAMED)
    begun = audio.start(streamed, "u-1", URL, 8000)
    assert (begun.command, begun.argument) == (
        "uuid_audio_fork",
        f"u-1 start {URL} mono 8k aywa {{}} 1 1 8000",
    )
    assert URL not in repr(begun)
    files = audio.start(AudioModule(audio.FORK, Back.FILES), "u-1", URL, 16000)
    assert files.argument == f"u-1 start {URL} mono 16k aywa {{}}"
    other = audio.start(AudioModule(audio.STREAM, Back.UNTOLD), "u-1", URL, 16000)
    assert (other.command, other.argument) == ("uuid_audio_stream", f"u-1 start {URL} mono 16k")
    assert other.variables["STREAM_SAMPLE_RATE"] == "16000"
    assert audio.stop(streamed, "u-1") == ("uuid_audio_fork", "u-1 stop aywa")
    assert audio.stop(AudioModule(audio.STREAM, Back.UNTOLD), "u-1") == ("uuid_audio_stream", "u-1 stop")


@pytest.mark.parametrize(
    "url", ["http://a/b", "ws://a b/c", "ws://a/b c", "ws://a/{x}", "ws://a", "ws://a/b\n"]
)
def test_an_address_is_one_word(url: str) -> None:
    with pytest.raises(Unsendable):
        audio.start(AudioModule(audio.FORK, Back.STREAMED), "u-1", url, 8000)


def test_a_rate_or_a_channel_that_is_none() -> None:
    with pytest.raises(Unsendable):
        audio.start(AudioModule(audio.FORK, Back.STREAMED), "u-1", URL, 44100)
    with pytest.raises(Unsendable):
        audio.start(AudioModule(audio.FORK, Back.STREAMED), "u 1", URL, 8000)


def told(subclass: str, body: str = "") -> AudioNews:
    return audio.audio_news(Event(fields={"Event-Subclass": subclass}, body=body))


def test_what_a_module_tells() -> None:
    assert told("mod_audio_fork::play_audio", '{"file": "/tmp/a_1.tmp.r8"}') == AudioNews(
        "file", "/tmp/a_1.tmp.r8"
    )
    assert told("mod_audio_stream::play", '{"file": "/tmp/a.raw"}') == AudioNews("file", "/tmp/a.raw")
    for body in ('{"file": "/tmp/../etc/x"}', '{"file": "/tmp/a b"}', '{"file": 3}', "[]", "{", ""):
        assert told("mod_audio_stream::play", body) == AudioNews()
    assert told("mod_audio_fork::kill_audio") == AudioNews("kill")
    assert told("mod_audio_stream::disconnect") == AudioNews("ended")
    failed = '{"status": "error", "message": {"error": "got 403", "retries": 1}}'
    assert told("mod_audio_stream::error", failed) == AudioNews("failed", "got 403")
    assert told("mod_audio_fork::connect_failed", '{"reason": "refused"}') == AudioNews("failed", "refused")
    assert told("mod_audio_fork::error", '{"message": {"x": {}}}') == AudioNews("failed", "")
    assert told("mod_audio_fork::json") == AudioNews()
    assert told("other::play", '{"file": "/tmp/a"}') == AudioNews()


@examples(100)
@given(st.text(max_size=80))
def test_no_body_raises(body: str) -> None:
    assert told("mod_audio_stream::error", body).kind == "failed"
    assert told("mod_audio_stream::play", body).kind in ("", "file")
