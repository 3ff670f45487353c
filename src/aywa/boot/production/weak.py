"""What the settings themselves say of a production runtime: what is missing, malformed or weak. Nobody is asked.

Every finding comes at once. None tells a value that is secret, nor any part of it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, parse_qs, urlsplit

from aywa.adapters.secrets.aes_gcm import BadKey, read_key
from aywa.boot import settings_table
from aywa.boot.artifact_settings import bucket_from_environment
from aywa.boot.deliveries import allowed_from_environment, courier_limits_from_environment
from aywa.boot.equipment_settings import SECRET_LENGTH_MIN, equipment_from_environment
from aywa.boot.errors import CannotStart
from aywa.boot.finding import Finding
from aywa.boot.freeswitch_settings import freeswitch_from_environment
from aywa.boot.node_settings import node_from_environment
from aywa.boot.phone_settings import phone_from_environment
from aywa.boot.prices import load_prices
from aywa.boot.production import strength
from aywa.boot.production.codes import (
    API_KEY,
    BUCKET,
    CLICKHOUSE,
    ENCRYPTION,
    ENDPOINT,
    KEY_ID,
    KEY_SECRET,
    MEDIA_URL,
    MISSING,
    POSTGRES,
    PREVIOUS,
    PUBLIC_URL,
    REDIS,
    SIGNING,
    SWITCHES,
    fault,
    line,
    note,
)
from aywa.boot.serve_settings import pipeline_from_environment, serve_from_environment
from aywa.boot.settings import PROVIDER_VARIABLES

Environment = Mapping[str, str]

_PASSWORD, _KEY = strength.PASSWORD_CHARACTERS_MIN, strength.KEY_CHARACTERS_MIN
_SECRETS: Mapping[str, int] = {
    API_KEY: _KEY,
    SIGNING: _KEY,
    KEY_SECRET: _KEY,
    "RUNTIME_ACCOUNT_WEBHOOK_SECRET": _PASSWORD,
    "RUNTIME_MEDIA_SECRET": SECRET_LENGTH_MIN,
    "RUNTIME_METRICS_TOKEN": _PASSWORD,
    "RUNTIME_SIP_PASSWORD": 20,
    "RUNTIME_FREESWITCH_PASSWORD": _PASSWORD,
}
"""Secrets that are judged, with their least number of characters."""
_IN_URLS = (POSTGRES, REDIS, CLICKHOUSE)
_NETWORKS = (
    "RUNTIME_SIP_NETWORKS",
    "RUNTIME_MEDIA_NETWORKS",
    "RUNTIME_AUDIOSOCKET_NETWORKS",
    "RUNTIME_FREESWITCH_NETWORKS",
    "RUNTIME_INTERNAL_ALLOW",
)
_METADATA = ip_address("169.254.169.254")
_WIDEST = {4: 8, 6: 16}
"""A network that is wider than this lets everybody in."""
_CALLS_PER_HOUR_MOST = 10_000
_GIVEN = re.compile(r",? got .*", re.DOTALL)
_PREFIXES = ("RUNTIME_", "AYWA_", "VOICE_PIPELINE_")
_READERS: tuple[Callable[[Environment], object], ...] = (
    phone_from_environment,
    equipment_from_environment,
    freeswitch_from_environment,
    courier_limits_from_environment,
    lambda environment: allowed_from_environment(loopback=False, environment=environment),
    load_prices,
    node_from_environment,
    lambda environment: bucket_from_environment(environment) if environment.get(BUCKET) else None,
    serve_from_environment,
    pipeline_from_environment,
)


def weaknesses(environment: Environment) -> list[Finding]:
    """All of them."""
    settings = {name: value.strip() for name, value in environment.items()}
    rules = (_missing, _public, _secrets, _encryption, _places, _networks, _rest, _malformed, _unknown)
    return [finding for rule in rules for finding in rule(settings)]


def _missing(settings: Environment) -> Iterator[Finding]:
    for name, code in MISSING.items():
        # Whether a key is stored instead only the database knows.
        if name != API_KEY and not settings.get(name):
            yield fault(code, name, f"{name} is not set")
    for name in SWITCHES:
        if not settings.get(name):
            yield fault("switch.not_stated", name, f"{name} is not stated", f"{name}=true")


# --- addresses ---------------------------------------------------------------------------------------------------------


def _public(settings: Environment) -> Iterator[Finding]:
    named = {}
    for name, scheme in ((PUBLIC_URL, "https"), (MEDIA_URL, "wss")):
        url = settings.get(name, "")
        if not url:
            continue
        parts = strength.parts_of(url)
        if parts is None or parts.query or "@" in url:
            yield fault("url.malformed", name, f"{name} is not an address")
            continue
        named[name] = parts
        if parts.scheme != scheme:
            yield fault(
                "url.http", name, f"{name} begins with {parts.scheme[:8]}:// and not with {scheme}://"
            )
        yield from _reach(name, parts.hostname or "")
    account = settings.get("RUNTIME_ACCOUNT_WEBHOOK_URL", "")
    if account and not account.startswith("https://"):
        yield fault(
            "url.http",
            "RUNTIME_ACCOUNT_WEBHOOK_URL",
            "RUNTIME_ACCOUNT_WEBHOOK_URL does not begin with https://",
            "RUNTIME_ACCOUNT_WEBHOOK_URL=https://HOST/PATH",
        )


def _reach(name: str, host: str) -> Iterator[Finding]:
    if strength.is_localhost(host):
        yield fault("url.localhost", name, f"{name} names this machine itself")
    elif strength.is_private(host):
        yield fault("url.private", name, f"{name} names a private address")
    elif strength.is_example(host):
        yield fault("url.example", name, f"{name} is an example's", f"{name}=https://YOUR.NAME")


def _places(settings: Environment) -> Iterator[Finding]:
    for name, schemes in (
        (POSTGRES, ("postgresql", "postgres")),
        (REDIS, ("redis", "rediss", "unix")),
        (CLICKHOUSE, ("http", "https")),
        (ENDPOINT, ("http", "https")),
    ):
        url = settings.get(name, "")
        if not url:
            continue
        parts = strength.parts_of(url) or _by_socket(url)
        if parts is None or parts.scheme not in schemes:
            yield fault("url.malformed", name, f"{name} is not an address that begins with {schemes[0]}://")
            continue
        yield from _place(name, parts)


def _by_socket(url: str) -> SplitResult | None:
    """PostgreSQL's and Redis's addresses that name a socket's file instead of a host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts if parts.scheme and (parse_qs(parts.query).get("host") or parts.scheme == "unix") else None


