"""Shipments in a folder, a JSON file each: written whole or not at all, and on the disk before the request leaves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import structlog

from aywa.adapters.artifacts.whole_file import whole_file
from aywa.core.shipment import Shipment, shipment_of

_log = structlog.get_logger("aywa.artifacts")


class FolderLedger:
    """ports.artifacts.ShipmentLedger."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> Sequence[Shipment]:
        """As the port says. A file that cannot be understood is left where it is, and said."""
        found: list[Shipment] = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                found.append(shipment_of(json.loads(path.read_bytes())))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                _log.warning("shipment_not_readable", file=path.name, error=type(error).__name__)
        return found

    def write(self, shipment: Shipment) -> None:
        """As the port says."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(shipment.id)
        with whole_file(path) as file:
            file.write(json.dumps(shipment.document()).encode())

    def remove(self, shipment_id: str) -> None:
        """As the port says. After a crash it may be there again, and is carried out once more, which changes nothing."""
        self._path(shipment_id).unlink(missing_ok=True)

    def _path(self, shipment_id: str) -> Path:
        if not shipment_id or set(shipment_id) & {"/", "\0", "."}:
            raise OSError("not the name of a shipment")
        return self._folder / f"{shipment_id}.json"
