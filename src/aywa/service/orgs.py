"""Organisations: the tenants that every row belongs to."""

from __future__ import annotations

import uuid

from aywa.ports.store import Conflict, Organisation, Organisations
from aywa.service.clock import Clock, now_ms
from aywa.service.errors import NotFound, Rejected

DEFAULT_NAME = "default"
NAME_LENGTH_MAX = 80


class Orgs:
    """The use-cases."""

    def __init__(self, organisations: Organisations, clock: Clock = now_ms) -> None:
        self._organisations = organisations
        self._clock = clock

    async def create(self, name: str) -> Organisation:
        """Raises Rejected when the name is empty, too long or taken."""
        name = name.strip()
        if not 1 <= len(name) <= NAME_LENGTH_MAX:
            raise Rejected([f"name must be 1 to {NAME_LENGTH_MAX} characters long, got {len(name)}"])
        organisation = Organisation(str(uuid.uuid4()), name, self._clock())
        try:
            await self._organisations.insert(organisation)
        except Conflict:
            raise Rejected([f'name "{name}" is taken by another organisation']) from None
        return organisation

    async def list(self) -> list[Organisation]:
        """Oldest first."""
        return await self._organisations.list()

    async def find(self, id_or_name: str) -> Organisation:
        """Raises NotFound."""
        for organisation in await self.list():
            if id_or_name in (organisation.id, organisation.name):
                return organisation
        raise NotFound(f"Organisation {id_or_name[:80]} does not exist.")

    async def default(self) -> Organisation:
        """The oldest organisation; made when there is none."""
        known = await self.list()
        if known:
            return known[0]
        try:
            return await self.create(DEFAULT_NAME)
        except Rejected:  # another process was quicker
            return (await self.list())[0]
