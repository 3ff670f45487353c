"""A message of every kind that RFC 4475 lists, in words of our own, and what an element is to make of it.

Each goes through an endpoint, as a datagram and over a stream. OK: it becomes a request that somebody above answers (or, of a
response, is given to the transaction it belongs to). A number: that is the answer, and nothing is remembered. NONE: no answer.
"""

from __future__ import annotations

import pytest

from aywa.core.sip.endpoint import Abilities, Endpoint
from aywa.core.sip.flow import Dropped, Flow, RequestReceived, ResponseReceived, Send
from aywa.core.sip.message import Request, parse
from aywa.core.sip.stream import Framer
from aywa.core.sip.uri import SipUri, parse_uri

OK = -1
NONE = 0
SDP = "v=0\no=a 1 1 IN IP4 192.0.2.9\ns=-\nc=IN IP4 192.0.2.9\nt=0 0\nm=audio 4000 RTP/AVP 0\n"

UDP = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.9", 5060))
TCP = Flow("tcp", ("192.0.2.1", 5060), ("192.0.2.9", 41000), "c")


def message(
    start: str, *changes: str, body: str = "", without: tuple[str, ...] = (), length: str | None = "l: {}"
) -> bytes:
    """A plain message with other fields in the place of the plain ones. A change that begins with + stands beside them."""
    method = start.split(" ")[0] if not start.startswith("SIP") else "INVITE"
    fields = {
        "via": "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKt1",
        "max-forwards": "Max-Forwards: 70",
        "from": "From: <sip:anna@example.org>;tag=f1",
        "to": "To: <sip:bert@example.net>",
        "call-id": "Call-ID: torture@192.0.2.9",
        "cseq": f"CSeq: 5 {method}",
    }
    more: list[str] = []
    for change in changes:
        if change.startswith("+"):
            more.append(change[1:])
        else:
            fields[change.partition(":")[0].strip().lower()] = change
    kept = [line for name, line in fields.items() if name not in without]
    octets = body.replace("\n", "\r\n").encode()
    last = [] if length is None else [length.format(len(octets))]
    return "\r\n".join([start, *kept, *more, *last, "", ""]).encode() + octets


