"""One request to a provider, when it is over: what is counted of it."""

from __future__ import annotations

from dataclasses import dataclass

from aywa.core.metrics import catalogue as the
from aywa.core.metrics.calls import provider_of
from aywa.core.metrics.catalogue import Register


@dataclass(frozen=True, slots=True)
class ProviderRequest:
    """kind: llm, tts or stt. Times are the loop's. first_s: how long the first of the answer took, None when none came. code: why
    it failed; empty when it did not."""

    kind: str
    route: str
    began_s: float
    ended_s: float
    first_s: float | None = None
    code: str = ""

    @property
    def outcome(self) -> str:
        """`given_up`: nobody wanted its answer any more before it began."""
        if self.code:
            return "failed"
        return "given_up" if self.first_s is None else "answered"


def count_request(register: Register, request: ProviderRequest) -> None:
    """Enters it."""
    kind, provider = request.kind, provider_of(request.route)
    register.add(the.PROVIDER_REQUESTS, 1, kind, provider, request.outcome)
    if request.code:
        register.add(the.PROVIDER_ERRORS, 1, kind, provider, request.code)
    if request.first_s is not None:
        register.observe(the.PROVIDER_FIRST_SECONDS, request.first_s, kind, provider)
