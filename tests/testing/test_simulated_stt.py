from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from aywa.ports.errors import ProviderError
from aywa.ports.stt import SttOptions, SttResult, Word
from aywa.testing.simulated_stt import (
    FAST,
    GARBAGE,
    TYPICAL,
    Hearing,
    SimulatedStt,
    SttFault,
    SttStep,
)

pytestmark = pytest.mark.virtual_time

EVEN = replace(TYPICAL, jitter=0.0)


def words(text: str, from_s: float = 0.0, word_s: float = 0.3) -> list[Word]:
    """One after the other; a number is a pause of so many seconds."""
    said = []
    for item in text.split():
        if item.replace(".", "").isdigit():
            from_s += float(item)
        else:
            said.append(Word(item, round(from_s, 3), round(from_s + word_s, 3)))
            from_s += word_s
    return said


class Ear:
    """Notes what a stream tells, and when. ask: (second, what to do)."""

    def __init__(self, stt: SimulatedStt) -> None:
        self.stt = stt
        self.told: list[tuple[float, SttResult]] = []

    async def listen(self, until_s: float, *acts: tuple[float, str]) -> list[tuple[float, str]]:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        stream = await self.stt.open(SttOptions(16000))
        for at_s, act in acts:
            loop.call_at(began_s + at_s, getattr(stream, act))
        loop.call_at(began_s + until_s, lambda: asyncio.ensure_future(stream.close()))
        async for result in stream.results():
            self.told.append((round(loop.time() - began_s, 3), result))
        return [(at_s, result.text) for at_s, result in self.told]

    def answers(self) -> list[tuple[float, str]]:
        return [(at_s, r.text) for at_s, r in self.told if r.from_finalize]


def fails(step: SttStep, *faults: SttFault | None) -> SimulatedStt:
    queue = list(faults)
    return SimulatedStt(
        words("one two three"),
        EVEN,
        faults=lambda asked: queue.pop(0) if asked is step and queue else None,
    )


async def test_a_word_is_shown_by_the_first_partial_that_comes_its_lag_after_its_end() -> None:
    said = words("one two three 0.5 four five")
    ear = Ear(SimulatedStt(said, seed=3))
    told = await ear.listen(4.0, (1.0, "finalize"))
    for at_s, result in ear.told:
        if not result.from_finalize:
            shown = [w for w in said if w.end_s + 0.25 <= at_s + 0.001]
            assert result.text.split() == [w.text for w in shown] or result.is_final
    # Partials come every 0.21 to 0.39 s, so no word is shown later than its lag and one interval.
    for word in said:
        first_s = next(at_s for at_s, text in told if word.text in text.split())
        assert first_s <= word.end_s + 0.25 + 0.39 + 0.001


async def test_the_seed_decides_when_partials_come() -> None:
    stts = [SimulatedStt(words("one two three four"), seed=seed) for seed in (1, 1, 2)]
    first, again, other = await asyncio.gather(*(Ear(stt).listen(3.0) for stt in stts))
    assert first == again != other


async def test_finalize_is_answered_with_the_words_that_were_at_least_half_said() -> None:
    ear = Ear(SimulatedStt(words("one two three"), EVEN))
    await ear.listen(0.9, (0.46, "finalize"), (0.74, "finalize"))
    assert ear.answers() == [(0.56, "one two"), (0.84, "one two")]
    assert not any(r.is_final for _, r in ear.told)
    assert ear.told[-1][1].words[1] == Word("two", 0.3, 0.6)


async def test_what_was_answered_is_not_taken_back_by_the_next_partial() -> None:
    ear = Ear(SimulatedStt(words("one two three four"), EVEN))
    told = await ear.listen(1.3, (0.5, "finalize"))
    assert all(len(after.split()) >= len(before.split()) for (_, before), (_, after) in pairwise(told))


async def test_finalize_in_silence_is_answered_with_nothing() -> None:
    ear = Ear(SimulatedStt(words("one", 5.0), EVEN))
    assert await ear.listen(1.0, (0.2, "finalize")) == [(0.3, "")]


async def test_nobody_asks_and_the_final_comes_after_the_end_of_speech() -> None:
    ear = Ear(SimulatedStt(words("one two 0.2 three 0.5 four"), EVEN))
    await ear.listen(3.0)
    # The pause of 0.2 s is shorter than the recogniser's own patience; text begins anew after a final.
    assert [(at_s, r.text) for at_s, r in ear.told if r.is_final] == [(1.4, "one two three"), (2.2, "four")]
    assert ear.told[-1][1].text == "four"


