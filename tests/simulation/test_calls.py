"""Whole calls drawn from their numbers. One that fails: `python -m aywa.boot.simulation --seed N` plays it again."""

from __future__ import annotations

import pytest

from aywa.boot.simulation import main, play, run, timeline

FEW, MANY, AT_ONCE = 200, 10_000, 25
BROKEN_ONCE = (
    # The recogniser told an earlier turn again, long after it.
    2253, 3101, 7551, 9063,
    # A voice broke in the middle of a phrase, and its second try was silent.
    1962, 4756, 7122, 7523,
    # The process stood still before what was heard was kept.
    4939, 7053,
    # A reply failed that nobody waited for.
    999, 1017, 1468, 2870, 3582, 5081, 9968,
)  # fmt: skip


@pytest.mark.parametrize("first", range(0, FEW, AT_ONCE))
def test_whatever_breaks_the_caller_is_not_left_alone(first: int) -> None:
    kinds, seeds, _ = run(range(first, first + AT_ONCE))
    assert not kinds, seeds


@pytest.mark.parametrize("seed", BROKEN_ONCE)
def test_what_did_not_hold_once_holds(seed: int) -> None:
    assert [str(violation) for violation in play(seed).violations] == []


@pytest.mark.all
@pytest.mark.parametrize("first", range(FEW, MANY, 100 * AT_ONCE))
def test_whatever_breaks_in_ten_thousand_calls(first: int) -> None:
    kinds, seeds, _ = run(range(first, min(MANY, first + 100 * AT_ONCE)))
    assert not kinds, seeds


@pytest.mark.parametrize("seed", [3, 24, 99])
def test_the_seed_is_all_it_takes_to_play_a_call_again(seed: int) -> None:
    first, again = play(seed), play(seed)
    assert [(r.at_s, r.kind, r.data) for r in first.records] == [
        (r.at_s, r.kind, r.data) for r in again.records
    ]
    assert timeline(first) == timeline(again)


def test_the_numbers_draw_every_kind_of_caller_and_of_fault() -> None:
    drawn, kinds = set(), set()
    for seed in range(80):
        played = play(seed)
        drawn |= {step for _, step, _ in played.scenario.faults.drawn}
        kinds |= {v.kind for v in played.truth.voice}
    assert {
        "llm.answer",
        "tts.clause",
        "stt.open",
        "stt.partial",
        "stt.finalize",
        "turn_model.score",
    } <= drawn
    assert {str(kind) for kind in kinds} == {"turn", "interruption", "backchannel", "noise"}


def test_one_call_is_printed_as_a_timeline(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("seed 3: ")
    times = [float(line.split()[0]) for line in lines[1:]]
    assert times == sorted(times)
    assert any(" caller " in line for line in lines)
    assert any(" record " in line for line in lines)


def test_many_calls_are_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "1", "--calls", "3"]) == 0
    assert capsys.readouterr().out.startswith("3 calls in ")
