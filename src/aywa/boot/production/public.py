"""Whether the public address has a name, answers, and shows a certificate that clients believe. Says hello, and no more."""

from __future__ import annotations

import asyncio
import socket
import ssl
from urllib.parse import urlsplit

from aywa.boot.finding import Finding
from aywa.boot.production.codes import fault

ANSWER_S = 10.0
_SKIP = "RUNTIME_PUBLIC_URL_CHECK=false, where this machine cannot see itself from outside"


async def ask_public(setting: str, url: str) -> list[Finding]:
    """What is wrong there. What answers is not asked further: before the start it is a proxy with nobody behind it."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    try:
        async with asyncio.timeout(ANSWER_S):
            _, writer = await asyncio.open_connection(host, port, ssl=ssl.create_default_context())
            writer.transport.abort()
    except socket.gaierror:
        mend = f"an A record for {host} that leads here"
        return [fault("public_url.unresolved", setting, f"{host} has no address", mend)]
    except ssl.SSLCertVerificationError as error:
        told = f"{host} port {port} shows a certificate that is not believed: {error.verify_message}"
        mend = "a certificate of an authority that everybody knows (Caddy gets one by itself); of one's own: SSL_CERT_FILE"
        return [fault("public_url.certificate", setting, told, mend)]
    except ssl.SSLError as error:
        told = f"{host} port {port} speaks no TLS ({error.reason or 'refused'})"
        return [
            fault("public_url.certificate", setting, told, "a proxy that speaks TLS there, such as Caddy")
        ]
    except (OSError, TimeoutError) as error:
        told = f"nobody answers at {host} port {port} ({type(error).__name__})"
        return [fault("public_url.unreachable", setting, told, f"start the proxy there first; or {_SKIP}")]
    return []
