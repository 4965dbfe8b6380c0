"""The dag: energies on explicit acyclic graphs, one for each item, with an energy on every entry.

For inputs that bring their own graph: the segmentations of a handwritten word (LeCun, Bottou,
Bengio & Haffner 1998, section VI), or what a first pass over speech has left. The energies come
from anywhere; :meth:`Dag.of` takes those of the graphs and their tied weights.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from seqebm.errors import GraphError
from seqebm.graphs import Graph, topological_order
from seqebm.graphs.nbest import n_best
from seqebm.graphs.paths import Path, path_of
from seqebm.inference.found import Scored
from seqebm.inference.strings import Operation, Strings
from seqebm.kernels.dag.ops import best_path, free_energy, posteriors
from seqebm.kernels.dag.packed import Dags, pack_dags
from seqebm.kernels.machine.topology import Topology


class Dag(Strings):
    """The energies of G items, each with an acyclic graph of its own.

    Args:
        graphs: G graphs.
        energies: ``(E,)`` of all their entries (arcs, starts, finals), graph after graph, float32
            or float64; +inf is impossible. They replace the energies of the graphs.

    Raises :class:`GraphError` for a graph with a cycle (it names the graph and a state), or if the
    number of energies does not fit.
    """

    def __init__(self, graphs: Sequence[Graph], energies: Tensor) -> None:
        self.graphs = tuple(graphs)
        self.energies = energies
        entries = sum(graph.entries for graph in self.graphs)
        if energies.shape != (entries,):
            raise GraphError(
                f"energies {tuple(energies.shape)} do not fit the {entries} entries of the graphs"
            )
        self.packed: Dags = pack_dags([_topology(n, graph) for n, graph in enumerate(self.graphs)])

    @classmethod
    def of(cls, graphs: Sequence[Graph], weights: Tensor | None = None) -> Dag:
        """Graphs with their fixed energies and the tied weights ``(W,)``, which get gradients.

        Without weights the energies are float64.
        """
        fixed = torch.cat([torch.from_numpy(graph.energy) for graph in graphs])
        if weights is None:
            return cls(graphs, fixed)
        ties, offset = [], 0
        for graph in graphs:
            if graph.weights > len(weights):
                raise GraphError(f"{len(weights)} weights; a graph needs {graph.weights}")
            ties.append(_gather(graph.ties, weights, offset))
            offset += graph.entries
        energies = fixed.to(weights)
        for rows, values in ties:
            energies = energies.index_add(0, rows, values)
        return cls(graphs, energies)

    def double(self) -> Dag:
        """The same in double precision, differentiable."""
        return Dag(self.graphs, self.energies.double())

    def free_energy(self, beta: float) -> Tensor:
        """``(G,)`` F_β over all paths, differentiable; +inf where there is none."""
        return free_energy(self.packed, self.energies, beta)

    @property
    def items(self) -> int:
        """Number of graphs, G."""
        return len(self.graphs)

    def best_path(self) -> list[Path | None]:
        """The path of least energy of each item, None where there is none; no gradient."""
        _, found = best_path(self.packed, self.energies)
        return [
            None if entries is None else path_of(graph, entries.tolist(), energies)
            for graph, entries, energies in zip(self.graphs, found, self._separate(), strict=True)
        ]

    def posteriors(self, beta: float) -> tuple[Tensor, Tensor]:
        """``(G,)`` free energies and the ``(E,)`` probability of every entry; no gradient."""
        return posteriors(self.packed, self.energies, beta)

    def best(self, n: int = 1, beta: float = math.inf) -> list[list[Scored]]:
        """For each item the ``n`` distinct output strings of least energy, best first."""
        if n == 1:
            return [[Scored(p.outputs, p.energy)] if p else [] for p in self.best_path()]
        return [
            [Scored(path.outputs, path.energy) for path in n_best(_given(graph, energies), n)]
            for graph, energies in zip(self.graphs, self._separate(), strict=True)
        ]

    def part(self, items: Sequence[int]) -> Dag:
        """Some of the items, which may be repeated."""
        parts = self.energies.split([graph.entries for graph in self.graphs])
        empty = self.energies.new_zeros(0)
        return Dag([self.graphs[g] for g in items], torch.cat([empty, *(parts[g] for g in items)]))

    def _separate(self) -> list[np.ndarray]:
        sizes = [graph.entries for graph in self.graphs]
        return [part.double().numpy() for part in self.energies.detach().split(sizes)]

    def derived(self, targets: Sequence[Sequence[int]], operation: Operation) -> Dag:
        """What an operation makes of each graph; energies follow the arc maps."""
        graphs, gathered, entries = [], [], 0
        parts = self.energies.split([graph.entries for graph in self.graphs])
        for graph, target, energies in zip(self.graphs, targets, parts, strict=True):
            # Without energies of its own, what the result has is the other operand's.
            result = operation(_bare(graph), target)
            gathered.append(_gather(result.maps[0], energies, entries))
            graphs.append(result.graph)
            entries += result.graph.entries
        fixed = [torch.from_numpy(graph.energy) for graph in graphs]
        total = torch.cat([*fixed, torch.zeros(0)]).to(self.energies)
        for rows, values in gathered:
            total = total.index_add(0, rows, values)
        return Dag(graphs, total)


def _given(graph: Graph, energies: np.ndarray) -> Graph:
    """The graph with these energies in place of its own."""
    return dataclasses.replace(graph, energy=energies, ties=csr_array(graph.ties.shape))


def _bare(graph: Graph) -> Graph:
    nothing = csr_array((graph.entries, 0))
    return dataclasses.replace(graph, energy=np.zeros(graph.entries), ties=nothing)


def _topology(number: int, graph: Graph) -> Topology:
    try:
        topological_order(graph)
    except GraphError as error:
        raise GraphError(f"graph {number}: {error}") from None
    return Topology(
        graph.states, graph.src, graph.dst, graph.ilabel - 1, graph.starts, graph.finals
    )


def _gather(rows: csr_array, values: Tensor, offset: int) -> tuple[Tensor, Tensor]:
    """What a sparse matrix adds up, before it is added: (row + offset, count * value).

    Only what the matrix lists is touched, as 0 times an infinite energy is not a number.
    """
    table = rows.tocoo()
    at, columns = (torch.from_numpy(c.astype(np.int64)) for c in table.coords)
    at, columns = at.to(values.device), columns.to(values.device)
    return at + offset, torch.from_numpy(table.data).to(values) * values[columns]
