"""Each refusal names what is wrong, where, and its value."""

import math

import pytest
import torch

from seqebm.kernels.machine import checks
from seqebm.kernels.warp import ops

LOCAL = torch.zeros(2, 4, 3)
TS, LS = torch.tensor([4, 3]), torch.tensor([3, 2])


@pytest.mark.parametrize("beta", [0.0, -1.0, math.nan, 1e-40])
def test_beta(beta):
    with pytest.raises(ValueError, match=f"beta is {beta}"):
        ops.free_energy(LOCAL, TS, LS, beta, "linear")


@pytest.mark.parametrize(
    ("ts", "ls", "message"),
    [
        (torch.tensor([4, 0]), LS, r"t_lengths\[1\] is 0; it must be 1 to 4"),
        (torch.tensor([5, 3]), LS, r"t_lengths\[0\] is 5; it must be 1 to 4"),
        (TS, torch.tensor([3, -2]), r"l_lengths\[1\] is -2; it must be 1 to 3"),
        (TS, torch.tensor([3]), r"l_lengths has shape \(1,\), expected \(2,\)"),
        (TS.float(), LS, "t_lengths has dtype torch.float32"),
    ],
)
def test_lengths(ts, ls, message):
    with pytest.raises(ValueError, match=message):
        ops.free_energy(LOCAL, ts, ls, 1.0, "linear")
    with pytest.raises(ValueError, match=message):
        ops.best_path(LOCAL, ts, ls, "linear")


@pytest.mark.parametrize("value", [math.nan, -math.inf])
@pytest.mark.parametrize("innermost", [True, False])
def test_local_energies_name_the_cell(value, innermost):
    # More pairs than lanes, innermost in memory or not: each way to read a table finds it.
    local = torch.zeros(20, 4, 3)
    if innermost:
        local = torch.zeros(4, 3, 20).permute(2, 0, 1)
    local[17, 2, 1] = value
    ts, ls = torch.full((20,), 4), torch.full((20,), 3)
    message = rf"local\[17, 2, 1\] is {value}"
    with pytest.raises(ValueError, match=message):
        ops.free_energy(local, ts, ls, 1.0, "linear")
    with pytest.raises(ValueError, match=message):
        ops.best_path(local, ts, ls, "linear")
    ls[17] = 1  # now it is padding
    assert ops.free_energy(local, ts, ls, math.inf, "linear")[17] == 0


def test_features_name_the_frame():
    x, y = torch.zeros(2, 4, 3), torch.zeros(5, 4, 3)
    lengths = torch.full((5,), 4)
    y[3, 2, 1] = math.inf
    with pytest.raises(ValueError, match=r"y\[3, 2, 1\] is inf; features must be finite"):
        ops.matrix(x, TS, y, lengths, 1.0, "linear")
    y[3, 2, 1] = 0
    x[1, 2, 0] = math.nan
    with pytest.raises(ValueError, match=r"x\[1, 2, 0\] is nan"):
        ops.pairs(x, TS, y[:2], lengths[:2], 1.0, "linear")


def test_shapes_and_types():
    x, y = torch.zeros(2, 4, 3), torch.zeros(2, 4, 5)
    with pytest.raises(ValueError, match=r"\(2, 4, 3\).*\(2, 4, 5\).*same number of features"):
        ops.local_energy(x, y)
    with pytest.raises(ValueError, match="metric 'manhattan' is not one of sqeuclidean, cosine"):
        ops.local_energy(x, x, "manhattan")
    with pytest.raises(ValueError, match=r"torch.float16; the kernels take float32 or float64"):
        ops.free_energy(LOCAL.half(), TS, LS, 1.0, "linear")
    with pytest.raises(ValueError, match=r"local has shape \(4, 3\), expected 3 dimensions"):
        ops.free_energy(LOCAL[0], TS, LS, 1.0, "linear")
    with pytest.raises(ValueError, match="x has 2 items and y has 1"):
        ops.pairs(x, TS, x[:1], LS[:1], 1.0, "linear")
    with pytest.raises(ValueError, match=r"x is on meta.*x\.cpu\(\)"):
        ops.local_energy(x.to("meta"), x)
    with pytest.raises(ValueError, match=r"no step pattern 'liner'.*'linear'"):
        ops.free_energy(LOCAL, TS, LS, 1.0, "liner")


def test_tables_too_large_to_index():
    # Expanded, so that no memory is needed to try.
    local = torch.zeros(1, 1, 1).expand(1, 1 << 16, 1 << 15)
    with pytest.raises(OverflowError, match="65536 x 32768 cells is too large"):
        ops.free_energy(local, torch.tensor([1]), torch.tensor([1]), 1.0, "linear")
    with pytest.raises(OverflowError, match="too large"):
        checks.check_size(checks.MAX_FRAMES + 1, 1)
    checks.check_size(checks.MAX_FRAMES, 1)
