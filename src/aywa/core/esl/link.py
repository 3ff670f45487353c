"""One event socket, seen from our end: signs in, keeps commands and their answers in order, and tells events.

The same machine for a connection that we opened (`auth`) and for one that FreeSWITCH opened for a call (`connect`). Answers
come in the order of their commands, so one that does not come in time ends the connection: whose the next would be, nobody
knows.
Bytes go in with the time, actions come out. It refuses to connect again: that is the asker's business, with another Link.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from aywa.core.esl import commands
from aywa.core.esl.event import Event, json_event, plain_event
from aywa.core.esl.frame import Frame, Framer

PENDING_MAX = 10_000
JOBS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """login_s: until we are signed in. reply_s: until an answer. job_s: until a background job's outcome. quiet_s: without a byte
    from the far side before it is asked for a sign of life."""

    login_s: float = 5.0
    reply_s: float = 10.0
    job_s: float = 180.0
    quiet_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes for the far side."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """We are signed in, and what was to be said first is said. channel: of a call's own connection, all that is known of it."""

    channel: Event | None


@dataclass(frozen=True, slots=True)
class Replied:
    """The answer to a command, or the outcome of a background job. text: what was said; lost: nothing will be."""

    token: int
    text: str = field(repr=False)
    lost: bool = False

    @property
    def good(self) -> bool:
        """It was carried out. FreeSWITCH begins what was not with -ERR or -USAGE."""
        return not self.lost and not self.text.startswith("-")


@dataclass(frozen=True, slots=True)
class Lingering:
    """The call's channel is over; events may still come."""


@dataclass(frozen=True, slots=True)
class Over:
    """The connection is of no use any more: it is to be closed. refused: the same words will be of no use again."""

    why: str
    refused: bool = False


Action = Send | Opened | Replied | Lingering | Over | Event


