"""A graph that meets emissions frame by frame (a cpu), as torch operators.

Item b of a batch follows graph ``graph_of[b]``: a path is a start, arcs and a final, and each arc
with a label consumes one frame t and adds ``emissions[b, t, label]`` to the energies of its
entries. Exactly ``lengths[b]`` frames are consumed; what lies beyond may hold anything. The product
of graph and frames is never materialised.

The gradient of a free energy is the Gibbs posterior: how often a path is expected to use a class at
a frame, or an entry. It is computed in the forward call when a gradient is wanted. At beta = inf it
is the indicator of the best path. An item without a path has free energy +inf and zero gradients.
"""

from __future__ import annotations

import math
import weakref
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqebm.kernels.machine import cuda_dispatch
from seqebm.kernels.machine.checks import (
    check_beta,
    check_floats,
    check_lengths,
    needs_gradient,
    proper,
    traceable,
)
from seqebm.kernels.trellis import cpu
from seqebm.kernels.trellis.cpu_unroll import Unrolled
from seqebm.kernels.trellis.operators import doubles
from seqebm.kernels.trellis.packed import Packed, join, split
from seqebm.lengths import valid_frames


class EmptyBeamError(ValueError):
    """A beam left no active state although the graph may have a path.

    Attributes:
        item: number in the batch.
        frame: frame after which no active state was left; the last, if no final state was active.
    """

    def __init__(self, item: int, frame: int, beam: str) -> None:
        super().__init__(
            f"item {item}: no state is active after frame {frame} with {beam}; use a wider beam"
        )
        self.item = item
        self.frame = frame


class Path(NamedTuple):
    """One path.

    Attributes:
        arcs: (n,) int64, numbers of the arcs within their graph, epsilon arcs included.
        frames: (n,) int64, frame that each consumed; for an epsilon arc, frames consumed before.
        start, final: numbers within the starts and finals of the graph.
    """

    arcs: Tensor
    frames: Tensor
    start: int
    final: int


def _check_emissions(emissions: Tensor, lengths: Tensor) -> None:
    """ValueError that names the first valid emission (item, frame, class) that is NaN or -inf."""
    # One pass over everything is cheap; only when it finds something is padding told from frames.
    if proper(emissions.detach()):
        return
    wrong = torch.isnan(emissions) | (emissions == -math.inf)
    wrong &= valid_frames(lengths.to(wrong.device), emissions.shape[1])[:, :, None]
    places = wrong.nonzero()
    if len(places):
        item, frame, label = (int(n) for n in places[0])
        raise ValueError(
            f"emissions[{item}, {frame}, {label}] is {emissions[item, frame, label].item()}; an "
            "emission energy may be negative or +inf (impossible), but neither NaN nor -inf"
        )


def _check(
    emissions: Tensor, lengths: Tensor, packed: Packed, graph_of: Tensor, energies: Tensor
) -> tuple[Tensor, Tensor]:
    """``lengths`` and ``graph_of`` as int64 on the CPU; ValueError for what does not fit."""
    lengths, graph_of = torch.as_tensor(lengths), torch.as_tensor(graph_of)
    if torch.compiler.is_compiling():
        return _check_joined(emissions, lengths, *_joined(packed), graph_of, energies)
    return _check_values(emissions, lengths, packed, graph_of, energies)


def _check_values(
    emissions: Tensor, lengths: Tensor, packed: Packed, graph_of: Tensor, energies: Tensor
) -> tuple[Tensor, Tensor]:
    check_floats("emissions", emissions, 3)
    check_floats("energies", energies, 1)
    B, T, C = emissions.shape
    lengths = check_lengths(lengths, B, T, "lengths")
    graph_of = graph_of.detach().to("cpu", torch.int64).contiguous()
    if graph_of.shape != (B,):
        raise ValueError(f"graph_of has shape {tuple(graph_of.shape)}, expected ({B},)")
    graphs = graph_of.numpy()
    if B and (graphs.min() < 0 or graphs.max() >= packed.graphs):
        item = int(((graph_of < 0) | (graph_of >= packed.graphs)).nonzero()[0])
        raise ValueError(
            f"graph_of[{item}] is {int(graph_of[item])}; there are {packed.graphs} graphs"
        )
    entries = int(packed.entry_offsets[-1])
    if energies.shape != (entries,):
        raise ValueError(f"energies has shape {tuple(energies.shape)}, expected ({entries},)")
    if len(packed.classes) and int(packed.classes.max()) >= C:
        arc = int(np.flatnonzero(packed.labels >= C)[0])
        graph = int(np.searchsorted(packed.arc_offsets, arc, "right")) - 1
        raise ValueError(
            f"arc {arc - int(packed.arc_offsets[graph])} of graph {graph} has class "
            f"{packed.labels[arc]}, but emissions has {C} classes"
        )
    if not proper(energies.detach()):
        bad = torch.isnan(energies.detach()) | (energies.detach() == -math.inf)
        entry = int(bad.nonzero()[0])
        graph = int(np.searchsorted(packed.entry_offsets, entry, "right")) - 1
        raise ValueError(
            f"energies[{entry}] (entry {entry - int(packed.entry_offsets[graph])} of graph "
            f"{graph}) is {energies[entry].item()}; it may be negative or +inf (impossible), but "
            "neither NaN nor -inf"
        )
    _check_emissions(emissions, lengths)
    return lengths, graph_of


