"""The phrases that must never be missing: prepared when the call begins, so that they can be played when all else fails."""

from __future__ import annotations

from collections.abc import Iterable

from aywa.core import commands as do
from aywa.core.events import ClauseSynthesized, PhrasePrepared

EXCUSE = "Sorry, I had a problem just now. Could you say that again?"
FAREWELL = "I am sorry, I have a technical problem and have to end this call. Goodbye."
REPROMPT = "Sorry, I did not catch that. Could you say it again?"
NOBODY_THERE = "I cannot hear you, so I will end this call. Goodbye."
TIME_IS_UP = "I am sorry, the time for this call is up. Goodbye."

MAX_PHRASES = 16


class Stock:
    """Phrases by their text. What is not in stock, or could not be prepared, has to be synthesised when it is needed. first:
    the number of the first; another voice's stock before it has those below."""

    def __init__(self, texts: Iterable[str], first: int = 0) -> None:
        self._texts = tuple(dict.fromkeys(t for t in texts if t.strip()))[:MAX_PHRASES]
        self._first = first
        self._prepared: dict[str, PhrasePrepared] = {}
        self._asked = False

    def prepare(self) -> list[do.Command]:
        """Asks for all of them, once."""
        if self._asked:
            return []
        self._asked = True
        return [do.PreparePhrase(number, text) for number, text in enumerate(self._texts, self._first)]

    @property
    def after(self) -> int:
        """The number behind the last one's."""
        return self._first + len(self._texts)

    def prepared(self, event: PhrasePrepared) -> None:
        """One of them can be played."""
        if event.samples and event.phrase_id >= self._first and event.text in self._texts:
            self._prepared[event.text] = event

    def has(self, text: str) -> bool:
        """Whether it can be played at once."""
        return text in self._prepared

    def clause(self, text: str, reply_id: int, number: int) -> ClauseSynthesized:
        """The phrase as a clause of the reply. Raises KeyError when it is not there."""
        phrase = self._prepared[text]
        return ClauseSynthesized(reply_id, number, phrase.text, phrase.samples, phrase.words)

    def play(self, text: str, leg_id: str, reply_id: int) -> do.Command:
        """What plays it. Raises KeyError when it is not there."""
        phrase = self._prepared[text]
        return do.PlayPhrase(leg_id, reply_id, phrase.phrase_id, phrase.source)
