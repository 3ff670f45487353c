"""Shipments on this machine's disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from aywa.adapters.artifacts.ledger import FolderLedger
from aywa.core.shipment import Kind, Shipment, Task

ONE = Shipment("one", "org", Kind.CALLS, Task.STORE, ("a",), {"a": "u"}, 1, 2, 3, "p")
TWO = Shipment("two", "org", Kind.FILES, Task.REMOVE)


def test_what_is_written_is_there_until_it_is_removed(tmp_path: Path) -> None:
    ledger = FolderLedger(tmp_path / "shipments")
    assert ledger.all() == []
    ledger.write(TWO)
    ledger.write(ONE)
    assert FolderLedger(tmp_path / "shipments").all() == [ONE, TWO]
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "shipments").iterdir())
    ledger.remove("one")
    ledger.remove("one")
    assert ledger.all() == [TWO]


def test_what_cannot_be_read_hides_nothing_else(tmp_path: Path) -> None:
    ledger = FolderLedger(tmp_path)
    ledger.write(ONE)
    for number, text in enumerate(("{", "[]", '{"id": "x"}', '"text"', "")):
        (tmp_path / f"bad{number}.json").write_text(text)
    assert ledger.all() == [ONE]
    assert (tmp_path / "bad0.json").exists()


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".", "a\0"])
def test_a_name_that_is_no_id_is_written_nowhere(tmp_path: Path, name: str) -> None:
    ledger = FolderLedger(tmp_path / "shipments")
    with pytest.raises(OSError, match="not the name"):
        ledger.write(Shipment(name, "org", Kind.CALLS, Task.STORE))
    assert ledger.all() == []


def test_a_disk_that_is_full_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = FolderLedger(tmp_path)
    ledger.write(ONE)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        ledger.write(Shipment("one", "org", Kind.CALLS, Task.REMOVE))
    assert ledger.all() == [ONE]
    assert [path.name for path in tmp_path.iterdir()] == ["one.json"]
