"""A bad network between the telephone and the runtime: do calls come about, and what does recognition lose?

The network (aywa.testing.softphone.network): 5 % of the packets are lost, each takes up to 60 ms more than another by chance, so
that a fifth overtake the one before, and 2 % come twice; both ways, SIP as well as audio.

recognition: labelled sentences go as G.711 over real RTP sockets, on a clock that jumps, into legs of the media plane, once over
a good network and once over the bad one. They are bench/speech/corpora.py's: the validation half on a clean line, one take of
each whose words can be written in one way only (Kokoro's voices, Asterisk's recordings and LibriVox's). What recognition is
given is heard by Moonshine. Word error rates over all words; points_lost: of the hundred.

calls: against `aywa dev --tiny`, in real time, the softphone of aywa.testing says a recorded sentence after the greeting and
hears a reply. incomplete: calls that were not answered, had no greeting or no reply, in whose document the caller says nothing,
or that ended otherwise than by the caller.

Prints {"wer_good_percent", "wer_bad_percent", "points_lost", "incomplete", "calls", ..., "samples"}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aywa.boot.pipeline import DeafVad
from aywa.boot.speech import open_speech
from aywa.core.audio.g711 import pcm_to_mulaw
from aywa.core.events import MediaEvent
from aywa.core.rtp.packet import build
from aywa.core.rtp.plan import Address, Codec, StreamPlan
from aywa.media.plane import Plane
from aywa.media.rtp.edge import RtpEdge
from aywa.media.rtp.leg import StreamReport
from aywa.media.rtp.settings import RtpSettings
from aywa.ports.media import AudioFormat, LegPlan
from aywa.ports.vad import Vad
from aywa.testing.caller import call_by_sip_id
from aywa.testing.runtime import DevRuntime, free_port
from aywa.testing.script import Pause, Say, Step, WaitReply
from aywa.testing.softphone.network import Impairment, Network
from aywa.testing.softphone.phone import Setup
from aywa.testing.softphone.talk import Dial, Softphone, report
from aywa.testing.sound import read_wav
from aywa.testing.virtual_time import run_virtual
from bench.callers import ELSEWHERE, tell
from bench.speech import corpora

BAD = Impairment(loss=0.05, jitter_s=0.06, duplicates=0.02)
GOOD = Impairment()
HOST = "127.0.0.1"
RATE_HZ = 8000
EAR_HZ = 16_000
FRAME = 160
FRAME_S = 0.02
KINDS = ("mid", "clause", "question", "two", "opening", "short", "plain", "prompt", "book")
PER_CALL = 10
"""Sentences of one leg: what it learns of the network in one, it knows in the next."""
AFTER_S = 0.6
CALLS = 24
AT_ONCE = 4
SPOKEN = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
RECORDED = ("vm-intro", "queue-youarenext", "pbx-invalid", "ss-noservice")


@dataclass(frozen=True, slots=True)
class Sentence:
    """What is said, as words, and how it sounds: PCM16 at 8 kHz."""

    words: tuple[str, ...]
    pcm: bytes


# --- what is said ------------------------------------------------------------------------------------------------


def sentences(few: int) -> list[Sentence]:
    """The labelled ones; few: only every n-th."""
    taken = [
        turn
        for turn in corpora.turns("validation")
        if turn.kind in KINDS and (turn.kind in ("prompt", "book") or turn.key.endswith("-0"))
    ]
    found = []
    for turn in taken[::few]:
        heard = corpora.heard(replace(turn, condition="clean"))
        end = min(len(heard.pcm), round((heard.end_s + AFTER_S) * RATE_HZ))
        words = words_of(" ".join(word for word, _, _ in heard.words))
        found.append(Sentence(words, heard.pcm[:end].astype("<i2").tobytes()))
    return found


_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen"
    " nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


def words_of(text: str) -> tuple[str, ...]:
    """As they are compared: lower case, no marks, numbers up to 99 spelled out."""
    plain = re.sub(r"[^a-z0-9' ]+", " ", text.lower().replace("\u2019", "'"))
    found: list[str] = []
    for word in plain.split():
        word = word.strip("'")
        number = int(word) if word.isdigit() and len(word) < 3 else None
        if number is None:
            found += [word] * bool(word)
        elif number < len(_UNITS):
            found.append(_UNITS[number])
        else:
            found += [_TENS[number // 10 - 2], *([_UNITS[number % 10]] if number % 10 else [])]
    return tuple(found)


def errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Words put in, left out and changed, at the least."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, 1):
        before, row[0] = row[0], number
        for at, other in enumerate(heard, 1):
            before, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, before + (word != other))
    return row[-1]


# --- over the network, on a clock that jumps ---------------------------------------------------------------------


class Signals:
    """Signalling that has nothing to say."""

    def hang_up(self, reason: str) -> None:
        """The bench ends its calls itself."""

    def media_lost(self, detail: str) -> None:
        raise AssertionError(detail)

    def send_keys(self, digits: str) -> bool:
        return False


class _Phone(asyncio.DatagramProtocol):
    """A socket to send from."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport


