"""Twilio and SignalWire: what they ask and tell is read right, their markup is what they document, and so are the requests."""

from __future__ import annotations

import base64
import hmac
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.adapters.carriers.signalwire import SignalWire
from aywa.adapters.carriers.twilio import Twilio
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
from tests.adapters.carriers.world import BASE, api, by_twilio, posted

SID = "AC" + "0" * 32
CALL = "CA" + "1" * 32
ACCOUNT = CarrierAccount("twilio", "+15550100", "", {"twilioAccountSid": SID, "twilioAuthToken": "token"})
URL = f"{BASE}/twilio/n1"
WAY = MediaWay(
    "wss://voice.example.com/media/twilio/c1/t&1",
    f"{URL}/next?call=c1",
    f"{URL}/dialled?call=c1",
    f"{URL}/status?call=c1",
    {"who": 'a "b" <c>'},
)


def account(url: str, **keys: str) -> CarrierAccount:
    return CarrierAccount("twilio", "+15550100", url, {"twilioAccountSid": SID, **keys})


# --- doubt -------------------------------------------------------------------------------------------------------------


def test_what_twilio_signed_is_not_doubted() -> None:
    assert Twilio().doubt(ACCOUNT, by_twilio(URL, {"CallSid": CALL})) == ""


def test_a_get_is_signed_by_its_address_alone() -> None:
    url = f"{URL}?CallSid={CALL}"
    signature = base64.b64encode(hmac.new(b"token", url.encode(), "sha1").digest()).decode()
    request = CarrierRequest("GET", (url,), {"x-twilio-signature": signature}, {"CallSid": [CALL]})
    assert Twilio().doubt(ACCOUNT, request) == ""
    assert Twilio().read(request, "").provider_id == CALL


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (by_twilio(URL, {"CallSid": CALL}, "other"), "X-Twilio-Signature"),
        (posted(URL, {"CallSid": CALL}), "X-Twilio-Signature"),
    ],
)
def test_anybody_elses_is_doubted(request_: CarrierRequest, why: str) -> None:
    assert why in Twilio().doubt(ACCOUNT, request_)


def test_without_the_account_s_token_nothing_is_believed() -> None:
    without = account("", twilioApiKey="SK1", twilioApiSecret="s")
    assert "twilioAuthToken is not set" in Twilio().doubt(without, by_twilio(URL, {"CallSid": CALL}, ""))


# --- read --------------------------------------------------------------------------------------------------------------


def read(step: str, **fields: str) -> CarrierNews:
    return Twilio().read(posted(URL, {"CallSid": CALL, **fields}), step)


def test_a_call_comes_in() -> None:
    news = read("", From="+4930123", To="+15550100", CallerName="Ada", CallStatus="ringing")
    assert news == CarrierNews(Happening.CALLED, CALL, "+4930123", "+15550100", "Ada")


@pytest.mark.parametrize(
    ("status", "sip", "outcome"),
    [
        ("completed", "", Outcome.COMPLETED),
        ("busy", "486", Outcome.BUSY),
        ("no-answer", "", Outcome.NO_ANSWER),
        ("canceled", "", Outcome.CANCELLED),
        ("failed", "", Outcome.FAILED),
        ("failed", "404", Outcome.UNALLOCATED),
        ("failed", "603", Outcome.REJECTED),
    ],
)
@pytest.mark.parametrize("step", ["", "next", "status"])
def test_a_call_is_over(step: str, status: str, sip: str, outcome: Outcome) -> None:
    news = read(step, CallStatus=status, SipResponseCode=sip)
    assert (news.happening, news.outcome) == (Happening.ENDED, outcome)
    assert status in news.detail


@pytest.mark.parametrize(
    ("status", "happening"),
    [
        ("initiated", Happening.OTHER),
        ("ringing", Happening.RINGING),
        ("in-progress", Happening.ANSWERED),
        ("of tomorrow", Happening.OTHER),
    ],
)
def test_a_call_goes_on(status: str, happening: Happening) -> None:
    assert read("status", CallStatus=status).happening is happening


def test_the_media_socket_is_over() -> None:
    assert read("next", CallStatus="in-progress").happening is Happening.NEXT


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("completed", Outcome.COMPLETED),
        ("answered", Outcome.COMPLETED),
        ("busy", Outcome.BUSY),
        ("no-answer", Outcome.NO_ANSWER),
        ("failed", Outcome.FAILED),
        ("", Outcome.FAILED),
    ],
)
def test_whom_the_caller_was_passed_on_to_is_gone(status: str, outcome: Outcome) -> None:
    # The caller himself may have gone as well: what became of the other still counts.
    news = read("dialled", DialCallStatus=status, CallStatus="completed")
    assert (news.happening, news.outcome) == (Happening.DIALLED, outcome)