@traceable(
    "check_trellis(Tensor emissions, Tensor lengths, Tensor wide, Tensor flat, Tensor graph_of,"
    " Tensor energies) -> (Tensor, Tensor)",
    lambda emissions, *_: tuple(
        torch.empty(2, len(emissions), dtype=torch.int64, device="cpu").unbind()
    ),
)
def _check_joined(
    emissions: Tensor, lengths: Tensor, wide: Tensor, flat: Tensor, graph_of: Tensor,
    energies: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    packed = split(wide.numpy(), flat.numpy())
    lengths, graph_of = _check_values(emissions, lengths, packed, graph_of, energies)
    return lengths, graph_of.clone()


_joins: dict[int, tuple[Tensor, Tensor]] = {}


def _joined(packed: Packed) -> tuple[Tensor, Tensor]:
    """The two arrays of a :class:`Packed`, joined once and kept as long as it lives."""
    if torch.compiler.is_compiling():
        wide, flat = join(packed)
        return torch.from_numpy(wide), torch.from_numpy(flat)
    key = id(packed.labels)
    if key not in _joins:
        _joins[key] = tuple(map(torch.from_numpy, join(packed)))  # type: ignore[assignment]
        weakref.finalize(packed.labels, _joins.pop, key, None)
    return _joins[key]


def free_energy(
    emissions: Tensor, lengths: Tensor, packed: Packed, graph_of: Tensor, energies: Tensor,
    beta: float,
) -> Tensor:  # fmt: skip
    """Free energy of each item over all paths of its graph.

    Args:
        emissions: (B, T, C) energies, float32 or float64, of any sign; +inf is impossible.
            Differentiable: the gradient is the posterior of each class at each frame.
        lengths: (B,) valid frames, 1 to T.
        packed: G graphs, see :func:`seqebm.kernels.trellis.packed.pack`.
        graph_of: (B,) int64, graph of each item.
        energies: (E,) of the entries of all graphs. Differentiable: expected uses of each entry.
        beta: inverse temperature, > 0; inf for the least energy.

    Returns:
        (B,) in the type of ``emissions``; +inf where no path exists.

    Raises:
        ValueError: a shape, beta, a length, an emission or an entry's energy is out of range; it
            names index and value.
    """
    beta = check_beta(beta)
    lengths, graph_of = _check(emissions, lengths, packed, graph_of, energies)
    return torch.ops.seqebm.trellis_free_energies(
        emissions, lengths, *_joined(packed), graph_of, energies, beta,
        needs_gradient(emissions), needs_gradient(energies),
    )[0]  # fmt: skip


def posteriors(
    emissions: Tensor, lengths: Tensor, packed: Packed, graph_of: Tensor, energies: Tensor,
    beta: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Free energies and what their gradients would be, without autograd.

    Args and errors: see :func:`free_energy`.

    Returns:
        free energies (B,), expected uses of each class at each frame (B, T, C), and expected uses
        of each entry (E,), summed over the items.
    """
    beta = check_beta(beta)
    lengths, graph_of = _check(emissions, lengths, packed, graph_of, energies)
    free, posterior, counts = torch.ops.seqebm.trellis_free_energies(
        emissions.detach(), lengths, *_joined(packed), graph_of,
        energies.detach(), beta, True, True,
    )  # fmt: skip
    total = torch.ops.seqebm.trellis_entry_gradient(
        counts, torch.ones_like(free), graph_of, torch.from_numpy(packed.entry_offsets),
        energies.detach(),
    )  # fmt: skip
    return free, posterior, total


def best_path(
    emissions: Tensor, lengths: Tensor, packed: Packed, graph_of: Tensor, energies: Tensor,
    beam: float | None = None,
) -> tuple[Tensor, list[Path | None]]:  # fmt: skip
    """Least energy and best path of each item; no gradient flows.

    Of paths with equal energies the one is taken that, from the end backwards, takes the final and
    the arcs listed first.

    Args:
        emissions, lengths, packed, graph_of, energies: see :func:`free_energy`.
        beam: None for the exact path. Otherwise, states whose energy at a frame is more than this
            above the best of the frame are not followed: much faster on large graphs.

    Returns:
        energies (B,) in the type of ``emissions``, +inf where no path exists, and the paths, None
        where none exists.

    Raises:
        ValueError: see :func:`free_energy`; the beam is negative or NaN.
        EmptyBeamError: the beam left nothing.
    """
    lengths, graph_of = _check(emissions, lengths, packed, graph_of, energies)
    if emissions.device.type == "cuda" and beam is None:
        cuda = cuda_dispatch.module("trellis.cuda")
        least, *rest = cuda.best_paths(emissions, lengths, *_joined(packed), graph_of, energies)
        paths = cpu.Paths(*(t.cpu().numpy() for t in (least, *rest)))
        return least.to(emissions.dtype), _found(paths)
    numbers = (
        packed, graph_of.numpy(), doubles(emissions), lengths.numpy(), doubles(energies)
    )  # fmt: skip
    if beam is None:
        paths = cpu.best_paths(*numbers)
    else:
        paths, failed = cpu.beam_paths(*numbers, _check_beam(beam))
        _refuse_empty(failed, lengths, f"beam {beam:g}")
    return torch.from_numpy(paths.energies).to(emissions), _found(paths)


def _found(paths: cpu.Paths) -> list[Path | None]:
    """The path of each item."""
    found: list[Path | None] = []
    for b, count in enumerate(paths.counts.tolist()):
        if paths.energies[b] == math.inf:
            found.append(None)
            continue
        first = paths.arcs.shape[1] - count
        arcs, frames = (torch.from_numpy(a[b, first:].copy()) for a in (paths.arcs, paths.frames))
        found.append(Path(arcs, frames, int(paths.ends[b, 0]), int(paths.ends[b, 1])))
    return found


def _check_beam(beam: float) -> float:
    value = float(beam)
    if math.isnan(value) or value < 0:
        raise ValueError(f"beam is {beam}; it must be at least 0")
    return value


def _refuse_empty(failed: NDArray[np.int64], lengths: Tensor, beam: str) -> None:
    """EmptyBeamError for the first item of which the beam left nothing."""
    for item in np.flatnonzero(failed >= 0)[:1].tolist():
        frame = min(int(failed[item]), int(lengths[item])) - 1
        raise EmptyBeamError(item, max(frame, 0), beam)


def unroll(
    emissions: Tensor, lengths: Tensor, packed: Packed, graph_of: Tensor, energies: Tensor,
    beam: float, max_active: int | None = None,
) -> list[Unrolled]:  # fmt: skip
    """Lattice of all paths near the best: for n-best lists, confidences and rescoring.

    An arc survives if the best complete path through it is at most ``beam`` worse than the best
    path. The search is exact, and takes T * S numbers of memory.

    Args:
        emissions, lengths, packed, graph_of, energies: see :func:`free_energy`.
        beam: >= 0; inf keeps every arc on a path.
        max_active: states that may be active at a frame, the best ones; None for all.

    Returns:
        one ``Unrolled`` for each item; without nodes where no
        path exists.

    Raises:
        ValueError: see :func:`free_energy`; the beam is negative or NaN, or ``max_active``
            is less than 1.
        EmptyBeamError: ``max_active`` left no path.
    """
    lengths, graph_of = _check(emissions, lengths, packed, graph_of, energies)
    if max_active is not None and max_active < 1:
        raise ValueError(f"max_active is {max_active}; it must be at least 1")
    most = np.iinfo(np.int64).max if max_active is None else int(max_active)
    lattices, failed = cpu.unroll_items(
        packed, graph_of.numpy(), doubles(emissions), lengths.numpy(), doubles(energies),
        _check_beam(beam), int(most),
    )  # fmt: skip
    _refuse_empty(failed, lengths, f"max_active {max_active}")
    return lattices