async def test_what_was_asked_for_gets_no_final_of_its_own_and_it_goes_on_after_the_pause() -> None:
    ear = Ear(SimulatedStt(words("one two 0.5 three"), EVEN))
    told = await ear.listen(3.0, (0.7, "finalize"), (1.5, "finalize"))
    assert ear.answers() == [(0.8, "one two"), (1.6, "one two three")]
    assert not any(r.is_final for _, r in ear.told)
    assert told[-1][1] == "one two three"


async def test_a_new_turn_begins_afresh_and_keeps_what_was_not_told_yet() -> None:
    ear = Ear(SimulatedStt(words("one two three 1.0 four"), EVEN))
    told = await ear.listen(4.0, (0.65, "finalize"), (0.8, "commit"), (2.5, "finalize"))
    assert ear.answers() == [(0.75, "one two"), (2.6, "four")]
    assert [text for at_s, text in told if 0.8 < at_s < 2.5] == ["three", "three"]


async def test_an_answer_that_is_due_when_the_turn_is_taken_is_due_no_more() -> None:
    ear = Ear(SimulatedStt(words("one"), EVEN))
    await ear.listen(1.5, (0.32, "finalize"), (0.36, "commit"))
    assert ear.answers() == []


async def test_words_can_be_added_while_it_listens() -> None:
    stt = SimulatedStt((), FAST)
    loop = asyncio.get_running_loop()
    loop.call_later(1.0, stt.say, words("late words", 1.2))
    ear = Ear(stt)
    told = await ear.listen(3.0)
    assert told[-1][1] == "late words"
    with pytest.raises(ValueError, match="'early' ends before 'words'"):
        stt.say(words("early"))


async def test_a_stream_opened_later_does_not_hear_what_came_before() -> None:
    stt = SimulatedStt(words("one two three"), EVEN)
    stt.epoch_s = asyncio.get_running_loop().time() - 0.35
    assert (await Ear(stt).listen(2.0))[-1][1] == "three"


async def test_the_fast_one_shows_a_word_within_200_ms() -> None:
    ear = Ear(SimulatedStt(words("one two three"), FAST))
    first_s, _ = (await ear.listen(2.0))[0]
    assert 0.35 <= first_s <= 0.48


@pytest.mark.parametrize(
    ("fault", "answers"),
    [
        (SttFault.NEVER, []),
        (SttFault.LATE, [(3.1, "one two three")]),
        (SttFault.TWICE, [(1.1, "one two three")] * 2),
        (SttFault.WRONG, [(1.1, GARBAGE)]),
        (SttFault.EMPTY, [(1.1, "")]),
        (SttFault.DEAF, []),
    ],
)
async def test_a_faulty_answer(fault: SttFault, answers: list[tuple[float, str]]) -> None:
    ear = Ear(fails(SttStep.FINALIZE, fault))
    await ear.listen(5.0, (1.0, "finalize"))
    assert ear.answers() == answers


async def test_an_answer_that_is_late_comes_although_the_turn_was_taken() -> None:
    ear = Ear(fails(SttStep.FINALIZE, SttFault.LATE))
    await ear.listen(5.0, (1.0, "finalize"), (1.5, "commit"))
    assert ear.answers() == [(3.1, "")]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (SttFault.LATE, [(0.9, "one two"), (1.2, "one two three"), (2.6, "one")]),
        (SttFault.STALE, [(0.6, "one"), (0.6, ""), (0.9, "one two"), (1.2, "one two three")]),
        (SttFault.NEVER, [(0.9, "one two"), (1.2, "one two three")]),
        (SttFault.DEAF, []),
    ],
)
async def test_a_faulty_partial(
    fault: SttFault, told: list[tuple[float, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ticks at whole multiples of 0.3 s, for the arithmetic.
    monkeypatch.setattr(Random, "random", lambda _: 0.0)
    stt = fails(SttStep.PARTIAL, fault)
    stt.hearing = replace(EVEN, final_s=9.0)
    assert await Ear(stt).listen(5.0) == told


async def test_it_breaks() -> None:
    with pytest.raises(ProviderError, match="simulated: broken"):
        await Ear(fails(SttStep.PARTIAL, SttFault.BROKEN)).listen(2.0)


async def test_it_opens_late_or_not_at_all() -> None:
    loop = asyncio.get_running_loop()
    with pytest.raises(ProviderError, match="simulated: broken"):
        await fails(SttStep.OPEN, SttFault.BROKEN).open(SttOptions(8000))
    await fails(SttStep.OPEN, SttFault.LATE).open(SttOptions(8000))
    assert loop.time() == pytest.approx(2.0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(60):
            await fails(SttStep.OPEN, SttFault.NEVER).open(SttOptions(8000))


def test_hearing_is_as_the_definition_says() -> None:
    assert Hearing(0.3, 0.3, 0.25, 0.1, 0.3) == TYPICAL
    assert (FAST.partial_s, FAST.lag_s) == (0.1, 0.05)
