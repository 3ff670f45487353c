"""Calls: begin over WebSocket, from a web page or by telephone, at once or later; list, read, rename, delete.

After `CallHost.prepare` has answered, nothing that happens here may fail the request: a client that sees a 5xx asks again,
and would get a second call (contract 2.3). What happens during the call arrives in the store by projection, not here.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from aywa.core.server_messages import deliveries_of_deleted
from aywa.core.webhooks import Delivery
from aywa.ports.calls import CallHost, CallPlan, CallRefused, ProviderKey
from aywa.ports.journal import ProjectionStore, StoreUnavailable
from aywa.ports.secrets import CannotOpen, Vault
from aywa.ports.store import CallDocuments, CallFiles, Document, JsonObject, NewCall
from aywa.service.assistants import INLINE, Resolved
from aywa.service.brains import Brains
from aywa.service.call_bodies import (
    artifact_base_url,
    blocked,
    ended_fields,
    first_body,
    talk_url,
    web_answer,
)
from aywa.service.call_plans import CallPlans
from aywa.service.call_request import (
    INBOUND_CALL,
    SCHEDULE_MAX_MS,
    WEB_CALL,
    CallRequest,
    Schedule,
    accepted_request,
    read_request,
    with_ring,
)
from aywa.service.clock import Clock, iso, now_ms, parse_iso
from aywa.service.customer_servers import CustomerServers, as_begun, unbegun
from aywa.service.documents import dump, json_list, list_query, load, new_document
from aywa.service.errors import NotFound, Rejected
from aywa.service.keys import digest
from aywa.service.live import Monitors
from aywa.service.outbound import Dialling, Outbound
from aywa.service.phone_numbers import NumberInUse, shown_number
from aywa.service.rules import check, shown
from aywa.service.sealing import Seal
from aywa.service.secret_fields import Secrets, joined
from aywa.service.validate import CALL_CHANGE

_log = structlog.get_logger("aywa.service.calls")

KIND = "call"
NO_WORKER = "call.start.error-vapifault-worker-not-available"
NOT_VALID = "call.start.error-get-resources-validation"
TOO_MANY = "call.start.error-subscription-concurrency-limit-reached"
ARTIFACTS = "artifactBaseUrl"


@dataclass(frozen=True, slots=True)
class CallLimits:
    """idempotency_key_ms: how long an Idempotency-Key is remembered. undelivered_ms: how long an answer that its client
    did not wait for is kept for his next, identical request. guest_ms: how long a call's party may read its artifacts.
    schedule_retry_ms: after how long a call is tried again that was due and could not begin, for schedule_patience_ms in all.
    queued_calls: to telephones, that wait for room at most, of all organisations."""

    idempotency_key_ms: int = 24 * 3600 * 1000
    idempotency_key_length: int = 255
    undelivered_ms: int = 75_000
    undelivered_answers: int = 1_000
    guest_ms: int = 24 * 3600 * 1000
    delete_ids: int = 1_000
    schedule_retry_ms: int = 10_000
    schedule_patience_ms: int = 3600 * 1000
    queued_calls: int = 1_000


DEFAULT_LIMITS = CallLimits()


@dataclass(frozen=True, slots=True)
class Creator:
    """Who asks. base_url: where the page and the API are reached from outside, without a slash at the end."""

    org_id: str
    key_id: str
    base_url: str = ""


@dataclass(frozen=True, slots=True)
class PhoneWay:
    """What calls to and from telephones need. scheduled: told that a call waits for its time."""

    outbound: Outbound
    vault: Vault
    scheduled: Callable[[], None] = lambda: None


class Calls:
    """The use-cases. Documents leave as JSON text. phone: None where there are no telephones. servers: None where no
    customer's servers are told. monitors: makes the addresses of those who listen and steer; None: there are none. records: what
    is known of a call's servers when it is deleted; None: nobody is told that it was."""

    def __init__(
        self,
        documents: CallDocuments,
        brains: Brains,
        host: CallHost,
        files: CallFiles | None = None,
        limits: CallLimits = DEFAULT_LIMITS,
        clock: Clock = now_ms,
        phone: PhoneWay | None = None,
        servers: CustomerServers | None = None,
        monitors: Monitors | None = None,
        records: ProjectionStore | None = None,
    ) -> None:
        self._records = records
        self._plans = CallPlans(brains, servers, monitors)
        self._phone = phone
        self._documents = documents
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
        brain = await self._plans.brain(creator.org_id, request)
        created_ms = self._clock()
        call_id = str(uuid.uuid4())
        request, dialling = await self._dialling(creator.org_id, request, brain, call_id)
        later = request.schedule is not None and self._is_later(request.schedule, created_ms)
        if dialling is not None and not later and self._phone is not None:
            self._phone.outbound.judge(creator.org_id, dialling.destination)
        first = first_body(request, "scheduled" if later else "queued")
        if dialling is not None and not request.carrier:
            # What the SIP port calls it, too: a carrier's records can be laid beside ours.
            first["phoneCallProviderId"] = call_id
        # Nobody but this runtime says who listens.
        first.pop("monitor", None)
        document = new_document(creator.org_id, created_ms, first, call_id)
        guest_token = secrets.token_urlsafe(24)
        row = NewCall(
            document,
            request.type,
            "scheduled" if later else "queued",
            request.assistant_id,
            idempotency,
            fingerprint,
            digest(guest_token),
            None if request.phone is None else request.phone.phone_number_id or None,
        )
        since_ms = created_ms - self._limits.idempotency_key_ms
        if later and request.schedule is not None:
            return await self._wait(request, row, since_ms, request.schedule.earliest_ms)
        artifacts = artifact_base_url(creator.base_url, document.id, guest_token)
        if dialling is not None and await self._is_behind(created_ms):
            self._not_placed(dialling)
            document = replace(document, text=dump(blocked(load(document))))
            held = replace(request, secrets=[*request.secrets, ([ARTIFACTS], artifacts)])
            return await self._wait(held, replace(row, document=document), since_ms, created_ms)
        plan = await self._plans.plan(request, brain, document, None if dialling is None else dialling.number)
        document, plan = self._plans.opened(document, plan, creator.base_url)
        await self._documents.insert(replace(row, document=document), since_ms)
        plan = replace(plan, call={**plan.call, ARTIFACTS: artifacts})
        return await self._started(plan, document, dialling, creator.base_url, request.secrets)

    async def _started(
        self,
        plan: CallPlan,
        document: Document,
        dialling: Dialling | None,
        base_url: str,
        own: Secrets,
    ) -> str:
        """Begins a call whose document is stored. own: its secrets."""
        try:
            url = self._host.prepare(plan)
        except CallRefused as refusal:
            self._not_placed(dialling)
            waits = None
            if dialling is not None and self._host.full():
                # Others had the last place in the meantime.
                waits = await self._lined_up(document, [*own, ([ARTIFACTS], plan.call[ARTIFACTS])])
            if waits is None:
                await self._refused(plan, document, refusal)
                raise
            return waits.text
        if dialling is not None:
            self._dial(dialling, document.id, base_url)
            return document.text
        body = load(document)
        transport = body["transport"] | {"websocketCallUrl": url}
        fields: JsonObject = {"transport": transport}
        if plan.type == WEB_CALL:
            fields["webCallUrl"] = talk_url(base_url, document.id, url)
            transport["callUrl"] = fields["webCallUrl"]
        text = await self._keep(document, body, fields)
        return text if plan.type != WEB_CALL else web_answer(text, plan.assistant)

    async def _dialling(
        self, org_id: str, request: CallRequest, brain: Resolved, call_id: str
    ) -> tuple[CallRequest, Dialling | None]:
        if request.phone is None:
            return request, None
        if self._phone is None:
            raise Rejected(["phoneNumberId cannot be called from: this runtime has no SIP port"])
        dialling = await self._phone.outbound.read(org_id, request.phone, call_id)
        carrier = dialling.call.carrier
        if carrier is None:
            return request, dialling
        settled, _ = await self._plans.settled(org_id, brain, request)
        assistant = settled.assistant
        phone = with_ring(request.phone, request.body, assistant, carrier.vendor)
        call = replace(dialling.call, ring_s=phone.ring_s)
        return replace(request, carrier=carrier.vendor, phone=phone), replace(dialling, call=call)

    def _dial(self, dialling: Dialling, call_id: str, base_url: str = "") -> None:
        assert self._phone is not None
        try:
            self._phone.outbound.dial(dialling, call_id, base_url)
        except CallRefused as refusal:
            # It is prepared, so it has begun: what becomes of it, its record says.
            _log.warning("call_not_dialled", call_id=call_id, reason=str(refusal))
            self._host.end(call_id, refusal.ended_reason)

    def _not_placed(self, dialling: Dialling | None) -> None:
        if dialling is not None and self._phone is not None:
            self._phone.outbound.take_back(dialling.number.org_id)

    async def placed(self, org_id: str, call_id: str, provider_id: str) -> None:
        """A carrier has its own name for the call. Never raises: the call goes on without it."""
        fields = {"phoneCallProviderId": provider_id}
        try:
            await self._documents.change(org_id, call_id, self._clock(), lambda stored: stored | fields)
        except StoreUnavailable:
            _log.warning("provider_id_not_stored", call_id=call_id)

    # --- later -----------------------------------------------------------------------------------------------------

    def _is_later(self, schedule: Schedule, now: int) -> bool:
        if schedule.earliest_ms > now + SCHEDULE_MAX_MS:
            days = SCHEDULE_MAX_MS // (24 * 3600 * 1000)
            raise Rejected(
                [f"schedulePlan.earliestAt must be within {days} days, got {iso(schedule.earliest_ms)}"]
            )
        if schedule.latest_ms is not None and schedule.latest_ms < now:
            raise Rejected([f"schedulePlan.latestAt must not have passed, got {iso(schedule.latest_ms)}"])
        return schedule.earliest_ms > now

    async def _wait(self, request: CallRequest, row: NewCall, since_ms: int, due_ms: int) -> str:
        assert self._phone is not None
        document = row.document
        sealed = Seal(self._phone.vault, KIND).close(document.org_id, document.id, request.secrets)
        await self._documents.insert(
            replace(row, document=replace(document, sealed=sealed), due_ms=due_ms), since_ms
        )
        self._phone.scheduled()
        return document.text

    async def _is_behind(self, now: int) -> bool:
        """Whether a call to a telephone has to wait for others, and may."""
        waiting = await self._documents.waiting(now)
        return waiting < self._limits.queued_calls and (waiting > 0 or self._host.full())

    async def _lined_up(self, document: Document, own: Secrets) -> Document | None:
        """A call whose document is stored waits for room; None where too many do."""
        assert self._phone is not None
        now = self._clock()
        if await self._documents.waiting(now) >= self._limits.queued_calls:
            return None
        sealed = Seal(self._phone.vault, KIND).close(document.org_id, document.id, own)
        waits = await self._documents.postpone(
            replace(document, sealed=sealed), document.created_ms, now, blocked
        )
        self._phone.scheduled()
        return waits

    async def begin_due(self, document: Document) -> bool:
        """Begins a call that waited for its time, or for room; False: there is no room for it yet, nor for any other. Where
        something else is in its way it waits on, for a time. Raises StoreUnavailable."""
        now = self._clock()
        if self._host.full():
            if now <= _due_since(document) + self._limits.schedule_patience_ms:
                return False
            await self._give_up(document, TOO_MANY, "there was no room for it: too many calls were running")
            return True
        await self._begin_waiting(document, now)
        return True

    async def _begin_waiting(self, document: Document, now: int) -> None:
        try:
            request, artifacts = self._read_again(document)
            latest_ms = None if request.schedule is None else request.schedule.latest_ms
            if latest_ms is not None and latest_ms < now:
                raise Rejected(["schedulePlan.latestAt had passed before the call could begin"])
            brain = await self._plans.brain(document.org_id, request)
            request, dialling = await self._dialling(document.org_id, request, brain, document.id)
            if dialling is None or self._phone is None:
                raise Rejected(["phoneNumberId is required"])
            plan = await self._plans.plan(request, brain, document, dialling.number)
            plan = replace(plan, call={**plan.call, **artifacts})
            self._phone.outbound.judge(document.org_id, dialling.destination)
        except Rejected as rejection:
            await self._give_up(document, NOT_VALID, "; ".join(rejection.problems))
        except CallRefused as refusal:
            await self._postpone(document, refusal)
        else:
            await self._begin_claimed(document, plan, dialling)

    async def _begin_claimed(self, document: Document, plan: CallPlan, dialling: Dialling) -> None:
        _, plan = self._plans.opened(document, plan)
        first = {name: plan.call[name] for name in ("monitor",) if name in plan.call} | {"status": "queued"}
        claimed = await self._documents.claim(
            document.org_id, document.id, self._clock(), lambda body: body | first
        )
        if claimed is None:
            self._not_placed(dialling)
            return  # somebody has deleted it, or another process has it
        try:
            now = self._clock()  # to its templates it begins now
            _ = self._host.prepare(replace(plan, created_ms=now, call={**plan.call, "status": "queued"}))
        except CallRefused as refusal:
            self._not_placed(dialling)
            await self._postpone(document, refusal)
        else:
            self._dial(dialling, document.id)

    async def _postpone(self, document: Document, refusal: CallRefused) -> None:
        now = self._clock()
        if now > _due_since(document) + self._limits.schedule_patience_ms:
            await self._give_up(document, refusal.ended_reason, str(refusal))
            return
        _log.info("scheduled_call_postponed", call_id=document.id, reason=str(refusal))
        as_before = {"status": load(document)["status"]}
        await self._documents.postpone(
            document, now + self._limits.schedule_retry_ms, now, lambda body: body | as_before
        )

    def _read_again(self, document: Document) -> tuple[CallRequest, JsonObject]:
        """The request that a call was made with which waited, and where its party finds its artifacts. Raises Rejected."""
        body, held = load(document), self._held(document)
        if held and held[0][0] == [INLINE]:  # as an earlier release kept them
            inline: Sequence[JsonObject] = held[0][1]
            return replace(read_request(body, web=False), inline=inline), {}
        artifacts: JsonObject = joined({}, [each for each in held if each[0] == [ARTIFACTS]])
        own = [each for each in held if each[0] != [ARTIFACTS]]
        return read_request(joined(body, own), web=False), artifacts

    def _held(self, document: Document) -> Secrets:
        """The secrets of its own, of a call that waited. Raises Rejected."""
        if document.sealed is None or self._phone is None:
            return []
        try:
            return Seal(self._phone.vault, KIND).open(document.org_id, document.id, document.sealed)
        except CannotOpen as reason:
            raise Rejected([f"the call's own credentials cannot be opened: {reason}"]) from None

    async def abandon(self, document: Document) -> None:
        """A scheduled call that cannot be begun, for a reason that nobody foresaw. Raises StoreUnavailable."""
        await self._give_up(document, NO_WORKER, "the runtime failed to begin it: see its log")

    async def _give_up(self, document: Document, reason: str, message: str) -> None:
        now = self._clock()
        ended = ended_fields(now, reason, message)
        _, webhooks = await self._plans.chain(document.org_id, {}, {}, None)
        told = unbegun(document, {}, webhooks, load(document), now, ended)
        # It may have been claimed before.
        for change in (self._documents.claim, self._documents.refuse):
            if await change(document.org_id, document.id, now, lambda body: body | ended, told) is not None:
                return

    # --- from a telephone --------------------------------------------------------------------------------------------

    async def receive(
        self,
        document: Document,
        request: CallRequest,
        brain: Resolved,
        number: NumberInUse | None,
        base_url: str = "",
    ) -> CallPlan:
        """Takes a call that somebody placed to a phone number, or that equipment brings to an assistant. Raises CallRefused,
        StoreUnavailable."""
        plan = await self._plans.plan(request, brain, document, number)
        document, plan = self._plans.opened(document, plan, base_url)
        guest_token = secrets.token_urlsafe(24)
        row = NewCall(
            document,
            INBOUND_CALL,
            "queued",
            request.assistant_id,
            guest_digest=digest(guest_token),
            phone_number_id=None if number is None else number.id,
        )
        await self._documents.insert(row, 0)
        if base_url:
            artifacts = artifact_base_url(base_url, document.id, guest_token)
            plan = replace(plan, call={**plan.call, ARTIFACTS: artifacts})
        try:
            _ = self._host.prepare(plan)
        except CallRefused as refusal:
            await self._refused(plan, document, refusal)
            raise
        return plan

    async def record_refused(
        self, document: Document, number: NumberInUse, reason: str, message: str, more: Mapping[str, Any]
    ) -> None:
        """Puts a call on record that came in and never became one; the number's servers are told. Raises StoreUnavailable."""
        now = self._clock()
        ended = ended_fields(now, reason, message)
        body = load(document) | ended | dict(more)
        _, webhooks = await self._plans.chain(document.org_id, {}, {}, number)
        told = unbegun(document, {}, webhooks, body | {"phoneNumber": shown_number(number.body)}, now, ended)
        row = NewCall(replace(document, text=dump(body)), INBOUND_CALL, "ended", phone_number_id=number.id)
        await self._documents.insert(row, 0, told)

    # --- inside ------------------------------------------------------------------------------------------------------

    async def _refused(self, plan: CallPlan, document: Document, refusal: CallRefused) -> None:
        now = self._clock()
        ended = ended_fields(now, refusal.ended_reason, str(refusal), plan.assistant)
        told = unbegun(document, plan.assistant, plan.webhooks, plan.call, now, ended)
        await self._documents.refuse(document.org_id, document.id, now, lambda body: body | ended, told)

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
        brain = await self._plans.brain(creator.org_id, request)
        settled, _ = await self._plans.settled(creator.org_id, brain, request)
        return web_answer(earlier.document.text, settled.assistant)

    # --- afterwards ------------------------------------------------------------------------------------------

    async def list(self, org_id: str, parameters: Mapping[str, str]) -> str:
        """A JSON array, newest first. Raises Rejected."""
        query = list_query(
            parameters, {"id": "id", "assistantId": "assistant_id", "phoneNumberId": "phone_number_id"}
        )
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
        now = self._clock()
        begun = await self.as_begun(org_id, call_id)

        def tell(gone: Document) -> Sequence[Delivery]:
            return () if begun is None else deliveries_of_deleted(call_id, org_id, begun, load(gone), now)

        document = await self._documents.delete(org_id, call_id, now, tell)
        if document is None:
            return None
        self._host.end(call_id, "call-deleted")
        if self._files is not None:
            await self._files.remove(org_id, call_id)
        return document.text

    async def as_begun(self, org_id: str, call_id: str) -> Mapping[str, Any] | None:
        """What the record says of a call's beginning; what it would say, of one that is not on record, or whose machine was gone
        too soon; None: there is no such call, or nobody is told of any. Raises StoreUnavailable."""
        document = None if self._records is None else await self._documents.get(org_id, call_id)
        if document is None or self._records is None:
            return None
        for record in await self._records.events(org_id, call_id):
            if record.kind == "CallStarted":
                return record.data
        assistant: JsonObject = {}
        keys: Mapping[str, ProviderKey] = {}
        number = await self._number_of(document)
        try:
            request = accepted_request(joined(load(document), self._held(document)))
            settled, _ = await self._plans.settled(org_id, await self._plans.brain(org_id, request), request)
        except Rejected as rejection:
            # What it began with is there no more: who hears of all calls, or of all of the number's, hears of this one too.
            _log.warning("call_brain_is_gone", call_id=call_id, problems=len(rejection.problems))
        else:
            assistant, keys = settled.assistant, settled.keys
        _, webhooks = await self._plans.chain(org_id, assistant, keys, number)
        body = load(document) | ({} if number is None else {"phoneNumber": shown_number(number.body)})
        return as_begun(document, assistant, webhooks, body)

    async def _number_of(self, document: Document) -> NumberInUse | None:
        number_id = load(document).get("phoneNumberId")
        if self._phone is None or number_id is None:
            return None
        try:
            return await self._phone.outbound.number(document.org_id, number_id)
        except NotFound:
            return None

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


def _due_since(document: Document) -> float:
    """Since when a call that waits could have begun, in Unix milliseconds."""
    plan = load(document).get("schedulePlan")
    return document.created_ms if plan is None else parse_iso(plan["earliestAt"])


def _fingerprint(body: Any, web: bool) -> str:
    canonical = json.dumps([web, body], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
