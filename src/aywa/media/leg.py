"""One leg: a connection's audio in and out, its voice, its playout, its recording, its limits.

Inbound audio goes by direct calls, in arrival order, to the sink, the recording and the ear. What the far side does
wrong ends at most this leg, and what a sink or a connection raises stays here. Refuses to know what is said.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aywa.core.audio.frame import to_float, to_pcm
from aywa.core.audio.level import SILENCE_DB, leading_silence_s
from aywa.core.audio.resample import Resampler, resample_pcm
from aywa.core.events import (
    ClientMessageReceived,
    DtmfReceived,
    LegConnected,
    LegEnded,
    MediaEvent,
    MediaWarned,
    VoiceFaded,
    VoiceLevelMeasured,
    VoiceScored,
    VoiceStarted,
    VoiceStopped,
    VoiceSuspected,
)
from aywa.core.turns.voice import VoiceMoment
from aywa.media.bridge import Side
from aywa.media.ear import Ear
from aywa.media.intake import Intake
from aywa.media.playout import Pace, Playout
from aywa.media.pressure import AudioClock, Backlog, Sparingly, TextQuota, Verdict
from aywa.media.recorder import Recorder, Recording
from aywa.media.scribe import Scribe
from aywa.media.settings import MediaSettings
from aywa.media.takeover import Takeover
from aywa.media.tap import Tap
from aywa.media.underlay import Underlay as UnderlaySound
from aywa.media.voices import Voices
from aywa.media.wheel import Timer, Wheel
from aywa.media.wire import wire
from aywa.ports.media import (
    FORWARDED,
    Arm,
    AudioSink,
    CloseLeg,
    Connection,
    Drop,
    Finish,
    GiveBack,
    LegMessage,
    LegPlan,
    Pause,
    Play,
    Resume,
    SendDtmf,
    SendsAhead,
    SendText,
    SignalsKeys,
    Speak,
    TakeOver,
    Underlay,
)

log = logging.getLogger(__name__)

NORMAL, INVALID_DATA, POLICY = 1000, 1007, 1008
# Frames that may wait to be taken in: more than come in the longest slot.
_MOST_CAME = 32
# Frames that were heard, until they are counted and recorded.
_MOST_HELD = 12
RECENT_HZ = 16_000
# Looked up once: in Python 3.11 a member of an enumeration costs twenty times what a name does.
_TAKE = Verdict.TAKE


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all legs of a plane share."""

    loop: asyncio.AbstractEventLoop
    wheel: Wheel
    intake: Intake
    settings: MediaSettings
    scribe: Scribe


class _Stretches:
    """playout.Ahead over a connection that sends by itself."""

    def __init__(self, connection: SendsAhead, leg: MediaLeg) -> None:
        self._connection = connection
        self._leg = leg
        self.left, self.halt = connection.left, connection.halt
        self.kept = leg.keep_sent

    def begin(self, frames: Sequence[bytes], due_s: float) -> bool:
        """Not while they are also somebody else's."""
        return not self._leg.shared and self._connection.begin(frames, due_s, self._leg.stretch_over)


