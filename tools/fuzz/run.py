"""Runs the fuzzers and counts what becomes of the inputs."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import logging
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Never

from seqebm.errors import SeqebmError
from tools.fuzz.mutate import mutate
from tools.fuzz.targets import Target, targets

PATIENCE = 10  # seconds that one input may take
MEMORY = 4 << 30  # bytes that a process may come to need beyond what it starts with


class TooSlow(BaseException):
    """An input took longer than :data:`PATIENCE`; no Exception, so that no reader catches it."""


@dataclass
class Count:
    """What became of the inputs of a target: ``read``, ``refused`` by an error of ours, escaped."""

    inputs: int = 0
    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    escaped: list[str] = field(default_factory=list)


def fuzz(
    target: Target,
    seed: int,
    inputs: int | None = None,
    seconds: float | None = None,
    keep: Path | None = None,
) -> Count:
    """Damage and read files until there were ``inputs`` of them, or ``seconds`` have passed.

    What escapes is written to ``keep``. The same seed gives the same inputs.
    """
    random, count = Random(f"{seed} {target.name}"), Count()
    until = time.monotonic() + seconds if seconds is not None else None
    with tempfile.TemporaryDirectory(prefix="seqebm-fuzz-") as folder, _quiet():
        path = Path(folder) / f"input{target.suffix}"
        while (inputs is None or count.inputs < inputs) and (
            until is None or time.monotonic() < until
        ):
            damaged = random.choice(target.seeds)
            if count.inputs >= len(target.seeds):  # the good files first, as they are
                damaged = mutate(damaged, random, target.seeds)
            else:
                damaged = target.seeds[count.inputs]
            data = target.prepare(damaged)
            path.write_bytes(data)
            _one(target, path, data, count, keep)
    return count


def _one(target: Target, path: Path, data: bytes, count: Count, keep: Path | None) -> None:
    count.inputs += 1
    started = time.monotonic()
    try:
        with _limited():
            target.read(path)
        count.read += 1
    except SeqebmError as error:
        if not str(error).strip():
            count.escaped.append("an error without a message")
        count.refused += 1
    except (Exception, TooSlow) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        name = hashlib.sha256(data).hexdigest()[:12] + target.suffix
        count.escaped.append(
            f"{type(error).__name__}: {str(error)[:200]} "
            f"({Path(place.filename).name}:{place.lineno}; {name})"
        )
        if keep is not None:
            folder = keep / target.name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    count.slowest = max(count.slowest, time.monotonic() - started)


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def late(*_: Any) -> Never:
        raise TooSlow(f"more than {PATIENCE} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Warnings are many, and not what is looked for."""
    logger = logging.getLogger("seqebm")
    before, logger.disabled = logger.level, False
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def main() -> None:
    """Print a line a target; the exit status is 1 if anything escaped."""
    known = targets()
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(known)}; default: all")
    parser.add_argument("--seconds", type=float, default=60, help="in all (default: 60)")
    parser.add_argument("--inputs", type=int, help="of each, in place of --seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="directory for inputs that escape")
    arguments = parser.parse_args()
    chosen = arguments.names or list(known)
    if unknown := sorted({*chosen} - {*known}):
        parser.error(f"no target is called {', '.join(unknown)}; there are {', '.join(known)}")
    spent = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    limit = spent + MEMORY + (16 << 30 if sys.platform == "linux" else 0)  # of addresses
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    total = Count()
    row = "{:20} {:>8} {:>8} {:>8} {:>8} {:>9}"
    print(row.format("target", "inputs", "read", "refused", "escaped", "slowest"))
    for name in chosen:
        share = None if arguments.inputs else arguments.seconds / len(chosen)
        found = fuzz(known[name], arguments.seed, arguments.inputs, share, arguments.keep)
        total.inputs += found.inputs
        total.read += found.read
        total.refused += found.refused
        total.escaped += found.escaped
        _print(row, name, found)
        for line in sorted({*found.escaped})[:5]:
            print(f"  {line}")
    _print(row, "all", total)
    sys.exit(1 if total.escaped else 0)


def _print(row: str, name: str, c: Count) -> None:
    slowest = f"{c.slowest:.2f} s" if c.slowest else ""
    print(row.format(name, c.inputs, c.read, c.refused, len(c.escaped), slowest), flush=True)
