"""Kernels under ``torch.compile``: whole graphs, gradients, errors; and with tensors on a GPU, as
far as that can be traced without one."""

from __future__ import annotations

import math

import cuda_cases as cases
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from seqebm.kernels.machine import cuda_dispatch
from seqebm.kernels.warp import ops

NAMES = ["trellis", "chain", "dag", "warp_matrix", "warp_pairs"]


def call(name: str, beta: float):
    """A public function, its arguments, and which of these get gradients."""
    return list(cases.public_calls(beta))[NAMES.index(name)]


def value_and_gradients(function, arguments, leaves):
    own = list(arguments)
    for index in leaves:
        own[index] = own[index].detach().clone().requires_grad_()
    value = function(*own)
    value.nan_to_num(posinf=0.0).sum().backward()
    return [value.detach(), *(own[index].grad for index in leaves)]


@pytest.mark.parametrize("beta", cases.BETAS)
@pytest.mark.parametrize("name", NAMES)
def test_whole_graphs(name, beta):
    function, arguments, leaves = call(name, beta)
    torch._dynamo.reset()
    compiled = torch.compile(function, backend="aot_eager", fullgraph=True)
    wanted = value_and_gradients(function, arguments, leaves)
    found = value_and_gradients(compiled, arguments, leaves)
    for one, two in zip(found, wanted, strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("bad", [0, 7])
def test_compiled_graphs_still_check_lengths(bad):
    def energy(local, lengths):
        return ops.free_energy(local, lengths, lengths, 1.0, "linear")

    torch._dynamo.reset()
    compiled = torch.compile(energy, backend="aot_eager", fullgraph=True)
    local = torch.rand(2, 5, 5)
    assert torch.equal(compiled(local, torch.tensor([5, 4])), energy(local, torch.tensor([5, 4])))
    with pytest.raises(ValueError, match=rf"t_lengths\[1\] is {bad}; it must be 1 to 5"):
        compiled(local, torch.tensor([5, bad]))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("trellis", r"emissions\[0, 0, 0\] is nan"),
        ("chain", r"emissions\[0, 0, 0\] is nan"),
        ("dag", r"energies\[0\].* is nan"),
        ("warp_matrix", r"x\[0, 0, 0\] is nan"),
        ("warp_pairs", r"x\[0, 0, 0\] is nan"),
    ],
)
def test_compiled_graphs_still_check_values(name, message):
    function, arguments, _ = call(name, 1.0)
    torch._dynamo.reset()
    compiled = torch.compile(function, backend="aot_eager", fullgraph=True)
    first = arguments[0].clone()
    compiled(first, *arguments[1:])
    first.view(-1)[0] = math.nan
    with pytest.raises(ValueError, match=message):
        compiled(first, *arguments[1:])


def test_results_of_tensors_on_a_gpu_are_there():
    """Shapes, types and devices, by the operators' rules for tracing: no GPU is needed."""
    with FakeTensorMode():
        new = {"device": "cuda"}
        whole = torch.ones(2, dtype=torch.int64)
        rules = (1.0, [1.0, 1.0, 1.0, 0.0], math.inf, math.inf)
        x, y = torch.rand(2, 5, 3, **new), torch.rand(2, 4, 3, **new)
        energies, posterior = torch.ops.seqebm.warp_pair_energies(x, whole, y, whole, *rules, True)
        assert energies.shape == (2,) and posterior.shape == (2, 5, 4)
        table = torch.rand(1, 2, 5, 4, **new)
        tables = torch.ops.seqebm.warp_free_energies(table, whole, whole, *rules, True)
        assert tables[0].shape == (1, 2) and tables[1].shape == table.shape
        matrix = torch.ops.seqebm.warp_feature_energies(x, whole, y, whole, *rules)
        moves, ends = torch.rand(3, 3, **new), torch.rand(3, **new)
        chain = torch.ops.seqebm.chain_free_energies(x, whole, moves, ends, ends, 1.0, True)
        assert [t.shape for t in chain] == [(2,), (2, 5, 3), (2, 3, 3)]
        best = torch.ops.seqebm.chain_best_paths(x, whole, moves, ends, ends, whole[:0, None], 0.0)
        along = torch.ops.seqebm.chain_path_energies(x, whole, whole[:, None], moves, ends, ends)
        found = [energies, posterior, *tables, matrix, *chain, best[0], along]
        assert all(t.device.type == "cuda" and t.dtype == torch.float32 for t in found)
        assert best[1].device.type == "cuda"
        lengths = torch.ops.seqebm.check_lengths(whole.cuda(), 2, 5, "lengths")
        assert lengths.device.type == "cpu"


def test_every_operator_has_an_implementation_on_both_devices():
    for name in cuda_dispatch._OPERATORS:
        for key in ("CPU", "CUDA"):
            assert torch._C._dispatch_has_kernel_for_dispatch_key(f"seqebm::{name}", key), name
