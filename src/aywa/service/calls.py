"""Calls: begin over WebSocket or from a web page, list, read, rename, delete.

After `CallHost.prepare` has answered, nothing that happens here may fail the request: a client that sees a 5xx asks again,
and would get a second call (contract 2.3). What happens during the call arrives in the store by projection, not here.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import structlog

from aywa.ports.calls import CallHost, CallPlan, CallRefused
from aywa.ports.journal import StoreUnavailable
from aywa.ports.store import CallDocuments, CallFiles, Document, JsonObject, NewCall
from aywa.service.assistants import Assistants, Resolved
from aywa.service.call_request import WEB_CALL, CallRequest, join_timeout_s, read_request
from aywa.service.clock import Clock, iso, now_ms
from aywa.service.credentials import CallKeys, Credentials
from aywa.service.documents import dump, json_list, list_query, load, new_document
from aywa.service.errors import NotFound, Rejected
from aywa.service.keys import digest
from aywa.service.overrides import merged
from aywa.service.rules import check, shown
from aywa.service.validate import CALL_CHANGE

_log = structlog.get_logger("aywa.service.calls")

NO_COST: JsonObject = dict.fromkeys(
    (
        "transport",
        "stt",
        "llm",
        "tts",
        "vapi",
        "chat",
        "total",
        "llmPromptTokens",
        "llmCompletionTokens",
        "llmCachedPromptTokens",
        "ttsCharacters",
    ),
    0,
)
"""costBreakdown before anything has cost anything: numbers, never null (contract 6.3)."""

DEFAULT_VOICE_PROVIDER = "custom-voice"
"""What a client is told of an assistant without a voice of its own: ours, under a known discriminator."""


@dataclass(frozen=True, slots=True)
class CallLimits:
    """idempotency_key_ms: how long an Idempotency-Key is remembered. undelivered_ms: how long an answer that its client
    did not wait for is kept for his next, identical request. guest_ms: how long a call's party may read its artifacts."""

    idempotency_key_ms: int = 24 * 3600 * 1000
    idempotency_key_length: int = 255
    undelivered_ms: int = 75_000
    undelivered_answers: int = 1_000
    guest_ms: int = 24 * 3600 * 1000
    delete_ids: int = 1_000


DEFAULT_LIMITS = CallLimits()


@dataclass(frozen=True, slots=True)
class Creator:
    """Who asks. base_url: where the page and the API are reached from outside, without a slash at the end."""

    org_id: str
    key_id: str
    base_url: str = ""


