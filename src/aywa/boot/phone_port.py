"""Opens the SIP port of a runtime: which addresses and ports, which certificates, which password. Says what it chose."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aywa.adapters.transports.sip.port import SipPort
from aywa.adapters.transports.sip.settings import SipSettings
from aywa.adapters.transports.sip.sockets import free_port
from aywa.boot.errors import CannotStart
from aywa.boot.phone import Phone
from aywa.boot.phone_settings import DEMO_USER, PASSWORD_LENGTHS, PhoneSettings
from aywa.core.sip.admission import AgentSettings
from aywa.core.sip.uri import host_text

PORTS_TRIED = 20
_PASSWORD_BYTES = 18


@dataclass(frozen=True, slots=True)
class PhoneAddress:
    """Where the demo is dialled. moved: the port that was asked for and is taken, else None. password: of the account
    `demo`, empty where none is needed."""

    uri: str
    port: int
    moved: int | None = None
    password: str = ""


async def open_phone_port(
    settings: PhoneSettings,
    hosts: Sequence[str],
    shown_host: str,
    phone: Phone,
    certificate: tuple[Path, Path] | None = None,
) -> tuple[SipPort, PhoneAddress]:
    """Raises CannotStart."""
    port = settings.port
    if port and settings.next_port:
        found = free_port(hosts, port, PORTS_TRIED)
        if found is None:
            raise CannotStart(
                f"the SIP ports {port} to {port + PORTS_TRIED - 1} are all taken; choose another with --sip-port"
            )
        port = found
    server = client = None
    if settings.tls_port is not None and certificate is not None:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.minimum_version = ssl.TLSVersion.TLSv1_2
        server.load_cert_chain(*certificate)
    client = _trusting(settings)
    made = SipPort(
        SipSettings(
            hosts=tuple(hosts), port=port, tls_port=settings.tls_port, public_host=settings.public_host
        ),
        AgentSettings(realm=shown_host, open_networks=settings.networks, algorithms=settings.digest),
        phone.take,
        trace=phone.trace,
    )
    try:
        await made.start(server, client)
    except OSError as error:
        await made.close()
        raise CannotStart(
            f"cannot open SIP port {port} on {', '.join(hosts)}: {error.strerror or error};"
            " choose another with --sip-port"
        ) from error
    bound = made.bound[0].place[1]
    moved = settings.port if settings.port and bound != settings.port else None
    uri = f"sip:{DEMO_USER}@{host_text(shown_host)}:{bound}"
    return made, PhoneAddress(uri, bound, moved, settings.password)


def password_in(file: Path) -> str:
    """The password that was made for the account `demo`, made now when there is none. Raises OSError."""
    try:
        file.chmod(0o600)
        kept = file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        kept = ""
    if PASSWORD_LENGTHS[0] <= len(kept) <= PASSWORD_LENGTHS[1]:
        return kept
    made = secrets.token_urlsafe(_PASSWORD_BYTES)
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_text(made + "\n", "ascii")
    return made


def _trusting(settings: PhoneSettings) -> ssl.SSLContext:
    """How the certificates of trunks are checked."""
    context = ssl.create_default_context()
    if settings.tls_authorities is not None:
        try:
            context.load_verify_locations(settings.tls_authorities)
        except (OSError, ssl.SSLError) as error:
            raise CannotStart(
                f"RUNTIME_SIP_TLS_CA: {settings.tls_authorities} cannot be used: {error}"
            ) from error
    if not settings.tls_verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
