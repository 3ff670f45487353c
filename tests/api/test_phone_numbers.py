"""/phone-number and the credential byo-sip-trunk as a client sees them."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.api.conftest import TRUNK, Runtime

PLANTED = "planted-0f3a-and-long-enough"


async def test_a_byo_number_comes_back_whole(runtime: Runtime) -> None:
    trunk, assistant = await runtime.credential(**TRUNK), await runtime.assistant()
    body = {
        "provider": "byo-phone-number",
        "name": "Front desk",
        "number": "+493012345",
        "credentialId": trunk,
        "assistantId": assistant,
        "fallbackDestination": {"type": "number", "number": "+493099999"},
        "hooks": [{"on": "call.ringing", "filters": [{"type": "startsWith", "key": "number"}], "do": []}],
        "unheardOf": [1, None],
    }
    created = await runtime.client.post("/phone-number", json=body)
    assert created.status_code == 201, created.text
    document = created.json()
    own = {"id", "orgId", "createdAt", "updatedAt"}
    assert document == body | {"status": "active"} | {name: document[name] for name in own}
    path = f"/phone-number/{document['id']}"
    assert (await runtime.client.get(path)).json() == document
    assert (await runtime.client.get("/phone-number")).json() == [document]
    # Older SDKs leave the provider out of a change; newer ones send it.
    for more in ({}, {"provider": "byo-phone-number"}):
        change = {"name": "Desk", "assistantId": None} | more
        changed = (await runtime.client.patch(path, json=change)).json()
        assert (changed["name"], "assistantId" in changed, changed["number"]) == ("Desk", False, "+493012345")
        assert changed["hooks"] == body["hooks"]
    deleted = await runtime.client.delete(path)
    assert (deleted.status_code, deleted.json()["id"]) == (200, document["id"])
    assert (await runtime.client.get(path)).status_code == 404
    assert (await runtime.client.patch(path, json={})).status_code == 404
    assert (await runtime.client.delete(path)).status_code == 404


async def test_secrets_go_in_and_never_come_out(runtime: Runtime) -> None:
    body: dict[str, Any] = {
        "provider": "vapi",
        "sipUri": "sip:demo@host",
        "authentication": {"username": "caller", "password": PLANTED, "realm": "r"},
        "server": {"url": "https://hooks.example/", "secret": PLANTED, "headers": {"X-Key": PLANTED}},
    }
    with capture_logs() as logs:
        created = await runtime.client.post("/phone-number", json=body)
        path = f"/phone-number/{created.json()['id']}"
        answers = [
            created,
            await runtime.client.get(path),
            await runtime.client.get("/phone-number"),
            await runtime.client.get("/v2/phone-number"),
            await runtime.client.patch(path, json=created.json()),
            await runtime.client.patch(path, json={"authentication": {"username": "other", "realm": "r"}}),
            await runtime.client.patch(path, json={"server": {"url": "https://other.example/"}}),
        ]
    assert {answer.status_code for answer in answers} == {200, 201}
    assert not any(PLANTED in answer.text for answer in answers)
    assert PLANTED not in str(logs)
    assert created.json()["authentication"] == {"username": "caller", "realm": "r"}
    assert created.json()["server"] == {"url": "https://hooks.example/"}
    # What was not sent again is still there.
    used = await runtime.services.phone_numbers.use(runtime.org_id, created.json()["id"])
    assert used.account is not None
    assert (used.account.username, used.account.password) == ("other", PLANTED)
    assert used.server is not None
    assert (used.server["secret"], used.server["url"]) == (PLANTED, "https://other.example/")
    assert PLANTED not in repr(used)
    await runtime.client.patch(path, json={"authentication": None, "server": None})
    used = await runtime.services.phone_numbers.use(runtime.org_id, created.json()["id"])
    assert (used.account, used.server) == (None, None)


_BYO: dict[str, Any] = {"provider": "byo-phone-number", "credentialId": "TRUNK"}
_URI: dict[str, Any] = {"provider": "vapi", "sipUri": "sip:demo@host"}
_PASSWORD = {"username": "u", "password": PLANTED}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (None, "body must be an object"),
        ({}, "provider is required"),
        ({"provider": "of tomorrow"}, "provider must be one of the following values: byo-phone-number"),
        ({"provider": "byo-phone-number"}, "credentialId is required where provider is byo-phone-number"),
        ({"provider": "vapi"}, "sipUri is required where provider is vapi: numbers are not sold here"),
        (_BYO | {"credentialId": "none"}, "credentialId must be the id of a byo-sip-trunk credential"),
        (_BYO | {"credentialId": "OPENAI"}, "credentialId must be the id of a byo-sip-trunk credential"),
        (_BYO | {"number": "493012345"}, "number must be in E.164 form"),
        (_BYO | {"number": "+49 30 12345"}, "number must consist of"),
        (_BYO | {"number": "+49\r\n"}, "number must consist of"),
        (_BYO | {"number": "1"}, "number must be longer"),
        (_BYO | {"sipUri": "sip:a@h"}, "sipUri must be absent where provider is byo-phone-number"),
        (_BYO | {"authentication": _PASSWORD}, "authentication must be absent"),
        (_URI | {"number": "+493012345"}, "number must be absent where provider is vapi"),
        (_URI | {"sipUri": "sip:host"}, "sipUri must be a SIP URI such as"),
        (_URI | {"sipUri": f"sip:a:{PLANTED}@host"}, "sipUri must be a SIP URI such as"),
        (_URI | {"sipUri": "sip:a@host\r\nX: y"}, "sipUri must be a SIP URI such as"),
        (_URI | {"authentication": {"username": "u"}}, "authentication.password is required"),
        (
            _URI | {"authentication": {"username": "u", "password": "short"}},
            "authentication.password must be",
        ),
        (_URI | {"authentication": {"password": PLANTED}}, "authentication.username is required"),
        (_URI | {"authentication": _PASSWORD | {"realm": 'a"b'}}, "authentication.realm must not hold"),
        (_URI | {"assistantId": "none"}, "assistantId must be the id of an existing assistant"),
        (_URI | {"assistantId": "A", "squadId": "s"}, "squadId must not be given together with assistantId"),
        (_URI | {"server": {"url": "ftp://x"}}, "server.url must be a URL that begins with http"),
        (_URI | {"server": {"secret": PLANTED}}, "server.url must be a URL"),
        (_URI | {"fallbackDestination": {"type": "number"}}, "fallbackDestination.number is required"),
        (_URI | {"fallbackDestination": {"type": "sip"}}, "fallbackDestination.sipUri is required"),
        (_URI | {"fallbackDestination": {"type": "assistant"}}, "fallbackDestination.type must be one of"),
        (
            _URI | {"fallbackDestination": {"type": "number", "number": "030123"}},
            "fallbackDestination.number must be in E.164 form",
        ),
        (
            _URI | {"fallbackDestination": {"type": "sip", "sipUri": "sip:a@h", "sipHeaders": {"From": "x"}}},
            "fallbackDestination.sipHeaders.From must be a header whose name begins with X-",
        ),
        (_URI | {"name": "n" * 41}, "name must be shorter"),
        (_URI | {"status": "sold"}, "status must be one of"),
    ],
)
async def test_what_is_refused_says_why(runtime: Runtime, body: Any, problem: str) -> None:
    ids = {"TRUNK": await runtime.credential(**TRUNK), "OPENAI": await runtime.credential()}
    ids["A"] = await runtime.assistant()
    if isinstance(body, dict):
        body = {
            name: ids.get(value, value) if isinstance(value, str) else value for name, value in body.items()
        }
    answer = await runtime.client.post("/phone-number", json=body)
    assert answer.status_code == 400
    assert any(each.startswith(problem) for each in answer.json()["message"]), answer.text
    assert not (isinstance(body, dict) and "password" in str(body) and PLANTED in answer.text)
    assert (await runtime.client.get("/phone-number")).json() == []


async def test_a_local_number_is_taken_when_its_form_is_not_checked(runtime: Runtime) -> None:
    await runtime.phone_number(number="100", numberE164CheckEnabled=False)
    await runtime.phone_number(number="reception", numberE164CheckEnabled=False)


async def test_what_an_invite_names_is_one_number_s(runtime: Runtime) -> None:
    trunk = await runtime.credential(**TRUNK)
    first = await runtime.phone_number(credentialId=trunk)
    same = {"provider": "byo-phone-number", "credentialId": trunk, "number": "+493012345"}
    refused = await runtime.client.post("/phone-number", json=same)
    assert refused.json()["message"][0].startswith(
        "number must be another: a phone number of this credential"
    )
    assert (await runtime.client.patch(f"/phone-number/{first}", json={"name": "n"})).status_code == 200
    other = await runtime.phone_number(credentialId=trunk, number="+493054321")
    moved = await runtime.client.patch(f"/phone-number/{other}", json={"number": "+493012345"})
    assert moved.status_code == 400
    await runtime.phone_number(sipUri="sip:demo@host")
    foreign = runtime.as_key(runtime.keys["foreign"])
    taken = await foreign.post("/phone-number", json={"provider": "vapi", "sipUri": "sip:DEMO@other"})
    assert taken.json()["message"][0].startswith("sipUri or authentication.username must be another")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"provider": "vapi"}, "provider must not be changed"),
        ({"credentialId": None}, "credentialId is required"),
        ({"number": "030123"}, "number must be in E.164 form"),
        ({"squadId": "s", "assistantId": "ASSISTANT"}, "squadId must not be given together"),
        ({"assistantId": "none"}, "assistantId must be the id of an existing assistant"),
        ({"name": 5}, "name must be a string"),
        ([], "body must be an object"),
    ],
)
async def test_a_change_that_breaks_a_rule_changes_nothing(
    runtime: Runtime, change: Any, problem: str
) -> None:
    number = await runtime.phone_number()
    if isinstance(change, dict) and change.get("assistantId") == "ASSISTANT":
        change = change | {"assistantId": await runtime.assistant()}
    before = (await runtime.client.get(f"/phone-number/{number}")).json()
    answer = await runtime.client.patch(f"/phone-number/{number}", json=change)
    assert answer.status_code == 400
    assert answer.json()["message"][0].startswith(problem), answer.text
    assert (await runtime.client.get(f"/phone-number/{number}")).json() == before


async def test_pages_count_search_and_sort(runtime: Runtime) -> None:
    made = [await runtime.phone_number(sipUri=f"sip:line-{n}@host", name=f"Line {n}") for n in range(5)]
    await runtime.phone_number(number="+493077777")

    async def page(**query: Any) -> Any:
        answer = await runtime.client.get("/v2/phone-number", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    whole = await page()
    assert len(whole["results"]) == 6
    first = await page(limit=2, search="line", sortOrder="ASC")
    assert {each["name"] for each in first["results"]} <= {f"Line {n}" for n in range(5)}
    assert first["metadata"] == {
        "itemsPerPage": 2,
        "totalItems": 5,
        "currentPage": 1,
        "totalPages": 3,
        "hasNextPage": True,
        "sortOrder": "ASC",
    }
    seen = [each["id"] for n in (1, 2, 3) for each in (await page(limit=2, search="LINE", page=n))["results"]]
    assert sorted(seen) == sorted(made)
    assert (await page(limit=2, search="line", page=3))["metadata"]["hasNextPage"] is False
    assert [each["number"] for each in (await page(search="030 77"))["results"]] == []
    assert [each["number"] for each in (await page(search="0049 30 777"))["results"]] == ["+493077777"]
    for bad in ({"page": "0"}, {"page": "x"}, {"sortOrder": "up"}, {"limit": "-1"}):
        assert (await runtime.client.get("/v2/phone-number", params=bad)).status_code == 400


_GATEWAY = {"ip": "203.0.113.7"}


@pytest.mark.parametrize(
    ("trunk", "problem"),
    [
        ({"gateways": None}, "gateways is required"),
        ({"gateways": []}, "gateways must contain at least 1 element"),
        ({"gateways": [_GATEWAY] * 33}, "gateways must contain no more than 32 elements"),
        ({"gateways": [{}]}, "gateways[0].ip is required"),
        ({"gateways": [{"ip": "sip.example.com"}]}, "gateways[0].ip must be an IP address unless inbound"),
        ({"gateways": [{"ip": "a b", "inboundEnabled": False}]}, "gateways[0].ip must be an IP address or"),
        ({"gateways": [{"ip": "0.0.0.0"}]}, "gateways[0].ip must be one peer's address"),
        ({"gateways": [_GATEWAY | {"netmask": 8}]}, "gateways[0].netmask must not be less than 24"),
        ({"gateways": [_GATEWAY | {"port": 0}]}, "gateways[0].port must not be less than 1"),
        ({"gateways": [_GATEWAY | {"outboundProtocol": "sctp"}]}, "gateways[0].outboundProtocol must be one"),
        ({"techPrefix": "1\r\n"}, "techPrefix must consist of"),
        ({"sipDiversionHeader": "a\r\nb"}, "sipDiversionHeader must be a number or a SIP URI"),
        (
            {"outboundAuthenticationPlan": {"authPassword": PLANTED}},
            "outboundAuthenticationPlan.authUsername is required beside authPassword",
        ),
        (
            {"outboundAuthenticationPlan": {"authUsername": "u"}},
            "outboundAuthenticationPlan.authPassword is required beside authUsername",
        ),
        (
            {"outboundAuthenticationPlan": {"sipRegisterPlan": {"domain": "a"}}},
            "outboundAuthenticationPlan.authUsername is required beside sipRegisterPlan",
        ),
        (
            {"outboundAuthenticationPlan": {"authUsername": 'a"b', "authPassword": PLANTED}},
            "outboundAuthenticationPlan.authUsername must not hold",
        ),
    ],
)
async def test_a_trunk_that_cannot_be_is_refused(
    runtime: Runtime, trunk: dict[str, Any], problem: str
) -> None:
    body = {name: value for name, value in (TRUNK | trunk).items() if value is not None}
    answer = await runtime.client.post("/credential", json=body)
    assert answer.status_code == 400
    assert any(each.startswith(problem) for each in answer.json()["message"]), answer.text
    assert PLANTED not in answer.text
    made = await runtime.credential(**TRUNK)
    changed = await runtime.client.patch(f"/credential/{made}", json=trunk)
    if problem.endswith("beside authUsername"):
        assert changed.status_code == 200  # it has the password that it had
    else:
        assert changed.status_code == 400, changed.text


TWILIO: dict[str, Any] = {
    "provider": "twilio",
    "number": "+15550100",
    "twilioAccountSid": "AC1",
    "twilioAuthToken": PLANTED,
    "smsEnabled": False,
}


async def test_a_number_of_twilio_s_comes_back_without_its_token(runtime: Runtime) -> None:
    with capture_logs() as logs:
        created = await runtime.client.post("/phone-number", json=TWILIO)
        assert created.status_code == 201, created.text
        path = f"/phone-number/{created.json()['id']}"
        keyed = {"twilioApiKey": PLANTED, "twilioApiSecret": PLANTED}
        changed = await runtime.client.patch(path, json=keyed | {"name": "Desk"})
        without = await runtime.client.patch(path, json={"twilioAuthToken": None})
        wanting = await runtime.client.patch(path, json={"twilioApiKey": None})
        answers = [created, changed, without, wanting, await runtime.client.get(path)]
    shown = created.json()
    assert (shown["twilioAccountSid"], shown["number"]) == ("AC1", "+15550100")
    assert [each.status_code for each in answers] == [201, 200, 200, 400, 200]
    assert "twilioAuthToken" in wanting.json()["message"][0]
    assert PLANTED not in "".join(each.text for each in answers) + str(logs)
    number = await runtime.services.phone_numbers.of_id(shown["id"])
    assert number is not None
    assert number.whole["twilioApiSecret"] == PLANTED
    assert "twilioAuthToken" not in number.whole
    assert PLANTED not in repr(number)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"twilioAuthToken": None}, "twilioAuthToken or twilioApiKey and twilioApiSecret is required"),
        ({"twilioAuthToken": None, "twilioApiKey": "k"}, "twilioAuthToken or twilioApiKey"),
        ({"twilioAccountSid": None}, "twilioAccountSid is required where provider is twilio"),
        ({"number": None}, "number is required where provider is twilio"),
        ({"number": "030123"}, "number must be in E.164 form"),
        ({"sipUri": "sip:a@b"}, "sipUri must be absent where provider is twilio"),
        ({"credentialId": "x"}, "credentialId must be absent where provider is twilio"),
        ({"carrier": {"provider": "plivo"}}, "carrier must be absent where provider is twilio"),
        ({"apiUrl": "ftp://x"}, "apiUrl must be a URL"),
        ({"apiUrl": "https://u:p@x"}, "apiUrl must be a URL"),
        ({"twilioAuthToken": "a\nb"}, "twilioAuthToken must not hold control characters"),
        ({"provider": "telnyx"}, "credentialId is required where provider is telnyx"),
        ({"provider": "vapi", "sipUri": "sip:a@b", "number": None}, "twilioAuthToken must be absent"),
    ],
)
async def test_what_is_wrong_with_a_number_of_twilio_s(
    runtime: Runtime, change: dict[str, Any], problem: str
) -> None:
    answer = await runtime.client.post("/phone-number", json=TWILIO | change)
    assert answer.status_code == 400, answer.text
    assert any(problem in each for each in answer.json()["message"]), answer.text
    assert PLANTED not in answer.text


async def test_a_number_of_telnyx_has_a_credential_of_telnyx(runtime: Runtime) -> None:
    trunk = await runtime.credential(**TRUNK)
    telnyx = await runtime.credential(provider="telnyx", apiKey="KEY1", publicKey="p", connectionId="7")
    body = {"provider": "telnyx", "number": "+15550200"}
    wrong = await runtime.client.post("/phone-number", json=body | {"credentialId": trunk})
    assert "credentialId must be the id of a telnyx credential" in wrong.json()["message"][0]
    right = await runtime.client.post("/phone-number", json=body | {"credentialId": telnyx})
    assert right.status_code == 201, right.text
    again = await runtime.client.post("/phone-number", json=body | {"credentialId": telnyx})
    assert "number must be another" in again.json()["message"][0]


@pytest.mark.parametrize(
    ("carrier", "problem"),
    [
        ({"provider": "plivo", "accountId": "MA1"}, "carrier.authToken is required"),
        ({"provider": "exotel"}, "carrier.inboundToken is required"),
        ({"provider": "exotel", "inboundToken": "short"}, "carrier.inboundToken must be longer"),
        (
            {"provider": "signalwire", "accountId": "p", "authToken": "t", "signingKey": "k"},
            "carrier.space is required",
        ),
        ({"provider": "of tomorrow"}, "carrier.provider must be one of"),
        ({}, "carrier.provider is required"),
    ],
)
async def test_what_is_wrong_with_a_carrier(runtime: Runtime, carrier: dict[str, Any], problem: str) -> None:
    body = {"provider": "byo-phone-number", "number": "+15550300", "carrier": carrier}
    answer = await runtime.client.post("/phone-number", json=body)
    assert answer.status_code == 400, answer.text
    assert any(problem in each for each in answer.json()["message"]), answer.text


async def test_a_carrier_s_secrets_stay(runtime: Runtime) -> None:
    carrier = {"provider": "plivo", "accountId": "MA1", "authToken": PLANTED}
    body = {"provider": "byo-phone-number", "number": "+15550300", "carrier": carrier}
    created = (await runtime.client.post("/phone-number", json=body)).json()
    assert created["carrier"] == {"provider": "plivo", "accountId": "MA1"}
    path = f"/phone-number/{created['id']}"
    changed = await runtime.client.patch(path, json={"carrier": {"provider": "plivo", "accountId": "MA2"}})
    assert changed.status_code == 200, changed.text
    number = await runtime.services.phone_numbers.of_id(created["id"])
    assert number is not None
    assert number.whole["carrier"] == {"provider": "plivo", "accountId": "MA2", "authToken": PLANTED}
    both = await runtime.client.patch(path, json={"credentialId": await runtime.credential(**TRUNK)})
    assert both.status_code == 400