# The name of the kind in the RFC: the message, the verdict.
KINDS: dict[str, tuple[bytes, int]] = {
    # 3.1.1 Valid.
    "wsinv": (
        message(
            "INVITE sip:bert@edge.example;strange SIP/2.0",
            "To :\r\n sip:bert@edge.example ;   tag    = 77",
            'from   : "A \\\\\\""    <sip:anna@example.org>\r\n  ;\r\n  tag = f1',
            "MAX-forwards: 0069",
            "cseq: 0005\r\n  INVITE",
            "Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.9;branch=z9hG4bKt1",
            "+s :",
            "+NewField:   a value\r\n that goes on",
            "+Odd: ;;,,;;,;",
            "+Route:\r\n <sip:edge.example;lr;odd=value;odder>",
            "+v:  SIP  / 2.0  / TCP     one.example   ;\r\n  branch  =   z9hG4bKt2  ,\r\n"
            " SIP  / 2.0   / UDP  two.example ; branch=\r\n z9hG4bKt3",
            '+m:"A name \\"\\"" <sip:anna@example.org> ; one =\r\n      value ;\r\n  two ; q = 0.5',
            body=SDP,
            length="Content-Length   : {}",
        ),
        OK,
    ),
    "intmeth": (
        message(
            "!a-Method01_*+`.%b'~ sip:a_b.~(c)&d'e+f$/g?,/;;*:&h+i=1,j!*k$l~m_n.(o)@example.com SIP/2.0",
            "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-.!%66*_+`'~",
            'To: "BEL:\\\a NUL:\\\0 DEL:\\\x7f" <sip:a_b.~(c)&d\'e+f$/g?,/;;*@example.com>',
            "From: one~` two'+_ three*%!.- <sip:a@b>;p''~+*_!.-%=\"имя\";tag=_t~1'+`*%!-.",
            "Call-ID: word%ZK-!.*_+'@word`~)(><:\\/\"][?}{",
            "+anExtension-!.%*+_`'~:\ufeff大停電",
        ),
        501,
    ),
    "esc01": (
        message(
            "INVITE sip:sips%3Aanna%40example.org@example.net SIP/2.0",
            "To: sip:%61nna@example.org",
            "From: <sip:With%20spaces@example.net>;tag=f1",
            "+Contact:\r\n <sip:c%61ll@host.example;%6C%72;n%61me=v%61lue%25%34%31>",
            body=SDP,
        ),
        OK,
    ),
    "escnull": (
        message(
            "REGISTER sip:example.org SIP/2.0",
            "To: sip:n-%00-n@example.org",
            "From: sip:n-%00-n@example.org;tag=f1",
            "+Contact: <sip:%00@h.example>",
            "+Contact: <sip:%00%00@h.example>",
        ),
        OK,
    ),
    # An escaped name is another name, of a method and of a field.
    "esc02": (
        message(
            "RE%47IST%45R sip:example.org SIP/2.0", 'To: "%Z%45" <sip:a@example.org>', "+C%6Fntact: <sip:b@c>"
        ),
        501,
    ),
    "lwsdisp": (
        message("OPTIONS sip:bert@example.net SIP/2.0", "From: anna<sip:anna@example.org>;tag=f1"),
        OK,
    ),
    "longreq": (
        message(
            "INVITE sip:bert@example.net SIP/2.0",
            f'To: "A name {"very" * 30} long"<sip:bert@example.net:6000;p1={"long" * 30}value;long{"param" * 30}name=v>',
            f"From: sip:{'long' * 30}@example.org;tag=12{'982' * 30};other{'x' * 60}=v;valueless{'y' * 60}",
            f"Call-ID: a{'really' * 20}long",
            f"+Unknown-{'Long' * 20}-Name: unknown-{'long' * 20}-value",
            *(
                f"+{name}: SIP/2.0/TCP h{number}.example"
                for number, name in enumerate(("Via", "v", "VIA", "V ", "vIa") * 6)
            ),
            f"+Contact: <sip:{'long' * 30}@host.example>",
            body=SDP,
        ),
        OK,
    ),
    "dblreq": (
        message("REGISTER sip:example.org SIP/2.0")
        + b"\r\n\r\n"
        + message("INVITE sip:bert@example.net SIP/2.0", "Call-ID: other", body=SDP),
        OK,
    ),
    "semiuri": (
        message("OPTIONS sip:bert;par=u%40example.net@example.com SIP/2.0", "+Accept: a/b, c/d,\r\n     e/f"),
        OK,
    ),
    "transports": (
        message(
            "OPTIONS sip:bert@example.net SIP/2.0",
            *(
                f"+Via: SIP/2.0/{name} h.example;branch=z9hG4bKx"
                for name in ("SCTP", "TLS", "UNKNOWN", "TCP")
            ),
        ),
        OK,
    ),
    "mpart01": (
        message(
            "MESSAGE sip:bert@example.net SIP/2.0",
            "+Content-Type: multipart/mixed;boundary=7a9",
            body="--7a9\nContent-Type: text/plain\n\nHello\n--7a9\n\n\x00\x01\n--7a9--",
        ),
        OK,
    ),
    "unreason": (message("SIP/2.0 200 = 2**3 * 5**2 больше и ничего", body=SDP), OK),
    "noreason": (message("SIP/2.0 100 "), OK),
    # 3.1.2 Invalid.
    "badinv01": (
        message(
            "INVITE sip:bert@example.net SIP/2.0",
            "Via: SIP/2.0/UDP 192.0.2.9;;,;,,",
            '+Contact: "Anna" <sip:anna@example.org>;;;;',
            body=SDP,
        ),
        400,
    ),
    "clerr": (message("INVITE sip:bert@example.net SIP/2.0", body=SDP, length="Content-Length: 9999"), 400),
    "ncl": (message("INVITE sip:bert@example.net SIP/2.0", body=SDP, length="Content-Length: -999"), 400),
    "scalar02": (
        message(
            "REGISTER sip:example.org SIP/2.0",
            "CSeq: 36893488147419103232 REGISTER",
            "Max-Forwards: 300",
            f"+Expires: 1{'0' * 90}",
            "+Contact: <sip:a@b>;expires=280297596632815",
        ),
        400,
    ),
    "scalarlg": (
        message(
            "SIP/2.0 503 Service Unavailable",
            "CSeq: 9292394834772304023312 INVITE",
            "+Retry-After: 949302838503028349304023988",
            '+Warning: 1812 overture "In Progress"',
        ),
        NONE,
    ),
    "quotbal": (
        message("INVITE sip:bert@example.net SIP/2.0", 'To: "Mr. B <sip:bert@example.net>', body=SDP),
        400,
    ),
    "ltgtruri": (message("INVITE <sip:bert@example.net> SIP/2.0", body=SDP), 400),
    "lwsruri": (message("INVITE sip:bert@example.net; lr SIP/2.0", body=SDP), 400),
    "lwsstart": (message("INVITE  sip:bert@example.net  SIP/2.0", body=SDP), 400),
    "trws": (message("OPTIONS sip:bert@example.net SIP/2.0  "), 400),
    "escruri": (message("INVITE sip:bert@example.net?Route=%3Csip:example.com%3E SIP/2.0", body=SDP), 400),
    # The date is nothing we go by.
    "baddate": (
        message("INVITE sip:bert@example.net SIP/2.0", "+Date: Fri, 01 Jan 2010 16:00:00 EST", body=SDP),
        OK,
    ),
    "regbadct": (
        message(
            "REGISTER sip:example.org SIP/2.0", "+Contact: sip:anna@example.org?Route=%3Csip:h.example%3E"
        ),
        400,
    ),
    "badaspec": (message("OPTIONS sip:bert@example.net SIP/2.0", 'To: "B, A" < sip:bert@example.net >'), 400),
    # What is meant is plain, and many send it so.
    "baddn": (
        message("OPTIONS sip:bert@example.net SIP/2.0", "From:    Weber, Anna <sip:anna@example.org>;tag=f1"),
        OK,
    ),
    "badvers": (
        message("OPTIONS sip:bert@example.net SIP/7.0", "Via: SIP/7.0/UDP 192.0.2.9;branch=z9hG4bKt1"),
        505,
    ),
    "mismatch01": (message("OPTIONS sip:bert@example.net SIP/2.0", "CSeq: 5 INVITE"), 400),
    "mismatch02": (message("NEWMETHOD sip:bert@example.net SIP/2.0", "CSeq: 5 INVITE", body=SDP), 400),
    "bigcode": (message("SIP/2.0 4294967301 better not break the receiver"), NONE),
    # 3.2 Transaction layer.
    "badbranch": (
        message("OPTIONS sip:bert@example.net SIP/2.0", "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK"),
        OK,
    ),
    # 3.3 Application layer.
    "insuf": (
        message(
            "INVITE sip:bert@example.net SIP/2.0", without=("from", "to", "call-id", "max-forwards"), body=SDP
        ),
        400,
    ),
    "unkscm": (message("OPTIONS nobodyKnowsThis:opaquecontent SIP/2.0"), 416),
    "novelsc": (message("OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0"), 416),
    "unksm2": (
        message(
            "REGISTER sip:example.org SIP/2.0",
            "To: isbn:2983792873",
            "From: <http://www.example.com>;tag=f1",
            "+Contact: <name:Anna_Weber>",
        ),
        OK,
    ),
    "bext01": (
        message(
            "OPTIONS sip:bert@example.net SIP/2.0",
            "+Require: nothingSupportsThis, northis",
            "+Proxy-Require: noproxy",
        ),
        420,
    ),
    # The next are well-formed; what becomes of them is decided above (415, 401, 406, a registrar's own answers).
    "invut": (
        message(
            "INVITE sip:bert@example.net SIP/2.0", "+Content-Type: application/unknown", body="<audio/>\n"
        ),
        OK,
    ),
    "regaut01": (
        message("REGISTER sip:example.org SIP/2.0", "+Authorization: NoOneKnows opaque-data=here"),
        OK,
    ),
    "sdp01": (message("INVITE sip:bert@example.net SIP/2.0", "+Accept: text/unheard", body=SDP), OK),
    "cparam01": (message("REGISTER sip:example.org SIP/2.0", "+Contact: sip:+1@gw.example;unknownparam"), OK),
    "cparam02": (
        message("REGISTER sip:example.org SIP/2.0", "+Contact: <sip:+1@gw.example;unknownparam>"),
        OK,
    ),
    "regescrt": (
        message("REGISTER sip:example.org SIP/2.0", "+M: <sip:anna@example.org?Route=%3Csip:h.example%3E>"),
        OK,
    ),
    "multi01": (
        message(
            "INVITE sip:bert@example.net SIP/2.0",
            "+CSeq: 59 INVITE",
            "+Call-ID: other",
            "+To: sip:other@example.net",
            "+From: sip:other@example.org;tag=2",
            "+Max-Forwards: 5",
            body=SDP,
        ),
        400,
    ),
    "mcl01": (
        message(
            "OPTIONS sip:bert@example.net SIP/2.0",
            "+Content-Length: 13",
            body="How many octets?",
            length="Content-Length: 5",
        ),
        400,
    ),
    "bcast": (message("SIP/2.0 200 OK", "+Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bKx", body=SDP), NONE),
    # For a proxy the last hop, for us like any other.
    "zeromf": (message("OPTIONS sip:bert@example.net SIP/2.0", "Max-Forwards: 0"), OK),
    # 3.4 As before RFC 3261: no branch, no tag, no Max-Forwards, no length.
    "inv2543": (
        message(
            "INVITE sip:bert@example.net SIP/2.0",
            "Via: SIP/2.0/UDP old.example",
            "From: <sip:+1@old.example;user=phone>",
            "+Record-Route: <sip:bert@example.net;maddr=h.example>",
            without=("max-forwards",),
            body=SDP,
            length=None,
        ),
        OK,
    ),
}

