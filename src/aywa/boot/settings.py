"""What an operator of `aywa dev` can set, with its defaults; every limit by its name."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from aywa.boot.store import home

LLM_DEFAULT = "qwen-0.5b"
LLM_QUALITY = "qwen-1.5b"
LLM_RULES = "rules"
OPENAI_MODEL = "gpt-4.1"


@dataclass(frozen=True, slots=True)
class OpenAiRoute:
    """An OpenAI-compatible model route. key: may be empty for a server that wants none."""

    base_url: str
    key: str = field(repr=False)
    model: str = OPENAI_MODEL


@dataclass(frozen=True, slots=True)
class RuntimeSettings:
    """host, port: of the API and the talk page; media_port: of the calls' audio, the next one when None, any when 0.
    llm: a local model's name or `rules`; openai: a route that takes its place. calls_max: at once.
    ended_kept: calls whose end is remembered for late connections."""

    host: str = "127.0.0.1"
    port: int = 8080
    media_port: int | None = None
    data: Path = field(default_factory=home)
    llm: str = LLM_DEFAULT
    openai: OpenAiRoute | None = None
    calls_max: int = 50
    drain_s: float = 5.0

    @property
    def loopback(self) -> bool:
        """Only this machine can reach it."""
        return self.host in ("127.0.0.1", "::1", "localhost")

    @property
    def artifacts(self) -> Path:
        """The folder of recordings, transcripts and event logs."""
        return self.data / "artifacts"

    @property
    def journal(self) -> Path:
        """The folder of the journal's files."""
        return self.data / "journal"


def openai_from_environment() -> OpenAiRoute | None:
    """The route that OPENAI_API_KEY or OPENAI_BASE_URL name; None when neither is set."""
    key, base_url = os.environ.get("OPENAI_API_KEY", ""), os.environ.get("OPENAI_BASE_URL", "")
    if not key and not base_url:
        return None
    model = os.environ.get("OPENAI_MODEL", "") or OPENAI_MODEL
    return OpenAiRoute(base_url or "https://api.openai.com/v1", key, model)
