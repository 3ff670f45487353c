"""A credential's documented fields (contract 4.6, 7.2): which providers there are, and what each must be given.

What is not named here is kept as it is; of storage only that it is there. phone_rules has the fields of a byo-sip-trunk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aywa.ports.store import JsonObject
from aywa.service.phone_rules import TRUNK, trunk_problems
from aywa.service.rules import PROBLEMS_MAX, Also, Choice, Flag, Obj, Problems, Rule, Text, check, join
from aywa.service.secret_fields import is_secret

KEYED = (
    "11labs", "anthropic", "anyscale", "assembly-ai", "cartesia", "cerebras", "deepgram", "deepinfra", "deep-seek", "gladia",
    "gohighlevel", "google", "groq", "hume", "inflection-ai", "inworld", "langfuse", "lmnt", "make", "microsoft", "minimax",
    "mistral", "neuphonic", "openai", "openrouter", "perplexity-ai", "playht", "rime-ai", "runpod", "smallest-ai", "soniox",
    "speechmatics", "tavus", "telnyx", "together-ai", "wellsaid", "xai",
)  # fmt: skip
"""Those that want an apiKey and can do with no less."""

OTHERS = (
    "anthropic-bedrock", "azure", "azure-openai", "byo-sip-trunk", "cloudflare", "custom-credential", "custom-llm", "email",
    "gcp", "ghl.oauth2-authorization", "google.calendar.oauth2-authorization", "google.calendar.oauth2-client",
    "google.sheets.oauth2-authorization", "s3", "s3-compatible", "slack.oauth2-authorization", "slack-webhook", "supabase",
    "twilio", "vonage", "webhook",
)  # fmt: skip
PROVIDERS = tuple(sorted((*KEYED, *OTHERS)))

SECRET_LENGTH_MAX = 20_000
URL_LENGTH_MAX = 2_000

_PLANS = {
    "bearer": ("token",),
    "hmac": ("secretKey", "algorithm"),
    "oauth2": ("url", "clientId", "clientSecret"),
}
_PLAN_TYPES = {
    "webhook": ("bearer", "hmac", "oauth2"),
    "custom-credential": ("bearer", "hmac", "oauth2"),
    "custom-llm": ("oauth2",),
}
# Each group: one of these sets of fields must be there.
_WANTED: Mapping[str, tuple[tuple[str, ...], ...]] = {
    **dict.fromkeys(KEYED, (("apiKey",),)),
    "azure-openai": (("openAIKey",),),
    "custom-credential": (("authenticationPlan",),),
    "custom-llm": (("apiKey",), ("authenticationPlan",)),
    "slack-webhook": (("webhookUrl",),),
    "twilio": (("accountSid", "authToken"), ("accountSid", "apiKey", "apiSecret")),
    "vonage": (("apiKey", "apiSecret"),),
    "webhook": (("authenticationPlan",),),
}


def _check_key(value: Any, path: str, problems: Problems) -> None:
    # It becomes a header of HTTP, where such characters would end it or break it.
    if not value.strip():
        problems.add(path, "must not be empty", value)
    elif not (value.strip().isascii() and value.strip().isprintable()) or " " in value.strip():
        problems.add(path, "must consist of printable ASCII characters without spaces", value)


def _check_url(value: Any, path: str, problems: Problems) -> None:
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https", "ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        problems.add(path, "must be a URL", value)
        return
    if not good or not value.isascii() or not value.isprintable() or " " in value:
        problems.add(path, "must be a URL that begins with http://, https://, ws:// or wss://", value)
    elif parts.username is not None or parts.password is not None:
        problems.add(path, "must not hold a user name or a password: it is not kept secret", value)


@dataclass(frozen=True, slots=True)
class _Unquoted:
    """A rule whose problems are told without the value: it may be a secret in the wrong place."""

    rule: Rule

    def check(self, value: Any, path: str, problems: Problems) -> None:
        attempt = Problems()
        self.rule.check(value, path, attempt)
        for problem in attempt.found:
            if len(problems.found) < PROBLEMS_MAX:
                problems.found.append(problem.partition(", got ")[0] + ", got a hidden value")

    def schema(self) -> dict[str, Any]:
        return self.rule.schema()


_KEY = Also(Text(SECRET_LENGTH_MAX), _check_key, "^[!-~]{1,100}$")
_URL = Also(Text(URL_LENGTH_MAX), _check_url, "^(https?|wss?)://[a-z]{1,20}(/[a-z]{0,20})?$")
_SECRET = Text(SECRET_LENGTH_MAX)
AUTHENTICATION_PLAN = Obj(
    {
        "type": Text(),
        "token": _KEY,
        "headerName": Text(200),
        "bearerPrefixEnabled": Flag(),
        "secretKey": _SECRET,
        "algorithm": Choice(("sha256", "sha512", "sha1")),
        "signatureHeader": Text(200),
        "timestampHeader": Text(200),
        "signaturePrefix": Text(200),
        "includeTimestamp": Flag(),
        "payloadFormat": Text(2_000),
        "messageIdHeader": Text(200),
        "signatureEncoding": Choice(("hex", "base64")),
        "secretIsBase64": Flag(),
        "url": _URL,
        "clientId": Text(2_000),
        "clientSecret": _SECRET,
        "scope": Text(2_000),
    }
)
CREDENTIAL = Obj(
    {
        "provider": Choice(PROVIDERS),
        "name": Text(40, 1, "Our account"),
        "apiKey": _KEY,
        "apiSecret": _SECRET,
        "authToken": _KEY,
        # Our own: what a carrier's requests are checked with, and by what it is told to place a call, or to end one.
        "publicKey": Text(200),
        "connectionId": Text(200),
        "signatureSecret": _SECRET,
        "applicationId": Text(200),
        "privateKey": _SECRET,
        # Our own: where this key's requests go instead of to the vendor.
        "baseUrl": _URL,
        "apiUrl": _URL,
        "authenticationPlan": _Unquoted(AUTHENTICATION_PLAN),
    },
    ("provider",),
    example={"provider": "openai", "name": "Our account", "apiKey": "sk-example"},
)


def credential_problems(body: Any) -> list[str]:
    """What is wrong with a new credential."""
    return _checked(CREDENTIAL, body) or wanting(body)


def change_problems(change: Any) -> list[str]:
    """What is wrong with some of its fields."""
    return _checked(Obj(CREDENTIAL.rules), change)


def _checked(rule: Obj, body: Any) -> list[str]:
    # A key that is sent bare must not come back in the answer.
    return check(rule, body) if isinstance(body, dict) else ["body must be an object"]


def wanting(body: Mapping[str, Any]) -> list[str]:
    """What a credential of this provider lacks, secrets included."""
    provider = body["provider"]
    problems = Problems()
    choices = _WANTED.get(provider, ())
    if choices and not any(all(body.get(name) is not None for name in names) for names in choices):
        texts = [" and ".join(names) for names in choices]
        problems.add(texts[0] if len(texts) == 1 else " or ".join(texts), f"is required for {provider}", None)
    _check_plan(provider, body.get("authenticationPlan"), problems)
    return problems.found + (trunk_problems(body) if provider == TRUNK else [])


def _check_plan(provider: str, plan: Any, problems: Problems) -> None:
    types = _PLAN_TYPES.get(provider)
    if types is None or not isinstance(plan, Mapping):
        return
    kind = plan.get("type")
    if kind not in types:
        problems.add(
            "authenticationPlan.type", f"must be one of the following values: {', '.join(types)}", kind
        )
        return
    for name in _PLANS[kind]:
        if plan.get(name) is None:
            problems.add(join("authenticationPlan", name), f"is required where type is {kind}", None)


def tidy(body: JsonObject) -> JsonObject:
    """Without what came along when a key was copied: white space around it."""
    return {
        name: value.strip() if is_secret(name) and isinstance(value, str) else value
        for name, value in body.items()
    }
