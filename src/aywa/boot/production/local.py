"""Whether the models that a runtime needs on its own machine are there. Fetches none."""

from __future__ import annotations

from collections.abc import Mapping

from aywa.boot.errors import CannotStart
from aywa.boot.finding import Finding
from aywa.boot.models import models_dir, needed, states
from aywa.boot.production.codes import fault
from aywa.boot.serve_settings import RULES, serve_from_environment


def ask_models(environment: Mapping[str, str]) -> list[Finding]:
    """What is missing or damaged, as one finding."""
    try:
        llm = serve_from_environment(environment).llm
    except CannotStart:
        # That is told by itself.
        llm = RULES
    wrong = [state for state in states(needed(None if llm == RULES else llm)) if state.state != "ready"]
    if not wrong:
        return []
    told = ", ".join(f"{state.name} is {state.state.replace('_', ' ')}" for state in wrong)
    mend = f"aywa models pull {' '.join(state.name for state in wrong)}"
    return [fault("models.missing", "AYWA_MODELS", f"{told} in {models_dir()}", mend)]
