"""A media process's own side: opens legs on the sockets that it is given, does what the brain says, tells what happened.

A brain that does not read loses audio and what can be spared, and is told so when it reads again; the legs go on. When the
brain is gone, all legs end and their recordings are finished. Refuses to bind a socket, and to decide anything.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from aywa.core.events import (
    LegEnded,
    MediaEvent,
    MediaWarned,
    PlayoutAdvanced,
    QualityMeasured,
    VoiceFaded,
    VoiceLevelMeasured,
    VoiceScored,
    VoiceSuspected,
)
from aywa.core.rtp.plan import StreamPlan
from aywa.media.apart.messages import Message, message_in, of_event, of_recording
from aywa.media.apart.pipe import Pipe
from aywa.media.apart.settings import ApartSettings
from aywa.media.plane import Plane
from aywa.media.rtp.edge import RtpEdge
from aywa.media.rtp.leg import RtpLeg
from aywa.media.rtp.ports import PortPair
from aywa.media.wheel import Wheel
from aywa.ports.media import FORWARDED, AudioFormat, LegPlan

log = logging.getLogger(__name__)

PORT_BYTES = 2
# More of the same is on its way, or nothing is decided on it.
_SPARE = (
    VoiceScored,
    VoiceSuspected,
    VoiceFaded,
    VoiceLevelMeasured,
    PlayoutAdvanced,
    MediaWarned,
    QualityMeasured,
)
# An audio leg is given its real format when it is opened; until then this stands there.
_ANY_FORMAT, _ANY_RATE_HZ = AudioFormat.MULAW, 8000


class Serving:
    """handles: where the sockets of legs come from. cpu_s: processor time so far. `over` is set when all has been closed."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        plane: Plane,
        edge: RtpEdge,
        handles: socket.socket,
        settings: ApartSettings | None = None,
        cpu_s: Callable[[], float] = time.process_time,
    ) -> None:
        handles.setblocking(False)
        self.over = asyncio.Event()
        self._loop = loop
        self._plane = plane
        self._edge = edge
        self._handles = handles
        self._settings = settings or ApartSettings()
        self._cpu_s = cpu_s
        self._pipe: Pipe
        self._outbox: _Outbox
        self._legs: dict[str, RtpLeg] = {}
        self._pairs: dict[int, list[socket.socket]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        # What a leg tells while it is being opened.
        self._held: list[MediaEvent] | None = None
        self._closing: asyncio.Task[None] | None = None

    def open(self, pipe: Pipe) -> None:
        """From now on messages are taken and events told."""
        self._pipe = pipe
        self._outbox = _Outbox(pipe, self._loop, self._plane.wheel, self._settings)
        pipe.lost.add_done_callback(lambda _: self.close())
        self._beat()
        self._report()

    def take(self, message: Message) -> None:
        """One of the brain's."""
        match message["do"]:
            case "carry_out":
                self._plane.send(message_in(message))
            case "open":
                self._open(message)
            case "change":
                if (leg := self._legs.get(message["leg"])) is not None:
                    leg.change(StreamPlan.from_dict(message["plan"]))
            case "tap":
                leg_id = message["leg"]
                self._plane.tap(leg_id, partial(self._tapped, leg_id) if message["on"] else None)
            case "digit":
                if (leg := self._legs.get(message["leg"])) is not None:
                    leg.digit(message["digit"])
            case "end":
                if (leg := self._legs.get(message["leg"])) is not None:
                    leg.close(message["cause"], message["detail"])
            case "close":
                self.close()
            case unknown:
                log.error("a message that media does not know: %s", unknown)

    def close(self) -> None:
        """Ends all legs, finishes all recordings; then `over` is set."""
        if self._closing is None:
            self._closing = self._loop.create_task(self._close(), name="media: close")

    async def _close(self) -> None:
        await self._plane.close()
        self._edge.close()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._handles.close()
        for sockets in self._pairs.values():
            for opened in sockets:
                opened.close()
        self._pipe.close()
        # What is on its way must be read, by a brain that reads.
        await asyncio.wait([self._pipe.lost], timeout=self._settings.stop_s)
        self.over.set()

    # --- legs ------------------------------------------------------------------------------------------------------

    def _open(self, message: Message) -> None:
        leg_id, port = message["leg"], message["port"]
        pair = self._pair(message["host"], port)
        if pair is None:
            self._outbox.tell({"is": "refused", "leg": leg_id, "detail": "its sockets did not come"})
            self._outbox.tell({"is": "returned", "port": port})
            return
        recording: str | None = message["recording"]
        plan = LegPlan(
            leg_id, _ANY_FORMAT, _ANY_RATE_HZ, message["epoch_s"], partial(self._posted, recording), recording
        )
        signals = _Signals(self._outbox, leg_id)
        self._held = []
        try:
            stream = StreamPlan.from_dict(message["plan"])
            leg = self._edge.open(pair, stream, plan, signals, message["signalling_host"])
        except Exception as error:
            # Whatever it was, its call must not wait for a leg. What it told meanwhile was of none.
            log.exception("leg %s could not be opened", leg_id)
            self._held = None
            pair.release()
            self._outbox.tell({"is": "refused", "leg": leg_id, "detail": str(error)})
            return
        self._legs[leg_id] = leg
        held, self._held = self._held, None
        for event in held:
            self._posted(recording, event)
        self._plane.listen(leg_id, partial(self._outbox.heard, leg_id), leg.rate_hz)

    def _pair(self, host: str, port: int) -> PortPair | None:
        """The leg's sockets: they were sent before the message that opens it."""
        while port not in self._pairs:
            try:
                number, handles, _, _ = socket.recv_fds(self._handles, PORT_BYTES, 2)
            except BlockingIOError:
                return None
            sockets = [socket.socket(fileno=handle) for handle in handles]
            if len(number) < PORT_BYTES or len(sockets) != 2:
                for opened in sockets:
                    opened.close()
                return None
            self._pairs[int.from_bytes(number)] = sockets
        audio, reports = self._pairs.pop(port)
        return self._edge.ports.adopt(host, port, audio, reports, self._returned)

    def _tapped(self, leg_id: str, pcm: bytes) -> None:
        self._outbox.tell({"is": "tapped", "leg": leg_id, "pcm": pcm}, spare=True)

    def _returned(self, port: int) -> None:
        self._outbox.tell({"is": "returned", "port": port})

    def _posted(self, recording: str | None, event: MediaEvent) -> None:
        """What a leg tells."""
        if self._held is not None:
            self._held.append(event)
            return
        if not isinstance(event, LegEnded) or event.cause == FORWARDED:
            self._outbox.tell(of_event(event), event.leg_id, spare=isinstance(event, _SPARE))
            return
        leg = self._legs.pop(event.leg_id, None)
        if leg is not None:
            self._tell_report(leg)
        self._outbox.tell(of_event(event), event.leg_id)
        if recording is not None:
            task = self._loop.create_task(
                self._recorded(event.leg_id), name=f"media: recording {event.leg_id}"
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _recorded(self, leg_id: str) -> None:
        recording = await self._plane.recorded(leg_id)
        values = None if recording is None else of_recording(recording)
        self._outbox.tell({"is": "recorded", "leg": leg_id, "recording": values})

    # --- now and then ----------------------------------------------------------------------------------------------

    def _beat(self) -> None:
        if self._closing is None:
            self._outbox.tell({"is": "beat", "at_s": self._loop.time(), "cpu_s": self._cpu_s()}, spare=True)
            self._loop.call_later(self._settings.beat_s, self._beat)

    def _report(self) -> None:
        if self._closing is None:
            for leg in self._legs.values():
                self._tell_report(leg)
            self._loop.call_later(self._settings.report_s, self._report)

    def _tell_report(self, leg: RtpLeg) -> None:
        self._outbox.tell({"is": "report", "leg": leg.leg_id, "report": asdict(leg.report())}, spare=True)


class _Signals:
    """media.rtp.leg.LegSignals: the signalling is the brain's."""

    def __init__(self, outbox: _Outbox, leg_id: str) -> None:
        self._outbox = outbox
        self._leg_id = leg_id

    def hang_up(self, reason: str) -> None:
        self._signal("hang_up", reason)

    def media_lost(self, detail: str) -> None:
        self._signal("media_lost", detail)

    def send_keys(self, digits: str) -> bool:
        """The other side says so if it cannot."""
        self._signal("send_keys", digits)
        return True

    def _signal(self, what: str, text: str) -> None:
        self._outbox.tell({"is": "signal", "leg": self._leg_id, "what": what, "text": text}, self._leg_id)


class _Outbox:
    """What is on its way to the brain. A leg's audio goes before what is told of the leg afterwards."""

    def __init__(
        self, pipe: Pipe, loop: asyncio.AbstractEventLoop, wheel: Wheel, settings: ApartSettings
    ) -> None:
        self._pipe = pipe
        self._loop = loop
        self._wheel = wheel
        self._settings = settings
        self._audio: defaultdict[str, list[bytes]] = defaultdict(list)
        self._due = False
        self._dropped: defaultdict[str, int] = defaultdict(int)

    def heard(self, leg_id: str, pcm: bytes) -> None:
        """A leg's inbound audio: kept for the others'."""
        self._audio[leg_id].append(pcm)
        if not self._due:
            self._due = True
            self._wheel.at(self._loop.time() + self._settings.batch_s, self._flush)

    def tell(self, message: Message, leg_id: str = "", *, spare: bool = False) -> None:
        """At once."""
        if leg_id in self._audio:
            self._send_audio({leg_id: self._audio.pop(leg_id)})
        self._own_up()
        waiting = self._pipe.waiting_bytes
        if waiting > self._settings.stuck_bytes:
            log.error("the brain has not read %d bytes: media gives it up", waiting)
            self._pipe.close(at_once=True)
        elif not (spare and waiting > self._settings.behind_bytes):
            self._pipe.send(message)

    def _flush(self) -> None:
        self._due = False
        audio, self._audio = self._audio, defaultdict(list)
        if audio:
            self._send_audio(audio)

    def _send_audio(self, audio: dict[str, list[bytes]]) -> None:
        legs: dict[str, Any] = {leg_id: b"".join(pieces) for leg_id, pieces in audio.items()}
        if self._pipe.waiting_bytes > self._settings.behind_bytes:
            for leg_id, pcm in legs.items():
                self._dropped[leg_id] += len(pcm)
            return
        self._own_up()
        self._pipe.send({"is": "audio", "legs": legs})

    def _own_up(self) -> None:
        """Says what was dropped, as soon as the brain reads again."""
        if self._dropped and self._pipe.waiting_bytes <= self._settings.behind_bytes:
            dropped, self._dropped = self._dropped, defaultdict(int)
            for leg_id, size in dropped.items():
                detail = f"{size} bytes of audio were not heard: the runtime did not keep up"
                self._pipe.send(of_event(MediaWarned(leg_id, "brain_behind", detail)))
