"""Who asks: a Bearer key, its organisation, and what its kind may do."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from aywa.ports.store import ApiKey
from aywa.service.errors import NotAllowed, Unauthenticated
from aywa.service.scopes import grants, scope_of
from aywa.service.services import Services

BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="bearerAuth",
    description="An API key (`aywa_...`): `aywa api-keys create`. A public key may only POST /call/web.",
)
_Given = Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]


async def any_key(request: Request, given: _Given) -> ApiKey:
    """A key of any kind, with the scope that the request needs. Raises Unauthenticated, NotAllowed."""
    if given is None:
        raise Unauthenticated("An API key is needed: Authorization: Bearer aywa_...")
    services: Services = request.app.state.services
    key = await services.keys.authenticate(given.credentials)
    needed = scope_of(request.method, request.url.path)
    if not grants(key.scopes, needed):
        raise NotAllowed(f"This key may not do that: it has no scope {needed}.")
    return key


async def private_key(key: Annotated[ApiKey, Depends(any_key)]) -> ApiKey:
    """A private key. Raises Unauthenticated, NotAllowed."""
    if key.kind != "private":
        raise NotAllowed("A public key may only start web calls (POST /call/web); use a private key.")
    return key


AnyKey = Annotated[ApiKey, Depends(any_key)]
PrivateKey = Annotated[ApiKey, Depends(private_key)]
