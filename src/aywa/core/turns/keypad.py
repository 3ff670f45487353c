"""What a caller enters on the keypad (contract 13.5): keys in, whole entries out.

An entry ends with a delimiter, when no key came for a while, or when it is as long as any may be. Refuses to know what is
done with it.
"""

from __future__ import annotations

from aywa.core.rtp.dtmf import KEYS
from aywa.core.settings import KeypadPlan

# Nobody enters more, and whoever leans on the keys is not to fill the prompt.
MOST_KEYS = 64
# Contract 13.5: with a timeout of 0 the delimiter is waited for; but not for ever.
LONGEST_WAIT_S = 30.0


def entry_text(entry: str) -> str:
    """The words under which an entry stands in the history (contract 13.5)."""
    return f"User's Keypad Entry: {entry}"


class Keypad:
    """`press` and `wake` answer an entry that is whole by then."""

    def __init__(self, plan: KeypadPlan | None = None) -> None:
        self._plan = plan or KeypadPlan()
        self._keys = ""
        self._last_s = 0.0
        if self._plan.timeout_s:
            self._wait_s = self._plan.timeout_s
        else:
            # Without a delimiter there is none to wait for.
            self._wait_s = LONGEST_WAIT_S if self._plan.delimiters else KeypadPlan().timeout_s

    def takes(self, key: str) -> bool:
        """Whether it is a key of an entry: not while the plan is off, and a hook flash never is."""
        return self._plan.enabled and len(key) == 1 and key in KEYS

    def press(self, key: str, now: float) -> str | None:
        """A key, of those that it takes."""
        self._last_s = now
        if key in self._plan.delimiters:
            # With nothing before it, it is what was to be pressed.
            return self.finish() or key
        self._keys += key
        return self.finish() if len(self._keys) >= MOST_KEYS else None

    def wake(self, now: float) -> str | None:
        """Time has passed."""
        due_s = self.deadline
        return self.finish() if due_s is not None and now >= due_s else None

    def finish(self) -> str:
        """What was pressed so far counts as all; empty: nothing was."""
        keys, self._keys = self._keys, ""
        return keys

    @property
    def deadline(self) -> float | None:
        """When the entry is whole if no key comes."""
        return self._last_s + self._wait_s if self._keys else None
