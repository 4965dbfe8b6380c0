"""The trellis: graphs meeting emission energies frame by frame, without making the product.

A trellis is what inference works on: F_β, best path, posteriors, n-best of one batch. It knows
graphs and tied weights, the kernels know arrays; :func:`prepare` is the bridge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqebm.graphs import Graph, n_best
from seqebm.kernels.machine.topology import Topology
from seqebm.kernels.trellis import ops
from seqebm.kernels.trellis.ops import Path
from seqebm.kernels.trellis.packed import Packed, concatenate, pack
from seqebm.lattices.closure import Component, close
from seqebm.lattices.strings import Operation, StringLattice
from seqebm.lattices.unrolled import UnrolledGraph


@dataclass(frozen=True)
class Prepared:
    """Graphs in the form that kernels take, made once and used at every step.

    Attributes:
        sources: the G graphs as they were given; ilabels are emission classes + 1.
        graphs: the same with epsilon cycles closed: what paths are numbered by.
        packed: their topology.
        fixed: ``(E,)`` float64 fixed energies of all entries, graph after graph.
        rows, columns, counts: the ties of all entries as triplets (entry, weight, how often).
        components: epsilon cycles, whose closures have energies that are no such sums.
    """

    sources: tuple[Graph, ...]
    graphs: tuple[Graph, ...]
    packed: Packed
    fixed: Tensor
    rows: Tensor
    columns: Tensor
    counts: Tensor
    components: tuple[Component, ...] = ()

    def energies(self, weights: Tensor, beta: float) -> Tensor:
        """``(E,)`` energies of the entries, differentiable in the tied weights ``(W,)``.

        β matters to epsilon cycles only. Raises :class:`GraphError` for one of negative energy.
        """
        fixed, counts = self.fixed.to(weights), self.counts.to(weights)
        shares = counts * weights[self.columns.to(weights.device)]
        energies = fixed.index_add(0, self.rows.to(weights.device), shares)
        for component in self.components:
            closed = component.energies(weights.cpu(), beta).to(weights.device)
            energies = energies.index_put((component.entries.to(weights.device),), closed)
        return energies


def prepare(graph: Graph) -> Prepared:
    """Pack one graph; epsilon cycles are closed (:mod:`seqebm.lattices.closure`)."""
    source = graph
    graph, components = close(graph)
    topology = Topology(
        graph.states, graph.src, graph.dst, graph.ilabel - 1, graph.starts, graph.finals
    )
    ties = graph.ties.tocoo()
    rows, columns = ties.coords
    return Prepared(
        (source,),
        (graph,),
        pack([topology]),
        torch.from_numpy(graph.energy),
        torch.from_numpy(rows.astype(np.int64)),
        torch.from_numpy(columns.astype(np.int64)),
        torch.from_numpy(ties.data),
        tuple(components),
    )


def together(parts: Sequence[Prepared]) -> Prepared:
    """Several prepared graphs as one batch."""
    if len(parts) == 1:
        return parts[0]
    offsets = np.cumsum([0, *(len(p.fixed) for p in parts)])
    return Prepared(
        tuple(g for p in parts for g in p.sources),
        tuple(g for p in parts for g in p.graphs),
        concatenate([p.packed for p in parts]),
        torch.cat([p.fixed for p in parts]),
        torch.cat([p.rows + int(o) for p, o in zip(parts, offsets, strict=False)]),
        torch.cat([p.columns for p in parts]),
        torch.cat([p.counts for p in parts]),
        tuple(
            c.shifted(int(o)) for p, o in zip(parts, offsets, strict=False) for c in p.components
        ),
    )


class Answer(NamedTuple):
    """An output string and the energy of its best path."""

    energy: float
    outputs: tuple[int, ...]


class Trellis(StringLattice):
    """The lattice of B items: each follows one of the prepared graphs through its frames.

    Args:
        prepared: G graphs; with one graph all items share it, else item b follows graph b.
        emissions: ``(B, T, C)`` energies of the classes at each frame.
        lengths: ``(B,)`` valid frames.
        weights: ``(W,)`` tied weights.
    """

    def __init__(
        self, prepared: Prepared, emissions: Tensor, lengths: Tensor, weights: Tensor
    ) -> None:
        items = len(emissions)
        shared = len(prepared.graphs) == 1
        self.prepared = prepared
        self.emissions, self.lengths, self.weights = emissions, lengths, weights
        self.graph_of = torch.zeros(items, dtype=torch.int64) if shared else torch.arange(items)
        self._energies: dict[float, Tensor] = {}

    def energies(self, beta: float = math.inf) -> Tensor:
        """``(E,)`` energies of all entries at β."""
        if not self.prepared.components:
            beta = math.inf  # the same at every β
        if beta not in self._energies:
            self._energies[beta] = self.prepared.energies(self.weights, beta)
        return self._energies[beta]

    @property
    def items(self) -> int:
        """Number of items, B."""
        return len(self.emissions)

    def graph(self, item: int) -> Graph:
        """The graph that an item follows, epsilon cycles closed."""
        return self.prepared.graphs[int(self.graph_of[item])]

    def free_energy(self, beta: float) -> Tensor:
        """``(B,)`` F_β over all paths, differentiable; +inf where there is none."""
        return ops.free_energy(
            self.emissions,
            self.lengths,
            self.prepared.packed,
            self.graph_of,
            self.energies(beta),
            beta,
        )

    def best_path(self, beam: float | None = None) -> tuple[Tensor, list[Path | None]]:
        """``(B,)`` least energies and paths, None where there is none; no gradient."""
        return ops.best_path(
            self.emissions.detach(), self.lengths, self.prepared.packed, self.graph_of,
            self.energies().detach(), beam,
        )  # fmt: skip

    def posteriors(self, beta: float) -> tuple[Tensor, Tensor, Tensor]:
        """Free energies, ``(B, T, C)`` class posteriors and ``(E,)`` expected counts of entries."""
        return ops.posteriors(
            self.emissions.detach(), self.lengths, self.prepared.packed, self.graph_of,
            self.energies(beta).detach(), beta,
        )  # fmt: skip

    def unroll(self, beam: float, max_active: int | None = None) -> list[ops.Unrolled]:
        """The acyclic lattice of each item: what lies within ``beam`` of its best path."""
        return ops.unroll(
            self.emissions.detach(), self.lengths, self.prepared.packed, self.graph_of,
            self.energies().detach(), beam, max_active,
        )  # fmt: skip

    def n_best(self, n: int, beam: float = math.inf) -> list[list[Answer]]:
        """For each item the ``n`` distinct output strings of least energy, best first.

        Args:
            n: how many; there are fewer if there are fewer strings (within the beam).
            beam: how far above the best path to look; inf: everything, which takes memory in
                proportion to frames times arcs. What is found within a beam is exact.
        """
        found = []
        for b, unrolled in enumerate(self.unroll(beam)):
            graph = UnrolledGraph.of(self.graph(b), unrolled).graph
            found.append([Answer(path.energy, path.outputs) for path in n_best(graph, n)])
        return found

    def best_strings(self) -> list[tuple[int, ...] | None]:
        """For each item what its path of least energy writes; None where there is none."""
        _, paths = self.best_path()
        return [path and self.output(b, path) for b, path in enumerate(paths)]

    def derived(self, targets: Sequence[Sequence[int]], operation: Operation) -> Trellis:
        """The lattice that an operation makes of each item's graph; tied weights are the same."""
        graphs = [self.prepared.sources[g] for g in self.graph_of.tolist()]
        parts = [prepare(operation(g, t).graph) for g, t in zip(graphs, targets, strict=True)]
        return Trellis(together(parts), self.emissions, self.lengths, self.weights)

    def double(self) -> Trellis:
        """The same lattice in double precision, differentiable."""
        return Trellis(self.prepared, self.emissions.double(), self.lengths, self.weights.double())

    def output(self, item: int, path: Path) -> tuple[int, ...]:
        """The output labels along a path."""
        labels = self.graph(item).olabel[path.arcs.numpy()]
        return tuple(labels[labels > 0].tolist())

    def classes(self, item: int, path: Path | None) -> Tensor:
        """``(n,)`` the class that a path reads at each frame; empty for no path."""
        if path is None:
            return torch.zeros(0, dtype=torch.int64)
        labels = self.graph(item).ilabel[path.arcs.numpy()]
        return torch.from_numpy(labels[labels > 0] - 1)

    def path_energies(self, paths: Sequence[Path | None]) -> Tensor:
        """``(B,)`` energy of one given path of each item, differentiable; +inf for None."""
        items, frames, classes, entries, owners = [], [], [], [], []
        for b, path in enumerate(paths):
            if path is None:
                continue
            graph, g = self.graph(b), int(self.graph_of[b])
            arcs = path.arcs.numpy()
            label = graph.ilabel[arcs]
            emitting = label > 0
            frames.append(path.frames.numpy()[emitting])
            classes.append(label[emitting] - 1)
            items.append(np.full(len(classes[-1]), b))
            ends = [graph.arcs + path.start, graph.arcs + len(graph.starts) + path.final]
            first = int(self.prepared.packed.entry_offsets[g])
            entries.append(np.concatenate([arcs, ends]) + first)
            owners.append(np.full(len(entries[-1]), b))
        dead = torch.tensor([path is None for path in paths])
        total = self.emissions.new_zeros(len(paths))
        if entries:
            parts = (items, frames, classes, entries, owners)
            device = total.device
            at = [torch.from_numpy(np.concatenate(part)).to(device) for part in parts]
            total = total.index_add(0, at[0], self.emissions[at[0], at[1], at[2]])
            total = total.index_add(0, at[4], self.energies()[at[3]].to(total.dtype))
        return total.masked_fill(dead.to(total.device), math.inf)
