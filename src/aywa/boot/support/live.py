"""What a running runtime answers to questions about itself, and whether what it depends on can be reached. Asks nobody else."""

from __future__ import annotations

import json
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aywa.boot.support.place import Place

ANSWER_S = 5.0
REACH_S = 3.0
ANSWER_BYTES_MAX = 4 * 1024 * 1024
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
HTTP, HTTPS = 80, 443
TARGETS = {
    "RUNTIME_STORE_POSTGRES_URL": 5432,
    "REDIS_URL": 6379,
    "RUNTIME_ARTIFACT_S3_ENDPOINT": HTTPS,
    "RUNTIME_ANALYTICS_CLICKHOUSE_URL": 8123,
    "OTEL_EXPORTER_OTLP_ENDPOINT": 4318,
    "RUNTIME_ACCOUNT_WEBHOOK_URL": HTTPS,
    "OPENAI_BASE_URL": HTTPS,
}
"""Setting with an address -> the port, where it names none."""


def runtime(place: Place) -> dict[str, Any]:
    """runtime.json."""
    health, _ = _asked(place, "/health")
    readiness, told = _asked(place, "/readyz")
    metrics, figures = _asked(place, "/metrics.json", key=True)
    trunks, listed = _asked(place, "/trunks", key=True)
    if isinstance(told, Mapping):
        readiness |= {"ready": readiness["status"] == 200, "checks": told.get("checks")}
    metrics["values"] = _samples(figures)
    trunks["list"] = listed if isinstance(listed, list) else []
    return {"health": health, "readiness": readiness, "metrics": metrics, "trunks": trunks}


def _asked(place: Place, path: str, *, key: bool = False) -> tuple[dict[str, Any], Any]:
    """How the answer came, and what it was."""
    headers = {"Authorization": f"Bearer {place.key}"} if key and place.key else {}
    began_s = time.monotonic()
    problem, status, body = "", None, b""
    proxies: dict[str, str] | None = {} if urlsplit(place.url).hostname in _LOOPBACK else None
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler(proxies)]
    try:
        request = urllib.request.Request(place.url + path, headers=headers)
        opener = urllib.request.build_opener(*handlers)
        with opener.open(request, timeout=min(ANSWER_S, max(0.1, place.left_s))) as answer:
            status, body = answer.status, answer.read(ANSWER_BYTES_MAX)
    except urllib.error.HTTPError as error:
        with error:
            status, body = error.code, error.read(ANSWER_BYTES_MAX)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        problem = outcome_of(reason if isinstance(reason, BaseException) else error)
    told = {
        "answered": status is not None,
        "status": status,
        "problem": problem or None,
        "ms": round((time.monotonic() - began_s) * 1000),
    }
    try:
        return told, json.loads(body) if body else None
    except ValueError:
        return told, None


def outcome_of(error: BaseException) -> str:
    """Why nothing came, in a word."""
    if isinstance(error, TimeoutError):
        return "timed_out"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, socket.gaierror):
        return "name_not_found"
    if isinstance(error, ssl.SSLError):
        return "untrusted"
    return "unreachable" if isinstance(error, OSError) else "bad_url"


def _samples(content: Any) -> dict[str, float]:
    """By name and labels. Of a histogram its sum and its count are enough."""
    found: dict[str, float] = {}
    families = content.get("metrics") if isinstance(content, Mapping) else None
    for family in families if isinstance(families, list) else ():
        for sample in family["samples"]:
            name, labels = str(sample["name"]), sample["labels"]
            if not name.endswith(("_bucket", "_created")):
                found["/".join([name, *(f"{label}:{value}" for label, value in labels.items())])] = sample[
                    "value"
                ]
    return found


# --- what it depends on ----------------------------------------------------------------------------------------------


def reach(place: Place) -> dict[str, Any]:
    """reach.json: a connection to each, and nothing sent."""
    given = [(name, place.environment.get(name, "").strip()) for name in TARGETS]
    with ThreadPoolExecutor(len(TARGETS)) as threads:
        return {"targets": list(threads.map(_reached, [one for one in given if one[1]]))}


def _reached(given: tuple[str, str]) -> dict[str, Any]:
    name, url = given
    told: dict[str, Any] = {"setting": name}
    began_s = time.monotonic()
    try:
        address = _address(name, url)
        if isinstance(address, str):
            with socket.socket(socket.AF_UNIX) as there:
                there.settimeout(REACH_S)
                there.connect(address)
        else:
            told |= {"host": address[0], "port": address[1]}
            socket.create_connection(address, REACH_S).close()
    except (OSError, ValueError) as error:
        told["outcome"] = outcome_of(error)
    else:
        told["outcome"] = "reached"
    return told | {"ms": round((time.monotonic() - began_s) * 1000)}


def _address(name: str, url: str) -> tuple[str, int] | str:
    """Host and port, of several the first; or the path of a local socket (libpq, 34.1.1.2). Raises ValueError."""
    parts = urlsplit(url if "://" in url else f"//{url}")
    folder = next(
        (value for key, value in parse_qsl(parts.query) if key == "host" and value.startswith("/")), None
    )
    if folder is not None:
        return f"{folder}/.s.PGSQL.{parts.port or TARGETS[name]}"
    first = urlsplit(f"//{parts.netloc.rpartition('@')[2].partition(',')[0]}")
    if not first.hostname:
        raise ValueError("no host")
    plain = parts.scheme == "http" and TARGETS[name] == HTTPS
    return first.hostname, first.port or (HTTP if plain else TARGETS[name])