# Over a stream nothing tells where these end.
ENDLESS = {"inv2543": 400}
# And this waits for the rest of its body, as it may.
WAITING = ("clerr",)


def endpoint() -> Endpoint:
    # The branch of the responses above belongs to a request of ours.
    made = Endpoint(lambda: "t1", b"s", abilities=Abilities(options=frozenset()))
    fields = [
        ("From", "<sip:anna@example.org>;tag=f1"),
        ("To", "<sip:b>"),
        ("Call-ID", "x"),
        ("CSeq", "5 INVITE"),
    ]
    made.request(Request("INVITE", "sip:b", fields), UDP, 0.0)
    return made


def judge(side: Endpoint, data: bytes, flow: Flow, verdict: int) -> None:
    actions = side.receive(data, flow, 1.0)
    if verdict == OK:
        kind = ResponseReceived if data.startswith(b"SIP/2.0") else RequestReceived
        assert [type(action) for action in actions] == [kind]
        return
    sends = [action for action in actions if isinstance(action, Send)]
    assert [send.data.split(b" ")[1] for send in sends] == ([] if verdict == NONE else [b"%d" % verdict])
    assert [action.status for action in actions if isinstance(action, Dropped)] == [verdict]
    # Nothing is remembered but our own request.
    assert side.transactions == (1, 0)


