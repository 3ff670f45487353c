"""The pure half of the scripted caller, asked by hand. The rest of it is seen in test_caller."""

from __future__ import annotations

import numpy as np
import pytest

from aywa.testing.script import Backchannel, BargeIn, HangUp, Keys, Pause, Say, Script, Step, WaitReply
from aywa.testing.wire import FRAME_S, SentFrame

RATE = 8000
LOUD = np.full(160, 5000, "<i2").tobytes()


def play(
    script: Script,
    heard_s: tuple[tuple[float, float], ...] = (),
    told: tuple[tuple[float, dict[str, str]], ...] = (),
) -> list[SentFrame]:
    """Runs a script to its end; audio arrives in the given intervals, messages at their times."""
    sent: list[SentFrame] = []
    for number in range(5000):
        now_s = number * FRAME_S
        for at_s, message in told:
            if at_s <= now_s < at_s + FRAME_S:
                script.told(message)
        if any(from_s <= now_s < until_s for from_s, until_s in heard_s):
            assert script.heard(now_s, LOUD).audible
        frame = script.next_frame(now_s)
        if frame is None:
            return sent
        sent.append(frame)
    raise AssertionError("the script does not end")


def script(*steps: Step) -> Script:
    return Script(steps, RATE)


def voiced(sent: list[SentFrame]) -> list[float]:
    return [frame.at_s for frame in sent if frame.voiced]


def test_cuts_into_frames_and_fills_the_last_one_up() -> None:
    sent = play(script(Say(LOUD * 2 + LOUD[:100], "a")))
    assert [len(frame.pcm) for frame in sent] == [320] * 3
    assert sent[2].pcm == LOUD[:100] + bytes(220)


def test_silence_inside_an_utterance_belongs_to_it() -> None:
    sent = play(script(Say(LOUD + bytes(320 * 5) + LOUD + bytes(320 * 5)), Pause(0.1)))
    assert [frame.utterance for frame in sent] == [0] * 12 + [None] * 5
    assert voiced(sent) == [0.0, 6 * FRAME_S]


def test_waits_for_the_end_of_a_reply() -> None:
    sent = play(script(WaitReply(), Say(LOUD)), ((0.5, 1.0), (1.2, 2.0)))
    # The pause of 200 ms is not the end; 400 ms after 2.0 are.
    assert 2.38 <= voiced(sent)[0] <= 2.44


def test_waits_longer_when_asked_to() -> None:
    sent = play(script(WaitReply(quiet_s=1.0), Say(LOUD)), ((0.5, 1.0), (1.6, 2.0)))
    assert 2.98 <= voiced(sent)[0] <= 3.04


def test_a_reply_from_before_the_question_is_no_answer_to_it() -> None:
    sent = play(script(WaitReply(), Say(LOUD * 10), WaitReply(timeout_s=5)), ((0.0, 1.0),))
    assert 6.4 < len(sent) * FRAME_S < 6.8


def test_a_reply_from_before_the_keys_is_no_answer_to_them() -> None:
    sent = play(script(WaitReply(), Keys("42#", 0.2), WaitReply(), Say(LOUD)), ((0.0, 1.0), (3.0, 4.0)))
    assert 4.38 <= voiced(sent)[0] <= 4.44


def update(status: str, role: str = "assistant") -> dict[str, str]:
    return {"type": "speech-update", "status": status, "role": role}


def test_a_reply_goes_on_until_the_runtime_says_that_it_is_over_where_it_says_so() -> None:
    """As after "one moment"."""
    heard_s, told = ((0.5, 1.0), (3.0, 4.0)), ((0.5, update("started")), (0.8, update("stopped", "user")))
    over = (4.0, update("stopped"))
    assert len(play(script(WaitReply()), heard_s, (*told, over))) * FRAME_S == pytest.approx(1.4, abs=0.05)
    wait = script(WaitReply(told=True))
    assert len(play(wait, heard_s, (*told, over))) * FRAME_S == pytest.approx(4.4, abs=0.05)
    # It forgot to, or says nothing at all.
    wait = script(WaitReply(told=True, timeout_s=6.0))
    assert len(play(wait, heard_s, told)) * FRAME_S == pytest.approx(6.0, abs=0.05)
    assert len(play(script(WaitReply(told=True)), heard_s)) * FRAME_S == pytest.approx(1.4, abs=0.05)


def test_an_answer_that_began_in_the_trailing_silence_counts() -> None:
    sent = play(script(Say(LOUD * 10 + bytes(320 * 100)), WaitReply(timeout_s=5)), ((1.0, 1.5),))
    assert len(sent) == 110


def test_speaks_so_long_into_the_reply() -> None:
    sent = play(script(WaitReply(), Say(LOUD), BargeIn(LOUD, after_s=0.5)), ((0.0, 0.5), (2.0, 4.0)))
    assert 2.48 <= voiced(sent)[1] <= 2.54


def test_a_frame_that_is_late_is_not_the_end_of_the_reply() -> None:
    """On a line that sends in real time, what has arrived has always just been played."""
    sent = play(script(BargeIn(LOUD, after_s=0.5)), ((0.0, 0.46), (0.56, 2.0)))
    assert 0.48 <= voiced(sent)[0] <= 0.54


def test_a_reply_that_is_over_is_not_spoken_into() -> None:
    playing = script(BargeIn(LOUD, after_s=0.8, label="late"))
    assert not voiced(play(playing, ((0.0, 0.6),)))
    assert playing.missed == ["late"]


def test_a_backchannel_leaves_the_question_open() -> None:
    steps = Say(LOUD), Backchannel(LOUD, after_s=0.5), WaitReply(quiet_s=0.6)
    sent = play(script(*steps), ((1.0, 1.5), (2.0, 3.0)))
    assert 1.48 <= voiced(sent)[1] <= 1.54
    assert 3.58 <= sent[-1].at_s <= 3.64


def test_may_speak_twice_into_one_reply() -> None:
    steps = Backchannel(LOUD, after_s=0.5), BargeIn(LOUD, after_s=1.0)
    assert len(voiced(play(script(*steps), ((0.1, 3.0),)))) == 2


def test_hangs_up_where_it_is_told_to() -> None:
    playing = script(Say(LOUD), HangUp(by_message=True), Say(LOUD))
    assert len(play(playing)) == 1
    assert playing.hang_up.by_message
    assert playing.next_frame(9.0) is None
