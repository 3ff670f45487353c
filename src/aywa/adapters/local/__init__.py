"""Local models: recogniser, voice, language model and turn model, run on this machine in one child process.

What they run on tells nobody: onnxruntime 1.29 and later sends its maker an account of each process, its models and their runs,
and keeps an id of the machine in the user's cache folder, unless this is set before it is imported (its Privacy.md, "Disabling
Telemetry"). So nothing but this package imports it, and whatever it was set to before does not count.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

from aywa.adapters.local.engine import LocalEngine, open_local

__all__ = ["LocalEngine", "open_local"]
