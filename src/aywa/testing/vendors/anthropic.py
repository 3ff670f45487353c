"""Anthropic's messages. To come."""

from __future__ import annotations

from aiohttp import web

from aywa.testing.vendors.world import World


def routes(world: World) -> list[web.RouteDef]:
    """POST /v1/messages."""
    return []
