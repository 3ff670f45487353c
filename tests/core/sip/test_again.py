"""What is sent until it is acknowledged."""

from __future__ import annotations

from aywa.core.sip.again import Again
from aywa.core.sip.line import GIVE_UP_S, T2_S
from aywa.core.sip.message import Response


def times(most_s: float | None) -> list[float]:
    """When it is sent again, until it is lost."""
    again = Again("k", Response(200), 0.0, most_s)
    sent = []
    while not again.lost(again.deadline):
        now = again.deadline
        assert not again.due(now - 0.001)
        assert again.due(now)
        sent.append(now)
    assert again.gives_up_at == GIVE_UP_S
    assert not again.due(GIVE_UP_S)
    return sent


def test_a_final_answer_doubles_up_to_t2() -> None:
    sent = times(T2_S)
    assert sent[:5] == [0.5, 1.5, 3.5, 7.5, 11.5]
    assert len(sent) == 10


def test_a_reliable_one_doubles_on() -> None:
    assert times(None) == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
