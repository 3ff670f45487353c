"""Phone numbers: create, list, read, change, delete, and what a call needs of one. Refuses to know how a call travels.

The secrets of `authentication` and `server` are sealed beside the document and never leave it but to a call.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from aywa.core.numbers import number_key
from aywa.ports.secrets import CannotOpen, Sealed, Vault
from aywa.ports.store import Conflict, Document, Documents, JsonObject, ListQuery, PhoneNumberDocuments
from aywa.ports.telephony import Account
from aywa.service.clock import Clock, now_ms
from aywa.service.documents import (
    LIST_LIMIT_MAX,
    OWN_FIELDS,
    json_list,
    list_query,
    load,
    new_document,
    without_own,
)
from aywa.service.errors import NotFound, Rejected
from aywa.service.once import Asked, made_once
from aywa.service.phone_rules import (
    BY_CREDENTIAL,
    TRUNK,
    TWILIO_SECRETS,
    number_change_problems,
    number_problems,
    number_wanting,
)
from aywa.service.rules import shown
from aywa.service.sealing import Seal
from aywa.service.secret_fields import Secrets, joined, kept, split

_log = structlog.get_logger("aywa.service.phone_numbers")

KIND = "phone-number"
PAGE_MAX = 1_000_000
"""The last page that can be asked for."""

LENT_MAX = 10_000
"""So many phone numbers that came with a call are remembered, the first forgotten first."""

WITH_SECRETS = ("authentication", "server", "carrier")
"""Where its secrets are, beside those that are Twilio's. The other fields are whatever a client keeps in them (a hook's filter
has a `key`)."""


@dataclass(frozen=True, slots=True)
class NumberInUse:
    """A phone number for a call. body: without secrets. server: with its own, None where it has none. account: who may call
    it, None for everyone. whole: the body with all its secrets."""

    id: str
    org_id: str
    body: JsonObject
    server: JsonObject | None = field(default=None, repr=False)
    account: Account | None = None
    whole: JsonObject = field(default_factory=dict, repr=False)


class PhoneNumbers:
    """The use-cases. Documents leave as JSON text. changed: told when an account may not be what it was."""

    def __init__(
        self,
        documents: PhoneNumberDocuments,
        assistants: Documents,
        credentials: Documents,
        vault: Vault,
        clock: Clock = now_ms,
        changed: Callable[[], None] | None = None,
    ) -> None:
        self._documents = documents
        self._assistants = assistants
        self._credentials = credentials
        self._seal = Seal(vault, KIND)
        self._clock = clock
        self._changed = changed or (lambda: None)
        self._lent: dict[str, NumberInUse] = {}

    async def create(self, org_id: str, body: Any, request: Asked | None = None) -> str:
        """Stores a new phone number, once. Raises Rejected."""
        if problems := number_problems(body):
            raise Rejected(problems)
        given = {name: value for name, value in without_own(body).items() if value is not None}
        await self._check_others(org_id, given, given)
        public, secrets = split_number({"status": "active"} | given)
        document = new_document(org_id, self._clock(), public)
        sealed = self._seal.close(org_id, document.id, secrets)
        try:
            made = await made_once(self._documents, replace(document, sealed=sealed), request)
        except Conflict:
            raise Rejected([taken(given)]) from None
        self._changed()
        return made.text

    async def list(self, org_id: str, parameters: Mapping[str, str]) -> str:
        """A JSON array, newest first. Raises Rejected."""
        return json_list(await self._documents.list(org_id, list_query(parameters)))

    async def page(self, org_id: str, parameters: Mapping[str, str]) -> str:
        """A page object (contract 2.6): `page`, `limit`, `sortOrder`, `search` in name, number and URI. Raises Rejected."""
        query = list_query(parameters)
        number = _page_number(parameters.get("page"))
        order = parameters.get("sortOrder") or "DESC"
        if order not in ("ASC", "DESC"):
            raise Rejected(
                [f"sortOrder must be one of the following values: ASC, DESC, got {shown('', order)}"]
            )
        texts = await self._documents.list(
            org_id, ListQuery(LIST_LIMIT_MAX, query.created, query.updated, query.equal)
        )
        found = [text for text in texts if _matches(text, parameters.get("search", ""))]
        if order == "ASC":
            found.reverse()
        size = max(1, query.limit)
        pages = math.ceil(len(found) / size)
        metadata = {
            "itemsPerPage": size,
            "totalItems": len(found),
            "currentPage": number,
            "totalPages": pages,
            "hasNextPage": number < pages,
            "sortOrder": order,
        }
        chosen = found[(number - 1) * size : number * size]
        return f'{{"results":{json_list(chosen)},"metadata":{json.dumps(metadata)}}}'

    async def get(self, org_id: str, number_id: str) -> str:
        """Raises NotFound."""
        document = await self._documents.get(org_id, number_id)
        if document is None:
            raise missing(number_id)
        return document.text

    async def change(self, org_id: str, number_id: str, change: Any) -> str:
        """Replaces each supplied top-level field whole; null clears it. A secret that is not sent stays as it was.
        Raises NotFound, Rejected."""
        if problems := number_change_problems(change):
            raise Rejected(problems)
        change = without_own(change)
        before = await self._documents.get(org_id, number_id)
        if before is None:
            raise missing(number_id)
        await self._check_others(org_id, change, load(before) | change)

        def changed(body: JsonObject, sealed: Sealed | None) -> tuple[JsonObject, Sealed | None]:
            new = self._after(org_id, number_id, body, sealed, change)
            public, secrets = split_number(new)
            return public, self._seal.close(org_id, number_id, secrets)

        try:
            document = await self._documents.change_sealed(org_id, number_id, self._clock(), changed)
        except Conflict:
            raise Rejected([taken(load(before) | change)]) from None
        if document is None:
            raise missing(number_id)
        self._changed()
        return document.text

    async def delete(self, org_id: str, number_id: str) -> str:
        """Answers what was deleted. Raises NotFound."""
        document = await self._documents.delete(org_id, number_id)
        if document is None:
            raise missing(number_id)
        self._changed()
        return document.text

    # --- for calls -------------------------------------------------------------------------------------------------

    async def lend(self, org_id: str, call_id: str, whole: JsonObject) -> NumberInUse:
        """One that came with a call and is kept nowhere: from now on it is found by the call's id. Raises Rejected."""
        try:
            await self._check_others(org_id, whole, whole)
        except Rejected as rejection:
            raise Rejected([f"phoneNumber.{problem}" for problem in rejection.problems]) from None
        public, _ = split_number(whole)
        number = NumberInUse(call_id, org_id, public, whole.get("server"), None, whole)
        if len(self._lent) >= LENT_MAX:
            del self._lent[next(iter(self._lent))]
        self._lent[call_id] = number
        return number

    async def use(self, org_id: str, number_id: str) -> NumberInUse:
        """The organisation's own, for a call that it places. Raises NotFound."""
        lent = self._lent.get(number_id)
        if lent is not None and lent.org_id == org_id:
            return lent
        document = await self._documents.get(org_id, number_id)
        if document is None:
            raise missing(number_id)
        return self._opened(document)

    async def of_trunks(self, credential_ids: Collection[str], number: str) -> NumberInUse | None:
        """Whose number was called on one of these trunks: the first who had it; else who takes all that the trunk brings."""
        found = await self._documents.of_trunks(credential_ids, number) if credential_ids else ()
        return self._opened(found[0]) if found else None

    async def of_uri(self, user: str) -> NumberInUse | None:
        """Whose SIP URI has this user."""
        document = await self._documents.of_uri(user)
        return None if document is None else self._opened(document)

    async def of_id(self, number_id: str) -> NumberInUse | None:
        """Any organisation's, for a vendor, who knows no organisation."""
        if number_id in self._lent:
            return self._lent[number_id]
        document = await self._documents.of_id(number_id)
        return None if document is None else self._opened(document)

    async def accounts(self) -> Sequence[Account]:
        """Who may call those that do not take calls from everyone."""
        found = [self._opened(document).account for document in await self._documents.with_accounts()]
        return [account for account in found if account is not None and account.password]

    # --- inside ------------------------------------------------------------------------------------------------------

    def _after(
        self, org_id: str, number_id: str, body: JsonObject, sealed: Sealed | None, change: JsonObject
    ) -> JsonObject:
        if change.get("provider", body["provider"]) != body["provider"]:
            value = shown("provider", change["provider"])
            raise Rejected([f"provider must not be changed: make a new phone number, got {value}"])
        try:
            old: JsonObject = joined(body, self._seal.open(org_id, number_id, sealed))
        except CannotOpen as reason:
            # It can still be mended, by entering all of it again.
            _log.warning("phone_number_cannot_be_opened", phone_number_id=number_id, reason=str(reason))
            old = body
        secret = {name: value for name, value in change.items() if name in WITH_SECRETS}
        merged = old | change | kept(secret, {name: old[name] for name in secret if name in old})
        new = {name: value for name, value in merged.items() if value is not None or name not in change}
        if problems := number_wanting(new):
            raise Rejected(problems)
        return new

    async def _check_others(self, org_id: str, given: Mapping[str, Any], whole: Mapping[str, Any]) -> None:
        """That what it refers to is there, and the organisation's own."""
        problems: list[str] = []
        assistant_id, credential_id = given.get("assistantId"), given.get("credentialId")
        if assistant_id is not None and await self._assistants.get(org_id, assistant_id) is None:
            value = shown("assistantId", assistant_id)
            problems.append(f"assistantId must be the id of an existing assistant, got {value}")
        if credential_id is not None:
            found = await self._credentials.get(org_id, credential_id)
            provider = whole["provider"]
            wanted = provider if provider in BY_CREDENTIAL else TRUNK
            if found is None or load(found).get("provider") != wanted:
                value = shown("", credential_id)
                problems.append(f"credentialId must be the id of a {wanted} credential, got {value}")
        if problems:
            raise Rejected(problems)

    def _opened(self, document: Document) -> NumberInUse:
        body = load(document)
        account = body.get("authentication")
        try:
            whole = joined(body, self._seal.open(document.org_id, document.id, document.sealed))
        except CannotOpen as reason:
            # Who cannot be told from others by his password gets in nowhere.
            _log.warning("phone_number_cannot_be_opened", phone_number_id=document.id, reason=str(reason))
            whole = body
        return NumberInUse(
            document.id,
            document.org_id,
            body,
            whole.get("server"),
            _account(whole["authentication"]) if isinstance(account, dict) else None,
            whole,
        )


