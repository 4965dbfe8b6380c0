"""What survives of one item of a trellis, as an acyclic graph."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from seqebm.graphs import Graph, shortest_path
from seqebm.graphs.graph import Ints
from seqebm.kernels.trellis.ops import Path, Unrolled


class UnrolledGraph(NamedTuple):
    """The paths of one item that lie within a beam of the best one, as an acyclic graph.

    Attributes:
        graph: a state for each (state of the model's graph, frame) that is kept; an arc reads an
            emission class (+ 1) or nothing, writes a word or nothing, and its energy is the sum
            of the model's and the emission's.
        frame: ``(states,)`` frames consumed before each state.
        arc: ``(arcs,)`` which arc of the model's graph each arc is.
        start, final: which start and final of the model's graph each one is.
    """

    graph: Graph
    frame: Ints
    arc: Ints
    start: Ints
    final: Ints

    @classmethod
    def of(cls, graph: Graph, unrolled: Unrolled) -> UnrolledGraph:
        """The graph that the kernel's numbers describe; ``graph`` is what was unrolled."""
        parts = (unrolled.energy, unrolled.start_energy, unrolled.final_energy)
        energy = np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])
        arc = np.asarray(unrolled.arc, dtype=np.int64)
        arcs = np.stack([unrolled.src, unrolled.dst, graph.ilabel[arc], graph.olabel[arc]], 1)
        return cls(
            Graph.make(
                len(unrolled.node_state), arcs, unrolled.start_node, unrolled.final_node,
                energy, isymbols=graph.isymbols, osymbols=graph.osymbols,
            ),
            np.asarray(unrolled.node_frame, dtype=np.int64),
            arc,
            np.asarray(unrolled.start, dtype=np.int64),
            np.asarray(unrolled.final, dtype=np.int64),
        )  # fmt: skip

    def best_path(self) -> tuple[float, Path] | None:
        """The path of lowest energy, as one of the model's graph; None if there is none."""
        path = shortest_path(self.graph)
        if path is None:
            return None
        begin, *arcs, end = path.entries
        starts = self.graph.arcs + len(self.graph.starts)
        return path.energy, Path(
            torch.from_numpy(self.arc[arcs]), torch.from_numpy(self.frame[self.graph.src[arcs]]),
            int(self.start[begin - self.graph.arcs]), int(self.final[end - starts]),
        )  # fmt: skip
