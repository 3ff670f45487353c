"""A pass that does nothing, or not all of it, is seen before a bundle is made with it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from aywa.core.support import patterns
from aywa.core.support.redaction import KnownSecrets, LooksSecret
from aywa.core.support.scan import leaks
from aywa.core.support.shape import kept
from aywa.core.support.trial import SAMPLES, Trial, filled


class Nothing:
    """A pass that lets everything through."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()

    def __call__(self, texts: Sequence[str]) -> list[str]:
        return list(texts)


def trial(seed: int = 1) -> Trial:
    return Trial(random.Random(seed).randrange)


def test_what_works_passes() -> None:
    for seed in range(4):
        one = trial(seed)
        assert one.of_known(KnownSecrets([one.secret])) == []
        assert one.of_looks(LooksSecret()) == []
        assert one.of_allow_list(kept)
        assert one.of_scan(leaks) == []


def test_what_does_nothing_fails() -> None:
    one = trial()
    assert len(one.of_known(Nothing())) == 8
    assert one.of_looks(Nothing()) == list(SAMPLES)
    assert not one.of_allow_list(lambda value, shape: (value, 0))
    assert not one.of_allow_list(lambda value, shape: (None, 0))
    overlooked = one.of_scan(lambda files, secrets: [])
    assert set(SAMPLES) <= set(overlooked)


def test_a_pattern_that_is_gone_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    missed: list[str] = []
    every = patterns._COMPILED
    # What is long and random is seen as that, too; these are not.
    for kind in ("basic", "assignment", "aws-id", "mail-address", "telephone-number", "pem"):
        left: Any = tuple(one for one in every if one[0] != kind)
        monkeypatch.setattr(patterns, "_COMPILED", left)
        found = trial().of_looks(LooksSecret())
        assert set(found) <= {kind}
        missed += found
    assert len(missed) >= 5


def test_blanks_are_filled() -> None:
    text, longest = filled("a-{d3}-{m6}-{h2}", random.Random(3).randrange)
    assert longest == text.split("-")[2]
    assert (len(text), longest[0].isalpha(), longest[1].isdigit()) == (15, True, True)
    assert filled("nothing", random.Random(3).randrange) == ("nothing", "nothing")
