"""Who may begin something: trunks by their networks, open networks, accounts by their password; everybody else is refused
alike, whoever or whatever was asked for (no one learns which names exist), and after a while not heard at all.

It answers without keeping anything of a stranger but what the guard counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from aywa.core.sip.digest import DigestServer, Proof
from aywa.core.sip.endpoint import SILENCE, Refusal, Silence
from aywa.core.sip.events import Banned
from aywa.core.sip.flow import Flow
from aywa.core.sip.guard import Ban, Fault, Guard, is_scanner, networks, within
from aywa.core.sip.line import ALLOW, SUPPORTED
from aywa.core.sip.message import Request
from aywa.core.sip.session_timer import INTERVAL_S, LEAST_S
from aywa.core.sip.trunk import TrunkWatch

SERVER_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """accounts: name and password of who may call from anywhere. open_networks: who may call without any. calls: how many at
    once, those that have just ended counted too. session_expires_s: 0 for no timer of our own. algorithms: of the digest, the
    strongest first; some telephones know only the first that they are offered."""

    realm: str = "aywa"
    accounts: Mapping[str, str] = field(default_factory=dict, repr=False)
    open_networks: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    user_agent: str = "Aywa"
    session_expires_s: int = INTERVAL_S
    min_se_s: int = LEAST_S
    calls: int = 5_000
    algorithms: tuple[str, ...] = ("SHA-256", "MD5")


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who it is: the trunks whose network it came from, or the account that was proven."""

    trunks: tuple[str, ...] = ()
    user: str = ""


class Admission:
    """The door of one agent. tell: takes bans; word: fresh words; trunks: those there are now."""

    def __init__(
        self,
        settings: AgentSettings,
        token: Callable[[int], bytes],
        trunks: Callable[[], Iterable[TrunkWatch]],
        tell: Callable[[Banned], None],
    ) -> None:
        self._settings = settings
        self._token = token
        self._trunks = trunks
        self._tell = tell
        self._open = networks(settings.open_networks)
        self._accounts: Mapping[str, str] = dict(settings.accounts)
        self._digest = DigestServer(
            settings.realm, token(SERVER_SECRET_BYTES), self._password, algorithms=settings.algorithms
        )
        self.guard = Guard(settings.open_networks)
        self.retry_after_s: int | None = None
        # Of the request that was let in last, for who handles it next.
        self.admitted = Admitted()

    def _password(self, name: str) -> str | None:
        return self._accounts.get(name)

    def set_accounts(self, accounts: Mapping[str, str]) -> None:
        """The accounts there are from now on."""
        self._accounts = dict(accounts)

    def exempt(self, nets: Iterable[str]) -> None:
        """The trunks' networks have changed."""
        self.guard.set_exempt((*self._settings.open_networks, *nets))

    def hears(self, flow: Flow, now: float) -> bool:
        """Whether anything from there is looked at at all."""
        heard, ban = self.guard.hears(flow.remote[0], now)
        self._banned(ban)
        return heard

    def blame(self, flow: Flow, fault: Fault, now: float) -> None:
        """Somebody there did something."""
        self._banned(self.guard.blame(flow.remote[0], fault, now))

    def _banned(self, ban: Ban | None) -> None:
        if ban is not None:
            self._tell(Banned(ban.address, ban.until_s, ban.why))

    def screen(self, request: Request, flow: Flow, now: float) -> Refusal | Silence | None:
        """The endpoint's screen: before anything is remembered of a request."""
        self.admitted = Admitted()
        address = flow.remote[0]
        if not self.guard.exempts(address) and is_scanner(request.headers.get("user-agent") or ""):
            self.blame(flow, Fault.SCANNER, now)
            return SILENCE
        if request.to_address.tag is not None:
            # It belongs to a dialog, or is answered 481.
            return None
        if request.method == "OPTIONS":
            return self._able()
        trunks = tuple(each.trunk.name for each in self._trunks() if each.sends(address))
        if trunks:
            self.admitted = Admitted(trunks)
        elif not within(address, self._open):
            refusal = self._challenge(request, flow, now)
            if refusal is not None:
                return refusal
        if request.method == "INVITE" and self.retry_after_s is not None:
            return Refusal(503, headers=(("Retry-After", str(self.retry_after_s)),))
        return None

    def _able(self) -> Refusal:
        """Every OPTIONS is answered, in the same words for everybody (RFC 3261 11.2)."""
        if self.retry_after_s is not None:
            return Refusal(503, headers=(("Retry-After", str(self.retry_after_s)),))
        fields = (("Allow", ALLOW), ("Supported", SUPPORTED), ("Accept", "application/sdp"))
        return Refusal(200, headers=fields)

    def _challenge(self, request: Request, flow: Flow, now: float) -> Refusal | None:
        """None for who has shown the password of an account."""
        if not self._accounts:
            self.blame(flow, Fault.NOT_ALLOWED, now)
            return Refusal(403)
        verdict = self._digest.verify(request, now)
        if verdict.proof is Proof.PROVEN:
            self.guard.trust(flow.remote[0], now)
            self.admitted = Admitted((), verdict.username)
            return None
        if verdict.proof is Proof.WRONG:
            self.blame(flow, Fault.WRONG_PASSWORD, now)
        elif verdict.proof is Proof.ABSENT:
            self.blame(flow, Fault.UNKNOWN, now)
        asked = self._digest.challenge(self._token(8).hex(), now, stale=verdict.proof is Proof.STALE)
        return Refusal(401, headers=tuple(("WWW-Authenticate", each) for each in asked))
