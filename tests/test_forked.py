"""After a fork torch computes: the threads of its OpenMP library are only in the parent."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: The parent uses two threads; its children, made in three ways, would wait for them for ever.
WORK = """
import multiprocessing, os, signal, sys, warnings
import torch
warnings.simplefilter("ignore")

def work(_):
    signal.alarm(60)
    import seqebm
    from seqebm.forked import is_forked
    torch.rand(1 << 20).exp()
    torch.nn.functional.conv1d(torch.rand(8, 64, 512), torch.rand(64, 64, 5))
    return torch.get_num_threads(), is_forked()

if __name__ == "__main__":
    if sys.argv[1] != "late":
        import seqebm
    torch.set_num_threads(2)
    torch.rand(1 << 20).exp()
    if sys.argv[1] == "fork":
        child = os.fork()
        if not child:
            os._exit(0 if work(0) == (1, True) else 1)
        raise SystemExit(os.waitpid(child, 0)[1])
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(work, range(2)) == [(1, True)] * 2
"""


@pytest.mark.parametrize("how", ["fork", "pool", "late"])
def test_torch_after_a_fork(how, tmp_path):
    script = tmp_path / "work.py"
    script.write_text(WORK)
    result = subprocess.run(
        [sys.executable, script, how], timeout=150, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