def test_there_are_49_kinds() -> None:
    assert len(KINDS) == 49


@pytest.mark.parametrize("name", KINDS)
def test_as_a_datagram(name: str) -> None:
    data, verdict = KINDS[name]
    judge(endpoint(), data, UDP, verdict)


@pytest.mark.parametrize("name", KINDS)
def test_over_a_stream(name: str) -> None:
    data, verdict = KINDS[name]
    framer = Framer()
    pieces = [each for octet in data for each in framer.receive(bytes([octet])) if isinstance(each, bytes)]
    if name in WAITING:
        assert pieces == []
        return
    assert len(pieces) == (2 if name == "dblreq" else 1)
    assert bool(framer.broken) == (name in ("ncl", "mcl01", "inv2543"))
    judge(endpoint(), pieces[0], TCP, ENDLESS.get(name, verdict))


# --- and what they are meant to show ---------------------------------------------------------------------------


def read(name: str) -> Request:
    made = parse(KINDS[name][0])
    assert isinstance(made, Request)
    return made


def test_white_space_changes_nothing() -> None:
    made = read("wsinv")
    assert (made.to_address.tag, made.from_address.display, made.cseq.number) == ("77", 'A \\"', 5)
    assert [via.branch for via in made.vias] == ["z9hG4bKt1", "z9hG4bKt2", "z9hG4bKt3"]
    assert (made.contacts[0].display, made.contacts[0].params) == (
        'A name ""',
        {"one": "value", "two": None, "q": "0.5"},
    )
    assert made.headers.get("newfield") == "a value that goes on"
    assert made.headers.get("subject") == ""
    assert made.body.startswith(b"v=0")


def test_escapes_are_resolved_once_and_only_where_they_may_stand() -> None:
    uri = parse_uri(read("esc01").uri)
    assert isinstance(uri, SipUri)
    assert uri.user_text == "sips:anna@example.org"
    contact = read("esc01").contacts[0].parsed_uri
    assert isinstance(contact, SipUri)
    assert contact.loose
    assert contact.params["name"] == "v%61lue%25%34%31"
    null = read("escnull").to_address.parsed_uri
    assert isinstance(null, SipUri)
    assert null.user_text == "n-\0-n"
    assert read("esc02").contacts == []
    semi = parse_uri(read("semiuri").uri)
    assert isinstance(semi, SipUri)
    assert (semi.user_text, semi.host, semi.params) == ("bert;par=u@example.net", "example.com", {})


def test_where_the_parameter_stands_decides_whose_it_is() -> None:
    assert read("cparam01").contacts[0].params == {"unknownparam": None}
    assert read("cparam02").contacts[0].uri == "sip:+1@gw.example;unknownparam"


def test_odd_names_are_kept() -> None:
    made = read("intmeth")
    assert made.to_address.display == "BEL:\a NUL:\0 DEL:\x7f"
    assert made.from_address.params == {"p''~+*_!.-%": "имя", "tag": "_t~1'+`*%!-."}
    assert read("baddn").from_address.display == "Weber, Anna"
