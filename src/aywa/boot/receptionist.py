"""The assistant that a newcomer talks to: its document, and how it comes into an empty store."""

from __future__ import annotations

import json
from typing import Any

import structlog

from aywa.boot.phone_settings import DEMO_USER
from aywa.boot.providers import LOCAL_URL
from aywa.service.errors import Rejected
from aywa.service.services import Services

_log = structlog.get_logger("aywa.boot.receptionist")

DEMO_NAME = "aywa dev"
MARK = {"aywa": "dev"}

DOCUMENT: dict[str, Any] = {
    "name": "Robin at Lakeside Dental",
    "firstMessage": "Hello, this is Robin. How can I help you?",
    "model": {
        "provider": "custom-llm",
        "url": LOCAL_URL,
        "model": "local",
        "temperature": 0.3,
        "maxTokens": 90,
        "messages": [
            {
                "role": "system",
                "content": (
                    "You are Robin, the receptionist of Lakeside Dental, on the phone. "
                    "Answer in one or two short spoken sentences. No lists, no markup, no code.\n"
                    "Opening hours: Monday to Friday, 8 am to 6 pm. Closed on weekends.\n"
                    "Address: 12 Harbour Street, next to the library.\n"
                    "Prices: a check-up is 60 dollars, a cleaning is 90 dollars.\n"
                    "To book, ask for the day, the time and the name, then confirm them.\n"
                    "If you do not know something, say that a colleague will call back."
                ),
            }
        ],
    },
    "voice": {"provider": "custom-voice", "voiceId": "local", "server": {"url": LOCAL_URL}},
    "transcriber": {"provider": "custom-transcriber", "server": {"url": LOCAL_URL}},
    # The model runs on this machine: beginning a reply early costs nobody anything.
    "startSpeakingPlan": {"speculationEnabled": True},
    "endCallPhrases": ["goodbye and have a nice day"],
    "metadata": MARK,
}


async def receptionist(services: Services, org_id: str) -> str:
    """The id of the organisation's first assistant that we made; made now when there is none."""

    for document in json.loads(await services.assistants.list(org_id, {"limit": "1000"})):
        if document.get("metadata") == MARK:
            return str(document["id"])
    return str(json.loads(await services.assistants.create(org_id, DOCUMENT))["id"])


async def demo_number(services: Services, org_id: str, assistant_id: str, uri: str, password: str) -> None:
    """`sip:demo@...` reaches the receptionist. password: of the account `demo`; empty where nobody needs one. An operator's
    own number of that name stays as it is."""
    wanted: dict[str, Any] = {
        "sipUri": uri,
        "authentication": {"username": DEMO_USER, "password": password} if password else None,
    }
    numbers = json.loads(await services.phone_numbers.list(org_id, {"limit": "1000"}))
    ours = next((number for number in numbers if number.get("name") == DEMO_NAME), None)
    try:
        if ours is not None:
            await services.phone_numbers.change(org_id, ours["id"], wanted)
        else:
            body = {"provider": "vapi", "name": DEMO_NAME, "assistantId": assistant_id, **wanted}
            await services.phone_numbers.create(org_id, body)
    except Rejected as problems:
        _log.warning("demo_number_not_made", problems=problems.problems)