class MediaLeg:
    """ports.media.Leg, and what the plane asks of it. gone(leg) is called once, when LegEnded is posted."""

    def __init__(
        self,
        plan: LegPlan,
        connection: Connection,
        around: Surroundings,
        voices: Voices,
        gone: Callable[[MediaLeg], None],
    ) -> None:
        settings = around.settings
        self.leg_id = plan.leg_id
        # By which the plane knows it.
        self.key = plan.leg_id
        self.last_audio_s: float | None = None
        self.recorded: asyncio.Future[Recording] | None = None
        self._plan = plan
        self._connection = connection
        self._around = around
        self._settings = settings
        self._now = around.loop.time
        self._gone = gone
        self._wire = wire(plan.format, plan.rate_hz)
        bytes_per_s = plan.rate_hz * self._wire.width
        self._seconds_per_byte = 1 / bytes_per_s
        # Frames that came, and when, until the intake has them taken in.
        self._came: list[tuple[bytes, float]] = []
        # Frames of 20 ms that were heard, and are counted and recorded in portions; 0: each at once.
        self._usual = self._usual_bytes = bytes_per_s // 50
        self._held: list[tuple[bytes, float]] = []
        self._recent: deque[bytes] = deque()
        self._recent_bytes = 0
        self._recent_most = int(settings.recent_s * bytes_per_s)
        self._sink: AudioSink | None = None
        self._sink_resampler: Resampler | None = None
        self._armed_s: float | None = None
        self._armed_voice_s = 0.0
        self._armed_least_db = SILENCE_DB
        self._paused_for_voice = False
        # A chore's length less: the last of them may not have been scored yet.
        self._scores_most = (settings.scores_s - settings.chores_s / 2) / voices.window_s
        self._malformed = 0
        self._closing = False
        self._ended = False
        self._forwarded = False
        self._vad_failed = False
        self._side: Side | None = None
        self._tap: Tap | None = None
        self._takeover: Takeover | None = None
        self._underlay: UnderlaySound | None = None
        self._clock = AudioClock(settings.ahead_s, settings.ahead_end_s, settings.late_s)
        self._texts = TextQuota(settings.texts_per_s, settings.texts_end)
        self._backlog = Backlog(settings.unread_s * bytes_per_s, settings.unread_for_s)
        self._sparingly = Sparingly()
        self._frame_timer: Timer | None = None
        self._frame_timer_s = 0.0
        self._close_timer: Timer | None = None
        self._ear = Ear(voices, plan.rate_hz, self, self._wire.to_float)
        pace = Pace(
            plan.rate_hz, self._wire.width, self._wire.silence,
            settings.lead_s if plan.lead_s is None else plan.lead_s, settings.advance_s, settings.queue_s,
            settings.rewind_s, plan.batch or (1 if plan.paced else settings.batch_frames),
        )  # fmt: skip
        self._recorder = self._open_recorder()
        self._playout = Playout(
            plan.leg_id, pace, self._send_frame, self._post, plan.epoch_s, plan.far, self._unheard,
            _Stretches(connection, self) if isinstance(connection, SendsAhead) else None,
        )  # fmt: skip
        self._flush_due_s = self._now()
        self._chores_timer = around.wheel.at(self._now() + settings.chores_s, self._chores)

    def open(self) -> None:
        """Says that the leg is there."""
        self._around.intake.opened()
        self._post(LegConnected(self.leg_id, self._plan.rate_hz))

    # --- from the transport ------------------------------------------------------------------------------------

    def audio_received(self, payload: bytes) -> None:
        """A binary frame in the wire's format."""
        if self._ended or self._closing:
            return
        came = self._came
        if not self._around.intake.keeps or self._side is not None:
            if came:
                self.take_in()
            self._take(payload, self._now())
            return
        if not came:
            self._around.intake.add(self)
        came.append((payload, self._now()))
        if len(came) > _MOST_CAME:
            self.take_in()

    def take_in(self) -> None:
        """Takes what came, in order."""
        came, self._came = self._came, []
        for payload, at_s in came:
            if len(payload) == self._usual and self._side is None and not self._ended:
                self._take_usual(payload, at_s)
            else:
                self._take(payload, at_s)

    def _take_usual(self, payload: bytes, now: float) -> None:
        """What cannot wait, of a frame among those of many legs."""
        self.last_audio_s = at_s = now - self._plan.epoch_s
        if self._sink is not None:
            self._feed(self._sink, self._wire.to_pcm(payload))
        if not self._forwarded and not self._ear.hear_among(payload, at_s):
            self._ear.hear(self._wire.to_pcm(payload), at_s)
        if self._tap is not None:
            self._tap.heard(self._wire.to_pcm(payload), now)
        self._held.append((payload, now))
        if len(self._held) >= _MOST_HELD:
            self._keep_up()

    def _keep_up(self) -> None:
        """What can wait, of all frames since the last time."""
        held, self._held = self._held, []
        seconds, came = self._usual_bytes * self._seconds_per_byte, self._clock.came
        recorder, jitter_s = self._recorder, self._settings.recording_jitter_s
        for payload, now in held:
            verdict = came(seconds, now)
            if verdict is not _TAKE:
                # From now on it is asked first, and what is ahead is not heard; until the next chores.
                self._usual = 0
                self._ahead(verdict)
                if self._ended:
                    return
                continue
            self._recent.append(payload)
            self._recent_bytes += self._usual_bytes
            if recorder is not None:
                recorder.heard(payload, now, jitter_s)

    def _catch_up(self) -> None:
        self.take_in()
        if self._held:
            self._keep_up()

    def _take(self, payload: bytes, now: float) -> None:
        if self._held:
            self._keep_up()
        if self._ended:
            return
        size = len(payload)
        if size == 0 or size % self._wire.width:
            self._malformed_frame(f"audio of {size} bytes is not a whole number of samples")
            return
        verdict = self._clock.came(size * self._seconds_per_byte, now)
        if verdict is not _TAKE:
            self._ahead(verdict)
            return
        self.last_audio_s = now - self._plan.epoch_s
        # What is too old is forgotten now and then.
        self._recent.append(payload)
        self._recent_bytes += size
        pcm = self._wire.to_pcm(payload)
        if self._recorder is not None:
            self._recorder.heard(payload, now, self._settings.recording_jitter_s)
        if self._tap is not None:
            self._tap.heard(pcm, now)
        if self._side is not None:
            self._side.heard(pcm)
            # Not for the brain; but its clocks go on.
            pcm = bytes(len(pcm))
        if self._sink is not None:
            self._feed(self._sink, pcm)
        if not self._forwarded:
            self._ear.hear(pcm, self.last_audio_s)

    def text_received(self, text: str) -> None:
        """A text frame: one JSON object."""
        if self._ended or self._closing:
            return
        self.take_in()
        verdict = self._texts.came(self._now())
        if verdict is Verdict.END:
            self._expel("flooded", "too many messages", POLICY)
        elif verdict is Verdict.REFUSE:
            self._warn_sparingly("text_ahead", "more messages a second than allowed")
        else:
            self._understand(text)

    def dtmf_received(self, digit: str) -> None:
        """A key was pressed on the far side."""
        if self._ended or self._closing:
            return
        self.take_in()
        if self._side is None or not self._side.pressed(digit):
            self._post(DtmfReceived(self.leg_id, digit))

    def played(self, left_s: float, at_s: float) -> None:
        """The far side's clock tells how far it is."""
        if not (self._ended or self._closing):
            self._playout.played(left_s, at_s)
            self._arm_frame_timer()

    def warned(self, code: str, detail: str) -> None:
        """The transport found something."""
        if not self._ended:
            self._warn_sparingly(code, detail)

    def disconnected(self, cause: str, detail: str = "") -> None:
        """The connection is gone. Forwarded: the far side has passed the party on, and nothing of it is left here."""
        if cause == FORWARDED:
            # As the port says: whoever waits for the end of the connection is told that, too.
            self.hand_over()
            cause = "closed"
        self._end("local" if self._closing else cause, detail)

    # --- from the brain ----------------------------------------------------------------------------------------

    def carry_out(self, message: LegMessage) -> None:
        """Does at once what the message says."""
        if self._ended or self._closing:
            return
        now = self._now()
        match message:
            case Play(reply_id=reply_id, pcm=pcm):
                self._play(reply_id, pcm, now)
            case Finish(reply_id=reply_id):
                self._playout.finish(reply_id, now)
            case Pause():
                self._playout.pause(now)
            case Resume(at_sample=at_sample):
                self._playout.resume(at_sample, now)
            case Drop():
                self._playout.drop(now)
            case Arm(armed=armed, voice_s=voice_s, least_db=least_db):
                self._armed_s = voice_s if armed else None
                self._armed_least_db = least_db
                self._armed_voice_s = 0.0
                self._paused_for_voice = False
                if not self._forwarded:
                    self._ear.watch(watched=armed)
            case SendText(text=text):
                self._send_text(text)
            case SendDtmf(digits=digits, signalled=signalled):
                self._send_dtmf(digits, signalled=signalled)
            case TakeOver():
                self._take_over()
            case Speak(pcm=pcm):
                if self._takeover is not None:
                    self._takeover.speak(pcm)
            case GiveBack():
                self._give_back()
            case Underlay(pcm=pcm, rate_hz=rate_hz):
                self._lay(UnderlaySound(pcm, rate_hz, self._wire, self._plan.rate_hz))
            case CloseLeg(reason=reason):
                self._close(reason, now)
        self._arm_frame_timer()

    def listen(self, sink: AudioSink | None, rate_hz: int) -> None:
        """Inbound audio goes to the sink from the next frame on."""
        self._sink = sink
        same = rate_hz == self._plan.rate_hz
        self._sink_resampler = None if sink is None or same else Resampler(self._plan.rate_hz, rate_hz)

    def tap(self, sink: AudioSink | None) -> None:
        """Both sides go to the sink, from now on."""
        if self._tap is not None:
            self._tap.close()
            self._tap = None
        if sink is not None and not (self._ended or self._forwarded):
            self._tap = Tap(self.leg_id, self._plan.rate_hz, self._around.wheel, self._now, sink)
            self._one_by_one()

    def recent_audio(self, seconds: float) -> bytes:
        """The last inbound audio, PCM16 at 16 kHz."""
        self._catch_up()
        pcm = self._wire.to_pcm(b"".join(self._recent))
        wanted = int(min(seconds, self._settings.recent_s) * self._plan.rate_hz) * 2
        return resample_pcm(pcm[-wanted:] if wanted else b"", self._plan.rate_hz, RECENT_HZ)

    # --- with another leg --------------------------------------------------------------------------------------

    @property
    def rate_hz(self) -> int:
        """Of its audio."""
        return self._plan.rate_hz

    def side(self) -> Side:
        """Its place in a bridge: from now on it hears what that says."""
        self._catch_up()
        self._give_back()
        if self._side is None:
            # Who talks with a person hears the room that the person is in.
            self._playout.sound_on(self._now(), None)
            self._side = Side(self, self._around.wheel, self._now)
            self._one_by_one()
        return self._side

    def _one_by_one(self) -> None:
        self._playout.by_hand(self._now())
        self._arm_frame_timer()

    @property
    def shared(self) -> bool:
        """Its frames are looked at one by one: it is in a bridge, listened to, taken over, or something sounds under them."""
        others = (self._side, self._tap, self._takeover, self._underlay)
        return any(other is not None for other in others)

    def part(self) -> None:
        """It is its brain's again."""
        if self._side is not None:
            self._side.leave()
            self._side = None
            self.quiet()
            self._sound_on()

    def quiet(self) -> None:
        """No audio follows for a while."""
        try:
            self._connection.quiet()
        except Exception as error:  # noqa: BLE001 - a transport may fail in any way
            self._connection_failed(error)

    def send_joined(self, pcm: bytes, heard_from_s: float) -> None:
        """20 ms from the bridge."""
        self._transmit(self._wire.from_pcm(pcm), heard_from_s)

    def send_keys(self, digits: str) -> None:
        """Keys from the party that it is joined with."""
        if not (self._ended or self._closing):
            self._send_dtmf(digits)

    def hand_over(self) -> None:
        """The brain goes, the party stays."""
        if self._forwarded or self._ended or self._closing:
            return
        self.take_in()
        self._lay(None)
        self._playout.drop(self._now())
        self._tell_scores()
        self._ear.close()
        self._sink = None
        self.tap(None)
        self._give_back()
        self._post(LegEnded(self.leg_id, FORWARDED))
        self._forwarded = True

    def shut(self, code: int, reason: str) -> None:
        """Ends the leg without waiting for the far side."""
        if not self._ended:
            self._closing = True
            self._close_connection(code, reason)
            self._end("local", reason)

    # --- inbound -----------------------------------------------------------------------------------------------

    def _forget_old(self) -> None:
        spare = self._recent_bytes - self._recent_most
        while self._recent and (spare := spare - len(self._recent[0])) >= 0:
            self._recent_bytes -= len(self._recent.popleft())

    def _feed(self, sink: AudioSink, pcm: bytes) -> None:
        resampler = self._sink_resampler
        try:
            sink(pcm if resampler is None else to_pcm(resampler.push(to_float(pcm))))
        except Exception as error:
            log.exception("the sink of leg %s failed", self.leg_id)
            self._sink = None
            self._warn("sink_failed", f"{type(error).__name__}: {error}")

    def _ahead(self, verdict: Verdict) -> None:
        self._warn_sparingly("audio_ahead", f"audio more than {self._settings.ahead_s:g} s ahead was dropped")
        if verdict is Verdict.END:
            self._expel("flooded", f"audio {self._settings.ahead_end_s:g} s ahead of real time", POLICY)

    def _understand(self, text: str) -> None:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            message = None
        if isinstance(message, dict):
            self._post(ClientMessageReceived(self.leg_id, message))
        else:
            self._malformed_frame("a text frame must be one JSON object")

    def _malformed_frame(self, detail: str) -> None:
        self._malformed += 1
        self._warn("malformed_frame", detail)
        self._send_error("malformed_frame", detail)
        if self._malformed >= self._settings.malformed:
            self._expel("malformed", f"{self._malformed} malformed frames", INVALID_DATA)

    # --- voice -------------------------------------------------------------------------------------------------

    def judged(self, probability: float, moment: VoiceMoment | None) -> None:
        """A window was scored. An armed pause comes before the news of the voice that caused it."""
        detector = self._ear.voice
        if self._armed_s is not None:
            moment = self._watch(moment)
            if detector.level_due and (level_db := detector.level_now_db) is not None:
                self._post(VoiceLevelMeasured(self.leg_id, self.last_audio_s or 0.0, level_db))
        if moment is None:
            if not detector.active and detector.voiced_windows == 1:
                self._post(VoiceSuspected(self.leg_id, self.last_audio_s or 0.0))
            elif detector.fades:
                self._post(VoiceFaded(self.leg_id, self.last_audio_s or 0.0))
            return
        self._paused_for_voice = self._paused_for_voice and moment.started
        if moment.started:
            self._post(VoiceStarted(self.leg_id, moment.at_s, moment.level_db))
            self._around.wheel.at(self._now() + self._settings.quiet_s, self._look_for_silence)
        else:
            self._post(VoiceStopped(self.leg_id, moment.at_s, moment.level_db))

    def _watch(self, moment: VoiceMoment | None) -> VoiceMoment | None:
        """Counts voice during playout; pauses when there is enough, and then there was a beginning in any case.
        Once a voice: if playing went on in spite of it, the brain is still listening to it."""
        loud = self._ear.voiced and self._ear.voice.loudest_db >= self._armed_least_db
        if not self._playout.playing or not loud or self._paused_for_voice:
            self._armed_voice_s = 0.0
            return moment
        self._armed_voice_s += self._ear.window_s
        if self._armed_s is None or self._armed_voice_s < self._armed_s:
            return moment
        self._armed_voice_s = 0.0
        self._paused_for_voice = True
        self._playout.pause(self._now())
        self._arm_frame_timer()
        return moment if moment is not None or self._ear.voice.active else self._ear.voice.start()

    def _look_for_silence(self) -> None:
        """A client that stops sending while its caller speaks has ended the voice, too."""
        if self._ended or not self._ear.voice.active:
            return
        silent_from_s = self._plan.epoch_s + (self.last_audio_s or 0.0) + self._settings.quiet_s
        if self._now() < silent_from_s:
            self._around.wheel.at(silent_from_s, self._look_for_silence)
        else:
            moment = self._ear.voice.stop()
            self._paused_for_voice = False
            self._post(VoiceStopped(self.leg_id, moment.at_s, moment.level_db))

    def scores_full(self) -> None:
        """As the voices say."""
        self._tell_scores()

    def score_failed(self) -> None:
        """Said once."""
        if not self._vad_failed:
            self._vad_failed = True
            self._warn("vad_failed", "loudness stands in for the voice detector")

    # --- playout -----------------------------------------------------------------------------------------------

    def _play(self, reply_id: int, pcm: bytes, now: float) -> None:
        whole = pcm[: len(pcm) & ~1]
        silent_s = 0.0
        if self._playout.begins(reply_id):
            # As much as matters to how late a reply is; a whole clause need not be looked at.
            beginning = to_float(whole[: 2 * round(self._settings.silent_most_s * self._plan.rate_hz)])
            silent_s = leading_silence_s(beginning, self._plan.rate_hz)
        unfit = self._playout.play(reply_id, self._wire.from_pcm(whole), now, silent_s)
        if unfit:
            self._warn_sparingly("playout_full", f"{unfit * self._seconds_per_byte:.3f} s did not fit")

    def _take_over(self) -> None:
        if self._takeover is None and self._side is None and not self._forwarded:
            self._takeover = Takeover(self._plan.rate_hz, self._around.wheel, self._now, self.send_joined)
            self._one_by_one()
            self._sound_on()

    def _give_back(self) -> None:
        takeover, self._takeover = self._takeover, None
        if takeover is not None:
            takeover.close()
            if not self._ended:
                self.quiet()
                self._sound_on()

    def _lay(self, sound: UnderlaySound | None) -> None:
        self._underlay = sound if sound is not None and sound.any else None
        if self._underlay is not None:
            self._one_by_one()
        self._sound_on()

    def _sound_on(self) -> None:
        # Who talks with a person hears the room that the person is in.
        alone = self._side is None and self._takeover is None
        self._playout.sound_on(self._now(), self.quiet if self._underlay is not None and alone else None)
        self._arm_frame_timer()

    def _send_frame(self, frame: bytes, heard_from_s: float) -> None:
        if self._side is not None:
            self._side.whisper(self._wire.to_pcm(frame))
        elif self._takeover is not None:
            self._takeover.whisper(self._wire.to_pcm(frame))
        else:
            self._transmit(frame if self._underlay is None else self._underlay.under(frame), heard_from_s)

    def _transmit(self, frame: bytes, heard_from_s: float) -> None:
        try:
            self._connection.send_audio(frame)
        except Exception as error:  # noqa: BLE001 - a transport may fail in any way
            self._connection_failed(error)
        self.keep_sent(frame, heard_from_s)

    def keep_sent(self, frames: bytes, heard_from_s: float) -> None:
        """What was sent, and when the far side began to play it."""
        if self._recorder is not None:
            self._recorder.sent(frames, heard_from_s)
        if self._tap is not None:
            self._tap.sent(self._wire.to_pcm(frames), heard_from_s)

    def stretch_over(self) -> None:
        """The frames that were given ahead have left, or must be given anew."""
        self._playout.stretch_over(self._now())
        self._arm_frame_timer()

    def _tick(self) -> None:
        self._frame_timer = None
        self._playout.tick(self._now())
        self._arm_frame_timer()

    def _unheard(self, from_s: float) -> None:
        """The far side has thrown away what it was to play from then on."""
        if self._recorder is not None:
            self._recorder.unheard(from_s)
        if self._tap is not None:
            self._tap.unheard(from_s)

    def _arm_frame_timer(self) -> None:
        due_s = self._playout.due_s
        timer = self._frame_timer
        if timer is not None:
            if due_s == self._frame_timer_s:
                return
            timer.cancel()
            self._frame_timer = None
        if due_s is not None and not self._ended:
            self._frame_timer = self._around.wheel.at(due_s, self._tick)
            self._frame_timer_s = due_s

    # --- the connection ----------------------------------------------------------------------------------------

    def _send_text(self, text: str) -> None:
        try:
            self._connection.send_text(text)
        except Exception as error:  # noqa: BLE001 - a transport may fail in any way
            self._connection_failed(error)

    def _send_dtmf(self, digits: str, *, signalled: bool = False) -> None:
        if self._side is not None:
            self._side.keys(digits)
        connection = self._connection
        try:
            if signalled and isinstance(connection, SignalsKeys):
                carried = connection.signal_dtmf(digits)
            else:
                carried = connection.send_dtmf(digits)
        except Exception as error:  # noqa: BLE001 - a transport may fail in any way
            self._connection_failed(error)
            return
        if not carried:
            self._warn("dtmf_unsupported", "this transport carries no keys")

    def _send_error(self, code: str, message: str) -> None:
        self._send_text(json.dumps({"type": "error", "code": code, "message": message}))

    def _connection_failed(self, error: Exception) -> None:
        """Ends the leg, but not in the middle of what was being done."""
        log.warning("the connection of leg %s failed: %r", self.leg_id, error)
        self._around.loop.call_soon(self._end, "lost", f"{type(error).__name__}: {error}")

    def _close(self, reason: str, now: float) -> None:
        """Lets the far side hear what was sent, then closes."""
        self._closing = True
        self._lay(None)
        self._playout.drop(now)
        if self._playout.heard_until_s > now:
            self._close_timer = self._around.wheel.at(
                self._playout.heard_until_s, lambda: self._close_now(reason)
            )
        else:
            self._close_now(reason)

    def _close_now(self, reason: str) -> None:
        if self._ended:
            return
        until = self._now() + self._settings.close_s
        self._close_timer = self._around.wheel.at(until, lambda: self._end("local", reason))
        self._close_connection(NORMAL, reason)

    def _close_connection(self, code: int, reason: str) -> None:
        try:
            self._connection.close(code, reason)
        except Exception:
            log.exception("closing the connection of leg %s failed", self.leg_id)

    def _expel(self, cause: str, detail: str, code: int) -> None:
        """The far side broke a rule once too often."""
        self._send_error(cause, detail)
        self._close_connection(code, cause)
        self._end(cause, detail)

    def _end(self, cause: str, detail: str = "") -> None:
        if self._ended:
            return
        self._catch_up()
        if self._ended:
            return
        now = self._now()
        self._lay(None)
        self._playout.drop(now)
        self._ended = True
        self._around.intake.closed()
        for timer in (self._frame_timer, self._close_timer, self._chores_timer):
            if timer is not None:
                timer.cancel()
        if self._side is not None:
            self._side.leave()
        self.tap(None)
        self._give_back()
        if not self._forwarded:
            self._tell_scores()
            self._ear.close()
        self._sink = None
        self._recent.clear()
        if self._recorder is not None:
            self.recorded = self._recorder.close(now, self._plan.epoch_s)
        self._gone(self)
        self._post(LegEnded(self.leg_id, cause, detail))

    # --- now and then ------------------------------------------------------------------------------------------

    def _chores(self) -> None:
        now = self._now()
        self._chores_timer = self._around.wheel.at(now + self._settings.chores_s, self._chores)
        if not self._forwarded and self._ear.scores >= self._scores_most:
            self._tell_scores()
        self._catch_up()
        self._usual = self._usual_bytes
        if self._ended:
            return
        self._forget_old()
        if self._recorder is not None and now >= self._flush_due_s:
            self._flush_due_s = now + self._settings.recording_flush_s - self._settings.chores_s / 2
            self._around.scribe.in_turn(self._flush)
        verdict = self._backlog.stands(self._buffered_bytes(), now)
        if verdict is Verdict.REFUSE:
            self._warn("unread", f"the far side has not taken {self._settings.unread_s:g} s of audio")
        elif verdict is Verdict.END:
            self._expel(
                "unread", f"the far side takes no audio for {self._settings.unread_for_s:g} s", POLICY
            )

    def _flush(self) -> None:
        if self._recorder is not None and not self._ended:
            self._catch_up()
            self._playout.settle()
            self._recorder.flush(self._now(), self._settings.recording_queue_s)

    def _buffered_bytes(self) -> int:
        try:
            return self._connection.buffered_bytes()
        except Exception as error:  # noqa: BLE001 - a transport may fail in any way
            self._connection_failed(error)
            return 0

    def _tell_scores(self) -> None:
        if self._ear.scores:
            from_s, scores = self._ear.take_scores()
            self._post(VoiceScored(self.leg_id, from_s, self._ear.window_s, scores))

    def _open_recorder(self) -> Recorder | None:
        if self._plan.recording is None:
            return None
        return Recorder(
            self._around.loop, self._around.scribe, self._plan.recording, self._plan.rate_hz,
            self._wire.width, self._wire.to_pcm, lambda detail: self._warn("recording_lost", detail),
            self._plan.paced, self._wire.silence,
        )  # fmt: skip

    def _warn(self, code: str, detail: str) -> None:
        self._post(MediaWarned(self.leg_id, code, detail))

    def _warn_sparingly(self, code: str, detail: str) -> None:
        if self._sparingly.may(code, self._now()):
            self._warn(code, detail)

    def _post(self, event: MediaEvent) -> None:
        if self._forwarded and not isinstance(event, LegEnded):
            return
        try:
            self._plan.post(event)
        except Exception:
            log.exception("leg %s could not post %s", self.leg_id, type(event).__name__)
