"""Why the runtime cannot start. Tells; decides nothing."""

from __future__ import annotations


class CannotStart(Exception):
    """The text is one line for a person: what stands in the way, and how to mend it."""