class Link:
    """password: empty for a connection that FreeSWITCH opened. first: commands that are said once we are in; each must be
    granted. word: makes a new Job-UUID. ping: what is said to a far side that has been quiet."""

    def __init__(
        self,
        settings: LinkSettings,
        word: Callable[[], str],
        *,
        password: str = "",
        user: str = "",
        first: tuple[bytes, ...] = (),
        ping: bytes | None = None,
    ) -> None:
        self._settings = settings
        self._word = word
        self._login = commands.login(password, user) if password else None
        self._first = first
        self._ping = ping or commands.api("uptime")
        self._framer = Framer()
        self._tokens = 0
        # Of each command in order: its token (0: one of our own), until when it is waited for, and its job.
        self._pending: deque[tuple[int, float, str]] = deque()
        self._jobs: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._heard_at = 0.0
        self._login_until = 0.0
        self._greeting = -1
        self._channel: Event | None = None
        self._pinged = False
        self.open = False
        self.over = False

    # --- from the socket --------------------------------------------------------------------------------------------

    def connected(self, now: float) -> list[Action]:
        """The connection is there."""
        self._heard_at = now
        self._login_until = now + self._settings.login_s
        if self._login is not None:
            return []
        return [self._own(commands.connect(), now)]

    def receive(self, data: bytes, now: float) -> list[Action]:
        """What came."""
        found: list[Action] = []
        if self.over:
            return found
        self._heard_at, self._pinged = now, False
        for frame in self._framer.receive(data):
            if frame.kind == "text/event-json":
                event = json_event(frame.body)
                if event is not None:
                    self._happened(event, found)
            elif frame.kind == "text/event-plain":
                self._happened(plain_event(frame.body), found)
            else:
                self._take(frame, now, found)
            if self.over:
                return found
        if self._framer.broken:
            self._end(Over(self._framer.broken), found)
        return found

    def lost(self, why: str) -> list[Action]:
        """The connection is gone."""
        found: list[Action] = []
        if not self.over:
            self._end(Over(why), found)
        return found

    # --- from us ------------------------------------------------------------------------------------------------------

    def command(self, data: bytes, now: float) -> tuple[int, list[Action]]:
        """Says one; its answer is told with the token."""
        return self._say(data, "", now)

    def background(self, command: str, argument: str, now: float) -> tuple[int, list[Action]]:
        """Has an API command carried out while others are; its outcome is told with the token. Raises Unsendable."""
        job = self._word()
        return self._say(commands.background(command, argument, job), job, now)

    # --- time ---------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When it wants to be woken."""
        if self.over:
            return None
        if not self.open:
            return self._login_until
        times = [self._heard_at + self._settings.quiet_s]
        if self._pending:
            times.append(self._pending[0][1])
        if self._jobs:
            # Each has as long as the others, so the oldest is the first.
            times.append(next(iter(self._jobs.values()))[1])
        return min(times)

    def wake(self, now: float) -> list[Action]:
        """Time has passed."""
        found: list[Action] = []
        if self.over:
            return found
        if not self.open:
            if now >= self._login_until:
                self._end(Over("no sign-in in time"), found)
            return found
        if self._pending and now >= self._pending[0][1]:
            self._end(Over("an answer did not come in time"), found)
            return found
        while self._jobs:
            job, (token, until) = next(iter(self._jobs.items()))
            if now < until:
                break
            del self._jobs[job]
            found.append(Replied(token, "", lost=True))
        if now >= self._heard_at + self._settings.quiet_s:
            self._heard_at = now
            if not self._pinged:
                self._pinged = True
                found.append(self._own(self._ping, now))
        return found

    # --- inside ---------------------------------------------------------------------------------------------------------

    def _say(self, data: bytes, job: str, now: float) -> tuple[int, list[Action]]:
        self._tokens += 1
        token = self._tokens
        if not self.open or len(self._pending) >= PENDING_MAX or len(self._jobs) >= JOBS_MAX:
            return token, [Replied(token, "", lost=True)]
        self._pending.append((token, now + self._settings.reply_s, job))
        if job:
            self._jobs[job] = token, now + self._settings.job_s
        return token, [Send(data)]

    def _take(self, frame: Frame, now: float, found: list[Action]) -> None:
        match frame.kind:
            case "command/reply":
                # The answer to `connect` is the channel's event, whose values are encoded.
                channel = self._login is None and self._greeting < 0
                text = plain_event(frame.head).get("Reply-Text") if channel else frame.get("reply-text")
                self._answered(text.strip(), frame, now, found)
            case "api/response":
                self._answered(frame.body.decode("utf-8", "replace"), frame, now, found)
            case "auth/request" if self._login is not None and self._greeting < 0 and not self._pending:
                found.append(self._own(self._login, now))
            case "text/rude-rejection":
                self._end(Over("FreeSWITCH lets nobody in from here (apply-inbound-acl)", True), found)
            case "text/disconnect-notice":
                if frame.get("content-disposition").lower() == "linger":
                    found.append(Lingering())
                else:
                    self._end(Over("FreeSWITCH has closed the connection"), found)
            case _:
                pass

    def _answered(self, text: str, frame: Frame, now: float, found: list[Action]) -> None:
        if not self._pending:
            return
        token, _, job = self._pending.popleft()
        if not token:
            self._greeted(text, frame, now, found)
        elif not job or (text.startswith("-") and self._forgot(job)):
            found.append(Replied(token, text))

    def _forgot(self, job: str) -> bool:
        """Whether it was waited for."""
        if job not in self._jobs:
            return False
        del self._jobs[job]
        return True

    def _greeted(self, text: str, frame: Frame, now: float, found: list[Action]) -> None:
        """One of our own commands was answered: the sign-in, what is said first, a ping."""
        if self.open:
            return
        if text.startswith("-") or not text:
            why = (
                "FreeSWITCH refuses the password"
                if self._greeting < 0
                else "FreeSWITCH refuses to tell events"
            )
            self._end(Over(f"{why}: {text[:80]}", True), found)
            return
        if self._greeting < 0 and self._login is None:
            self._channel = plain_event(frame.head)
        self._greeting += 1
        if self._greeting < len(self._first):
            found.append(self._own(self._first[self._greeting], now))
        else:
            self.open = True
            found.append(Opened(self._channel))

    def _happened(self, event: Event, found: list[Action]) -> None:
        if event.name != "BACKGROUND_JOB":
            found.append(event)
            return
        held = self._jobs.pop(event.get("Job-UUID"), None)
        if held is not None:
            found.append(Replied(held[0], event.body))

    def _own(self, data: bytes, now: float) -> Send:
        self._pending.append((0, now + self._settings.reply_s, ""))
        return Send(data)

    def _end(self, over: Over, found: list[Action]) -> None:
        self.over = True
        self.open = False
        waiting = {token for token, _, job in self._pending if token and not job}
        waiting |= {token for token, _ in self._jobs.values()}
        found += [Replied(token, "", lost=True) for token in sorted(waiting)]
        self._pending.clear()
        self._jobs.clear()
        found.append(over)
