"""What the SIP port says of trunks, as the service is told it."""

from __future__ import annotations

from aywa.boot.phone_trunk import TrunkNews
from aywa.core.sip import events as sip
from aywa.ports.telephony import TrunkState


def test_what_came_last_counts_and_when_it_changed() -> None:
    now = [1000]
    news = TrunkNews(lambda: now[0])
    assert news.state("t") == TrunkState()
    news.take(sip.TrunkDown("t", "timeout"))
    assert news.state("t") == TrunkState(False, None, "timeout", 1000)
    now[0] = 2000
    news.take(sip.TrunkDown("t", "timeout"))
    assert news.state("t").since_ms == 1000
    news.take(sip.RegistrationFailed("t", 403, "Forbidden", None))
    assert news.state("t") == TrunkState(False, False, "403 Forbidden", 2000)
    news.take(sip.TrunkUp("t"))
    assert news.state("t") == TrunkState(True, False, "403 Forbidden", 2000)
    now[0] = 3000
    news.take(sip.Registered("t", 300))
    assert news.state("t") == TrunkState(True, True, "", 3000)
    assert news.state("other") == TrunkState()
    news.forget("t")
    news.forget("t")
    assert news.state("t") == TrunkState()