class Calls:
    """The use-cases. Documents leave as JSON text."""

    def __init__(
        self,
        documents: CallDocuments,
        assistants: Assistants,
        credentials: Credentials,
        host: CallHost,
        files: CallFiles | None = None,
        limits: CallLimits = DEFAULT_LIMITS,
        clock: Clock = now_ms,
    ) -> None:
        self._documents = documents
        self._assistants = assistants
        self._credentials = credentials
        self._host = host
        self._files = files
        self._limits = limits
        self._clock = clock
        self._undelivered: dict[tuple[str, str], tuple[int, str]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    # --- begin -----------------------------------------------------------------------------------------------

    async def create(self, creator: Creator, body: Any, *, web: bool, idempotency: str | None = None) -> str:
        """Makes a call that waits for its party. Raises Rejected, CallRefused, StoreUnavailable.

        The same Idempotency-Key, or an identical request whose answer never arrived, gets the same call.
        """
        request = read_request(body, web=web)
        fingerprint = _fingerprint(body, web)
        if idempotency is None:
            waiting = self._undelivered.pop((creator.key_id, fingerprint), None)
            if waiting is not None and waiting[0] > self._clock():
                return waiting[1]
            return await self._begin(creator, request, None, fingerprint)
        self._check_idempotency(idempotency)
        name = f"{creator.key_id}:{idempotency}"
        lock = self._locks.setdefault(name, asyncio.Lock())
        try:
            async with lock:
                earlier = await self._earlier(creator, request, name, fingerprint)
                return earlier or await self._begin(creator, request, name, fingerprint)
        finally:
            if not lock.locked():
                self._locks.pop(name, None)

    def undelivered(self, creator: Creator, body: Any, answer: str, *, web: bool) -> None:
        """The client was gone before the answer was: his next identical request is taken for a retry."""
        if len(self._undelivered) >= self._limits.undelivered_answers:
            self._undelivered.pop(next(iter(self._undelivered)))
        until = self._clock() + self._limits.undelivered_ms
        self._undelivered[(creator.key_id, _fingerprint(body, web))] = (until, answer)

    async def _begin(
        self, creator: Creator, request: CallRequest, idempotency: str | None, fingerprint: str
    ) -> str:
        brain = await self._brain(creator.org_id, request)
        assistant = merged(brain.body, request.overrides)
        inline = brain.inline if request.inline is None else request.inline
        found = await self._credentials.keys(creator.org_id, assistant, inline)
        keys = CallKeys(found.keys, (*brain.problems, *found.problems))
        created_ms = self._clock()
        document = new_document(creator.org_id, created_ms, _first_body(request))
        guest_token = secrets.token_urlsafe(24)
        await self._documents.insert(
            NewCall(
                document,
                request.type,
                "queued",
                request.assistant_id,
                idempotency,
                fingerprint,
                digest(guest_token),
            ),
            created_ms - self._limits.idempotency_key_ms,
        )
        body = load(document)
        artifacts = artifact_base_url(creator.base_url, document.id, guest_token)
        url = await self._prepare(request, assistant, keys, document, body | {"artifactBaseUrl": artifacts})
        transport = body["transport"] | {"websocketCallUrl": url}
        fields: JsonObject = {"transport": transport}
        if request.type == WEB_CALL:
            fields["webCallUrl"] = _talk_url(creator.base_url, document.id, url)
            transport["callUrl"] = fields["webCallUrl"]
        text = await self._keep(document, body, fields)
        return text if request.type != WEB_CALL else _web_answer(text, assistant)

    async def _brain(self, org_id: str, request: CallRequest) -> Resolved:
        if request.assistant_id is None:
            given = request.assistant or {}
            return Resolved({name: value for name, value in given.items() if value is not None})
        try:
            return await self._assistants.resolve(org_id, request.assistant_id)
        except NotFound:
            value = shown("assistantId", request.assistant_id)
            raise Rejected([f"assistantId must be the id of an existing assistant, got {value}"]) from None

    async def _prepare(
        self,
        request: CallRequest,
        assistant: JsonObject,
        keys: CallKeys,
        document: Document,
        body: JsonObject,
    ) -> str:
        plan = CallPlan(
            call_id=document.id,
            org_id=document.org_id,
            type=request.type,
            assistant=assistant,
            format=request.format,
            rate_hz=request.rate_hz,
            created_ms=document.created_ms,
            assistant_id=request.assistant_id,
            variables=request.variables,
            call=body,
            join_timeout_s=join_timeout_s(assistant),
            keys=keys.keys,
            warnings=keys.problems,
        )
        try:
            return self._host.prepare(plan)
        except CallRefused as refusal:
            now = self._clock()
            ended = {
                "status": "ended",
                "endedAt": iso(now),
                "endedReason": refusal.ended_reason,
                "endedMessage": str(refusal),
            }
            await self._documents.refuse(document.org_id, document.id, now, lambda body: body | ended)
            raise

    async def _keep(self, document: Document, body: JsonObject, fields: JsonObject) -> str:
        try:
            kept = await self._documents.change(
                document.org_id, document.id, self._clock(), lambda stored: stored | fields
            )
        except StoreUnavailable:
            _log.warning("call_url_not_stored", call_id=document.id)
            kept = None
        return dump(body | fields) if kept is None else kept.text

    def _check_idempotency(self, idempotency: str) -> None:
        longest = self._limits.idempotency_key_length
        if not 1 <= len(idempotency) <= longest:
            raise Rejected(
                [f"Idempotency-Key must be 1 to {longest} characters long, got {len(idempotency)}"]
            )

    async def _earlier(
        self, creator: Creator, request: CallRequest, name: str, fingerprint: str
    ) -> str | None:
        since_ms = self._clock() - self._limits.idempotency_key_ms
        earlier = await self._documents.earlier(creator.org_id, name, since_ms)
        if earlier is None:
            return None
        if earlier.digest != fingerprint:
            raise Rejected(["Idempotency-Key must not be used again with another body"])
        if request.type != WEB_CALL:
            return earlier.document.text
        assistant = merged((await self._brain(creator.org_id, request)).body, request.overrides)
        return _web_answer(earlier.document.text, assistant)

    # --- afterwards ------------------------------------------------------------------------------------------

    async def list(self, org_id: str, parameters: Mapping[str, str]) -> str:
        """A JSON array, newest first. Raises Rejected."""
        query = list_query(parameters, {"id": "id", "assistantId": "assistant_id"})
        if parameters.get("phoneNumberId"):
            return "[]"  # no call has one yet
        return json_list(await self._documents.list(org_id, query))

    async def get(self, org_id: str, call_id: str) -> str:
        """Raises NotFound."""
        document = await self._documents.get(org_id, call_id)
        if document is None:
            raise missing(call_id)
        return document.text

    async def rename(self, org_id: str, call_id: str, change: Any) -> str:
        """Sets or clears the name, the only field that can be changed. Raises NotFound, Rejected."""
        problems = check(CALL_CHANGE, change)
        if isinstance(change, dict):
            problems += [
                f"{name[:80]} must not be changed: only name can be, got {shown(name, value)}"
                for name, value in change.items()
                if name != "name"
            ]
        if problems:
            raise Rejected(problems)

        def renamed(body: JsonObject) -> JsonObject:
            new: JsonObject = body | change
            if new.get("name", "") is None:
                del new["name"]
            return new

        document = await self._documents.change(org_id, call_id, self._clock(), renamed)
        if document is None:
            raise missing(call_id)
        return document.text

    async def delete(self, org_id: str, call_id: str, more: Any = None) -> str:
        """Ends the call if it runs, then forgets its document, events and files; answers what it was.

        more: a request body; its `ids` are deleted too, those that are not there left out. Raises NotFound, Rejected.
        """
        others = self._more_ids(more)
        text = await self._delete(org_id, call_id)
        if text is None:
            raise missing(call_id)
        for other in others:
            await self._delete(org_id, other)
        return text

    async def _delete(self, org_id: str, call_id: str) -> str | None:
        document = await self._documents.delete(org_id, call_id, self._clock())
        if document is None:
            return None
        self._host.end(call_id, "call-deleted")
        if self._files is not None:
            await asyncio.to_thread(self._files.remove, call_id)
        return document.text

    def _more_ids(self, more: Any) -> Sequence[str]:
        if more is None:
            return []
        ids: Any = more.get("ids") if isinstance(more, dict) else more
        if ids is None:
            return []
        longest = self._limits.delete_ids
        if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids) or len(ids) > longest:
            raise Rejected([f"ids must be an array of at most {longest} strings, got {shown('ids', ids)}"])
        return [str(one) for one in ids]

    async def organisation_of_guest(self, call_id: str, token: str) -> str | None:
        """The organisation of the call that this token was given out for, while it is valid."""
        return await self._documents.guest(call_id, digest(token), self._clock() - self._limits.guest_ms)