@given(st.binary(), st.sampled_from(["", "next", "dialled", "status"]), st.text())
def test_nothing_raises(body: bytes, step: str, content_type: str) -> None:
    for kind in ("application/x-www-form-urlencoded", content_type):
        request = CarrierRequest("POST", (URL,), {"content-type": kind}, {}, body)
        for carrier in (Twilio(), SignalWire()):
            news = carrier.read(request, step)
            assert len(news.detail) < 1_500
            assert carrier.doubt(ACCOUNT, request)


# --- markup ------------------------------------------------------------------------------------------------------------


def test_the_audio_goes_to_the_media_socket() -> None:
    answer = Twilio().connect(WAY)
    assert answer.media_type.startswith("text/xml")
    root = ET.fromstring(answer.body)
    connect = root.find("Connect")
    assert connect is not None
    assert connect.attrib == {"action": WAY.next_url, "method": "POST"}
    stream = connect.find("Stream")
    assert stream is not None
    assert stream.attrib == {"url": WAY.stream_url}
    parameter = stream.find("Parameter")
    assert parameter is not None
    assert parameter.attrib == {"name": "who", "value": 'a "b" <c>'}


def test_signalwire_is_asked_for_real_time() -> None:
    stream = ET.fromstring(SignalWire().connect(WAY).body).find("Connect/Stream")
    assert stream is not None
    assert stream.attrib["realtime"] == "true"


@pytest.mark.parametrize(("busy", "reason"), [(True, "busy"), (False, "rejected")])
def test_nobody_takes_the_call(busy: bool, reason: str) -> None:
    reject = ET.fromstring(Twilio().refuse(busy=busy).body).find("Reject")
    assert reject is not None
    assert reject.attrib == {"reason": reason}


def test_the_caller_is_passed_on_to_a_number() -> None:
    answer = Twilio().pass_on(Onward("+4930456", "", "+4930123", "ww12", 33.0), WAY)
    dial = ET.fromstring(answer.body).find("Dial")
    assert dial is not None
    assert dial.attrib == {
        "callerId": "+4930123",
        "timeout": "33",
        "answerOnBridge": "true",
        "action": WAY.dialled_url,
        "method": "POST",
    }
    number = dial.find("Number")
    assert number is not None
    assert (number.text, number.attrib) == ("+4930456", {"sendDigits": "ww12"})


def test_the_caller_is_passed_on_to_an_address() -> None:
    answer = Twilio().pass_on(Onward(uri="sip:a@b.example?x=1&y=2"), MediaWay(""))
    sip = ET.fromstring(answer.body).find("Dial/Sip")
    assert sip is not None
    assert sip.text == "sip:a@b.example?x=1&y=2"


@given(st.text(), st.text())
def test_markup_stays_markup(text: str, other: str) -> None:
    answer = Twilio().pass_on(Onward(text, "", other, other), MediaWay("", dialled_url=other))
    assert [each.tag for each in ET.fromstring(answer.body).iter()] == ["Response", "Dial", "Number"]


def test_nothing_is_left_to_do() -> None:
    assert ET.fromstring(Twilio().done().body)[0].tag == "Hangup"


# --- requests ------------------------------------------------------------------------------------------------------------


async def test_a_call_is_placed() -> None:
    twilio = Twilio()
    async with api() as far:
        far.answers = [(201, {"sid": CALL, "status": "queued"})]
        placing = Placing("c1", "+4930456", "+15550100", WAY, "1234", 20.4)
        assert await twilio.place(account(far.url, twilioAuthToken="token"), placing) == CALL
        await twilio.close()
    asked = far.asked[0]
    assert (asked.method, asked.path) == ("POST", f"/2010-04-01/Accounts/{SID}/Calls.json")
    assert asked.user == (SID, "token")
    fields = asked.fields
    assert ET.fromstring(fields.pop("Twiml")[0]).find("Connect/Stream") is not None
    assert fields == {
        "To": ["+4930456"],
        "From": ["+15550100"],
        "Timeout": ["20"],
        "SendDigits": ["1234"],
        "StatusCallback": [WAY.status_url],
        "StatusCallbackMethod": ["POST"],
        "StatusCallbackEvent": ["initiated", "ringing", "answered", "completed"],
    }


