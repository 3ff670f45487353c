"""One RTP leg: a pair of sockets as the media plane's connection, its reports, its timeouts, its change in mid-call.

What the far side sends ends at most this leg, and a socket that refuses to send ends nothing: the far side may be back in
a moment, and the timeout knows how long that is. Refuses to know SIP: signalling is told, and tells.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from aywa.core.audio.frame import silence
from aywa.core.events import (
    LegEnded,
    MediaEvent,
    PlayoutDropped,
    PlayoutFinished,
    PlayoutPaused,
    PlayoutStarved,
    QualityMeasured,
)
from aywa.core.rtp.comfort_noise import USUAL_DB
from aywa.core.rtp.dtmf import PAUSES_S
from aywa.core.rtp.packet import Sender
from aywa.core.rtp.plan import StreamPlan
from aywa.core.rtp.quality import estimate
from aywa.core.rtp.rtcp import Reports
from aywa.core.rtp.tones import TONE_KEYS, tone
from aywa.media.plane import Plane
from aywa.media.rtp.coding import decoder, encoder
from aywa.media.rtp.latch import Latch, Source
from aywa.media.rtp.listening import Ear, Listening
from aywa.media.rtp.poller import Poller
from aywa.media.rtp.ports import MOST_BYTES, PortPair
from aywa.media.rtp.settings import RtpSettings
from aywa.media.rtp.talking import Talking
from aywa.media.rtp.tones import TonesHeard, carries_tones
from aywa.media.wheel import Timer
from aywa.media.wire import wire
from aywa.ports.codec import CodingMaker
from aywa.ports.media import FORWARDED, Leg, LegPlan
from aywa.ports.srtp import Srtp, SrtpMaker

log = logging.getLogger(__name__)

NO_MEDIA = "no_media"
QUALITY_S = 30.0
"""How often it is told how the stream fares; at its end in any case."""
_STOPS = (PlayoutFinished, PlayoutDropped, PlayoutPaused, PlayoutStarved)
_CHORES_S = 0.25


class LegSignals(Protocol):
    """What an RTP leg asks of the signalling that made it. No method waits."""

    def hang_up(self, reason: str) -> None:
        """The brain closed the leg: end the dialog, then `close` the leg as "local"."""

    def media_lost(self, detail: str) -> None:
        """No media came for too long: end the dialog, then `close` the leg as NO_MEDIA. Told once."""

    def send_keys(self, digits: str) -> bool:
        """Keys by signalling, where the stream carries none; False: not there either."""


class SendAudio(Protocol):
    """ports.media.Connection.send_audio."""

    def __call__(self, frame: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all RTP legs of a process share. chance(n): a number in 0..n-1."""

    loop: asyncio.AbstractEventLoop
    plane: Plane
    poller: Poller
    settings: RtpSettings
    coding: CodingMaker
    srtp: SrtpMaker
    chance: Callable[[int], int]
    wall_s: Callable[[], float]


@dataclass(frozen=True, slots=True)
class StreamReport:
    """How the leg's stream fares, both ways. Times in seconds. refused: packets of strangers. The far side's view of what we
    send: remote_*; None where it never said. opinion: the estimated mean opinion score (G.107)."""

    sent: int
    received: int
    lost: int
    late: int
    duplicates: int
    concealed: int
    malformed: int
    unknown: int
    unproven: int
    refused: int
    unsent: int
    jitter_s: float
    round_trip_s: float | None
    remote_lost: int | None
    remote_jitter_s: float | None
    opinion: float | None
    remote_opinion: float | None


class _Link:
    """ports.media.Connection: what the media plane knows of an RTP leg."""

    def __init__(self, talking: Talking, signals: LegSignals) -> None:
        self.send_audio: SendAudio = talking.audio
        self.quiet = talking.quiet
        self.begin, self.left, self.halt = talking.begin, talking.left, talking.halt
        self._talking = talking
        self._signals = signals

    def send_text(self, text: str) -> None:
        """A phone reads no text."""

    def send_dtmf(self, digits: str) -> bool:
        """Keys in the stream, as events (RFC 4733) or as tones, else by signalling."""
        return self._talking.dial(digits) or self._signals.send_keys(digits)

    def signal_dtmf(self, digits: str) -> bool:
        """Keys by signalling."""
        return self._signals.send_keys(digits)

    def close(self, code: int, reason: str) -> None:
        """Signalling ends the dialog, and then the leg."""
        self._talking.close()
        self._signals.hang_up(reason)

    def buffered_bytes(self) -> int:
        """A datagram has left or is lost."""
        return 0


