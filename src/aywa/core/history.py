"""What was said and heard, as the model, the transcript and the webhooks get it. Only words that were heard are in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aywa.core.handoff import Context, ContextPlan

MAX_MESSAGES = 200


@dataclass(slots=True)
class History:
    """prompt: the assistant's own messages, put before the conversation. epoch_ms: Unix time of the call's second 0. speaker:
    who the assistant is, in a call that has had several."""

    prompt: tuple[Mapping[str, Any], ...] = ()
    epoch_ms: int = 0
    speaker: Mapping[str, str] = field(default_factory=dict)
    _chat: list[Mapping[str, Any]] = field(default_factory=list)
    _messages: list[Mapping[str, Any]] = field(default_factory=list)
    # Where the assistant that has the call now began.
    _since: int = 0

    def user_said(self, text: str, start_s: float, end_s: float) -> Mapping[str, Any]:
        """A turn that was taken; answers its entry in the contract's shape (6.4)."""
        return self._add("user", text, self._entry("user", text, start_s, end_s))

    def assistant_heard(self, text: str, start_s: float, end_s: float, *, cut: bool) -> Mapping[str, Any]:
        """The words of a reply that the caller heard. cut: the reply was longer."""
        # Without `source` clients take a bot message for a user's (contract 2.5).
        entry = self._entry("bot", text, start_s, end_s) | {"source": ""} | dict(self.speaker)
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

    def hand_over(self, prompt: tuple[Mapping[str, Any], ...], plan: ContextPlan, call_id: str) -> None:
        """Another assistant has the call: what its model is to see of it. call_id: of the tool call that brought it. What the
        transcript shows stays whole."""
        chat = self._chat
        match plan.context:
            case Context.ALL:
                pass
            case Context.ROLLING:
                # Those of an assistant who has the call again stand once, and last.
                prompt = (*(m for m in self.prompt if m not in prompt), *prompt)
            case Context.UNTRACED:
                chat = _without_call(chat, call_id)
            case Context.LAST:
                chat = _without_call(chat, call_id)
                chat = chat[len(chat) - plan.most :] if plan.most < len(chat) else chat
            case Context.SPOKEN:
                chat = [m for m in chat if m["role"] in ("user", "assistant") and not m.get("tool_calls")]
            case Context.EARLIER:
                chat = chat[: self._since]
            case _:
                chat = []
        self._chat = _paired(chat)
        self._since = len(self._chat)
        self.prompt = prompt

    def chat(self, caller: str = "") -> tuple[Mapping[str, Any], ...]:
        """The messages for the model; caller: words that are not in the history yet."""
        chat = _paired(self._chat[-MAX_MESSAGES:])
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


def _paired(chat: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Without the results whose calls are forgotten: no model takes one without the other."""
    first = next((at for at, message in enumerate(chat) if message["role"] != "tool"), len(chat))
    return chat[first:]


def _without_call(chat: Sequence[Mapping[str, Any]], call_id: str) -> list[Mapping[str, Any]]:
    """Without this tool call and its result."""
    kept: list[Mapping[str, Any]] = []
    for message in chat:
        calls = message.get("tool_calls")
        left = [call for call in calls or () if call["id"] != call_id]
        if message.get("tool_call_id") == call_id or (calls and not left):
            continue
        kept.append({**message, "tool_calls": left} if calls else message)
    return kept


def _follow(chat: list[Mapping[str, Any]], role: str, content: str) -> None:
    """Two turns of the caller without a reply between them are one to the model."""
    last = chat[-1] if chat else None
    if role == "user" and last is not None and last["role"] == "user":
        chat[-1] = {"role": role, "content": f"{last['content']} {content}"}
    else:
        chat.append({"role": role, "content": content})
