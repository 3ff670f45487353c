"""Takes secrets out of a document, text by text: first those that are known, in all their forms, then what looks like one.

Names are texts as well, and a number may be a PIN. Refuses to decide what may be in a document (see shape).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from aywa.core.support.forms import forms
from aywa.core.support.needles import Needles, Span
from aywa.core.support.patterns import sightings

KNOWN = "known-secret"
_MARK = "[{}]"
PASSES = 3
"""What was taken out may bring together what was apart; after so many more the last look judges."""


class Redactor(Protocol):
    """One pass over texts."""

    def __call__(self, texts: Sequence[str]) -> list[str]:
        """The texts in their order, what was found in them replaced by its kind."""

    @property
    def found(self) -> Counter[str]:
        """How much of each kind so far."""


class KnownSecrets:
    """Removes what the runtime knows to be secret, as it is and encoded."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._needles = Needles(form for secret in secrets for form in forms(secret))
        self.found: Counter[str] = Counter()

    def __call__(self, texts: Sequence[str]) -> list[str]:
        result = list(texts)
        encoded = [text.encode("utf-8", "replace") for text in texts]
        for number, spans in self._needles.spans(encoded).items():
            self.found[KNOWN] += len(spans)
            result[number] = _without(encoded[number], [(span, KNOWN) for span in spans])
        return result


class LooksSecret:
    """Removes what looks like a secret, or is personal."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()

    def __call__(self, texts: Sequence[str]) -> list[str]:
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> str:
        shown = self._once(text)
        if shown != text:
            for _ in range(PASSES):
                shown = self._once(shown)
        return shown

    def _once(self, text: str) -> str:
        seen = [((one.start, one.end), one.kind) for one in sightings(text)]
        if not seen:
            return text
        kept = _apart(seen)
        self.found.update(kind for _, kind in kept)
        shown, at = "", 0
        for (start, end), kind in kept:
            shown += text[at:start] + _MARK.format(kind)
            at = end
        return shown + text[at:]


def _apart(seen: Sequence[tuple[Span, str]]) -> list[tuple[Span, str]]:
    """In order; of those that overlap one, as long as all of them, of the kind that was named first."""
    ranked = sorted((span, rank, kind) for rank, (span, kind) in enumerate(seen))
    found: list[tuple[Span, int, str]] = []
    for span, rank, kind in ranked:
        if found and span[0] < found[-1][0][1]:
            (start, end), first, other = found[-1]
            found[-1] = ((start, max(end, span[1])), min(first, rank), other if first < rank else kind)
        else:
            found.append((span, rank, kind))
    return [(span, kind) for span, _, kind in found]


def _without(data: bytes, spans: Sequence[tuple[Span, str]]) -> str:
    shown, at = b"", 0
    for (start, end), kind in spans:
        shown += data[at:start] + _MARK.format(kind).encode()
        at = end
    return (shown + data[at:]).decode("utf-8", "replace")


def redacted(document: Any, redactors: Sequence[Redactor]) -> Any:
    """The document after all of them."""
    originals = sorted(_texts(document))
    texts = originals
    for redactor in redactors:
        texts = redactor(texts)
    return _with(document, dict(zip(originals, texts, strict=True)))


def _texts(value: Any) -> set[str]:
    found: set[str] = set()
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple):
            waiting += one
        elif isinstance(one, str):
            found.add(one)
        elif _is_number(one):
            found.add(str(one))
    return found


def _with(value: Any, texts: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {_with(str(name), texts): _with(item, texts) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with(item, texts) for item in value]
    if isinstance(value, str):
        return texts[value]
    if _is_number(value):
        text = str(value)
        return value if texts[text] == text else texts[text]
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
