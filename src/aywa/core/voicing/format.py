"""What a voice is given for a clause (voice.chunkPlan.formatPlan, contract 4.4), and which words of it are which written ones.

The customer's replacements go first, on the text as it is written; then each formatter reads what is still free; then the
replacements that found nothing look at the formatted text. A place is rewritten once. Text that nothing knows stays as it is.

Numbers, money, dates and their like are read in English only. In other languages the formatters without a language work:
markup, quotes, dashes, line ends, colons, telephone numbers and long numbers digit by digit; the rest is the voice's to read.
Regular expressions are the customer's and may take long: they are tried by the function that is given, never here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from aywa.core.settings import FORMATTERS, FormatPlan, Replacement
from aywa.core.voicing.english import DEFAULT_CUTOFF, PHONE, READINGS
from aywa.core.voicing.text import Edit, Voiced, apply, merge, rewrite, spoken_places, unchanged, voiced

# Where a replacement with a pattern matches, with the texts to speak there: in order, none empty.
Find = Callable[[Replacement, str], Sequence[Edit]]

_DEFAULT = frozenset(FORMATTERS) - {"asterisk"}
# A longer text is no clause.
TEXT_MAX = 2000

_TAG = re.compile(r"(?<!<)</?(?!break\b|spell\b)[A-Za-z][^<>\n]{0,200}>(?!>)")
_MARKDOWN = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|[-+\u2022][ \t]+)|!?\[(?=[^\]\n]*\]\()|\]\([^)\s]*\)|(?<!\w)_+|_+(?!\w)|`+|~+|\|+",
    re.MULTILINE,
)
_IN_ASTERISKS = re.compile(r"(?<![\w*])(\*\*?)(?![\s*])[^*\n]+\1(?![\w*])")
_ASTERISKS = re.compile(r"(?<!\d)\*+|\*+(?!\d)")
_QUOTE = re.compile('["\u201c\u201d\u201e\u00ab\u00bb]')
_NEWLINE = re.compile(r"\s*\n\s*")
_DASH = re.compile(r"\s+[-\u2013]+\s+|\s*(?:\u2014|--+)\s*|(?<![\d\s])\u2013(?!\d)")
# At the end of a clause it stays: more follows, and the voice should sound so.
_COLON = re.compile(r":(?=\s+\S)")
_LONG_NUMBER = re.compile(r"(?<![\w.,:/-])\d{1,40}(?!\w)(?![.,:/-]\d)")
_MARKS = ".,;:!?\u2026\u3002\uff0c\uff01\uff1f"


@dataclass(frozen=True, slots=True)
class _Rule:
    """What is said in place of a match, which may look at the text around it."""

    formatter: str
    needs: str
    pattern: re.Pattern[str]
    speak: Callable[[re.Match[str]], str]


def _nothing(found: re.Match[str]) -> str:
    return ""


def _pause(found: re.Match[str], mark: str) -> str:
    """The mark, unless there is one already or nothing before it."""
    before = found.string[: found.start()].rstrip()
    return " " if not before or before[-1] in _MARKS else mark


_BEFORE = (
    _Rule("markdown", "#>-+\u2022[]_`~|", _MARKDOWN, _nothing),
    _Rule("asterisk", "*", _IN_ASTERISKS, _nothing),
)
_AFTER = (
    _Rule("quote", '"\u201c\u201d\u201e\u00ab\u00bb', _QUOTE, _nothing),
    _Rule("newline", "\n", _NEWLINE, lambda found: _pause(found, ". ")),
    _Rule("dash", "-\u2013\u2014", _DASH, lambda found: _pause(found, ", ")),
    _Rule("colon", ":", _COLON, lambda found: "."),
    _Rule("stripAsterisk", "*", _ASTERISKS, _nothing),
)


def find_nothing(replacement: Replacement, text: str) -> Sequence[Edit]:
    """For plans without patterns."""
    return ()


def voice_text(text: str, plan: FormatPlan, language: str = "en", find: Find = find_nothing) -> Voiced:
    """The clause as the voice is given it. language: a BCP 47 tag; empty: English."""
    if not plan.enabled or len(text) > TEXT_MAX:
        return unchanged(text)
    edits: list[Edit] = []
    late: list[Replacement] = []
    for replacement in plan.replacements:
        changed = _replace(text, edits, replacement, find)
        edits, late = (changed, late) if changed is not None else (edits, [*late, replacement])
    named = _DEFAULT if plan.formatters is None else frozenset(plan.formatters)
    edits = _formatted(text, edits, named, plan.cutoff, language)
    for replacement in late:
        edits = _replace(text, edits, replacement, find) or edits
    return voiced(text, edits)


def _replace(text: str, edits: list[Edit], replacement: Replacement, find: Find) -> list[Edit] | None:
    """The edits with the replacement; None where there is nothing for it."""
    said = apply(text, edits)
    found = find(replacement, said) if replacement.pattern is not None else list(_exact(replacement, said))
    closed = [place for place, edit in zip(spoken_places(edits), edits, strict=True) if edit.fixed]
    free = [f for f in found if all(f.end <= start or f.start >= end for start, end in closed)]
    some = free if replacement.everywhere else free[:1]
    return rewrite(text, edits, some) if some else None


def _exact(replacement: Replacement, text: str) -> Iterator[Edit]:
    """Where the key stands; one that begins or ends with a letter or digit does so at a word's edge, in scripts with spaces."""
    key, at = replacement.key, 0
    while (at := text.find(key, at)) >= 0:
        end = at + len(key)
        if not _inside_word(text, at) and not _inside_word(text, end):
            yield Edit(at, end, replacement.value)
            at = end
        else:
            at += 1


