"""What a provider's failure says: a stable code, whose fault it is, whether to try again. Never the caller's words."""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """Whose fault a failure is."""

    CONFIG = "config"
    PROVIDER = "provider"
    NETWORK = "network"
    RUNTIME = "runtime"


CODES = frozenset(
    # Whoever configures must mend these: another try gives the same.
    "unauthorized forbidden bad_key bad_url bad_request not_found unknown_voice unknown_model not_a_stream refused "
    # Another try, later or elsewhere, may go well.
    "quota rate_limited unavailable failed unreachable cut_short closed deadline unanswered malformed overlong slow "
    "busy cancelled silent".split()
)
"""Every code that a provider's failure is told with, by its adapter or by whoever asked it."""


class ProviderError(Exception):
    """A provider did not do what it was asked. `code` is stable and public (see CODES); `mend` says what to do about it;
    `retry_after_s`: how long it wants to be left alone, where it said so."""

    def __init__(
        self,
        route: str,
        code: str,
        message: str,
        *,
        fault: Fault,
        retryable: bool,
        mend: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{route}: {message}" + (f" ({mend})" if mend else ""))
        self.route = route
        self.code = code
        self.fault = fault
        self.retryable = retryable
        self.mend = mend
        self.retry_after_s = retry_after_s
