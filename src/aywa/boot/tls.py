"""A certificate of one's own, for a talk page that is opened from another machine: browsers give no microphone over
plain HTTP. Signed by nobody; made once and kept beside the data."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

VALID_DAYS = 397


def certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """The files of the certificate and of its key; made anew when there are none, when they have expired, belong to
    another host, or do not belong together. Raises OSError."""
    cert, key = folder / "certificate.pem", folder / "key.pem"
    if not (_is_valid(cert, host) and _is_pair(cert, key)):
        _make(cert, key, host)
    return cert, key


def context(cert: Path, key: Path) -> ssl.SSLContext:
    """For a server."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.load_cert_chain(cert, key)
    return made


def _is_valid(cert: Path, host: str) -> bool:
    try:
        loaded = x509.load_pem_x509_certificate(cert.read_bytes())
        named = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    lasts = loaded.not_valid_after_utc > datetime.now(UTC) + timedelta(days=1)
    return lasts and set(_names(host)) <= set(named)


def _is_pair(cert: Path, key: Path) -> bool:
    try:
        _ = context(cert, key)
    except OSError:  # ssl.SSLError is one
        return False
    return True


def _make(cert: Path, key: Path, host: str) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Aywa Runtime (self-signed)")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(_names(host)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    cert.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key.touch(mode=0o600)
    key.chmod(0o600)
    key.write_bytes(secret)
    cert.write_bytes(built.public_bytes(serialization.Encoding.PEM))


def _names(host: str) -> list[x509.GeneralName]:
    # What listens everywhere has no name of its own.
    everywhere = host in ("0.0.0.0", "::", "")  # noqa: S104 - recognised, not bound
    names = ["localhost", "127.0.0.1", socket.gethostname()] + ([] if everywhere else [host])
    return [name for text in dict.fromkeys(names) if (name := _name(text)) is not None]


def _name(text: str) -> x509.GeneralName | None:
    """None for what no certificate can name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        return x509.DNSName(text.encode("idna").decode("ascii"))
    except ValueError:
        return None
