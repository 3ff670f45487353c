"""Which of customEndpointingRules matches, for words that nobody asked about when the call was taken."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import regex

from aywa.core.settings import EndpointingRule, Pattern
from aywa.core.turns.js_pattern import PatternError, translate

# As in a call: an expression that goes back and forth too much counts as not matching.
RULE_S = 0.05


def first_match(rules: Sequence[EndpointingRule], said: str, heard: str) -> tuple[int | None, float | None]:
    """The first rule that matches, counted from 0, and its wait; None and None where none does."""
    for index, rule in enumerate(rules):
        pairs = ((rule.said, said), (rule.heard, heard))
        if all(_found(pattern, text) for pattern, text in pairs if pattern is not None):
            return index, rule.wait_s
    return None, None


def _found(pattern: Pattern, text: str) -> bool:
    try:
        return _compiled(pattern).search(text, timeout=RULE_S) is not None
    except (TimeoutError, PatternError, regex.error, RecursionError, MemoryError):
        return False


@lru_cache(maxsize=256)
def _compiled(pattern: Pattern) -> regex.Pattern[str]:
    return regex.compile(translate(pattern), regex.VERSION0)
