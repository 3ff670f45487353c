from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.sip.fields import Address, CSeq, Via
from aywa.core.sip.headers import Headers
from aywa.core.sip.message import (
    BODY_MAX_BYTES,
    FIELDS_MAX,
    HEAD_MAX_BYTES,
    Malformed,
    Request,
    Response,
    parse,
    respond_to,
)
from aywa.core.sip.uri import Unreadable
from tests.core.feed import examples

FIELDS = (
    "Via: SIP/2.0/UDP client.example:5070;branch=z9hG4bKa;rport, SIP/2.0/TCP first.example",
    "v: SIP/2.0/TLS last.example",
    "Max-Forwards: 70",
    'From: "Anna" <sip:anna@example.org>;tag=f1',
    "To: sip:bert@example.net",
    "Call-ID: one@client.example",
    "CSeq: 7 INVITE",
    "Contact: <sip:anna@client.example:5070>",
)


def text(
    *fields: str, start: str = "INVITE sip:bert@example.net SIP/2.0", body: str = "", end: str = "\r\n"
) -> bytes:
    return end.join((start, *(fields or FIELDS), "", body)).encode()


def replaced(name: str, *lines: str) -> tuple[str, ...]:
    kept = [line for line in FIELDS if not line.startswith((f"{name}:", "v:" if name == "Via" else "-"))]
    return (*kept, *lines)


def request(data: bytes) -> Request:
    message = parse(data)
    assert isinstance(message, Request)
    return message


def refused(data: bytes, *, stream: bool = False) -> Malformed:
    with pytest.raises(Malformed) as caught:
        parse(data, stream=stream)
    return caught.value


def test_a_request_is_read() -> None:
    message = request(text(*FIELDS, "c: Application/SDP; x=1", body="v=0"))
    assert (message.method, message.uri, message.body) == ("INVITE", "sip:bert@example.net", b"v=0")
    assert message.via == Via("UDP", "client.example", 5070, {"branch": "z9hG4bKa", "rport": None})
    assert [via.transport for via in message.vias] == ["UDP", "TCP", "TLS"]
    assert message.from_address == Address("sip:anna@example.org", "Anna", {"tag": "f1"})
    assert message.to_address.tag is None
    assert message.cseq == CSeq(7, "INVITE")
    assert message.call_id == "one@client.example"
    assert [contact.uri for contact in message.contacts] == ["sip:anna@client.example:5070"]
    assert message.content_type == "application/sdp"


def test_a_response_is_read() -> None:
    message = parse(text(start="sip/2.0 180 Läutet"))
    assert isinstance(message, Response)
    assert (message.status, message.reason, message.provisional, message.successful) == (
        180,
        "Läutet",
        True,
        False,
    )
    bare = parse(text(start="SIP/2.0 200"))
    assert isinstance(bare, Response)
    assert (bare.reason, bare.provisional, bare.successful) == ("", False, True)
    assert bare.content_type == ""


def test_what_was_written_is_read_again() -> None:
    message = request(text(body="v=0\r\n"))
    again = request(message.encode())
    again.headers.remove("Content-Length")
    assert again == message
    response = Response(486, headers=message.headers, body=b"\x00\xff")
    read = parse(response.encode())
    assert isinstance(read, Response)
    assert (read.status, read.reason, read.body) == (486, "Busy Here", b"\x00\xff")
    assert response.encode().startswith(b"SIP/2.0 486 Busy Here\r\n")
    assert Response(299, "a\r\nb").encode().startswith(b"SIP/2.0 299 a  b\r\n")


def test_a_copy_is_its_own() -> None:
    message = request(text())
    copied = message.copy()
    copied.headers.remove("Via")
    response = Response(200)
    response.copy().headers.add("X", "1")
    assert "Via" in message.headers
    assert (response.reason, len(response.headers)) == ("OK", 0)
    assert Response(299).reason == "Unknown"


def test_a_body_is_not_shown() -> None:
    assert "secret" not in repr(Request("MESSAGE", "sip:h", body=b"secret"))


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_both_ends_of_lines_are_taken(end: str) -> None:
    message = request(text(*replaced("To", "To :", " \t sip:bert", "\t;x=1"), "l: 2", body="12345", end=end))
    assert message.to_address == Address("sip:bert", "", {"x": "1"})
    assert message.body == b"12"


def test_ends_of_lines_before_the_message_are_passed_over() -> None:
    assert request(b"\r\n\r\n" + text()).method == "INVITE"


def test_old_names_in_latin_1_can_be_read() -> None:
    data = text().replace(b"Anna", "Jürgen".encode("latin-1"))
    message = request(data)
    assert message.from_address.display == "Jürgen"
    assert request(message.encode()).from_address.display == "Jürgen"


def test_a_lone_carriage_return_is_a_space() -> None:
    message = request(text(*FIELDS, "X-Name: a\rVia: b"))
    assert message.headers.get("X-Name") == "a Via: b"
    assert len(message.vias) == 3


