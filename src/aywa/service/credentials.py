"""Credentials: create, list, read, change, delete, and the keys that a call takes along. No secret ever leaves but to a call.

A call never awaits a database (design): its keys are looked up before it is prepared, and travel with its plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from aywa.ports.calls import ProviderKey
from aywa.ports.secrets import CannotOpen, Sealed, Vault
from aywa.ports.store import CredentialDocuments, Document, JsonObject
from aywa.service.clock import Clock, now_ms
from aywa.service.credential_rules import change_problems, credential_problems, tidy, wanting
from aywa.service.documents import OWN_FIELDS, json_list, list_query, load, new_document, without_own
from aywa.service.errors import NotFound, Rejected
from aywa.service.once import Asked, made_once
from aywa.service.rules import shown
from aywa.service.sealing import Seal
from aywa.service.secret_fields import joined, kept, split

_log = structlog.get_logger("aywa.service.credentials")

KIND = "credential"
Texts = list[str]
_NO_KEYS: Mapping[str, ProviderKey] = {}
# Where an assistant names who works for it, and whom to ask when they cannot.
_SECTIONS = {"model": "models", "voice": "voices", "transcriber": "transcribers"}
_ABOUT = frozenset((*OWN_FIELDS, "provider", "name", "apiKey", "baseUrl", "apiUrl"))


@dataclass(frozen=True, slots=True)
class CallKeys:
    """keys: by provider, and by the id of each credential that the assistant names. problems: what could not be used, for
    a person; the call goes on without it."""

    keys: Mapping[str, ProviderKey] = field(repr=False)
    problems: tuple[str, ...] = ()


class Credentials:
    """The use-cases. Documents leave as JSON text, without secrets. environment: keys that serve when nobody named one,
    and base URLs for keys that name none. written: told the provider of each credential that was made, changed or deleted."""

    def __init__(
        self,
        documents: CredentialDocuments,
        vault: Vault,
        environment: Mapping[str, ProviderKey] = _NO_KEYS,
        clock: Clock = now_ms,
        written: Callable[[str], None] | None = None,
    ) -> None:
        self._documents = documents
        self._seal = Seal(vault, KIND)
        self._environment = environment
        self._clock = clock
        self._written = written or (lambda _provider: None)

    async def create(self, org_id: str, body: Any, request: Asked | None = None) -> str:
        """Stores a new credential, once. Raises Rejected."""
        if problems := credential_problems(body):
            raise Rejected(problems)
        public, secrets = split(tidy(without_own(body)))
        document = new_document(org_id, self._clock(), public)
        sealed = self._seal.close(org_id, document.id, secrets)
        made = await made_once(self._documents, replace(document, sealed=sealed), request)
        self._written(public["provider"])
        return made.text

    async def list(self, org_id: str, parameters: Mapping[str, str]) -> str:
        """A JSON array, newest first. Raises Rejected."""
        return json_list(await self._documents.list(org_id, list_query(parameters)))

    async def get(self, org_id: str, credential_id: str) -> str:
        """Raises NotFound."""
        document = await self._documents.get(org_id, credential_id)
        if document is None:
            raise missing(credential_id)
        return document.text

    async def change(self, org_id: str, credential_id: str, change: Any) -> str:
        """Replaces each supplied top-level field whole; null clears it. A secret that is not sent stays as it was.
        Raises NotFound, Rejected."""
        if problems := change_problems(change):
            raise Rejected(problems)

        def changed(body: JsonObject, sealed: Sealed | None) -> tuple[JsonObject, Sealed | None]:
            new = self._changed(org_id, credential_id, body, sealed, change)
            public, secrets = split(new)
            return public, self._seal.close(org_id, credential_id, secrets)

        document = await self._documents.change_sealed(org_id, credential_id, self._clock(), changed)
        if document is None:
            raise missing(credential_id)
        self._written(load(document)["provider"])
        return document.text

    async def delete(self, org_id: str, credential_id: str) -> str:
        """Answers what was deleted. Raises NotFound."""
        document = await self._documents.delete(org_id, credential_id)
        if document is None:
            raise missing(credential_id)
        self._written(load(document)["provider"])
        return document.text

    # --- for calls -------------------------------------------------------------------------------------------------

    async def resolve(
        self,
        org_id: str,
        provider: str,
        *,
        assistant: Mapping[str, Any],
        inline: Sequence[Mapping[str, Any]] = (),
    ) -> ProviderKey | None:
        """The provider's key for a call of this assistant; None where there is none."""
        found = await self.keys(org_id, assistant, inline, providers=(provider,))
        return found.keys.get(provider)

    async def keys(
        self,
        org_id: str,
        assistant: Mapping[str, Any],
        inline: Sequence[Mapping[str, Any]] = (),
        *,
        providers: Iterable[str] = (),
    ) -> CallKeys:
        """All keys that a call of this assistant may need. inline: its own credentials, secrets included.

        Of a provider's keys the assistant's own goes first, then those that it names (credentialIds, credentialId), then
        the organisation's newest, then the environment's. Raises StoreUnavailable.
        """
        named = _named(assistant)
        wanted = {*providers, *_providers(assistant)}
        stored: Sequence[Document] = ()
        if named or wanted:
            stored = await self._documents.usable(org_id, wanted, named)
        keys: dict[str, ProviderKey] = {}
        problems: Texts = []
        for body in inline:
            self._offer(keys, body, "the assistant's own")
        opened = {document.id: self._opened(document, problems) for document in stored}
        bodies = [body for body in opened.values() if body is not None]
        for name in named:
            chosen = next((body for body in bodies if name in (body["id"], body.get("name"))), None)
            if chosen is not None:
                keys[name] = self._key(chosen, f"credential {chosen['id']}")
                self._offer(keys, chosen, f"credential {chosen['id']}")
            elif not any(name in (each.id, load(each).get("name")) for each in stored):
                problems.append(f"credential {shown('', name)} does not exist; the call goes on without it")
        for body in bodies:
            if body["provider"] in wanted:
                self._offer(keys, body, f"credential {body['id']}")
        return CallKeys({**self._environment, **keys}, tuple(problems))

    # --- inside ------------------------------------------------------------------------------------------------------

    def _changed(
        self, org_id: str, credential_id: str, body: JsonObject, sealed: Sealed | None, change: JsonObject
    ) -> JsonObject:
        try:
            old: JsonObject = joined(body, self._seal.open(org_id, credential_id, sealed))
        except CannotOpen as reason:
            # It can still be mended, by entering all of it again.
            _log.warning("credential_cannot_be_opened", credential_id=credential_id, reason=str(reason))
            old = body
        change = tidy(without_own(change))
        if change.get("provider", body["provider"]) != body["provider"]:
            value = shown("provider", change["provider"])
            raise Rejected([f"provider must not be changed: make a new credential, got {value}"])
        merged = old | kept(change, _of(old, change))
        new = {name: value for name, value in merged.items() if name not in change or value is not None}
        if problems := wanting(new):
            raise Rejected(problems)
        return new

    def _opened(self, document: Document, problems: Texts) -> JsonObject | None:
        body = load(document)
        try:
            secrets = self._seal.open(document.org_id, document.id, document.sealed)
        except CannotOpen as reason:
            _log.warning("credential_cannot_be_opened", credential_id=document.id, reason=str(reason))
            name = f" ({body['name']})" if body.get("name") else ""
            problems.append(
                f"credential {document.id}{name} for {body['provider']} cannot be opened: {reason};"
                " the call goes on without it"
            )
            return None
        whole: JsonObject = joined(body, secrets)
        return whole

    def _offer(self, keys: dict[str, ProviderKey], body: Mapping[str, Any], source: str) -> None:
        """Takes it for its provider if there is none yet. One without any secret is only a remark."""
        provider = body.get("provider")
        if isinstance(provider, str) and provider not in keys and split(body)[1]:
            keys[provider] = self._key(body, source)

    def _key(self, body: Mapping[str, Any], source: str) -> ProviderKey:
        provider = str(body.get("provider"))
        fallback = self._environment.get(provider)
        base_url = body.get("baseUrl") or body.get("apiUrl") or (fallback.base_url if fallback else "")
        extra = {name: value for name, value in body.items() if name not in _ABOUT}
        key = body.get("apiKey") or body.get("openAIKey") or ""
        return ProviderKey(str(key), str(base_url), extra, source)


