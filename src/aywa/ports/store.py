"""Where documents are kept: organisations, API keys, assistants, calls ... Protocols and plain records, no behaviour.

A document is kept as the JSON text that the API answers with, verbatim, next to the columns it is found by.
Every row belongs to one organisation, and every question names it: a row of another one is not there.
Times are Unix milliseconds. Every method may raise StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from aywa.core.webhooks import Delivery
from aywa.ports.journal import ProjectionStore
from aywa.ports.secrets import Sealed

if TYPE_CHECKING:
    from aywa.ports.analytics import Notches
    from aywa.ports.leases import CallLeases
    from aywa.ports.outbox import Outbox
    from aywa.ports.sealed import SealedRows

JsonObject = dict[str, Any]


class Conflict(Exception):
    """A row with this unique value is already there."""


class Repeated(Exception):
    """This name was used before, and not so long ago (Once)."""


class StoreTooNew(Exception):
    """The store was written by a newer release; this one must not touch it."""


@dataclass(frozen=True, slots=True)
class Organisation:
    """A tenant. name: unique."""

    id: str
    name: str
    created_ms: int


@dataclass(frozen=True, slots=True)
class Restrictions:
    """What a token that was signed with a key may be used for. origins: of web pages; empty for any. assistant_ids: whom it may
    call; None for all. transient: whether an assistant may be brought along."""

    origins: tuple[str, ...] = ()
    assistant_ids: tuple[str, ...] | None = None
    transient: bool = True


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret. kind: private or public. digest: SHA-256 of the secret, in hex. hint: its first characters.
    sealed: the secret of a private key, for the tokens that are signed with it. restrictions: of such a token; never stored.
    scopes: what it may do; None for all that its kind may. expires_ms: until when it opens anything; None for good."""

    id: str
    org_id: str
    name: str
    kind: str
    digest: str
    hint: str
    created_ms: int
    last_used_ms: int | None = None
    revoked_ms: int | None = None
    sealed: Sealed | None = field(default=None, repr=False)
    restrictions: Restrictions | None = None
    scopes: tuple[str, ...] | None = None
    expires_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A stored document. text: the whole JSON object, with id, orgId, createdAt and updatedAt. sealed: its secrets, which
    are not in the text."""

    id: str
    org_id: str
    created_ms: int
    updated_ms: int
    text: str
    sealed: Sealed | None = None


@dataclass(frozen=True, slots=True)
class NewCall:
    """A call's first row. idempotency: the client's key, unique in the organisation; digest: of the body it came with.
    guest_digest: SHA-256 of the token that lets the call's own party read its artifacts. due_ms: when a scheduled call is
    to begin; the document's sealed secrets are what it takes along then."""

    document: Document
    type: str
    status: str
    assistant_id: str | None = None
    idempotency: str | None = None
    digest: str | None = None
    guest_digest: str | None = None
    phone_number_id: str | None = None
    due_ms: int | None = None


@dataclass(frozen=True, slots=True)
class RemovedCall:
    """What stays of a call that was deleted. expired: its time was over; otherwise somebody asked for it."""

    id: str
    org_id: str
    assistant_id: str | None
    created_ms: int
    removed_ms: int
    expired: bool


@dataclass(frozen=True, slots=True)
class Once:
    """What makes a repeated request be known. name: unique in the organisation and the kind, until it was last used before
    since_ms. digest: of what came with it."""

    name: str
    digest: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class EarlierDocument:
    """What was made under this name before."""

    document: Document
    digest: str


@dataclass(frozen=True, slots=True)
class EarlierCall:
    """A call that was made with an idempotency key before."""

    document: Document
    digest: str | None


@dataclass(frozen=True, slots=True)
class Span:
    """A time's bounds, each None or Unix milliseconds: greater than, less than, at least, at most."""

    gt: int | None = None
    lt: int | None = None
    ge: int | None = None
    le: int | None = None


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Which documents, newest first. equal: column to value; for calls `id`, `assistant_id` and `phone_number_id`."""

    limit: int = 100
    created: Span = Span()
    updated: Span = Span()
    equal: tuple[tuple[str, str], ...] = field(default=())


Change = Callable[[JsonObject], JsonObject]
"""Takes a document's body, answers its new one. Runs inside the transaction: pure, quick; what it raises rolls back."""

Tell = Callable[[Document], Sequence[Delivery]]
"""What the outbox is to send of a document that goes, in the transaction in which it goes."""

