"""Asterisk as a carrier: what a dialplan asks, as the guide writes it, and an ARI on loopback, after its documentation."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from aywa.adapters.carriers.asterisk import Asterisk
from aywa.ports.carriers import (
    CarrierAccount,
    CarrierNews,
    CarrierRequest,
    Happening,
    MediaWay,
    Onward,
    Outcome,
    Placing,
)
from aywa.ports.errors import Fault, ProviderError

TOKEN = "an-inbound-token-of-a-dialplan"
USER, PASSWORD = "aywa", "the-password-of-ari"
CALL = "40325ec2-5efd-4bd3-805f-53576e581d13"
NEXT, TOLD, STATUS = (
    f"https://agent.example/inbound/asterisk/number/{step}?call={CALL}"
    for step in ("next", "dialled", "status")
)
WAY = MediaWay(f"ws://agent.example/media/asterisk/{CALL}/key", NEXT, TOLD, STATUS)
ACCOUNT = CarrierAccount("asterisk", "+49301111", keys={"inboundToken": TOKEN})
PLACING = Placing(CALL, "+493012345678", "+49301111", WAY, "42#", 45.0)


def asked(query: str, headers: dict[str, str] | None = None, body: bytes = b"") -> CarrierRequest:
    url = f"https://agent.example/inbound/asterisk/number?{query}"
    found = parse_qs(urlsplit(url).query, keep_blank_values=True)
    return CarrierRequest("GET", (url,), headers or {}, found, body)


def read(query: str, step: str = "") -> CarrierNews:
    return Asterisk().read(asked(query), step)


# --- who asks --------------------------------------------------------------------------------------------------------


def basic(password: str, user: str = "asterisk") -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize(
    "request_",
    [asked(f"token={TOKEN}"), asked("", basic(TOKEN)), asked("", {"authorization": f"Bearer {TOKEN}"})],
)
def test_the_token_may_stand_in_three_places(request_: CarrierRequest) -> None:
    assert Asterisk().doubt(ACCOUNT, request_) == ""


@pytest.mark.parametrize(
    "request_",
    [
        asked(""),
        asked("token="),
        asked("token=another"),
        asked("", basic("another")),
        asked("", {"authorization": "Basic ?"}),
        asked("", {"authorization": f"Digest {TOKEN}"}),
    ],
)
def test_nobody_else_is_believed(request_: CarrierRequest) -> None:
    why = Asterisk().doubt(ACCOUNT, request_)
    assert why
    assert TOKEN not in why


def test_a_number_without_a_token_is_open_to_nobody() -> None:
    assert Asterisk().doubt(replace(ACCOUNT, keys={}), asked("token="))


# --- what it asks and tells --------------------------------------------------------------------------------------------


def test_a_call_that_comes_in() -> None:
    assert read("id=1700000000.1&from=%2B491701234567&to=100&name=Ann%0AB") == CarrierNews(
        Happening.CALLED, "1700000000.1", "+491701234567", "100", "AnnB"
    )
    assert read("") == CarrierNews(Happening.CALLED)
    assert read(f"id=1&token={TOKEN}&order=4711&queue=sales").parameters == {
        "order": "4711",
        "queue": "sales",
    }


def test_what_comes_next() -> None:
    assert read("id=1.1", "next") == CarrierNews(Happening.NEXT, "1.1")


@pytest.mark.parametrize(
    ("status", "cause", "outcome"),
    [
        ("ANSWER", "16", Outcome.COMPLETED),
        ("BUSY", "17", Outcome.BUSY),
        ("busy", "", Outcome.BUSY),
        ("NOANSWER", "19", Outcome.NO_ANSWER),
        ("CANCEL", "0", Outcome.CANCELLED),
        ("CONGESTION", "1", Outcome.UNALLOCATED),
        ("CONGESTION", "34", Outcome.FAILED),
        ("CHANUNAVAIL", "21", Outcome.REJECTED),
        ("CHANUNAVAIL", "x", Outcome.FAILED),
    ],
)
def test_how_a_call_fared(status: str, cause: str, outcome: Outcome) -> None:
    ended = read(f"id=1.1&status={status}&cause={cause}", "status")
    assert (ended.happening, ended.outcome) == (Happening.ENDED, outcome)
    assert status.upper() in ended.detail
    dialled = read(f"id=1.1&status={status}&cause={cause}", "dialled")
    assert (dialled.happening, dialled.outcome) == (Happening.DIALLED, outcome)


def test_on_the_way() -> None:
    assert read("id=1&status=RINGING", "status").happening is Happening.RINGING
    assert read("id=1&status=ANSWERED", "status").happening is Happening.ANSWERED
    assert read("id=1&status=TORTURE", "status").happening is Happening.OTHER
    assert read("", "status").happening is Happening.OTHER


def test_the_dialplan_is_answered_in_what_it_can_cut() -> None:
    asterisk = Asterisk()
    assert asterisk.connect(WAY).body == f"audio|{CALL}|{NEXT}"
    assert (asterisk.done().body, asterisk.done().status) == ("", 200)
    assert (asterisk.refuse(busy=True).body, asterisk.refuse(busy=True).status) == ("", 503)
    assert asterisk.refuse(busy=False).status == 404
    onward = Onward("+493087654321", caller_id="+49301111", ring_s=20.0)
    assert asterisk.pass_on(onward, WAY).body == f"dial|+493087654321|+49301111|20|{TOLD}"
    assert (
        asterisk.pass_on(Onward(uri="sip:ann@pbx.example;x=y"), WAY).body
        == f"dial|sip:ann@pbx.example||60|{TOLD}"
    )


@pytest.mark.parametrize("to", ["1&PJSIP/2", "1,2", "1)", "${SHELL(id)}", "", "a b", "1\n2"])
def test_nothing_that_a_dialplan_could_read_otherwise_is_passed_on(to: str) -> None:
    assert Asterisk().pass_on(Onward(to), WAY).body == ""
    assert Asterisk().pass_on(Onward("1", caller_id=to), WAY).body == f"dial|1||60|{TOLD}"


@given(st.text(max_size=60), st.sampled_from(["", "next", "status", "dialled", "x"]), st.binary(max_size=60))
def test_requests_of_any_shape_never_raise(query: str, step: str, body: bytes) -> None:
    asterisk = Asterisk()
    request = replace(asked(""), query={"id": [query], "status": [query], "from": [query]}, body=body)
    asterisk.read(request, step)
    assert asterisk.doubt(ACCOUNT, replace(request, headers={"authorization": query}))


# --- what it is told ---------------------------------------------------------------------------------------------------


@dataclass
class Ari:
    """refuse: the answer to every request."""

    url: str = ""
    asked: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    refuse: int = 0


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[Ari, Asterisk, CarrierAccount]]:
    here, asterisk = Ari(), Asterisk()

    async def answer(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != basic(PASSWORD, USER)["authorization"]:
            return web.json_response({"error": "Unauthorized"}, status=401)
        body = await request.json() if request.can_read_body else None
        here.asked.append((request.method, request.path, dict(request.query), body))
        if here.refuse:
            return web.json_response({"message": "Allocation failed"}, status=here.refuse)
        if request.method == "DELETE":
            return web.Response(status=204)
        return web.json_response({"id": request.match_info["id"], "state": "Down"})

    app = web.Application()
    app.router.add_route("*", "/ari/channels/{id}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    here.url = f"http://{host}:{port}/ari/"
    keys = {**ACCOUNT.keys, "accountId": USER, "authToken": PASSWORD}
    try:
        yield here, asterisk, replace(ACCOUNT, api_url=here.url, keys=keys)
    finally:
        await asterisk.close()
        await runner.cleanup()


async def failed(asking: Any) -> ProviderError:
    with pytest.raises(ProviderError) as error:
        await asking
    return error.value


async def test_a_call_is_placed_through_the_dialplan_and_taken_back() -> None:
    async with pair() as (ari, asterisk, account):
        assert await asterisk.place(account, PLACING) == CALL
        await asterisk.hang_up(account, CALL)
        (placed, hung_up) = ari.asked
    assert placed[:2] == ("POST", f"/ari/channels/{CALL}")
    assert placed[2] == {
        "endpoint": "Local/+493012345678@aywa-dial",
        "context": "aywa",
        "extension": "placed",
        "priority": "1",
        "timeout": "45",
        "callerId": "+49301111",
    }
    assert placed[3] == {
        "variables": {
            "__AYWA_CALL": CALL,
            "__AYWA_NEXT": NEXT,
            "__AYWA_STATUS": STATUS,
            "__AYWA_DIGITS": "42#",
            "__AYWA_RING": "45",
        }
    }
    assert hung_up[:2] == ("DELETE", f"/ari/channels/{CALL}")


async def test_a_call_that_is_gone_already_is_hung_up() -> None:
    async with pair() as (ari, asterisk, account):
        ari.refuse = 404
        await asterisk.hang_up(account, CALL)
        ari.refuse = 500
        assert (await failed(asterisk.hang_up(account, CALL))).code == "failed"


async def test_what_cannot_be_placed_is_not_asked_for() -> None:
    async with pair() as (ari, asterisk, account):
        for wrong in ("1&PJSIP/2", "1@elsewhere", "1/n", ""):
            error = await failed(asterisk.place(account, replace(PLACING, to=wrong)))
            assert error.fault is Fault.CONFIG
        await asterisk.place(account, replace(PLACING, caller_id="Ann <1>"))
        assert len(ari.asked) == 1
        assert "callerId" not in ari.asked[0][2]


async def test_without_ari_calls_come_in_only() -> None:
    asterisk = Asterisk()
    error = await failed(asterisk.place(ACCOUNT, PLACING))
    assert "apiUrl" in str(error)
    await asterisk.hang_up(ACCOUNT, CALL)
    assert "no keys" in str(await failed(asterisk.send_keys(ACCOUNT, CALL, "1")))
    await asterisk.close()


async def test_a_wrong_password_is_told_without_it() -> None:
    async with pair() as (_, asterisk, account):
        wrong = replace(account, keys={**account.keys, "authToken": "another-password"})
        error = await failed(asterisk.place(wrong, PLACING))
    assert error.code == "unauthorized"
    assert "another-password" not in f"{error} {error!r} {wrong!r}"
