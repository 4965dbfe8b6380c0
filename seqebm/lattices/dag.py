"""The dag: explicit acyclic graphs, one for each item, with an energy on every entry.

For inputs that bring their own graph: the segmentations of a handwritten word (LeCun, Bottou,
Bengio & Haffner 1998, section VI), or what a first pass over speech has left. The energies come
from anywhere; :meth:`Dag.of` takes those of the graphs and their tied weights.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from seqebm.errors import DataError, GraphError
from seqebm.graphs import Derived, Graph, compose, difference, edit_cost, linear, topological_order
from seqebm.graphs.nbest import n_best
from seqebm.graphs.paths import Path, path_of
from seqebm.hooks import Request, Terms
from seqebm.kernels.dag import Dags, pack_dags
from seqebm.kernels.ops_dag import dag_best_path, dag_free_energy, dag_posteriors
from seqebm.kernels.packed import Topology


class Dag:
    """The lattice of G items, each with an acyclic graph of its own.

    Answers are output strings (olabels along a path, epsilons skipped); the latent variable is the
    path that writes one.

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
        energies = fixed.to(weights.dtype)
        for rows, values in ties:
            energies = energies.index_add(0, rows, values)
        return cls(graphs, energies)

    def free_energy(self, beta: float) -> Tensor:
        """``(G,)`` F_β over all paths, differentiable; +inf where there is none."""
        return dag_free_energy(self.packed, self.energies, beta)

    def best_path(self) -> list[Path | None]:
        """The path of least energy of each item, None where there is none; no gradient."""
        _, found = dag_best_path(self.packed, self.energies)
        return [
            None if entries is None else path_of(graph, entries.tolist(), energies)
            for graph, entries, energies in zip(self.graphs, found, self._separate(), strict=True)
        ]

    def posteriors(self, beta: float) -> tuple[Tensor, Tensor]:
        """``(G,)`` free energies and the ``(E,)`` probability of every entry; no gradient."""
        return dag_posteriors(self.packed, self.energies, beta)

    def n_best(self, n: int) -> list[list[Path]]:
        """For each item the ``n`` distinct output strings of least energy, best first."""
        return [
            n_best(dataclasses.replace(graph, energy=energies, ties=csr_array(graph.ties.shape)), n)
            for graph, energies in zip(self.graphs, self._separate(), strict=True)
        ]

    def clamped(self, targets: Sequence[Sequence[int]]) -> Dag:
        """The paths that write each item's target (labels, none 0)."""
        return self._derived(targets, lambda graph, target: compose(graph, linear(target)))

    def rivals(self, targets: Sequence[Sequence[int]]) -> Dag:
        """The paths that write anything but the target."""
        return self._derived(targets, difference)

    def costly(self, targets: Sequence[Sequence[int]], request: Request) -> Dag:
        """All paths, less ``request.scale`` times the cost of what they write."""
        extra: list[Tensor] = []

        def product(graph: Graph, target: Sequence[int]) -> Derived:
            labels = np.union1d(graph.olabel[graph.olabel > 0], np.asarray(target, np.int64))
            if request.cost == "edit":
                cost = edit_cost(target, labels.tolist(), request.cap)
            else:
                cost = hamming_cost(target, labels.tolist())
            result = compose(graph, cost)
            charges = result.maps[1] @ cost.energy
            extra.append(torch.from_numpy(-request.scale * charges))
            return result

        plain = self._derived(targets, product)
        charges = torch.cat(extra).to(plain.energies.dtype)
        return Dag(plain.graphs, plain.energies + charges)

    def terms(
        self, targets: Sequence[Sequence[int]], beta: float, request: Request = Request()
    ) -> Terms:
        """The three numbers of each item; those that ``request`` leaves out are NaN.

        ``offending`` is exact: the least energy of a string that is not the target.

        Args:
            targets: for each item the labels of its right answer.
            beta: inverse temperature; inf is legal.
            request: which numbers, and what cost they are augmented by. ``"hamming"`` compares
                position by position; a label too many or missing counts as a wrong one.

        Raises :class:`DataError` for a wrong number of targets.
        """
        if len(targets) != len(self.graphs):
            raise DataError(f"{len(targets)} targets for {len(self.graphs)} graphs")
        correct = self.clamped(targets).free_energy(beta)
        contrastive = offending = torch.full_like(correct, math.nan)
        if request.contrastive:
            contrastive = self.free_energy(beta)
        if request.offending:
            # The difference must come last: the product with a cost keeps all strings.
            lattice = self if request.cost is None else self.costly(targets, request)
            offending = lattice.rivals(targets).free_energy(math.inf)
        return Terms(correct, contrastive, offending, beta)

    def _separate(self) -> list[np.ndarray]:
        sizes = [graph.entries for graph in self.graphs]
        return [part.double().numpy() for part in self.energies.detach().split(sizes)]

    def _derived(
        self,
        targets: Sequence[Sequence[int]],
        operation: Callable[[Graph, Sequence[int]], Derived],
    ) -> Dag:
        """The lattice that an operation makes of each graph; energies follow the arc maps."""
        graphs, gathered, entries = [], [], 0
        parts = self.energies.split([graph.entries for graph in self.graphs])
        for graph, target, energies in zip(self.graphs, targets, parts, strict=True):
            result = operation(graph, target)
            gathered.append(_gather(result.maps[0], energies, entries))
            graphs.append(result.graph)
            entries += result.graph.entries
        total = self.energies.new_zeros(entries)
        rows = [rows for rows, _ in gathered]
        if rows:
            values = torch.cat([values for _, values in gathered])
            total = total.index_add(0, torch.cat(rows), values)
        return Dag(graphs, total)


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
    return at + offset, torch.from_numpy(table.data).to(values.dtype) * values[columns]


def hamming_cost(string: Sequence[int], labels: Sequence[int]) -> Graph:
    """The acceptor of every string over ``labels`` with the number of positions that are wrong.

    A string longer or shorter than ``string`` pays 1 for each label too many or missing.
    """
    target = np.asarray(string, np.int64)
    alphabet = np.asarray(labels, np.int64)
    count = len(target)
    place = np.repeat(np.arange(count + 1), len(alphabet))
    read = np.tile(alphabet, count + 1)
    arcs = np.stack([place, np.minimum(place + 1, count), read, read], 1)
    wrong = np.append(target, 0)[place] != read
    missing = count - np.arange(count + 1)
    energy = np.concatenate([wrong.astype(np.float64), [0.0], missing])
    return Graph.make(count + 1, arcs, [0], np.arange(count + 1), energy)
