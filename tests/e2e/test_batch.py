"""One request for fifty calls: the runtime has room for eight, some are busy, some do not answer, and each has its own end."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from aywa.testing.runtime import free_port
from tests.e2e.callees import ANSWERS, BUSY, DECLINES, NOBODY, RINGS_ON, callees
from tests.e2e.dev import Dev, started
from tests.peers.runtime import ASSISTANT, PhoneRuntime

AT_ONCE = 8
ENDED_S = 60.0
SCRIPTS = [*[ANSWERS] * 20, *[BUSY] * 12, *[RINGS_ON] * 10, *[DECLINES] * 4, *[NOBODY] * 4]
ENDS = {
    ANSWERS: "customer-ended-call",
    BUSY: "customer-busy",
    RINGS_ON: "customer-did-not-answer",
    DECLINES: "customer-busy",
    NOBODY: "sip-outbound-unallocated-number",
}
# So that what is quick and what takes long come mixed.
PLAN = {f"+4930100{index:04}": SCRIPTS[index * 7 % len(SCRIPTS)] for index in range(len(SCRIPTS))}


async def test_fifty_callees_of_whom_some_are_busy_and_some_do_not_answer(tmp_path: Path) -> None:
    port = free_port()
    options = ("--tiny", "--sip-port", str(port), "--calls-max", str(AT_ONCE))
    dev = Dev(tmp_path / "home", options, {"RUNTIME_OUTBOUND_ALLOW": "+4930"})
    with started(dev):
        runtime = PhoneRuntime(dev, port)
        async with callees(PLAN) as they:
            _, number = await runtime.trunk(they.port, outboundLeadingPlusEnabled=True)
            body = {
                "name": "Fifty",
                "assistant": dict(ASSISTANT),
                "phoneNumberId": number,
                "transport": {"provider": "vapi.sip", "dialTimeout": 2},
                "customers": [{"number": each} for each in PLAN],
            }
            answer = await runtime.ask("POST", "/call", body)
            assert answer["errors"] == []
            assert answer["subscriptionLimits"] == {"concurrencyBlocked": True}
            wanted = {call["id"]: call["customer"]["number"] for call in answer["results"]}
            assert sorted(wanted.values()) == sorted(PLAN)
            waited = [call for call in answer["results"] if call.get("subscriptionLimits")]
            assert len(waited) >= 10

            ended: dict[str, str] = {}
            async with asyncio.timeout(ENDED_S):
                while len(ended) < len(PLAN):
                    calls = await runtime.ask("GET", "/call?limit=100")
                    ended = {
                        call["customer"]["number"]: call["endedReason"]
                        for call in calls
                        if call["id"] in wanted and call["status"] == "ended"
                    }
                    await asyncio.sleep(0.1)
        assert ended == {number: ENDS[script] for number, script in PLAN.items()}
        # Each was called once, and never were there more than there is room for.
        assert they.called == Counter(list(PLAN))
        assert 2 <= they.most <= AT_ONCE
        assert they.sound.packets > 20 * sum(script is ANSWERS for script in SCRIPTS)
