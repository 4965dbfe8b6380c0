"""Rows of the dense chain: the linear-chain CRF and Viterbi. See :mod:`tools.bench.row`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tools.bench.row import REAL, THREADS, Array, Job, Row, on_cuda


class _Case(NamedTuple):
    """Energies of a batch (B, T, S) with full lengths, and labels."""

    emissions: Tensor
    lengths: Tensor
    labels: Tensor
    transitions: Tensor
    start: Tensor
    final: Tensor


def _case(B: int, T: int, S: int, dtype: torch.dtype = torch.float32) -> _Case:
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> Tensor:
        return torch.tensor(rng.normal(size=shape), dtype=dtype)

    labels = torch.from_numpy(rng.integers(0, S, (B, T)))
    return _Case(
        2 * normal(B, T, S), torch.full((B,), T), labels, normal(S, S), normal(S), normal(S)
    )


def _nll(S: int) -> Row:
    """NLL forward and backward, B 32, T 200; the result is the gradient of the emissions."""

    def seqebm(dtype: torch.dtype = torch.float32, device: str = "cpu") -> Job:
        from seqebm.kernels.chain import ops

        c = _case(32, 200, S, dtype)
        leaves = [
            t.to(device).requires_grad_() for t in (c.emissions, c.transitions, c.start, c.final)
        ]
        x, m = leaves[0], leaves[1:]

        def run() -> Array:
            free = ops.free_energy(x, c.lengths, *m, 1.0)
            right = ops.path_energy(x, c.lengths, c.labels, *m)
            return torch.autograd.grad((right - free).sum(), leaves)[0].cpu().numpy()

        return run

    def pytorch_crf() -> Job:
        from torchcrf import CRF

        c = _case(32, 200, S)
        crf = CRF(S, batch_first=True)
        with torch.no_grad():
            crf.transitions.copy_(-c.transitions)
            crf.start_transitions.copy_(-c.start)
            crf.end_transitions.copy_(-c.final)
        scores = (-c.emissions).requires_grad_()
        mask = torch.ones(32, 200, dtype=torch.bool)
        leaves = [scores, *crf.parameters()]
        return lambda: (
            -torch.autograd.grad(-crf(scores, c.labels, mask, reduction="sum"), leaves)[0].numpy()
        )

    def torch_loop() -> Job:
        """What one writes by hand: exp once, then a matmul and a rescaling a frame; autograd."""
        c = _case(32, 200, S)
        leaves = [t.requires_grad_() for t in (c.emissions, c.transitions, c.start, c.final)]
        every = torch.arange(32)[:, None], torch.arange(200)

        def run() -> Array:
            matrix = torch.exp(-c.transitions)
            least = c.emissions.detach().amin(2, keepdim=True)
            factors = torch.exp(least - c.emissions).unbind(1)
            alpha = torch.exp(-c.start) * factors[0]
            log = -least.sum((1, 2))
            for factor in factors[1:]:
                total = alpha.sum(1, keepdim=True)
                log = log + total.log().squeeze(1)
                alpha = ((alpha / total) @ matrix) * factor
            log = log + (alpha * torch.exp(-c.final)).sum(1).log()
            right = c.emissions[every[0], every[1], c.labels].sum(1)
            right = right + c.transitions[c.labels[:, :-1], c.labels[:, 1:]].sum(1)
            right = right + c.start[c.labels[:, 0]] + c.final[c.labels[:, -1]]
            return torch.autograd.grad((right + log).sum(), leaves)[0].numpy()

        return run

    return Row(
        f"CRF NLL forward + backward, B 32, T 200, S {S}",
        {
            "seqebm": seqebm, "pytorch-crf": pytorch_crf, "torch": torch_loop,
            "seqebm on CUDA": on_cuda(seqebm),
        },
        REAL * (4 * 32 * 200 * S + 2 * S * S),
    )  # fmt: skip


def _energies(c: _Case, paths: list[Tensor]) -> Array:
    """Energies of paths in float64, so that whoever finds a better one shows it."""
    y = torch.stack(paths).long()
    total = c.emissions.double().gather(2, y[:, :, None]).sum((1, 2))
    total += c.transitions.double()[y[:, :-1], y[:, 1:]].sum(1)
    return (total + c.start.double()[y[:, 0]] + c.final.double()[y[:, -1]]).numpy()


class Viterbi:
    """Best paths, B 16, T 500; the result is their energies, summed outside of what is timed."""

    def __init__(self, S: int) -> None:
        self.S = S

    def seqebm(self, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Job:
        """Ours."""
        from seqebm.kernels.chain import ops

        c = _case(16, 500, self.S)
        args = [t.to(device, dtype) for t in (c.emissions, c.transitions, c.start, c.final)]
        found: list[list[Tensor]] = []

        def run() -> Array:
            found[:] = [ops.best_path(args[0], c.lengths, *args[1:])[1]]
            return np.zeros(0)

        return _Checked(run, lambda: _energies(c, found[0]))

    def hmmlearn(self) -> Job:
        """C++, one sequence after the other, one thread."""
        from hmmlearn import _hmmc

        c = _case(16, 500, self.S)
        # It takes probabilities, and does not mind that they do not sum to 1.
        start, matrix = (np.exp(-t.double().numpy()) for t in (c.start, c.transitions))
        frames = -c.emissions.double().numpy()
        frames[:, -1] -= c.final.double().numpy()  # it has no final scores
        found: list[list[Tensor]] = []

        def run() -> Array:
            found[:] = [
                [torch.from_numpy(_hmmc.viterbi(start, matrix, f)[1]).long() for f in frames]
            ]
            return np.zeros(0)

        return _Checked(run, lambda: _energies(c, found[0]))

    def pytorch_crf(self) -> Job:
        """pytorch-crf's decode."""
        from torchcrf import CRF

        c = _case(16, 500, self.S)
        crf = CRF(self.S, batch_first=True)
        with torch.no_grad():
            crf.transitions.copy_(-c.transitions)
            crf.start_transitions.copy_(-c.start)
            crf.end_transitions.copy_(-c.final)
        found: list[list[Tensor]] = []

        @torch.no_grad()
        def run() -> Array:
            found[:] = [[torch.tensor(path) for path in crf.decode(-c.emissions)]]
            return np.zeros(0)

        return _Checked(run, lambda: _energies(c, found[0]))

    def torbi(self, device: str = "cpu") -> Job:
        """C++; it takes probabilities that need not sum to 1, and has no final scores."""
        import torbi

        c = _case(16, 500, self.S)
        frames = -c.emissions
        frames[:, -1] -= c.final
        arguments = [t.to(device) for t in (frames, -c.transitions.t().contiguous(), -c.start)]
        found: list[list[Tensor]] = []

        def run() -> Array:
            paths = torbi.from_probabilities(
                arguments[0], None, *arguments[1:], log_probs=True, num_threads=THREADS,
                gpu=0 if device == "cuda" else None,
            )  # fmt: skip
            found[:] = [list(paths.cpu())]
            return np.zeros(0)

        return _Checked(run, lambda: _energies(c, found[0]))

    def row(self) -> Row:
        """The row."""
        S = self.S
        return Row(
            f"dense Viterbi, B 16, T 500, S {S}",
            {
                "seqebm": self.seqebm, "hmmlearn": self.hmmlearn,
                "pytorch-crf": self.pytorch_crf, "torbi": self.torbi,
                "seqebm on CUDA": on_cuda(self.seqebm), "torbi on CUDA": on_cuda(self.torbi),
            },
            16 * 500 * S * (REAL + 2) + REAL * S * S,
        )  # fmt: skip


class _Checked:
    """A job whose first call gives the result that is compared; the rest is only timed."""

    def __init__(self, run: Job, check: Job) -> None:
        self.run, self.check, self.first = run, check, True

    def __call__(self) -> Array:
        result = self.run()
        if self.first:
            self.first = False
            return self.check()
        return result


ROWS: dict[str, Row] = {
    "crf-small": _nll(8),
    "crf": _nll(32),
    "crf-large": _nll(128),
    "viterbi-small": Viterbi(16).row(),
    "viterbi": Viterbi(64).row(),
    "viterbi-large": Viterbi(512).row(),
    "viterbi-1024": Viterbi(1024).row(),
}
