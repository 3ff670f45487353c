"""Sentences that recur ("One moment, please."), kept as they were spoken (voice.cachingEnabled, contract 4.4).

What was said once is only remembered as seen; what is said again is kept. A sentence is found under its owner, the route, all
of the voice's options and the text as the voice was given it, so nobody hears another one's voice.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aywa.core.events import HeardWord
from aywa.ports.tts import TtsOptions

BYTES_MAX = 64 * 2**20
LONGEST = 200
"""Characters: what is longer hardly recurs."""
SEEN_MAX = 20_000
# What a kept sentence costs beside its audio.
_ENTRY_BYTES = 500
_WORD_BYTES = 150


@dataclass(frozen=True, slots=True)
class Spoken:
    """PCM16 mono at the options' rate, and the places of the words that the voice was given."""

    pcm: bytes
    words: tuple[HeardWord, ...] = ()

    @property
    def cost(self) -> int:
        """Bytes, about."""
        return len(self.pcm) + _WORD_BYTES * len(self.words) + _ENTRY_BYTES


class SentenceCache:
    """Of all calls of the process: at most so many bytes, the ones longest unused go first."""

    def __init__(self, bytes_max: int = BYTES_MAX, longest: int = LONGEST, seen_max: int = SEEN_MAX) -> None:
        self._bytes_max = bytes_max
        self._longest = longest
        self._seen_max = seen_max
        self._kept: OrderedDict[bytes, Spoken] = OrderedDict()
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self.bytes = 0
        self.hits = 0

    def of(self, owner: str) -> Sentences:
        """The part that belongs to an organisation."""
        return Sentences(self, owner)

    def find(self, key: bytes) -> Spoken | None:
        """What was kept under the key."""
        spoken = self._kept.get(key)
        if spoken is not None:
            self._kept.move_to_end(key)
            self.hits += 1
        return spoken

    def offer(self, key: bytes, text: str, spoken: Spoken) -> None:
        """Keeps it, if it was offered before and is neither empty nor too long."""
        too_long = len(text) > self._longest or spoken.cost > self._bytes_max
        if not spoken.pcm or too_long or key in self._kept:
            return
        if key not in self._seen:
            self._seen[key] = None
            if len(self._seen) > self._seen_max:
                _ = self._seen.popitem(last=False)
            return
        del self._seen[key]
        self._kept[key] = spoken
        self.bytes += spoken.cost
        while self.bytes > self._bytes_max:
            _, gone = self._kept.popitem(last=False)
            self.bytes -= gone.cost


@dataclass(frozen=True, slots=True)
class Sentences:
    """One organisation's part of the cache."""

    cache: SentenceCache
    owner: str

    def find(self, route: str, options: TtsOptions, text: str) -> Spoken | None:
        """The text as this voice spoke it before."""
        return self.cache.find(_key(self.owner, route, options, text))

    def offer(self, route: str, options: TtsOptions, text: str, spoken: Spoken) -> None:
        """The text was spoken, to its end."""
        self.cache.offer(_key(self.owner, route, options, text), text, spoken)


def _key(owner: str, route: str, options: TtsOptions, text: str) -> bytes:
    # Not by the context: a sentence sounds the same in the next reply.
    parts = (
        owner,
        route,
        options.rate_hz,
        options.voice,
        options.language,
        options.speed,
        _plain(options.extra),
        text,
    )
    # Hashed: an option may be long, and may be secret.
    return hashlib.sha256(
        json.dumps(parts, sort_keys=True, default=repr).encode("utf-8", "surrogatepass")
    ).digest()


def _plain(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Without what changes how a text is cut and formatted, and not how it sounds."""
    return {str(name): value for name, value in extra.items() if name not in ("chunkPlan", "cachingEnabled")}
