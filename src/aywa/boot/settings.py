"""What an operator of `aywa dev` can set, with its defaults; every limit by its name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from aywa.boot.equipment_settings import EquipmentSettings
from aywa.boot.freeswitch_settings import FreeSwitchSettings
from aywa.boot.node_settings import NodeSettings
from aywa.boot.phone_settings import PhoneSettings
from aywa.boot.serve_settings import PipelineSettings, ServeSettings
from aywa.boot.store import home
from aywa.ports.calls import ProviderKey

LLM_DEFAULT = "qwen-0.5b"
LLM_QUALITY = "qwen-1.5b"
LLM_RULES = "rules"
OPENAI_BASE_URL = "https://api.openai.com/v1"
OPENAI_MODEL = "gpt-4.1"


@dataclass(frozen=True, slots=True)
class OpenAiRoute:
    """An OpenAI-compatible model route. key: may be empty for a server that wants none."""

    base_url: str
    key: str = field(repr=False)
    model: str = OPENAI_MODEL

    @property
    def shown_url(self) -> str:
        """The address without what may be secret in it."""
        parts = urlsplit(self.base_url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@dataclass(frozen=True, slots=True)
class RuntimeSettings:
    """host, port: of the API and the talk page; media_port: of the calls' audio, the next one when None, any when 0.
    llm: a local model's name or `rules`; openai: a route that takes its place. calls_max: at once. drain_s: how long
    calls may take to end when the runtime does. keys: the operator's own, by provider, for whoever has none. phone: its calls by
    telephone. equipment: media sockets. freeswitch: whose calls come and go by its event socket. node: what it shares with other
    runtimes over the same database.
    pipeline: what of it is switched on. served: by `aywa serve`; None: by `aywa dev`, which makes keys, a page and a receptionist
    of its own."""

    host: str = "127.0.0.1"
    port: int = 8080
    media_port: int | None = None
    data: Path = field(default_factory=home)
    llm: str = LLM_DEFAULT
    openai: OpenAiRoute | None = None
    calls_max: int = 50
    drain_s: float = 5.0
    keys: Mapping[str, ProviderKey] = field(default_factory=dict, repr=False)
    phone: PhoneSettings = field(default_factory=PhoneSettings)
    equipment: EquipmentSettings = field(default_factory=EquipmentSettings)
    freeswitch: FreeSwitchSettings = field(default_factory=FreeSwitchSettings)
    node: NodeSettings = field(default_factory=NodeSettings)
    pipeline: PipelineSettings = field(default_factory=PipelineSettings)
    served: ServeSettings | None = None

    @property
    def loopback(self) -> bool:
        """Only this machine can reach it."""
        return is_loopback(self.host)

    @property
    def private(self) -> bool:
        """Nobody but this machine is served: no proxy stands before it."""
        return self.loopback and self.served is None

    @property
    def own_tls(self) -> bool:
        """It speaks TLS itself, with a certificate of its own."""
        return not self.loopback and self.served is None

    @property
    def artifacts(self) -> Path:
        """The folder of recordings, transcripts and event logs."""
        return self.data / "artifacts"

    @property
    def journal(self) -> Path:
        """The folder of the journal's files."""
        return self.data / "journal"


def is_loopback(host: str) -> bool:
    """Only this machine can reach what listens there."""
    return host in ("127.0.0.1", "::1", "localhost")


PROVIDER_VARIABLES = {
    "openai": "OPENAI",
    "anthropic": "ANTHROPIC",
    "deepgram": "DEEPGRAM",
    "11labs": "ELEVENLABS",
    "cartesia": "CARTESIA",
    # As adapters.llm.compatible has them; a table of its own here, for that one takes a while to import.
    "groq": "GROQ",
    "openrouter": "OPENROUTER",
    "together-ai": "TOGETHER",
    "deepinfra": "DEEPINFRA",
    "cerebras": "CEREBRAS",
    "deep-seek": "DEEPSEEK",
    "xai": "XAI",
    "perplexity-ai": "PERPLEXITY",
    "google": "GEMINI",
    "minimax": "MINIMAX",
    "mistral": "MISTRAL",
    "anyscale": "ANYSCALE",
    "inflection-ai": "INFLECTION",
}
"""Provider -> how the names of its two environment variables begin: _API_KEY and _BASE_URL."""


def keys_from_environment() -> dict[str, ProviderKey]:
    """What the environment has for the named vendors, by provider; without those it says nothing of."""
    found: dict[str, ProviderKey] = {}
    for provider, prefix in PROVIDER_VARIABLES.items():
        # A line end that came along when the value was copied is not part of it.
        key, base_url = (os.environ.get(f"{prefix}_{name}", "").strip() for name in ("API_KEY", "BASE_URL"))
        if key or base_url:
            found[provider] = ProviderKey(
                key, base_url, source=f"{prefix}_API_KEY" if key else f"{prefix}_BASE_URL"
            )
    return found


def openai_from_environment() -> OpenAiRoute | None:
    """The route that OPENAI_API_KEY or OPENAI_BASE_URL name; None when neither is set."""
    # A line end that came along when the value was copied is not part of it.
    key, base_url, model = (
        os.environ.get(name, "").strip() for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL")
    )
    if not key and not base_url:
        return None
    return OpenAiRoute(base_url or OPENAI_BASE_URL, key, model or OPENAI_MODEL)
