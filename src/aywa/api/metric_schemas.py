"""The figures of /metrics.json as OpenAPI describes them."""

from __future__ import annotations

from typing import Any


def metric_schemas() -> dict[str, Any]:
    """One object for all metrics."""
    sample = {
        "type": "object",
        "required": ["name", "labels", "value"],
        "properties": {
            "name": {"type": "string", "example": "aywa_calls_active"},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "value": {"type": "number"},
        },
    }
    metric = {
        "type": "object",
        "required": ["name", "type", "help", "samples"],
        "properties": {
            "name": {"type": "string"},
            "type": {"type": "string", "enum": ["counter", "gauge", "histogram"]},
            "help": {"type": "string"},
            "samples": {"type": "array", "items": sample},
        },
    }
    figures = {
        "type": "object",
        "required": ["atSeconds", "metrics"],
        "properties": {
            "atSeconds": {"type": "number"},
            "metrics": {"type": "array", "items": metric},
            "history": {"type": "array", "items": {"type": "object", "required": ["at", "calls"]}},
        },
    }
    return {"Figures": figures}
