"""Resources that this release does not have: their lists are empty, so that tooling that reads everything stays alive
(contract 3); their items are not there."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from aywa.api.answers import StoredJson
from aywa.api.auth import PrivateKey
from aywa.service.errors import NotFound

router = APIRouter(include_in_schema=False)

BARE = (
    "/v2/knowledge-base",
    "/eval/simulation",
    "/eval/simulation/personality",
    "/eval/simulation/scenario",
    "/eval/simulation/suite",
    "/eval/simulation/run",
)
PAGES = (
    "/chat",
    "/session",
    "/campaign",
    "/v2/campaign",
    "/structured-output",
    "/eval",
    "/eval/run",
    "/observability/scorecard",
    "/reporting/insight",
    "/reporting/board",
    "/traffic-allocations",
)
EMPTY_PAGE = '{"results":[],"metadata":{"itemsPerPage":100,"totalItems":0,"currentPage":1,"totalPages":0,"hasNextPage":false}}'


async def _bare(key: PrivateKey) -> Response:
    return StoredJson("[]")


async def _page(key: PrivateKey) -> Response:
    return StoredJson(EMPTY_PAGE)


async def _item(request: Request, key: PrivateKey) -> Response:
    raise NotFound(f"{request.url.path[:200]} does not exist.")


for _path in BARE:
    router.add_api_route(_path, _bare, methods=["GET"])
for _path in PAGES:
    router.add_api_route(_path, _page, methods=["GET"])
router.add_api_route("/provider/{provider}/{resource}", _page, methods=["GET"])
for _path in (*BARE, *PAGES, "/provider/{provider}/{resource}"):
    router.add_api_route(_path, _item, methods=["POST"])
    router.add_api_route(f"{_path}/{{item_id}}", _item, methods=["GET", "POST", "PATCH", "DELETE"])
