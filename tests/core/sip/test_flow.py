from __future__ import annotations

import pytest

from aywa.core.sip.flow import Flow, Transport


@pytest.mark.parametrize(("transport", "reliable"), [("udp", False), ("tcp", True), ("tls", True)])
def test_only_datagrams_get_lost(transport: Transport, reliable: bool) -> None:
    assert Flow(transport, ("192.0.2.1", 5060), ("192.0.2.2", 5060)).reliable is reliable
