"""Which key seals: the operator's, or this machine's own, made once."""

from __future__ import annotations

import base64
import stat
import threading
from pathlib import Path

import pytest

from aywa.adapters.secrets.aes_gcm import AesGcmVault, key_id, read_key
from aywa.boot.errors import CannotStart
from aywa.boot.secrets import DEVELOPMENT_KEY, PREVIOUS, SETTING, held_against, open_vault
from aywa.ports.sealed import KnownKey
from tests.service.test_rotation import Rows

PLACE = ("org", "credential", "id", "secrets")
FIRST_ID, SECOND_ID = (key_id(bytes([n] * 32)) for n in (1, 2))
FIRST, SECOND = (base64.b64encode(bytes([n] * 32)).decode() for n in (1, 2))


def test_a_development_key_is_made_once_for_this_user_alone_with_a_warning(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "home"
    first = open_vault(folder, {})
    file = folder / DEVELOPMENT_KEY
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == [DEVELOPMENT_KEY]
    assert first.warning is not None
    assert SETTING in first.warning
    assert "was made" in first.warning
    assert file.read_text().strip() not in first.warning
    file.chmod(0o644)
    again = open_vault(folder, {})
    assert again.vault.open(first.vault.seal(b"s", PLACE), PLACE) == b"s"
    assert again.warning is not None
    assert "is used" in again.warning
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_processes_that_start_at_once_make_one_key(tmp_path: Path) -> None:
    opened = []
    threads = [threading.Thread(target=lambda: opened.append(open_vault(tmp_path, {}))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sealed = opened[0].vault.seal(b"s", PLACE)
    assert len(opened) == 8
    assert all(each.vault.open(sealed, PLACE) == b"s" for each in opened)


def test_the_operator_s_key_needs_no_warning_and_no_file(tmp_path: Path) -> None:
    opened = open_vault(tmp_path, {SETTING: f" {FIRST}\n"})
    assert opened.warning is None
    assert list(tmp_path.iterdir()) == []


def test_what_was_sealed_before_stays_readable(tmp_path: Path) -> None:
    development = open_vault(tmp_path, {}).vault.seal(b"s1", PLACE)
    first = open_vault(tmp_path, {SETTING: FIRST}).vault
    assert first.open(development, PLACE) == b"s1"
    rotated = open_vault(tmp_path, {SETTING: SECOND, PREVIOUS: f"{FIRST}, ,"}).vault
    assert rotated.open(first.seal(b"s2", PLACE), PLACE) == b"s2"
    assert open_vault(tmp_path, {PREVIOUS: FIRST}).vault.open(first.seal(b"s3", PLACE), PLACE) == b"s3"


def test_a_key_that_was_kept_and_is_set_as_well_is_one_key(tmp_path: Path) -> None:
    (tmp_path / DEVELOPMENT_KEY).write_text(FIRST)
    once = open_vault(tmp_path, {SETTING: FIRST})
    assert (once.key_ids, once.kept) == ((FIRST_ID,), False)
    both = open_vault(tmp_path, {SETTING: SECOND})
    assert (both.key_ids, both.kept) == ((SECOND_ID, FIRST_ID), True)
    assert open_vault(tmp_path, {SETTING: SECOND, PREVIOUS: FIRST}).key_ids == (SECOND_ID, FIRST_ID, FIRST_ID)


async def test_at_the_start_the_key_is_noted_and_held_against_what_is_there(tmp_path: Path) -> None:
    rows = Rows()
    development = open_vault(tmp_path, {})
    assert await held_against(rows, development, lambda: 5) == development.warning
    assert rows.noted == {development.key_ids[0]: KnownKey(development.key_ids[0], 5)}
    rows.add(AesGcmVault(read_key(FIRST, SETTING)), "credentials", "a")
    told = await held_against(rows, development, lambda: 6)
    assert told is not None
    assert development.warning is not None
    assert told.startswith(
        f"{development.warning}; secrets in the store are sealed with a key that is not set ({FIRST_ID})"
    )
    strange = await held_against(rows, open_vault(tmp_path, {SETTING: SECOND}), lambda: 7)
    assert strange is not None
    assert strange.startswith("secrets in the store")
    assert PREVIOUS in strange
    good = open_vault(tmp_path, {SETTING: SECOND, PREVIOUS: FIRST})
    assert await held_against(rows, good, lambda: 8) is None
    assert rows.noted[SECOND_ID] == KnownKey(SECOND_ID, 7)


async def test_a_start_with_the_key_that_was_taken_out_of_use_stops_with_the_mend(tmp_path: Path) -> None:
    rows = Rows(noted={FIRST_ID: KnownKey(FIRST_ID, 1), SECOND_ID: KnownKey(SECOND_ID, 2, 3)})
    swapped = open_vault(tmp_path, {SETTING: FIRST, PREVIOUS: SECOND})
    with pytest.raises(CannotStart, match=f"is {FIRST_ID}.*{SECOND_ID} has sealed since: exchange .*--back"):
        await held_against(rows, swapped)


@pytest.mark.parametrize("name", [SETTING, PREVIOUS])
def test_a_malformed_key_names_the_setting_and_how_to_make_one(tmp_path: Path, name: str) -> None:
    with pytest.raises(CannotStart, match=f"{name} .*openssl rand -base64 32") as caught:
        open_vault(tmp_path, {name: "secret-but-short"})
    assert "secret-but-short" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_development_key_is_named_and_kept(tmp_path: Path) -> None:
    file = tmp_path / DEVELOPMENT_KEY
    file.write_bytes(b"\xff half a key")
    with pytest.raises(CannotStart, match=DEVELOPMENT_KEY):
        open_vault(tmp_path, {})
    assert file.read_bytes() == b"\xff half a key"


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotStart, match=f"cannot be used: .*{SETTING}"):
        open_vault(tmp_path / "file", {})
