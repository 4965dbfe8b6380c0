"""Time the kernels against other packages, side by side on the same machine in the same minutes.

Each contender lives in a process of its own. They take turns, round after round, so that a busy
spell of the machine falls on all of them; while one works, the others wait for a line of input.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from tools.bench import graph_jobs, jobs
from tools.bench.row import THREADS

ROOT = Path(__file__).resolve().parents[2]
#: A contender that needs longer for the job once is timed a single time.
SLOW_SECONDS = 3.0


class Contender:
    """A running worker process: see :mod:`tools.bench.worker`."""

    def __init__(self, row: str, name: str, threads: int, python: str, folder: Path) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SEQEBM_BENCH_THREADS": str(threads),
            "OMP_NUM_THREADS": str(threads),
            "NUMBA_NUM_THREADS": str(threads),
        }
        self.name = name
        self.times: list[float] = []
        self.result = folder / f"{name.strip('()').replace(' ', '-')}.npy"
        self.process = subprocess.Popen(
            [python, "-m", "tools.bench.worker", row, name, str(self.result)],
            cwd=ROOT, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.facts = self._hear()

    def _hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": "the process ended without a word"}

    @property
    def waits(self) -> bool:
        """Whether it wants another turn: installed, did the job once, and is not too slow."""
        slow = self.facts.get("first_s", 0.0) > SLOW_SECONDS
        done = slow and self.times
        return "first_s" in self.facts and "error" not in self.facts and not done

    def turn(self, seconds: float) -> None:
        """Repeat the job for about that long, once at least."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended, as the next line says
            self.process.stdin.write(f"{seconds}\n")
            self.process.stdin.flush()
        heard = self._hear()
        self.times += heard.get("ms", [])
        if "error" in heard:
            self.facts |= heard

    def end(self) -> None:
        """Let the process finish."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.process.wait()


def measure(
    row: str, threads: int, rounds: int, seconds: float, pythons: dict[str, str]
) -> list[dict[str, Any]]:
    """Facts of every contender of a row: ours first."""
    exact = jobs.exact(row)
    with tempfile.TemporaryDirectory() as folder:
        contenders = [
            Contender(
                row, name, threads, pythons.get(name.split(" on ")[0], sys.executable), Path(folder)
            )
            for name in jobs.ROWS[row].contenders
        ]
        for _ in range(rounds):
            for contender in contenders:
                if contender.waits:
                    contender.turn(seconds)
        ours = contenders[0].times
        found = []
        for contender in contenders:
            contender.end()
            facts: dict[str, Any] = {"row": row, "name": contender.name, **contender.facts}
            if (times := sorted(contender.times)) and "error" not in facts:
                quarters = statistics.quantiles(times, n=4) if len(times) > 1 else [times[0]] * 3
                facts |= {
                    "min_ms": times[0], "median_ms": statistics.median(times),
                    "quartiles_ms": [quarters[0], quarters[2]], "repetitions": len(times),
                    "ratio_min": times[0] / min(ours, default=math.nan),
                    "ratio_median": statistics.median(times)
                    / statistics.median(ours or [math.nan]),
                    "difference": _difference(contender, exact),
                }  # fmt: skip
            found.append(facts)
    return found


def _difference(contender: Contender, exact: np.ndarray) -> float | None:
    """Largest difference from the exact result, relative to its largest number."""
    if contender.name.startswith("("):
        return None  # a floor computes something else
    return float(np.abs(np.load(contender.result) - exact).max() / np.abs(exact).max())


def bandwidth(device: str, size: int = 1 << 27) -> float:
    """Bytes a second that a copy of ``size`` bytes reads and writes, the best of several."""
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    best = 0.0
    for _ in range(10):
        begin = time.perf_counter()
        target.copy_(source)
        if device == "cuda":
            torch.cuda.synchronize()
        best = max(best, 2 * size / (time.perf_counter() - begin))
    return best


def _table(facts: list[dict[str, Any]], title: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in ("", "min ms", "median", "quartiles", "times ours (min, median)", "rel. error"):
        table.add_column(column, justify="left" if not column else "right")
    for f in facts:
        name = f"{f['name']} {f.get('version', '')}".strip()
        if "missing" in f:
            table.add_row(name, "skipped")
        elif "error" in f:
            table.add_row(name, f"failed: {f['error'].strip().splitlines()[-1]}")
        else:
            low, high = f["quartiles_ms"]
            table.add_row(
                name, f"{f['min_ms']:.2f}", f"{f['median_ms']:.2f}", f"{low:.2f}-{high:.2f}",
                f"{f['ratio_min']:.1f}, {f['ratio_median']:.1f}",
                "" if f["difference"] is None else f"{f['difference']:.1e}",
            )  # fmt: skip
    return table


def _interpreter(text: str) -> tuple[str, str]:
    name, separator, path = text.partition("=")
    if not separator or not Path(path).is_file():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PATH of a Python interpreter")
    return name, str(Path(path).absolute())


def main() -> None:
    """Run the rows asked for, print one table each, and write JSON if asked."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--only", choices=list(jobs.ROWS), action="append", help="row to run")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--rounds", type=int, default=6, help="turns of each contender")
    parser.add_argument("--seconds", type=float, default=0.4, help="length of a turn")
    parser.add_argument(
        "--threads", type=int, default=THREADS,
        help="threads of each contender; 1 gives steadier figures on a machine that others use",
    )  # fmt: skip
    parser.add_argument(
        "--python", type=_interpreter, action="append", default=[], metavar="NAME=PATH",
        help="interpreter of a peer that needs an environment of its own, such as k2 or torbi",
    )  # fmt: skip
    parser.add_argument(
        "--growth", action="store_true",
        help="fit too how time grows with frames and with arcs of a graph",
    )  # fmt: skip
    options = parser.parse_args()
    console = Console()
    torch.set_num_threads(options.threads)
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    report: dict[str, Any] = {
        "machine": platform.processor() or platform.machine(), "cores": os.cpu_count(),
        "threads": options.threads, "python": platform.python_version(), "rows": [],
        "bandwidth": {device: bandwidth(device) for device in devices},
    }  # fmt: skip
    if len(devices) > 1:
        report["gpu"] = torch.cuda.get_device_name()
    for device, rate in report["bandwidth"].items():
        console.print(f"memory bandwidth, {device}: {rate / 1e9:.0f} GB/s")
    for row in options.only or jobs.ROWS:
        before = os.getloadavg()[0]
        facts = measure(
            row, options.threads, options.rounds, options.seconds, dict(options.python)
        )  # fmt: skip
        after = os.getloadavg()[0]
        load = (
            f"{options.threads} threads on {os.cpu_count()} cores, "
            f"load average {before:.1f} before, {after:.1f} after"
        )
        console.print(_table(facts, f"{row}: {jobs.ROWS[row].title}  ({load})"))
        for f in facts:
            if "missing" in f:
                console.print(f"{f['name']} was skipped: {f['missing']}")
        report["rows"].append({"load": [before, after], "contenders": facts})
        if options.json:  # each time: a long run that is broken off leaves what it found
            options.json.write_text(json.dumps(report, indent=1) + "\n")
    if options.growth:
        report["growth"] = []
        for name, points, exponent in graph_jobs.growth():
            times = ", ".join(f"{size}: {took * 1e3:.1f} ms" for size, took in points)
            console.print(f"time ~ {name} ** {exponent:.2f}  ({times})")
            report["growth"].append({"name": name, "points": points, "exponent": exponent})
        if options.json:
            options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