SealedChange = Callable[[JsonObject, Sealed | None], tuple[JsonObject, Sealed | None]]
"""Like Change, for the body and its sealed secrets together."""


def untold(_document: Document) -> Sequence[Delivery]:
    """Nobody is told anything."""
    return ()


class Organisations(Protocol):
    """The tenants."""

    async def insert(self, organisation: Organisation) -> None:
        """Raises Conflict when the name is taken."""

    async def get(self, org_id: str) -> Organisation | None: ...

    async def list(self) -> list[Organisation]:
        """Oldest first."""


class ApiKeys(Protocol):
    """The keys' rows; the secrets are nowhere."""

    async def insert(self, key: ApiKey) -> None: ...

    async def find(self, digest: str) -> ApiKey | None:
        """The key with this digest, revoked or not."""

    async def list(self, org_id: str | None = None) -> list[ApiKey]:
        """Oldest first; of all organisations when none is named (for the operator)."""

    async def revoke(self, org_id: str | None, key_id: str, now_ms: int) -> ApiKey | None:
        """Marks it; a key that was revoked before keeps its time."""

    async def touch(self, key_id: str, now_ms: int) -> None:
        """Notes its use."""


class Documents(Protocol):
    """One kind of document."""

    async def insert(self, document: Document, once: Once | None = None) -> None:
        """Raises Repeated where something of this kind was made under the name of `once`, and is still there."""

    async def earlier(self, org_id: str, name: str, since_ms: int) -> EarlierDocument | None:
        """What was made under this name at or after since_ms, as it is now."""

    async def get(self, org_id: str, document_id: str) -> Document | None: ...

    async def of_ids(self, org_id: str, ids: Collection[str]) -> Sequence[Document]:
        """Those that are there, in any order."""

    async def of_id(self, document_id: str) -> Document | None:
        """Any organisation's: for what comes from outside and names no organisation."""

    async def list(self, org_id: str, query: ListQuery) -> Sequence[str]:
        """The stored JSON texts."""

    async def change(self, org_id: str, document_id: str, now_ms: int, change: Change) -> Document | None:
        """Reads, changes and writes in one transaction; sets updatedAt. None when it is not there."""

    async def delete(self, org_id: str, document_id: str) -> Document | None:
        """Removes it, and the name that it was made under; answers what was removed."""

    async def change_sealed(
        self, org_id: str, document_id: str, now_ms: int, change: SealedChange
    ) -> Document | None:
        """Like change, which leaves the sealed secrets as they are."""


class CredentialDocuments(Documents, Protocol):
    """Credentials, found also by what a call needs."""

    async def usable(
        self, org_id: str, providers: Collection[str], ids: Collection[str]
    ) -> Sequence[Document]:
        """Those of one of these providers, and those with one of these ids or names; newest first."""

    async def of_provider(self, provider: str) -> Sequence[Document]:
        """All organisations' of this provider, oldest first: for what comes from outside and names no organisation."""


class PhoneNumberDocuments(Documents, Protocol):
    """Phone numbers, found also by what an INVITE names, which knows no organisation. insert and change raise Conflict when
    another has the same number on the same credential, the same user in its sipUri, or the same account."""

    async def of_trunks(self, credential_ids: Collection[str], number: str) -> Sequence[Document]:
        """Those with this number on one of these credentials, oldest first; then those on them that have no number."""

    async def of_uri(self, user: str) -> Document | None:
        """The one whose sipUri has this user, in whatever case."""

    async def with_accounts(self) -> Sequence[Document]:
        """Those that have an authentication, oldest first."""


