"""The brain's side of a leg whose media is in another process: orders go there, events and audio come from there.

It keeps the leg's last audio itself, so the turn model's question costs no round trip and no work in the media process.
"""

from __future__ import annotations

import asyncio
import logging
import wave
from collections import deque
from typing import Any

from aywa.core.audio.frame import to_float, to_pcm
from aywa.core.audio.resample import Resampler, resample_pcm
from aywa.core.events import LegEnded, MediaEvent, MediaWarned
from aywa.core.rtp.plan import StreamPlan
from aywa.media.apart.messages import Message, event_in, of_message, recording_in
from aywa.media.apart.process import MediaProcess
from aywa.media.leg import RECENT_HZ
from aywa.media.recorder import Recording
from aywa.media.rtp.leg import LegSignals, StreamReport
from aywa.ports.media import FORWARDED, AudioSink, LegPlan, MediaMessage

log = logging.getLogger(__name__)


class ApartLeg:
    """Signalling's handle on the leg, and the plane's. recorded: its recording, once that is known; None without."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        process: MediaProcess,
        plan: LegPlan,
        rate_hz: int,
        signals: LegSignals,
        recent_s: float,
    ) -> None:
        self.leg_id = plan.leg_id
        # By which the plane knows it.
        self.key = plan.leg_id
        self.process = process
        self.ended = False
        self.recorded: asyncio.Future[Recording | None] | None = None
        if plan.recording is not None:
            self.recorded = loop.create_future()
        self._loop = loop
        self._plan = plan
        self._rate_hz = rate_hz
        self._signals = signals
        self._began_s = loop.time()
        self._recent: deque[bytes] = deque()
        self._recent_bytes = 0
        self._recent_most = int(recent_s * rate_hz) * 2
        self._sink: AudioSink | None = None
        self._tap: AudioSink | None = None
        self._resampler: Resampler | None = None
        self._report: StreamReport | None = None

    # --- from signalling -------------------------------------------------------------------------------------------

    def change(self, plan: StreamPlan) -> None:
        """Signalling agreed on something else."""
        self._tell("change", plan=plan.to_dict())

    def close(self, cause: str = "closed", detail: str = "") -> None:
        """The dialog is over: the leg ends, with LegEnded(cause)."""
        self._tell("end", cause=cause, detail=detail)

    def digit(self, digit: str) -> None:
        """A key that came by signalling."""
        self._tell("digit", digit=digit)

    def report(self) -> StreamReport | None:
        """How the stream fared when that was last told; None before."""
        return self._report

    # --- from the brain --------------------------------------------------------------------------------------------

    def carry_out(self, message: MediaMessage) -> None:
        """Hands it on."""
        if not self.ended:
            self.process.send(of_message(message))

    def listen(self, sink: AudioSink | None, rate_hz: int) -> None:
        """Inbound audio goes to the sink from now on."""
        self._sink = sink
        same = sink is None or rate_hz == self._rate_hz
        self._resampler = None if same else Resampler(self._rate_hz, rate_hz)

    def tap(self, sink: AudioSink | None) -> None:
        """Both sides go to the sink: the media process has what left."""
        self._tap = sink
        self._tell("tap", on=sink is not None)

    def recent_audio(self, seconds: float) -> bytes:
        """The last inbound audio, PCM16 at 16 kHz."""
        wanted = int(seconds * self._rate_hz) * 2
        pcm = b"".join(self._recent)
        return resample_pcm(pcm[-wanted:] if wanted else b"", self._rate_hz, RECENT_HZ)

    # --- from the media process ------------------------------------------------------------------------------------

    def heard(self, pcm: bytes) -> None:
        """Some audio, in the order of its arrival."""
        if self.ended:
            return
        self._recent.append(pcm)
        self._recent_bytes += len(pcm)
        while self._recent_bytes - len(self._recent[0]) >= self._recent_most:
            self._recent_bytes -= len(self._recent.popleft())
        if self._sink is not None:
            self._feed(self._sink, pcm)

    def take(self, message: Message) -> None:
        """What is told of this leg."""
        match message["is"]:
            case "event":
                self._post(event_in(message))
            case "tapped":
                self._tapped(message["pcm"])
            case "signal":
                self._signal(message["what"], message["text"])
            case "report":
                self._report = StreamReport(**message["report"])
            case "recorded":
                values: dict[str, Any] | None = message["recording"]
                self._settle(None if values is None else recording_in(values))
            case "refused":
                log.warning("leg %s was not opened: %s", self.leg_id, message["detail"])
                self._settle(None)
                self.lost(message["detail"])
            case unknown:
                log.error("a message of a leg that nobody knows: %s", unknown)

    def lost(self, detail: str) -> None:
        """The media process is gone, or could not open the leg."""
        if not self.ended:
            self._post(LegEnded(self.leg_id, "lost", detail))
            self._signals.hang_up(detail)
        if self.recorded is not None and not self.recorded.done():
            reading = self._loop.run_in_executor(None, self._left_behind, detail)
            reading.add_done_callback(lambda read: self._settle(None if read.cancelled() else read.result()))

    def _left_behind(self, detail: str) -> Recording | None:
        """What the process had written of the recording: whole seconds, whose header is right."""
        path = self._plan.recording
        assert path is not None
        try:
            with wave.open(path) as file:
                rate_hz, frames = file.getframerate(), file.getnframes()
        except (OSError, EOFError, wave.Error):
            return None
        return Recording(path, rate_hz, self._began_s - self._plan.epoch_s, frames / rate_hz, detail)

    def _settle(self, recording: Recording | None) -> None:
        if self.recorded is not None and not self.recorded.done():
            self.recorded.set_result(recording)

    def _signal(self, what: str, text: str) -> None:
        match what:
            case "hang_up":
                self._signals.hang_up(text)
            case "media_lost":
                self._signals.media_lost(text)
            case "send_keys":
                if not self._signals.send_keys(text):
                    warned = MediaWarned(self.leg_id, "dtmf_unsupported", "this transport carries no keys")
                    self._post(warned)
            case _:
                log.error("a signal that nobody knows: %s", what)

    def _tapped(self, pcm: bytes) -> None:
        tap = self._tap
        if tap is None or self.ended:
            return
        try:
            tap(pcm)
        except Exception:
            log.exception("who listens to leg %s failed", self.leg_id)
            self.tap(None)

    def _feed(self, sink: AudioSink, pcm: bytes) -> None:
        resampler = self._resampler
        try:
            sink(pcm if resampler is None else to_pcm(resampler.push(to_float(pcm))))
        except Exception as error:
            log.exception("the sink of leg %s failed", self.leg_id)
            self._sink = None
            self._post(MediaWarned(self.leg_id, "sink_failed", f"{type(error).__name__}: {error}"))

    def _post(self, event: MediaEvent) -> None:
        if self.ended:
            return
        if isinstance(event, LegEnded):
            self.ended = event.cause != FORWARDED
            self._sink = self._tap = None
            self._recent.clear()
            self._recent_bytes = 0
        try:
            self._plan.post(event)
        except Exception:
            log.exception("leg %s could not post %s", self.leg_id, type(event).__name__)

    def _tell(self, do: str, **content: Any) -> None:
        if not self.ended:
            self.process.send({"do": do, "leg": self.leg_id, **content})
