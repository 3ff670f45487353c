from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from aywa.core.sip.digest import (
    CHALLENGES_MAX,
    FIELD_MAX_CHARS,
    NC_WINDOW,
    NONCE_LIFE_S,
    REALMS_MAX,
    Account,
    Challenge,
    DigestClient,
    DigestServer,
    Proof,
    Verdict,
    answer_challenge,
    available,
    parse_challenge,
    parse_digest,
    read_challenges,
)
from aywa.core.sip.message import Request, Response
from aywa.core.sip.uri import Unreadable
from tests.core.feed import examples

ANNA = Account("anna", "pass:word")


def tokens() -> Callable[[], str]:
    numbers = count()
    return lambda: f"token{next(numbers)}"


def register(uri: str = "sip:example.org", body: bytes = b"") -> Request:
    return Request("REGISTER", uri, body=body)


def server(**settings: object) -> DigestServer:
    return DigestServer("here", b"key", {"anna": "pass:word"}.get, **settings)  # type: ignore[arg-type]


def asked(values: list[str], status: int = 401) -> Response:
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    return Response(status, headers=[(name, value) for value in values])


def proof(side: DigestServer, request: Request, now: float = 0.0) -> Proof:
    return side.verify(request, now).proof


# --- the words themselves --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("algorithm", "username", "password", "realm", "nonce", "cnonce", "uri", "response"),
    [
        # RFC 7616 3.9.1 and 3.9.2; RFC 2617 3.5.
        (
            "MD5",
            "Mufasa",
            "Circle of Life",
            "http-auth@example.org",
            "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            "/dir/index.html",
            "8ca523f5e9506fed4657c9700eebdbec",
        ),
        (
            "SHA-256",
            "Mufasa",
            "Circle of Life",
            "http-auth@example.org",
            "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            "/dir/index.html",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
        (
            "MD5",
            "Mufasa",
            "Circle Of Life",
            "testrealm@host.com",
            "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            "0a4f113b",
            "/dir/index.html",
            "6629fae49393a05397450978507c4ef1",
        ),
    ],
)
def test_published_answers(
    algorithm: str, username: str, password: str, realm: str, nonce: str, cnonce: str, uri: str, response: str
) -> None:
    challenge = Challenge(realm, nonce, algorithm, qops=("auth", "auth-int"))
    value = answer_challenge(challenge, Account(username, password), Request("GET", uri), cnonce, 1)
    params = parse_digest(value)
    assert params is not None
    assert (params["response"], params["nc"], params["qop"]) == (response, "00000001", "auth")


def test_an_answer_without_qop_is_that_of_the_older_standard() -> None:
    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    value = answer_challenge(
        Challenge("r", "n", opaque="o"), Account("u", "p"), Request("BYE", "sip:h"), "c", 1
    )
    assert parse_digest(value) == {
        "username": "u",
        "realm": "r",
        "nonce": "n",
        "uri": "sip:h",
        "response": md5(f"{md5('u:r:p')}:n:{md5('BYE:sip:h')}"),
        "algorithm": "MD5",
        "opaque": "o",
    }