class RtpLeg:
    """Signalling's handle on a leg. Made by `RtpEdge.open`."""

    def __init__(
        self, around: Surroundings, pair: PortPair, plan: StreamPlan, leg_plan: LegPlan, signals: LegSignals,
        signalling_host: str = "",
    ) -> None:  # fmt: skip
        settings, chance = around.settings, around.chance
        self.leg_id = leg_plan.leg_id
        self.pair = pair
        self.plan = plan
        self._around = around
        self._leg_plan = leg_plan
        self._signals = signals
        self._now = around.loop.time
        self._wire = wire(leg_plan.format, leg_plan.rate_hz)
        self._leg: Leg | None = None
        self._srtp: Srtp | None = None
        self._srtp_before: Mapping[str, Any] | None = None
        self._told_lost = False
        self._open = True
        hosts = (signalling_host,) if signalling_host else ()
        self.latch = Latch(plan.remote, hosts, settings.latch_s)
        self._destination: tuple[str, int] | None = None
        self._rtcp_source: Source | None = None
        self.listening = Listening(
            around.plane.wheel,
            self._now,
            pair.audio.recvfrom,
            self._wire,
            leg_plan.rate_hz,
            settings,
            self.latch,
        )
        self.listening.moved = self._aim
        # SRTP counts a stream's wraps, and the far side must not miss the first (RFC 3711 3.3.1).
        sender = Sender(chance(1 << 32), chance(1 << 15), chance(1 << 32))
        self.talking = Talking(
            around.plane.wheel, self._now, pair.audio.sendto, sender, settings, around.plane.pacer
        )
        self._cname = f"{chance(1 << 48):012x}"
        self._reports = self._new_reports()
        self._chores_timer: Timer | None = None
        self._coded: tuple[object, ...] | None = None
        self._quality_due_s = self._now() + QUALITY_S
        self._forwarded = False
        self._tones = TonesHeard(self._wire, leg_plan.rate_hz, self._now)

    @property
    def rate_hz(self) -> int:
        """Of the leg's audio; it stays when the codec changes."""
        return self._leg_plan.rate_hz

    # --- from signalling ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Joins the plane; audio moves from now on."""
        around = self._around
        link = _Link(self.talking, self._signals)
        leg = around.plane.add_leg(replace(self._leg_plan, post=self._posted), link)
        self._leg = leg
        self._tones.open(leg)
        self._chores_timer = around.plane.wheel.at(self._now() + _CHORES_S, self._chores)
        self._apply(self.plan)
        around.poller.add(self.pair.audio, self.listening.readable)
        around.poller.add(self.pair.reports, self._readable_reports)

    def change(self, plan: StreamPlan) -> None:
        """Signalling agreed on something else: another address, codec, direction, key. What is the same goes on."""
        if self._open:
            self.latch.negotiate(plan.remote)
            self._apply(plan)

    def close(self, cause: str = "closed", detail: str = "") -> None:
        """The dialog is over: the leg ends, with LegEnded(cause)."""
        if self._leg is not None:
            self._leg.disconnected(cause, detail)
        self._shut()

    def digit(self, digit: str) -> None:
        """A key that came by signalling. Who presses keys by signalling reads them there, too."""
        self.talking.sound_as(None)
        if self._leg is None:
            return
        if self._tones.signalled(digit):
            self._leg.dtmf_received(digit)
        self._listen_for_tones()

    def report(self) -> StreamReport:
        """How the stream fares."""
        listening, remote = self.listening, self._reports.remote
        source = listening.inbound.source
        return StreamReport(
            sent=self.talking.sender.packets,
            received=0 if source is None else source.received,
            lost=listening.reorder.lost,
            late=listening.reorder.late,
            duplicates=listening.reorder.duplicates,
            concealed=listening.concealed,
            malformed=listening.malformed,
            unknown=listening.unknown,
            unproven=listening.unproven,
            refused=self.latch.refused,
            unsent=self.talking.unsent,
            jitter_s=0.0 if source is None else source.jitter_s,
            round_trip_s=remote.round_trip_s,
            remote_lost=remote.lost if remote.reports else None,
            remote_jitter_s=remote.jitter_s if remote.reports else None,
            opinion=None
            if source is None
            else self._opinion(source.lost / max(1, source.expected), source.jitter_s),
            remote_opinion=self._opinion(remote.lost / max(1, self.talking.sender.packets), remote.jitter_s)
            if remote.reports
            else None,
        )

    def _opinion(self, lost_share: float, jitter_s: float) -> float:
        return estimate(self.plan.codec, lost_share, jitter_s, self._reports.remote.round_trip_s)

    def snapshot(self) -> dict[str, Any]:
        """Plain values with which another process takes the leg up. Holds SRTP keys: never to be logged or journaled."""
        return {
            "host": self.pair.host,
            "port": self.pair.port,
            "plan": self.plan.to_dict(),
            "talking": self.talking.to_dict(self._now()),
            "listening": self.listening.to_dict(),
            "srtp": None if self._srtp is None else self._srtp.to_dict(),
            "cname": self._cname,
            "format": self._leg_plan.format.value,
            "rate_hz": self._leg_plan.rate_hz,
        }

    def take_up(self, values: Mapping[str, Any]) -> None:
        """Before `start`: goes on where another process stopped."""
        self.talking.take_up(values["talking"])
        self.listening.take_up(values["listening"])
        self._srtp_before = values["srtp"]
        self._cname = values["cname"]
        source = values["listening"]["source"]
        if source is not None:
            self.latch.taken(tuple(source), self.plan.secured, 0.0)
        self._reports = self._new_reports()

    # --- from the media plane ----------------------------------------------------------------------------------

    def _posted(self, event: MediaEvent) -> None:
        """What the plane tells of this leg, on its way to the brain."""
        if isinstance(event, _STOPS):
            self.talking.quiet()
        elif isinstance(event, LegEnded):
            self._tell_quality(self._now())
            if event.cause != FORWARDED:
                self._shut()
            self._forwarded = True
        self._leg_plan.post(event)

    def _tell_quality(self, now: float) -> None:
        """To whoever has the leg; once it was given away, nobody has."""
        self._quality_due_s = now + QUALITY_S
        report = self.report()
        if self._forwarded or not (report.received or report.sent):
            return
        self._leg_plan.post(
            QualityMeasured(
                self.leg_id, now - self._leg_plan.epoch_s, self.plan.codec.value, report.sent, report.received,
                report.lost, report.late, report.concealed, report.jitter_s, report.round_trip_s, report.opinion,
                report.remote_lost, report.remote_jitter_s, report.remote_opinion,
            )
        )  # fmt: skip

    # --- the sockets -------------------------------------------------------------------------------------------

    def _readable_reports(self, now: float) -> None:
        try:
            data, source = self.pair.reports.recvfrom(MOST_BYTES)
        except OSError:
            return
        if not self.latch.allows(source):
            self.latch.refused += 1
        elif self._reported(data, now):
            self._rtcp_source = source

    def _aim(self) -> None:
        """Where audio goes: to whom sends."""
        self._destination = self.latch.destination if self._open else None
        self.talking.send_to(self._destination if self.plan.sends else None)

    # --- what was agreed ---------------------------------------------------------------------------------------

    def _apply(self, plan: StreamPlan) -> None:
        codec, leg, around = plan.codec, self._leg_plan, self._around
        if self._srtp is None or (plan.send_keys, plan.receive_keys) != (
            self.plan.send_keys,
            self.plan.receive_keys,
        ):
            self._srtp = self._secure(plan)
        self.talking.protect_with(None if self._srtp is None else self._srtp.protect)
        self.plan = plan
        coded = (codec, plan.payload_type, plan.ptime_ms, dict(plan.receive_types))
        if coded != self._coded:
            # A codec that goes on keeps its state.
            self._coded = coded
            silence = self._wire.silence * (leg.rate_hz // 50)
            encode = encoder(codec, leg.format, leg.rate_hz, around.coding)
            self.talking.code(plan.payload_type, plan.clock_hz, plan.ptime_ms, silence, encode)
            decoders = {
                number: decoder(each, leg.format, leg.rate_hz, around.coding)
                for number, each in plan.receive_types.items()
            }
            self.listening.code(decoders, plan.clock_hz)
        self.talking.dial_as(plan.dtmf_type, plan.dtmf_clock_hz)
        tones = plan.dtmf_type is None and carries_tones(codec)
        self.talking.sound_as(self._tone if tones else None)
        self.talking.rest_as(plan.comfort_noise_type, bytes([USUAL_DB]))
        self.listening.keys(plan.dtmf_receive_type, plan.dtmf_clock_hz, plan.comfort_noise_type)
        self.listening.secure(None if self._srtp is None else self._srtp.unprotect)
        self.listening.receiving(plan.receives, self._now())
        self._listen_for_tones()
        self._aim()

    def _listen_for_tones(self) -> None:
        """Keys are looked for in the sound only where they cannot come otherwise."""
        leg, plan = self._leg, self.plan
        if leg is None:
            return
        codecs = set(plan.receive_types.values())
        wanted = plan.dtmf_receive_type is None and all(map(carries_tones, codecs))
        self.listening.listen(Ear(self._tones.ear(wanted), leg.dtmf_received, self._reported))

    def _tone(self, key: str) -> bytes:
        """A key or a pause, as the leg's audio."""
        settings, rate_hz = self._around.settings, self._leg_plan.rate_hz
        pause_s = PAUSES_S.get(key)
        if pause_s is not None:
            return self._wire.from_pcm(silence(round(pause_s * rate_hz)))
        if key.upper() not in TONE_KEYS:
            return b""
        gap = silence(round(settings.key_gap_s * rate_hz))
        return self._wire.from_pcm(tone(key, rate_hz, settings.key_s) + gap)

    def _secure(self, plan: StreamPlan) -> Srtp | None:
        before, self._srtp_before = self._srtp_before, None
        if plan.send_keys is None or plan.receive_keys is None:
            return None
        return self._around.srtp(plan.send_keys, plan.receive_keys, before)

    # --- reports and timeouts ----------------------------------------------------------------------------------

    def _new_reports(self) -> Reports:
        now, around = self._now(), self._around
        return Reports(
            self.talking.sender,
            self.listening.inbound,
            self.plan.clock_hz,
            self._cname,
            lambda: around.chance(1 << 20) / (1 << 20),
            now,
            around.wall_s() - now,
        )

    def _chores(self) -> None:
        now = self._now()
        self._chores_timer = self._around.plane.wheel.at(now + _CHORES_S, self._chores)
        self.listening.chores(now)
        if now >= self._reports.deadline:
            # What came in order is counted for a report, and not before: whoever counts looks at the next packet anew.
            _ = self.listening.inbound
            report = self._reports.wake(now, self._ticks(now))
            if report is not None:
                self._send_report(report)
        self._look_for_media(now)
        if now >= self._quality_due_s:
            self._tell_quality(now)

    def _ticks(self, now: float) -> int:
        return self.talking.ticks_at(now, self.plan.clock_hz)

    def _look_for_media(self, now: float) -> None:
        listening, settings = self.listening, self._around.settings
        if not self.plan.receives or self._told_lost:
            return
        limit_s = settings.next_packet_s if listening.began else settings.first_packet_s
        if now - listening.last_s >= limit_s:
            self._told_lost = True
            self._signals.media_lost(f"no packet came for {limit_s:g} s")

    def _reported(self, data: bytes, now: float) -> bool:
        """A report on either port; whether it was one."""
        if self._srtp is not None:
            opened = self._srtp.unprotect_rtcp(data)
            if opened is None:
                self.listening.unproven += 1
                return False
            data = opened
        if not self._reports.receive(data, now):
            self.listening.malformed += 1
            return False
        # Who reports is there, if silent: a far side may send nothing while nobody speaks.
        self.listening.alive(now)
        return True

    def _send_report(self, report: bytes) -> None:
        plan = self.plan
        opened = self.pair.audio if plan.rtcp_mux else self.pair.reports
        target = self._destination if plan.rtcp_mux else self._rtcp_source or plan.rtcp
        if target is None:
            return
        try:
            opened.sendto(
                report if self._srtp is None else self._srtp.protect_rtcp(report), tuple(target[:2])
            )
        except OSError:
            self.talking.unsent += 1

    def _shut(self) -> None:
        if not self._open:
            return
        self._open = False
        if self.latch.refused:
            log.warning("%s: %d packets of strangers were not heard", self.leg_id, self.latch.refused)
        now = self._now()
        # What came in order is counted now.
        _ = self.listening.inbound
        self._send_report(self._reports.goodbye(now, self._ticks(now)))
        if self._chores_timer is not None:
            self._chores_timer.cancel()
        self.talking.close()
        self.listening.close()
        self._destination = None
        self.pair.release()
