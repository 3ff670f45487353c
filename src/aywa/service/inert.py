"""The fields that are accepted, kept and echoed, and that nothing here acts on. One table: the docs, the warnings and the tests
read it. Who makes one of them work takes it out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import structlog

_log = structlog.get_logger("aywa.service.inert")
_said: set[str] = set()

INERT: Mapping[str, str] = {
    "backgroundSpeechDenoisingPlan": "the caller's audio is heard as it comes",
    "backgroundDenoisingEnabled": "the caller's audio is heard as it comes",
    "observabilityPlan": "nothing is sent to Langfuse; the timeline has what happened",
    "videoRecordingEnabled": "there is no video",
    "artifactPlan.videoRecordingEnabled": "there is no video",
    "artifactPlan.recordingUseCustomStorageEnabled": "recordings are kept by this runtime",
    "artifactPlan.recordingPath": "recordings are kept by this runtime",
    "artifactPlan.pcapUseCustomStorageEnabled": "nothing is uploaded",
    "artifactPlan.pcapS3PathPrefix": "nothing is uploaded",
    "artifactPlan.loggingUseCustomStorageEnabled": "logs are kept by this runtime",
    "artifactPlan.loggingPath": "logs are kept by this runtime",
    "artifactPlan.structuredOutputIds": "structured outputs are not resources of this release",
    "artifactPlan.structuredOutputs": "structured outputs are not resources of this release",
    "artifactPlan.scorecardIds": "scorecards are not resources of this release",
    "artifactPlan.scorecards": "scorecards are not resources of this release",
    "artifactPlan.pcapEnabled": "no packets are kept",
    "artifactPlan.recordingFormat": "recordings are WAV files",
    "artifactPlan.fullMessageHistoryEnabled": "all messages are kept in any case",
    "voicemailDetection": "no machine is listened for; a voicemail tool lets the model decide",
    "monitorPlan.monitorIds": "monitors are not resources of this release",
    "compliancePlan.securityFilterPlan": "what the caller says is not filtered",
    "compliancePlan.recordingConsentPlan": "nobody is asked; say it in the first message",
    "model.emotionRecognitionEnabled": "no emotion is recognised (nor is it on the hosted platform)",
    "model.numFastTurns": "every turn is answered by the same model",
    "model.knowledgeBase": "no knowledge base is asked; use a query tool over files",
    "model.semanticCachingEnabled": "nothing is cached",
    "model.functions": "the older form of function tools; write them as model.tools",
    "voice.fillerInjectionEnabled": "fillerPlan says what is said in a wait",
    "voice.inputPunctuationBoundaries": "voice.chunkPlan.punctuationBoundaries says where clauses end",
    "transcriber.fallbackPlan.autoFallback": "only the transcribers that are listed are asked instead",
    "server.staticIpAddressesEnabled": "requests leave from this machine",
    "server.encryptedPaths": "arguments are not encrypted",
    "tools.encryptedPaths": "arguments are not encrypted",
    "tools.server.encryptedPaths": "arguments are not encrypted",
    "tools.beepDetectionEnabled": "an answering machine's tone is not waited for",
    "workflowIds": "workflows are not resources of this release",
}
"""Path in an assistant -> what happens instead. `tools` are those of the model, wherever they were written."""

_AS_IT_IS: Mapping[str, str] = {"artifactPlan.recordingFormat": "wav;l16", "voicemailDetection": "off"}
"""Values of such fields that ask for nothing else."""

INERT_TOOLS: Mapping[str, str] = {
    "code": "no code of a customer is run here; put it behind a function tool's server",
    "sms": "there is no carrier for text messages",
    "bash": "its server is not asked",
    "computer": "its server is not asked",
    "textEditor": "its server is not asked",
    "google.calendar.event.create": "there is no connection to Google",
    "google.calendar.availability.check": "there is no connection to Google",
    "google.sheets.row.append": "there is no connection to Google",
    "slack.message.send": "there is no connection to Slack",
    "gohighlevel.calendar.event.create": "there is no connection to GoHighLevel",
    "gohighlevel.calendar.availability.check": "there is no connection to GoHighLevel",
    "gohighlevel.contact.create": "there is no connection to GoHighLevel",
    "gohighlevel.contact.get": "there is no connection to GoHighLevel",
    "ghl": "there is no connection to GoHighLevel",
    "make": "there is no connection to Make",
    "output": "the older form; nothing reads it",
    "knowledgeBase": "the older form; use a query tool over files",
}
"""Type of a tool that is stored and never offered to a model -> why."""


def inert_fields(assistant: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Those that a resolved assistant sets, each once, with what happens instead."""
    model = assistant.get("model")
    tools = model.get("tools") if isinstance(model, Mapping) else None
    whole = {**assistant, "tools": tools if isinstance(tools, list) else []}
    for path, instead in INERT.items():
        names = path.split(".")
        as_it_is = path in _AS_IT_IS and _at(whole, names) == _AS_IT_IS[path]
        if _is_set(whole, names) and not as_it_is:
            yield path, instead


def inert_warnings(assistant: Mapping[str, Any]) -> list[str]:
    """For whoever looks at the call. The log is told of each field once."""
    found = list(inert_fields(assistant))
    for path, _ in found:
        if path not in _said:
            _said.add(path)
            _log.info("field_has_no_effect", field=path)
    return [f"{path} has no effect: {instead}" for path, instead in found]


def _at(value: Any, path: list[str]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _is_set(value: Any, path: list[str]) -> bool:
    if not path:
        return value not in (None, False, "", [], {}, 0)
    if isinstance(value, list):
        return any(_is_set(item, path) for item in value)
    return isinstance(value, Mapping) and path[0] in value and _is_set(value[path[0]], path[1:])
