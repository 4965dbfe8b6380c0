"""The trellis: energies of graphs that meet emissions frame by frame, the product never made.

It knows graphs and tied weights, the kernels know arrays; :func:`prepare` is the bridge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from seqebm.errors import SeqebmError
from seqebm.graphs import Graph, n_best
from seqebm.graphs.graph import Ints
from seqebm.inference import trellis_search
from seqebm.inference.closure import Cycle, close
from seqebm.inference.confidence import words_of_states
from seqebm.inference.found import Aligned, Found, Scored
from seqebm.inference.segments import Classes
from seqebm.inference.strings import Operation, Strings
from seqebm.inference.unrolled import UnrolledGraph
from seqebm.kernels.machine.topology import Topology
from seqebm.kernels.trellis import ops
from seqebm.kernels.trellis.ops import Path
from seqebm.kernels.trellis.packed import Packed, concatenate, pack

if TYPE_CHECKING:
    from seqebm.inference.search import Search


@dataclass(frozen=True)
class Prepared:
    """Graphs in the form that kernels take, made once and used at every step.

    Attributes:
        sources: the G graphs as they were given; ilabels are emission classes + 1.
        graphs: the same with epsilon cycles closed: what paths are numbered by.
        packed: their topology.
        fixed: ``(E,)`` float64 fixed energies of all entries, graph after graph.
        rows, columns, counts: the ties of all entries as triplets (entry, weight, how often).
        cycles: epsilon cycles, whose closures have energies that are no such sums.
    """

    sources: tuple[Graph, ...]
    graphs: tuple[Graph, ...]
    packed: Packed
    fixed: Tensor
    rows: Tensor
    columns: Tensor
    counts: Tensor
    cycles: tuple[Cycle, ...] = ()

    def energies(self, weights: Tensor, beta: float) -> Tensor:
        """``(E,)`` energies of the entries, differentiable in the tied weights ``(W,)``.

        β matters to epsilon cycles only. Raises :class:`GraphError` for one of negative energy.
        """
        fixed, counts = self.fixed.to(weights), self.counts.to(weights)
        shares = counts * weights[self.columns.to(weights.device)]
        energies = fixed.index_add(0, self.rows.to(weights.device), shares)
        for cycle in self.cycles:
            closed = cycle.energies(weights.cpu(), beta).to(weights.device)
            energies = energies.index_put((cycle.entries.to(weights.device),), closed)
        return energies

    @cached_property
    def words_of_states(self) -> tuple[Ints, ...]:
        """For each graph ``(states,)`` the label that all paths to a state wrote last, or 0."""
        return tuple(words_of_states(graph) for graph in self.graphs)


def prepare(graph: Graph) -> Prepared:
    """Pack one graph; epsilon cycles are closed (:mod:`seqebm.inference.closure`)."""
    source = graph
    graph, cycles = close(graph)
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
        tuple(cycles),
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
        tuple(c.shifted(int(o)) for p, o in zip(parts, offsets, strict=False) for c in p.cycles),
    )


class Trellis(Strings):
    """B items, each of which follows one of the prepared graphs through its frames.

    Args:
        prepared: G graphs; with one graph all items share it, else item b follows graph b.
        emissions: ``(B, T, C)`` energies of the classes at each frame.
        lengths: ``(B,)`` valid frames.
        weights: ``(W,)`` tied weights.
        classes: what the C classes stand for; None: they have the names of the graph's input
            labels, and each is a unit of its own.
        graph_of: ``(B,)`` the graph of each item, where it is not as said above.
    """

    def __init__(
        self,
        prepared: Prepared,
        emissions: Tensor,
        lengths: Tensor,
        weights: Tensor,
        classes: Classes | None = None,
        graph_of: Tensor | None = None,
    ) -> None:
        items = len(emissions)
        shared = len(prepared.graphs) == 1
        self.prepared = prepared
        self.emissions, self.lengths, self.weights = emissions, lengths, weights
        if graph_of is None:
            graph_of = torch.zeros(items, dtype=torch.int64) if shared else torch.arange(items)
        self.graph_of = graph_of
        self._classes = classes
        self._energies: dict[float, Tensor] = {}

    @property
    def classes(self) -> Classes:
        """What the emission classes stand for."""
        if self._classes is None:
            self._classes = Classes.of(self.prepared.sources[0].isymbols, self.emissions.shape[2])
        return self._classes

    def energies(self, beta: float = math.inf) -> Tensor:
        """``(E,)`` energies of all entries at β."""
        if not self.prepared.cycles:
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

    def best(
        self, n: int = 1, beta: float = math.inf, beam: float = math.inf
    ) -> list[list[Scored]]:
        """For each item the ``n`` distinct output strings of least energy, best first.

        Args:
            n: how many; there are fewer if there are fewer strings (within the beam).
            beta: plays no part: strings are ranked by their best paths.
            beam: how far above the best path to look for others; inf: everything, which takes
                memory in proportion to frames times arcs. What is found within a beam is exact.
        """
        if n == 1:
            energies, paths = self.best_path()
            return [
                [Scored(self.output(b, path), energy)] if path else []
                for b, (path, energy) in enumerate(zip(paths, energies.tolist(), strict=True))
            ]
        found = []
        for b, unrolled in enumerate(self.unroll(beam)):
            graph = UnrolledGraph.of(self.graph(b), unrolled).graph
            found.append([Scored(path.outputs, path.energy) for path in n_best(graph, n)])
        return found

    def derived(self, targets: Sequence[Sequence[int]], operation: Operation) -> Trellis:
        """What an operation makes of each item's graph; tied weights are the same."""
        graphs = [self.prepared.sources[g] for g in self.graph_of.tolist()]
        parts = [prepare(operation(g, t).graph) for g, t in zip(graphs, targets, strict=True)]
        return self.under(together(parts))

    def under(self, prepared: Prepared) -> Trellis:
        """The same items and emissions on other graphs, which share the tied weights."""
        return Trellis(prepared, self.emissions, self.lengths, self.weights, self._classes)

    def part(self, items: Sequence[int]) -> Trellis:
        """Some of the items, which may be repeated; padding is cut to the longest of them."""
        index = torch.tensor(items)
        lengths = self.lengths[index]
        emissions = self.emissions[index, : int(lengths.max())]
        own = self.graph_of[index]
        return Trellis(self.prepared, emissions, lengths, self.weights, self._classes, own)

    def double(self) -> Trellis:
        """The same in double precision, differentiable."""
        return Trellis(
            self.prepared, self.emissions.double(), self.lengths, self.weights.double(),
            self._classes, self.graph_of,
        )  # fmt: skip

    def search(self, how: Search, names: Sequence[str], shift: float) -> list[Found | SeqebmError]:
        """See :mod:`seqebm.inference.trellis_search`."""
        return trellis_search.search(self, how, names, shift)

    def align(
        self, values: Sequence[Any], names: Sequence[str], shift: float
    ) -> list[Aligned | SeqebmError]:
        """The best path of each item through its value, with words, units and states."""
        return trellis_search.align(self.clamped(values), names, shift)

    def words_of_states(self, item: int) -> Ints:
        """``(states,)`` the label that all paths to a state of its graph wrote last, or 0."""
        return self.prepared.words_of_states[int(self.graph_of[item])]

    def output(self, item: int, path: Path) -> tuple[int, ...]:
        """The output labels along a path."""
        labels = self.graph(item).olabel[path.arcs.numpy()]
        return tuple(labels[labels > 0].tolist())

    def labels(self, item: int, path: Path | None) -> Tensor:
        """``(n,)`` the class that a path of an item reads at each frame; empty for no path."""
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
