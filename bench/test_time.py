"""How long script/test takes, from set-up to its last line. Fails when the tests do, because then the time says nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time


def main() -> int:
    started_s = time.monotonic()
    exit_code = subprocess.run(["script/test"], stdout=sys.stderr, check=False).returncode
    print(json.dumps({"wall_s": round(time.monotonic() - started_s, 1), "samples": 1}))
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
