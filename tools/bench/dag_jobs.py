"""Rows of explicit acyclic graphs. See :mod:`tools.bench.row`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tools.bench.graph_jobs import NO_GTN
from tools.bench.row import REAL, Array, Job, Row, on_cuda

FAN = 4  # arcs into a node


class Lattices:
    """Free energies of random lattices, forward and backward; the result is the gradient.

    A lattice has levels of as many nodes each; four arcs enter a node, from the level before. Its
    starts are the first level, its finals the last.
    """

    def __init__(self, graphs: int, levels: int, nodes: int) -> None:
        self.sizes = graphs, levels, nodes

    def _arcs(self) -> tuple[Any, Any, Any]:
        """Sources, destinations, energies (graphs, arcs), by the level that an arc enters."""
        graphs, levels, nodes = self.sizes
        rng = np.random.default_rng(0)
        first = np.arange(nodes, levels * nodes).repeat(FAN)
        src = (first // nodes - 1) * nodes + rng.integers(0, nodes, (graphs, len(first)))
        energies = rng.normal(size=src.shape).astype(np.float32)
        return src, np.tile(first, (graphs, 1)), energies

    def seqebm(self, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Job:
        """Ours."""
        from seqebm.kernels.dag.ops import free_energy
        from seqebm.kernels.dag.packed import pack_dags
        from seqebm.kernels.machine.topology import Topology

        graphs, levels, nodes = self.sizes
        starts, finals = np.arange(nodes), np.arange(nodes) + (levels - 1) * nodes
        sources, destinations, weights = self._arcs()
        dags = pack_dags([
            Topology(levels * nodes, src, dst, 0 * src, starts, finals)
            for src, dst in zip(sources, destinations)  # noqa: B905
        ])  # fmt: skip
        arcs = sources.shape[1]
        # Starts and finals have energy 0.
        entries = torch.from_numpy(np.pad(weights, ((0, 0), (0, 2 * nodes)))).view(-1)
        energies = entries.to(device, dtype).requires_grad_()

        def run() -> Array:
            free = free_energy(dags, energies, 1.0)
            gradient = torch.autograd.grad(free.sum(), energies)[0].cpu()
            return gradient.view(graphs, -1)[:, :arcs].numpy()

        return run

    def torch_loop(self) -> Job:
        """Gather, log-sum-exp of the four arcs into each node, level by level; autograd."""
        graphs, levels, nodes = self.sizes
        shape = (levels - 1, graphs, nodes, FAN)
        src, _, weights = self._arcs()
        local = torch.from_numpy(src % nodes).view(graphs, levels - 1, nodes, FAN)
        sources = local.transpose(0, 1).reshape(levels - 1, graphs, nodes * FAN)
        energies = torch.from_numpy(weights).requires_grad_()

        def run() -> Array:
            scores = -energies.view(graphs, levels - 1, nodes, FAN).transpose(0, 1)
            alpha = torch.zeros(graphs, nodes)
            for ways, source in zip(scores, sources):  # noqa: B905
                alpha = (alpha.gather(1, source).view(shape[1:]) + ways).logsumexp(2)
            total = -alpha.logsumexp(1).sum()
            return torch.autograd.grad(total, energies)[0].numpy()

        return run

    def k2(self) -> Job:
        """k2: a super-start before the starts, and arcs of label -1 into a super-final."""
        import k2

        graphs, levels, nodes = self.sizes
        fsas: list[Any] = []
        sources, destinations, weights = self._arcs()
        end = levels * nodes + 1
        for src, dst, energies in zip(sources, destinations, weights):  # noqa: B905
            order = np.argsort(src, kind="stable")
            lines = [f"0 {n + 1} 1 0" for n in range(nodes)]
            lines += [f"{src[a] + 1} {dst[a] + 1} 1 {-energies[a]:.9g}" for a in order]
            lines += [f"{end - nodes + n} {end} -1 0" for n in range(nodes)]
            fsas.append(k2.Fsa.from_str("\n".join([*lines, str(end)])))
        whole = k2.create_fsa_vec(fsas)
        scores = whole.scores.clone().requires_grad_()
        order = np.argsort(sources, axis=1, kind="stable")

        def run() -> Array:
            whole.scores = scores
            total = -whole.get_tot_scores(True, True).sum()
            gradient = -torch.autograd.grad(total, scores)[0].numpy()
            rows = gradient.reshape(graphs, -1)[:, nodes:-nodes]
            found = np.empty_like(rows)
            np.put_along_axis(found, order, rows, 1)
            return found

        return run

    def row(self) -> Row:
        """The row."""
        graphs, levels, nodes = self.sizes
        arcs = (levels - 1) * nodes * FAN
        return Row(
            f"acyclic graphs, free energy + gradient, {graphs} of {levels * nodes:,} nodes and "
            f"{arcs:,} arcs",
            {
                "seqebm": self.seqebm, "torch loop": self.torch_loop, "k2": self.k2,
                "gtn": NO_GTN, "seqebm on CUDA": on_cuda(self.seqebm),
            },
            REAL * graphs * (4 * arcs + 2 * levels * nodes),
        )  # fmt: skip


ROWS: dict[str, Row] = {
    "dag-small": Lattices(4, 10, 10).row(),
    "dag": Lattices(16, 50, 40).row(),
    "dag-large": Lattices(16, 200, 200).row(),
}
