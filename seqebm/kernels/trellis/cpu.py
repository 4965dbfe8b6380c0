"""CPU back end of the trellis: from NumPy arrays to the compiled kernels.

Nothing here checks values; :mod:`seqebm.kernels.trellis.ops` does. Items that share a graph go
through the kernels in lanes. An item that is alone with its graph leaves lanes empty, which costs
it memory but hardly time; where the memory counts, the same kernels compiled for one lane are used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqebm.kernels.machine.lanes import Width
from seqebm.kernels.machine.threads import launch
from seqebm.kernels.trellis.cpu_beam import beam_worker
from seqebm.kernels.trellis.cpu_best import best_worker
from seqebm.kernels.trellis.cpu_log import log_worker
from seqebm.kernels.trellis.cpu_scaled import scaled_worker
from seqebm.kernels.trellis.cpu_unroll import Unrolled, unroll
from seqebm.kernels.trellis.packed import Packed

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Items that share a graph and are computed together. Four float64 numbers are one vector of AVX2;
#: more would leave a small batch with one work item and one thread.
LANES = 4
SHARED, SINGLE = Width(LANES), Width(1)

#: Numbers in a table (frames * states) from which on a lone item is computed in one lane.
LARGE = 1 << 21


class Sums(NamedTuple):
    """What :func:`free_energies` gives.

    Attributes:
        free: (B,) float64.
        posterior: (B, T, C) expected uses of each class, or None.
        counts: expected uses of each entry, item after item, or None.
    """

    free: Floats
    posterior: Floats | None
    counts: Floats | None


def count_offsets(packed: Packed, graph_of: Ints) -> Ints:
    """(B + 1,) where the counts of each item begin, in an array with all entries of all items."""
    entries = np.diff(packed.entry_offsets)[graph_of]
    return np.concatenate(([0], np.cumsum(entries)))


def _run(
    worker: Callable[..., None], packed: Packed, graph_of: Ints, lengths: Ints, *arguments: object
) -> None:
    """Run a kernel that takes items in lanes, for all items that may have a path."""
    chosen = _feasible(packed, graph_of, lengths)
    work = float(np.diff(packed.arc_offsets)[graph_of] @ lengths)
    for jobs, width in _jobs(packed, graph_of, lengths, chosen):
        launch(worker, len(jobs), jobs, packed, graph_of, *arguments, width, work=work)


def _jobs(packed: Packed, graph_of: Ints, lengths: Ints, chosen: Ints) -> list[tuple[Ints, Width]]:
    """Work by width, (n, W) items: largest first, -1 where a lane is empty."""
    order = chosen[np.lexsort((-lengths[chosen], graph_of[chosen]))]
    own = graph_of[order]
    place = np.arange(len(order))
    among = place - np.searchsorted(own, own)  # of the items with this graph
    lane = among % LANES
    group = np.cumsum(lane == 0) - 1
    jobs = np.full((int(np.count_nonzero(lane == 0)), LANES), -1)
    jobs[group, lane] = order
    first = jobs[:, 0]
    graph, frames = graph_of[first], lengths[first]
    large = np.diff(packed.state_offsets)[graph] * frames > LARGE
    alone = large & (np.count_nonzero(jobs >= 0, axis=1) == 1)
    largest = np.argsort(-np.diff(packed.arc_offsets)[graph] * frames, kind="stable")
    tables = []
    for width, rows in ((SHARED, largest[~alone[largest]]), (SINGLE, largest[alone[largest]])):
        if len(rows):
            tables.append((np.ascontiguousarray(jobs[rows, : width.lanes]), width))
    return tables


def _feasible(packed: Packed, graph_of: Ints, lengths: Ints) -> Ints:
    """Items whose graph has a path short enough; the others need no kernel."""
    fewest = packed.minimum_frames[graph_of]
    return np.flatnonzero((fewest >= 0) & (fewest <= lengths))


def free_energies(
    packed: Packed, graph_of: Ints, emissions: Floats, lengths: Ints, energies: Floats,
    beta: float, with_posterior: bool, with_counts: bool,
) -> Sums:  # fmt: skip
    """Free energy of each item, and expected uses of classes and entries.

    Args:
        packed: G graphs; graph_of: (B,) graph of each item.
        emissions: (B, T, C) C-contiguous; lengths: (B,).
        energies: (E,) of all entries.
        beta: inf for the least energy.
    """
    if math.isinf(beta):
        return _least_energies(
            packed, graph_of, emissions, lengths, energies, with_posterior, with_counts
        )
    sums = _empty(packed, graph_of, emissions, lengths, with_posterior, with_counts)
    offsets = count_offsets(packed, graph_of)
    none = emissions[:0]
    posterior = none if sums.posterior is None else sums.posterior
    counts = np.empty(0) if sums.counts is None else sums.counts
    doubtful = np.zeros(len(lengths), np.uint8)
    _run(
        scaled_worker, packed, graph_of, lengths, emissions, lengths, energies, beta,
        with_posterior, with_counts, sums.free, doubtful, posterior, counts, offsets,
    )  # fmt: skip
    again = np.flatnonzero(doubtful)
    if len(again):
        launch(
            log_worker, len(again), again, packed, graph_of, emissions, lengths, energies, beta,
            with_posterior, with_counts, sums.free, posterior, counts, offsets, SINGLE,
        )  # fmt: skip
    return sums


def _empty(
    packed: Packed, graph_of: Ints, emissions: Floats, lengths: Ints, with_posterior: bool,
    with_counts: bool,
) -> Sums:  # fmt: skip
    """Results of items without a path."""
    total = int(count_offsets(packed, graph_of)[-1])
    return Sums(
        np.full(len(lengths), math.inf),
        np.zeros(emissions.shape) if with_posterior else None,
        np.zeros(total) if with_counts else None,
    )


class Paths(NamedTuple):
    """Best paths: energies (B,), arcs and frames (B, longest) of which the last ``counts`` (B,)
    are the path, ``ends`` (B, 2): start and final."""

    energies: Floats
    arcs: Ints
    frames: Ints
    counts: Ints
    ends: Ints


def _no_paths(packed: Packed, graph_of: Ints, lengths: Ints, trace: bool) -> Paths:
    B = len(lengths)
    longest = 0
    if trace and B:
        longest = int((lengths + (lengths + 1) * packed.depth[graph_of]).max())
    return Paths(
        np.full(B, math.inf), np.empty((B, longest), np.int64), np.empty((B, longest), np.int64),
        np.zeros(B, np.int64), np.zeros((B, 2), np.int64),
    )  # fmt: skip


def best_paths(
    packed: Packed, graph_of: Ints, emissions: Floats, lengths: Ints, energies: Floats,
    trace: bool = True,
) -> Paths:  # fmt: skip
    """Exact best path of each item; without ``trace`` the energies alone."""
    paths = _no_paths(packed, graph_of, lengths, trace)
    _run(
        best_worker, packed, graph_of, lengths, emissions, lengths, energies, trace, *paths
    )  # fmt: skip
    return paths


def beam_paths(
    packed: Packed, graph_of: Ints, emissions: Floats, lengths: Ints, energies: Floats, beam: float
) -> tuple[Paths, Ints]:
    """Best path of each item within a beam, and frames consumed when it was empty, or -1 (B,)."""
    paths = _no_paths(packed, graph_of, lengths, True)
    failed = np.full(len(lengths), -1)
    chosen = _feasible(packed, graph_of, lengths)
    if len(chosen):
        launch(
            beam_worker, len(chosen), chosen, packed, graph_of, emissions, lengths, energies, beam,
            *paths, failed, SINGLE,
        )  # fmt: skip
    return paths, failed


def unroll_items(
    packed: Packed, graph_of: Ints, emissions: Floats, lengths: Ints, energies: Floats,
    beam: float, most: int,
) -> tuple[list[Unrolled], Ints]:  # fmt: skip
    """Lattice of each item, and frames consumed when ``most`` states held no path, or -1 (B,)."""
    found = [
        unroll(packed, int(g), emissions, b, int(lengths[b]), energies, beam, most, SINGLE)
        for b, g in enumerate(graph_of)
    ]
    return [lattice for lattice, _ in found], np.array([cut for _, cut in found], np.int64)


def _least_energies(
    packed: Packed, graph_of: Ints, emissions: Floats, lengths: Ints, energies: Floats,
    with_posterior: bool, with_counts: bool,
) -> Sums:  # fmt: skip
    """The limit beta = inf: the indicators of the best path."""
    trace = with_posterior or with_counts
    paths = best_paths(packed, graph_of, emissions, lengths, energies, trace)
    sums = _empty(packed, graph_of, emissions, lengths, with_posterior, with_counts)
    offsets = count_offsets(packed, graph_of)
    for b in np.flatnonzero(paths.energies < math.inf) if trace else []:
        graph = graph_of[b]
        arcs = paths.arcs[b, paths.arcs.shape[1] - paths.counts[b] :]
        frames = paths.frames[b, paths.arcs.shape[1] - paths.counts[b] :]
        first, last = packed.arc_offsets[graph : graph + 2]
        if sums.posterior is not None:
            labels = packed.labels[first + arcs]
            sums.posterior[b, frames[labels >= 0], labels[labels >= 0]] = 1.0
        if sums.counts is not None:
            own = sums.counts[offsets[b] : offsets[b + 1]]
            np.add.at(own, arcs, 1.0)
            starts = packed.start_offsets[graph + 1] - packed.start_offsets[graph]
            own[last - first + paths.ends[b, 0]] = 1.0
            own[last - first + starts + paths.ends[b, 1]] = 1.0
    return sums._replace(free=paths.energies)
