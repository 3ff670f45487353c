"""What a secret looks like, whoever's it is: the prefixes that vendors give their keys, headers, addresses with passwords, and
whatever is too random to be a word. Also what is personal: telephone numbers, mail addresses, cards. Knows no one's secrets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

OPAQUE_LEAST = 24
"""A run of letters and digits in turn that is at least so long is no word."""
CHANGES_LEAST = 6
"""So often it goes from letter to digit or back."""
RANDOM_SHARE = 0.4
"""So many of the characters are of another kind than the one before; by chance six of ten are."""
CARD_LEAST = 13


_B = r"(?<![A-Za-z0-9])"
_T = r"[A-Za-z0-9_\-]"
PATTERNS: tuple[tuple[str, str], ...] = (
    ("pem", r"-----BEGIN [A-Z ]{3,40}-----[^-]*(?:-----END [A-Z ]{3,40}-----)?"),
    ("bearer", r"(?i)\bbearer\s+[^\s\"',;]{4,}"),
    ("basic", r"(?i)\bbasic\s+[A-Za-z0-9+/=_-]{6,}"),
    ("digest", r"(?i)\b(?:response|cnonce|nonce)=\"?[0-9A-Za-z+/=]{8,}\"?"),
    ("url-password", r"\b[a-z][a-z0-9+.\-]{1,20}://[^\s/?#\"']*@"),
    (
        "url-query",
        r"(?i)[?&;][a-z_\-]*(?:key|token|secret|sig|signature|password|passwd|pwd|auth|code|credential)=[^&\s\"']+",
    ),
    (
        "assignment",
        (
            r"(?i)\b[a-z0-9_.\-]*(?:password|passwd|pwd|secret|api[_-]?key|access[_-]?key|private[_-]?key|token|passphrase)"
            r"[\"']?\s*[=:]\s*[\"']?[^\s\"',;}]{3,}"
        ),
    ),
    ("cookie", r"(?i)\b(?:set-)?cookie\s*[:=]\s*[^\s=]+=[^\s;]+(?:;\s*[^\s;]+)*"),
    ("jwt", r"\beyJ[A-Za-z0-9_\-]{6,}\.[A-Za-z0-9_\-]{4,}(?:\.[A-Za-z0-9_\-]*)?"),
    ("aywa", rf"{_B}aywa_{_T}{{8,}}"),
    ("anthropic", rf"{_B}sk-ant-{_T}{{8,}}"),
    ("openrouter", rf"{_B}sk-or-{_T}{{8,}}"),
    ("openai", rf"{_B}sk-{_T}{{8,}}"),
    ("stripe", rf"{_B}(?:sk|rk|pk)_(?:live|test)_{_T}{{8,}}"),
    ("cartesia", rf"{_B}sk_car_{_T}{{8,}}"),
    ("elevenlabs", rf"{_B}(?:sk|xi)_{_T}{{16,}}"),
    ("webhook-secret", rf"{_B}whsec_[A-Za-z0-9+/=_\-]{{8,}}"),
    ("aws-id", rf"{_B}(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{{12,}}"),
    ("google", rf"{_B}AIza{_T}{{20,}}"),
    ("google-oauth", rf"{_B}(?:ya29\.|GOCSPX-|1//0){_T}{{8,}}"),
    ("github", rf"{_B}(?:gh[pousr]_|github_pat_){_T}{{16,}}"),
    ("gitlab", rf"{_B}(?:glpat|gldt|glrt)-{_T}{{8,}}"),
    ("slack", rf"{_B}xox[abeoprs]-{_T}{{8,}}"),
    ("slack-app", rf"{_B}xapp-{_T}{{8,}}"),
    (
        "hook-address",
        (
            r"https://(?:hooks\.slack\.com/services|discord(?:app)?\.com/api/webhooks|hooks\.zapier\.com|[a-z0-9.\-]*webhook\.office\.com)"
            r"/[^\s\"']+"
        ),
    ),
    ("telegram", r"(?<!\d)\d{8,10}:AA[A-Za-z0-9_\-]{30,}"),
    ("twilio", rf"{_B}(?:SK|AC)[0-9a-f]{{32}}"),
    ("sendgrid", rf"{_B}SG\.{_T}{{8,}}\.{_T}{{8,}}"),
    ("mailgun", rf"{_B}key-[0-9a-f]{{16,}}"),
    ("groq", rf"{_B}gsk_{_T}{{16,}}"),
    ("xai", rf"{_B}xai-{_T}{{16,}}"),
    ("perplexity", rf"{_B}pplx-{_T}{{16,}}"),
    ("huggingface", rf"{_B}hf_{_T}{{16,}}"),
    ("replicate", rf"{_B}r8_{_T}{{16,}}"),
    ("npm", rf"{_B}npm_{_T}{{16,}}"),
    ("pypi", rf"{_B}pypi-{_T}{{16,}}"),
    ("digitalocean", rf"{_B}do[oprt]_v1_[0-9a-f]{{16,}}"),
    ("docker", rf"{_B}dckr_pat_{_T}{{8,}}"),
    ("vault", rf"{_B}hv[bsr]\.{_T}{{8,}}"),
    ("age", rf"{_B}AGE-SECRET-KEY-1[A-Z0-9]{{16,}}"),
    ("azure", r"(?i)\b(?:AccountKey|SharedAccessKey)=[A-Za-z0-9+/=]{16,}"),
    ("hex", r"(?<![0-9A-Za-z])[0-9a-fA-F]{32,}(?![0-9A-Za-z])"),
    ("mail-address", r"[\w.+%\-]+@[\w\-]+\.[\w.\-]*[A-Za-z]{2,}"),
    ("telephone-number", r"(?<![\w.])\+\d[\d ().\-]{6,20}\d"),
)
"""What is told in its place, and how one looks; the more particular first."""

_COMPILED = tuple((kind, re.compile(expression)) for kind, expression in PATTERNS)
_OURS = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?"
)
"""Ids and times: random, and told on purpose."""
_RUN = re.compile(rf"[A-Za-z0-9+/_=\-]{{{OPAQUE_LEAST},}}")
_CHANGE = re.compile(r"(?<=[A-Za-z])[+/_=\-]?(?=\d)|(?<=\d)[+/_=\-]?(?=[A-Za-z])")
_DIGITS = re.compile(rf"(?<![\d.])(?:\d[ \-]?){{{CARD_LEAST - 1},18}}\d(?![\d.])")
_PLAIN = re.compile(r"[a-z_.\-]{1,40}\Z|\d{1,6}\Z")
KINDS = (*(kind for kind, _ in PATTERNS), "opaque", "card")


@dataclass(frozen=True, slots=True)
class Sighting:
    """Something of a kind, and where."""

    kind: str
    start: int
    end: int


def sightings(text: str) -> Iterator[Sighting]:
    """What looks like a secret, the more particular first; they may overlap."""
    if _PLAIN.match(text):
        return
    for kind, expression in _COMPILED:
        for match in expression.finditer(text):
            yield Sighting(kind, *match.span())
    masked = _OURS.sub(lambda match: " " * len(match.group()), text)
    for match in _RUN.finditer(masked):
        if _is_opaque(match.group()):
            yield Sighting("opaque", *match.span())
    for match in _DIGITS.finditer(masked):
        if _is_card(match.group()):
            yield Sighting("card", *match.span())


def _is_opaque(run: str) -> bool:
    """Letters and digits in turn, or all kinds as chance has them: words, even joined ones, stay longer in each."""
    if len(_CHANGE.findall(run)) >= CHANGES_LEAST:
        return True
    kinds = [1 if c.isdigit() else 2 if c.islower() else 3 for c in run if c.isalnum()]
    changes = sum(one != other for one, other in pairwise(kinds))
    return len(set(kinds)) == 3 and changes >= RANDOM_SHARE * len(kinds)


def _is_card(text: str) -> bool:
    """ISO/IEC 7812-1: the last digit makes the sum a multiple of ten. A time in milliseconds begins with 1, and no card does."""
    digits = [int(character) for character in text if character.isdigit()]
    if digits[0] not in (2, 3, 4, 5, 6):
        return False
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(digits[::-2]) + sum(doubled)) % 10 == 0