def test_a_datagram_may_end_with_its_fields_when_it_has_no_body() -> None:
    assert request(text(*FIELDS, "Content-Length: 0").removesuffix(b"\r\n")).body == b""
    assert refused(text(*FIELDS, "Content-Length: 1").removesuffix(b"\r\n")).why == "no end of the header"
    assert refused(text().removesuffix(b"\r\n")).why == "no end of the header"


@pytest.mark.parametrize(
    ("data", "status", "why"),
    [
        (text(start="INVITE sip:bert@example.net SIP/3.0"), 505, "another version"),
        (text(start="INVITE  sip:bert@example.net SIP/2.0"), 400, "the request line"),
        (text(start="INVITE sip:bert@example.net; lr SIP/2.0"), 400, "the request line"),
        (text(start="INVITE sip:bert@example.net SIP/2.0 "), 400, "the request line"),
        (text(start="INVITE <sip:bert@example.net> SIP/2.0"), 400, "the Request-URI"),
        (text(start="INVITE sip:bert@example.net?Route=a SIP/2.0"), 400, "headers in the Request-URI"),
        (text(" folded", *FIELDS), 400, "the start line is folded"),
        (text(*FIELDS, "no field"), 400, "a header field without a name"),
        (text(*FIELDS, "no field", *["X: 1"] * FIELDS_MAX), 400, "a header field without a name"),
        (text(*FIELDS, *["X: 1"] * FIELDS_MAX), 513, "too many header fields"),
        (text(*FIELDS, "X: " + "x" * HEAD_MAX_BYTES), 513, "too long"),
        (text(*FIELDS, "l: 5", body="1234"), 400, "shorter than its Content-Length"),
        (text(*FIELDS, "l: -5", body="1234"), 400, "Content-Length"),
        (text(*FIELDS, "l: 1", "Content-Length: 2", body="1234"), 400, "Content-Length"),
        (text(*FIELDS, f"l: {BODY_MAX_BYTES + 1}"), 513, "too long"),
        (text(*FIELDS, body="x" * (BODY_MAX_BYTES + 1)), 513, "too long"),
        (text(*replaced("From")), 400, "from: missing"),
        (text(*FIELDS, "t: sip:other"), 400, "to: more than one"),
        (text(*FIELDS, "i: other"), 400, "call-id: more than one"),
        (text(*replaced("Call-ID", "Call-ID:")), 400, "call-id: no Call-ID"),
        (text(*replaced("Call-ID", "Call-ID: a b")), 400, "call-id: no Call-ID"),
        (text(*replaced("CSeq", "CSeq: x")), 400, "cseq: a CSeq is not one"),
        (text(*replaced("CSeq", "CSeq: 7 BYE")), 400, "cseq: another method"),
        (text(*replaced("Via")), 400, "via: missing"),
        (text(*replaced("Via", "Via:")), 400, "via: missing"),
        (text(*replaced("Via", "Via: ,")), 400, "via: missing"),
        (text(*replaced("Via", "Via: x")), 400, "via: a Via is not one"),
        (text(*replaced("From", 'From: "x')), 400, "from: a quotation is not closed"),
        (text(*replaced("To", "To: <sip:x")), 400, "to: a bracket is not closed"),
        (text(*replaced("Contact", "Contact: <sip:x>;;")), 400, "contact: a parameter is not one"),
        (text(*FIELDS, "Route: x"), 400, "route: no URI"),
        (
            text(*FIELDS, "Record-Route: <sip:x>, <"),
            400,
            "record-route: a quotation or a bracket is not closed",
        ),
        (text(*replaced("Max-Forwards", "Max-Forwards: 256")), 400, "max-forwards: the number is too large"),
        (text(*FIELDS, "Max-Forwards: 1"), 400, "max-forwards: more than one"),
    ],
)
def test_a_request_that_cannot_stand_is_refused_with_what_to_answer(
    data: bytes, status: int, why: str
) -> None:
    fault = refused(data)
    assert (fault.status, fault.why) == (status, why)
    assert isinstance(fault.message, Request)
    assert str(fault) == why


def test_over_a_stream_the_length_must_be_said() -> None:
    assert refused(text(), stream=True).why == "no Content-Length"
    assert isinstance(parse(text(*FIELDS, "l: 0"), stream=True), Request)


@pytest.mark.parametrize(
    "data",
    [
        text(start="SIP/2.0 4294967301 more than any"),
        text(start="SIP/2.0 099 less"),
        text(*FIELDS, "To: <sip:x>", start="SIP/2.0 200 OK"),
        text(*replaced("CSeq", "CSeq: 7 BYE"), start="ACK sip:bert SIP/2.0"),
        text(start="GET / HTTP/1.1"),
        b"\x80\x80\x00\x01" * 40,
        b"",
    ],
)
def test_responses_acknowledgements_and_noise_are_never_answered(data: bytes) -> None:
    assert refused(data).status == 0


def test_an_empty_via_is_passed_over() -> None:
    assert request(text("Via:", "Via: ,", *FIELDS)).via.host == "client.example"


