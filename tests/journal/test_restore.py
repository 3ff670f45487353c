"""What is folded from a call's journal is what the call had: the record, and every word of the conversation."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aywa.boot.rehearsal import RecordedJournal, Rehearsal, Utterance
from aywa.core.record import CallRecord
from aywa.journal.segment import body_of, decode, encode
from aywa.ports.llm import LlmRequest
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedStt, ScriptedTts, broken
from aywa.testing.virtual_time import run_virtual


@dataclass(slots=True)
class BothJournals(RecordedJournal):
    """Keeps what is put on record as it is and as it stands in the file."""

    framed: list[bytes] = field(default_factory=list)

    def append(
        self, call_id: str, org_id: str, seq: int, at_s: float, role: str, kind: str, data: object
    ) -> None:
        RecordedJournal.append(self, call_id, org_id, seq, at_s, role, kind, data)
        self.framed.append(encode(call_id, org_id, seq, at_s, role, kind, data))


WORDS = st.sampled_from(
    "yes no wait please stop mhm book a table for two tomorrow Zürich 日本 goodbye".split()
)
UTTERANCES = st.lists(
    st.builds(
        Utterance,
        st.floats(0.5, 20).map(lambda s: round(s, 2)),
        st.lists(WORDS | st.floats(0.1, 0.9).map(lambda s: round(s, 2)), min_size=1, max_size=6),
    ),
    max_size=5,
)


def replies(length: int) -> Any:
    def reply(request: LlmRequest) -> str:
        return " ".join(f"word{n}{'.' if n % 4 == 3 else ''}" for n in range(length))

    return reply


@settings(max_examples=60, deadline=None)
@given(
    script=UTTERANCES,
    length=st.integers(0, 20),
    model_s=st.sampled_from([0.0, 0.3, 2.0]),
    voice_s=st.sampled_from([0.0, 0.2]),
    word_times=st.booleans(),
    llm_breaks=st.integers(0, 3),
    tts_breaks=st.integers(0, 1),
    greeting=st.sampled_from(["", "Hello there.", "Grüß Gott, how can I help you today?"]),
)
def test_restored_is_live(
    script: list[Utterance],
    length: int,
    model_s: float,
    voice_s: float,
    word_times: bool,
    llm_breaks: int,
    tts_breaks: int,
    greeting: str,
) -> None:
    llm = ScriptedLlm(replies(length), first_token_s=model_s)
    llm.fail_next.extend([broken("llm")] * llm_breaks)
    tts = ScriptedTts(first_audio_s=voice_s, word_times=word_times)
    tts.fail_next.extend([broken("tts")] * tts_breaks)
    journal = BothJournals()
    prompt = {"messages": [{"role": "system", "content": "You are kind."}]}
    call = Rehearsal(
        {"firstMessage": greeting, "endCallPhrases": ["goodbye"], "model": prompt},
        llm=llm,
        tts=tts,
        stt=ScriptedStt(finalize_s=0.05),
        journal=journal,
    )
    run_virtual(call.run(script, 25.0))

    live = CallRecord("call-1", "org-1")
    for record in journal.records:
        live.apply(record.seq, record.at_s, record.kind, record.data)
    restored = CallRecord("call-1", "org-1")
    for framed in journal.framed:
        record = decode(body_of(framed))
        assert restored.apply(record.seq, record.at_s, record.kind, record.data)
        assert not restored.apply(record.seq, record.at_s, record.kind, record.data)

    assert json.dumps(restored.document()) == json.dumps(live.document())
    assert call.session is not None
    conversation = call.session.conversation
    assert list(restored.messages) == list(conversation.history.messages)
    assert restored.status == "ended"
    assert restored.ended_reason == conversation.lifecycle.reason
    assert [r.seq for r in journal.records] == list(range(1, len(journal.records) + 1))
