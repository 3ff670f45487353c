"""Sound on the equipment's wire."""

from __future__ import annotations

import numpy as np
import pytest

from aywa.testing.equipment.coding import Coding

PCM = np.arange(-32000, 32000, 500, dtype="<i2").tobytes()


@pytest.mark.parametrize("coding", [Coding.LINEAR, Coding.NETWORK])
def test_linear_samples_come_back_as_they_went(coding: Coding) -> None:
    assert coding.decode(coding.encode(PCM)) == PCM
    assert coding.sample_bytes == 2


def test_network_order_is_big_endian() -> None:
    assert Coding.NETWORK.encode(b"\1\2") == b"\2\1"


@pytest.mark.parametrize("coding", [Coding.MULAW, Coding.ALAW])
def test_companded_samples_come_back_nearly(coding: Coding) -> None:
    encoded = coding.encode(PCM)
    assert len(encoded) == len(PCM) // 2
    back = np.frombuffer(coding.decode(encoded), "<i2").astype(int)
    assert np.max(np.abs(back - np.frombuffer(PCM, "<i2"))) <= 1024


def test_half_a_sample_is_left_out() -> None:
    assert Coding.LINEAR.decode(b"\1\2\3") == b"\1\2"
