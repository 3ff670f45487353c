"""Real models, from the folder that `aywa models pull --tiny` fills."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aywa.adapters.local.engine import LocalEngine, open_local
from aywa.adapters.models.cache import models_dir


@pytest.fixture
def models() -> Path:
    return models_dir()


@pytest.fixture
async def ears(models: Path) -> AsyncIterator[LocalEngine]:
    """The recogniser and the turn model."""
    engine = await open_local(models, roles=("stt", "turn"), llm="rules")
    await engine.ready()
    yield engine
    await engine.close()


@pytest.fixture
async def voice(models: Path) -> AsyncIterator[LocalEngine]:
    """The voice alone."""
    engine = await open_local(models, roles=("tts",), llm="rules")
    await engine.ready()
    yield engine
    await engine.close()
