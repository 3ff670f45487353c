"""Which key a call gets of several, what happens when one cannot be opened, and that ciphertexts cannot change places."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from aywa.adapters.secrets.aes_gcm import AesGcmVault
from aywa.adapters.stores.sqlite import open_sqlite
from aywa.ports.calls import ProviderKey
from aywa.ports.secrets import CannotOpen, Sealed
from aywa.ports.store import Organisation, Store
from aywa.service.assistants import Assistants
from aywa.service.credentials import Credentials
from aywa.service.errors import NotFound, Rejected
from aywa.service.sealing import Seal

ENVIRONMENT = {"openai": ProviderKey("sk-env", "http://env/v1", source="OPENAI_API_KEY")}
USES_OPENAI = {"model": {"provider": "openai", "model": "gpt-4.1"}}
KEY, OTHER_KEY = bytes(32), bytes([1] * 32)


class Clock:
    ms = 1_000

    def __call__(self) -> int:
        self.ms += 1
        return self.ms


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_sqlite(tmp_path / "aywa.db")
    for name in ("org", "other"):
        await opened.organisations.insert(Organisation(name, name, 1))
    yield opened
    await opened.close()


@pytest.fixture
def credentials(store: Store) -> Credentials:
    return Credentials(store.credentials, AesGcmVault(KEY), ENVIRONMENT, Clock())


async def make(credentials: Credentials, org: str = "org", **body: Any) -> str:
    return str(json.loads(await credentials.create(org, {"provider": "openai", **body}))["id"])


async def resolved(credentials: Credentials, assistant: dict[str, Any], **more: Any) -> tuple[str, str]:
    found = await credentials.resolve("org", "openai", assistant=assistant, **more)
    assert found is not None
    return found.key, found.base_url


async def test_the_nearest_key_wins(credentials: Credentials) -> None:
    inline = [{"provider": "openai", "apiKey": "sk-inline"}]
    assert await resolved(credentials, {}) == ("sk-env", "http://env/v1")
    first = await make(credentials, apiKey="sk-first", name="first")
    await make(credentials, apiKey="sk-second", baseUrl="https://second/v1")
    assert await resolved(credentials, USES_OPENAI) == ("sk-second", "https://second/v1")
    # Where its requests go is the operator's decision for whoever makes none.
    assert await resolved(credentials, {"credentialIds": [first]}) == ("sk-first", "http://env/v1")
    assert await resolved(credentials, {"model": {"credentialId": "first"}}) == ("sk-first", "http://env/v1")
    assert await resolved(credentials, {"credentialIds": [first]}, inline=inline) == (
        "sk-inline",
        "http://env/v1",
    )


async def test_a_provider_that_nobody_has_a_key_for_has_none(credentials: Credentials) -> None:
    await make(credentials, org="other", provider="deepgram", apiKey="dg-theirs")
    assert await credentials.resolve("org", "deepgram", assistant={}) is None


async def test_a_call_gets_the_keys_of_all_whom_it_may_need(credentials: Credentials) -> None:
    for provider in ("deepgram", "11labs", "cartesia", "anthropic"):
        await make(credentials, provider=provider, apiKey=f"key-{provider}")
    hook = await make(credentials, provider="webhook", authenticationPlan={"type": "bearer", "token": "tk"})
    assistant = USES_OPENAI | {
        "voice": {"provider": "11labs", "fallbackPlan": {"voices": [{"provider": "cartesia"}, "junk"]}},
        "transcriber": {
            "provider": "custom-transcriber",
            "server": {"url": "wss://x", "credentialId": hook},
            "fallbackPlan": {"transcribers": [{"provider": "deepgram"}]},
        },
    }
    keys = await credentials.keys("org", assistant)
    assert keys.problems == ()
    assert {
        provider: key.key for provider, key in keys.keys.items() if provider not in (hook, "webhook")
    } == {
        "openai": "sk-env",
        "11labs": "key-11labs",
        "cartesia": "key-cartesia",
        "deepgram": "key-deepgram",
    }
    assert keys.keys[hook].extra == {"authenticationPlan": {"type": "bearer", "token": "tk"}}
    assert "key-" not in repr(keys)
    assert "sk-env" not in repr(keys.keys["openai"])
    assert "tk" not in repr(keys.keys[hook])


async def test_so_does_a_model_that_is_asked_instead_of_another(credentials: Credentials) -> None:
    await make(credentials, provider="anthropic", apiKey="key-anthropic")
    theirs = await make(credentials, provider="groq", apiKey="key-groq", name="theirs")
    other = {"provider": "groq", "model": "llama", "credentialId": "theirs"}
    model = {"provider": "openai", "fallbackModels": ["gpt-4o", {"provider": "anthropic"}, other]}
    keys = (await credentials.keys("org", {"model": model})).keys
    assert {name: key.key for name, key in keys.items()} == {
        "openai": "sk-env",
        "anthropic": "key-anthropic",
        "groq": "key-groq",
        "theirs": "key-groq",
    }
    assert keys["theirs"].source == f"credential {theirs}"


async def test_an_id_that_is_not_there_is_told_and_the_call_goes_on(credentials: Credentials) -> None:
    keys = await credentials.keys("org", USES_OPENAI | {"credentialIds": ["gone", 5]})
    assert keys.keys["openai"].key == "sk-env"
    assert keys.problems == ('credential "gone" does not exist; the call goes on without it',)


@pytest.mark.parametrize(
    "junk", [{}, {"model": "x", "voice": [], "credentialIds": "x"}, {"model": {"provider": 5}}]
)
async def test_an_assistant_that_names_nobody_asks_the_store_for_nothing(
    store: Store, credentials: Credentials, junk: dict[str, Any]
) -> None:
    await store.close()
    keys = await credentials.keys("org", junk)
    assert keys.keys == ENVIRONMENT


async def test_a_credential_that_cannot_be_opened_is_named_and_passed_over(
    store: Store, credentials: Credentials
) -> None:
    old = await make(credentials, apiKey="sk-old", name="Ours")
    rotated = Credentials(store.credentials, AesGcmVault(OTHER_KEY), ENVIRONMENT, Clock())
    with capture_logs() as logs:
        keys = await rotated.keys("org", USES_OPENAI)
    assert keys.keys["openai"].key == "sk-env"
    (problem,) = keys.problems
    assert f"credential {old} (Ours) for openai cannot be opened" in problem
    assert "RUNTIME_STORE_ENCRYPTION_KEY_PREVIOUS" in problem
    assert "sk-old" not in problem + str(logs)
    assert logs[0]["credential_id"] == old
    # Named, it is told once.
    named = await rotated.keys("org", USES_OPENAI | {"credentialIds": [old]})
    assert len(named.problems) == 1
    # Entered again it works.
    await rotated.change("org", old, {"apiKey": "sk-new"})
    assert await resolved(rotated, USES_OPENAI) == ("sk-new", "http://env/v1")


async def test_ciphertexts_that_change_rows_do_not_open(
    store: Store, credentials: Credentials, tmp_path: Path
) -> None:
    first = await make(credentials, apiKey="sk-first")
    second = await make(credentials, apiKey="sk-second")
    theirs = await make(credentials, org="other", apiKey="sk-theirs")
    _swap(tmp_path, first, theirs)
    _swap(tmp_path, second, second)
    keys = await credentials.keys("org", {"credentialIds": [first]})
    assert "openai" in keys.keys
    assert keys.keys["openai"].key == "sk-env"
    assert f"credential {first}" in keys.problems[0]
    assert "altered, or belongs elsewhere" in keys.problems[0]


async def test_a_row_that_changes_organisation_does_not_open(
    credentials: Credentials, tmp_path: Path
) -> None:
    moved = await make(credentials, org="other", apiKey="sk-theirs")
    with sqlite3.connect(tmp_path / "aywa.db") as connection:
        connection.execute("UPDATE credentials SET org_id = 'org' WHERE id = ?", (moved,))
    connection.close()
    keys = await credentials.keys("org", {"credentialIds": [moved]})
    assert keys.keys["openai"].key == "sk-env"


async def test_nothing_secret_is_in_the_database_file(
    credentials: Credentials, store: Store, tmp_path: Path
) -> None:
    await make(
        credentials, apiKey="sk-planted-1", authenticationPlan={"type": "oauth2", "clientSecret": "planted-2"}
    )
    assistants = Assistants(store.assistants, AesGcmVault(KEY))
    await assistants.create("org", {"credentials": [{"provider": "openai", "apiKey": "sk-planted-3"}]})
    await store.close()
    assert b"planted" not in _bytes(tmp_path)


async def test_changes_keep_what_is_not_sent(credentials: Credentials) -> None:
    made = await make(credentials, apiKey="sk-1", name="a", region="eu")
    answer = json.loads(await credentials.change("org", made, {"name": "b"}))
    assert (answer["name"], answer["region"], "apiKey" in answer) == ("b", "eu", False)
    assert await resolved(credentials, USES_OPENAI) == ("sk-1", "http://env/v1")
    assert "region" not in json.loads(await credentials.change("org", made, {"region": None}))
    with pytest.raises(Rejected, match="apiKey is required for openai"):
        await credentials.change("org", made, {"apiKey": None})
    with pytest.raises(Rejected, match="provider must not be changed"):
        await credentials.change("org", made, {"provider": "deepgram"})
    assert await resolved(credentials, USES_OPENAI) == ("sk-1", "http://env/v1")
    with pytest.raises(NotFound):
        await credentials.change("other", made, {"name": "c"})


async def test_a_plan_that_is_sent_back_as_it_was_read_keeps_its_secret(credentials: Credentials) -> None:
    plan = {"type": "oauth2", "url": "https://idp/token", "clientId": "me", "clientSecret": "s"}
    made = await make(credentials, provider="webhook", authenticationPlan=plan)
    read = json.loads(await credentials.get("org", made))
    assert "clientSecret" not in read["authenticationPlan"]
    await credentials.change("org", made, read | {"name": "n"})
    keys = await credentials.keys("org", {"credentialIds": [made]})
    assert keys.keys[made].extra == {"authenticationPlan": plan}
    with pytest.raises(Rejected, match=r"authenticationPlan\.token is required where type is bearer"):
        await credentials.change("org", made, {"authenticationPlan": {"type": "bearer"}})


def test_what_another_release_sealed_in_another_form_is_refused() -> None:
    vault = AesGcmVault(KEY)
    strange = vault.seal(b'{"planted": 1}', ("org", "credential", "id", "secrets"))
    with pytest.raises(CannotOpen) as caught:
        Seal(vault, "credential").open("org", "id", strange)
    assert "planted" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert Seal(vault, "credential").open("org", "id", None) == []
    assert isinstance(strange, Sealed)


def _bytes(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


def _swap(folder: Path, one: str, other: str) -> None:
    connection = sqlite3.connect(folder / "aywa.db")
    with connection:
        rows = dict(connection.execute("SELECT id, sealed FROM credentials WHERE id IN (?, ?)", (one, other)))
        connection.execute("UPDATE credentials SET sealed = ? WHERE id = ?", (rows[other], one))
        connection.execute("UPDATE credentials SET sealed = ? WHERE id = ?", (rows[one], other))
    connection.close()
