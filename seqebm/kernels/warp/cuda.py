"""CUDA kernels of elastic matching: the cells of a pair along anti-diagonals.

The cells of an anti-diagonal i + j = d do not depend on each other, whatever the step pattern, as
every step advances i + j. Accumulated energies are float64 and stored by diagonal, so that the
threads of a block read neighbours; without a gradient only as many diagonals as a step can reach.

Backward, the visits of a cell are pulled from the cells that it leads to, by the Gibbs shares of
the steps, so nothing is added atomically.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from seqebm.kernels.machine.checks import kernel_beta
from seqebm.kernels.machine.cuda import (
    barrier,
    candidate,
    device_function,
    gibbs,
    kernel,
    on_device,
    place,
    shape,
    soft_minimum,
)
from seqebm.kernels.warp.checks import check_local
from seqebm.kernels.warp.operators import squared_distances
from seqebm.kernels.warp.patterns import row_limits

#: Bytes of the tables of local energies that are made at a time without a gradient.
TABLE_BYTES = 1 << 28
#: Bytes that accumulated energies may take before their diagonals are checkpointed.
SWEEP_BYTES = 1 << 30

_limits = device_function(row_limits)


@device_function
def _by_step(k, local, i, j, di, dj, weight, penalty, table, ring):
    """Energy of reaching a cell by step ``k``; inf where that would come from outside."""
    u, v = i - di[k], j - dj[k]
    if u < 0 or v < 0:
        return math.inf
    return candidate(table[(u + v) % ring, u], local[i, j] + 0.0, weight[k], penalty[k])


@device_function
def _least(local, i, j, di, dj, weight, penalty, table, ring):
    """Least energy of reaching a cell, and the step that is listed first among those of it."""
    least, chosen = math.inf, -1
    for k in range(di.size):
        energy = _by_step(k, local, i, j, di, dj, weight, penalty, table, ring)
        if energy < least:
            least, chosen = energy, k
    return least, chosen


@device_function
def _share(k, local, i, j, di, dj, weight, penalty, table, ring, beta, hard):
    """Probability that a path which reaches a cell does so by step ``k``."""
    energy = _by_step(k, local, i, j, di, dj, weight, penalty, table, ring)
    if energy == math.inf:
        return 0.0
    if hard:
        _, chosen = _least(local, i, j, di, dj, weight, penalty, table, ring)
        return 1.0 if chosen == k else 0.0
    return gibbs(energy, table[(i + j) % ring, i], beta, local)


@device_function
def _rows(d, T, L):
    """First row of the cells i + j = d inside a table, and the first after them."""
    return (d - L + 1 if d >= L else 0), (d + 1 if d < T else T)


@device_function
def _diagonal(
    d, lane, width, T, L, local, di, dj, weight, penalty, beta, hard, band, slope, table, ring,
    back, trace,
):  # fmt: skip
    """Accumulated energies of the cells i + j = d, and with ``trace`` the steps into them.

    Nothing else of a diagonal is written, nor read by any step.
    """
    first, after = _rows(d, T, L)
    for i in range(first + lane, after, width):
        j = d - i
        value, chosen = math.inf, -1
        lo, hi = _limits(i, T, L, band, slope)
        if lo <= j <= hi:
            if d == 0:
                value = local[0, 0] + 0.0
            else:
                value, chosen = _least(local, i, j, di, dj, weight, penalty, table, ring)
                if not hard and value < math.inf:
                    total = 0.0
                    for k in range(di.size):
                        energy = _by_step(k, local, i, j, di, dj, weight, penalty, table, ring)
                        total += gibbs(energy, value, beta, local)
                    value = soft_minimum(value, total, beta, local)
        if trace:
            back[i, j] = chosen
        table[d % ring, i] = value


@kernel
def warp_sweep(
    local, t_lengths, l_lengths, di, dj, weight, penalty, beta, hard, band, slope, longest, reach,
    segment, ring, kept, tables, keep, visits, gradient, back, energies,
):  # fmt: skip
    """Free energies (P,), and with ``keep`` their gradient (P, T, L), zero before.

    The gradient takes the diagonals backwards. Of a long pair only some are kept, a few at the
    beginning of each segment, and those between are computed again (checkpointing).

    Args:
        local: (P, T, L) of any strides.
        longest: diagonals of the longest pair; reach: diagonals that the longest step goes back.
        segment: diagonals between those that are kept; ``longest`` or more: all are in ``tables``.
        ring: diagonals in ``tables`` (P, ring, T): ``segment + 3 * reach``, all, or, without
            ``keep``, those that a step sees.
        kept: (P, segments * reach, T): those before the first that a segment computes again.
        visits: (P, reach + 1, T).
        back: (1, 0, 0), of no use here.
    """
    p, lane, width = place()
    T, L = t_lengths[p], l_lengths[p]
    own, table, steps = local[p], tables[p], back[0]
    several = keep and segment < longest
    for d in range(longest):
        if d < T + L - 1:
            _diagonal(
                d, lane, width, T, L, own, di, dj, weight, penalty, beta, hard, band, slope, table,
                ring, steps, False,
            )  # fmt: skip
            if several:
                # Segment n begins by computing diagonal n * segment - reach again.
                after = d + 2 * reach
                part, n = after // segment, after % segment
                if 0 < part <= (longest - 1) // segment and n < reach:
                    first, last = _rows(d, T, L)
                    for i in range(first + lane, last, width):
                        kept[p, part * reach + n, i] = table[d % ring, i]
        barrier()
    end = table[(T + L - 2) % ring, T - 1]
    if lane == 0:
        energies[p] = end
    if not keep:
        return  # of all threads alike
    barrier()
    seen, out = visits[p], gradient[p]
    for part in range((longest - 1) // segment, -1, -1):
        begin = part * segment
        stop = begin + segment if begin + segment < longest else longest
        if several:
            again = begin - reach if begin > reach else 0
            if part > 0:
                for n in range(reach):
                    for i in range(lane, T, width):
                        table[(again - reach + n) % ring, i] = kept[p, part * reach + n, i]
            barrier()
            for d in range(again, stop + reach):
                if d < T + L - 1:
                    _diagonal(
                        d, lane, width, T, L, own, di, dj, weight, penalty, beta, hard, band,
                        slope, table, ring, steps, False,
                    )  # fmt: skip
                barrier()
        for d in range(stop - 1, begin - 1, -1):
            if d < T + L - 1 and end < math.inf:
                first, last = _rows(d, T, L)
                for i in range(first + lane, last, width):
                    j = d - i
                    visit = 0.0
                    if table[d % ring, i] < math.inf:
                        visit = 1.0 if d == T + L - 2 else 0.0
                        for k in range(di.size):
                            u, v = i + di[k], j + dj[k]
                            if u < T and v < L and table[(u + v) % ring, u] < math.inf:
                                visit += seen[(u + v) % (reach + 1), u] * _share(
                                    k, own, u, v, di, dj, weight, penalty, table, ring, beta, hard
                                )
                        amount = 1.0
                        if d > 0:
                            amount = 0.0
                            for k in range(di.size):
                                amount += weight[k] * _share(
                                    k, own, i, j, di, dj, weight, penalty, table, ring, beta, hard
                                )
                        out[i, j] = visit * amount
                    seen[d % (reach + 1), i] = visit
            barrier()


@kernel
def warp_best(
    local, t_lengths, l_lengths, di, dj, weight, penalty, band, slope, longest, ring, tables, back,
    energies, paths, sizes,
):  # fmt: skip
    """Least energies (P,) and best paths (P, n, 2), written from the right; sizes (P,).

    Args:
        back: (P, T, L) int8, the step into each cell, -1 for none.
    """
    p, lane, width = place()
    T, L = t_lengths[p], l_lengths[p]
    own, table = local[p], tables[p]
    for d in range(longest):
        if d < T + L - 1:
            _diagonal(
                d, lane, width, T, L, own, di, dj, weight, penalty, 1.0, True, band, slope, table,
                ring, back[p], True,
            )  # fmt: skip
        barrier()
    if lane == 0:
        energy = table[(T + L - 2) % ring, T - 1]
        energies[p] = energy
        sizes[p] = 0
        if energy < math.inf:
            at = paths.shape[1]
            i, j = T - 1, L - 1
            going = True
            while going:
                at -= 1
                paths[p, at, 0], paths[p, at, 1] = i, j
                k = back[p, i, j]
                going = k >= 0
                if going:
                    i, j = i - di[k], j - dj[k]
            sizes[p] = paths.shape[1] - at


def _steps(steps: Sequence[float], device: torch.device) -> tuple[list[Tensor], int]:
    """di, dj, weight, penalty on a device; diagonals that the longest step goes back."""
    table = torch.tensor(list(steps), dtype=torch.float64).view(-1, 4)
    reach = int(table[:, :2].sum(1).max())
    columns = [
        table[:, 0].long(), table[:, 1].long(), table[:, 2].contiguous(), table[:, 3].contiguous()
    ]  # fmt: skip
    return on_device(columns, device), reach


def free_energies(
    local: Tensor, t_lengths: Tensor, l_lengths: Tensor, beta: float, steps: Sequence[float],
    band: float, slope: float, with_posterior: bool, table_bytes: int = SWEEP_BYTES,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The operator ``seqebm::warp_free_energies`` on a device."""
    check_local(local.detach(), t_lengths, l_lengths)
    N, M, T, L = local.shape
    device, new = local.device, torch.float64
    rules, reach = _steps(steps, device)
    pairs = local.detach().reshape(N * M, T, L)
    longest = int((t_lengths + l_lengths).max()) - 1 if N * M else 0
    segment, ring = max(1, longest), reach + 1
    if with_posterior:
        ring = longest
        if N * M * longest * T * 8 > table_bytes:
            segment = max(2 * reach, math.isqrt(longest * reach))
            ring = segment + 3 * reach
    several = with_posterior and segment < longest
    segments = (longest - 1) // segment + 1 if several else 0
    tables = torch.empty(N * M, ring, T, dtype=new, device=device)
    kept = torch.empty(N * M, segments * reach, T, dtype=new, device=device)
    visits = torch.empty(N * M, reach + 1 if with_posterior else 0, T, dtype=new, device=device)
    back = torch.empty(1, 0, 0, dtype=torch.int8, device=device)
    gradient = torch.zeros(
        (N * M, T, L) if with_posterior else (0, 0, 0), dtype=local.dtype, device=device
    )
    energies = torch.empty(N * M, dtype=new, device=device)
    ts, ls = on_device([t_lengths.reshape(-1), l_lengths.reshape(-1)], device)
    beta = kernel_beta(beta, torch.finfo(local.dtype).max)
    hard = math.isinf(beta)
    warp_sweep.launch(
        shape(N * M, min(T, L), len(rules[0]), device), pairs, ts, ls, *rules,
        1.0 if hard else beta, hard, band, slope, longest, reach, segment, ring, kept, tables,
        with_posterior, visits, gradient, back, energies,
    )  # fmt: skip
    found = energies.to(local.dtype).view(N, M)
    if not with_posterior:
        return found, local.new_empty(0)
    posterior = torch.empty_like(local)  # of its strides
    return found, posterior.copy_(gradient.view(N, M, T, L))


