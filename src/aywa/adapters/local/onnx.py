"""Opens ONNX models the way a machine with two cores wants it: one thread each, no spinning, no chatter."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort


def session(model: Path | bytes, *, arena: bool = False) -> ort.InferenceSession:
    """model: a file, or what one would hold. arena: keep the memory of a run for the next one. Worth it for small runs
    often, not for large ones seldom.

    Raises FileNotFoundError, and what the library raises for a file that is not a model.
    """
    if isinstance(model, Path) and not model.is_file():
        raise FileNotFoundError(f"{model} is missing")  # the library only speaks of a file descriptor
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = arena
    options.log_severity_level = 4  # what fails raises; it need not be printed too
    return ort.InferenceSession(
        str(model) if isinstance(model, Path) else model, options, providers=["CPUExecutionProvider"]
    )
