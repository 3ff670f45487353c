"""The literal `<flush />` in a model's words: what precedes it is to be spoken at once, and it is not said (contract 4.3)."""

from __future__ import annotations

import re

from aywa.ports.llm import Flush, LlmDelta, TextDelta

HELD_MAX = 20
"""Characters held back at most, because they may be the beginning of one."""

_FLUSH = re.compile(r"<\s*/?\s*flush\s*/?\s*>", re.IGNORECASE)
_BEGINNING = re.compile(r"<\s*(/\s*)?(f(l(u(s(h\s*(/\s*)?)?)?)?)?)?$", re.IGNORECASE)


class Flushes:
    """Finds them in a stream of text, also those that come in pieces."""

    def __init__(self) -> None:
        self._held = ""

    def take(self, text: str) -> list[LlmDelta]:
        """What is sure by now."""
        deltas: list[LlmDelta] = []
        text = self._held + text
        after = 0
        for found in _FLUSH.finditer(text):
            if found.start() > after:
                deltas.append(TextDelta(text[after : found.start()]))
            deltas.append(Flush())
            after = found.end()
        rest = text[after:]
        beginning = _BEGINNING.search(rest, max(0, len(rest) - HELD_MAX))
        cut = len(rest) if beginning is None else beginning.start()
        self._held = rest[cut:]
        if cut:
            deltas.append(TextDelta(rest[:cut]))
        return deltas

    def end(self) -> list[LlmDelta]:
        """Nothing more comes: what was held back was text."""
        held, self._held = self._held, ""
        return [TextDelta(held)] if held else []
