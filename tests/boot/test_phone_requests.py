"""Requests of tools within the dialogs of phone calls, with a softphone at the other end."""

from __future__ import annotations

import asyncio

from aywa.boot.phone_requests import CallDialog, PhoneRequests
from aywa.core.events import LegConnected, LegEnded
from aywa.core.sip.events import RequestAnswered
from aywa.ports.tools import ToolSipAnswer, ToolSipRequest
from aywa.testing.script import Pause
from tests.boot.test_phone import LAYOUTS, call, rig

INFO = ToolSipRequest("INFO", (("Content-Type", "text/x-page"),), b"page Ann")


@LAYOUTS
async def test_the_far_sides_answer_comes_back(apart: bool) -> None:
    async with rig(apart=apart) as made:
        dialog = CallDialog("call-1", made.phone)
        assert not dialog.up
        assert await dialog.send(INFO) == ToolSipAnswer(0, "no dialog")
        calling = asyncio.create_task(call(made.uri, Pause(1.0)))
        await made.host.until(lambda: made.host.of(LegConnected))
        assert dialog.up
        taken, refused = await asyncio.gather(dialog.send(INFO), dialog.send(ToolSipRequest("MESSAGE")))
        assert (taken, refused) == (ToolSipAnswer(200, "OK"), ToolSipAnswer(405, "Method Not Allowed"))
        talked = await calling
        await made.host.until(lambda: made.host.of(LegEnded))
        assert not dialog.up
    assert [each.detail for each in talked.phone.log.entries if each.what == "INFO"] == ["page Ann"]


async def test_an_answer_that_nobody_waits_for_any_more() -> None:
    sent: list[str] = []
    requests = PhoneRequests(lambda call, key, request: sent.append(key))
    waiting = asyncio.create_task(requests.send("a", INFO))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    second = asyncio.create_task(requests.send("a", INFO))
    await asyncio.sleep(0)
    for key in (sent[0], sent[1], sent[1]):
        requests.take(RequestAnswered("a", key, 200, key))
    assert await second == ToolSipAnswer(200, sent[1])


async def test_a_runtime_without_a_sip_port() -> None:
    dialog = CallDialog("call-1", None)
    assert not dialog.up
    assert await dialog.send(INFO) == ToolSipAnswer(0, "no dialog")
