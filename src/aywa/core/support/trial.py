"""Before a bundle is written, each pass proves itself on secrets that were made up for it: one that lets any through is broken,
and then there is no bundle. Its samples and its encodings are its own, so that it does not agree with what it tries.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol
from urllib.parse import quote

from aywa.core.support.redaction import Redactor
from aywa.core.support.scan import Leak
from aywa.core.support.shape import Kind, Shape

SAMPLES: Final[Mapping[str, str]] = {
    "pem": "-----BEGIN PRIVATE KEY-----\n{b64}\n-----END PRIVATE KEY-----",
    "bearer": "Bearer {a24}",
    "basic": "Basic {b20}==",
    "digest": 'Digest response="{h32}"',
    "url-password": "postgres://aywa:{a16}@db.example/aywa",
    "url-query": "https://a.example/hook?api_key={a12}",
    "assignment": "password={a10}",
    "cookie": "Set-Cookie: sid={a24}",
    "jwt": "eyJ{a20}.eyJ{a30}.{a43}",
    "aywa": "aywa_{a32}",
    "anthropic": "sk-ant-api03-{a40}",
    "openrouter": "sk-or-v1-{h64}",
    "openai": "sk-proj-{a40}",
    "stripe": "sk_live_{a24}",
    "cartesia": "sk_car_{a22}",
    "elevenlabs": "sk_{h48}",
    "webhook-secret": "whsec_{b32}",
    "aws-id": "AKIA{D16}",
    "google": "AIza{a35}",
    "google-oauth": "ya29.{a40}",
    "github": "ghp_{a36}",
    "gitlab": "glpat-{a20}",
    "slack": "xoxb-{d12}-{a24}",
    "slack-app": "xapp-1-{a40}",
    "hook-address": "https://hooks.slack.com/services/T{D8}/B{D8}/{a24}",
    "telegram": "{d9}:AA{a33}",
    "twilio": "SK{h32}",
    "sendgrid": "SG.{a22}.{a43}",
    "mailgun": "key-{h32}",
    "groq": "gsk_{a52}",
    "xai": "xai-{a80}",
    "perplexity": "pplx-{a48}",
    "huggingface": "hf_{a34}",
    "replicate": "r8_{a37}",
    "npm": "npm_{a36}",
    "pypi": "pypi-AgEI{a60}",
    "digitalocean": "dop_v1_{h64}",
    "docker": "dckr_pat_{a27}",
    "vault": "hvs.{a60}",
    "age": "AGE-SECRET-KEY-1{D50}",
    "azure": "AccountKey={b86}==",
    "hex": "{h40}",
    "mail-address": "{a8}@mail.example",
    "telephone-number": "+49{d10}",
    "opaque": "{m40}",
    "card": "4111 1111 1111 1111",
}
"""How one of each kind looks: {a20} stands for twenty letters and digits, {h} for hex, {d} for digits, {D} for capitals, {b} for
base64, {m} for letters and digits in turn."""

PIECE = 8
"""So much of a secret is as good as the whole of it."""

Chance = Callable[[int], int]
"""A random number below the one given."""
_BLANK = re.compile(r"\{([ahdbDm])(\d+)\}")
_LETTERS, _DIGITS = "abcdefghijklmnopqrstuvwxyz", "0123456789"
_ALPHABETS: Final = {
    "a": _LETTERS + _LETTERS.upper() + _DIGITS,
    "h": "abcdef" + _DIGITS,
    "d": _DIGITS,
    "D": _LETTERS.upper() + _DIGITS[2:8],
    "b": _LETTERS + _LETTERS.upper() + _DIGITS + "+/",
}


class Scan(Protocol):
    """As `scan.leaks`."""

    def __call__(self, files: Mapping[str, str], secrets: Iterable[str]) -> list[Leak]: ...


AllowList = Callable[[Any, Shape], tuple[Any, int]]


def filled(template: str, chance: Chance) -> tuple[str, str]:
    """A sample with its blanks filled, and the longest of them; all of one that has none."""
    drawn: list[str] = []

    def random(match: re.Match[str]) -> str:
        kind, count = match.group(1), int(match.group(2))
        alphabets = (_LETTERS, _DIGITS) if kind == "m" else (_ALPHABETS[kind],)
        picked = (alphabets[place % len(alphabets)] for place in range(count))
        drawn.append("".join(alphabet[chance(len(alphabet))] for alphabet in picked))
        return drawn[-1]

    text = _BLANK.sub(random, template)
    return text, max(drawn, key=len, default=text)


class Trial:
    """secret: one that is nobody's, which the pass over known secrets is to be told of."""

    def __init__(self, chance: Chance) -> None:
        self.secret = filled('{a6}"\\é/+ {a18}', chance)[0]
        self._written = _written(self.secret)
        self._samples = {kind: filled(template, chance) for kind, template in SAMPLES.items()}
        self._unlisted = filled("{a24}", chance)[0]

    def of_known(self, redactor: Redactor) -> list[str]:
        """How the secret was written where it was left, whole or in part."""
        return [how for how, text in self._written.items() if _remains(text, redactor([f"x {text} y"])[0])]

    def of_looks(self, redactor: Redactor) -> list[str]:
        """Kinds that were left, whole or in part."""
        shown = redactor([f"x {text} y" for text, _ in self._samples.values()])
        pairs = zip(self._samples.items(), shown, strict=True)
        return [kind for (kind, (_, random)), left in pairs if _remains(random, left)]

    def of_allow_list(self, keep: AllowList) -> bool:
        """It keeps what is listed, and that alone."""
        shown, _ = keep({"listed": 1, self._unlisted: 1, "other": self._unlisted}, {"listed": Kind.NUMBER})
        return bool(shown == {"listed": 1})

    def of_scan(self, scan: Scan) -> list[str]:
        """What it overlooked."""
        shown: dict[str, str] = {how: json.dumps([f"x {text} y"]) for how, text in self._written.items()}
        shown |= {kind: json.dumps([f"x {text} y"]) for kind, (text, _) in self._samples.items()}
        seen = {leak.file for leak in scan(shown, [self.secret])}
        return [name for name in shown if name not in seen]


def _remains(text: str, left: str) -> bool:
    """A piece of it that is long enough to be of use."""
    return any(text[start : start + PIECE] in left for start in range(max(1, len(text) - PIECE + 1)))


def _written(secret: str) -> dict[str, str]:
    data = secret.encode()
    texts = {
        "raw": secret,
        "JSON": json.dumps(secret)[1:-1],
        "URL": quote(secret, safe=""),
        "hex": data.hex(),
        "hex in capitals": data.hex().upper(),
    }
    for before in range(3):
        texts[f"base64 at {before}"] = base64.b64encode(b"u:"[:before] + data).decode()
    return texts
