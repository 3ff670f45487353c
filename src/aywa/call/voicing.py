"""A call's clauses as its voice is given them. The customer's regular expressions are tried in the threads of rules, each
within a limit; one that cannot be used is left out, told once, and never holds up or changes the rest of the clause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import regex

from aywa.call.rules import RuleThreads
from aywa.core.settings import AssistantSettings, ChunkPlan, Pattern, Replacement
from aywa.core.turns.js_pattern import PatternError, group_names, translate
from aywa.core.voicing.format import voice_text
from aywa.core.voicing.js_value import expand, longest
from aywa.core.voicing.text import Edit, Voiced

# By the processor's time: of one expression on one clause. The caller waits for the clause meanwhile.
REPLACE_S = 0.02
LATE_MAX = 2
"""Expressions in a clause that may run out of time before the others are left out."""
TRIES_MAX = 2
"""Times that one may run out of time before it is left out for the rest of the call."""
MATCHES_MAX = 200
SPOKEN_MAX = 20_000
"""Characters that one replacement may put into a clause."""


@dataclass(slots=True)
class Voicing:
    """Of one call. language: of what the assistant says. threads: where expressions are tried; None: they are not.
    problems: replacements that could not be used, and why; each once. tell: is told each of them as well."""

    plan: ChunkPlan = field(default_factory=ChunkPlan)
    language: str = "en"
    threads: RuleThreads | None = None
    problems: list[str] = field(default_factory=list)
    tell: Callable[[str], None] | None = None
    _compiled: dict[Pattern, tuple[regex.Pattern[str], Mapping[str, int]]] = field(default_factory=dict)
    _late: Counter[Pattern] = field(default_factory=Counter)
    _plain: bool = True

    @classmethod
    def of(cls, settings: AssistantSettings, threads: RuleThreads | None = None) -> Voicing:
        """As the assistant's document says."""
        return cls(settings.chunks, settings.language, threads)

    def __post_init__(self) -> None:
        self._plain = not any(each.pattern for each in self.plan.format.replacements)

    async def voice(self, text: str) -> Voiced:
        """What is said for the text. Never raises."""
        plan, language = self.plan.format, self.language
        if self._plain or not plan.enabled or self.threads is None:
            return voice_text(text, plan, language)
        clause = _Clause(self)
        said = await self.threads.offload(lambda: voice_text(text, plan, language, clause.find))
        for problem in clause.problems:
            self._tell(problem)
        if said is None:
            self._tell("formatPlan.replacements were not tried: too many calls wait for theirs")
            return voice_text(text, plan, language)
        return said

    def _tell(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)
            if self.tell is not None:
                self.tell(problem)


@dataclass(slots=True)
class _Clause:
    """Tries expressions on one clause, in a thread."""

    call: Voicing
    problems: list[str] = field(default_factory=list)
    late: int = 0

    def find(self, replacement: Replacement, text: str) -> Sequence[Edit]:
        pattern = replacement.pattern
        call = self.call
        if pattern is None or self.late >= LATE_MAX or call._late[pattern] >= TRIES_MAX:
            return ()
        place = f"formatPlan.replacements[{call.plan.format.replacements.index(replacement)}]"
        if longest(replacement.value, text) > SPOKEN_MAX:
            self.problems.append(f"{place} was left out: it would speak more than {SPOKEN_MAX} characters")
            return ()
        try:
            return self._found(pattern, replacement.value, text)
        except TimeoutError:
            self.late += 1
            call._late[pattern] += 1
            self.problems.append(
                f"{place} was given up after {1000 * REPLACE_S:.0f} ms: its expression goes back and forth too much"
            )
        except (PatternError, regex.error, RecursionError, MemoryError) as error:
            call._late[pattern] = TRIES_MAX
            self.problems.append(f"{place} cannot be used: {error}")
        return ()

    def _found(self, pattern: Pattern, value: str, text: str) -> list[Edit]:
        compiled = self.call._compiled.get(pattern)
        if compiled is None:
            expression = regex.compile(translate(pattern), regex.VERSION0)
            compiled = self.call._compiled[pattern] = expression, group_names(pattern)
        expression, names = compiled
        edits: list[Edit] = []
        spoken = 0
        # concurrent: the rest of the process goes on meanwhile.
        for match in expression.finditer(text, timeout=REPLACE_S, concurrent=True):
            start, end = match.span()
            if start == end:
                continue
            said = expand(value, text, (start, end), match.groups(), names)
            spoken += len(said)
            if len(edits) >= MATCHES_MAX or spoken > SPOKEN_MAX:
                break
            edits.append(Edit(start, end, said))
        return edits
