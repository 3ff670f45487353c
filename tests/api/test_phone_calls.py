"""Calls to telephones: POST /call with phoneNumberId and customer, at once and later, and who may be called."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aywa.core.toll import TollGuard, TollRules
from aywa.ports.calls import CallRefused
from tests.api.conftest import TRUNK, Runtime

TO = {"number": "+493099999"}
PLANTED = "planted-0f3a"


async def place(runtime: Runtime, status: int = 201, **body: Any) -> Any:
    body = {"assistant": {"firstMessage": "Hello {{customer.name}}"}, "customer": TO} | body
    if "phoneNumberId" not in body:
        body["phoneNumberId"] = await runtime.phone_number()
    answer = await runtime.client.post("/call", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def rules(runtime: Runtime, *listed: str, calls_per_hour: int | None = None) -> None:
    runtime.services.calls._phone.outbound._guard = TollGuard(TollRules(listed, calls_per_hour))  # type: ignore[union-attr]


async def test_a_call_to_a_telephone_has_the_contract_s_shape(runtime: Runtime) -> None:
    number = await runtime.phone_number(name="Front desk")
    customer = TO | {"name": "Ann", "externalId": "x-1", "extension": "12#"}
    headers = {"X-Order": "5"}
    transport = {"provider": "vapi.sip", "dialTimeout": 20, "sipHeaders": headers}
    call = await place(runtime, phoneNumberId=number, customer=customer, transport=transport, name="n")
    assert (call["type"], call["status"], call["phoneNumberId"]) == ("outboundPhoneCall", "queued", number)
    assert (call["customer"], call["name"]) == (customer, "n")
    assert (call["phoneCallProvider"], call["phoneCallTransport"]) == ("vapi", "sip")
    assert call["transport"] == transport | {"conversationType": "voice"}
    assert (await runtime.client.get(f"/call/{call['id']}")).json() == call
    found = await runtime.client.get("/call", params={"phoneNumberId": number})
    assert [each["id"] for each in found.json()] == [call["id"]]
    assert (await runtime.client.get("/call", params={"phoneNumberId": "other"})).json() == []

    (plan,), (dialled,) = runtime.host.plans, runtime.telephone.dialled
    assert (plan.type, plan.call_id, plan.join_timeout_s) == ("outboundPhoneCall", call["id"], 30.0)
    assert plan.variables["customer"] == customer
    assert plan.variables["phoneNumber"]["number"] == "+493012345"
    assert plan.variables["call"] == {"id": call["id"], "type": "outboundPhoneCall"}
    assert plan.call["phoneNumber"]["id"] == number
    assert (dialled.call_id, dialled.org_id, dialled.user, dialled.uri) == (
        call["id"],
        runtime.org_id,
        "493099999",
        "",
    )
    assert (dialled.caller_id, dialled.caller_name) == ("+493012345", "Front desk")
    assert (dialled.digits, dialled.ring_s, dialled.headers) == ("12#", 20.0, (("X-Order", "5"),))
    assert dialled.trunk is not None
    assert (dialled.trunk.username, dialled.trunk.password) == ("me", "trunk-password")
    assert "trunk-password" not in repr(dialled)


async def test_the_old_path_does_the_same(runtime: Runtime) -> None:
    body = {"assistant": {}, "customer": TO, "phoneNumberId": await runtime.phone_number()}
    assert (await runtime.client.post("/call/phone", json=body)).status_code == 201


@pytest.mark.parametrize(
    ("more", "user", "diversion"),
    [
        ({"outboundLeadingPlusEnabled": True}, "+493099999", ""),
        ({"techPrefix": "77#"}, "77#493099999", ""),
        ({"sipDiversionHeader": "+493011111"}, "493099999", "+493011111"),
    ],
)
async def test_a_trunk_says_how_it_is_dialled(
    runtime: Runtime, more: dict[str, Any], user: str, diversion: str
) -> None:
    trunk = await runtime.credential(**TRUNK, **more)
    number = await runtime.phone_number(credentialId=trunk)
    await place(runtime, phoneNumberId=number, customer=TO | {"callerId": "+493000000"})
    (dialled,) = runtime.telephone.dialled
    assert (dialled.user, dialled.diversion, dialled.caller_id) == (user, diversion, "+493000000")


async def test_a_sip_uri_is_called_by_itself_and_no_stranger_gets_the_trunk_s_password(
    runtime: Runtime,
) -> None:
    await place(runtime, customer={"sipUri": "sip:bob@pbx.example.com"})
    await place(runtime, customer={"sipUri": "sip:bob@203.0.113.7"}, phoneNumberId=await _number(runtime))
    led_away = {"sipUri": "sip:bob@203.0.113.7;maddr=192.0.2.66"}
    await place(runtime, customer=led_away, phoneNumberId=await _number(runtime))
    assert runtime.telephone.dialled.pop().trunk is None
    by_uri = await runtime.phone_number(sipUri="sip:demo@host")
    await place(runtime, customer={"sipUri": "sip:bob@other"}, phoneNumberId=by_uri)
    strange, own, none = runtime.telephone.dialled
    assert (strange.uri, strange.trunk, strange.user) == ("sip:bob@pbx.example.com", None, "")
    assert own.trunk is not None
    assert (own.uri, none.trunk, none.caller_id) == ("sip:bob@203.0.113.7", None, "sip:demo@host")


async def _number(runtime: Runtime) -> str:
    return await runtime.phone_number(number="+493000001")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"customer": None}, "customer is required"),
        ({"customer": {}}, "customer.number or customer.sipUri is required"),
        ({"customer": {"number": "030 1234"}}, "customer.number must consist of"),
        ({"customer": {"number": "0301234"}}, "customer.number must be in E.164 form"),
        ({"customer": TO | {"sipUri": "sip:a@h"}}, "customer.sipUri must not be given together"),
        ({"customer": {"sipUri": "sip:a@h", "extension": "1"}}, "customer.extension must be absent"),
        ({"customer": {"sipUri": "sip:a@h\r\nX: y"}}, "customer.sipUri must be a SIP URI"),
        ({"customer": TO | {"extension": "12a."}}, "customer.extension must consist of"),
        ({"customer": TO | {"callerId": 'a"b'}}, "customer.callerId must be a number or a SIP URI"),
        ({"customer": TO | {"name": "a\nb"}}, "customer.name must not hold"),
        ({"customer": "+493099999"}, "customer must be an object"),
        ({"phoneNumberId": "none"}, "phoneNumberId must be the id of an existing phone number"),
        ({"phoneNumberId": 5}, "phoneNumberId must be a string"),
        ({"phoneNumber": {"twilioPhoneNumber": "+1"}}, "phoneNumber must not be given together"),
        ({"phoneNumberId": None, "phoneNumber": "+1"}, "phoneNumber must be an object"),
        (
            {"phoneNumberId": None, "phoneNumber": {"twilioPhoneNumber": "+15550100"}},
            "phoneNumber.twilioAccountSid is required",
        ),
        (
            {"phoneNumberId": None, "phoneNumber": {"twilioAccountSid": "AC1", "twilioAuthToken": "t"}},
            "phoneNumber.twilioPhoneNumber is required",
        ),
        (
            {"phoneNumberId": None, "phoneNumber": {"provider": "byo-phone-number", "credentialId": "none"}},
            "phoneNumber.credentialId must be the id of a byo-sip-trunk credential",
        ),
        ({"transport": {"provider": "daily"}}, 'transport.provider must be "vapi.sip", the phone number'),
        ({"transport": {"dialTimeout": 601}}, "transport.dialTimeout must not be greater than 600"),
        ({"transport": {"sipHeaders": {"Via": "x"}}}, "transport.sipHeaders.Via must be a header whose name"),
        ({"transport": {"sipHeaders": {"X-A": "x\r\nVia: y"}}}, "transport.sipHeaders.X-A must be a text"),
        (
            {"transport": {"sipHeaders": {f"X-{n}": "" for n in range(21)}}},
            "transport.sipHeaders must contain no",
        ),
        ({"customers": [TO]}, "customer must not be given together with customers"),
        ({"assistant": None}, "assistantId, assistant, squadId or squad is required"),
        ({"schedulePlan": []}, "schedulePlan must be an object"),
        ({"schedulePlan": {}}, "schedulePlan.earliestAt is required"),
        ({"schedulePlan": {"earliestAt": "soon"}}, "schedulePlan.earliestAt must be a valid ISO 8601"),
        ({"schedulePlan": {"earliestAt": 5}}, "schedulePlan.earliestAt must be a valid ISO 8601"),
        (
            {"schedulePlan": {"earliestAt": "2999-01-01T00:00:00Z"}},
            "schedulePlan.earliestAt must be within 366",
        ),
        (
            {"schedulePlan": {"earliestAt": "2020-01-02", "latestAt": "2020-01-01"}},
            "schedulePlan.latestAt must not be before earliestAt",
        ),
        (
            {"schedulePlan": {"earliestAt": "2020-01-01", "latestAt": "2020-01-02"}},
            "schedulePlan.latestAt must not have passed",
        ),
    ],
)
async def test_what_cannot_be_placed_is_said(runtime: Runtime, body: dict[str, Any], problem: str) -> None:
    answer = await place(runtime, 400, **body)
    assert any(each.startswith(problem) for each in answer["message"]), answer
    assert len(answer["message"]) == len(set(answer["message"]))
    assert (runtime.host.plans, runtime.telephone.dialled) == ([], [])
    assert (await runtime.client.get("/call")).json() == []


async def test_a_number_that_cannot_call_says_why(runtime: Runtime) -> None:
    async def problem(**body: Any) -> str:
        return str((await place(runtime, 400, **body))["message"][0])

    by_uri = await runtime.phone_number(sipUri="sip:demo@host")
    assert (await problem(phoneNumberId=by_uri)).startswith("customer.number can only be called from")
    inbound_only = await runtime.credential(
        **TRUNK | {"gateways": [{"ip": "203.0.113.7", "outboundEnabled": False}]}
    )
    number = await runtime.phone_number(credentialId=inbound_only)
    assert "without a gateway for outbound calls" in await problem(phoneNumberId=number)
    await runtime.client.delete(f"/credential/{inbound_only}")
    assert "a credential that is gone" in await problem(phoneNumberId=number)
    blocked = await runtime.phone_number(status="blocked")
    assert "not blocked" in await problem(phoneNumberId=blocked)
    runtime.services.calls._phone.outbound._telephone = None  # type: ignore[union-attr]
    assert "this runtime has no SIP port" in await problem(phoneNumberId=blocked)


async def test_a_telephone_that_cannot_begin_ends_the_call_and_not_the_request(runtime: Runtime) -> None:
    runtime.telephone.refusal = CallRefused("call.start.error-get-transport", "no gateway answers", 503)
    call = await place(runtime)
    assert call["status"] == "queued"
    assert runtime.host.ended == [(call["id"], "call.start.error-get-transport")]


FULL = CallRefused("call.start.error-subscription-concurrency-limit-reached", "full", 429)


async def test_a_call_that_there_is_no_room_for_waits_in_its_order(runtime: Runtime) -> None:
    number = await runtime.phone_number()
    runtime.host.refusal = FULL
    own = {"credentials": [{"provider": "openai", "apiKey": PLANTED}], "model": {"provider": "openai"}}
    first = await place(runtime, phoneNumberId=number, assistant=own)
    assert (first["status"], first["subscriptionLimits"]) == ("queued", {"concurrencyBlocked": True})
    assert PLANTED not in json.dumps(first)
    runtime.host.refusal = None
    # There is room now, but somebody was before it.
    second = await place(runtime, phoneNumberId=number)
    assert (runtime.host.plans, runtime.telephone.dialled) == ([], [])
    await due(runtime, 0.1)
    assert [plan.call_id for plan in runtime.host.plans] == [first["id"], second["id"]]
    assert [call.call_id for call in runtime.telephone.dialled] == [first["id"], second["id"]]
    plan = runtime.host.plans[0]
    assert plan.keys["openai"].key == PLANTED
    assert plan.call["artifactBaseUrl"].startswith(f"http://localhost:8080/artifact/{first['id']}/")
    assert "artifactBaseUrl" not in (await runtime.client.get(f"/call/{first['id']}")).text
    # The line is empty again.
    third = await place(runtime, phoneNumberId=number)
    assert runtime.telephone.dialled[-1].call_id == third["id"]


async def test_who_loses_the_last_place_to_another_waits_too(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime.host.refusal = FULL
    asked = iter((False, True))
    monkeypatch.setattr(runtime.host, "full", lambda: next(asked))
    call = await place(runtime, name="late")
    assert (call["status"], call["name"]) == ("queued", "late")
    assert call["subscriptionLimits"] == {"concurrencyBlocked": True}
    monkeypatch.setattr(runtime.host, "full", lambda: False)
    runtime.host.refusal = None
    await due(runtime, 0.1)
    (plan,) = runtime.host.plans
    assert plan.call_id == call["id"]
    assert plan.call["artifactBaseUrl"].startswith(f"http://localhost:8080/artifact/{call['id']}/")


async def test_a_line_that_is_too_long_is_refused(runtime: Runtime) -> None:
    runtime.host.refusal = FULL
    calls = runtime.services.calls
    calls._limits = replace(calls._limits, queued_calls=2)
    number = await runtime.phone_number()
    rules(runtime, calls_per_hour=1)  # who waits, or is refused, is not placed
    for _ in range(2):
        await place(runtime, phoneNumberId=number)
    for _ in range(2):
        answer = await place(runtime, 429, phoneNumberId=number)
        assert answer["endedReason"].endswith("concurrency-limit-reached")
    kept = (await runtime.client.get("/call")).json()
    assert sorted(call["status"] for call in kept) == ["ended", "ended", "queued", "queued"]
    assert runtime.telephone.dialled == []


async def test_nobody_waits_for_room_for_ever(runtime: Runtime) -> None:
    runtime.host.refusal = FULL
    call = await place(runtime)
    path = f"/call/{call['id']}"
    await due(runtime, 3590)
    assert (await runtime.client.get(path)).json()["status"] == "queued"
    await due(runtime, 20)
    ended = (await runtime.client.get(path)).json()
    assert (ended["status"], ended["endedReason"]) == ("ended", FULL.ended_reason)
    assert "no room" in ended["endedMessage"]


async def test_one_that_waits_for_room_and_is_deleted_never_rings(runtime: Runtime) -> None:
    runtime.host.refusal = FULL
    call = await place(runtime)
    assert (await runtime.client.delete(f"/call/{call['id']}")).status_code == 200
    runtime.host.refusal = None
    await due(runtime, 1)
    assert runtime.telephone.dialled == []


async def test_a_batch_larger_than_the_room_waits(runtime: Runtime) -> None:
    runtime.host.refusal = FULL
    body = {"assistant": {}, "phoneNumberId": await runtime.phone_number()}
    customers = [{"number": f"+4930999{index:02}"} for index in range(12)]
    answer = (await runtime.client.post("/call", json=body | {"customers": customers})).json()
    assert (len(answer["results"]), answer["errors"]) == (12, [])
    assert answer["subscriptionLimits"] == {"concurrencyBlocked": True}
    runtime.host.refusal = None
    await due(runtime, 1)
    assert {call.user for call in runtime.telephone.dialled} == {each["number"][1:] for each in customers}


async def test_only_listed_destinations_are_called(runtime: Runtime) -> None:
    rules(runtime, "+49", "sip:*.example.com")
    number = await runtime.phone_number()
    await place(runtime, phoneNumberId=number)
    await place(runtime, phoneNumberId=number, customer={"sipUri": "sip:bob@pbx.example.com"})
    for customer in (
        {"number": "+19001234567"},
        {"sipUri": "sip:+493099999@evil.example"},
        # Where a call really goes: maddr takes the host's place (RFC 3263 4).
        {"sipUri": "sip:bob@pbx.example.com;maddr=evil.example"},
        {"sipUri": "sip:bob@pbx.example.com;transport=tcp;MADDR=192.0.2.66"},
    ):
        answer = await place(runtime, 400, phoneNumberId=number, customer=customer)
        assert "RUNTIME_OUTBOUND_ALLOW" in answer["message"][0]
    premium = {"number": "001900123456", "numberE164CheckEnabled": False}
    await place(runtime, 400, phoneNumberId=number, customer=premium)
    assert len(runtime.telephone.dialled) == 2


async def test_an_organisation_places_so_many_calls_an_hour(runtime: Runtime) -> None:
    rules(runtime, calls_per_hour=2)
    number = await runtime.phone_number()
    for _ in range(2):
        await place(runtime, phoneNumberId=number)
    answer = await place(runtime, 429, phoneNumberId=number)
    assert answer["endedReason"] == "call.start.error-fraud-check-failed"
    assert "the next may be placed in" in answer["message"]
    rules(runtime)
    answer = await place(runtime, 400, phoneNumberId=number)
    assert "this runtime may call nobody" in answer["message"][0]
    assert len(runtime.telephone.dialled) == 2


async def test_a_phone_number_may_come_with_the_call_and_is_kept_nowhere(runtime: Runtime) -> None:
    trunk = await runtime.credential(**TRUNK)
    number = {"provider": "byo-phone-number", "credentialId": trunk, "number": "+493012345", "name": "Desk"}
    call = await place(runtime, phoneNumberId=None, phoneNumber=number)
    (dialled,) = runtime.telephone.dialled
    assert (dialled.user, dialled.caller_id, dialled.caller_name) == ("493099999", "+493012345", "Desk")
    assert dialled.trunk is not None
    assert call["phoneNumber"] == number
    assert runtime.host.plans[0].variables["phoneNumber"]["number"] == "+493012345"
    assert (await runtime.client.get("/phone-number")).json() == []
    assert (await runtime.client.get("/call", params={"phoneNumberId": call["id"]})).json() == []


async def test_an_idempotency_key_rings_once(runtime: Runtime) -> None:
    body = {"assistant": {}, "customer": TO, "phoneNumberId": await runtime.phone_number()}
    answers = [
        await runtime.client.post("/call", json=body, headers={"Idempotency-Key": "k"}) for _ in range(3)
    ]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(runtime.telephone.dialled) == 1


# --- later -----------------------------------------------------------------------------------------------------------


def moment(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def due(runtime: Runtime, in_s: float) -> float:
    """As if so much time had passed."""
    services = runtime.services
    now = services.schedule._clock()
    services.schedule._clock = services.calls._clock = lambda: now + round(in_s * 1000)
    return await services.schedule.begin_due()


async def test_a_call_that_is_due_already_begins_at_once(runtime: Runtime) -> None:
    call = await place(runtime, schedulePlan={"earliestAt": moment(-5)})
    assert (call["status"], len(runtime.telephone.dialled)) == ("queued", 1)


async def test_a_scheduled_call_begins_when_its_time_has_come(runtime: Runtime) -> None:
    plan = {"earliestAt": moment(600), "latestAt": moment(1200)}
    own = {"firstMessage": "Hi", "credentials": [{"provider": "openai", "apiKey": PLANTED}]}
    call = await place(runtime, schedulePlan=plan, assistant=own | {"model": {"provider": "openai"}})
    assert (call["status"], call["schedulePlan"]) == ("scheduled", plan)
    assert PLANTED not in json.dumps(call)
    assert (runtime.host.plans, runtime.telephone.dialled) == ([], [])
    assert 0 < await due(runtime, 0) <= 5
    assert runtime.host.plans == []
    await due(runtime, 601)
    (begun,), (dialled,) = runtime.host.plans, runtime.telephone.dialled
    assert begun.call_id == dialled.call_id == call["id"]
    assert begun.keys["openai"].key == PLANTED
    assert (begun.call["status"], begun.created_ms > 600_000) == ("queued", True)
    kept = (await runtime.client.get(f"/call/{call['id']}")).json()
    assert (kept["status"], kept["id"]) == ("queued", call["id"])
    await due(runtime, 1)
    assert len(runtime.telephone.dialled) == 1


async def test_a_scheduled_call_that_is_deleted_never_rings(runtime: Runtime) -> None:
    call = await place(runtime, schedulePlan={"earliestAt": moment(600)})
    deleted = await runtime.client.delete(f"/call/{call['id']}")
    assert (deleted.status_code, deleted.json()["status"]) == (200, "scheduled")
    await due(runtime, 601)
    assert (runtime.host.plans, runtime.telephone.dialled) == ([], [])


async def test_a_scheduled_call_whose_time_has_passed_says_so(runtime: Runtime) -> None:
    plan = {"earliestAt": moment(60), "latestAt": moment(70)}
    call = await place(runtime, schedulePlan=plan)
    await due(runtime, 100)
    kept = (await runtime.client.get(f"/call/{call['id']}")).json()
    assert (kept["status"], kept["endedReason"]) == ("ended", "call.start.error-get-resources-validation")
    assert "latestAt had passed" in kept["endedMessage"]
    assert runtime.telephone.dialled == []


@pytest.mark.parametrize("what", ["host", "tolls"])
async def test_a_scheduled_call_waits_for_room_but_not_for_ever(runtime: Runtime, what: str) -> None:
    number = await runtime.phone_number()
    call = await place(runtime, phoneNumberId=number, schedulePlan={"earliestAt": moment(60)})
    if what == "host":
        rules(runtime, calls_per_hour=1)  # what finds no room is not placed
        full = CallRefused("call.start.error-subscription-concurrency-limit-reached", "full", 429)
        runtime.host.refusal = full
    else:
        rules(runtime, calls_per_hour=0)
    assert await due(runtime, 61) == 5
    path = f"/call/{call['id']}"
    assert (await runtime.client.get(path)).json()["status"] == "scheduled"
    if what == "host":
        for _ in range(3):
            await due(runtime, 11)
        assert (await runtime.client.get(path)).json()["status"] == "scheduled"
        runtime.host.refusal = None
        await due(runtime, 11)
        assert len(runtime.telephone.dialled) == 1
        return
    await due(runtime, 3700)
    ended = (await runtime.client.get(path)).json()
    assert (ended["status"], ended["endedReason"]) == ("ended", "call.start.error-fraud-check-failed")


async def test_a_scheduled_call_whose_number_is_gone_ends(runtime: Runtime) -> None:
    number = await runtime.phone_number()
    call = await place(runtime, phoneNumberId=number, schedulePlan={"earliestAt": moment(60)})
    await runtime.client.delete(f"/phone-number/{number}")
    await due(runtime, 61)
    kept = (await runtime.client.get(f"/call/{call['id']}")).json()
    assert kept["status"] == "ended"
    assert "existing phone number" in kept["endedMessage"]


async def test_one_that_breaks_does_not_keep_the_others_waiting(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = await runtime.phone_number()
    broken, whole = [
        await place(runtime, phoneNumberId=number, name=name, schedulePlan={"earliestAt": moment(60)})
        for name in ("broken", "whole")
    ]
    begin = runtime.services.calls.begin_due

    async def break_one(document: Any) -> bool:
        if document.id == broken["id"]:
            raise RuntimeError("nobody foresaw it")
        return await begin(document)

    monkeypatch.setattr(runtime.services.calls, "begin_due", break_one)
    await due(runtime, 61)
    assert [call.call_id for call in runtime.telephone.dialled] == [whole["id"]]
    kept = (await runtime.client.get(f"/call/{broken['id']}")).json()
    assert kept["endedReason"] == "call.start.error-vapifault-worker-not-available"
