"""A request to a provider, counted once by what became of it."""

from __future__ import annotations

import pytest

from aywa.core.metrics.requests import ProviderRequest, count_request
from tests.core.metrics.entered import Entered


@pytest.mark.parametrize(
    ("first_s", "code", "outcome"),
    [
        (0.2, "", "answered"),
        (None, "", "given_up"),
        (None, "deadline", "failed"),
        (0.1, "unavailable", "failed"),
    ],
)
def test_the_outcome_is_counted_with_the_vendor_and_not_with_the_model(
    first_s: float | None, code: str, outcome: str
) -> None:
    register = Entered()
    count_request(register, ProviderRequest("llm", "openai/ft:gpt:their-own", 1.0, 2.0, first_s, code))
    assert register.sums.pop(("aywa_provider_requests_total", "llm", "openai", outcome)) == 1
    errors = {("aywa_provider_errors_total", "llm", "openai", code): 1.0} if code else {}
    assert register.sums == errors
    seen = {} if first_s is None else {("aywa_provider_first_seconds", "llm", "openai"): [first_s]}
    assert register.seen == seen
