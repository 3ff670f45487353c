"""Recordings of people from Debian's packages, with what they say, and how to count word errors."""

from __future__ import annotations

import re
import wave
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aywa.adapters.local.resample import from_pcm16, resample, to_pcm16

PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
LIBRIVOX = Path("/usr/share/pocketsphinx/test/data/librivox")

SAID = {
    "agent-alreadyon": "that agent is already logged on please enter your agent number followed by the pound key",
    "agent-incorrect": "login incorrect please enter your agent number followed by the pound key",
    "agent-newlocation": "please enter a new extension followed by pound",
    "agent-pass": "please enter your password followed by the pound key",
    "all-circuits-busy-now": "all circuits are busy now",
    "auth-incorrect": "password incorrect please enter your password followed by the pound key",
    "auth-thankyou": "thank you",
    "call-fwd-unconditional": "call forward unconditional",
    "conf-getpin": "please enter the conference pin number",
    "conf-invalid": "that is not a valid conference number please try again",
    "conf-onlyperson": "you are currently the only person in this conference",
    "conf-waitforleader": "the conference will begin when the leader arrives",
    "demo-nomatch": "i'm sorry there are no matches for those keywords",
    "demo-thanks": "goodbye thank you for trying out the asterisk open source pbx",
    "dir-instr": "if this is the person you're looking for press one now otherwise please press star now",
    "pbx-invalid": "i am sorry but that's not a valid extension please try again",
    "privacy-prompt": "please enter your phone number starting with the area code",
    "privacy-unident": "the party you are trying to reach does not accept unidentified calls",
    "queue-periodic-announce": "all of our representatives are currently busy please stay on the line and your call will be "
    "answered by the next available representative",
    "queue-thankyou": "thank you for your patience",
    "queue-youarenext": "your call is now first in line and will be answered by the next available representative",
    "ss-noservice": "the number you have dialed is not in service please check the number and try again",
    "vm-intro": "please leave your message after the tone when done hang up or press the pound key",
    "vm-instructions": "to listen to your messages press one now you may quit voicemail at any time by pressing the pound key",
    "vm-rec-name": "after the tone say your name and then press the pound key",
    "vm-sorry": "i'm sorry i did not understand your response",
    "vm-tempgreeting": "press one to record your temporary greeting",
}

_JOINED = {
    "log in": "login",
    "good bye": "goodbye",
    "key words": "keywords",
    "mail box": "mailbox",
    "mr": "mister",
}


@cache
def recording(path: Path, rate_hz: int = 16000) -> bytes:
    """PCM16 mono at the wanted rate."""
    with wave.open(str(path)) as file:
        audio = from_pcm16(file.readframes(file.getnframes()))
        return to_pcm16(resample(audio, file.getframerate(), rate_hz))


def prompt(name: str, rate_hz: int = 8000) -> bytes:
    """One of Asterisk's prompts."""
    return recording(PROMPTS / f"{name}.wav", rate_hz)


def librivox() -> list[tuple[Path, str]]:
    """Sentences read aloud, and their words."""
    lines = re.findall(r"<s> (.*) </s> \((.*)\)", (LIBRIVOX / "transcription").read_text(encoding="utf-8"))
    return [(LIBRIVOX / f"{name}.wav", said) for said, name in lines]


def silence(seconds: float, rate_hz: int = 16000) -> bytes:
    return bytes(2 * int(seconds * rate_hz))


def noise(seconds: float, rate_hz: int = 16000, level: float = 0.01) -> bytes:
    return to_pcm16(np.random.default_rng(1).normal(0, level, int(seconds * rate_hz)).astype(np.float32))


def words(text: str) -> list[str]:
    """Lower case, without marks; spellings that sound alike made one."""
    plain = re.sub(r"[^a-z' ]+", " ", text.lower().replace("-", " "))
    plain = f" {' '.join(plain.split())} "
    for long, short in _JOINED.items():
        plain = plain.replace(f" {long} ", f" {short} ")
    return plain.split()


def errors(said: str, heard: str) -> tuple[int, int]:
    """Word errors (Levenshtein) and words said."""
    truth, got = words(said), words(heard)
    row: npt.NDArray[np.int64] = np.arange(len(got) + 1)
    for place, word in enumerate(truth, 1):
        before, row = row, np.full_like(row, place)
        for other, heard_word in enumerate(got, 1):
            row[other] = min(before[other] + 1, row[other - 1] + 1, before[other - 1] + (word != heard_word))
    return int(row[-1]), len(truth)