def _place(name: str, parts: SplitResult) -> Iterator[Finding]:
    host = parts.hostname or (parse_qs(parts.query).get("host") or [""])[0]
    by_socket = not parts.hostname
    near = by_socket or strength.is_near(host)
    if not near and _in_the_clear(parts):
        yield fault("url.cleartext", name, f"{name} reaches {host} without TLS")
    if name == REDIS and not parts.password and not by_socket:
        said = f"{name} has no password"
        yield (note if near else fault)("url.no_password", name, said)
    if strength.is_localhost(host):
        mend = f"{name}= one that every node reaches, before there is a second node"
        yield note("data.local", name, f"{name} is on this machine: one node can use it", mend)


def _in_the_clear(parts: SplitResult) -> bool:
    if parts.scheme.startswith("postgres"):
        modes = parse_qs(parts.query).get("sslmode") or ["prefer"]
        return modes[0] in ("disable", "allow", "prefer")
    return parts.scheme in ("http", "redis")


# --- secrets -----------------------------------------------------------------------------------------------------------


def _secrets(settings: Environment) -> Iterator[Finding]:
    judged = dict(_SECRETS) | {f"{prefix}_API_KEY": 16 for prefix in PROVIDER_VARIABLES.values()}
    for name, least in judged.items():
        secret = settings.get(name, "")
        found = strength.weakness(secret, least) if secret else None
        if found is not None:
            yield fault(found[0], name, f"{name} {found[1]}")
    for name in _IN_URLS:
        password = strength.password_of(settings.get(name, ""))
        found = strength.weakness(password, _PASSWORD) if password else None
        if found is not None:
            mend = f"a new password, set there and in {name}: openssl rand -hex 24"
            yield fault(found[0], name, f"the password in {name} {found[1]}", mend)
    if settings.get(KEY_ID, "").lower() in ("minioadmin", "admin", "root", "any", "test", "aywa"):
        yield fault("secret.example", KEY_ID, f"{KEY_ID} is an example's, or one that everybody has")
    if settings.get(SIGNING) and strength.signing_bytes(settings[SIGNING]) is None:
        yield fault("setting.malformed", SIGNING, f"{SIGNING} begins with whsec_ and goes on with no base64")
    yield from _shared(settings)


