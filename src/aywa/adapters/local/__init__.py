"""Local models: recogniser, voice, language model and turn model, run on this machine in one child process."""

from aywa.adapters.local.engine import LocalEngine, open_local

__all__ = ["LocalEngine", "open_local"]
