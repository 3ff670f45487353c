"""Everything a runtime does for its callers, once: a call from a page, one by telephone, webhooks of both, and their recordings.

A program for a process of its own, inside a network namespace: `python -m tests.e2e.full_run URL KEY PLAN`, PLAN as JSON. It says
as JSON what became of both calls, or fails.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aywa.testing.sound import read_wav
from tests.e2e.client import Api, api, client, eventually, speaking
from tests.e2e.test_webhooks import Receiver, receiving

READY_S = 60.0
TOLD_S = 30.0
RATE_HZ = 16_000


@dataclass
class Run:
    """plan: `assistant`, its document; `question`, a WAV that callers say; and how the telephone comes in: `dials`, whom it dials
    itself, or `trunk` and `number`, the documents by which the runtime calls `customer`."""

    caller: Api
    plan: dict[str, Any]

    async def from_a_page(self, assistant: str) -> str:
        """Asks a question and hears an answer. The call's id."""
        wav = await asyncio.to_thread(Path(self.plan["question"]).read_bytes)
        question = read_wav(wav).pcm(RATE_HZ)
        call_id, url = await self.caller.place(assistant)
        async with client(url) as one:
            _ = await one.told("transcript", role="assistant", transcriptType="final")
            async with speaking(one, question):
                _ = await one.told("transcript", role="user", transcriptType="final")

                async def answered() -> bool:
                    said = [
                        text.get("transcriptType") for text in one.texts if text.get("role") == "assistant"
                    ]
                    return said.count("final") > 1

                await eventually(answered, why="the question had no answer")
                await one.socket.close()
        return call_id

    async def by_telephone(self, assistant: str) -> str:
        """The call's id."""
        if "dials" in self.plan:
            return await self._dialled(assistant)
        trunk = await self._made("/credential", self.plan["trunk"])
        number = await self._made("/phone-number", self.plan["number"] | {"credentialId": trunk})
        call = {"assistantId": assistant, "phoneNumberId": number, "customer": self.plan["customer"]}
        return await self._made("/call", call)

    async def _dialled(self, assistant: str) -> str:
        _, [number] = await self.caller.ask("GET", "/phone-number")
        status, _ = await self.caller.ask(
            "PATCH", f"/phone-number/{number['id']}", {"assistantId": assistant}
        )
        assert status == 200
        command = ("softphone", self.plan["dials"], "--wav", self.plan["question"], "--after-greeting")
        phone = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "aywa.cli", *command, stdout=asyncio.subprocess.PIPE
        )
        told, _ = await phone.communicate()
        assert json.loads(told)["turns"], told
        _, calls = await self.caller.ask("GET", "/call")
        [call_id] = [call["id"] for call in calls if call["type"] == "inboundPhoneCall"]
        return str(call_id)

    async def ended(self, call_id: str) -> dict[str, Any]:
        """How, and how large its recording is."""
        call = await self.caller.ended(call_id, TOLD_S)

        async def recorded() -> int:
            async with self.caller.http.get(f"{self.caller.url}/call/{call_id}/mono-recording") as answer:
                return len(await answer.read()) if answer.status == 200 else 0

        bytes_ = await eventually(recorded, TOLD_S, "there is no recording")
        return {"id": call_id, "endedReason": call["endedReason"], "recording_bytes": bytes_}

    async def made(self) -> str:
        """The assistant."""
        return await self._made("/assistant", self.plan["assistant"])

    async def _made(self, path: str, document: dict[str, Any]) -> str:
        status, made = await self.caller.ask("POST", path, document)
        assert status == 201, made
        made_id: str = made["id"]
        return made_id

    async def ready(self) -> None:
        async def answers() -> bool:
            try:
                status, _ = await self.caller.ask("GET", "/readyz")
            except OSError:
                return False
            return status == 200

        await eventually(answers, READY_S, "the runtime is not ready")


async def main(url: str, key: str, plan: dict[str, Any]) -> list[dict[str, Any]]:
    receiver = Receiver()
    with receiving(receiver):
        # Whoever is told is here, unless the plan says where else.
        plan["assistant"].setdefault("server", {"url": receiver.url})
        async with api(url, key) as caller:
            run = Run(caller, plan)
            await run.ready()
            assistant = await run.made()
            made = await asyncio.gather(run.from_a_page(assistant), run.by_telephone(assistant))
            calls = await asyncio.gather(*(run.ended(call_id) for call_id in made))

            async def told() -> bool:
                return all(("end-of-call-report", "") in receiver.of(call["id"]) for call in calls)

            if plan["assistant"]["server"]["url"] == receiver.url:
                await eventually(told, TOLD_S, "nobody was told of the end")
    return list(calls)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))))
