"""The door: who may begin something, and that nobody learns anything from how they are refused."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aywa.core.sip.admission import Admission, Admitted, AgentSettings
from aywa.core.sip.digest import Account, answer_challenge, parse_challenge
from aywa.core.sip.endpoint import SILENCE, Refusal
from aywa.core.sip.events import Banned
from aywa.core.sip.flow import Flow
from aywa.core.sip.guard import Fault
from aywa.core.sip.message import Request
from aywa.core.sip.trunk import Trunk, TrunkWatch
from tests.core.feed import examples
from tests.core.sip.lines import StubWire, asked
from tests.core.sip.network import tokens

NEAR = Flow("udp", ("127.0.0.1", 5060), ("127.0.0.1", 40_000))
FAR = Flow("udp", ("192.0.2.1", 5060), ("203.0.113.7", 5060))
CARRIER = Flow("udp", ("192.0.2.1", 5060), ("198.51.100.3", 5060))


class Door:
    def __init__(self, **settings: Any) -> None:
        self.told: list[Banned] = []
        self.trunks = [TrunkWatch(Trunk("t", networks=("198.51.100.0/24",)), StubWire())]
        self.admission = Admission(
            AgentSettings(**settings),
            tokens(3),
            lambda: self.trunks,
            self.told.append,
        )
        self.admission.exempt(self.trunks[0].trunk.networks)

    def asks(self, request: Request, flow: Flow = FAR, now: float = 0.0) -> int:
        """The status of the refusal, 0 for let in, -1 for silence."""
        verdict = self.admission.screen(request, flow, now)
        return 0 if verdict is None else -1 if verdict is SILENCE else verdict.status  # type: ignore[union-attr]


def with_password(door: Door, user: str, password: str, method: str = "INVITE", now: float = 0.0) -> Request:
    request = asked(method)
    refusal = door.admission.screen(request, FAR, now)
    assert isinstance(refusal, Refusal)
    challenge = parse_challenge(refusal.headers[0][1])
    assert challenge is not None
    answer = answer_challenge(challenge, Account(user, password), request, "cnonce", 1)
    request.headers.set("Authorization", answer)
    return request


def test_the_settings_hide_the_passwords() -> None:
    assert "s3cret" not in repr(AgentSettings(accounts={"bob": "s3cret"}))


def test_open_networks_and_trunks_come_in() -> None:
    door = Door()
    assert door.asks(asked("INVITE"), NEAR) == 0
    assert door.admission.admitted == Admitted()
    assert door.asks(asked("INVITE"), CARRIER) == 0
    assert door.admission.admitted == Admitted(("t",))
    assert door.asks(asked("INVITE")) == 403


def test_an_account_comes_in_with_its_password() -> None:
    door = Door(accounts={"bob": "s3cret"})
    assert door.asks(with_password(door, "bob", "s3cret")) == 0
    assert door.admission.admitted == Admitted((), "bob")
    old = with_password(door, "bob", "s3cret")
    stale = door.admission.screen(old, FAR, 1e6)
    assert isinstance(stale, Refusal)
    assert "stale=true" in stale.headers[0][1]
    door.admission.set_accounts({"eve": "other"})
    assert door.asks(with_password(door, "bob", "s3cret")) == 401
    assert door.asks(with_password(door, "eve", "other")) == 0


def test_who_is_inside_a_dialog_is_let_through() -> None:
    request = asked("BYE")
    request.headers.set("To", "<sip:demo@192.0.2.1>;tag=1")
    assert Door().asks(request) == 0


def test_scanners_get_no_answer_and_trunks_may_call_themselves_anything() -> None:
    door = Door()
    request = asked("OPTIONS", ("User-Agent", "friendly-scanner"))
    assert door.asks(request) == -1
    assert [each.why for each in door.told] == ["scanner"]
    assert not door.admission.hears(FAR, 1.0)
    assert door.admission.hears(CARRIER, 1.0)
    assert door.asks(request, CARRIER) == 200


def test_everybody_may_ask_whether_we_are_there() -> None:
    door = Door()
    assert door.asks(asked("OPTIONS")) == 200
    door.admission.retry_after_s = 5
    assert door.asks(asked("OPTIONS")) == 503
    assert door.asks(asked("INVITE"), NEAR) == 503
    assert door.asks(asked("REGISTER"), NEAR) == 0
    assert door.asks(asked("INVITE")) == 403


def test_a_flood_is_told_once() -> None:
    door = Door()
    heard = [door.admission.hears(FAR, 0.0) for _ in range(100)]
    assert heard[0]
    assert not heard[-1]
    assert [each.why for each in door.told] == ["flood"]
    door.admission.blame(FAR, Fault.SCANNER, 0.0)
    assert len(door.told) == 1


def test_knocking_on_and_on_is_a_ban_and_a_person_s_mistake_is_not() -> None:
    door = Door(accounts={"bob": "s3cret"})
    for number in range(3):
        door.asks(with_password(door, "bob", "mistyped", now=number * 10.0), now=number * 10.0)
    assert door.told == []
    for _ in range(30):
        door.asks(asked("REGISTER"), now=31.0)
    assert len(door.told) == 1


NAMES = st.sampled_from(("bob", "alice", "100", "admin", "x" * 50))


@examples(60)
@given(NAMES, st.sampled_from(("INVITE", "REGISTER", "MESSAGE", "SUBSCRIBE")), st.text("abc", max_size=4))
def test_a_name_that_exists_is_refused_in_the_same_words_as_one_that_does_not(
    name: str, method: str, password: str
) -> None:
    refusals = []
    for user in ("bob", name):
        door = Door(accounts={"bob": "s3cret"})
        verdict = door.admission.screen(with_password(door, user, password, method), FAR, 0.0)
        assert isinstance(verdict, Refusal)
        refusals.append((verdict.status, verdict.reason, [field for field, _ in verdict.headers]))
    assert refusals[0] == refusals[1]
