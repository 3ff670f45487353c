"""Every host that the runtime may contact, and why: as the settings name them, and as what customers wrote does.

It reads and asks nobody. Of an address only host and port are told: the rest may hold what is secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import zip_longest
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aywa.adapters.carriers.plivo import API_URL as PLIVO
from aywa.adapters.carriers.telnyx import API_URL as TELNYX
from aywa.adapters.carriers.twilio import API_URL as TWILIO
from aywa.adapters.carriers.vonage import API_URL as VONAGE
from aywa.adapters.llm.compatible import COMPATIBLE
from aywa.adapters.stt.deepgram import BASE_URL as DEEPGRAM
from aywa.adapters.tts.cartesia import BASE_URL as CARTESIA
from aywa.adapters.tts.elevenlabs import BASE_URL as ELEVENLABS
from aywa.boot.providers import ANTHROPIC_URL, LOCAL_URL, OPENAI_URL
from aywa.boot.settings import PROVIDER_VARIABLES
from aywa.ports.store import Documents, ListQuery, Store

VENDORS: Mapping[str, str] = {
    "openai": OPENAI_URL,
    "anthropic": ANTHROPIC_URL,
    "deepgram": DEEPGRAM,
    "11labs": ELEVENLABS,
    "cartesia": CARTESIA,
    "twilio": TWILIO,
    "telnyx": TELNYX,
    "plivo": PLIVO,
    "vonage": VONAGE,
} | {name: vendor.base_url for name, vendor in COMPATIBLE.items() if vendor.base_url}
"""Provider -> its own address."""
PORTS: Mapping[str, int] = {
    "http": 80, "https": 443, "ws": 80, "wss": 443, "sip": 5060, "sips": 5061,
    "postgres": 5432, "postgresql": 5432, "redis": 6379, "rediss": 6379, "stun": 3478,
}  # fmt: skip
_SETTINGS: Mapping[str, str] = {
    "RUNTIME_STORE_POSTGRES_URL": "documents and calls",
    "REDIS_URL": "leases of calls",
    "RUNTIME_ARTIFACT_S3_ENDPOINT": "recordings and files",
    "RUNTIME_ANALYTICS_CLICKHOUSE_URL": "analytics",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "traces and logs",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "traces",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "logs",
    "RUNTIME_ACCOUNT_WEBHOOK_URL": "webhooks of organisations that have none",
    "RUNTIME_FREESWITCH_MEDIA_URL": "calls' audio",
    "OPENAI_BASE_URL": "the demo assistant's model",
}
# The libraries behind these go by the proxy that the environment names; nothing else of the runtime does.
_BY_PROXY = ("RUNTIME_ARTIFACT_S3_BUCKET", "RUNTIME_ANALYTICS_CLICKHOUSE_URL", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
_IN_A_NAME = re.compile(r"[a-z0-9][a-z0-9\-]{1,61}[a-z0-9]")
_NO = ("0", "false", "no", "off")
PAGE = 1000
ANY = "*"
RESOLVER = Path("/etc/resolv.conf")


@dataclass(frozen=True, slots=True, order=True)
class Destination:
    """host: `*` where only a call knows it. port: 0 where it is not said."""

    host: str
    port: int
    why: str
    source: str


def of_settings(environment: Mapping[str, str]) -> Iterator[Destination]:
    """As the environment says."""
    given = {name: value.strip() for name, value in environment.items() if value.strip()}
    for name, why in _SETTINGS.items():
        yield from _address(given.get(name, ""), why, name)
    if "RUNTIME_ARTIFACT_S3_BUCKET" in given and "RUNTIME_ARTIFACT_S3_ENDPOINT" not in given:
        place = aws_host(
            given["RUNTIME_ARTIFACT_S3_BUCKET"], given.get("RUNTIME_ARTIFACT_S3_REGION", "us-east-1")
        )
        yield Destination(place, 443, "recordings and files", "RUNTIME_ARTIFACT_S3_BUCKET")
    if given.get("RUNTIME_PUBLIC_URL_CHECK", "").lower() != "false" and "RUNTIME_PUBLIC_URL" in given:
        yield from _address(
            given["RUNTIME_PUBLIC_URL"], "whether it answers, before the start", "RUNTIME_PUBLIC_URL"
        )
    for server in given.get("RUNTIME_MEDIA_STUN", "").replace(",", " ").split():
        yield from _address(
            f"stun://{server.removeprefix('stun:')}", "our public address", "RUNTIME_MEDIA_STUN"
        )
    if host := given.get("RUNTIME_FREESWITCH_HOST"):
        yield Destination(
            host, int(given.get("RUNTIME_FREESWITCH_PORT", "8021")), "calls", "RUNTIME_FREESWITCH_HOST"
        )
    addresses = vendors(given)
    for provider, prefix in PROVIDER_VARIABLES.items():
        source = f"{prefix}_BASE_URL" if f"{prefix}_BASE_URL" in given else f"{prefix}_API_KEY"
        if source in given:
            yield from _address(
                addresses.get(provider, ""), f"{provider}, for assistants that name it", source
            )
    yield from _of_telephones(given)
    for name in (written for proxy in _PROXIES for written in (proxy, proxy.lower())):
        if any(setting in given for setting in _BY_PROXY):
            yield from _address(given.get(name, ""), "the way to recordings, analytics and traces", name)


def _of_telephones(given: Mapping[str, str]) -> Iterator[Destination]:
    bound = given.get("RUNTIME_SIP_HOST") or given.get("RUNTIME_HOST", "")
    outside = any(not _is_loopback(host) for host in bound.replace(",", " ").split())
    if outside and given.get("RUNTIME_SIP_ENABLED", "").lower() not in _NO:
        yield Destination(ANY, 0, "whoever calls by telephone: answers and audio", "RUNTIME_SIP_HOST")
    for entry in given.get("RUNTIME_OUTBOUND_ALLOW", "").split(","):
        if entry.strip().lower().startswith("sip:"):
            yield Destination(
                entry.strip()[4:].lower(), 0, "calls that somebody asks for", "RUNTIME_OUTBOUND_ALLOW"
            )


def aws_host(bucket: str, region: str) -> str:
    """Where a bucket of AWS's own is asked for."""
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    place = f"s3.{domain}" if region == "us-east-1" else f"s3.{region}.{domain}"
    # TLS has no certificate for a name with dots before it, and DNS no capitals.
    return f"{bucket}.{place}" if _IN_A_NAME.fullmatch(bucket) else place


