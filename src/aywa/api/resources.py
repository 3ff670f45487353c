"""/tool and /squad: HTTP to the use-cases of configured documents and back."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from aywa.api.answers import StoredJson
from aywa.api.auth import PrivateKey
from aywa.api.body import read_json
from aywa.api.once import IdempotencyKey
from aywa.api.openapi import LIST_QUERY, answers, list_of, takes
from aywa.service.once import asked
from aywa.service.resource import Resource
from aywa.service.services import Services


@dataclass(frozen=True, slots=True)
class _Named:
    """path: without a slash at its end. part: of the services. noun, plural: for a person. schema: in the description."""

    path: str
    part: str
    noun: str
    plural: str
    schema: str
    about: str


_TOOL = _Named(
    "/tool",
    "tools",
    "tool",
    "tools",
    "Tool",
    "A tool that assistants name in model.toolIds, told by its type. Secrets are never answered.",
)
_SQUAD = _Named(
    "/squad",
    "squads",
    "squad",
    "squads",
    "Squad",
    "Assistants that work together on a call, the first of whom begins it. Secrets are never answered.",
)


def _router(named: _Named) -> APIRouter:
    router = APIRouter(tags=[named.plural.capitalize()])
    item = f"{named.path}/{{{named.noun}_id}}"

    def _resource(request: Request) -> Resource:
        services: Services = request.app.state.services
        resource: Resource = getattr(services, named.part)
        return resource

    @router.post(
        named.path,
        status_code=201,
        summary=f"Create a {named.noun}",
        description=named.about,
        operation_id=f"create_{named.noun}",
        responses=answers(named.schema, 201),
        openapi_extra=takes(f"Create{named.schema}"),
    )
    async def create(request: Request, key: PrivateKey, idempotency: IdempotencyKey = None) -> Response:
        body = await read_json(request, request.app.state.settings)
        once = asked(key.id, idempotency, body)
        return StoredJson(await _resource(request).create(key.org_id, body, once), 201)

    @router.get(
        named.path,
        summary=f"List {named.plural}",
        operation_id=f"list_{named.plural}",
        responses=list_of(named.schema),
        openapi_extra={"parameters": LIST_QUERY},
    )
    async def list_all(request: Request, key: PrivateKey) -> Response:
        return StoredJson(await _resource(request).list(key.org_id, request.query_params))

    @router.get(
        item,
        summary=f"Get a {named.noun}",
        operation_id=f"get_{named.noun}",
        responses=answers(named.schema, 200, 404),
        openapi_extra=_id(named),
    )
    async def get(request: Request, key: PrivateKey) -> Response:
        return StoredJson(await _resource(request).get(key.org_id, _id_of(request)))

    @router.patch(
        item,
        summary=f"Change a {named.noun}",
        operation_id=f"change_{named.noun}",
        description="Replaces each supplied top-level field whole; null clears it; a secret that is not sent stays.",
        responses=answers(named.schema, 200, 404),
        openapi_extra=takes(f"Update{named.schema}") | _id(named),
    )
    async def change(request: Request, key: PrivateKey) -> Response:
        body = await read_json(request, request.app.state.settings)
        return StoredJson(await _resource(request).change(key.org_id, _id_of(request), body))

    @router.delete(
        item,
        summary=f"Delete a {named.noun}",
        operation_id=f"delete_{named.noun}",
        responses=answers(named.schema, 200, 404),
        openapi_extra=_id(named),
    )
    async def delete(request: Request, key: PrivateKey) -> Response:
        return StoredJson(await _resource(request).delete(key.org_id, _id_of(request)))

    return router


def _id_of(request: Request) -> str:
    return str(next(iter(request.path_params.values())))


def _id(named: _Named) -> dict[str, object]:
    where = {"name": f"{named.noun}_id", "in": "path", "required": True, "schema": {"type": "string"}}
    return {"parameters": [where]}


tools = _router(_TOOL)
squads = _router(_SQUAD)
