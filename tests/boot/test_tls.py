from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from aywa.boot import tls


def names(cert: Path) -> tuple[set[str], set[str]]:
    """Host names, addresses."""
    loaded = x509.load_pem_x509_certificate(cert.read_bytes())
    named = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    hosts = named.get_values_for_type(x509.DNSName)
    return set(hosts), {str(address) for address in named.get_values_for_type(x509.IPAddress)}


def test_it_is_made_once(tmp_path: Path) -> None:
    cert, key = tls.certificate(tmp_path / "tls", "0.0.0.0")
    before = cert.read_bytes(), key.read_bytes()
    assert tls.certificate(tmp_path / "tls", "0.0.0.0") == (cert, key)
    assert (cert.read_bytes(), key.read_bytes()) == before
    assert key.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "tls").stat().st_mode & 0o777 == 0o700
    assert tls.context(cert, key).minimum_version >= ssl.TLSVersion.TLSv1_2


def test_one_that_is_about_to_expire_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tls, "VALID_DAYS", 1)
        before = tls.certificate(tmp_path, "192.0.2.7")[0].read_bytes()
    after = tls.certificate(tmp_path, "192.0.2.7")[0].read_bytes()
    assert after != before
    assert tls.certificate(tmp_path, "192.0.2.7")[0].read_bytes() == after


@pytest.mark.parametrize(
    ("host", "hosts", "addresses"),
    [
        ("0.0.0.0", set(), set()),
        ("::", set(), set()),
        ("192.0.2.7", set(), {"192.0.2.7"}),
        ("2001:db8::7", set(), {"2001:db8::7"}),
        ("talk.example", {"talk.example"}, set()),
        ("bücher.example", {"xn--bcher-kva.example"}, set()),
        ("no name " + "x" * 300, set(), set()),
    ],
)
def test_it_names_the_host(tmp_path: Path, host: str, hosts: set[str], addresses: set[str]) -> None:
    named_hosts, named_addresses = names(tls.certificate(tmp_path, host)[0])
    assert {"localhost", *hosts} <= named_hosts
    assert {"127.0.0.1", *addresses} <= named_addresses


def test_another_host_gets_another(tmp_path: Path) -> None:
    _ = tls.certificate(tmp_path, "192.0.2.7")
    assert "192.0.2.8" in names(tls.certificate(tmp_path, "192.0.2.8")[0])[1]


@pytest.mark.parametrize("lost", ["key.pem", "certificate.pem"])
@pytest.mark.parametrize("content", [None, b"", b"rubbish"])
def test_half_of_one_is_made_anew(tmp_path: Path, lost: str, content: bytes | None) -> None:
    _ = tls.certificate(tmp_path, "192.0.2.7")
    (tmp_path / lost).unlink()
    if content is not None:
        (tmp_path / lost).write_bytes(content)
    _ = tls.context(*tls.certificate(tmp_path, "192.0.2.7"))


def test_two_halves_that_do_not_belong_together_are_made_anew(tmp_path: Path) -> None:
    _, key = tls.certificate(tmp_path / "one", "192.0.2.7")
    _ = tls.certificate(tmp_path / "two", "192.0.2.7")
    key.replace(tmp_path / "two" / "key.pem")
    _ = tls.context(*tls.certificate(tmp_path / "two", "192.0.2.7"))


def test_it_does_not_say_whose_it_is(tmp_path: Path) -> None:
    cert = x509.load_pem_x509_certificate(tls.certificate(tmp_path, "0.0.0.0")[0].read_bytes())
    (name,) = cert.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert "self-signed" in str(name.value)
    assert cert.issuer == cert.subject