async def test_an_api_key_takes_the_place_of_the_token() -> None:
    twilio = Twilio()
    async with api() as far:
        keyed = account(far.url, twilioAuthToken="token", twilioApiKey="SK1", twilioApiSecret="s3")
        await twilio.hang_up(keyed, CALL)
        await twilio.close()
    assert far.asked[0].user == ("SK1", "s3")
    assert far.asked[0].path == f"/2010-04-01/Accounts/{SID}/Calls/{CALL}.json"
    assert far.asked[0].fields == {"Status": ["completed"]}


@pytest.mark.parametrize("answer", [(404, {"code": 20404}), (400, {"code": 21220})])
async def test_a_call_that_is_over_already_is_hung_up(answer: tuple[int, dict[str, int]]) -> None:
    twilio = Twilio()
    async with api() as far:
        far.answers = [answer]
        await twilio.hang_up(account(far.url, twilioAuthToken="t"), CALL)
        await twilio.close()
    assert len(far.asked) == 1


async def test_a_call_is_passed_on() -> None:
    twilio = Twilio()
    async with api() as far:
        await twilio.transfer(account(far.url, twilioAuthToken="t"), CALL, Onward("+4930456"), WAY)
        await twilio.close()
    assert ET.fromstring(far.asked[0].fields["Twiml"][0]).find("Dial/Number") is not None


@pytest.mark.parametrize(
    ("status", "document", "code", "fault"),
    [
        (401, {"code": 20003, "message": "the token is 123"}, "unauthorized", Fault.CONFIG),
        (400, {"code": 21211}, "bad_request", Fault.CONFIG),
        (429, {}, "rate_limited", Fault.PROVIDER),
        (503, "not json", "failed", Fault.PROVIDER),
        (301, {}, "bad_request", Fault.CONFIG),
    ],
)
async def test_a_refusal_has_a_name_and_quotes_nothing(
    status: int, document: object, code: str, fault: Fault
) -> None:
    twilio = Twilio()
    async with api() as far:
        far.answers = [(status, document)]
        with pytest.raises(ProviderError) as caught:
            await twilio.place(account(far.url, twilioAuthToken="t"), Placing("c", "+1", "+2", WAY))
        await twilio.close()
    assert (caught.value.code, caught.value.fault) == (code, fault)
    assert "123" not in str(caught.value)
    assert f"status {status}" in str(caught.value)


async def test_nobody_is_there() -> None:
    twilio = Twilio()
    async with api() as far:
        gone = far.url
    with pytest.raises(ProviderError) as caught:
        await twilio.place(account(gone, twilioAuthToken="t"), Placing("c", "+1", "+2", WAY))
    await twilio.close()
    assert caught.value.code == "unreachable"


async def test_an_address_that_is_none() -> None:
    twilio = Twilio()
    with pytest.raises(ProviderError) as caught:
        await twilio.place(account("http://[::1", twilioAuthToken="t"), Placing("c", "+1", "+2", WAY))
    await twilio.close()
    assert caught.value.code in ("bad_url", "unreachable")


async def test_an_answer_without_end_is_cut() -> None:
    twilio = Twilio()
    async with api() as far:
        far.answers = [(200, "x" * 300_000)]
        with pytest.raises(ProviderError) as caught:
            await twilio.place(account(far.url, twilioAuthToken="t"), Placing("c", "+1", "+2", WAY))
        await twilio.close()
    assert caught.value.code == "overlong"


async def test_signalwire_has_its_own_space() -> None:
    signalwire = SignalWire()
    async with api() as far:
        keys = {"accountId": "project", "authToken": "PT1", "space": "x.signalwire.com"}
        await signalwire.hang_up(CarrierAccount("signalwire", "+1", far.url, keys), "call/1")
        await signalwire.close()
    assert far.asked[0].path == "/api/laml/2010-04-01/Accounts/project/Calls/call%2F1.json"
    assert far.asked[0].user == ("project", "PT1")


def test_signalwire_signs_with_its_signing_key() -> None:
    account = CarrierAccount("signalwire", "+1", "", {"signingKey": "PSK"})
    signed = by_twilio(URL, {"CallSid": CALL}, "PSK")
    renamed = CarrierRequest(
        signed.method,
        signed.urls,
        {**signed.headers, "x-signalwire-signature": signed.headers["x-twilio-signature"]},
        signed.query,
        signed.body,
    )
    assert SignalWire().doubt(account, signed) == ""
    assert SignalWire().doubt(account, renamed) == ""
    assert SignalWire().doubt(account, by_twilio(URL, {"CallSid": CALL}, "other"))
    assert "signingKey" in SignalWire().doubt(CarrierAccount("signalwire"), signed)
