"""Explicit acyclic graphs as torch operators: differentiable and checked.

A batch is G graphs of any sizes, packed by ``packed.pack_dags``; their energies are
one flat tensor of all entries (arcs, starts, finals) graph after graph. Energies may be negative;
+inf is impossible. A graph without any path has free energy +inf and zero gradients. At beta = inf
the free energy is the least energy and its gradient the indicator of the best path; where paths
tie, the entry listed first wins.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from seqebm.kernels.dag import operators  # noqa: F401  (registers the operators)
from seqebm.kernels.dag.cpu import sweep
from seqebm.kernels.dag.packed import Dags
from seqebm.kernels.machine.checks import (
    check_beta,
    check_floats,
    needs_gradient,
    proper,
    traceable,
)


def _check(dags: Dags, energies: Tensor) -> Dags:
    """The graphs; ValueError where an energy does not fit."""
    return dags._replace(entry_offsets=_check_energies(energies, dags.entry_offsets))


@traceable(
    "check_dag(Tensor energies, Tensor entry_offsets) -> Tensor",
    lambda energies, entry_offsets: torch.empty_like(entry_offsets),
)
def _check_energies(energies: Tensor, entry_offsets: Tensor) -> Tensor:
    check_floats("energies", energies, 1)
    count = int(entry_offsets[-1])
    if len(energies) != count:
        raise ValueError(f"energies has {len(energies)} numbers; the graphs have {count} entries")
    values = energies.detach()
    if not proper(values):
        entry = int((torch.isnan(values) | (values == -math.inf)).nonzero()[0])
        graph = int(torch.searchsorted(entry_offsets, entry, right=True)) - 1
        raise ValueError(
            f"energies[{entry}], entry {entry - int(entry_offsets[graph])} of graph {graph}, "
            f"is {float(values[entry])}; an energy may be negative or +inf (impossible), but "
            "neither NaN nor -inf"
        )
    return entry_offsets.clone()


def free_energy(dags: Dags, energies: Tensor, beta: float) -> Tensor:
    """Free energy of each graph over all its paths.

    Args:
        dags: G packed graphs.
        energies: (E,) of all entries, float32 or float64; differentiable: the gradient is the Gibbs
            probability of each entry.
        beta: inverse temperature, > 0; inf for the least energy.

    Returns:
        (G,) in the type of ``energies``; +inf where no path exists.

    Raises:
        ValueError: beta or an energy is out of range; it names index and value.
    """
    dags = _check(dags, energies)
    beta = check_beta(beta)
    wanted = needs_gradient(energies)
    return torch.ops.seqebm.dag_free_energies(energies, list(dags), beta, wanted)[0]


def best_path(dags: Dags, energies: Tensor) -> tuple[Tensor, list[Tensor | None]]:
    """Least energy and best path of each graph, searched on the CPU; no gradient flows.

    Returns:
        energies (G,) in the type of ``energies``, and for each graph the path's entries (n,) int64
        (its start, its arcs, its final; numbers within the graph), None where no path exists.

    Raises:
        ValueError: see :func:`free_energy`.
    """
    dags = _check(dags, energies)
    result = sweep(dags, energies.detach().cpu().contiguous().numpy(), math.inf, False)
    begins = dags.node_offsets.numpy()
    paths: list[Tensor | None] = []
    for g, count in enumerate(result.path_lengths.tolist()):
        begin = int(begins[g]) + 2 * g
        path = torch.from_numpy(result.paths[begin : begin + count].copy())
        paths.append(path if count else None)
    return torch.from_numpy(result.free).to(energies), paths


def posteriors(dags: Dags, energies: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """Free energies (G,) and the probability of every entry (E,); no gradient flows.

    Raises:
        ValueError: see :func:`free_energy`.
    """
    dags = _check(dags, energies)
    return torch.ops.seqebm.dag_free_energies(
        energies.detach(), list(dags), check_beta(beta), True
    )  # fmt: skip