def missing(call_id: str) -> NotFound:
    """No such call here."""
    return NotFound(f"Call {call_id[:80]} does not exist.")


def _first_body(request: CallRequest) -> JsonObject:
    transport = request.body.get("transport")
    transport = dict(transport) if isinstance(transport, dict) else {}
    audio = {"format": str(request.format), "container": "raw", "sampleRate": request.rate_hz}
    provider = {"provider": "daily", "callToken": ""} if request.type == WEB_CALL else {}
    transport |= {"conversationType": "voice", "audioFormat": audio, **provider}
    body = request.body | {
        "type": request.type,
        "status": "queued",
        "transport": transport,
        "cost": 0,
        "costs": [],
        "costBreakdown": dict(NO_COST),
        "messages": [],
    }
    if request.type == WEB_CALL:
        body["artifactPlan"] = _object(request.body.get("artifactPlan")) | {"videoRecordingEnabled": False}
    return body


def _web_answer(text: str, assistant: Mapping[str, Any]) -> str:
    """What the web SDK reads (contract 6.2, 16). A stored assistant's prompt is not for the browser's eyes."""
    body: JsonObject = json.loads(text)
    voice = _object(assistant.get("voice"))
    provider = voice.get("provider") or DEFAULT_VOICE_PROVIDER
    told = _object(body.get("assistant"))
    body["assistant"] = told | {"voice": _object(told.get("voice")) | {"provider": provider}}
    return dump(body)


def artifact_base_url(base_url: str, call_id: str, guest_token: str) -> str:
    """Where the call's own party finds its artifacts: unguessable, for this call alone, and for a limited time."""
    return f"{base_url}/artifact/{call_id}/{guest_token}"


def _talk_url(base_url: str, call_id: str, url: str) -> str:
    # The address of the audio comes after the #, so that it is not sent to a server or written to its log.
    return f"{base_url}/?{urlencode({'call': call_id})}#{urlencode({'ws': url})}"


def _object(value: Any) -> JsonObject:
    return dict(value) if isinstance(value, dict) else {}


def _fingerprint(body: Any, web: bool) -> str:
    canonical = json.dumps([web, body], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
