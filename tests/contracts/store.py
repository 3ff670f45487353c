"""What every store must do, whatever it is made of. A test file gives `store` (a fixture) and inherits the classes."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from aywa.core.webhooks import Delivery, Endpoint
from aywa.ports.journal import CallProjection, JournalRecord
from aywa.ports.outbox import DeliveryQuery
from aywa.ports.secrets import Sealed
from aywa.ports.store import (
    ApiKey,
    Conflict,
    Document,
    JsonObject,
    ListQuery,
    NewCall,
    Once,
    Organisation,
    Repeated,
    Span,
    Store,
)

ORG = Organisation("org-1", "one", 1)
OTHER = Organisation("org-2", "two", 2)


def document(document_id: str, created_ms: int, org_id: str = ORG.id, **body: Any) -> Document:
    return Document(document_id, org_id, created_ms, created_ms, json.dumps({"id": document_id, **body}))


def call(call_id: str, created_ms: int = 10, org_id: str = ORG.id, **more: Any) -> NewCall:
    body = document(call_id, created_ms, org_id, status="queued", type="webCall")
    return NewCall(body, "webCall", "queued", **more)


def record(call_id: str, seq: int, org_id: str = ORG.id, **data: Any) -> JournalRecord:
    return JournalRecord(call_id, org_id, seq, seq / 10, "event", "Happened", data)


def projection(call_id: str, last_seq: int, org_id: str = ORG.id, **document: Any) -> CallProjection:
    return CallProjection(call_id, org_id, last_seq, document)


def ids(texts: Any) -> list[str]:
    return [json.loads(text)["id"] for text in texts]


@pytest.fixture
async def tenants(store: Store) -> None:
    await store.organisations.insert(ORG)
    await store.organisations.insert(OTHER)


@pytest.mark.usefixtures("tenants")
class AccountsContract:
    async def test_organisations_are_listed_oldest_first(self, store: Store) -> None:
        assert await store.organisations.list() == [ORG, OTHER]
        assert await store.organisations.get(ORG.id) == ORG
        assert await store.organisations.get("none") is None

    async def test_a_name_is_taken_once(self, store: Store) -> None:
        with pytest.raises(Conflict):
            await store.organisations.insert(Organisation("org-3", ORG.name, 3))

    async def test_a_key_is_found_by_its_digest_until_and_after_it_is_revoked(self, store: Store) -> None:
        key = ApiKey("key", ORG.id, "ours", "private", "digest", "aywa_abcd", 5)
        await store.keys.insert(key)
        await store.keys.touch("key", 6)
        found = await store.keys.find("digest")
        assert found is not None
        assert (found.last_used_ms, found.revoked_ms) == (6, None)
        assert await store.keys.find("another") is None
        assert await store.keys.revoke(OTHER.id, "key", 7) is None
        revoked = await store.keys.revoke(ORG.id, "key", 8)
        assert revoked is not None
        assert revoked.revoked_ms == 8
        again = await store.keys.revoke(None, "key", 9)
        assert again is not None
        assert again.revoked_ms == 8

    async def test_keys_are_listed_by_organisation(self, store: Store) -> None:
        await store.keys.insert(ApiKey("a", ORG.id, "", "private", "1", "", 5))
        await store.keys.insert(ApiKey("b", OTHER.id, "", "public", "2", "", 6))
        assert [key.id for key in await store.keys.list(ORG.id)] == ["a"]
        assert [key.id for key in await store.keys.list()] == ["a", "b"]

    async def test_what_a_key_may_do_and_until_when_comes_back(self, store: Store) -> None:
        await store.keys.insert(
            ApiKey("a", ORG.id, "", "private", "1", "", 5, scopes=("calls:read",), expires_ms=9)
        )
        await store.keys.insert(ApiKey("b", ORG.id, "", "private", "2", "", 6))
        found = [(key.scopes, key.expires_ms) for key in await store.keys.list(ORG.id)]
        assert found == [(("calls:read",), 9), (None, None)]


@pytest.mark.usefixtures("tenants")
class DocumentsContract:
    async def test_a_name_makes_one_document_while_it_is_remembered(self, store: Store) -> None:
        first, again = Once("n", "d1", 5), Once("n", "d2", 5)
        await store.assistants.insert(document("a", 10), first)
        with pytest.raises(Repeated):
            await store.assistants.insert(document("b", 11), again)
        assert await store.assistants.get(ORG.id, "b") is None
        earlier = await store.assistants.earlier(ORG.id, "n", 5)
        assert earlier is not None
        assert (earlier.document, earlier.digest) == (document("a", 10), "d1")
        assert await store.assistants.earlier(ORG.id, "n", 11) is None
        assert await store.assistants.earlier(OTHER.id, "n", 5) is None
        assert await store.tools.earlier(ORG.id, "n", 5) is None
        # Another organisation's, another kind's, and one that is old enough.
        await store.assistants.insert(document("c", 12, OTHER.id), again)
        await store.tools.insert(document("a", 12), again)
        await store.assistants.insert(document("d", 30), Once("n", "d3", 20))
        later = await store.assistants.earlier(ORG.id, "n", 20)
        assert later is not None
        assert (later.document.id, later.digest) == ("d", "d3")

    async def test_of_many_with_the_same_name_one_is_made(self, store: Store) -> None:
        async def made(number: int) -> bool:
            try:
                await store.squads.insert(document(f"s{number}", 10), Once("n", "d", 5))
            except Repeated:
                return False
            return True

        assert sorted(await asyncio.gather(*(made(number) for number in range(5)))) == [False] * 4 + [True]

    async def test_what_is_deleted_frees_its_name(self, store: Store) -> None:
        await store.assistants.insert(document("a", 10), Once("n", "d", 5))
        await store.assistants.delete(ORG.id, "a")
        assert await store.assistants.earlier(ORG.id, "n", 5) is None
        await store.assistants.insert(document("b", 11), Once("n", "d", 5))

    async def test_a_text_comes_back_as_it_was(self, store: Store) -> None:
        stored = document("a", 5, unknown={"deep": [1, None, "\u00e9"]})
        await store.assistants.insert(stored)
        assert await store.assistants.get(ORG.id, "a") == stored

    async def test_several_are_found_by_their_ids(self, store: Store) -> None:
        for kind in (store.tools, store.squads, store.files, store.assistants):
            await kind.insert(document("a", 5))
            await kind.insert(document("b", 6))
            await kind.insert(document("c", 7, OTHER.id))
            found = await kind.of_ids(ORG.id, ["a", "b", "c", "none"])
            assert {each.id for each in found} == {"a", "b"}
            assert await kind.of_ids(ORG.id, []) == []

    async def test_another_organisation_sees_and_changes_nothing(self, store: Store) -> None:
        await store.assistants.insert(document("a", 5))
        assert await store.assistants.get(OTHER.id, "a") is None
        assert await store.assistants.change(OTHER.id, "a", 6, lambda body: {}) is None
        assert await store.assistants.delete(OTHER.id, "a") is None
        assert await store.assistants.list(OTHER.id, ListQuery()) == []
        assert await store.assistants.get(ORG.id, "a") is not None

    async def test_an_id_is_used_once(self, store: Store) -> None:
        await store.assistants.insert(document("a", 5))
        with pytest.raises(Conflict):
            await store.assistants.insert(document("a", 6))

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            (ListQuery(), ["c", "b", "a"]),
            (ListQuery(limit=2), ["c", "b"]),
            (ListQuery(limit=0), []),
            (ListQuery(created=Span(gt=10)), ["c", "b"]),
            (ListQuery(created=Span(ge=10, lt=30)), ["b", "a"]),
            (ListQuery(created=Span(le=20, gt=10)), ["b"]),
            (ListQuery(updated=Span(ge=30)), ["c"]),
        ],
    )
    async def test_lists_are_newest_first_within_their_bounds(
        self, store: Store, query: ListQuery, expected: list[str]
    ) -> None:
        for name, created_ms in (("a", 10), ("c", 30), ("b", 20)):
            await store.assistants.insert(document(name, created_ms))
        assert ids(await store.assistants.list(ORG.id, query)) == expected

    async def test_a_change_sets_updated_at_and_nothing_else(self, store: Store) -> None:
        await store.assistants.insert(document("a", 5, name="x"))
        changed = await store.assistants.change(ORG.id, "a", 1_000, lambda body: body | {"name": "y"})
        assert changed is not None
        assert json.loads(changed.text) == {"id": "a", "name": "y", "updatedAt": "1970-01-01T00:00:01.000Z"}
        assert (changed.created_ms, changed.updated_ms) == (5, 1_000)
        assert await store.assistants.get(ORG.id, "a") == changed

    async def test_a_change_that_raises_changes_nothing(self, store: Store) -> None:
        stored = document("a", 5)
        await store.assistants.insert(stored)

        def refuse(_body: JsonObject) -> JsonObject:
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            await store.assistants.change(ORG.id, "a", 6, refuse)
        assert await store.assistants.get(ORG.id, "a") == stored

    async def test_changes_at_the_same_time_are_all_kept(self, store: Store) -> None:
        await store.assistants.insert(document("a", 5))
        await asyncio.gather(
            *(
                store.assistants.change(ORG.id, "a", 6, lambda body, n=n: body | {f"n{n}": n})  # type: ignore[misc]
                for n in range(20)
            )
        )
        kept = await store.assistants.get(ORG.id, "a")
        assert kept is not None
        assert {f"n{n}" for n in range(20)} <= json.loads(kept.text).keys()

    async def test_what_is_deleted_is_answered_and_gone(self, store: Store) -> None:
        stored = document("a", 5)
        await store.assistants.insert(stored)
        assert await store.assistants.delete(ORG.id, "a") == stored
        assert await store.assistants.delete(ORG.id, "a") is None

    async def test_sealed_secrets_lie_beside_the_text_and_stay_when_only_it_is_changed(
        self, store: Store
    ) -> None:
        sealed = Sealed("k1", b"\x01\x00\xff")
        stored = replace(document("a", 5), sealed=sealed)
        await store.assistants.insert(stored)
        assert await store.assistants.get(ORG.id, "a") == stored
        changed = await store.assistants.change(ORG.id, "a", 6, lambda body: body | {"name": "x"})
        assert changed is not None
        assert changed.sealed == sealed
        assert "x01" not in (await store.assistants.list(ORG.id, ListQuery()))[0]

    async def test_text_and_sealed_secrets_are_changed_together(self, store: Store) -> None:
        await store.assistants.insert(replace(document("a", 5), sealed=Sealed("k1", b"1")))

        def change(body: JsonObject, sealed: Sealed | None) -> tuple[JsonObject, Sealed | None]:
            assert sealed == Sealed("k1", b"1")
            return body | {"name": "x"}, None

        assert await store.assistants.change_sealed(OTHER.id, "a", 6, change) is None
        changed = await store.assistants.change_sealed(ORG.id, "a", 6, change)
        assert changed is not None
        assert (json.loads(changed.text)["name"], changed.sealed) == ("x", None)
        assert await store.assistants.get(ORG.id, "a") == changed


@pytest.mark.usefixtures("tenants")
class CredentialsContract:
    async def test_they_are_found_by_provider_id_and_name_newest_first(self, store: Store) -> None:
        for name, created_ms, provider in (("a", 10, "openai"), ("b", 30, "openai"), ("c", 20, "deepgram")):
            stored = document(name, created_ms, provider=provider, name=f"our {name}")
            await store.credentials.insert(replace(stored, sealed=Sealed("k", name.encode())))

        async def found(org_id: str, providers: set[str], names: list[str]) -> list[tuple[str, bytes]]:
            usable = await store.credentials.usable(org_id, providers, names)
            return [(each.id, each.sealed.blob if each.sealed else b"") for each in usable]

        assert await found(ORG.id, {"openai"}, []) == [("b", b"b"), ("a", b"a")]
        assert await found(ORG.id, {"openai"}, ["c"]) == [("b", b"b"), ("c", b"c"), ("a", b"a")]
        assert await found(ORG.id, set(), ["our a"]) == [("a", b"a")]
        assert await found(ORG.id, set(), []) == []
        assert await found(OTHER.id, {"openai", "deepgram"}, ["a", "our b"]) == []

    async def test_a_new_name_is_found_and_the_old_one_is_not(self, store: Store) -> None:
        await store.credentials.insert(document("a", 5, provider="openai", name="old"))
        await store.credentials.change(ORG.id, "a", 6, lambda body: body | {"name": "new"})
        assert await store.credentials.usable(ORG.id, (), ["old"]) == []
        assert [each.id for each in await store.credentials.usable(ORG.id, (), ["new"])] == ["a"]
        assert await store.credentials.delete(ORG.id, "a") is not None
        assert await store.credentials.usable(ORG.id, {"openai"}, ["new"]) == []


@pytest.mark.usefixtures("tenants")
class CallsContract:
    async def test_calls_are_found_by_id_and_assistant(self, store: Store) -> None:
        await store.calls.insert(call("a", 10, assistant_id="x"), 0)
        await store.calls.insert(call("b", 20, assistant_id="y"), 0)
        assert ids(await store.calls.list(ORG.id, ListQuery(equal=(("assistant_id", "x"),)))) == ["a"]
        assert ids(await store.calls.list(ORG.id, ListQuery(equal=(("id", "b"),)))) == ["b"]
        assert await store.calls.list(OTHER.id, ListQuery()) == []
        assert await store.calls.get(OTHER.id, "a") is None

    async def test_an_idempotency_key_is_used_once_within_its_time(self, store: Store) -> None:
        await store.calls.insert(call("a", 10, idempotency="k", digest="d"), 0)
        with pytest.raises(Conflict):
            await store.calls.insert(call("b", 11, idempotency="k"), 5)
        earlier = await store.calls.earlier(ORG.id, "k", 5)
        assert earlier is not None
        assert (earlier.document.id, earlier.digest) == ("a", "d")
        assert await store.calls.earlier(OTHER.id, "k", 5) is None
        assert await store.calls.earlier(ORG.id, "k", 11) is None
        await store.calls.insert(call("c", 30, idempotency="k"), 20)
        await store.calls.insert(call("d", 30, OTHER.id, idempotency="k"), 20)

    async def test_a_refused_call_gives_its_idempotency_key_back(self, store: Store) -> None:
        await store.calls.insert(call("a", 10, idempotency="k"), 0)
        await store.calls.refuse(ORG.id, "a", 11, lambda body: body | {"status": "ended"})
        assert await store.calls.earlier(ORG.id, "k", 0) is None
        assert await store.unended() == []

    async def test_a_guest_reads_one_call_for_a_time(self, store: Store) -> None:
        await store.calls.insert(call("a", 10, guest_digest="g"), 0)
        assert await store.calls.guest("a", "g", 5) == ORG.id
        assert await store.calls.guest("a", "g", 11) is None
        assert await store.calls.guest("a", "x", 5) is None
        assert await store.calls.guest("b", "g", 5) is None

    async def test_a_deleted_call_stays_gone_whatever_is_projected(self, store: Store) -> None:
        await store.calls.insert(call("a", 10, idempotency="k", guest_digest="g"), 0)
        await store.apply([record("a", 1)], [projection("a", 1, status="in-progress")])
        assert await store.calls.delete(OTHER.id, "a", 15) is None
        gone = await store.calls.delete(ORG.id, "a", 20)
        assert gone is not None
        assert json.loads(gone.text)["status"] == "in-progress"
        await store.apply([record("a", 2)], [projection("a", 2, status="ended")])
        assert await store.calls.get(ORG.id, "a") is None
        assert await store.calls.list(ORG.id, ListQuery()) == []
        assert await store.events(None, "a") == []
        assert await store.unended() == []
        assert await store.calls.guest("a", "g", 0) is None
        assert await store.calls.delete(ORG.id, "a", 21) is None

    async def test_what_is_told_of_a_deleted_call_stays_when_what_was_to_be_told_goes(
        self, store: Store
    ) -> None:
        def told(name: str, call_id: str | None = None) -> Delivery:
            servers = (Endpoint("https://a.example"),)
            return Delivery(name, ORG.id, "call.deleted", "{}", servers, 10, call_id)

        await store.calls.insert(call("a", 10), 0, [told("before", "a")])
        seen: list[Document] = []

        def tell(gone: Document) -> list[Delivery]:
            seen.append(gone)
            return [told("after")]

        assert await store.calls.delete(OTHER.id, "a", 20, tell) is None
        assert seen == []
        gone = await store.calls.delete(ORG.id, "a", 20, tell)
        assert seen == [gone]
        assert [row.delivery.id for row in await store.outbox.list(ORG.id, DeliveryQuery())] == ["after"]

    async def test_one_that_waits_for_room_is_nobody_s_orphan_and_counted(self, store: Store) -> None:
        await store.calls.insert(call("begun", 10), 0)
        await store.calls.insert(call("later", 10, due_ms=300), 0)
        await store.calls.insert(call("a", 10, due_ms=20), 0)
        b = call("b", 10, OTHER.id)
        await store.calls.insert(b, 0)
        sealed = replace(b.document, sealed=Sealed("k", b"b"))
        waits = await store.calls.postpone(sealed, 30, 25, lambda body: body | {"blocked": True})
        assert waits is not None
        assert json.loads(waits.text) | {"updatedAt": ""} == json.loads(b.document.text) | {
            "blocked": True,
            "updatedAt": "",
        }
        assert [await store.calls.waiting(now) for now in (19, 20, 30)] == [0, 1, 2]
        assert await store.unended() == [("begun", ORG.id)]
        due = await store.calls.due(40, 10)
        assert [(each.id, each.sealed) for each in due] == [("a", None), ("b", Sealed("k", b"b"))]
        kept = await store.calls.get(OTHER.id, "b")
        assert kept is not None
        assert (kept.sealed, kept.text) == (Sealed("k", b"b"), waits.text)
        await store.calls.delete(ORG.id, "a", 50)
        assert await store.calls.waiting(60) == 1
        gone = replace(sealed, id="none")
        assert await store.calls.postpone(gone, 30, 25, lambda body: body) is None

    async def test_a_phone_call_is_found_by_its_number(self, store: Store) -> None:
        await store.calls.insert(call("a", 10, phone_number_id="p"), 0)
        await store.calls.insert(call("b", 20), 0)
        await store.apply([], [projection("c", 1, status="queued", phoneNumberId="p")])
        query = ListQuery(equal=(("phone_number_id", "p"),))
        assert set(ids(await store.calls.list(ORG.id, query))) == {"a", "c"}
        assert await store.calls.list(OTHER.id, query) == []

    async def test_a_scheduled_call_is_claimed_once_when_it_is_due(self, store: Store) -> None:
        assert await store.calls.next_due_ms() is None
        for name, org_id, due_ms in (("late", ORG.id, 300), ("b", OTHER.id, 200), ("a", ORG.id, 100)):
            made = call(name, 10, org_id, due_ms=due_ms)
            sealed = Sealed("k", name.encode())
            await store.calls.insert(replace(made, document=replace(made.document, sealed=sealed)), 0)
        assert await store.calls.next_due_ms() == 100
        assert await store.calls.due(99, 10) == []
        due = await store.calls.due(200, 10)
        assert [(each.id, each.org_id, each.sealed) for each in due] == [
            ("a", ORG.id, Sealed("k", b"a")),
            ("b", OTHER.id, Sealed("k", b"b")),
        ]
        assert [each.id for each in await store.calls.due(200, 1)] == ["a"]

        async def claim(org_id: str = ORG.id) -> bool:
            got = await store.calls.claim(org_id, "a", 201, lambda body: body | {"status": "queued"})
            return got is not None

        assert not await claim(OTHER.id)
        assert sorted(await asyncio.gather(*(claim() for _ in range(4)))) == [False, False, False, True]
        assert [each.id for each in await store.calls.due(300, 10)] == ["b", "late"]
        gone = await store.calls.delete(ORG.id, "late", 250)
        assert gone is not None
        assert [each.id for each in await store.calls.due(300, 10)] == ["b"]
        assert await store.calls.next_due_ms() == 200

    async def test_a_scheduled_call_is_nobody_s_orphan(self, store: Store) -> None:
        body = document("a", 10, status="scheduled", type="outboundPhoneCall")
        await store.calls.insert(NewCall(body, "outboundPhoneCall", "scheduled", due_ms=20), 0)
        assert await store.unended() == []
        await store.calls.claim(ORG.id, "a", 20, lambda body: body | {"status": "queued"})
        assert await store.unended() == [("a", ORG.id)]


def number(number_id: str, created_ms: int = 10, org_id: str = ORG.id, **body: Any) -> Document:
    return replace(document(number_id, created_ms, org_id, **body), sealed=Sealed("k", number_id.encode()))


@pytest.mark.usefixtures("tenants")
class PhoneNumbersContract:
    async def test_one_is_found_by_its_trunk_and_number_in_any_spelling(self, store: Store) -> None:
        plain = number("plain", number="+4930123", credentialId="trunk")
        every = number("every", 5, credentialId="trunk")
        other = number("other", 4, OTHER.id, number="+4930123", credentialId="theirs")
        for each in (plain, every, other):
            await store.phone_numbers.insert(each)
        of = store.phone_numbers.of_trunks
        assert list(await of(["trunk"], "004930123")) == [plain, every]
        assert list(await of(["trunk", "theirs"], "4930123")) == [other, plain, every]
        assert list(await of(["trunk"], "555")) == [every]
        assert list(await of(["none"], "4930123")) == list(await of([], "4930123")) == []

    async def test_one_is_found_by_the_user_of_its_uri(self, store: Store) -> None:
        demo = number("a", sipUri="sip:Demo@host")
        await store.phone_numbers.insert(demo)
        assert await store.phone_numbers.of_uri("dEMO") == demo
        assert await store.phone_numbers.of_uri("other") is None

    async def test_one_is_found_by_its_id_alone(self, store: Store) -> None:
        theirs = number("a", 4, OTHER.id, number="+4930123", provider="twilio")
        await store.phone_numbers.insert(theirs)
        assert await store.phone_numbers.of_id("a") == theirs
        assert await store.phone_numbers.of_id("b") is None

    async def test_who_must_prove_who_he_is(self, store: Store) -> None:
        first = number("a", sipUri="sip:a@h", authentication={"username": "u"})
        await store.phone_numbers.insert(number("b", sipUri="sip:b@h"))
        await store.phone_numbers.insert(first)
        assert list(await store.phone_numbers.with_accounts()) == [first]

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"number": "+4930123", "credentialId": "t"}, {"number": "004930123", "credentialId": "t"}),
            ({"credentialId": "t"}, {"credentialId": "t"}),
            ({"sipUri": "sip:demo@one"}, {"sipUri": "sip:DEMO@two"}),
            (
                {"sipUri": "sip:a@h", "authentication": {"username": "u"}},
                {"sipUri": "sip:b@h", "authentication": {"username": "u"}},
            ),
        ],
    )
    async def test_what_an_invite_names_is_one_number_s(
        self, store: Store, one: dict[str, Any], other: dict[str, Any]
    ) -> None:
        await store.phone_numbers.insert(number("a", **one))
        with pytest.raises(Conflict):
            await store.phone_numbers.insert(number("b", 10, OTHER.id, **other))
        await store.phone_numbers.insert(number("c", credentialId="free"))
        with pytest.raises(Conflict):
            await store.phone_numbers.change(ORG.id, "c", 11, lambda body: {"id": "c", **other})
        assert json.loads((await store.phone_numbers.list(ORG.id, ListQuery()))[0])["id"] in "ac"

    async def test_a_trunk_s_credentials_are_found_for_whoever_owns_them(self, store: Store) -> None:
        await store.credentials.insert(document("b", 20, OTHER.id, provider="byo-sip-trunk"))
        await store.credentials.insert(document("a", 10, provider="byo-sip-trunk"))
        await store.credentials.insert(document("c", 5, provider="openai"))
        found = await store.credentials.of_provider("byo-sip-trunk")
        assert [(each.id, each.org_id) for each in found] == [("a", ORG.id), ("b", OTHER.id)]


@pytest.mark.usefixtures("tenants")
class ProjectionContract:
    async def test_events_come_back_in_order_with_their_data(self, store: Store) -> None:
        first = record("a", 1, raw=b"\x00\xff", nested={"n": [1, 2.5, None, "t"]})
        await store.apply([record("a", 2), first], [])
        assert await store.events(ORG.id, "a") == [first, record("a", 2)]
        assert await store.events(OTHER.id, "a") == []
        assert len(await store.events(None, "a")) == 2

    async def test_a_batch_twice_is_a_batch_once(self, store: Store) -> None:
        await store.calls.insert(call("a"), 0)
        batch = [record("a", 1), record("a", 2)], [projection("a", 2, status="in-progress")]
        await store.apply(*batch)
        once = await store.calls.get(ORG.id, "a")
        await store.apply(*batch)
        assert await store.calls.get(ORG.id, "a") == once
        assert len(await store.events(ORG.id, "a")) == 2

    async def test_an_older_projection_does_not_turn_the_call_back(self, store: Store) -> None:
        await store.calls.insert(call("a"), 0)
        await store.apply([], [projection("a", 5, status="ended", endedReason="customer-ended-call")])
        await store.apply([record("a", 3)], [projection("a", 3, status="in-progress")])
        kept = await store.calls.get(ORG.id, "a")
        assert kept is not None
        assert json.loads(kept.text)["status"] == "ended"
        assert await store.unended() == []

    async def test_a_projection_replaces_its_fields_and_keeps_the_others(self, store: Store) -> None:
        await store.calls.insert(call("a"), 0)
        await store.calls.change(
            ORG.id, "a", 11, lambda body: body | {"transport": {"url": "u"}, "costs": [1]}
        )
        await store.apply([], [projection("a", 1, costs=[2]), projection("a", 2, status="ended")])
        kept = await store.calls.get(ORG.id, "a")
        assert kept is not None
        body = json.loads(kept.text)
        assert (body["transport"], body["costs"], body["status"]) == ({"url": "u"}, [2], "ended")

    async def test_a_call_that_only_the_journal_knows_gets_its_row(self, store: Store) -> None:
        await store.apply([record("a", 1)], [projection("a", 1, status="in-progress", type="webCall")])
        kept = await store.calls.get(ORG.id, "a")
        assert kept is not None
        assert json.loads(kept.text)["orgId"] == ORG.id
        assert await store.unended() == [("a", ORG.id)]

    async def test_a_projection_of_another_organisation_changes_nothing(self, store: Store) -> None:
        await store.calls.insert(call("a"), 0)
        before = await store.calls.get(ORG.id, "a")
        await store.apply([], [projection("a", 9, OTHER.id, status="ended")])
        assert await store.calls.get(ORG.id, "a") == before

    async def test_many_calls_go_into_one_batch(self, store: Store) -> None:
        names = [f"call-{n}" for n in range(1200)]
        await store.apply(
            [record(name, 1) for name in names], [projection(name, 1, status="queued") for name in names]
        )
        assert len(await store.unended()) == 1200

    async def test_it_says_that_it_can_be_written(self, store: Store) -> None:
        await store.check()
