"""A receptionist without a model: answers from rules and from the business facts in the system prompt. Invents nothing.

The same messages give the same answer. Facts are lines such as `Opening hours: Monday to Friday, nine to five.`
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass

from aywa.ports.llm import ChatMessage, Finished, LlmDelta, LlmRequest, TextDelta

_DIGITS = {
    "zero": "0",
    "oh": "0",
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
}
_NAMES = {digit: name for name, digit in _DIGITS.items() if name != "oh"}

_DAY = re.compile(
    r"\b(monday|tuesday|wednesday|thursday|friday|saturday|sunday|today|tomorrow|(?:this|next) week)\b", re.I
)
_TIME = re.compile(
    r"\b(?:(?:half(?:[ -]past)?|quarter (?:past|to)) \w+|noon|midday|\d{1,2}(?:[:.]\d\d)? ?(?:o'clock|[ap]\.?m\b\.?)"
    r"|\d{1,2}[:.]\d\d|(?:at|around|about) (?:\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
    r"(?: (?:thirty|fifteen|o'clock))?|(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
    r" (?:thirty|fifteen|o'clock|[ap]\.?m\b\.?)|(?:in the )?(?:morning|afternoon|evening))",
    re.I,
)
_NAME = re.compile(
    r"\b(?:my name is|my name's|name is|this is|i am|i'm|it's|call me|under)\s+([A-Z][\w'-]+(?: [A-Z][\w'-]+)?)"
)
_NUMBER = re.compile(rf"(?:\b(?:{'|'.join(_DIGITS)})\b[\s,.-]*|\d[\s,.-]*){{3,}}", re.I)
_FACT = re.compile(r"^[\s*#-]*([A-Za-z][A-Za-z &/'-]{1,40}):\s*(.+)$")
_WHO = re.compile(r"\b(?:of|at|for) ((?:the )?[A-Z][\w'&-]*(?: [A-Z][\w'&-]*)*)")

_BOOKING = "What day would suit you?"
_ASK_TIME = "What time would you like?"
_ASK_NAME = "And what name shall I put it under?"

_FACT_KEYS: Mapping[str, tuple[str, ...]] = {
    "hours": ("hour", "open", "closing"),
    "price": ("price", "cost", "fee", "rate"),
    "address": ("address", "location", "where", "directions"),
    "phone": ("phone", "telephone"),
    "email": ("email", "e-mail"),
    "parking": ("parking",),
    "services": ("services", "menu", "treatments"),
}


@dataclass(frozen=True, slots=True)
class _Turn:
    """text: what the caller said last. before: what we said before that. said: all the caller said, oldest first."""

    text: str
    before: str
    said: tuple[str, ...]
    facts: Mapping[str, str]
    who: str

    def has(self, *patterns: str) -> bool:
        return any(re.search(rf"\b{pattern}", self.text, re.I) for pattern in patterns)


class RuleLlm:
    """Answers in one or two short sentences, at once."""

    name = "local-rules"

    async def stream(self, request: LlmRequest) -> AsyncGenerator[LlmDelta]:
        """Word by word, as a model would."""
        words = answer(request.messages).split(" ")
        for place, word in enumerate(words):
            yield TextDelta(word if not place else f" {word}")
        yield Finished("stop", completion_tokens=len(words))

    async def warm(self, request: LlmRequest) -> None:
        """There is nothing to warm."""

    async def close(self) -> None:
        """Nothing to close."""


def answer(messages: Sequence[ChatMessage]) -> str:
    """What the receptionist says next."""
    turn = _read(messages)
    for rule in _RULES:
        if said := rule(turn):
            return said
    return _unsure(turn)


def _read(messages: Sequence[ChatMessage]) -> _Turn:
    system = "\n".join(message.content for message in messages if message.role == "system")
    said = [message.content.strip() for message in messages if message.role == "user"]
    last_user = max((n for n, message in enumerate(messages) if message.role == "user"), default=-1)
    earlier = [message.content for message in messages[: max(last_user, 0)] if message.role == "assistant"]
    who = _WHO.search(system)
    return _Turn(
        text=said[-1] if said else "",
        before=earlier[-1] if earlier else "",
        said=tuple(said),
        facts=_facts(system),
        who=who.group(1) if who else "",
    )


def _facts(system: str) -> dict[str, str]:
    """The first line of the prompt for each kind of fact."""
    found: dict[str, str] = {}
    for line in system.splitlines():
        if match := _FACT.match(line):
            label = match.group(1).lower()
            for kind, words in _FACT_KEYS.items():
                if any(word in label for word in words):
                    found.setdefault(kind, match.group(2).strip().rstrip(".") + ".")
    return found


# --- the rules, most particular first ----------------------------------------------------------------------------


def _nothing(turn: _Turn) -> str:
    if any(map(str.isalnum, turn.text)):
        return ""
    if turn.said:
        return "Sorry, I did not catch that. Could you say it again?"
    return f"Hello, this is {turn.who}. How can I help you?" if turn.who else "Hello, how can I help you?"


def _repeat(turn: _Turn) -> str:
    if turn.before and turn.has(
        "pardon", "repeat", "say (?:that|it) again", "come again", "what did you say"
    ):
        return turn.before
    return ""


def _goodbye(turn: _Turn) -> str:
    if turn.has("goodbye", "good bye", "bye", "that(?:'s| is) all", "that will be all", "see you", "hang up"):
        return "Thank you for calling. Goodbye!"
    return ""


def _person(turn: _Turn) -> str:
    if turn.has(
        "human",
        "real person",
        "operator",
        "manager",
        "someone else",
        "(?:speak|talk) (?:to|with) (?:a |some)",
    ):
        return "Of course. I will ask a colleague to call you back. What is the best number for you?"
    return ""


def _asked_number(turn: _Turn) -> str:
    match = _NUMBER.search(turn.text)
    if not match or (_pending(turn) and _TIME.search(turn.text)):
        return ""
    digits = _digits(match.group())
    if not 3 <= len(digits) <= 15:
        return ""
    spoken = ", ".join(" ".join(_NAMES[digit] for digit in group) for group in _groups(digits))
    return f"I have {spoken}. Is that right?"


def _confirmed(turn: _Turn) -> str:
    if "is that right?" not in turn.before.lower() or len(turn.text.split()) > 6:
        return ""
    if turn.has("yes", "yeah", "yep", "right", "correct", "sure", "that's it"):
        return "Thank you, I have noted that. Is there anything else?"
    if turn.has("no", "not", "wrong", "nope"):
        return "Sorry about that. Could you tell me again, please?"
    return ""


def _book(turn: _Turn) -> str:
    if turn.has("cancel"):
        return "I can cancel that for you. What name is it under?"
    asked = turn.has("appointment", "book", "reserv", "schedul", "come in", "make a booking", "table for")
    if not asked and not _pending(turn):
        return ""
    if not asked and _about_business(turn):
        return ""  # a question in between is answered first
    day, time, name = (_known(turn, what) for what in (_day, _time, _name))
    if not day:
        return f"I can help you with that. {_BOOKING}"
    if not time:
        return f"{day} is fine. {_ASK_TIME}"
    if not name:
        return f"{day}, {time}. {_ASK_NAME}"
    return f"Thank you, {name}. I have you down for {day}, {time}. Is that right?"


def _business(turn: _Turn) -> str:
    for kind, patterns, lead, unknown in _QUESTIONS:
        if turn.has(*patterns):
            fact = turn.facts.get(kind)
            said = f"{lead}{fact}" if fact else unknown
            return f"{said} {_pending(turn)}".rstrip()
    return ""


def _thanks(turn: _Turn) -> str:
    return "You are welcome. Is there anything else?" if turn.has("thanks", "thank you", "cheers") else ""


def _named(turn: _Turn) -> str:
    if name := _name(turn.text, turn.before):
        return f"Nice to meet you, {name}. How can I help you?"
    return ""


def _hello(turn: _Turn) -> str:
    if turn.has("hello", "hi", "hey", "good (?:morning|afternoon|evening)") and len(turn.text.split()) <= 6:
        return "Hello! How can I help you today?"
    if turn.has("how are you"):
        return "I am well, thank you. How can I help you?"
    if turn.has("who (?:are|is)", "your name", "are you (?:a |an )?(?:robot|machine|computer|bot|ai|real)"):
        return f"I am the automatic receptionist{f' of {turn.who}' if turn.who else ''}. How can I help you?"
    return ""


def _closing(turn: _Turn) -> str:
    if "anything else?" in turn.before and turn.has("no", "nope", "nothing"):
        return "Thank you for calling. Goodbye!"
    if turn.has("yes", "yeah", "yep", "sure", "okay", "ok") and len(turn.text.split()) <= 3:
        return "Good. What would you like to know?"
    if turn.has("no", "nope") and len(turn.text.split()) <= 3:
        return "All right. Is there anything else?"
    return ""


def _unsure(turn: _Turn) -> str:
    return (
        "I can tell you our opening hours, prices and address, or book an appointment. What would you like?"
    )


_RULES: tuple[Callable[[_Turn], str], ...] = (
    _nothing, _repeat, _goodbye, _person, _confirmed, _book, _asked_number, _business, _closing, _named, _thanks, _hello,
)  # fmt: skip

_QUESTIONS = (
    ("hours", ("hours", "open", "clos(?:e|ing)", "what time do you"), "We are open ",
     "I do not have our opening hours here, but a colleague can call you back with them."),
    ("price", ("price", "cost", "how much", "charge", "expensive", "fee"), "Our prices: ",
     "I do not have our prices here, but a colleague can call you back with them."),
    ("parking", ("park",), "About parking: ", "I do not know about parking, I am afraid."),
    ("email", ("e-?mail",), "Our e-mail address is ", "I do not have an e-mail address to give you."),
    ("phone", ("phone number", "telephone"), "Our number is ", "You can reach us on the number you called."),
    ("address", ("address", "where are you", "where is", "located", "location", "find you", "get there", "directions"),
     "Our address is ", "I do not have our address here, but a colleague can call you back with it."),
    ("services", ("services", "do you (?:do|offer|have|sell)", "menu", "what can you"), "We offer ", ""),
)  # fmt: skip


# --- what was said -----------------------------------------------------------------------------------------------


def _pending(turn: _Turn) -> str:
    """The booking's question that is still open. It may have been cut short by the caller: its beginning will do."""
    return next(
        (question for question in (_BOOKING, _ASK_TIME, _ASK_NAME) if question[:13] in turn.before), ""
    )


