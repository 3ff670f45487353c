"""ARI's client against a REST interface of another make."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.adapters.transports.asterisk.ari import (
    Ari,
    AriError,
    AriEvent,
    AriSettings,
    ChannelGone,
    ChannelRinging,
    ChannelUp,
    Originate,
    read_event,
)
from tests.adapters.transports.asterisk.far import PASSWORD, PATIENCE_S, USER, FarAsterisk, far_asterisk

CALL = Originate(
    "aywa-1", "PJSIP/+493012345678@carrier", "aywa", "outbound", "+4930111", 45.0, {"AYWA_CALL": "1"}
)


@asynccontextmanager
async def pair(**changed: Any) -> AsyncIterator[tuple[FarAsterisk, Ari]]:
    async with far_asterisk() as far:
        settings = {"url": far.url, "username": USER, "password": PASSWORD, "again_s": (0.01, 0.02)} | changed
        ari = Ari(AriSettings(**settings))
        try:
            yield far, ari
        finally:
            await ari.close()


async def refused(asking: Any) -> AriError:
    with pytest.raises(AriError) as error:
        await asking
    return error.value


async def test_a_call_is_placed_asked_after_and_hung_up() -> None:
    async with pair() as (far, ari):
        await ari.originate(CALL)
        assert await ari.exists(CALL.channel_id)
        await ari.hang_up(CALL.channel_id)
        assert not await ari.exists(CALL.channel_id)
        await ari.hang_up(CALL.channel_id)
        method, path, query, body = far.asked[0]
    assert (method, path) == ("POST", "/ari/channels/aywa-1")
    assert query == {
        "endpoint": "PJSIP/+493012345678@carrier",
        "context": "aywa",
        "extension": "outbound",
        "priority": "1",
        "timeout": "45",
        "callerId": "+4930111",
    }
    assert body == {"variables": {"AYWA_CALL": "1"}}


async def test_what_asterisk_refuses_says_why() -> None:
    async with pair() as (far, ari):
        await ari.originate(CALL)
        again = await refused(ari.originate(CALL))
        far.refuse = (500, "Allocation failed\n\x1b[31m")
        failed = await refused(ari.originate(CALL))
    assert (again.status, failed.status) == (409, 500)
    assert "already exists" in str(again)
    assert str(failed) == "Asterisk answered 500 Allocation failed[31m"


async def test_a_wrong_password_is_told_without_it() -> None:
    async with pair(password="another-secret") as (_, ari):
        error = await refused(ari.originate(CALL))
        assert error.status == 401
        assert "another-secret" not in f"{error} {error!r} {ari.settings!r}"


async def test_an_asterisk_that_does_not_answer_or_is_not_there() -> None:
    async with pair(request_s=0.05) as (far, ari):
        far.silent = True
        assert (await refused(ari.exists("a"))).status == 0
    gone = Ari(AriSettings("http://127.0.0.1:1/ari", USER, PASSWORD))
    assert "cannot be reached" in str(await refused(gone.exists("a")))
    await gone.close()


async def test_events_go_on_after_the_connection_broke() -> None:
    told: list[AriEvent] = []
    connections: list[int] = []
    news = asyncio.Event()

    def tell(event: AriEvent) -> None:
        told.append(event)
        news.set()

    async def until(count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(told) < count:
                news.clear()
                await news.wait()

    async with pair() as (far, ari):

        async def connected() -> None:
            connections.append(len(far.listeners))

        task = asyncio.ensure_future(ari.listen(tell, connected))
        await far.until(lambda: far.listeners)
        await far.tell("ChannelStateChange", "a", channel={"state": "Ringing"})
        await far.tell("ChannelVarset", "a", variable="x", value="y")
        await far.tell("ChannelStateChange", "a", channel={"state": "Up"})
        await until(2)
        await far.hang_up_on_listeners()
        await far.until(lambda: len(far.subscribed) == 2)
        await far.tell("ChannelDestroyed", "a", cause=17, cause_txt="User busy")
        await until(3)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert far.subscribed[0] == {"app": "aywa", "subscribeAll": "true"}
    assert told == [ChannelRinging("a"), ChannelUp("a"), ChannelGone("a", 17, "User busy")]
    assert len(connections) == 2


async def test_events_are_asked_for_again_until_somebody_answers() -> None:
    async with pair(password="wrong") as (far, ari):
        task = asyncio.ensure_future(ari.listen(lambda event: None, lambda: asyncio.sleep(0)))
        # Refused, and asked again: it neither ends nor raises.
        done, _ = await asyncio.wait([task], timeout=0.2)
        assert not done
        assert not far.listeners
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "[]",
        "7",
        "{}",
        '{"type": "ChannelDestroyed"}',
        '{"type": "ChannelDestroyed", "channel": {"id": 7}}',
    ],
)
def test_what_is_no_news_of_a_channel(message: str) -> None:
    assert read_event(message) is None


@pytest.mark.parametrize("cause", [None, "17", True, -1, 128, 1.5])
def test_a_cause_that_is_none(cause: object) -> None:
    message = {"type": "ChannelDestroyed", "cause": cause, "cause_txt": 7, "channel": {"id": "a"}}
    assert read_event(json.dumps(message)) == ChannelGone("a")


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9), lambda each: st.lists(each, max_size=3)
)


@given(
    st.dictionaries(
        st.sampled_from(["type", "channel", "cause", "cause_txt"]),
        _ANY
        | st.sampled_from(["ChannelStateChange", "ChannelDestroyed"])
        | st.dictionaries(st.sampled_from(["id", "state"]), _ANY),
    )
)
def test_events_of_any_shape_never_raise(event: dict[str, Any]) -> None:
    found = read_event(json.dumps(event))
    assert found is None or isinstance(found.channel_id, str)