async def listened(
    said: Sequence[Sentence], impairment: Impairment
) -> tuple[list[bytes], list[StreamReport]]:
    """What recognition would be given of each sentence, PCM16 at EAR_HZ."""
    loop = asyncio.get_running_loop()
    vads: dict[int, Vad] = {rate_hz: DeafVad(rate_hz) for rate_hz in (RATE_HZ, EAR_HZ)}
    plane = Plane(loop, vads)
    edge = RtpEdge(loop, plane, RtpSettings(first_port=21_000, last_port=21_199))
    heard: list[bytes] = []
    reports: list[StreamReport] = []
    for first in range(0, len(said), PER_CALL):
        network = Network(replace(impairment, seed=first))
        transport, _ = await loop.create_datagram_endpoint(_Phone, local_addr=(HOST, 0))
        pair = edge.reserve(HOST)
        plan = StreamPlan(
            Codec.PCMU, 0, {0: Codec.PCMU}, remote=Address(*transport.get_extra_info("sockname")[:2])
        )
        events: list[MediaEvent] = []
        leg = edge.open(
            pair, plan, LegPlan("leg", AudioFormat.MULAW, RATE_HZ, loop.time(), events.append), Signals()
        )
        number = 0
        for sentence in said[first : first + PER_CALL]:
            audio = bytearray()
            plane.listen("leg", audio.extend, EAR_HZ)
            number = await _speak(sentence, number, network, transport, (HOST, pair.port))
            # Until the last packet is there, however late it is.
            await asyncio.sleep(0.5)
            heard.append(bytes(audio))
        reports.append(leg.report())
        leg.close()
        transport.close()
        await asyncio.sleep(edge.settings.drain_s + edge.settings.rest_s + 1)
    await plane.close()
    edge.close()
    return heard, reports


async def _speak(
    sentence: Sentence,
    number: int,
    network: Network,
    transport: asyncio.DatagramTransport,
    place: tuple[str, int],
) -> int:
    """The sentence's packets at their times; the next number."""
    mulaw = pcm_to_mulaw(sentence.pcm)
    for at in range(0, len(mulaw) - FRAME + 1, FRAME):
        packet = build(0, False, number & 0xFFFF, number * FRAME, 77, mulaw[at : at + FRAME])
        network.carry(lambda packet=packet: transport.sendto(packet, place))  # type: ignore[misc]
        number += 1
        await asyncio.sleep(FRAME_S)
    return number


async def recognised(audio: Sequence[bytes]) -> list[tuple[str, ...]]:
    """By the model on this machine."""
    async with open_speech(ear=True) as speech:
        return [words_of(await speech.recognise(each, EAR_HZ)) for each in audio]


