"""What a provider's failure says: a stable code, whose fault it is, whether to try again. Never the caller's words."""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """Whose fault a failure is."""

    CONFIG = "config"
    PROVIDER = "provider"
    NETWORK = "network"
    RUNTIME = "runtime"


class ProviderError(Exception):
    """A provider did not do what it was asked. `code` is stable and public; `mend` says what to do about it."""

    def __init__(
        self, route: str, code: str, message: str, *, fault: Fault, retryable: bool, mend: str = ""
    ) -> None:
        super().__init__(f"{route}: {message}" + (f" ({mend})" if mend else ""))
        self.route = route
        self.code = code
        self.fault = fault
        self.retryable = retryable
        self.mend = mend