class CallDocuments(Protocol):
    """Calls: what was asked for, and by projection what became of it."""

    async def insert(
        self, call: NewCall, idempotent_since_ms: int, deliveries: Sequence[Delivery] = ()
    ) -> None:
        """Raises Conflict when the idempotency key was used at or after idempotent_since_ms; an older use is forgotten.
        deliveries: for the outbox, in the same transaction, here and below."""

    async def earlier(self, org_id: str, idempotency: str, since_ms: int) -> EarlierCall | None:
        """The call that was made with this key at or after since_ms."""

    async def due(self, now_ms: int, limit: int) -> Sequence[Document]:
        """All organisations' scheduled calls that are to begin by now, with their secrets, the longest waiting first."""

    async def next_due_ms(self) -> int | None:
        """When the next scheduled call of any organisation is to begin; None when there is none."""

    async def claim(
        self,
        org_id: str,
        call_id: str,
        now_ms: int,
        change: Change,
        deliveries: Sequence[Delivery] = (),
    ) -> Document | None:
        """Like change, for a call that waits until it is due, which it does not any more. Of several who ask, one gets it."""

    async def waiting(self, now_ms: int) -> int:
        """How many calls of all organisations are due by now, and have not begun."""

    async def postpone(self, document: Document, due_ms: int, now_ms: int, change: Change) -> Document | None:
        """Like change, for a call that has not begun, claimed or not: it waits on until then, with the document's sealed
        secrets."""

    async def refuse(
        self,
        org_id: str,
        call_id: str,
        now_ms: int,
        change: Change,
        deliveries: Sequence[Delivery] = (),
    ) -> Document | None:
        """Like change, for a call that never began: its idempotency key may be used again."""

    async def get(self, org_id: str, call_id: str) -> Document | None:
        """With what it takes along when it begins, while it waits."""

    async def guest(self, call_id: str, guest_digest: str, since_ms: int) -> str | None:
        """The organisation of a call that was made at or after since_ms with this guest token."""

    async def list(self, org_id: str, query: ListQuery) -> Sequence[str]:
        """The stored JSON texts."""

    async def figures(
        self, org_id: str, created: Span, paths: Sequence[str], limit: int
    ) -> Sequence[tuple[int, Sequence[Any]]]:
        """Of each call that was made then, oldest first: when it was made, and what its document says at these dotted paths;
        None where it says nothing."""

    async def change(self, org_id: str, call_id: str, now_ms: int, change: Change) -> Document | None:
        """As for Documents; the columns follow the body's status."""

    async def expired(self, now_ms: int, limit: int) -> Sequence[Document]:
        """All organisations' calls that are kept no longer than until now, and of which nothing is to be told any more; the
        longest due first."""

    async def removed(self, org_id: str | None, limit: int) -> Sequence[RemovedCall]:
        """What is on record of calls that were deleted, newest deletion first; of all organisations when none is named."""

    async def gone(self, ids: Collection[str]) -> Sequence[RemovedCall]:
        """Those of these calls that were deleted."""

    async def delete(
        self, org_id: str, call_id: str, now_ms: int, tell: Tell = untold, *, expired: bool = False
    ) -> Document | None:
        """Forgets its document and its events, for good: what is projected later is dropped, and what was still to be told of
        it, too; `tell` says what is instead. expired: nobody asked for it, its time was over."""


class Store(ProjectionStore, Protocol):
    """All of it, over one database."""

    @property
    def organisations(self) -> Organisations: ...

    @property
    def keys(self) -> ApiKeys: ...

    @property
    def assistants(self) -> Documents: ...

    @property
    def tools(self) -> Documents: ...

    @property
    def squads(self) -> Documents: ...

    @property
    def files(self) -> Documents: ...

    @property
    def credentials(self) -> CredentialDocuments: ...

    @property
    def org_settings(self) -> Documents:
        """One an organisation, by its id."""

    @property
    def phone_numbers(self) -> PhoneNumberDocuments: ...

    @property
    def calls(self) -> CallDocuments: ...

    @property
    def outbox(self) -> Outbox: ...

    @property
    def leases(self) -> CallLeases: ...

    @property
    def notches(self) -> Notches: ...

    @property
    def sealed(self) -> SealedRows: ...

    async def check(self) -> None:
        """Returns when the store answers and can be written."""

    async def close(self) -> None: ...


class CallFiles(Protocol):
    """Where a call's artifacts lie as files. Names: recording.wav (stereo: left caller, right assistant)."""

    def find(self, call_id: str, name: str) -> Path | None:
        """The file, when there is one."""

    async def remove(self, org_id: str, call_id: str) -> None:
        """Removes everything kept for the call, here at once; what lies elsewhere goes as soon as it can. Never raises."""


class FileContents(Protocol):
    """Where the bytes of uploaded files lie. Both names are ids of ours. Everything may raise OSError, StoreUnavailable."""

    async def write(self, org_id: str, file_id: str, content: bytes) -> None:
        """Whole, or not at all."""

    async def read(self, org_id: str, file_id: str) -> bytes | None:
        """None when it is not there."""

    async def remove(self, org_id: str, file_id: str) -> None:
        """Nothing happens when it is not there."""
