from __future__ import annotations

import pytest

from aywa.core.nat import Nat, is_private, judge

OURS = ("192.168.1.5", 10_000)


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("10.1.2.3", True),
        ("172.31.255.255", True),
        ("172.32.0.0", False),
        ("100.64.0.1", True),
        ("127.0.0.1", True),
        ("203.0.113.9", False),
        ("::1", True),
        ("fe80::1%eth0", True),
        ("fd00::1", True),
        ("2001:db8::1", False),
        ("::ffff:192.168.0.1", True),
        ("::ffff:203.0.113.9", False),
        ("sip.example.com", False),
        ("", False),
    ],
)
def test_whom_a_public_address_is_of_no_use_to(host: str, private: bool) -> None:
    assert is_private(host) is private


def test_what_a_nat_makes_of_a_port() -> None:
    assert judge(OURS, [OURS]) is Nat.NONE
    assert judge(OURS, [("203.0.113.9", 10_000)] * 2) is Nat.KEEPS_PORTS
    assert judge(OURS, [("203.0.113.9", 4_711)] * 2) is Nat.MOVES_PORTS
    assert judge(OURS, [("203.0.113.9", 4_711), ("203.0.113.9", 4_712)]) is Nat.PER_FAR_SIDE
