"""Digest authentication, both sides of it: RFC 7616 as SIP uses it (RFC 3261 22, RFC 8760).

The server keeps no nonce: it signs the time. It remembers only the counts of those that were used well, within a bound.
A name that is unknown is answered as a wrong password is, and takes as long. No password ever shows.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aywa.core.sip.fields import quote, unquote
from aywa.core.sip.message import Request, Response
from aywa.core.sip.uri import SipUri, Unreadable, bare_host, parse_uri

# Strongest first: the order in which we offer, and in which we choose (RFC 8760 2.4).
ALGORITHMS: Mapping[str, str] = {"SHA-512-256": "sha512_256", "SHA-256": "sha256", "MD5": "md5"}
# How long a challenge may be answered; after that it is stale, and the client answers a fresh one unasked.
NONCE_LIFE_S = 300.0
# Uses of one nonce may overtake each other by so many.
NC_WINDOW = 64
# So many nonces in use are remembered; the one used longest ago is forgotten, and stale from then on.
NONCES_MAX = 20_000
# A field longer than this is nobody's password.
FIELD_MAX_CHARS = 4096
# A peer that challenges again and again is not answered for ever.
CHALLENGES_MAX = 4
REALMS_MAX = 4

_MAC_BYTES = 16
_SALT_BYTES = 6
_PARAM = re.compile(
    r"[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)[ \t]*=[ \t]*(?:\"((?:[^\"\\]|\\.)*)\"|([^ \t,\"]+))[ \t]*(?:,[ \t,]*|$)",
    re.DOTALL,
)
_HEX = re.compile(r"[0-9a-fA-F]+")


def available(algorithm: str) -> bool:
    """Whether this machine can calculate it: SHA-512/256 comes with most builds of OpenSSL, not with all."""
    return ALGORITHMS.get(algorithm.removesuffix("-sess")) in hashlib.algorithms_available


def parse_digest(value: str) -> dict[str, str] | None:
    """The parameters of a challenge or of its answer, names in lower case; None for another scheme. Raises Unreadable."""
    scheme, _, rest = value.strip(" \t").partition(" ")
    if scheme.lower() != "digest":
        return None
    if len(rest) > FIELD_MAX_CHARS:
        raise Unreadable("the digest is too long")
    params: dict[str, str] = {}
    position = 0
    while position < len(rest):
        match = _PARAM.match(rest, position)
        if match is None:
            raise Unreadable("a parameter of the digest is not one")
        params.setdefault(match[1].lower(), unquote(match[2]) if match[2] is not None else match[3])
        position = match.end()
    return params


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a server asks for. qops: empty where it only knows RFC 2069."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    opaque: str | None = None
    stale: bool = False
    qops: tuple[str, ...] = ()

    @property
    def strength(self) -> int:
        """Higher is better."""
        return -list(ALGORITHMS).index(self.algorithm.removesuffix("-sess"))


def parse_challenge(value: str) -> Challenge | None:
    """None: another scheme, or an algorithm that is not ours. Raises Unreadable."""
    params = parse_digest(value)
    if params is None:
        return None
    if "realm" not in params or "nonce" not in params:
        raise Unreadable("a challenge without realm or nonce")
    base, dash, session = params.get("algorithm", "MD5").partition("-sess")
    algorithm = base.upper() + dash
    if session or not available(algorithm):
        return None
    qops = tuple(word.strip(" \t").lower() for word in params.get("qop", "").split(",") if word.strip(" \t"))
    stale = params.get("stale", "").lower() == "true"
    return Challenge(params["realm"], params["nonce"], algorithm, params.get("opaque"), stale, qops)


def read_challenges(values: Iterable[str]) -> list[Challenge]:
    """What several fields ask for: of each realm the strongest that we can answer (RFC 8760 2.4), in their order."""
    chosen: dict[str, Challenge] = {}
    for value in values:
        try:
            challenge = parse_challenge(value)
        except Unreadable:
            continue
        if challenge is None or (challenge.qops and not {"auth", "auth-int"} & set(challenge.qops)):
            continue
        known = chosen.get(challenge.realm)
        if known is None or challenge.strength > known.strength:
            chosen[challenge.realm] = challenge
    return list(chosen.values())[:REALMS_MAX]


@dataclass(frozen=True, slots=True)
class Account:
    """Who we are at a server. realm: where these words hold; None anywhere."""

    username: str
    password: str = field(repr=False)
    realm: str | None = None


def _hash(algorithm: str, *words: str) -> str:
    name = ALGORITHMS[algorithm.removesuffix("-sess")]
    made = hashlib.new(name, ":".join(words).encode("utf-8", "replace"), usedforsecurity=False)
    return made.hexdigest()


def _hash_body(algorithm: str, body: bytes) -> str:
    return hashlib.new(ALGORITHMS[algorithm.removesuffix("-sess")], body, usedforsecurity=False).hexdigest()


def secret_of(algorithm: str, username: str, realm: str, password: str) -> str:
    """HA1 of a password, which may be kept in its stead (RFC 7616 3.4.2)."""
    return _hash(algorithm, username, realm, password)


@dataclass(frozen=True, slots=True)
class _Words:
    """What goes into one answer besides the secret."""

    algorithm: str
    nonce: str
    method: str
    uri: str
    qop: str = ""
    cnonce: str = ""
    nc: str = ""


def _answer(secret: str, words: _Words, body: bytes) -> str:
    """RFC 7616 3.4.1; without qop as RFC 2069 had it."""
    if words.algorithm.endswith("-sess"):
        secret = _hash(words.algorithm, secret, words.nonce, words.cnonce)
    last = (words.method, words.uri)
    if words.qop == "auth-int":
        last = (*last, _hash_body(words.algorithm, body))  # type: ignore[assignment]
    asked = _hash(words.algorithm, *last)
    if not words.qop:
        return _hash(words.algorithm, secret, words.nonce, asked)
    return _hash(words.algorithm, secret, words.nonce, words.nc, words.cnonce, words.qop, asked)


# --- as a client -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Held:
    challenge: Challenge
    uses: int = 0

    def nonce_in(self, request: Request) -> bool:
        """Whether that request of ours answered this challenge."""
        shown = f"nonce={quote(self.challenge.nonce)},"
        values = [*request.headers.get_all("authorization"), *request.headers.get_all("proxy-authorization")]
        return any(shown in value for value in values)


class DigestClient:
    """Answers one peer's challenges, for a registration or a trunk. A challenge that was met is used again for what follows,
    so that it need not be asked each time (RFC 7616 3.6)."""

    def __init__(self, accounts: Iterable[Account], token: Callable[[], str]) -> None:
        self._accounts = tuple(accounts)
        self._token = token
        # By the field of the answer and the realm: a server and each proxy on the way may ask (RFC 3261 22.3).
        self._held: dict[tuple[str, str], _Held] = {}
        self._in_a_row = 0

    def challenged(self, response: Response, request: Request) -> bool:
        """A 401 or 407 came to that request. Whether it is worth coming again: not where the same words were refused."""
        asking, answering = (
            ("proxy-authenticate", "Proxy-Authorization")
            if response.status == 407
            else ("www-authenticate", "Authorization")
        )
        self._in_a_row += 1
        again = False
        for challenge in read_challenges(response.headers.get_all(asking)):
            place = (answering, challenge.realm)
            held = self._held.get(place)
            # The first use of a nonce that had not grown old was refused: the words are wrong. A later use may have met a
            # server that forgot it and does not say stale.
            refused = held is not None and held.uses == 1 and not challenge.stale and held.nonce_in(request)
            if refused or self._account(challenge.realm) is None:
                self._held.pop(place, None)
            elif held is not None or len(self._held) < 2 * REALMS_MAX:
                self._held[place] = _Held(challenge)
                again = True
        return again and self._in_a_row <= CHALLENGES_MAX

    def accepted(self) -> None:
        """Something was answered otherwise than with a challenge: the words were right."""
        self._in_a_row = 0

    def authorise(self, request: Request) -> None:
        """Puts the answers to what was asked so far into the request, in place of older ones."""
        for answering in ("Authorization", "Proxy-Authorization"):
            request.headers.remove(answering)
        for (answering, realm), held in self._held.items():
            account = self._account(realm)
            assert account is not None, "a challenge is held only where there is an account for it"
            held.uses += 1
            value = answer_challenge(held.challenge, account, request, self._token(), held.uses)
            request.headers.add(answering, value)

    def _account(self, realm: str) -> Account | None:
        exact = next((account for account in self._accounts if account.realm == realm), None)
        return exact or next((account for account in self._accounts if account.realm is None), None)


def answer_challenge(challenge: Challenge, account: Account, request: Request, cnonce: str, uses: int) -> str:
    """The value of the field that answers (RFC 7616 3.4). uses: which use of this nonce it is, from 1."""
    # auth-int breaks at the first element that touches the body, as many do with SDP.
    qop = "" if not challenge.qops else ("auth" if "auth" in challenge.qops else "auth-int")
    nc = f"{uses:08x}"
    words = _Words(challenge.algorithm, challenge.nonce, request.method, request.uri, qop, cnonce, nc)
    secret = secret_of(challenge.algorithm, account.username, challenge.realm, account.password)
    params = [
        f"username={quote(account.username)}",
        f"realm={quote(challenge.realm)}",
        f"nonce={quote(challenge.nonce)}",
        f"uri={quote(request.uri)}",
        f'response="{_answer(secret, words, request.body)}"',
        f"algorithm={challenge.algorithm}",
    ]
    if qop or challenge.algorithm.endswith("-sess"):
        params.append(f"cnonce={quote(cnonce)}")
    if qop:
        params += [f"qop={qop}", f"nc={nc}"]
    if challenge.opaque is not None:
        params.append(f"opaque={quote(challenge.opaque)}")
    return f"Digest {', '.join(params)}"


# --- as a server -----------------------------------------------------------------------------------------------


class Proof(StrEnum):
    """ABSENT: nothing was shown that could be judged. STALE: right words, an old nonce: ask again with stale. WRONG: ask again.
    PROVEN: they know the password."""

    ABSENT = "absent"
    STALE = "stale"
    WRONG = "wrong"
    PROVEN = "proven"


@dataclass(frozen=True, slots=True)
class Verdict:
    """username: who it claims to be, and only when proven who it is."""

    proof: Proof
    username: str = ""


@dataclass(slots=True)
class _Used:
    issued_s: float
    highest: int = 1
    # One bit for each of the last counts, the lowest for the highest.
    seen: int = 1


class DigestServer:
    """One realm. lookup: the password of a name, None where there is no such name. secret: signs the nonces; processes that
    share it accept each other's."""

    def __init__(
        self,
        realm: str,
        secret: bytes,
        lookup: Callable[[str], str | None],
        *,
        algorithms: Iterable[str] = ("SHA-256", "MD5"),
        life_s: float = NONCE_LIFE_S,
        nonces: int = NONCES_MAX,
    ) -> None:
        self.realm = realm
        self.algorithms = tuple(each for each in algorithms if available(each))
        self._secret = secret
        self._lookup = lookup
        self._life_s = life_s
        self._nonces = nonces
        self._used: OrderedDict[str, _Used] = OrderedDict()
        # Of what was issued up to then some uses are forgotten, so none of it is taken for unused.
        self._forgotten_s = float("-inf")

    def challenge(self, salt: str, now: float, *, stale: bool = False) -> list[str]:
        """The values to ask with, strongest first, one field each (RFC 8760 2.3). salt: a fresh word."""
        nonce = self._nonce(hashlib.sha256(salt.encode()).digest()[:_SALT_BYTES], now)
        more = ", stale=true" if stale else ""
        return [
            f'Digest realm={quote(self.realm)}, nonce="{nonce}", algorithm={algorithm}, qop="auth"{more}'
            for algorithm in self.algorithms
        ]

    def verify(self, request: Request, now: float, *, proxy: bool = False) -> Verdict:
        """Judges what the request shows. A nonce may be used often, each count once (RFC 7616 3.3, 3.4.5)."""
        for value in request.headers.get_all("proxy-authorization" if proxy else "authorization"):
            try:
                params = parse_digest(value)
            except Unreadable:
                continue
            # Others' realms may stand beside ours (RFC 3261 22.3).
            if params is not None and params.get("realm") == self.realm:
                return self._judge(params, request, now)
        return Verdict(Proof.ABSENT)

    def _judge(self, params: Mapping[str, str], request: Request, now: float) -> Verdict:
        algorithm = params.get("algorithm", "MD5").upper()
        username, shown = params.get("username", ""), params.get("response", "").lower()
        nc, qop = params.get("nc", ""), params.get("qop", "").lower()
        if algorithm not in self.algorithms or not shown.isascii():
            return Verdict(Proof.WRONG)
        # Without qop there is no count, and what was overheard could be said again.
        if qop != "auth" or not params.get("cnonce") or len(nc) != 8 or not _HEX.fullmatch(nc):
            return Verdict(Proof.WRONG)
        words = _Words(
            algorithm,
            params.get("nonce", ""),
            request.method,
            params.get("uri", ""),
            qop,
            params["cnonce"],
            nc,
        )
        password = self._lookup(username)
        # The same work for a name that does not exist: nobody learns names from the time it takes.
        secret = secret_of(algorithm, username, self.realm, "" if password is None else password)
        right = hmac.compare_digest(_answer(secret, words, request.body), shown)
        issued_s = self._issued(words.nonce)
        if not right or password is None or issued_s is None or not _same_place(words.uri, request.uri):
            return Verdict(Proof.WRONG)
        # A second into the future: clocks of processes that share the secret differ a little.
        young = -1.0 <= now - issued_s <= self._life_s
        if not young or not self._count(words.nonce, issued_s, int(nc, 16)):
            return Verdict(Proof.STALE)
        return Verdict(Proof.PROVEN, username)

    def _nonce(self, salt: bytes, now: float) -> str:
        stamped = int(now * 1000).to_bytes(8, "big", signed=True) + salt
        return urlsafe_b64encode(stamped + self._mac(stamped)).decode()

    def _mac(self, stamped: bytes) -> bytes:
        return hmac.digest(self._secret, stamped + self.realm.encode("utf-8", "replace"), "sha256")[
            :_MAC_BYTES
        ]

    def _issued(self, nonce: str) -> float | None:
        """When the nonce was made; None: not by us."""
        try:
            data = urlsafe_b64decode(nonce.encode("ascii"))
        except (UnicodeEncodeError, Base64Error):
            return None
        stamped, mac = data[: 8 + _SALT_BYTES], data[8 + _SALT_BYTES :]
        if not hmac.compare_digest(mac, self._mac(stamped)):
            return None
        return int.from_bytes(stamped[:8], "big", signed=True) / 1000

    def _count(self, nonce: str, issued_s: float, number: int) -> bool:
        """Notes one use of a nonce; False when it was used so before, or when that cannot be known."""
        used = self._used.get(nonce)
        if used is None:
            if number != 1 or issued_s <= self._forgotten_s:
                # Counted from the middle, or forgotten: a fresh nonce settles it.
                return False
            self._used[nonce] = _Used(issued_s)
            if len(self._used) > self._nonces:
                _, forgotten = self._used.popitem(last=False)
                self._forgotten_s = max(self._forgotten_s, forgotten.issued_s)
            return True
        self._used.move_to_end(nonce)
        behind = used.highest - number
        if behind < 0:
            used.seen = (used.seen << min(-behind, NC_WINDOW) | 1) & (1 << NC_WINDOW) - 1
            used.highest = number
            return True
        if behind >= NC_WINDOW or used.seen >> behind & 1:
            return False
        used.seen |= 1 << behind
        return True


def _same_place(shown: str, asked: str) -> bool:
    """Whether what was signed is for us. A proxy on the way may have put another user into the Request-URI, so that the two need
    not be the same (RFC 3261 22.4); and some telephones sign the host alone. The host must be the same: what was signed for
    another server is not taken, and no nonce of ours is taken twice."""
    if shown == asked:
        return True
    try:
        signed, wanted = parse_uri(shown), parse_uri(asked)
    except Unreadable:
        return False
    if isinstance(signed, SipUri) and isinstance(wanted, SipUri):
        return bare_host(signed.host) == bare_host(wanted.host)
    return signed.same(wanted)
