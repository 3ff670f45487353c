"""What every outbox must do, whatever it is made of. A test file gives `outbox` (a fixture) and inherits the class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aywa.core.webhooks import (
    ORDER_BOUND_S,
    BackoffPlan,
    Cause,
    Delivery,
    Endpoint,
    Outcome,
    Policy,
    Progress,
    State,
    endpoint_key,
)
from aywa.ports.outbox import Backlog, Claimed, ClaimQuery, DeliveryQuery, Finished, Outbox, Sent
from aywa.ports.store import Span

ORG, OTHER = "org-1", "org-2"
FIRST = Endpoint(
    "https://one.example/hook", "credential:1", 5.0, BackoffPlan(2, 1.5, True, frozenset((404,)))
)
SECOND = Endpoint("https://two.example/hook?of=us")
T = 1_000_000
LEASE = 30_000
BOUND = round(ORDER_BOUND_S * 1000)


def delivery(delivery_id: str, call_id: str | None = None, seq: int = 0, **more: Any) -> Delivery:
    values: dict[str, Any] = {
        "org_id": ORG,
        "kind": "status-update",
        "body": '{"message":{"type":"status-update"}}',
        "endpoints": (FIRST, SECOND),
        "created_ms": T,
    }
    return Delivery(id=delivery_id, call_id=call_id, seq=seq, **(values | more))


def key(endpoint: Endpoint, org_id: str = ORG) -> str:
    return f"{org_id} {endpoint_key(endpoint.url)}"


async def claim(
    outbox: Outbox,
    now: int = T,
    *,
    limit: int = 100,
    each: int = 100,
    busy: Mapping[str, int] | None = None,
    owner: str = "me",
) -> Sequence[Claimed]:
    return await outbox.claim(ClaimQuery(owner, now, now + LEASE, limit, each, busy or {}))


def ids(claimed: Sequence[Claimed]) -> list[str]:
    return sorted(one.delivery.id for one in claimed)


def done(one: Claimed, now: int = T, status: int = 200, sent: Sent | None = None) -> Finished:
    answered = sent or Sent(Outcome(Cause.ANSWERED, status))
    return Finished(one, answered, now, State.DELIVERED, one.progress)


def again(
    one: Claimed, due: int, progress: Progress | None = None, cause: Cause = Cause.TIMED_OUT
) -> Finished:
    return Finished(one, Sent(Outcome(cause)), T, State.WAITING, progress or one.progress, due)


class OutboxContract:
    async def test_what_is_enqueued_is_claimed_whole_with_its_attempt_on_record(self, outbox: Outbox) -> None:
        wanted = delivery("a", "call", 3, policy=Policy.PRECEDENCE)
        await outbox.enqueue([wanted], T)
        [one] = await claim(outbox)
        assert (one.delivery, one.progress, one.attempt) == (wanted, Progress(), 1)
        assert (one.lease_ms, one.disabled, one.replayed) == (T + LEASE, False, False)
        assert one.endpoint == FIRST
        [row] = await outbox.attempts(ORG, ["a"])
        assert (row.number, row.cause, row.started_ms, row.ended_ms) == (1, Cause.SENDING, T, None)
        assert row.url == FIRST.url
        assert not await claim(outbox)

    async def test_enqueueing_twice_is_enqueueing_once_and_until_the_first_attempt_the_newer_counts(
        self, outbox: Outbox
    ) -> None:
        await outbox.enqueue([delivery("a", hold_s=90.0, body='"early"')], T)
        assert not await claim(outbox, T + 89_999)
        await outbox.enqueue([delivery("a", body='"whole"')], T + 10)
        assert not await claim(outbox, T + 9)
        [one] = await claim(outbox, T + 10)
        assert one.delivery.body == '"whole"'
        await outbox.enqueue([delivery("a", body='"late"')], T + 20)
        await outbox.finish([again(one, T + 30)], T + 20)
        await outbox.enqueue([delivery("a", body='"later"')], T + 25)
        [two] = await claim(outbox, T + 30)
        assert (two.delivery.body, two.attempt) == ('"whole"', 2)

    async def test_nobody_takes_the_place_of_another_organisations_delivery(self, outbox: Outbox) -> None:
        await outbox.enqueue([delivery("a", body='"ours"')], T)
        await outbox.enqueue([delivery("a", org_id=OTHER, body='"theirs"')], T)
        [one] = await claim(outbox)
        assert (one.delivery.org_id, one.delivery.body) == (ORG, '"ours"')

    async def test_what_is_finished_is_over_and_its_attempt_is_told_whole(self, outbox: Outbox) -> None:
        await outbox.enqueue([delivery("a")], T)
        [one] = await claim(outbox)
        sent = Sent(
            Outcome(Cause.ANSWERED, 202),
            {"webhook-id": "a"},
            {"server": "x\0"},
            "thanks \0",
            1.0,
            2.0,
            3.5,
            4.0,
            9.0,
        )
        assert await outbox.finish([done(one, T + 9, sent=sent)], T + 9) == ["a"]
        [row] = await outbox.attempts(ORG, ["a"])
        assert (row.cause, row.status, row.ended_ms, row.next_ms) == (Cause.ANSWERED, 202, T + 9, None)
        assert (row.dns_ms, row.connect_ms, row.tls_ms, row.first_byte_ms, row.total_ms) == (1, 2, 3.5, 4, 9)
        assert (row.request_headers, row.headers["server"][:1]) == ({"webhook-id": "a"}, "x")
        assert row.excerpt.startswith("thanks")
        [kept] = await outbox.list(ORG, DeliveryQuery())
        assert (kept.state, kept.attempts, kept.problem, kept.updated_ms) == (State.DELIVERED, 1, "", T + 9)
        assert not await claim(outbox, T + 10**9)

    async def test_a_retry_is_due_at_its_time_at_the_level_that_follows(self, outbox: Outbox) -> None:
        await outbox.enqueue([delivery("a")], T)
        [one] = await claim(outbox)
        progress = Progress(1, 2, 3, 4, 1)
        await outbox.finish([again(one, T + 500, progress)], T)
        [kept] = await outbox.list(ORG, DeliveryQuery())
        assert (kept.state, kept.due_ms, kept.problem) == (State.WAITING, T + 500, "timed_out")
        assert not await claim(outbox, T + 499)
        assert not await claim(outbox, T + 500, busy={key(SECOND): 0})
        [two] = await claim(outbox, T + 500)
        assert (two.progress, two.endpoint, two.attempt, two.token > one.token) == (progress, SECOND, 2, True)
        first, second = await outbox.attempts(ORG, ["a"])
        assert (first.url, first.next_ms, second.url) == (FIRST.url, T + 500, SECOND.url)

    async def test_whoever_comes_back_after_another_claimed_changes_nothing_but_his_attempt(
        self, outbox: Outbox
    ) -> None:
        await outbox.enqueue([delivery("a")], T)
        [slow] = await claim(outbox, owner="slow")
        assert not await outbox.expired(T + LEASE, 10)
        [lost] = await outbox.expired(T + LEASE + 1, 10)
        assert (lost.delivery, lost.token, lost.attempt) == (slow.delivery, slow.token, 1)
        orphaned = again(lost, T + LEASE + 1, Progress(orphaned=1), Cause.ORPHANED)
        assert await outbox.finish([orphaned], T) == ["a"]
        assert await outbox.finish([orphaned], T) == []
        [quick] = await claim(outbox, T + LEASE + 1, owner="quick")
        assert await outbox.finish([again(slow, T + 99)], T) == []
        assert await outbox.finish([done(quick)], T) == ["a"]
        first, second = await outbox.attempts(ORG, ["a"])
        # The orphan's row says what its request came to after all.
        assert (first.cause, second.cause) == (Cause.TIMED_OUT, Cause.ANSWERED)

    async def test_a_late_success_counts_while_nobody_has_claimed_again(self, outbox: Outbox) -> None:
        await outbox.enqueue([delivery("a")], T)
        [slow] = await claim(outbox)
        await outbox.finish([again(slow, T + 5, cause=Cause.ORPHANED)], T)
        assert await outbox.finish([done(slow)], T) == ["a"]
        assert not await claim(outbox, T + 5)

    async def test_a_lease_is_renewed_by_its_owner_alone(self, outbox: Outbox) -> None:
        await outbox.enqueue([delivery("a"), delivery("b")], T)
        one, two = sorted(await claim(outbox), key=lambda each: each.delivery.id)
        await outbox.renew("me", {"a": one.token, "b": two.token + 1}, T + 9 * LEASE)
        await outbox.renew("you", {"b": two.token}, T + 9 * LEASE)
        assert ids(await outbox.expired(T + 2 * LEASE, 10)) == ["b"]
        assert len(await outbox.expired(T + 10 * LEASE, 1)) == 1

    async def test_a_calls_messages_keep_their_order_for_the_bounded_time(self, outbox: Outbox) -> None:
        await outbox.enqueue(
            [delivery("b", "call", 2), delivery("a", "call", 1), delivery("x", "other", 9)], T
        )
        await outbox.enqueue([delivery("c", "call", 3)], T + 1000)
        claimed = await claim(outbox)
        assert ids(claimed) == ["a", "x"]
        one = min(claimed, key=lambda each: each.delivery.id)
        assert not await claim(outbox, T + 1000)
        # The first failed and waits for its next attempt: so do the others, but not for ever.
        await outbox.finish([again(one, T + 10**8)], T)
        assert not await claim(outbox, T + BOUND - 1)
        assert ids(await claim(outbox, T + BOUND)) == ["b"]
        assert ids(await claim(outbox, T + BOUND + 1000)) == ["c"]

    async def test_the_next_of_a_call_follows_as_soon_as_the_one_before_is_over(self, outbox: Outbox) -> None:
        await outbox.enqueue([delivery("a", "call", 1), delivery("b", "call", 2)], T)
        [one] = await claim(outbox)
        await outbox.finish(
            [Finished(one, Sent(Outcome(Cause.ANSWERED, 400)), T, State.FAILED, one.progress)], T
        )
        assert ids(await claim(outbox)) == ["b"]

    async def test_each_server_gets_its_places_and_the_busy_ones_fewer(self, outbox: Outbox) -> None:
        slow, quick = Endpoint("https://slow.example/"), Endpoint("https://quick.example/")
        await outbox.enqueue([delivery(f"s{n}", endpoints=(slow,)) for n in range(9)], T)
        await outbox.enqueue([delivery(f"q{n}", endpoints=(quick,)) for n in range(9)], T + 5)
        assert ids(await claim(outbox, T + 5, each=2)) == ["q0", "q1", "s0", "s1"]
        assert ids(await claim(outbox, T + 5, each=2, busy={key(slow): 0})) == ["q2", "q3"]
        assert ids(await claim(outbox, T + 5, each=9, limit=3, busy={key(slow): 1, key(quick): 8})) == [
            "q4",
            "q5",
            "s2",
        ]
        assert ids(await claim(outbox, T + 5, each=9, busy={key(slow): 0, key(slow, OTHER): 0})) == [
            "q6",
            "q7",
            "q8",
        ]

    async def test_what_has_another_server_to_go_to_goes_there(self, outbox: Outbox) -> None:
        await outbox.enqueue(
            [
                delivery("both"),
                delivery("one", endpoints=(FIRST,)),
                delivery("first", policy=Policy.PRECEDENCE),
                delivery("held", hold_s=1.0),
                delivery("closed"),
            ],
            T,
        )
        closed = next(one for one in await claim(outbox) if one.delivery.id == "closed")
        others = [one for one in await outbox.expired(T + 2 * LEASE, 10) if one.delivery.id != "closed"]
        await outbox.finish([again(one, T) for one in others], T)
        await outbox.finish([again(closed, T, Progress(closed=2))], T)
        assert await outbox.pass_on([key(FIRST), "nobody"], T) == 1
        assert await outbox.pass_on([key(SECOND)], T) == 0
        assert ids(await claim(outbox, busy={key(FIRST): 0})) == ["both"]

    async def test_a_clock_that_was_set_back_makes_nothing_wait_longer(self, outbox: Outbox) -> None:
        hour = 3_600_000
        await outbox.enqueue([delivery("a", "call", 1), delivery("b", "call", 2)], T + hour)
        await outbox.enqueue([delivery("c")], T)
        claimed = {one.delivery.id: one for one in await claim(outbox, T + hour)}
        await outbox.finish([again(claimed["a"], T + hour + 5000)], T + hour)
        assert await outbox.newest_ms() == T + hour
        await outbox.moved(hour, T)
        assert await outbox.newest_ms() == T
        [lost] = await outbox.expired(T + LEASE + 1, 10)
        assert lost.delivery.id == "c"
        assert not await claim(outbox, T + 4999)
        assert ids(await claim(outbox, T + 5000)) == ["a"]
        assert ids(await claim(outbox, T + BOUND)) == ["b"]

    async def test_a_lease_that_ran_out_as_the_clock_was_set_back_is_over(self, outbox: Outbox) -> None:
        hour = 3_600_000
        await outbox.enqueue([delivery("a")], T + hour)
        await claim(outbox, T + hour)
        # Its owner died; a moment after its lease was over, the clock went back.
        await outbox.moved(hour, T + LEASE + 10)
        [lost] = await outbox.expired(T + LEASE + 10, 10)
        assert lost.delivery.id == "a"

    async def test_a_server_that_wants_nothing_is_told_until_it_is_enabled_or_a_replay_goes_there(
        self, outbox: Outbox
    ) -> None:
        where = endpoint_key(FIRST.url)
        await outbox.disable(ORG, where, T)
        await outbox.disable(ORG, where, T + 1)
        [kept] = await outbox.disabled(ORG)
        assert (kept.endpoint, kept.disabled_ms, await outbox.disabled(OTHER)) == (where, T, [])
        await outbox.enqueue([delivery("a"), delivery("b", org_id=OTHER)], T)
        assert [one.disabled for one in sorted(await claim(outbox), key=lambda x: x.delivery.id)] == [
            True,
            False,
        ]
        assert not await outbox.enable(OTHER, where)
        assert await outbox.enable(ORG, where)
        assert not await outbox.enable(ORG, where)

    async def test_a_replay_begins_anew_with_the_same_id_and_goes_where_it_is_not_wanted(
        self, outbox: Outbox
    ) -> None:
        await outbox.enqueue([delivery("a", "call", 1), delivery("b"), delivery("c"), delivery("d")], T)
        claimed = {one.delivery.id: one for one in await claim(outbox)}
        failed = Finished(
            claimed["a"], Sent(Outcome(Cause.ANSWERED, 410)), T, State.FAILED, Progress(1, 1, 1, 1, 3)
        )
        await outbox.finish([failed, done(claimed["b"]), again(claimed["d"], T + 10**6)], T)
        await outbox.disable(ORG, endpoint_key(FIRST.url), T)
        assert await outbox.replay(OTHER, DeliveryQuery(ids=("a",)), T) == []
        assert await outbox.replay(ORG, DeliveryQuery(states=(State.FAILED,)), T + 1) == ["a"]
        # Those that are not over go on as they are.
        assert await outbox.replay(ORG, DeliveryQuery(ids=("a", "c", "d")), T + 1) == []
        [one] = await claim(outbox, T + 1)
        assert (one.progress, one.attempt, one.disabled, one.replayed) == (Progress(), 2, False, True)
        # What was under way before changes nothing any more.
        assert await outbox.finish([done(claimed["a"])], T) == []
        [row] = await outbox.list(ORG, DeliveryQuery(ids=("a",)))
        assert (row.state, row.replays, row.attempts) == (State.SENDING, 1, 2)

    async def test_a_private_body_is_erased_when_it_is_over_and_not_sent_again(self, outbox: Outbox) -> None:
        await outbox.enqueue([delivery("a", private=True), delivery("b", private=True)], T)
        one, two = sorted(await claim(outbox), key=lambda each: each.delivery.id)
        assert (one.delivery.private, one.delivery.body) == (True, delivery("a").body)
        await outbox.finish([done(one), again(two, T + 5)], T)
        bodies = {row.delivery.id: row.delivery.body for row in await outbox.list(ORG, DeliveryQuery())}
        assert bodies == {"a": "{}", "b": two.delivery.body}
        assert await outbox.replay(ORG, DeliveryQuery(ids=("a",)), T) == []

    async def test_lists_are_filtered_and_newest_first(self, outbox: Outbox) -> None:
        await outbox.enqueue(
            [
                delivery("a", "call", 1, created_ms=T),
                delivery("b", "call", 2, created_ms=T + 1, kind="hang"),
                delivery("c", created_ms=T + 2),
                delivery("d", created_ms=T + 3, org_id=OTHER),
            ],
            T,
        )

        async def found(**query: Any) -> list[str]:
            return [row.delivery.id for row in await outbox.list(ORG, DeliveryQuery(**query))]

        assert await found() == ["c", "b", "a"]
        assert await found(limit=2) == ["c", "b"]
        assert await found(kind="hang") == ["b"]
        assert await found(call_id="call") == ["b", "a"]
        assert await found(ids=("a", "d")) == ["a"]
        assert await found(created=Span(gt=T, lt=T + 2)) == ["b"]
        assert await found(created=Span(ge=T + 1, le=T + 1)) == ["b"]
        assert await found(states=(State.FAILED, State.DELIVERED)) == []
        assert await found(states=(State.WAITING,), kind="status-update", limit=1) == ["c"]
        assert await outbox.attempts(OTHER, ["a"]) == []

    async def test_a_calls_deliveries_come_in_its_order_each_with_its_attempts(self, outbox: Outbox) -> None:
        await outbox.enqueue([delivery("b", "call", 2), delivery("a", "call", 1), delivery("c")], T)
        one = next(one for one in await claim(outbox) if one.delivery.id == "a")
        await outbox.finish([again(one, T + 1)], T)
        await claim(outbox, T + 1)
        found = await outbox.of_call(ORG, "call")
        assert [(row.delivery.id, [each.number for each in tried]) for row, tried in found] == [
            ("a", [1, 2]),
            ("b", []),
        ]
        assert await outbox.of_call(OTHER, "call") == []

    async def test_what_is_over_is_forgotten_with_its_attempts_the_oldest_first(self, outbox: Outbox) -> None:
        await outbox.enqueue([delivery(name) for name in "abcd"], T)
        claimed = {one.delivery.id: one for one in await claim(outbox)}
        await outbox.finish([done(claimed["b"])], T + 1)
        await outbox.finish([done(claimed["a"])], T + 2)
        await outbox.finish([done(claimed["c"])], T + 3)
        assert await outbox.forget(T + 3, 1) == 1
        assert [row.delivery.id for row in await outbox.list(ORG, DeliveryQuery())] == ["d", "c", "a"]
        assert await outbox.forget(T + 3, 10) == 1
        assert await outbox.attempts(ORG, ["a", "b"]) == []
        assert [row.number for row in await outbox.attempts(ORG, ["c", "d"])] == [1, 1]

    async def test_an_empty_outbox_answers_with_nothing(self, outbox: Outbox) -> None:
        await outbox.enqueue([], T)
        await outbox.renew("me", {}, T)
        assert await outbox.finish([], T) == []
        assert await outbox.pass_on([], T) == 0
        assert (await claim(outbox), await outbox.expired(T, 10), await outbox.forget(T, 10)) == ([], [], 0)

    async def test_a_delivery_may_hold_any_text(self, outbox: Outbox) -> None:
        body = '{"text":"\\u0000 \\ud83d é 𝄞"}'
        odd = replace(delivery("a"), body=body, endpoints=(Endpoint("http://ü.example:99999/"),))
        await outbox.enqueue([odd], T)
        [one] = await claim(outbox)
        assert one.delivery == odd

    async def test_the_backlog_is_what_is_not_over(self, outbox: Outbox) -> None:
        assert await outbox.backlog() == Backlog(0)
        await outbox.enqueue([delivery("a"), delivery("b"), delivery("c", org_id=OTHER)], T)
        assert await outbox.backlog() == Backlog(3, T)
        [one, *_] = await claim(outbox, limit=1)
        # What is under way is not over, and waits for nothing.
        assert (await outbox.backlog()).deliveries == 3
        await outbox.finish([done(one)], T)
        assert await outbox.backlog() == Backlog(2, T)
        for other in await claim(outbox):
            await outbox.finish([done(other)], T)
        assert await outbox.backlog() == Backlog(0)
