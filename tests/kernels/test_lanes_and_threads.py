"""The arithmetic of SIMD lanes, and kernels called from many threads and processes."""

import math
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from numba import njit

from seqebm import forked
from seqebm.kernels.machine import cells, lanes, threads
from seqebm.kernels.machine.lanes import load, splat, store
from seqebm.kernels.warp import ops


@njit
def _compute(a, out, width):
    n = len(width)
    for at in range(0, a.size, n):
        x = load(a, at, width)
        store(out, at, cells.exponential(x))
        store(out, a.size + at, cells.logarithm(splat(0.0, a, width) - x))
        store(out, 2 * a.size + at, cells.smaller(x, splat(-1.0, a, width)))


@pytest.mark.parametrize(("dtype", "log_error"), [(np.float32, 2e-7), (np.float64, 5e-16)])
def test_exponential_and_logarithm(dtype, log_error):
    rng = np.random.default_rng(0)
    # Powers of e over all of the normal range, and logarithms of sums as they occur.
    a = -np.concatenate([rng.uniform(0, 80, 800), rng.uniform(1, 4, 800)]).astype(dtype)
    out = np.empty(3 * a.size, dtype)
    _compute(a, out, lanes.Width(16))
    exp, log, less = out.reshape(3, -1).astype(np.float64)
    exact = np.exp(a.astype(np.float64))
    # The product with log2(e) is rounded, hence an error that grows with the exponent.
    assert np.abs(exp / exact - 1).max() < 100 * np.finfo(dtype).eps
    near = a > -1
    assert np.abs(exp[near] / exact[near] - 1).max() < 3 * np.finfo(dtype).eps
    exact_log = np.log(-a.astype(np.float64))
    assert np.abs((log - exact_log) / np.maximum(np.abs(exact_log), 1)).max() < log_error
    assert np.array_equal(less, np.minimum(a, -1))


def test_exponential_at_the_ends():
    a = np.zeros(16, np.float32)
    a[:5] = 0, -math.inf, -1000, -88, -1e30
    out = np.empty(48, np.float32)
    _compute(a, out, lanes.Width(16))
    assert out[0] == 1 and out[1] == 0 and out[2] == 0 and out[4] == 0
    assert 0 <= out[3] < 1e-38


def _energies():
    # A generator of its own: torch's global one is shared by all threads, whoever seeds it.
    own = torch.Generator().manual_seed(0)
    local = torch.randn(70, 12, 9, generator=own)
    ts = torch.randint(1, 13, (70,), generator=own)
    ls = torch.randint(1, 10, (70,), generator=own)
    return ops.free_energy(local, ts, ls, 1.0, "symmetric1")


def test_number_of_threads_changes_nothing():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        single = _energies()
        torch.set_num_threads(3)
        assert threads.thread_count() == 3
        assert torch.equal(_energies(), single)
    finally:
        torch.set_num_threads(before)


@pytest.fixture(params=["torch", "pool"])
def layer(request, monkeypatch):
    if request.param == "pool":
        monkeypatch.setattr(forked, "_after", True)
    elif threads.threading_layer() != "torch":
        pytest.skip("the library of torch's threads cannot be asked for them")
    assert threads.threading_layer() == request.param


def test_a_workspace_is_kept():
    with threads.workspace(100, np.dtype(np.float32)) as one:
        assert one.dtype == np.float32 and one.size == 100
        with threads.workspace(100, np.dtype(np.float32)) as inner:  # as in a signal handler
            assert not np.shares_memory(one, inner)
    with threads.workspace(40, np.dtype(np.float64)) as two:
        assert two.dtype == np.float64 and two.size == 40
        assert np.shares_memory(one, two)
    with threads.workspace(threads.KEPT + 1, np.dtype(np.uint8)) as large:
        pass
    with threads.workspace(1, np.dtype(np.uint8)) as small:
        assert not np.shares_memory(large, small)


def test_a_workspace_is_not_used_again_after_an_error():
    with pytest.raises(RuntimeError), threads.workspace(9, np.dtype(np.uint8)) as one:
        raise RuntimeError
    with threads.workspace(9, np.dtype(np.uint8)) as two:
        assert not np.shares_memory(one, two)


def test_many_python_threads_at_once(layer):
    expected = _energies()
    wrong = []

    def run():
        for _ in range(20):
            if not torch.equal(_energies(), expected):
                wrong.append(threading.get_ident())

    runners = [threading.Thread(target=run) for _ in range(6)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    assert not wrong


def _in_child(queue):
    torch.set_num_threads(2)
    queue.put((threads.threading_layer(), _energies().tolist()))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_computes_too():
    expected = _energies()  # so that the parent has a pool, which the child must not use
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue,))
    child.start()
    try:
        assert queue.get(timeout=60) == ("pool", expected.tolist())
    finally:
        child.join(timeout=10)
        if child.is_alive():
            child.kill()


_LATE = """
import os, torch
torch.set_num_threads(2)
torch.rand(1 << 20).exp()  # OpenMP's threads are there
{imports}
child = os.fork()
if child == 0:
    import signal
    signal.alarm(60)
    from seqebm.kernels import ops, threads
    lengths = torch.full((64,), 9)
    energies = ops.free_energy(torch.rand(64, 9, 9), lengths, lengths, 1.0, "linear")
    os._exit(0 if threads.threading_layer() == "pool" and len(energies) == 64 else 1)
raise SystemExit(os.waitpid(child, 0)[1])
"""


def test_a_fork_before_the_kernels_were_loaded():
    """The child may not use threads that only its parent had."""
    command = [sys.executable, "-W", "ignore", "-c", _LATE.format(imports="import seqebm")]
    assert subprocess.run(command, timeout=120).returncode == 0


def test_an_error_in_a_kernel_reaches_the_caller(layer):
    def worker(counter, number):
        raise RuntimeError(f"number {number}")

    with pytest.raises(RuntimeError, match="number 7"):
        threads.launch(worker, 5, 7)


def test_the_width_names_the_sources():
    from numba import typeof

    assert lanes.fingerprint() in typeof(lanes.Width(16)).name
    assert typeof(lanes.Width(16)) != typeof(lanes.Width(8))


_SEARCH = """
import torch
from seqebm.kernels.warp import ops
one = torch.tensor([2])
print(float(ops.best_path(torch.ones(1, 2, 2), one, one, "symmetric1")[0]))
"""


def test_a_change_in_another_file_compiles_a_kernel_anew(tmp_path):
    """A kernel cached on disk calls a function of another file, in another room than lanes."""
    source = Path(forked.__file__).parent
    shutil.copytree(source, tmp_path / "seqebm", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    environment.pop("NUMBA_CACHE_DIR", None)

    def search() -> str:
        command = [sys.executable, "-c", _SEARCH]
        result = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, env=environment
        )
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    kept = tmp_path / "seqebm/kernels/warp/__pycache__"
    assert search() == "2.0"
    compiled = {p.name for p in kept.glob("*.nbc")}
    assert search() == "2.0"
    assert compiled == {p.name for p in kept.glob("*.nbc")} != set()
    with (tmp_path / "seqebm/kernels/warp/patterns.py").open("a") as file:
        file.write("\n\ndef row_limits(i, time, length, band, slope):\n    return 1, 0\n")
    assert search() == "inf"
