"""From which size on a device is faster than the CPU here: ``seqebm doctor --measure``."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqebm.kernels.chain import ops as chain_ops
from seqebm.kernels.machine.topology import Topology
from seqebm.kernels.trellis import ops as trellis_ops
from seqebm.kernels.trellis.packed import pack
from seqebm.kernels.warp import ops as warp_ops

_REPETITIONS = 5
_FRAMES = 100


class Timing(NamedTuple):
    """One size of one kernel: forward and backward, least of several runs, in ms."""

    kernel: str
    size: str
    cpu: float
    device: float

    @property
    def faster(self) -> str:
        """``"cpu"`` or ``"device"``."""
        return "device" if self.device < self.cpu else "cpu"


def _trellis(states: int, items: int, device: str) -> tuple[Callable[[], Tensor], list[Tensor]]:
    every = np.arange(states)
    src, dst = np.concatenate([every, every[:-1]]), np.concatenate([every, every[1:]])
    packed = pack([Topology(states, src, dst, dst % 64, every[:1], every[-1:])])
    emissions = torch.rand(items, _FRAMES + states, 64, device=device, requires_grad=True)
    lengths = torch.full((items,), emissions.shape[1])
    energies = torch.zeros(int(packed.entry_offsets[-1]), device=device, requires_grad=True)
    chosen = torch.zeros(items, dtype=torch.int64)
    return (
        lambda: trellis_ops.free_energy(emissions, lengths, packed, chosen, energies, 1.0),
        [emissions, energies],
    )


def _chain(states: int, items: int, device: str) -> tuple[Callable[[], Tensor], list[Tensor]]:
    emissions = torch.rand(items, _FRAMES, states, device=device, requires_grad=True)
    moves = torch.zeros(states, states, device=device, requires_grad=True)
    ends = torch.zeros(states, device=device, requires_grad=True)
    lengths = torch.full((items,), _FRAMES)
    return (
        lambda: chain_ops.free_energy(emissions, lengths, moves, ends, ends, 1.0),
        [emissions, moves, ends],
    )  # fmt: skip


def _warp(length: int, items: int, device: str) -> tuple[Callable[[], Tensor], list[Tensor]]:
    x = torch.rand(items, length, 32, device=device, requires_grad=True)
    y = torch.rand(16, length, 32, device=device, requires_grad=True)
    lengths = torch.full((items,), length), torch.full((16,), length)
    return (lambda: warp_ops.matrix(x, lengths[0], y, lengths[1], 1.0, "symmetric2"), [x, y])


_MAKERS = {
    "trellis, states": (_trellis, (16, 128, 1024)),
    "chain, labels": (_chain, (16, 64, 256)),
    "warp, frames": (_warp, (16, 64, 256)),
}


def measure(device: str, batches: Sequence[int] = (1, 32)) -> list[Timing]:
    """Forward and backward of each kernel on the CPU and on ``device``, small to large."""
    found = []
    for name, (make, sizes) in _MAKERS.items():
        for size in sizes:
            for items in batches:
                least = [_least(*make(size, items, where), where) for where in ("cpu", device)]
                found.append(Timing(name.split(",")[0], f"{size}{name.split(',')[1]} x {items}",
                                    *least))  # fmt: skip
    return found


def _least(call: Callable[[], Tensor], leaves: list[Tensor], device: str) -> float:
    best = float("inf")
    for repetition in range(_REPETITIONS + 1):
        started = time.perf_counter()
        torch.autograd.grad(call().sum(), leaves)
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        if repetition:  # the first compiles
            best = min(best, time.perf_counter() - started)
    return 1e3 * best