def test_the_star_of_a_registration_is_no_address() -> None:
    message = request(text(*replaced("Contact", "m: *")))
    assert message.contacts == []


def test_an_answer_repeats_what_every_answer_repeats() -> None:
    message = request(text(*FIELDS, "Timestamp: 5", "X-Own: 1"))
    trying = respond_to(message, 100)
    assert [name for name, _ in trying.headers] == ["Via", "v", "From", "To", "Call-ID", "CSeq", "Timestamp"][
        :1
    ] * 2 + [
        "From",
        "To",
        "Call-ID",
        "CSeq",
        "Timestamp",
    ]
    assert trying.headers.get("To") == "sip:bert@example.net"
    assert respond_to(request(text()), 100).headers.get("Timestamp") is None
    busy = respond_to(message, 486, "Busy", tag="t1", headers=[("Retry-After", "5")], body=b"x")
    assert (busy.status, busy.reason, busy.body) == (486, "Busy", b"x")
    assert busy.to_address == Address("sip:bert@example.net", "", {"tag": "t1"})
    assert busy.headers.get("retry-after") == "5"
    assert "X-Own" not in busy.headers


def test_a_tag_that_is_there_stays_and_what_cannot_be_read_goes_back_as_it_came() -> None:
    message = request(text(*replaced("To", "To: <sip:bert@example.net>;tag=mine")))
    assert respond_to(message, 200, tag="other").to_address.tag == "mine"
    broken = Request("INVITE", "sip:h", [("To", '"open')])
    assert respond_to(broken, 400, tag="t").headers.get("To") == '"open'


def test_of_an_empty_message_nothing_can_be_read() -> None:
    empty = Request("INVITE", "sip:h", Headers())
    assert empty.call_id == ""
    for read in (lambda: empty.cseq, lambda: empty.via, lambda: empty.from_address, lambda: empty.to_address):
        with pytest.raises(Unreadable):
            read()


# --- hostile input ---------------------------------------------------------------------------------------------

MARKS = list('<>;,:="\\é ')
WORDS = st.sampled_from(
    [
        *MARKS,
        *"INVITE ACK CANCEL SIP/2.0 SIP/2.0/UDP sip: a@b h tag branch z9hG4bK rport 1 0 -1 999999999999".split(),
    ]
)
NAMES = st.sampled_from(
    "Via v From f To t Call-ID i CSeq Max-Forwards Contact m Route Record-Route Content-Length l X".split()
)
VALUES = st.lists(st.one_of(WORDS, st.text(max_size=4), st.just("\r\n ")), max_size=12).map("".join)


@st.composite
def grammatical(draw: st.DrawFn) -> bytes:
    """A message of the right shape with wrong things in it."""
    start = draw(
        st.one_of(
            st.sampled_from(["INVITE sip:a@b SIP/2.0", "ACK sip:a@b SIP/2.0", "SIP/2.0 200 OK"]),
            st.lists(WORDS, max_size=5).map(" ".join),
        )
    )
    lines = list(FIELDS)
    for _ in range(draw(st.integers(0, 4))):
        line = f"{draw(NAMES)}{draw(st.sampled_from([':', ' : ', '']))}{draw(VALUES)}"
        place = draw(st.integers(0, len(lines)))
        if draw(st.booleans()) and place < len(lines):
            lines[place] = line
        else:
            lines.insert(place, line)
    return text(*lines, start=start, body=draw(st.text(max_size=8)))


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good message with some octets changed, taken out or doubled."""
    data = bytearray(text(*FIELDS, "l: 3", body="v=0"))
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(data) - 1))
        kind = draw(st.integers(0, 3))
        if kind == 0:
            data[place] = draw(st.integers(0, 255))
        elif kind == 1:
            del data[place : place + draw(st.integers(1, 8))]
        elif kind == 2:
            data[place:place] = draw(st.binary(max_size=4))
        else:
            data[place:place] = data[place : place + 20] * 2
        if not data:
            break
    return bytes(data)


def judged(data: bytes) -> tuple[Request | Response | None, Malformed | None]:
    try:
        return parse(data), None
    except Malformed as fault:
        return None, fault


@examples(100)
@given(st.one_of(grammatical(), mutated(), st.binary(max_size=200)))
def test_any_bytes_are_read_or_refused_and_what_was_read_can_be_written(data: bytes) -> None:
    message, fault = judged(data)
    if fault is not None:
        assert fault.status in (0, 400, 505, 513)
        # What could be read of it can be answered.
        if isinstance(fault.message, Request):
            assert respond_to(fault.message, 400, tag="t").encode()
        return
    assert message is not None
    again = parse(message.encode())
    again.headers.remove("content-length")
    message.headers.remove("content-length")
    assert again == message
    assert (message.via, message.cseq, message.from_address, message.to_address) == (
        again.via,
        again.cseq,
        again.from_address,
        again.to_address,
    )
    if isinstance(message, Request):
        response = parse(respond_to(message, 200, tag="t").encode())
        assert response.to_address.tag == message.to_address.tag or response.to_address.tag == "t"
