"""What was said and heard, as the model, the transcript and the webhooks get it. Only words that were heard are in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_MESSAGES = 200


@dataclass(slots=True)
class History:
    """prompt: the assistant's own messages, put before the conversation. epoch_ms: Unix time of the call's second 0."""

    prompt: tuple[Mapping[str, Any], ...] = ()
    epoch_ms: int = 0
    _chat: list[Mapping[str, Any]] = field(default_factory=list)
    _messages: list[Mapping[str, Any]] = field(default_factory=list)

    def user_said(self, text: str, start_s: float, end_s: float) -> Mapping[str, Any]:
        """A turn that was taken; answers its entry in the contract's shape (6.4)."""
        return self._add("user", text, self._entry("user", text, start_s, end_s))

    def assistant_heard(self, text: str, start_s: float, end_s: float, *, cut: bool) -> Mapping[str, Any]:
        """The words of a reply that the caller heard. cut: the reply was longer."""
        # Without `source` clients take a bot message for a user's (contract 2.5).
        entry = self._entry("bot", text, start_s, end_s) | {"source": ""}
        return self._add("assistant", f"{text} —" if cut else text, entry)

    def note(self, role: str, content: str, at_s: float) -> Mapping[str, Any]:
        """A message put in from outside; nobody heard it."""
        if role == "system":
            entry = {"role": role, "message": content} | self._moment(at_s)
            return self._add(role, content, entry)
        if role == "assistant":
            return self.assistant_heard(content, at_s, at_s, cut=False)
        return self.user_said(content, at_s, at_s)

    def tools_called(self, calls: Sequence[tuple[str, str, str]], at_s: float) -> Mapping[str, Any]:
        """The model wants tools run: (id, name, arguments in JSON) of each."""
        named = [
            {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
            for call_id, name, arguments in calls
        ]
        self._chat.append({"role": "assistant", "content": "", "tool_calls": named})
        entry = {"role": "tool_calls", "toolCalls": named, "message": ""} | self._moment(at_s)
        self._messages.append(entry)
        return entry

    def tool_returned(self, call_id: str, name: str, result: str, at_s: float) -> Mapping[str, Any]:
        """What came of one of them."""
        self._chat.append({"role": "tool", "content": result, "tool_call_id": call_id})
        entry = {"role": "tool_call_result", "toolCallId": call_id, "name": name, "result": result}
        entry |= self._moment(at_s)
        self._messages.append(entry)
        return entry

    def chat(self, caller: str = "") -> tuple[Mapping[str, Any], ...]:
        """The messages for the model; caller: words that are not in the history yet."""
        chat = self._chat[-MAX_MESSAGES:]
        while chat and chat[0]["role"] == "tool":
            # The call that it answers is forgotten, and no model takes one without the other.
            del chat[0]
        if caller:
            _follow(chat, "user", caller)
        return (*self.prompt, *chat)

    def messages_with(self, text: str, start_s: float, end_s: float) -> tuple[Mapping[str, Any], ...]:
        """All entries, and a turn of the caller that is not in the history yet."""
        return (*self._messages, self._entry("user", text, start_s, end_s))

    @property
    def last_heard(self) -> str:
        """The assistant's last message; empty before its first."""
        return next((str(m["message"]) for m in reversed(self._messages) if m["role"] == "bot"), "")

    @property
    def messages(self) -> tuple[Mapping[str, Any], ...]:
        """All entries, in the contract's shape."""
        return tuple(self._messages)

    def _add(self, role: str, content: str, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        _follow(self._chat, role, content)
        self._messages.append(entry)
        return entry

    def _entry(self, role: str, text: str, start_s: float, end_s: float) -> dict[str, Any]:
        return {
            "role": role,
            "message": text,
            "time": self._ms(start_s),
            "endTime": self._ms(end_s),
            "secondsFromStart": round(start_s, 3),
            "duration": round((end_s - start_s) * 1000),
        }

    def _moment(self, at_s: float) -> dict[str, Any]:
        return {"time": self._ms(at_s), "secondsFromStart": round(at_s, 3)}

    def _ms(self, at_s: float) -> int:
        return self.epoch_ms + round(at_s * 1000)


def _follow(chat: list[Mapping[str, Any]], role: str, content: str) -> None:
    """Two turns of the caller without a reply between them are one to the model."""
    last = chat[-1] if chat else None
    if role == "user" and last is not None and last["role"] == "user":
        chat[-1] = {"role": role, "content": f"{last['content']} {content}"}
    else:
        chat.append({"role": role, "content": content})
