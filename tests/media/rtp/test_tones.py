"""Keys as tones in a leg's audio: heard beside the sound, and once."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from aywa.core.audio.g711 import pcm_to_mulaw
from aywa.core.rtp.plan import Codec
from aywa.core.rtp.tones import tone
from aywa.media.rtp.tones import SAME_KEY_S, TonesHeard, carries_tones
from aywa.media.wire import wire
from aywa.ports.media import AudioFormat


@dataclass
class Leg:
    leg_id: str = "leg"
    audio: bytearray = field(default_factory=bytearray)
    keys: str = ""

    def audio_received(self, payload: bytes) -> None:
        self.audio += payload

    def text_received(self, text: str) -> None:
        raise AssertionError("a phone writes no text")

    def dtmf_received(self, digit: str) -> None:
        self.keys += digit

    def played(self, left_s: float, at_s: float) -> None:
        raise AssertionError("a phone has no marks")

    def warned(self, code: str, detail: str) -> None:
        raise AssertionError("nothing is wrong")

    def disconnected(self, cause: str, detail: str = "") -> None:
        raise AssertionError("nobody hangs up")


@dataclass
class Line:
    now: float = 0.0
    leg: Leg = field(default_factory=Leg)

    def __post_init__(self) -> None:
        self.tones = TonesHeard(wire(AudioFormat.MULAW, 8000), 8000, lambda: self.now)
        self.tones.open(self.leg)

    def sound(self, key: str, wanted: bool = True) -> None:
        ear = self.tones.ear(wanted)
        audio = pcm_to_mulaw(tone(key, 8000, 0.1) + bytes(1600))
        for at in range(0, len(audio), 160):
            ear(audio[at : at + 160])
            self.now += 0.02


def test_a_tone_is_a_key_and_its_sound_is_heard() -> None:
    line = Line()
    line.sound("5")
    line.sound("A")
    assert (line.leg.keys, len(line.leg.audio)) == ("5A", 2 * 1600)


def test_nobody_listens_where_keys_come_otherwise() -> None:
    line = Line()
    line.sound("5", wanted=False)
    assert (line.leg.keys, len(line.leg.audio)) == ("", 1600)
    assert line.tones.ear(False) == line.leg.audio_received


@pytest.mark.parametrize(
    ("key", "later_s", "new"), [("5", 0.3, False), ("6", 0.3, True), ("5", SAME_KEY_S + 1, True)]
)
def test_a_key_that_is_signalled_after_it_sounded_is_no_new_one(key: str, later_s: float, new: bool) -> None:
    line = Line()
    line.sound("5")
    line.now += later_s
    assert line.tones.signalled(key) is new
    # And from now on what sounds is only the same once more.
    line.sound("7")
    assert line.leg.keys == "5"
    assert line.tones.signalled(key)


def test_an_ear_that_is_still_asked_after_it_was_put_aside_only_hears() -> None:
    line = Line()
    ear = line.tones.ear(True)
    line.tones.ear(False)
    ear(pcm_to_mulaw(tone("5", 8000, 0.2)))
    assert (line.leg.keys, len(line.leg.audio)) == ("", 1600)


def test_which_codecs_carry_tones() -> None:
    assert [codec for codec in Codec if not carries_tones(codec)] == [Codec.OPUS]
