"""One contender in a process of its own; :mod:`tools.bench.run` starts it and talks to it.

``python -m tools.bench.worker ROW NAME FILE`` does the job once, writes the result to FILE (.npy)
and then obeys. A line of JSON each way: at the start {"first_s", "version"}, {"missing"} or
{"error"}; then for each line ``seconds`` on standard input, {"ms": [wall time of each repetition]}.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import time
import traceback


def main() -> None:
    """Prepare, do the job once, and time on request."""
    row, contender, file = sys.argv[1:4]
    # A package that prints must not break the protocol.
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(message: dict) -> None:
        channel.write(json.dumps(message) + "\n")
        channel.flush()

    import numpy as np
    import torch

    from tools.bench.jobs import ROWS
    from tools.bench.row import THREADS

    torch.set_num_threads(THREADS)
    try:
        job = ROWS[row].contenders[contender]()
        begin = time.perf_counter()
        result = np.asarray(job(), np.float64)
        first = time.perf_counter() - begin
    except ImportError as error:
        say({"missing": str(error)})
        return
    except Exception:
        say({"error": traceback.format_exc()})
        return
    np.save(file, result)
    try:
        version = importlib.metadata.version(contender.split(" on ")[0])
    except importlib.metadata.PackageNotFoundError:
        version = ""
    say({"first_s": first, "version": version})
    for line in sys.stdin:
        until = time.perf_counter() + float(line)
        times: list[float] = []
        while not times or (time.perf_counter() < until and len(times) < 200):
            begin = time.perf_counter()
            job()
            times.append((time.perf_counter() - begin) * 1e3)
        say({"ms": times})


main()
