"""The operators of the trellis on a device: from tensors to the CUDA kernels and back."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from seqebm.kernels.machine.checks import kernel_beta
from seqebm.kernels.machine.cuda import Shape, on_device, shape, stream_of
from seqebm.kernels.trellis.cpu import count_offsets
from seqebm.kernels.trellis.cuda_kernels import (
    ARC,
    ARCS,
    BY_STATE,
    EMITTING,
    ENTRY,
    FINAL,
    START,
    STATE,
    STATES,
    trellis_best,
    trellis_forward_backward,
)
from seqebm.kernels.trellis.packed import Packed, split

#: Bytes that forward rows may take before they are checkpointed.
TABLE_BYTES = 1 << 30
#: Items share a block up to so many states.
SMALL = 64


class _Graphs:
    """What the kernels read of packed graphs, on a device."""

    def __init__(self, packed: Packed, device: torch.device) -> None:
        graphs = packed.graphs
        bounds = np.zeros((graphs + 1, 9), np.int64)
        for column, offsets in (
            (ENTRY, packed.entry_offsets), (ARC, packed.arc_offsets),
            (STATE, packed.state_offsets), (START, packed.start_offsets),
            (FINAL, packed.final_offsets),
        ):  # fmt: skip
            bounds[:, column] = offsets
        bounds[:graphs, EMITTING] = packed.emitting_arcs
        bounds[:graphs, ARCS] = np.diff(packed.arc_offsets)
        bounds[:graphs, STATES] = np.diff(packed.state_offsets)
        bounds[:graphs, BY_STATE] = packed.on_states
        self.states = int(np.max(bounds[:graphs, STATES], initial=1))
        self.most_arcs = int(np.max(bounds[:graphs, ARCS], initial=0))
        dst, places, ends, classes = [], [], [], []
        for g in range(graphs):
            groups = slice(packed.group_offsets[g], packed.group_offsets[g + 1])
            sizes = np.diff(packed.group_end[groups], prepend=0)
            own = np.repeat(packed.group_dst[groups], sizes)
            dst.append(own)
            emitting = own[: packed.emitting_arcs[g]]
            ends.append(np.cumsum(np.bincount(emitting, minlength=bounds[g, STATES])))
            place = np.empty(len(own), np.int64)
            place[packed.pull_arc[packed.arc_offsets[g] : packed.arc_offsets[g + 1]]] = np.arange(
                len(own)
            )
            places.append(place)
            own_class = np.full(bounds[g, STATES], -1)
            labelled = packed.group_offsets[g] + np.arange(packed.emitting_groups[g])
            own_classes = packed.classes[packed.class_offsets[g] :]
            own_class[packed.group_dst[labelled]] = own_classes[packed.group_label[labelled]]
            classes.append(own_class)
        # Numbers of arcs are relative to their graph: shifted, they find the class of each.
        shift = np.repeat(packed.arc_offsets[:-1], np.diff(packed.arc_offsets))
        pull_class = packed.labels[packed.pull_arc + shift]
        self.pull = on_device(
            [
                packed.starts, packed.finals, np.concatenate([*ends, []]).astype(np.int32),
                packed.pull_src, packed.pull_arc, pull_class,
                np.concatenate([*dst, []]).astype(np.int32),
            ], device,
        )  # fmt: skip
        self.push = on_device(
            [packed.push_end, packed.push_dst, packed.push_label, packed.push_arc], device
        )
        self.bounds, self.place_of, self.state_class = on_device(
            [bounds, *(np.concatenate([*p, []]).astype(np.int32) for p in (places, classes))],
            device,
        )

    def shape(self, items: int, device: torch.device) -> Shape:
        """How a launch for so many items is divided."""
        return shape(items, self.states, self.most_arcs / self.states, device, SMALL)


#: Graphs that are on a device, for as long as the tensor lives that brought them.
_on_devices: WeakIdKeyDictionary = WeakIdKeyDictionary()


def _graphs(packed: Packed, flat: Tensor, device: torch.device) -> _Graphs:
    """Graphs on a device; copied once for each ``flat``, see ``packed.join``.

    And for each stream: nothing else makes a kernel wait for the copy, or the memory for a kernel.
    """
    copies = _on_devices.setdefault(flat, {})
    place = device, stream_of(device)
    if place not in copies:
        copies[place] = _Graphs(packed, device)
    return copies[place]


def free_energies(
    emissions: Tensor, lengths: Tensor, wide: Tensor, flat: Tensor, graph_of: Tensor,
    energies: Tensor, beta: float, with_posterior: bool, with_counts: bool,
    table_bytes: int = TABLE_BYTES,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The operator ``seqebm::trellis_free_energies`` on a device; results in the same types."""
    device, dtype = emissions.device, emissions.dtype
    beta = kernel_beta(beta, torch.finfo(dtype).max)
    if math.isinf(beta):
        return _least(
            emissions, lengths, wide, flat, graph_of, energies, with_posterior, with_counts
        )
    packed = split(wide.numpy(), flat.numpy())
    graphs = _graphs(packed, flat, device)
    items, S = len(lengths), graphs.states
    offsets = count_offsets(packed, graph_of.numpy())
    longest = int(lengths.max()) if items else 0
    keep = with_posterior or with_counts
    segment = 1
    if keep:
        segment = longest + 1
        if items * segment * S * 8 > table_bytes:
            segment = max(1, math.isqrt(longest))
    several = keep and longest + 1 > segment
    new = torch.float64
    rows = torch.empty(items, segment + 1, S, dtype=new, device=device)
    kept = torch.empty(items, longest // segment + 1 if several else 0, S, dtype=new, device=device)
    ways = torch.empty(items, 2 if keep else 0, S, dtype=new, device=device)
    free = torch.empty(items, dtype=new, device=device)
    posterior = torch.zeros(
        emissions.shape if with_posterior else (0, 0, 0), dtype=new, device=device
    )
    counts = torch.zeros(int(offsets[-1]) if with_counts else 0, dtype=new, device=device)
    on = on_device([lengths, graph_of, offsets], device)
    trellis_forward_backward.launch(
        graphs.shape(items, device), emissions.contiguous(), on[0], on[1],
        energies.to(dtype).contiguous(), graphs.bounds, *graphs.pull, graphs.state_class,
        *graphs.push, beta, longest, segment, kept, rows, ways, free, posterior, counts, on[2],
        with_posterior, with_counts,
    )  # fmt: skip
    none = emissions.new_empty(0)
    return (
        free.to(dtype), posterior.to(dtype) if with_posterior else none,
        counts.to(dtype) if with_counts else none,
    )  # fmt: skip


def best_paths(
    emissions: Tensor, lengths: Tensor, wide: Tensor, flat: Tensor, graph_of: Tensor,
    energies: Tensor, trace: bool = True,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Energies (B,) float64, arcs and frames (B, n) of which the last sizes (B,) count, and ends
    (B, 2), all on the device."""
    device = emissions.device
    packed = split(wide.numpy(), flat.numpy())
    graphs = _graphs(packed, flat, device)
    items, S = len(lengths), graphs.states
    longest = int(lengths.max()) if items else 0
    depth = int(np.max(packed.depth[graph_of.numpy()], initial=0))
    room = longest + (longest + 1) * depth if trace else 0
    most = graphs.most_arcs
    small = torch.int8 if most < 1 << 7 else torch.int16 if most < 1 << 15 else torch.int32
    free = torch.empty(items, dtype=torch.float64, device=device)
    arcs, frames = torch.zeros(2, items, room, dtype=torch.int64, device=device).unbind()
    sizes = torch.zeros(items, dtype=torch.int64, device=device)
    ends = torch.zeros(items, 2, dtype=torch.int64, device=device)
    rows = torch.empty(items, 2, S, dtype=torch.float64, device=device)
    back = torch.empty(items, longest + 1, S, dtype=small, device=device)
    on = on_device([lengths, graph_of], device)
    trellis_best.launch(
        graphs.shape(items, device), emissions.detach().contiguous(), on[0], on[1],
        energies.detach().to(emissions.dtype).contiguous(), graphs.bounds, *graphs.pull,
        graphs.place_of, longest, rows, back, free, arcs, frames, sizes, ends,
    )  # fmt: skip
    return free, arcs, frames, sizes, ends


def _least(
    emissions: Tensor, lengths: Tensor, wide: Tensor, flat: Tensor, graph_of: Tensor,
    energies: Tensor, with_posterior: bool, with_counts: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The limit beta = inf: the indicators of the best path."""
    device, dtype = emissions.device, emissions.dtype
    free, arcs, frames, sizes, ends = best_paths(
        emissions, lengths, wide, flat, graph_of, energies, with_posterior or with_counts
    )
    packed = split(wide.numpy(), flat.numpy())
    posterior = torch.zeros(emissions.shape if with_posterior else 0, dtype=dtype, device=device)
    offsets = count_offsets(packed, graph_of.numpy())
    counts = torch.zeros(int(offsets[-1]) if with_counts else 0, dtype=dtype, device=device)
    if not (with_posterior or with_counts):
        return free.to(dtype), posterior, counts
    room = arcs.shape[1]
    used = torch.arange(room, device=device) >= room - sizes[:, None]
    items = torch.arange(len(sizes), device=device)[:, None].expand_as(used)[used]
    first, starts = packed.arc_offsets[:-1], np.diff(packed.start_offsets)
    own = graph_of.numpy()
    labels, shift, base, size, begins = on_device(
        [packed.labels, first[own], offsets[:-1], np.diff(packed.arc_offsets)[own], starts[own]],
        device,
    )
    arc, frame = arcs[used], frames[used]
    if with_posterior:
        label = labels[shift[items] + arc].long()
        reads = label >= 0
        posterior[items[reads], frame[reads], label[reads]] = 1.0
    if with_counts:
        one = torch.ones_like(arc, dtype=dtype)
        counts.index_add_(0, base[items] + arc, one)
        found = torch.isfinite(free)
        last = base + size
        for place in (last + ends[:, 0], last + begins + ends[:, 1]):
            counts[place[found]] = 1.0
    return free.to(dtype), posterior, counts


def emission_gradient(posterior: Tensor, factor: Tensor) -> Tensor:
    """The operator ``seqebm::trellis_emission_gradient`` on a device."""
    return posterior * factor[:, None, None]


def entry_gradient(
    counts: Tensor, factor: Tensor, graph_of: Tensor, wide: Tensor, like: Tensor
) -> Tensor:
    """The operator ``seqebm::trellis_entry_gradient`` on a device."""
    offsets = wide.numpy()
    own = graph_of.numpy()
    sizes = offsets[own + 1] - offsets[own]
    begin = np.concatenate(([0], np.cumsum(sizes)))
    place = np.arange(begin[-1]) - np.repeat(begin[:-1] - offsets[own], sizes)
    item = np.repeat(np.arange(len(own)), sizes)
    place_, item_ = on_device([place, item], counts.device)
    total = torch.zeros(len(like), dtype=counts.dtype, device=counts.device)
    total.index_add_(0, place_, counts * factor.to(counts.dtype)[item_])
    return total.to(like.dtype)
