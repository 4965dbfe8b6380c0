"""One contender in a process of its own; :mod:`tools.bench.run` starts it and talks to it.

Protocol, a line of JSON each way: at the start {"ready": versions, "first_s", "error"}; then for
each line ``seconds`` on standard input, {"ms": [wall time of each repetition]}.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import time
import traceback


def main() -> None:
    """Prepare, check the result against float64, and time on request."""
    row, contender = sys.argv[1:3]
    # A package that prints must not break the protocol.
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(message: dict) -> None:
        channel.write(json.dumps(message) + "\n")
        channel.flush()

    import numpy as np
    import torch

    from tools.bench import jobs

    torch.set_num_threads(jobs.THREADS)
    try:
        job = jobs.ROWS[row][1][contender]()
        begin = time.perf_counter()
        result = np.asarray(job(), np.float64)
        first = time.perf_counter() - begin
    except ImportError as error:
        say({"missing": str(error)})
        return
    except Exception:
        say({"error": traceback.format_exc()})
        return
    if contender.startswith("("):
        difference = None  # a floor computes something else
    else:
        truth = jobs.exact(row)
        difference = float(np.abs(result - truth).max() / np.abs(truth).max())
    try:
        version = importlib.metadata.version(contender)
    except importlib.metadata.PackageNotFoundError:
        version = ""
    say({"first_s": first, "difference": difference, "version": version})
    for line in sys.stdin:
        until = time.perf_counter() + float(line)
        times: list[float] = []
        while not times or (time.perf_counter() < until and len(times) < 200):
            begin = time.perf_counter()
            job()
            times.append((time.perf_counter() - begin) * 1e3)
        say({"ms": times})


main()
