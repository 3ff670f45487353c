"""What every store must do with its ciphertexts, and a rotation over it. A file gives `store` and inherits the class."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aywa.adapters.secrets.aes_gcm import AesGcmVault, key_id
from aywa.adapters.stores.sql.tables import metadata
from aywa.core.webhooks import Delivery, Endpoint
from aywa.ports.sealed import Exchange, KnownKey, SealedRow
from aywa.ports.secrets import Sealed, Vault, sealed_in
from aywa.ports.store import ApiKey, Store
from aywa.service.customer_servers import AUTH
from aywa.service.rotation import KINDS, Rotation, place_of
from tests.contracts.store import ORG, call, document, projection, record

OLD, NEW, LOST = (bytes([n]) * 32 for n in (1, 2, 3))
OLD_ID, NEW_ID = key_id(OLD), key_id(NEW)
BEFORE, BOTH, AFTER = AesGcmVault(OLD), AesGcmVault(NEW, [OLD]), AesGcmVault(NEW)
SECRET = b'[[["apiKey"],"sk-planted"]]'
DOCUMENTS = ("assistants", "tools", "squads", "files", "credentials", "org_settings", "phone_numbers")


def rotation(store: Store, vault: Vault = BOTH, *ids: str) -> Rotation:
    return Rotation(store.sealed, vault, ids or (NEW_ID, OLD_ID), lambda: 1000)


async def fill(store: Store, vault: Vault = BEFORE, name: str = "a", status: str = "ended") -> int:
    """One ciphertext of every kind, two in the record of the call; answers how many."""
    for table in DOCUMENTS:
        row = document(f"{table}-{name}", 10, provider="openai", number=f"+1{name}", sipUri=f"sip:{name}@x")
        sealed = vault.seal(SECRET, (ORG.id, KINDS[table], row.id, "secrets"))
        await getattr(store, table).insert(replace(row, sealed=sealed))
    key = ApiKey(f"key-{name}", ORG.id, name, "private", name, "aywa_", 5)
    place = (ORG.id, "api-key", key.id, "secret")
    await store.keys.insert(replace(key, sealed=vault.seal(SECRET, place)))
    waits = call(f"waits-{name}", due_ms=50)
    sealed = vault.seal(SECRET, (ORG.id, "call", waits.document.id, "secrets"))
    await store.calls.insert(replace(waits, document=replace(waits.document, sealed=sealed)), 0)
    servers = [server(vault), server(vault), Endpoint("https://sealed:x@host/", "credential:c")]
    told = Delivery(f"told-{name}", ORG.id, "hang", "{}", tuple(servers), 10, f"call-{name}")
    documents = [each.document() for each in servers]
    begun = replace(record(f"call-{name}", 1, webhooks={"servers": documents}), kind="CallStarted")
    passed = replace(record(f"call-{name}", 3, webhooks={"servers": documents[:1]}), kind="HandoffPrepared")
    said = record(f"call-{name}", 2, text=servers[0].auth)
    await store.apply([begun, said, passed], [projection(f"call-{name}", 3, status=status)], [told])
    return len(DOCUMENTS) + 2 + 2 + 3


def server(vault: Vault) -> Endpoint:
    return Endpoint("https://a.example/", vault.seal(b'{"secret":"whsec"}', (ORG.id, *AUTH)).text())


def key_of(text: str) -> str:
    sealed = sealed_in(text)
    assert sealed is not None
    return sealed.key_id


async def everything(store: Store) -> list[SealedRow]:
    found: list[SealedRow] = []
    for table in store.sealed.tables:
        found += await store.sealed.page(table, "", 1000)
    return found


async def opens(store: Store, vault: Vault) -> int:
    """How many ciphertexts there are, all of which this vault opens."""
    count = 0
    for row in await everything(store):
        for sealed in row.sealed:
            assert vault.open(sealed, place_of(row))
            count += 1
    return count


class SealedContract:
    async def test_every_table_with_a_ciphertext_is_known_here(self, store: Store) -> None:
        having = {table.name for table in metadata.sorted_tables if "sealed" in table.c}
        assert having == {*KINDS, "api_keys"}
        assert set(store.sealed.tables) == {*having, "outbox_deliveries", "call_events"}

    async def test_everything_is_sealed_anew_and_opens_with_the_new_key_alone(
        self, store: Store, tenants: None
    ) -> None:
        count = await fill(store)
        assert await opens(store, BEFORE) == count
        before = await rotation(store).status()
        assert (before.left, before.running, before.unopened, before.resealed) == (count, 0, [], 0)
        assert dict(before.rows[OLD_ID]) == {
            **dict.fromkeys((*DOCUMENTS, "api_keys", "calls"), 1),
            "outbox_deliveries": 2,
            "call_events": 3,
        }
        done = await rotation(store).run()
        assert (done.left, done.resealed, sum(done.rows[NEW_ID].values())) == (0, 12, count)
        assert await opens(store, AFTER) == count
        assert await store.sealed.keys() == [KnownKey(NEW_ID, 1000, 1000), KnownKey(OLD_ID, 0)]
        again = await rotation(store).run()
        assert (again.left, again.resealed) == (0, 0)
        await self._same_as_before(store)

    async def _same_as_before(self, store: Store) -> None:
        """Nothing else of the rows is another."""
        found = await store.credentials.get(ORG.id, "credentials-a")
        assert found is not None
        text = document("credentials-a", 10, provider="openai", number="+1a", sipUri="sip:a@x").text
        assert (found.updated_ms, found.text) == (10, text)
        begun, said, passed = await store.events(None, "call-a")
        auth: Any = [each["auth"] for each in begun.data["webhooks"]["servers"]]
        assert auth[2] == "credential:c"
        assert [key_of(each) for each in auth[:2]] == [NEW_ID, NEW_ID]
        assert passed.data["webhooks"]["servers"][0]["url"] == "https://a.example/"
        # What somebody said is no ciphertext of ours, even if it looks like one.
        assert key_of(said.data["text"]) == OLD_ID

    async def test_pages_are_in_the_order_of_ids_and_end(self, store: Store, tenants: None) -> None:
        for name in ("b", "a", "c"):
            await fill(store, name=name)
        for table in store.sealed.tables:
            seen, after = [], ""
            while page := await store.sealed.page(table, after, 2):
                after = page[-1].id
                seen += [row.id for row in page]
            assert seen == [row.id for row in await store.sealed.page(table, "", 100)]
            assert len(seen) == (6 if table == "call_events" else 3)
            assert seen == sorted(set(seen))

    async def test_what_was_written_meanwhile_stays(self, store: Store, tenants: None) -> None:
        await fill(store)
        stale = [row for row in await everything(store) if row.table in ("credentials", "outbox_deliveries")]
        news = BEFORE.seal(b'[[["apiKey"],"new"]]', (ORG.id, "credential", "credentials-a", "secrets"))
        await store.credentials.change_sealed(ORG.id, "credentials-a", 20, lambda body, _: (body, news))
        exchanges = [
            Exchange(row, tuple(BOTH.seal(b"stale", place_of(row)) for _ in row.sealed)) for row in stale
        ]
        gone = replace(stale[0], id="nobody")
        assert await store.sealed.exchange([*exchanges, Exchange(gone, exchanges[0].sealed)]) == 1
        found = await store.credentials.get(ORG.id, "credentials-a")
        assert found is not None
        assert found.sealed == news
        assert await store.sealed.exchange(exchanges) == 0

    async def test_the_record_of_a_call_that_runs_waits_until_it_has_ended(
        self, store: Store, tenants: None
    ) -> None:
        count = await fill(store, status="in-progress")
        first = await rotation(store).run()
        assert (first.left, first.running, sum(first.rows[NEW_ID].values())) == (3, 3, count - 3)
        assert [key.done_ms for key in first.known if key.id == NEW_ID] == [None]
        await store.apply([record("call-a", 4)], [projection("call-a", 4, status="ended")])
        assert (await rotation(store).run()).left == 0
        assert await opens(store, AFTER) == count

    async def test_a_row_that_no_key_opens_is_named_and_the_others_go_on(
        self, store: Store, tenants: None
    ) -> None:
        count = await fill(store)
        lost = AesGcmVault(LOST).seal(SECRET, (ORG.id, "tool", "tools-a", "secrets"))
        moved = BEFORE.seal(SECRET, (ORG.id, "squad", "another", "secrets"))
        await store.tools.change_sealed(ORG.id, "tools-a", 20, lambda body, _: (body, lost))
        await store.squads.change_sealed(ORG.id, "squads-a", 20, lambda body, _: (body, moved))
        done = await rotation(store).run()
        assert [(row.table, row.id) for row in done.unopened] == [
            ("squads", "squads-a"),
            ("tools", "tools-a"),
        ]
        assert "altered, or belongs elsewhere" in done.unopened[0].reason
        assert f"sealed with key {key_id(LOST)}" in done.unopened[1].reason
        assert (done.left, sum(done.rows[NEW_ID].values())) == (2, count - 2)
        kept = await store.tools.get(ORG.id, "tools-a")
        assert kept is not None
        assert kept.sealed == lost

    async def test_keys_are_noted_and_noted_again(self, store: Store) -> None:
        assert await store.sealed.keys() == []
        for key in (KnownKey("b", 5), KnownKey("a", 7, 8), KnownKey("b", 9)):
            await store.sealed.note(key)
        assert await store.sealed.keys() == [KnownKey("b", 9), KnownKey("a", 7, 8)]

    async def test_a_damaged_ciphertext_inside_of_a_text_is_no_reason_to_stop(
        self, store: Store, tenants: None
    ) -> None:
        odd = [Endpoint("https://a.example/", text) for text in ("sealed:", "sealed:k:%%", "sealed:k:YQ==")]
        told = Delivery("told", ORG.id, "hang", "{}", tuple(odd), 10)
        broken = replace(record("call", 1, webhooks="sealed:"), kind="CallStarted")
        await store.apply([broken], [projection("call", 1, status="ended")], [told])
        done = await rotation(store).run()
        assert [(row.table, row.id) for row in done.unopened] == [("outbox_deliveries", "told")]
        assert [row.sealed for row in await store.sealed.page("outbox_deliveries", "", 9)] == [
            (Sealed("k", b"a"),)
        ]
