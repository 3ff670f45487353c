"""The organisation's settings as OpenAPI describes them."""

from __future__ import annotations

from typing import Any

from aywa.service.org_settings import ORG_CHANGE
from aywa.service.secret_fields import is_secret


def org_schemas(own: dict[str, Any]) -> dict[str, Any]:
    """own: the fields that only the runtime sets. Secrets are taken and not given."""
    change = ORG_CHANGE.schema()
    server = change["properties"]["server"]
    shown = {name: schema for name, schema in server["properties"].items() if not is_secret(name)}
    fields = {name: own[name] for name in ("id", "createdAt", "updatedAt")}
    given = fields | {
        "name": {"type": "string"},
        "server": server | {"properties": shown},
        "webhookPolicy": change["properties"]["webhookPolicy"],
    }
    required = [*fields, "name", "webhookPolicy"]
    org = {"type": "object", "required": required, "properties": given, "additionalProperties": True}
    return {"Org": org, "UpdateOrg": change}
