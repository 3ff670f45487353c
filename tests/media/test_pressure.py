from __future__ import annotations

from aywa.media.pressure import AudioClock, Backlog, Sparingly, TextQuota, Verdict

TAKE, REFUSE, END = Verdict.TAKE, Verdict.REFUSE, Verdict.END


def test_real_time_is_taken_for_ever() -> None:
    clock = AudioClock(2, 10, 5)
    assert {clock.came(0.02, i * 0.02) for i in range(10_000)} == {TAKE}


def test_a_burst_is_taken_up_to_the_limit_and_real_time_goes_on_after_it() -> None:
    clock = AudioClock(2, 10, 5)
    verdicts = [clock.came(0.025, 50.0) for _ in range(200)]
    assert verdicts == [TAKE] * 80 + [REFUSE] * 120
    assert clock.came(0.025, 50.03) is TAKE
    assert clock.came(0.025, 50.03) is REFUSE


def test_who_stays_too_far_ahead_is_flooding() -> None:
    clock = AudioClock(2, 10, 5)
    verdicts = [clock.came(0.02, 0.0) for _ in range(501)]
    assert 498 <= verdicts.index(END) <= 502


def test_twice_real_time_ends() -> None:
    clock = AudioClock(2, 10, 5)
    verdicts = [clock.came(0.02, i * 0.01) for i in range(1100)]
    assert 195 <= verdicts.index(REFUSE) <= 205
    assert 995 <= verdicts.index(END) <= 1005


def test_after_a_gap_what_was_held_up_may_come_at_once() -> None:
    clock = AudioClock(2, 10, 5)
    clock.came(0.02, 0.0)
    assert {clock.came(0.02, 3.0) for _ in range(150 + 95)} == {TAKE}


def test_but_not_more_than_a_few_seconds_of_it() -> None:
    clock = AudioClock(2, 10, 5)
    clock.came(0.02, 0.0)
    verdicts = [clock.came(0.02, 1000.0) for _ in range(800)]
    assert 348 <= verdicts.index(REFUSE) <= 352


def test_messages_beyond_the_quota_are_refused_until_they_are_too_many() -> None:
    quota = TextQuota(per_s=3, end=5)
    assert [quota.came(0.5) for _ in range(5)] == [TAKE] * 3 + [REFUSE] * 2
    assert quota.came(1.5) is TAKE
    assert [quota.came(1.6) for _ in range(5)] == [TAKE] * 2 + [REFUSE, REFUSE, END]


def test_a_backlog_is_told_when_it_begins_and_ends_the_leg_when_it_stays() -> None:
    backlog = Backlog(1000, for_s=5)
    assert backlog.stands(1000, 0) is TAKE
    assert backlog.stands(1001, 1) is REFUSE
    assert backlog.stands(5000, 5.9) is TAKE
    assert backlog.stands(5000, 6) is END


def test_a_backlog_that_goes_away_is_forgotten() -> None:
    backlog = Backlog(1000, for_s=5)
    assert [backlog.stands(size, at) for at, size in enumerate((2000, 0, 2000, 2000))] == [
        REFUSE, TAKE, REFUSE, TAKE
    ]  # fmt: skip


def test_the_same_thing_is_said_once_a_second() -> None:
    sparingly = Sparingly()
    assert [sparingly.may("a", at) for at in (0, 0.9, 1.0, 1.5)] == [True, False, True, False]
    assert sparingly.may("b", 1.5)