def split_number(body: JsonObject) -> tuple[JsonObject, Secrets]:
    """The document without its secrets, and they."""
    secrets: Secrets = []
    public = dict(body)
    for name in WITH_SECRETS:
        if isinstance(body.get(name), dict):
            public[name], inside = split(body[name])
            secrets += [([name, *path], secret) for path, secret in inside]
    secrets += [([name], public.pop(name)) for name in TWILIO_SECRETS if public.get(name) is not None]
    return public, secrets


def shown_number(body: Mapping[str, Any]) -> JsonObject:
    """What a call's record and its prompts may say of it."""
    names = ("id", "number", "name", "sipUri", "provider")
    return {name: body[name] for name in names if body.get(name) is not None}


def taken(body: Mapping[str, Any]) -> str:
    """That another one has what this one wants."""
    if body.get("credentialId") is not None:
        number = body.get("number")
        what = "no number, which takes all that the trunk brings" if number is None else shown("", number)
        return f"number must be another: a phone number of this credential has it, got {what}"
    value = shown("sipUri", body.get("sipUri"))
    return f"sipUri or authentication.username must be another: a phone number of this runtime has it, got {value}"


def missing(number_id: str) -> NotFound:
    """No such phone number here."""
    return NotFound(f"Phone number {number_id[:80]} does not exist.")


def _account(authentication: Mapping[str, Any]) -> Account:
    username, password, realm = (authentication.get(name) for name in ("username", "password", "realm"))
    return Account(str(username or ""), str(password or ""), str(realm or ""))


def _page_number(text: str | None) -> int:
    if text is None:
        return 1
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= PAGE_MAX):
        raise Rejected([f"page must be an integer of at least 1, got {json.dumps(text[:80])}"])
    return int(text)


def _matches(text: str, search: str) -> bool:
    if not search:
        return True
    body: JsonObject = json.loads(text)
    wanted, key = search.lower(), number_key(search)
    number = body.get("number")
    if isinstance(number, str) and key in number_key(number):
        return True
    return any(wanted in str(body.get(name, "")).lower() for name in ("name", "sipUri", OWN_FIELDS[0]))
