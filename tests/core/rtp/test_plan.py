from __future__ import annotations

import json

import pytest

from aywa.core.rtp.plan import Address, Codec, StreamPlan
from aywa.core.rtp.srtp_keys import SrtpKeys, SrtpSuite

SECRET = bytes(range(30))
KEYS = SrtpKeys(SrtpSuite.AES_CM_128_HMAC_SHA1_80, SECRET, 2**20, b"\x01")
PLAN = StreamPlan(
    Codec.PCMA,
    8,
    {0: Codec.PCMU, 8: Codec.PCMA},
    remote=Address("192.0.2.1", 4000),
    rtcp=Address("192.0.2.1", 4001),
    dtmf_type=101,
    send_keys=KEYS,
    receive_keys=KEYS,
)


@pytest.mark.parametrize(
    ("codec", "rate_hz", "clock_hz", "channels", "static"),
    [
        (Codec.PCMU, 8000, 8000, 1, 0),
        (Codec.PCMA, 8000, 8000, 1, 8),
        (Codec.G722, 16_000, 8000, 1, 9),
        (Codec.OPUS, 16_000, 48_000, 2, None),
    ],
)
def test_what_a_codec_is_on_the_wire(
    codec: Codec, rate_hz: int, clock_hz: int, channels: int, static: int | None
) -> None:
    assert (codec.rate_hz, codec.clock_hz, codec.channels, codec.static_type) == (
        rate_hz, clock_hz, channels, static,
    )  # fmt: skip


def test_a_packet_of_30_ms_of_opus() -> None:
    plan = StreamPlan(Codec.OPUS, 96, {96: Codec.OPUS}, ptime_ms=30)
    assert (plan.rate_hz, plan.clock_hz) == (16_000, 48_000)
    assert (plan.packet_samples, plan.packet_ticks) == (480, 1440)
    assert not plan.secured


@pytest.mark.parametrize("plan", [PLAN, StreamPlan(Codec.G722, 9, {9: Codec.G722})])
def test_it_is_taken_up_elsewhere(plan: StreamPlan) -> None:
    again = StreamPlan.from_dict(json.loads(json.dumps(plan.to_dict())))
    assert again == plan
    assert again.secured == plan.secured


def test_no_key_is_shown() -> None:
    assert "send_keys" in repr(PLAN)
    assert repr(SECRET)[2:-1] not in repr(PLAN)
    assert "master" not in repr(PLAN)


def test_what_no_plan_is() -> None:
    with pytest.raises(ValueError, match="both ways"):
        StreamPlan(Codec.PCMU, 0, {0: Codec.PCMU}, send_keys=KEYS)
    with pytest.raises(ValueError, match="not 0 ms"):
        StreamPlan(Codec.PCMU, 0, {0: Codec.PCMU}, ptime_ms=0)
