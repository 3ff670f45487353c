"""Joins the local models behind their ports to one child process. Chooses no model and fetches none."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aywa.adapters.local.llm import LocalLlm
from aywa.adapters.local.process import ChildProcess
from aywa.adapters.local.rules import RuleLlm
from aywa.adapters.local.stt import LocalStt
from aywa.adapters.local.tts import LocalTts
from aywa.adapters.local.turn_model import LocalTurnModel
from aywa.ports.llm import Llm
from aywa.ports.vad import Vad

ROLES = ("stt", "tts", "turn", "llm")
RULES = "rules"
"""The language model that needs no weights."""
_MOST_THREADS = 4


class LocalEngine:
    """The local models; each is there whether or not its role was loaded, and says so when asked."""

    def __init__(self, models_dir: Path, child: ChildProcess | None, llm: str) -> None:
        self._models_dir = models_dir
        self.child = child or ChildProcess({}, ())
        self._asked_child = child is not None
        self.stt = LocalStt(self.child)
        self.tts = LocalTts(self.child)
        self.turn_model = LocalTurnModel(self.child)
        self.llm: Llm = RuleLlm() if llm == RULES else LocalLlm(self.child, llm)

    @property
    def silero(self) -> Path:
        """The voice detector's file."""
        return self._models_dir / "silero" / "silero_vad.onnx"

    def vad(self, rate_hz: int) -> Vad:
        """A voice detector in this process, at 8000 or 16000 Hz."""
        # The child is not to wait for this process's import of onnxruntime.
        from aywa.adapters.local.silero import SileroVad

        return SileroVad(self.silero, rate_hz)

    async def ready(self) -> None:
        """Waits until every role is loaded. Raises ProviderError."""
        if self._asked_child:
            await self.child.ready()

    def rss_mb(self) -> float:
        """Resident memory of the child, in MB."""
        return self.child.rss_mb()

    async def close(self) -> None:
        """Ends the child."""
        await self.child.close()


async def open_local(
    models_dir: Path, roles: Sequence[str] = ROLES, llm: str = "qwen-0.5b", threads: int | None = None
) -> LocalEngine:
    """Starts loading and returns at once. models_dir: holds MODEL/FILE. llm: a model's name, or `rules`.

    threads: of the language model; absent: one for each core, four at most.
    """
    wanted = [role for role in roles if not (role == "llm" and llm == RULES)]
    plan = _plan(models_dir, wanted, llm, threads)
    child = ChildProcess(plan, wanted) if wanted else None
    if child:
        child.start()
    return LocalEngine(models_dir, child, llm)


def _plan(models_dir: Path, roles: Sequence[str], llm: str, threads: int | None) -> Mapping[str, Any]:
    places = {
        "stt": models_dir / "moonshine",
        "turn": models_dir / "smart-turn" / "smart-turn-v3.2-cpu.onnx",
        "tts": Path(),
        "llm": next(iter(sorted((models_dir / llm).glob("*.gguf"))), models_dir / llm / "model.gguf"),
    }
    plan: dict[str, Any] = {role: str(places[role]) for role in roles}
    plan["threads"] = threads or min(os.cpu_count() or 1, _MOST_THREADS)
    return plan