def test_the_session_algorithm_and_a_protected_body() -> None:
    def sha(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    challenge = Challenge("r", "n", "SHA-256-sess", qops=("auth-int",))
    params = parse_digest(answer_challenge(challenge, Account("u", "p"), register(body=b"body"), "c", 2))
    assert params is not None
    secret = sha(f"{sha('u:r:p')}:n:c")
    wanted = sha(f"{secret}:n:00000002:c:auth-int:{sha('REGISTER:sip:example.org:' + sha('body'))}")
    assert (params["response"], params["algorithm"], params["cnonce"]) == (wanted, "SHA-256-sess", "c")


def test_sha_512_256_where_there_is_one() -> None:
    assert available("MD5-sess")
    assert not available("SHA-1")
    # The name is what OpenSSL calls it; without it the algorithm is neither offered nor chosen.
    assert available("SHA-512-256") == ("sha512_256" in hashlib.algorithms_available)


# --- reading challenges ----------------------------------------------------------------------------------------


def test_a_challenge_is_read() -> None:
    value = (
        'Digest realm="a \\"b\\"", nonce=n , qop="auth, x,,AUTH-INT",opaque="", stale=TRUE, algorithm=sha-256'
    )
    assert parse_challenge(value) == Challenge('a "b"', "n", "SHA-256", "", True, ("auth", "x", "auth-int"))
    assert parse_challenge('digest realm="r",nonce="n"') == Challenge("r", "n")
    assert parse_challenge("Digest realm=r, nonce=n, algorithm=MD5-sess") == Challenge("r", "n", "MD5-sess")


@pytest.mark.parametrize(
    "value",
    [
        "Basic realm=x",
        "NoOneKnows",
        "Digest realm=r, nonce=n, algorithm=SHA-1",
        "Digest realm=r,nonce=n,algorithm=MD5-sessx",
    ],
)
def test_what_is_not_for_us(value: str) -> None:
    assert parse_challenge(value) is None


@pytest.mark.parametrize(
    "value",
    [
        "Digest",
        "Digest realm=r",
        "Digest nonce=n",
        'Digest realm="r',
        "Digest realm",
        "Digest " + "a=b," * FIELD_MAX_CHARS,
    ],
)
def test_a_challenge_that_is_none(value: str) -> None:
    with pytest.raises(Unreadable):
        parse_challenge(value)


def test_of_each_realm_the_strongest_that_can_be_answered_is_chosen() -> None:
    values = [
        "Digest realm=r, nonce=md5",
        "Digest realm=r, nonce=sha, algorithm=SHA-256, qop=auth",
        "Digest realm=r, nonce=md5-again",
        "Digest realm=r, nonce=no, algorithm=SHA-256, qop=unheard",
        "Digest realm=other, nonce=n",
        "Digest realm",
        "Basic x",
    ]
    assert [each.nonce for each in read_challenges(values)] == ["sha", "n"]
    assert len(read_challenges(f"Digest realm=r{number}, nonce=n" for number in range(99))) == REALMS_MAX


# --- both sides together ---------------------------------------------------------------------------------------


def test_a_client_that_knows_the_password_gets_in_and_need_not_be_asked_again() -> None:
    side, client = server(), DigestClient([ANNA], tokens())
    first = register()
    client.authorise(first)
    assert proof(side, first) is Proof.ABSENT
    assert client.challenged(asked(side.challenge("salt", 5.0)), first)
    for _ in range(3):
        request = register()
        client.authorise(request)
        assert side.verify(request, 6.0) == Verdict(Proof.PROVEN, "anna")
        client.accepted()
        # Said again word for word it is worth nothing.
        assert proof(side, request, 6.0) is Proof.STALE


@pytest.mark.parametrize("account", [Account("anna", "wrong"), Account("nobody", "pass:word")])
def test_a_wrong_name_and_a_wrong_password_look_the_same_and_are_tried_once(account: Account) -> None:
    side, client = server(), DigestClient([account], tokens())
    assert client.challenged(asked(side.challenge("s", 0.0)), register())
    request = register()
    client.authorise(request)
    assert side.verify(request, 0.0) == Verdict(Proof.WRONG)
    assert not client.challenged(asked(side.challenge("t", 0.0)), request)
    assert client.challenged(asked(side.challenge("u", 0.0)), register())


def test_an_old_nonce_is_stale_and_a_fresh_one_is_answered_unasked() -> None:
    side, client = server(), DigestClient([ANNA], tokens())
    assert client.challenged(asked(side.challenge("s", 0.0)), register())
    request = register()
    client.authorise(request)
    late = NONCE_LIFE_S + 0.1
    assert proof(side, request, late) is Proof.STALE
    assert proof(side, request, -1.5) is Proof.STALE
    assert client.challenged(asked(side.challenge("t", late, stale=True)), request)
    client.authorise(request)
    assert proof(side, request, late) is Proof.PROVEN


def test_a_server_that_forgot_and_does_not_say_stale_gets_a_second_answer() -> None:
    side, client = server(), DigestClient([ANNA], tokens())
    assert client.challenged(asked(side.challenge("s", 0.0)), register())
    client.authorise(register())
    request = register()
    client.authorise(request)
    assert client.challenged(asked(server().challenge("t", 0.0)), request)


def test_a_peer_that_challenges_for_ever_is_left() -> None:
    client = DigestClient([ANNA], tokens())
    request = register()
    answered = 0
    while client.challenged(asked([f"Digest realm=r, nonce=n{answered}, stale=true"]), request):
        client.authorise(request)
        answered += 1
    assert answered == CHALLENGES_MAX


def test_a_proxy_and_a_server_may_both_ask() -> None:
    client = DigestClient([Account("anna", "a", "here"), Account("anna", "b")], tokens())
    request = register()
    assert client.challenged(asked(["Digest realm=proxy, nonce=p"], 407), request)
    client.authorise(request)
    assert client.challenged(asked(["Digest realm=here, nonce=s"]), request)
    client.authorise(request)
    assert 'nonce="p"' in (request.headers.get("Proxy-Authorization") or "")
    assert 'nonce="s"' in (request.headers.get("Authorization") or "")
    side = DigestServer("there", b"k", {"anna": "b"}.get)
    assert client.challenged(asked(side.challenge("x", 0.0), 407), request)
    client.authorise(request)
    assert side.verify(request, 0.0, proxy=True).proof is Proof.PROVEN


def test_without_an_account_for_the_realm_nothing_is_said() -> None:
    client = DigestClient([Account("anna", "a", "here")], tokens())
    assert not client.challenged(asked(["Digest realm=elsewhere, nonce=p"]), register())
    assert not client.challenged(asked([]), register())
    request = register()
    client.authorise(request)
    assert len(request.headers) == 0


def test_no_more_realms_are_answered_than_the_bound() -> None:
    client = DigestClient([ANNA], tokens())
    for number in range(99):
        client.challenged(asked([f"Digest realm=r{number}, nonce=n"]), register())
        client.accepted()
    request = register()
    client.authorise(request)
    assert len(request.headers) == 2 * REALMS_MAX


def test_no_password_shows() -> None:
    assert "pass:word" not in repr(ANNA)


# --- the server alone ------------------------------------------------------------------------------------------


def shown(side: DigestServer, **changes: str) -> Request:
    challenge = parse_challenge(side.challenge("s", 0.0)[-1])
    assert challenge is not None
    request = register()
    value = answer_challenge(challenge, ANNA, request, "c", 1)
    for name, text in changes.items():
        value = ", ".join(
            f'{name}="{text}"' if piece.removeprefix("Digest ").startswith(f"{name}=") else piece
            for piece in value.removeprefix("Digest ").split(", ")
        )
        value = f"Digest {value}"
    request.headers.add("Authorization", value)
    return request


@pytest.mark.parametrize(
    "changes",
    [
        {"algorithm": "SHA-1"},
        {"response": "ä"},
        {"response": "0" * 32},
        {"qop": ""},
        {"qop": "auth-int"},
        {"cnonce": ""},
        {"nc": "1"},
        {"nc": "0000000g"},
        {"nc": "00000002"},
        {"nonce": "ä"},
        {"nonce": "AAA"},
        {"nonce": "AAAA"},
        {"uri": "sip:elsewhere"},
        {"uri": "tel:+1"},
        {"username": "bert"},
    ],
)
def test_what_was_changed_is_wrong(changes: dict[str, str]) -> None:
    side = server()
    assert proof(side, shown(side)) is Proof.PROVEN
    assert proof(side, shown(side, **changes)) is Proof.WRONG


def answered_for(side: DigestServer, uri: str, nonce: str | None = None) -> Request:
    challenge = parse_challenge(side.challenge("s", 0.0)[0])
    assert challenge is not None
    if nonce is not None:
        challenge = Challenge("here", nonce, qops=("auth",))
    signed = register(uri)
    request = register("sip:anna@example.org")
    request.headers.add("Authorization", answer_challenge(challenge, ANNA, signed, "c", 1))
    return request


@pytest.mark.parametrize(
    "uri", ["sip:%61nna@EXAMPLE.org", "sip:bert@example.org", "sip:example.org", "sips:example.org:5061;lr"]
)
def test_a_proxy_may_have_put_another_user_there_and_a_telephone_none(uri: str) -> None:
    side = server()
    assert proof(side, answered_for(side, uri)) is Proof.PROVEN


def test_what_was_signed_must_be_for_us() -> None:
    side = server()
    assert proof(side, answered_for(side, "sip:anna@example.com")) is Proof.WRONG
    assert proof(side, answered_for(side, "tel:+4930")) is Proof.WRONG
    assert proof(side, answered_for(side, "no uri")) is Proof.WRONG
    assert proof(side, answered_for(side, "sip:anna@example.org", "bm90IG91cnM=")) is Proof.WRONG


def test_others_realms_may_stand_beside_ours() -> None:
    side = server()
    request = shown(side)
    ours = request.headers.get("Authorization") or ""
    request.headers.set_list(
        "Authorization", ["Digest realm", "Basic x", "Digest realm=there, nonce=n", ours]
    )
    assert proof(side, request) is Proof.PROVEN
    request.headers.set_list("Authorization", ["NoOneKnows data=here"])
    assert proof(side, request) is Proof.ABSENT


def test_it_is_asked_for_the_strongest_first() -> None:
    values = server(algorithms=("SHA-256", "SHA-1", "MD5")).challenge("s", 0.0, stale=True)
    challenges = [parse_challenge(value) for value in values]
    assert [each.algorithm for each in challenges if each] == ["SHA-256", "MD5"]
    assert all(each and each.stale and each.qops == ("auth",) for each in challenges)


class Counting(RuleBasedStateMachine):
    """Whatever is used in whatever order, no use of a nonce is taken twice, and one that is in order is always taken."""

    def __init__(self) -> None:
        super().__init__()
        self.side = server(nonces=3)
        self.challenges: list[Challenge] = []
        self.taken: set[tuple[str, int]] = set()
        self.highest: dict[str, int] = {}

    def show(self, challenge: Challenge, number: int) -> Proof:
        request = register()
        request.headers.add("Authorization", answer_challenge(challenge, ANNA, request, "c", number))
        return proof(self.side, request, 1.0)

    @rule(salt=st.integers(0, 10**9), at=st.sampled_from([0.0, 0.5, 1.0]))
    def ask(self, salt: int, at: float) -> None:
        challenge = parse_challenge(self.side.challenge(str(salt), at)[0])
        assert challenge is not None
        if challenge not in self.challenges:
            self.challenges.append(challenge)

    @precondition(lambda self: self.challenges)
    @rule(data=st.data())
    def use(self, data: st.DataObject) -> None:
        challenge = data.draw(st.sampled_from(self.challenges))
        highest = self.highest.get(challenge.nonce, 0)
        number = max(1, highest + data.draw(st.integers(-NC_WINDOW - 2, NC_WINDOW + 2)))
        verdict = self.show(challenge, number)
        assert verdict in (Proof.PROVEN, Proof.STALE)
        if (challenge.nonce, number) in self.taken:
            assert verdict is Proof.STALE
        if verdict is Proof.PROVEN:
            self.taken.add((challenge.nonce, number))
            self.highest[challenge.nonce] = max(highest, number)

    @precondition(lambda self: self.highest)
    @rule()
    def go_on(self) -> None:
        nonce, highest = list(self.highest.items())[-1]
        challenge = next(each for each in self.challenges if each.nonce == nonce)
        # Among the last three nonces used there is no forgetting.
        if len(self.highest) <= 3:
            assert self.show(challenge, highest + 1) is Proof.PROVEN
            self.taken.add((nonce, highest + 1))
            self.highest[nonce] = highest + 1


TestCounting = Counting.TestCase
TestCounting.settings = settings(max_examples=40, deadline=None, derandomize=True)


def test_uses_may_overtake_each_other() -> None:
    side = server()
    challenge = parse_challenge(side.challenge("s", 0.0)[0])
    assert challenge is not None

    def use(number: int) -> Proof:
        request = register()
        request.headers.add("Authorization", answer_challenge(challenge, ANNA, request, "c", number))
        return proof(side, request)

    assert use(2) is Proof.STALE
    assert [use(number) for number in (1, 3, 2, 2, 3)] == [Proof.PROVEN] * 3 + [Proof.STALE] * 2
    assert use(3 + NC_WINDOW) is Proof.PROVEN
    assert use(3) is Proof.STALE
    assert use(4) is Proof.PROVEN


@examples(100)
@given(st.text(max_size=60), st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_words_are_judged(value: str, username: str) -> None:
    side = server()
    request = shown(side)
    request.headers.set("Authorization", f'Digest realm=here, username="{username}", {value}')
    assert proof(side, request) in (Proof.ABSENT, Proof.WRONG)
    assert isinstance(read_challenges([f"Digest realm=here, nonce=1, {value}"]), list)
