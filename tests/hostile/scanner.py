"""A scanner, for these tests only, that goes about it as the well-known ones do: a sweep for who answers (OPTIONS), names told
from each other by how they are refused (REGISTER, INVITE), and passwords tried one after another."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from aywa.testing.softphone.message import Message, digest_answer
from tests.hostile.stranger import Stranger

# What the tools call themselves when nobody has told them otherwise.
NAME = "friendly-scanner"
PATIENCE_S = 0.25
# Unanswered in a row.
GIVES_UP = 3
_VARIES = re.compile(r'(nonce=")[^"]*|(tag=)[\w.-]+|(branch=)[\w.-]+|(rport=)\d+')


@dataclass
class Findings:
    """answers: in the order asked; None for silence. took_s: of each that came."""

    answers: list[Message | None] = field(default_factory=list)
    took_s: list[float] = field(default_factory=list)

    @property
    def statuses(self) -> list[int]:
        return [0 if each is None else each.status for each in self.answers]


class Scanner:
    """agent: what it calls itself."""

    def __init__(self, line: Stranger, agent: str = NAME) -> None:
        self.line = line
        self.agent = agent

    async def sweep(self, times: int) -> Findings:
        """Asks whether anybody is there, again and again, until it is plain that nobody answers any more."""
        found = Findings()
        for _ in range(times):
            await self._ask(found, "OPTIONS", "100")
            if found.statuses[-GIVES_UP:] == [0] * GIVES_UP:
                break
        return found

    async def names(self, method: str, names: Iterable[str]) -> Findings:
        """What each name is answered, without a password."""
        found = Findings()
        for name in names:
            await self._ask(found, method, name)
        return found

    async def passwords(self, name: str, guesses: Iterable[str], method: str = "REGISTER") -> Findings:
        """Tries each, with the challenge it got last, as long as it gets any."""
        found = Findings()
        challenge = await self.line.ask(method, name, agent=self.agent, within_s=PATIENCE_S)
        for guess in guesses:
            if challenge is None or challenge.status != 401:
                break
            host, port = self.line.place
            uri = f"sip:{host}:{port}" if method == "REGISTER" else f"sip:{name}@{host}:{port}"
            shown = digest_answer(challenge.get("WWW-Authenticate"), method, uri, name, guess, "c0ffee")
            challenge = await self._ask(found, method, name, f"Authorization: {shown}")
        return found

    async def _ask(self, found: Findings, method: str, name: str, *fields: str) -> Message | None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        answer = await self.line.ask(method, name, *fields, agent=self.agent, within_s=PATIENCE_S)
        found.answers.append(answer)
        if answer is not None:
            found.took_s.append(loop.time() - began_s)
        return answer


def words(answer: Message, name: str) -> str:
    """All of an answer that could tell two names apart."""
    lines = [answer.start, *(f"{field}: {value}" for field, value in answer.headers)]
    kept = [line for line in lines if not line.startswith(("Call-ID", "CSeq"))]
    plain = _VARIES.sub(lambda found: next(each for each in found.groups() if each), "\n".join(kept))
    return plain.replace(name, "NAME")
