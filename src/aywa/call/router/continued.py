"""A reply that another model goes on with: how it is asked, and what it repeats although it was asked not to."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aywa.ports.llm import ChatMessage, LlmRequest

GO_ON = (
    "Your last message was cut off by a technical fault. The caller has heard it as far as it is written above. "
    "Continue it from exactly there: do not repeat any of it, do not apologise, do not mention this."
)
# Fewer words than these at its end may be repeated on purpose.
LEAST_WORDS = 3


@dataclass(slots=True)
class Continued:
    """given: what was spoken, or will be. Feed it the other model's text; it answers what is new of it."""

    given: str
    _held: str = ""
    _decided: bool = False

    def request(self, request: LlmRequest) -> LlmRequest:
        """The request, put so that the answer goes on from what was given."""
        if not self.given.strip():
            self._decided = True
            return request
        said = ChatMessage("assistant", self.given.strip())
        return replace(request, messages=(*request.messages, said, ChatMessage("system", GO_ON)))

    def feed(self, text: str) -> str:
        """Holds back what may turn out to be a repetition."""
        if self._decided:
            return text
        self._held += text
        held = self._held.split()
        whole = held if self._held[-1:].isspace() else held[:-1]
        if not held:
            return ""
        # The last word may still grow, and what repeats a little may turn out to repeat more.
        return "" if self._may_repeat(held) else self._give(self._repeated(whole) or 0)

    def finish(self) -> str:
        """No more text will come."""
        return "" if self._decided else self._give(self._repeated(self._held.split()) or 0)

    def _give(self, repeated: int) -> str:
        self._decided = True
        rest, self._held = self._held, ""
        for _ in range(repeated):
            rest = rest.lstrip()
            rest = rest[len(rest.split(maxsplit=1)[0]) :]
        if not repeated and self.given[-1:].strip() and rest[:1].strip():
            return " " + rest
        return rest

    def _repeated(self, words: list[str]) -> int | None:
        """How many of the first words repeat the end of what was given, to its last word; None: not so, or not yet."""
        given, bare = _bare(self.given.split()), _bare(words)
        for count in range(min(len(bare), len(given)), 0, -1):
            if given[-count:] == bare[:count] and (count >= LEAST_WORDS or count == len(given)):
                # With the dashes between them.
                places = [place for place, word in enumerate(words, 1) if _bare([word])]
                return places[count - 1]
        return None

    def _may_repeat(self, words: list[str]) -> bool:
        """With more words it may: what there is stands somewhere in what was given, the last word perhaps not whole."""
        given, bare = _bare(self.given.split()), _bare(words)
        if not bare:
            return True
        *whole, last = bare
        return any(
            given[at : at + len(whole)] == whole and given[at + len(whole)].startswith(last)
            for at in range(len(given) - len(whole))
        )


def _bare(words: list[str]) -> list[str]:
    """What is to be compared of them; none of what is no word, a dash."""
    bare = ("".join(c for c in word.casefold() if c.isalnum()) for word in words)
    return [word for word in bare if word]
