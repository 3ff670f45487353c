"""The SIP port as it opens."""

from __future__ import annotations

import ssl

import pytest

from aywa.adapters.transports.sip.port import SipPort
from aywa.adapters.transports.sip.settings import SipSettings
from aywa.adapters.transports.sip.sockets import Bound, Sockets
from aywa.core.sip.admission import AgentSettings
from aywa.core.sip.flow import Transport


@pytest.mark.parametrize("taken", [1, 8])
async def test_any_free_port_is_one_that_is_free_for_all_transports(
    taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, left = Sockets.open, [taken]

    async def somebody_s(
        self: Sockets, transport: Transport, host: str, port: int, tls: ssl.SSLContext | None = None
    ) -> Bound:
        if transport == "tcp" and left[0]:
            left[0] -= 1
            raise OSError(98, "Address already in use")
        return await opened(self, transport, host, port, tls)

    monkeypatch.setattr(Sockets, "open", somebody_s)
    port = SipPort(SipSettings(port=0), AgentSettings(), lambda event: None)
    if taken == 8:
        with pytest.raises(OSError, match="in use"):
            await port.start()
    else:
        await port.start()
        assert [bound.transport for bound in port.bound] == ["udp", "tcp"]
        assert len({bound.place for bound in port.bound}) == 1
    await port.close()