def recognition(few: int) -> dict[str, Any]:
    """Word errors over both networks."""
    tell("the sentences")
    said = sentences(few)
    words = sum(len(sentence.words) for sentence in said)
    row: dict[str, Any] = {"sentences": len(said), "words": words}
    for name, impairment in (("good", GOOD), ("bad", BAD)):
        audio, reports = run_virtual(listened(said, impairment))
        row[f"concealed_{name}"] = sum(each.concealed for each in reports)
        row[f"late_{name}"] = sum(each.late for each in reports)
        row[f"duplicates_{name}"] = sum(each.duplicates for each in reports)
        heard = asyncio.run(recognised(audio))
        wrong = [errors(one.words, other) for one, other in zip(said, heard, strict=True)]
        row[f"wer_{name}_percent"] = round(100 * sum(wrong) / words, 2)
        row[f"errors_{name}"] = wrong
        tell(
            f"{name}: {row[f'wer_{name}_percent']} % of {words} words, {row[f'concealed_{name}']} packets made up"
        )
    row["points_lost"] = round(row["wer_bad_percent"] - row["wer_good_percent"], 2)
    return row


# --- calls -----------------------------------------------------------------------------------------------------------


async def _one(number: int, uri: str, runtime: DevRuntime) -> str:
    """What was wrong with one call; empty: nothing."""
    spoken = read_wav((SPOKEN / f"{RECORDED[number % len(RECORDED)]}.wav").read_bytes()).pcm(RATE_HZ)
    setup = Setup(seed=number, user=f"bad{number}", network=replace(BAD, seed=number))
    steps: list[Step] = [WaitReply(10.0), Pause(0.5), Say(spoken), WaitReply(15.0, 1.0), Pause(0.3)]
    talked = await Softphone(setup).call(Dial(uri), steps)
    if not talked.connected:
        return f"not answered: {talked.error or talked.phone.status}"
    told = report(talked)
    if not told["heard"]:
        return "no greeting was heard"
    if not told["turns"]:
        return "no reply was heard"
    call: Mapping[str, Any] = await call_by_sip_id(runtime.url, runtime.key, told["sip_call_id"])
    if call.get("endedReason") != "customer-ended-call":
        return f"it ended by {call.get('endedReason')}"
    if not any(message["role"] == "user" for message in call.get("messages") or ()):
        return "nothing of what the caller said was understood"
    return ""


async def calls(first: int, count: int) -> dict[str, Any]:
    """So many of them."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    with tempfile.TemporaryDirectory(prefix="aywa-bench-") as folder:
        options = ("--tiny", "--sip-port", str(port))
        async with DevRuntime(Path(folder), *options, environment=environment) as runtime:
            tell(f"ready after {runtime.cold_start_s:.1f} s")
            few = asyncio.Semaphore(AT_ONCE)

            async def one(number: int) -> str:
                async with few:
                    wrong = await _one(number, f"sip:demo@{HOST}:{port}", runtime)
                    tell(f"call {number}: {wrong or 'well'}")
                    return wrong

            wrongs = await asyncio.gather(*(one(number) for number in range(first, first + count)))
    return {"calls": count, "incomplete": sum(map(bool, wrongs)), "wrong": [each for each in wrongs if each]}


def main() -> None:
    """Reads the arguments, measures, prints."""
    parser = argparse.ArgumentParser(description=re.split(r"\n\n", __doc__ or "")[0])
    parser.add_argument("--few", type=int, default=1, help="only every n-th sentence")
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument(
        "--first", type=int, default=0, help="number of the first call: what the network does hangs on it"
    )
    parser.add_argument("--only", choices=("recognition", "calls"))
    options = parser.parse_args()
    row: dict[str, Any] = {}
    samples: dict[str, int] = {}
    if options.only != "calls":
        row |= recognition(options.few)
        samples |= dict.fromkeys(("points_lost", "wer_good_percent", "wer_bad_percent"), row["words"])
    if options.only != "recognition":
        row |= asyncio.run(calls(options.first, options.calls))
        samples["incomplete"] = options.calls
    sys.stdout.write(json.dumps(row | {"samples": samples}) + "\n")


if __name__ == "__main__":
    main()