def _about_business(turn: _Turn) -> bool:
    return bool(_business(turn)) and not (_DAY.search(turn.text) or _TIME.search(turn.text))


def _known(turn: _Turn, find: Callable[[str, str], str]) -> str:
    """The latest word of the caller about it, since the last booking was asked for."""
    found = ""
    for place, said in enumerate(turn.said):
        latest = place == len(turn.said) - 1
        found = find(said, turn.before if latest else "") or found
    return found


def _day(text: str, _before: str) -> str:
    match = _DAY.search(text)
    return match.group(1).capitalize() if match else ""


def _time(text: str, _before: str) -> str:
    match = _TIME.search(text)
    return match.group().strip().rstrip(".").lower() if match else ""


def _name(text: str, before: str) -> str:
    if match := _NAME.search(text):
        name = match.group(1)
        return "" if name.lower() in ("looking", "calling", "sorry") or _DAY.match(name) else name
    if _ASK_NAME[:13] in before:
        words = re.sub(r"[^\w' -]", "", text).split()
        filler = {"yes", "yeah", "please", "sure", "um", "uh", "oh", "it's", "for", "the", "name", "is"}
        words = [word for word in words if word.lower() not in filler]
        return " ".join(words[:3]).title()
    return ""


def _digits(text: str) -> str:
    words = re.findall(r"\d|[a-z]+", text.lower())
    return "".join(_DIGITS.get(word, word) for word in words)


def _groups(digits: str) -> list[str]:
    """Spoken in threes and fours, as people do."""
    groups = [digits[place : place + 3] for place in range(0, len(digits), 3)]
    if len(groups) > 1 and len(groups[-1]) == 1:
        groups[-2:] = [groups[-2] + groups[-1]]
    return groups
