"""Opens the local models that the settings ask for. Light to import, so that they load while the rest is imported."""

from __future__ import annotations

import asyncio

from aywa.adapters.local.engine import LocalEngine, open_local
from aywa.boot import models
from aywa.boot.settings import LLM_RULES, RuntimeSettings


async def open_engine(settings: RuntimeSettings) -> LocalEngine:
    """Starts loading and returns. Raises ProviderError: a model that is missing or damaged, and the mend."""
    llm = LLM_RULES if settings.openai is not None else settings.llm
    names = models.needed(None if llm == LLM_RULES else llm)
    folder = await asyncio.to_thread(models.require, names)
    return await open_local(folder, llm=llm)
