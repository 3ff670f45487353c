"""What an operator can set of `aywa serve`, and of the voice pipeline, with its defaults."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from aywa.boot.errors import CannotStart
from aywa.boot.phone_settings import Reader

PRODUCTION, DEVELOPMENT = "production", "development"
RULES = "rules"
MODELS = (RULES, "qwen-0.5b", "qwen-1.5b")
CALLS_MOST = 10_000
START_WAIT_S, START_WAIT_MOST_S = 30, 3600


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """enabled: calls are taken. stt: speech is recognised; else callers have their keypad. tts: agents speak; else they answer
    in text."""

    enabled: bool = True
    stt: bool = True
    tts: bool = True


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """production: nothing starts while anything is missing or weak. check_public_url: it is asked from here. start_wait_s: how
    long is waited for what does not answer."""

    production: bool = True
    host: str = "127.0.0.1"
    port: int = 8080
    media_port: int | None = None
    llm: str = RULES
    calls_max: int = 50
    api_key: str = field(default="", repr=False)
    signing_secret: str = field(default="", repr=False)
    check_public_url: bool = True
    start_wait_s: float = START_WAIT_S


def serve_from_environment(environment: Mapping[str, str] | None = None) -> ServeSettings:
    """What the environment says. Raises CannotStart, naming the variable and what it may hold."""
    read = Reader(os.environ if environment is None else environment)
    port = read.port("RUNTIME_PORT", 8080) or 0
    calls = read.number("RUNTIME_CALLS_MAX", 50, CALLS_MOST)
    for name, number in (("RUNTIME_PORT", port), ("RUNTIME_CALLS_MAX", calls)):
        if not number:
            raise CannotStart(f"{name} must not be 0")
    return ServeSettings(
        production=read.choice("RUNTIME_ENV", (PRODUCTION, DEVELOPMENT), PRODUCTION) == PRODUCTION,
        host=read.text("RUNTIME_HOST") or "127.0.0.1",
        port=port,
        media_port=read.port("RUNTIME_MEDIA_PORT", None),
        llm=read.choice("RUNTIME_LLM", MODELS, RULES),
        calls_max=calls,
        api_key=read.text("RUNTIME_API_KEY"),
        signing_secret=read.text("WEBHOOK_SIGNING_SECRET"),
        check_public_url=read.flag("RUNTIME_PUBLIC_URL_CHECK", True),
        start_wait_s=read.number("RUNTIME_START_WAIT_S", START_WAIT_S, START_WAIT_MOST_S),
    )


def pipeline_from_environment(environment: Mapping[str, str] | None = None) -> PipelineSettings:
    """VOICE_PIPELINE_*. Raises CannotStart."""
    read = Reader(os.environ if environment is None else environment)
    return PipelineSettings(
        enabled=read.flag("VOICE_PIPELINE_ENABLED", True),
        stt=read.flag("VOICE_PIPELINE_STT_ENABLED", True),
        tts=read.flag("VOICE_PIPELINE_TTS_ENABLED", True),
    )
