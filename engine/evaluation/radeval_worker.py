"""Scores texts with RadEval. Run by the Python of an environment that has it; imports nothing of this program.

One JSON object a line. In: {"metrics": [names], "references": [texts], "predictions": [texts]}. Out: first {"ready":
{"radeval": version}} or {"error": reason}; then for each request {"begun": metric} as each begins, and last {"scores":
{key: [number or null, one a pair]}, "failed": {metric: kind of error}}. What libraries print goes to standard error.
Nothing is downloaded: weights must be in this machine's caches. Ends with its input.
"""

from __future__ import annotations

import json
import math
import os
import sys
from importlib import metadata
from typing import Any

NOWHERE = "http://127.0.0.1:9"
OFFLINE = {
    **dict.fromkeys(("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"), "1"),
    # Some of its libraries know no such variable; a proxy that is not there stops them.
    **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), NOWHERE),
    **dict.fromkeys(("no_proxy", "NO_PROXY"), ""),
}


def main() -> int:
    """Serve until the input ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not come between our lines

    def say(**line: Any) -> None:
        out.write(json.dumps(line) + "\n")
        out.flush()

    os.environ.update(OFFLINE)
    try:
        version = metadata.version("radeval")
        import radeval

        # Its RadGraph imports by a name with capitals, which is there only where file names have none.
        sys.modules.setdefault("RadEval", radeval)
    except Exception as error:
        say(error=f"RadEval cannot be imported there ({type(error).__name__})")
        return 1
    say(ready={"radeval": version})
    loaded: dict[str, Any] = {}
    for line in sys.stdin:
        request = json.loads(line)
        scores: dict[str, list[float | None]] = {}
        failed: dict[str, str] = {}
        for metric in request["metrics"]:
            say(begun=metric)
            try:
                if metric not in loaded:
                    loaded[metric] = radeval.RadEval(metrics=[metric], per_sample=True, show_progress=False)
                found = loaded[metric](refs=request["references"], hyps=request["predictions"])
                scores |= {key: [_number(value) for value in values] for key, values in found.items()}
            except Exception as error:  # its message may hold a report's text
                failed[metric] = type(error).__name__
        say(scores=scores, failed=failed)
    return 0


def _number(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


if __name__ == "__main__":
    sys.exit(main())
