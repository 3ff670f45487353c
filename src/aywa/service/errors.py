"""Why a use-case was not carried out; refuses to know status codes."""

from __future__ import annotations

from collections.abc import Sequence


class Rejected(Exception):
    """The request breaks rules: problems names them all, each with property path, rule and value."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = list(problems)


class NotFound(Exception):
    """It is not there, or belongs to somebody else: nobody can tell which."""


class NotAllowed(Exception):
    """The key is good, but not for this."""


class Unauthenticated(Exception):
    """No key, or none that is good."""
