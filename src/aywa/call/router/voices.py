"""Speaks the call's clauses: audio goes on as soon as it holds whole words, and another voice says the rest when one dies.

A call that had to take another voice keeps it: a voice that changes twice is worse than one that changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from math import isfinite

from aywa.call.router.attempt import Attempt, aside
from aywa.call.router.board import HealthBoard, Over, Tell, as_provider_error, silent
from aywa.call.sentences import Sentences, Spoken
from aywa.core.audio.align import align_words
from aywa.core.audio.frame import SAMPLE_BYTES
from aywa.core.audio.resample import resample_pcm
from aywa.core.events import HeardWord
from aywa.core.playout import place_words
from aywa.core.route_health import RouteHealth
from aywa.core.voicing.text import Voiced, unchanged, written_places
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.stt import Word
from aywa.ports.tts import Tts, TtsChunk, TtsOptions

# How often one clause is begun anew, whoever speaks it.
MAX_ATTEMPTS = 4
# A piece of a clause is given on when it is so long: the first while the caller waits, the next while little is ahead of
# his ear, and the others. Each costs as much work as a second of audio.
FIRST_PIECE_S = 0.08
PIECE_S = 0.2
LONG_PIECE_S = 1.0
AHEAD_S = 0.5
# Nobody says a word of it so slowly: more audio is not of this text.
SECONDS_A_CHARACTER = 1.0
SECONDS_AT_LEAST = 20.0

Words = tuple[HeardWord, ...]


@dataclass(frozen=True, slots=True)
class VoiceRoute:
    """A voice and how it is asked. first_s, next_s: how long a clause's first audio and each further piece may take;
    first_of_many_s: the first one while another voice could be asked instead."""

    tts: Tts
    options: TtsOptions
    first_s: float = 3.0
    next_s: float = 2.0
    first_of_many_s: float = 1.5

    @property
    def name(self) -> str:
        """Provider and voice."""
        return f"{self.tts.name}/{self.options.voice}" if self.options.voice else self.tts.name


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of a clause that stands: whole written words, their PCM16 at the call's rate and their places in it; spoken: those
    of the words that the voice was given."""

    text: str
    pcm: bytes
    words: Words
    route: str
    spoken: Words = ()


class VoiceRouter:
    """The voices of one call, in the order in which they are asked. rate_hz: of the audio that it gives."""

    def __init__(
        self,
        routes: Sequence[VoiceRoute],
        rate_hz: int,
        board: HealthBoard | None = None,
        tell: Tell = silent,
        sentences: Sentences | None = None,
    ) -> None:
        self.rate_hz = rate_hz
        self._sentences = sentences
        self._routes = tuple(routes)
        self._board = board or HealthBoard()
        self.tell = tell
        self._current = 0

    @property
    def current(self) -> VoiceRoute:
        """The voice that speaks now."""
        return self._routes[self._current]

    def retune(self, rate_hz: int) -> None:
        """From the next clause on, audio at another rate: the leg turned out to have one of its own."""
        self.rate_hz = rate_hz
        self._routes = tuple(
            replace(route, options=replace(route.options, rate_hz=rate_hz)) for route in self._routes
        )

    def speak(
        self,
        text: Voiced | str,
        context: str = "",
        *,
        more: bool = False,
        ahead_s: Callable[[], float] = lambda: 0.0,
    ) -> Speaking:
        """Begins nothing yet: iterate the pieces. context, more: as in TtsOptions. ahead_s: audio that the caller has before
        him."""
        return Speaking(self, unchanged(text) if isinstance(text, str) else text, context, more, ahead_s)

    async def warm(self) -> None:
        """Makes the next clause quick. Never raises."""
        route = self.current
        await aside(route.tts.warm(route.options))

    def health(self, route: VoiceRoute) -> RouteHealth:
        """How it fares."""
        return self._board.of(route.name, route.tts)

    def over(self, route: VoiceRoute) -> Over:
        """Who is told of its requests."""
        return self._board.over("tts", route.name)

    def _choose(self, tried: Collection[int]) -> int | None:
        """The present voice while it is well, else the next that is, else whichever was not tried yet."""
        now = asyncio.get_running_loop().time()
        places = [*range(self._current, len(self._routes)), *range(self._current)]
        left = [place for place in places if place not in tried]
        well = [place for place in left if not self.health(self._routes[place]).refuses(now)]
        chosen = next(iter(well or left), None)
        if chosen is not None and left and chosen != left[0] and not tried:
            skipped = self._routes[left[0]]
            code = self.health(skipped).refuses(now)
            self.tell("RouteSkipped", {"kind": "tts", "route": skipped.name, "code": code})
        return chosen