def _inside_word(text: str, at: int) -> bool:
    return 0 < at < len(text) and _spaced(text[at - 1]) and _spaced(text[at])


def _spaced(letter: str) -> bool:
    return letter.isdecimal() or letter.lower() != letter.upper()


def _formatted(
    text: str, edits: list[Edit], named: frozenset[str], cutoff: float | None, language: str
) -> list[Edit]:
    marks = frozenset(text)
    if "<" in marks:
        edits = merge(edits, [Edit(*found.span(), "") for found in _TAG.finditer(text)])
    edits = _ruled(_BEFORE, text, edits, marks, named)
    english = language[:2].lower() in ("en", "")
    digits = [at for at, letter in enumerate(text) if letter.isdecimal()]
    for reading in READINGS if english else (PHONE,):
        if (reading.digits and not digits) or (reading.needs and marks.isdisjoint(reading.needs)):
            continue
        if reading.formatter not in named:
            continue
        some = [
            Edit(*found.span(), said)
            for found in reading.pattern.finditer(text)
            if (said := reading.speak(found, cutoff)) is not None
        ]
        if some:
            edits = merge(edits, some)
            # When all digits are read, those that read digits need not look.
            digits = [at for at in digits if not any(edit.start <= at < edit.end for edit in some)]
    if not english and digits and "number" in named:
        edits = merge(edits, _long_numbers(text, cutoff))
    return _ruled(_AFTER, text, edits, marks, named)


def _ruled(
    rules: Sequence[_Rule], text: str, edits: list[Edit], marks: frozenset[str], named: frozenset[str]
) -> list[Edit]:
    for rule in rules:
        if rule.formatter in named and not marks.isdisjoint(rule.needs):
            edits = merge(edits, [Edit(*f.span(), rule.speak(f)) for f in rule.pattern.finditer(text)])
    return edits


def _long_numbers(text: str, cutoff: float | None) -> Iterator[Edit]:
    for found in _LONG_NUMBER.finditer(text):
        if int(found[0]) > (DEFAULT_CUTOFF if cutoff is None else cutoff):
            yield Edit(*found.span(), " ".join(found[0]))
