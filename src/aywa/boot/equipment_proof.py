"""Whether a media socket is the equipment's that may bring calls to an address: by the token that it shows, by the signature of
the vendor behind the phone number, or by where it comes from. Decides, and asks nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from aywa.adapters.carriers import signatures
from aywa.adapters.transports.equipment.codec import Handshake
from aywa.ports.carriers import CarrierAccount

FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via", "cf-connecting-ip")
"""Headers of proxies: what comes through one does not come from where it seems to."""
BROWSERS = "origin"

Networks = Sequence[IPv4Network | IPv6Network]


def networks(texts: Sequence[str]) -> Networks:
    """Of settings that were checked."""
    return [ip_network(text, strict=False) for text in texts]


def is_near(handshake: Handshake, near: Networks) -> bool:
    """It comes from one of these networks, straight and not from a page in somebody's browser."""
    if BROWSERS in handshake.headers or any(name in handshake.headers for name in FORWARDED):
        return False
    try:
        address = ip_address(handshake.remote.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any(one in network for one in (address, mapped) if one is not None for network in near)


def signature_of(handshake: Handshake) -> str:
    """The vendor's signature that came along; empty without."""
    headers = handshake.headers
    for name in ("x-twilio-signature", "x-signalwire-signature", "x-plivo-signature-v3"):
        if headers.get(name):
            return headers[name]
    bearer = headers.get("authorization", "")
    return bearer if handshake.protocol == "vonage" and bearer.count(".") == 2 else ""


def is_signed(handshake: Handshake, account: CarrierAccount, public_url: str, now_s: float) -> bool:
    """The signature is the vendor's, made with the account's key. public_url: of the media port, empty when nobody said."""
    signature, key = signature_of(handshake), account.key
    urls = _urls(handshake, public_url)
    match handshake.protocol:
        case "twilio":
            return signatures.twilio(urls, {}, signature, key("twilioAuthToken"))
        case "signalwire":
            return signatures.signalwire(urls, {}, signature, key("signingKey"), b"")
        case "plivo":
            nonce = handshake.headers.get("x-plivo-signature-v3-nonce", "")
            return signatures.plivo("GET", urls, {}, nonce, signature, key("authToken"))
        case "vonage":
            return signatures.vonage(signature, [b""], key("signatureSecret"), now_s)
        case _:
            return False


def _urls(handshake: Handshake, public_url: str) -> Sequence[str]:
    """The address in every way in which the vendor may have written it."""
    if public_url:
        told = [public_url]
    else:
        headers: Mapping[str, str] = handshake.headers
        host = headers.get("x-forwarded-host") or headers.get("host", "")
        told = [f"{scheme}://{host}" for scheme in ("wss", "ws")] if host else []
    urls = [f"{each}{handshake.target}" for each in told]
    return [*urls, *(url.replace("ws", "http", 1) for url in urls)]