def pair_energies(
    x: Tensor, t_lengths: Tensor, y: Tensor, l_lengths: Tensor, beta: float,
    steps: Sequence[float], band: float, slope: float, with_posterior: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The operator ``seqebm::warp_pair_energies`` on a device."""
    energies, posterior = free_energies(
        squared_distances(x, y)[None], t_lengths[None], l_lengths[None], beta, steps, band, slope,
        with_posterior,
    )  # fmt: skip
    return energies[0], posterior[0] if with_posterior else posterior


def feature_energies(
    x: Tensor, x_lengths: Tensor, y: Tensor, y_lengths: Tensor, beta: float,
    steps: Sequence[float], band: float, slope: float,
) -> Tensor:  # fmt: skip
    """The operator ``seqebm::warp_feature_energies`` on a device: tables of as many inputs at a
    time as fit in :data:`TABLE_BYTES`."""
    (B, T, _), (M, L, _) = x.shape, y.shape
    each = max(1, TABLE_BYTES // max(1, M * T * L * x.element_size()))
    yy = (y * y).sum(-1)
    found = [x.new_empty(0, M)]
    for first in range(0, B, each):
        part = x[first : first + each]
        # |x - y|^2; rounding may leave it a little below 0, as on the CPU with gradients.
        table = (part * part).sum(-1)[:, None, :, None] + yy[None, :, None, :]
        table = table - 2.0 * torch.einsum("btd,mld->bmtl", part, y)
        ts = x_lengths[first : first + each, None].expand(-1, M)
        ls = y_lengths[None].expand(len(part), -1)
        found.append(free_energies(table, ts, ls, beta, steps, band, slope, False)[0])
    return torch.cat(found)


def best_paths(
    local: Tensor, t_lengths: Tensor, l_lengths: Tensor, steps: Sequence[float], band: float,
    slope: float,
) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
    """Least energies (P,) float64 on the device and P paths, each (n, 2) int64 on the CPU."""
    P, T, L = local.shape
    device = local.device
    rules, reach = _steps(steps, device)
    longest = int((t_lengths + l_lengths).max()) - 1 if P else 0
    ring = reach + 1
    tables = torch.empty(P, ring, T, dtype=torch.float64, device=device)
    back = torch.empty(P, T, L, dtype=torch.int8, device=device)
    energies = torch.empty(P, dtype=torch.float64, device=device)
    paths = torch.zeros(P, T + L - 1, 2, dtype=torch.int64, device=device)
    sizes = torch.zeros(P, dtype=torch.int64, device=device)
    ts, ls = on_device([t_lengths, l_lengths], device)
    warp_best.launch(
        shape(P, min(T, L), len(rules[0]), device), local.detach(), ts, ls, *rules, band, slope,
        longest, ring, tables, back, energies, paths, sizes,
    )  # fmt: skip
    found = zip(paths.cpu(), sizes.tolist(), strict=True)
    return energies, [path[len(path) - n :].clone() for path, n in found]