def _shared(settings: Environment) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for name in (*_SECRETS, ENCRYPTION, *_IN_URLS):
        value = settings.get(name, "")
        secret = strength.password_of(value) if name in _IN_URLS else value.removeprefix("whsec_")
        if not secret:
            continue
        if secret in seen:
            yield fault("secret.shared", name, f"{name} is the same as {seen[secret]}")
        else:
            seen[secret] = name


def _encryption(settings: Environment) -> Iterator[Finding]:
    """Of the key that seals, and those before it."""
    keys: dict[bytes, str] = {}
    given = [(ENCRYPTION, settings.get(ENCRYPTION, ""))]
    given += [(PREVIOUS, text.strip()) for text in settings.get(PREVIOUS, "").split(",")]
    for name, text in given:
        if not text:
            continue
        try:
            key = read_key(text, name)
        except BadKey as error:
            yield fault("setting.malformed", name, str(error), line(ENCRYPTION))
            continue
        weak = strength.key_weakness(key)
        if weak and name == ENCRYPTION:
            mend = f"{line(ENCRYPTION)} with {PREVIOUS}= the key until now"
            yield fault("secret.simple", name, f"{name} {weak}", mend)
        if key in keys:
            yield fault(
                "secret.shared",
                name,
                f"{name} holds a key twice",
                f"{name}= only keys that are not {ENCRYPTION}",
            )
        keys[key] = name


# --- who is let in, and the rest ---------------------------------------------------------------------------------------


def _networks(settings: Environment) -> Iterator[Finding]:
    for name in _NETWORKS:
        for word in settings.get(name, "").replace(",", " ").split():
            try:
                network = ip_network(word.rpartition(":")[0] if word.count(":") == 1 else word, strict=False)
            except ValueError:
                continue  # its reader says so
            mend = f"{name}= only the networks that must"
            if network.prefixlen < _WIDEST[network.version]:
                yield fault("network.everybody", name, f"{name} has {network}: everybody", mend)
            elif name == "RUNTIME_INTERNAL_ALLOW" and _METADATA in network:
                yield fault("network.metadata", name, f"{name} has the cloud's metadata address", mend)


def _rest(settings: Environment) -> Iterator[Finding]:
    name = "RUNTIME_SIP_TLS_VERIFY"
    if settings.get(name, "").lower() in ("false", "0", "no", "off"):
        yield fault(
            "tls.unverified", name, f"{name} is off", "RUNTIME_SIP_TLS_CA=/etc/aywa/trunks.pem instead of it"
        )
    listed = settings.get("RUNTIME_OUTBOUND_ALLOW", "")
    if "+" in (word.strip() for word in listed.split(",")):
        told = "RUNTIME_OUTBOUND_ALLOW has +: every number on earth"
        yield fault("toll.unlimited", "RUNTIME_OUTBOUND_ALLOW", told, "RUNTIME_OUTBOUND_ALLOW=+49,+43")
    hourly = settings.get("RUNTIME_OUTBOUND_CALLS_PER_HOUR", "")
    if hourly.isdigit() and int(hourly) > _CALLS_PER_HOUR_MOST:
        name = "RUNTIME_OUTBOUND_CALLS_PER_HOUR"
        yield fault("toll.unlimited", name, f"{name} is above {_CALLS_PER_HOUR_MOST}", f"{name}=200")
    for prefix in PROVIDER_VARIABLES.values():
        name = f"{prefix}_BASE_URL"
        parts = strength.parts_of(settings.get(name, ""))
        if (
            parts is not None
            and parts.scheme in ("http", "ws")
            and not strength.is_near(parts.hostname or "")
        ):
            yield fault("url.http", name, f"{name} is not https://", f"{name}=https://...")


def _malformed(settings: Environment) -> Iterator[Finding]:
    """What the readers themselves say; each of its first complaint."""
    for read in _READERS:
        try:
            read(settings)
        except CannotStart as error:
            # What was given is left out: it may be a secret that was put into the wrong place.
            told = _GIVEN.sub("", str(error))
            named = [each.name for each in settings_table.settings() if each.name in told]
            name = max(named, key=len, default="")
            yield fault("setting.malformed", name, told, f"aywa config explain {name}")


def _unknown(settings: Environment) -> Iterator[Finding]:
    known = {setting.name for setting in settings_table.settings()}
    for name in sorted(settings):
        if name.startswith(_PREFIXES) and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            mend = f"{near[0]} instead of {name[:60]}" if near else f"unset {name[:60]}"
            yield note("setting.unknown", name[:60], f"{name[:60]} is not a setting", mend)
