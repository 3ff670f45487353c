"""What the caller has said in the turn so far, put together from finals and the latest partial."""

from __future__ import annotations

from aywa.core.events import TranscriptReceived


class TurnTranscript:
    """Finals never change, a partial replaces the one before. `confirmed`: the text holds all that was said until the
    recogniser was last asked, and no voice was found since."""

    def __init__(self) -> None:
        self._finals: list[str] = []
        self._partial = ""
        self.confirmed = False

    @property
    def text(self) -> str:
        """All words of the turn so far."""
        return " ".join(part for part in (*self._finals, self._partial) if part)

    def apply(self, result: TranscriptReceived) -> None:
        """Takes the recogniser's word."""
        text = result.text.strip()
        if result.is_final:
            if text:
                self._finals.append(text)
            self._partial = ""
        elif text or result.confirmed:
            # An empty answer to finalize means that the text so far is complete.
            self._partial = text or self._partial
        if result.confirmed:
            self.confirmed = True

    def settle(self) -> None:
        """The recogniser broke: what it had heard so far will not be said again by the next one."""
        if self._partial:
            self._finals.append(self._partial)
            self._partial = ""

    def confirm(self) -> None:
        """What was told before the voice ended proves to be all."""
        self.confirmed = True

    def voice_resumed(self) -> None:
        """More is being said: what was confirmed is not all any more."""
        self.confirmed = False

    def clear(self) -> None:
        """The turn was taken or given up."""
        self._finals.clear()
        self._partial = ""
        self.confirmed = False
