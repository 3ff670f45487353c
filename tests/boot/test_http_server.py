"""The API's socket, and how it is told of. That it answers is told in tests/e2e."""

from __future__ import annotations

import socket

import pytest

from aywa.boot.errors import CannotStart
from aywa.boot.http_server import listen, shown_host, why


def test_a_port_belongs_to_one() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(CannotStart) as refused:
            listen("127.0.0.1", port)
    assert str(refused.value) == (
        f"cannot listen on 127.0.0.1 port {port}: Address already in use; choose another with --port"
    )


@pytest.mark.parametrize(
    ("host", "port", "said"),
    [
        ("192.0.2.1", 0, "Cannot assign requested address"),
        ("127.0.0.1", 70_000, "port must be 0-65535"),
        ("nobody.invalid", 0, "nobody.invalid port 0"),
    ],
)
def test_what_cannot_be_listened_on_is_said(host: str, port: int, said: str) -> None:
    with pytest.raises(CannotStart, match=said):
        listen(host, port)


def test_an_error_in_the_system_s_words() -> None:
    assert why(OSError(98, "[Errno 98] error while attempting to bind")) == "Address already in use"
    assert why(OSError("no number")) == "no number"


def test_a_host_as_a_url_has_it() -> None:
    assert shown_host("127.0.0.1") == "127.0.0.1"
    assert shown_host("::1") == "[::1]"
    assert shown_host("0.0.0.0") == shown_host("::") == socket.gethostname()
