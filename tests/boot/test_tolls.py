from __future__ import annotations

import pytest

from aywa.boot.errors import CannotStart
from aywa.boot.tolls import CALLS_PER_HOUR, LISTED, tolls_from_environment
from aywa.core import toll
from aywa.core.toll import TollRules


@pytest.mark.parametrize(
    ("listed", "per_hour", "rules"),
    [
        (None, None, TollRules((), toll.CALLS_PER_HOUR)),
        ("", " ", TollRules((), toll.CALLS_PER_HOUR)),
        ("+49, sip:*.example.com,", None, TollRules(("+49", "sip:*.example.com"), None)),
        ("+49", "500", TollRules(("+49",), 500)),
        (None, "0", TollRules((), 0)),
    ],
)
def test_the_environment_says_who_may_be_called(
    monkeypatch: pytest.MonkeyPatch, listed: str | None, per_hour: str | None, rules: TollRules
) -> None:
    for name, value in ((LISTED, listed), (CALLS_PER_HOUR, per_hour)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert tolls_from_environment() == rules


@pytest.mark.parametrize("text", ["many", "-1", "1.5", "9" * 20])
def test_a_limit_that_is_no_number_is_said(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(CALLS_PER_HOUR, text)
    with pytest.raises(CannotStart, match=CALLS_PER_HOUR):
        tolls_from_environment()
