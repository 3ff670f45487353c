"""The same script gives the same call, record by record."""

from __future__ import annotations

from aywa.boot.rehearsal import Rehearsal, Utterance
from aywa.testing.scripted_providers import ScriptedLlm
from aywa.testing.virtual_time import run_virtual

SCRIPT = [Utterance(2.0, ["one", 0.3, "more"]), Utterance(3.9, ["wait", "a", "second"])]


def once() -> list[object]:
    call = Rehearsal({"firstMessage": "Hello there."}, llm=ScriptedLlm(first_token_s=0.2))
    run_virtual(call.run(SCRIPT, 9.0))
    return [(r.seq, r.at_s, r.kind, r.data) for r in call.journal.records]


def test_the_same_script_gives_the_same_call_twice() -> None:
    first = once()
    assert first == once()
    assert len(first) > 50
