"""This checkout's kernels against those of another one, in turns: has a change made a row slower?

python -m tools.bench.compare OTHER_CHECKOUT [--only ROW] [--rounds N] [--seconds S] [--threads N]

A turn of each checkout after the other, each in a process of its own, which is kept. The ratio of
least times is above 1 where this checkout is slower; that of medians shows how noisy it was.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.bench import jobs
from tools.bench.row import THREADS

ROOT = Path(__file__).resolve().parents[2]


def start(checkout: Path, row: str, threads: int, scratch: Path) -> subprocess.Popen[str]:
    """A process that does our job of a row with the code of a checkout."""
    environment = {
        **os.environ, "PYTHONPATH": str(checkout), "SEQEBM_BENCH_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
    }  # fmt: skip
    command = [sys.executable, "-m", "tools.bench.worker", row, "seqebm", str(scratch)]
    return subprocess.Popen(
        command, cwd=checkout, env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def told(process: subprocess.Popen[str]) -> dict:
    """What a process says next."""
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def turn(process: subprocess.Popen[str], seconds: float) -> list[float]:
    """Times of one turn, in ms."""
    assert process.stdin is not None
    process.stdin.write(f"{seconds}\n")
    process.stdin.flush()
    return told(process)["ms"]


def main() -> None:
    """Print a line for each row."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.compare", description=__doc__)
    parser.add_argument("other", type=Path, help="the other checkout, e.g. a git worktree")
    parser.add_argument("--only", choices=list(jobs.ROWS), action="append", help="row to run")
    parser.add_argument("--rounds", type=int, default=6, help="turns of each")
    parser.add_argument("--seconds", type=float, default=0.3, help="length of a turn")
    parser.add_argument("--threads", type=int, default=THREADS, help="threads of each")
    options = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f}, {options.threads} threads")
    print(f"{'row':16}{'this, ms':>10}{'other, ms':>10}{'least':>8}{'median':>8}")
    with tempfile.TemporaryDirectory() as scratch:
        for row in options.only or jobs.ROWS:
            both = [
                start(checkout, row, options.threads, Path(scratch) / f"{n}.npy")
                for n, checkout in enumerate((ROOT, options.other.resolve()))
            ]
            said = [told(process) for process in both]
            if any("error" in one or "missing" in one for one in said):
                print(f"{row:16} cannot be run: {said}")
            else:
                times: list[list[float]] = [[], []]
                for n in range(options.rounds):
                    for k in (0, 1) if n % 2 else (1, 0):
                        times[k] += turn(both[k], options.seconds)
                least = [min(own) for own in times]
                median = [statistics.median(own) for own in times]
                print(
                    f"{row:16}{least[0]:10.3f}{least[1]:10.3f}{least[0] / least[1]:8.2f}"
                    f"{median[0] / median[1]:8.2f}",
                    flush=True,
                )
            for process in both:
                process.communicate()


if __name__ == "__main__":
    main()