@dataclass(slots=True)
class Speaking:
    """One clause. Iterate `pieces` once; `close` in any case."""

    router: VoiceRouter
    text: Voiced
    context: str
    more: bool
    ahead_s: Callable[[], float]
    _attempt: Attempt[TtsChunk] | None = None

    async def pieces(self) -> AsyncGenerator[Piece, None]:
        """Raises ProviderError when no voice could say it to its end; what was given stands."""
        if not any(map(str.isalnum, self.text.spoken)):
            return
        kept = self._kept()
        if kept is not None:
            yield kept
            return
        left, failed, refused = self.text, None, set[int]()
        made: list[Piece] = []
        retried = False
        for _ in range(MAX_ATTEMPTS):
            place = self.router._choose(refused)
            if place is None:
                # Once more from the beginning, if that may help.
                if retried or failed is None or not _again(failed, given=left is not self.text):
                    break
                retried = True
                refused.clear()
                place = self.router._choose(refused)
                assert place is not None
            given = 0
            last = len(refused) + 1 >= len(self.router._routes)
            try:
                async with aclosing(self._by(self.router._routes[place], left, last=last)) as some:
                    async for piece in some:
                        if place != self.router._current:
                            self._switch(place, "" if failed is None else failed.code)
                        given += len(piece.text.split())
                        made.append(piece)
                        yield piece
                if left is not self.text and not given and any(map(str.isalnum, left.spoken)):
                    raise _nothing_of_the_rest(self.router._routes[place])
                self._keep(made, place)
                return
            except ProviderError as error:
                failed = error
                # Whoever speaks instead need not wait until this one has let go.
                if self._attempt is not None:
                    self._attempt.let_go()
                    self._attempt = None
            finally:
                await self.close()
            left = _rest(left, given)
            refused.add(place)
            name = self.router._routes[place].name
            self.router.tell(
                "RouteFailed", {"kind": "tts", "route": name, "code": failed.code, "words_given": given}
            )
            if not left.spoken.split():
                return
        assert failed is not None
        raise failed

    async def close(self) -> None:
        """Stops whoever still speaks."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            await attempt.close()

    def _kept(self) -> Piece | None:
        """The clause as the present voice spoke it before."""
        route, sentences = self.router.current, self.router._sentences
        spoken = sentences and sentences.find(route.name, route.options, self.text.spoken)
        if not spoken:
            return None
        return Piece(
            self.text.written, spoken.pcm, written_places(self.text, spoken.words), route.name, spoken.words
        )

    def _keep(self, made: Sequence[Piece], place: int) -> None:
        """For the next time, if one voice spoke it all."""
        route, sentences = self.router._routes[place], self.router._sentences
        if sentences is None or not made or any(piece.route != route.name for piece in made):
            return
        words: list[HeardWord] = []
        samples = 0
        for piece in made:
            words += [HeardWord(w.text, w.start + samples, w.end + samples) for w in piece.spoken]
            samples += len(piece.pcm) // SAMPLE_BYTES
        pcm = b"".join(piece.pcm for piece in made)
        sentences.offer(route.name, route.options, self.text.spoken, Spoken(pcm, tuple(words)))

    def _switch(self, place: int, code: str) -> None:
        router = self.router
        before, router._current = router.current.name, place
        router.tell(
            "RouteSwitched",
            {"kind": "tts", "route": router.current.name, "before": before, "code": code},
        )

    async def _by(self, route: VoiceRoute, text: Voiced, *, last: bool) -> AsyncGenerator[Piece, None]:
        loop = asyncio.get_running_loop()
        options = replace(route.options, context=self.context, more=self.more)
        attempt = Attempt(
            self.router.health(route),
            lambda: route.tts.synthesize(text.spoken, options),
            _sounds,
            tell=self.router.over(route),
        )
        self._attempt = attempt
        sound = _Sound(text, self.router.rate_hz, route.name)
        wait_s = route.first_s if last else min(route.first_of_many_s, route.first_s)
        longest_s = SECONDS_AT_LEAST + SECONDS_A_CHARACTER * len(text.spoken)
        since_s = loop.time()
        while True:
            try:
                chunk = await attempt.next(since_s + wait_s)
            except Exception as error:
                raise as_provider_error(error, route.name) from error
            if chunk is None:
                break
            # Nothing, however often it comes, is no sound.
            if chunk.pcm:
                since_s, wait_s = loop.time(), route.next_s
            sound.add(chunk)
            if sound.seconds > longest_s:
                raise ProviderError(
                    route.name, "overlong", "its audio does not end", fault=Fault.PROVIDER, retryable=True
                )
            # What is there whole need not be cut.
            piece = None if attempt.ready else sound.take(_least_s(self.ahead_s()))
            if piece is not None:
                yield piece
                since_s = loop.time()
        if not last and not sound.seconds:
            raise ProviderError(
                route.name, "failed", "it gave no sound", fault=Fault.PROVIDER, retryable=True
            )
        piece = sound.rest()
        if piece is not None:
            yield piece


@dataclass(slots=True)
class _Sound:
    """A clause's audio as it comes in, given on at the edges of written words.

    Only a voice that tells words as they were given, at the call's own rate, can be cut before its end: another's rate is
    changed over the whole, or there would be a seam at every piece.
    """

    text: Voiced
    rate_hz: int
    route: str
    _pcm: bytearray = field(default_factory=bytearray)
    _other: list[tuple[int, list[bytes]]] = field(default_factory=list)
    _words: list[Word] = field(default_factory=list)
    _given: int = 0
    _given_samples: int = 0
    _streams: bool = True
    seconds: float = 0.0

    def add(self, chunk: TtsChunk) -> None:
        self.seconds += len(chunk.pcm) / SAMPLE_BYTES / chunk.rate_hz
        self._words += [w for w in chunk.words if isfinite(w.start_s) and isfinite(w.end_s)]
        if chunk.rate_hz == self.rate_hz and not self._other:
            self._pcm += chunk.pcm
            return
        self._streams = False
        if not self._other or self._other[-1][0] != chunk.rate_hz:
            self._other.append((chunk.rate_hz, []))
        self._other[-1][1].append(chunk.pcm)

    def take(self, least_s: float) -> Piece | None:
        """What can be given on by now, if it is so long."""
        if not self._streams or len(self._words) < 2:
            return None
        have = len(self._pcm) // SAMPLE_BYTES
        best: tuple[int, int] | None = None
        spoken = self.text.spoken.split()
        # The span before the first voiced word that has begun is whole when that word's beginning is known.
        for span in self.text.spans:
            until = span.voiced_last
            if span.last <= self._given or until >= len(self._words):
                continue
            if not self._told(spoken, until):
                break
            edge = round(self._words[until].start_s * self.rate_hz)
            # Some sound must be left for the words that are.
            if self._given_samples < edge < have:
                best = span.last, edge
        if best is None or best[1] - self._given_samples < least_s * self.rate_hz:
            return None
        return self._piece(*best)

    def _told(self, spoken: Sequence[str], until: int) -> bool:
        """The voice told the first words just as they were given, in order."""
        for word, told in zip(spoken[: until + 1], self._words, strict=False):
            if _bare(word) != _bare(told.text):
                self._streams = False
                return False
        return True

    def rest(self) -> Piece | None:
        """All that is left, when no more comes."""
        whole = len(self._pcm) // SAMPLE_BYTES * SAMPLE_BYTES
        del self._pcm[whole:]
        for rate_hz, pieces in self._other:
            joined = b"".join(pieces)
            self._pcm += resample_pcm(
                joined[: len(joined) // SAMPLE_BYTES * SAMPLE_BYTES], rate_hz, self.rate_hz
            )
        if not self._pcm or len(self._pcm) // SAMPLE_BYTES <= self._given_samples:
            return None
        return self._piece(len(self.text.written.split()), len(self._pcm) // SAMPLE_BYTES)

    def _piece(self, last: int, until: int) -> Piece:
        """The written words from those given until `last`, and the audio until that sample."""
        left = _rest(self.text, self._given)
        count = last - self._given
        some = _head(left, count)
        start = self._given_samples
        pcm = bytes(self._pcm[start * SAMPLE_BYTES : until * SAMPLE_BYTES])
        spoken = self._places(some.spoken, pcm, start)
        self._given, self._given_samples = last, until
        return Piece(some.written, pcm, written_places(some, spoken), self.route, spoken)

    def _places(self, text: str, pcm: bytes, start: int) -> Words:
        samples = len(pcm) // SAMPLE_BYTES
        told = [
            HeardWord(
                w.text,
                max(0, round(w.start_s * self.rate_hz) - start),
                max(0, round(w.end_s * self.rate_hz) - start),
            )
            for w in self._words
            if start <= round(w.start_s * self.rate_hz) < start + max(samples, 1)
        ]
        return place_words(text, told, samples, lambda: align_words(text, pcm, self.rate_hz))


def _head(text: Voiced, words: int) -> Voiced:
    """The first written words, whole spans only."""
    spans = tuple(span for span in text.spans if span.last <= words)
    voiced = spans[-1].voiced_last if spans else 0
    return Voiced(" ".join(text.written.split()[:words]), " ".join(text.spoken.split()[:voiced]), spans)


def _rest(text: Voiced, words: int) -> Voiced:
    """Without the first written words, whole spans only."""
    if not words:
        return text
    gone = [span for span in text.spans if span.last <= words]
    voiced = gone[-1].voiced_last if gone else 0
    spans = tuple(
        replace(
            span, first=span.first - words, last=span.last - words,
            voiced_first=span.voiced_first - voiced, voiced_last=span.voiced_last - voiced,
        )
        for span in text.spans[len(gone) :]
    )  # fmt: skip
    return Voiced(" ".join(text.written.split()[words:]), " ".join(text.spoken.split()[voiced:]), spans)


def _least_s(ahead_s: float) -> float:
    if ahead_s <= 0.0:
        return FIRST_PIECE_S
    return PIECE_S if ahead_s < AHEAD_S else LONG_PIECE_S


def _bare(word: str) -> str:
    return "".join(c for c in word.casefold() if c.isalnum())


def _again(error: ProviderError, *, given: bool) -> bool:
    """A second try may go well; a voice that let its caller wait for nothing has had its time."""
    if error.code in ("rate_limited", "quota"):
        return False
    return error.retryable and (given or error.code != "deadline")


def _nothing_of_the_rest(route: VoiceRoute) -> ProviderError:
    """A clause of which nothing sounds is left out; one that stops in the middle was not said."""
    return ProviderError(
        route.name, "silent", "it said nothing of the rest", fault=Fault.PROVIDER, retryable=True
    )


def _sounds(chunk: TtsChunk) -> bool:
    return bool(chunk.pcm)