def vendors(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Provider -> its address: its own, or the operator's for it."""
    own = {name: environment.get(f"{prefix}_BASE_URL", "") for name, prefix in PROVIDER_VARIABLES.items()}
    return {**VENDORS, **{name: url for name, url in own.items() if url}}


async def of_store(store: Store, environment: Mapping[str, str]) -> list[Destination]:
    """As assistants, tools, squads, numbers, credentials and organisations say. Raises StoreUnavailable."""
    addresses = vendors(environment)
    kinds: tuple[tuple[str, Documents], ...] = (
        ("assistant", store.assistants),
        ("tool", store.tools),
        ("squad", store.squads),
        ("phone number", store.phone_numbers),
        ("credential", store.credentials),
        ("organisation", store.org_settings),
    )
    found: list[Destination] = []
    for organisation in await store.organisations.list():
        for kind, documents in kinds:
            for text in await _all(documents, organisation.id):
                document = json.loads(text)
                name = document.get("name") or document.get("id") or organisation.id
                if kind == "phone number":
                    # Where we are called at ourselves.
                    document.pop("sipUri", None)
                found += of_document(document, f"{kind} {name}", addresses=addresses)
    return found


async def _all(documents: Documents, org_id: str) -> Sequence[str]:
    most = PAGE
    while len(found := await documents.list(org_id, ListQuery(most))) == most:
        most *= 4
    return found


def of_document(
    document: Any, source: str, path: str = "", addresses: Mapping[str, str] = VENDORS
) -> Iterator[Destination]:
    """What an object of a customer's leads to, at any depth. addresses: of the providers that it names."""
    if isinstance(document, Mapping):
        yield from _of_provider(document, source, path, addresses)
        for name, value in document.items():
            yield from of_document(value, source, f"{path}.{name}" if path else str(name), addresses)
    elif isinstance(document, list):
        for value in document:
            yield from of_document(value, source, path, addresses)
    elif isinstance(document, str) and document != LOCAL_URL:
        scheme = document.partition(":")[0].lower()
        if scheme in ("http", "https", "ws", "wss", "sip", "sips"):
            yield from _address(document, path, source)


def _of_provider(
    document: Mapping[str, Any], source: str, path: str, addresses: Mapping[str, str]
) -> Iterator[Destination]:
    provider = document.get("provider")
    if isinstance(provider, str) and provider in addresses:
        yield from _address(addresses[provider], f"{path}.provider {provider}".lstrip("."), source)
    host = document.get("ip")
    if isinstance(host, str) and path.endswith("gateways"):
        port = document.get("port")
        yield Destination(
            host, port if isinstance(port, int) else 5060, f"{path}: calls by telephone", source
        )
        # Where its audio comes from is agreed on with each call.
        yield Destination(ANY, 0, "audio of calls, where the trunk asks for it", source)


def resolvers(file: Path = RESOLVER) -> Iterator[Destination]:
    """Who is asked for the addresses of names."""
    try:
        lines = file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return
    for line in lines:
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            yield Destination(words[1], 53, "addresses of the names below", str(file))


def told(destinations: Iterable[Destination], resolver: Path = RESOLVER) -> list[Destination]:
    """All, each once; with those who are asked for names, where there are names."""
    found = sorted(set(destinations))
    named = [one for one in found if one.host != ANY and not _is_number(one.host)]
    return [*resolvers(resolver), *found] if named else found


def _address(url: str, why: str, source: str) -> Iterator[Destination]:
    if not url:
        return
    if "{{" in url:
        yield Destination(ANY, 0, f"{why}: a template", source)
        return
    scheme = url.partition(":")[0].lower()
    if scheme in ("sip", "sips") and not url.lower().startswith(f"{scheme}://"):
        url = f"{scheme}://{url.partition(':')[2]}"
    try:
        parts = urlsplit(url)
        # PostgreSQL takes several servers, with commas between.
        places = [urlsplit(f"//{place}") for place in parts.netloc.rpartition("@")[2].split(",")]
        found = [(place.hostname or "", place.port) for place in places]
    except ValueError:
        return
    query = parse_qs(parts.query) if parts.scheme in ("postgres", "postgresql") else {}
    named = [host for value in query.get("host", []) for host in value.split(",")]
    ports = [
        int(port) if port.isdigit() else 0 for value in query.get("port", []) for port in value.split(",")
    ]
    if named:
        found = [(host, port) for host, port in zip_longest(named, ports[: len(named)])]
    for host, port in found:
        # A socket's file leads nowhere else.
        if host and not host.startswith("/"):
            yield Destination(host, port or PORTS.get(parts.scheme, 0), why, source)


def _is_number(host: str) -> bool:
    try:
        _ = ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