def missing(credential_id: str) -> NotFound:
    """No such credential here."""
    return NotFound(f"Credential {credential_id[:80]} does not exist.")


def _of(old: JsonObject, change: Mapping[str, Any]) -> JsonObject:
    """The old values of what is changed."""
    return {name: old[name] for name in change if name in old}


def _providers(assistant: Mapping[str, Any]) -> Iterator[str]:
    """Whom the assistant may need, fallbacks included."""
    for name, plural in _SECTIONS.items():
        for each in _section(assistant, name, plural):
            provider = _mapping(each).get("provider")
            if isinstance(provider, str):
                yield provider


def _section(assistant: Mapping[str, Any], name: str, plural: str) -> Iterator[Any]:
    """The section, and those that are asked instead (contract 4.3-4.5)."""
    section = _mapping(assistant.get(name))
    yield section
    for fallbacks in (section.get("fallbackModels"), _mapping(section.get("fallbackPlan")).get(plural)):
        yield from fallbacks if isinstance(fallbacks, list) else ()


def _named(assistant: Mapping[str, Any]) -> list[str]:
    """The credentials that it names, by id or name: the most particular first."""
    found: list[Any] = []
    for name, plural in _SECTIONS.items():
        for section in map(_mapping, _section(assistant, name, plural)):
            found += [section.get("credentialId"), _mapping(section.get("server")).get("credentialId")]
    smart = _mapping(_mapping(assistant.get("startSpeakingPlan")).get("smartEndpointingPlan"))
    found += [_mapping(smart.get("server")).get("credentialId")]
    found += [_mapping(assistant.get("server")).get("credentialId")]
    ids = assistant.get("credentialIds")
    found += ids if isinstance(ids, list) else []
    return list(dict.fromkeys(each for each in found if isinstance(each, str) and each))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
