"""Opens ONNX models the way a machine with two cores wants it: one thread each, no spinning, no chatter."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort


def session(model: Path | bytes) -> ort.InferenceSession:
    """model: the file, or its content."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    source = model if isinstance(model, bytes) else str(model)
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
