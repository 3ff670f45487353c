"""The assistant that a newcomer talks to: its document, and how it comes into an empty store."""

from __future__ import annotations

import json
from typing import Any

from aywa.service.services import Services

MARK = {"aywa": "dev"}

DOCUMENT: dict[str, Any] = {
    "name": "Robin at Lakeside Dental",
    "firstMessage": "Hello, this is Robin. How can I help you?",
    "model": {
        "provider": "custom-llm",
        "url": "http://localhost/local",
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
    "voice": {"provider": "custom-voice", "voiceId": "local"},
    "transcriber": {"provider": "custom-transcriber"},
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
